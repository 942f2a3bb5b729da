/* text_progress.c: one line a step of an action. A canary's figures come each second: on a terminal
 * they are written over each other, elsewhere a line is printed now and then. */
#include "text.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"

#define CANARY_PAUSE (5 * NS_PER_SEC) /* between two lines of it where there is no terminal */

void text_leave(struct screen *screen)
{
    if (screen->is_open)
        putchar('\n');
    screen->is_open = false;
    fflush(stdout);
}

/* ---- a canary ---- */

static void add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* "12 s left: 0.50% of 1,234 fail (old 0.00%), p99 1.30 ms (old 1.20 ms)" */
static void describe_canary(const cJSON *json, char *text, size_t size)
{
    const cJSON *old = json_at(json, "old"), *new = json_at(json, "new");
    char count[32], fresh[32], former[32];

    snprintf(text, size, "  %-9s  %.0f s left: %.2f%% of %s fail (old %.2f%%)", "canary",
             json_number(json, "seconds_left"), 100 * json_number(new, "error_rate"),
             text_count(new, "requests", count), 100 * json_number(old, "error_rate"));
    add(text, size, ", p99 %s (old %s)",
        human_seconds(json_number(new, "p99"), fresh, sizeof fresh),
        human_seconds(json_number(old, "p99"), former, sizeof former));
    if (json_number(new, "crashes") > 0)
        add(text, size, ", %.0f crashed", json_number(new, "crashes"));
    if (json_number(new, "hangs") > 0)
        add(text, size, ", %.0f hung", json_number(new, "hangs"));
}

static void show_canary(const cJSON *json, struct screen *screen)
{
    int width = human_width(stdout);
    uint64_t now = clock_ns();
    char text[256];

    describe_canary(json, text, sizeof text);
    if (human_is_terminal(stdout)) {
        printf("\r%.*s\033[K", width - 1, text);
        screen->is_open = true;
    } else if (screen->canary_at == 0 || now - screen->canary_at >= CANARY_PAUSE) {
        printf("%s\n", text);
        screen->canary_at = now;
    }
}

/* ---- the other steps ---- */

/* Parts of a line behind its step: the first is padded, the others are separated. */
struct parts {
    const char *separator; /* before the next */
    bool has_any;
};

static void next_part(struct parts *parts, const char *separator)
{
    fputs(parts->has_any ? separator : parts->separator, stdout);
    parts->has_any = true;
}

static void print_part(struct parts *parts, const char *separator, const char *text)
{
    if (text[0] == '\0')
        return;
    next_part(parts, separator);
    human_print_line(stdout, text);
}

static void print_place(struct parts *parts, const cJSON *json)
{
    if (json_text(json, "app")[0] != '\0') {
        next_part(parts, "");
        text_print_app(json);
    } else if (json_number(json, "generation") > 0) {
        next_part(parts, "");
        printf("generation %.0f", json_number(json, "generation"));
    }
    if (json_at(json, "worker") == NULL)
        return;
    next_part(parts, " in ");
    printf("worker %.0f.%.0f", json_number(json, "worker"), json_number(json, "incarnation"));
}

static void print_figures(struct parts *parts, const cJSON *json)
{
    char seconds[32];

    if (json_at(json, "pid") != NULL) {
        next_part(parts, ", ");
        printf("pid %.0f", json_number(json, "pid"));
    }
    if (json_at(json, "seconds") != NULL)
        print_part(parts, ", ",
                   human_seconds(json_number(json, "seconds"), seconds, sizeof seconds));
}

/* {"step":"prepare","app":"hello","generation":2,"worker":0,"incarnation":1,...} becomes
 * "  prepare    hello generation 2 in worker 0.1, 2.10 ms". */
static void print_step(const cJSON *json)
{
    const char *step = json_text(json, "step");
    char padding[16];
    struct parts parts = {.separator = padding};

    snprintf(padding, sizeof padding, "%*s  ", strlen(step) < 9 ? 9 - (int)strlen(step) : 0, "");
    printf("  ");
    text_coloured(COLOUR_DIM, step);
    print_place(&parts, json);
    print_part(&parts, ", ", json_text(json, "binary"));
    print_part(&parts, ", ", json_text(json, "address"));
    print_part(&parts, ", ", json_text(json, "change"));
    print_figures(&parts, json);
    if (cJSON_IsFalse(json_at(json, "ok"))) {
        next_part(&parts, ": ");
        text_coloured(COLOUR_RED, "refused");
    }
    print_part(&parts, ": ", json_text(json, "reason"));
    putchar('\n');
}

void text_progress(const struct report *line, struct screen *screen)
{
    if (json_is(line->json, "step", "canary")) {
        show_canary(line->json, screen);
        fflush(stdout);
        return;
    }
    text_leave(screen);
    if (json_is(line->json, "step", "begin")) {
        printf("deployment %.0f: ", json_number(line->json, "deploy"));
        human_print_line(stdout, json_text(line->json, "action"));
        putchar('\n');
    } else {
        print_step(line->json);
    }
    fflush(stdout);
}
