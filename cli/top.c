/* top.c: `reevectl top`: asks, draws, and heeds the keys, in turn. A server that does not answer is
 * waited for a second at a time; one that has gone is tried again until it is back. */
#define NCURSES_NOMACROS 1
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"
#include "commands.h"
#include "json.h"
#include "request.h"
#include "top_view.h"

#define PATIENCE      1.0 /* seconds, for all answers of one look */
#define FIRST_PAUSE   0.3 /* seconds: two looks make the first rates */
#define WORKERS_ASKED 4   /* at most, for their requests, in one look */

struct top {
    struct ctl *ctl;
    struct top_model model;
    struct top_view view;
    double patience;
    uint64_t deadline; /* of the answers of this look */
    uint64_t next_at;  /* clock_ns(): the next look */
    uint64_t lost_at;  /* since when there is no answer; 0: there is */
    double asked;      /* the worker whose requests were asked for last */
    bool has_rates, is_over;
};

/* ---- signals ---- */

static volatile sig_atomic_t was_quit;

static void on_quit(int number)
{
    (void)number;
    was_quit = 1;
}

/* Signals reach us where we wait, and so never within ncurses, which has its own way with the last
 * two. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_quit};
    sigset_t set;

    client_catch_interrupt();
    sigemptyset(&set);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool is_told_to_end(void)
{
    return was_quit || client_pause(0) == CLIENT_INTERRUPTED;
}

/* ---- asking ---- */

/* The answer as an object; NULL: there is none, and `trouble` says why, if that is not NULL. */
static cJSON *ask(struct top *top, const char *path, char *trouble, size_t size)
{
    struct client_answer answer = {.text = NULL};
    struct client client;
    enum client_end end = client_open_until(&client, request_socket(top->ctl), top->deadline);
    cJSON *json = NULL;

    if (end == CLIENT_DONE)
        end = client_call(&client, "GET", path, NULL, NULL, NULL, &answer);
    client_close(&client);
    if (end == CLIENT_DONE && answer.status == 200)
        json = cJSON_Parse(answer.text);
    if (json == NULL && trouble != NULL && end == CLIENT_DONE)
        snprintf(trouble, size, "the server answers with status %d", answer.status);
    else if (json == NULL && trouble != NULL)
        snprintf(trouble, size, "%s",
                 end == CLIENT_TIMED_OUT     ? "the server does not answer"
                 : end == CLIENT_NOT_RUNNING ? "reeve is not running"
                 : end == CLIENT_DENIED      ? "no permission to ask the server any more"
                 : end == CLIENT_LOST        ? "the server has hung up"
                                             : client.reason);
    client_answer_free(&answer);
    top->is_over = top->is_over || end == CLIENT_INTERRUPTED;
    return json;
}

/* The next busy worker after the one that was asked last, by id; -1: none. */
static double next_busy(const struct top_model *model, double after)
{
    double next = -1, first = -1;

    for (size_t i = 0; i < model->worker_count; i++) {
        double id = model->workers[i].id;

        if (model->workers[i].active <= 0)
            continue;
        if (first < 0 || id < first)
            first = id;
        if (id > after && (next < 0 || id < next))
            next = id;
    }
    return next >= 0 ? next : first;
}

/* A few in turn: hundreds of workers are not asked each time. */
static void ask_requests(struct top *top)
{
    double first = -1;

    for (int i = 0; i < WORKERS_ASKED && !top->is_over; i++) {
        double id = next_busy(&top->model, top->asked);
        char path[48];
        cJSON *json;

        if (id < 0 || (i > 0 && id <= first && id >= first))
            break;
        first = i == 0 ? id : first;
        snprintf(path, sizeof path, "/v1/workers/%.0f", id);
        json = ask(top, path, NULL, 0);
        top_model_set_requests(&top->model, id, json, clock_ns());
        cJSON_Delete(json);
        top->asked = id;
    }
    top_model_settle_requests(&top->model);
}

static void note_loss(struct top *top, const char *why)
{
    uint64_t now = clock_ns();

    if (top->lost_at == 0)
        top->lost_at = now;
    snprintf(top->view.trouble, sizeof top->view.trouble, "%s (for %.0f s); trying again", why,
             (double)(now - top->lost_at) / (double)NS_PER_SEC);
}

static void look(struct top *top)
{
    char why[160] = "";
    cJSON *stats, *status;

    top->deadline = clock_ns() + (uint64_t)(top->patience * (double)NS_PER_SEC);
    stats = ask(top, "/v1/stats?buckets=1", why, sizeof why);
    if (stats == NULL) {
        note_loss(top, why);
        return;
    }
    top->lost_at = 0;
    top->view.trouble[0] = '\0';
    status = ask(top, "/v1/status", NULL, 0);
    top->has_rates = top->model.before != NULL;
    if (top_model_update(&top->model, stats, status) != 0)
        snprintf(top->view.trouble, sizeof top->view.trouble, "memory has run out");
    cJSON_Delete(status);
    ask_requests(top);
}

/* ---- keys ---- */

static void change_interval(struct top_view *view, int by)
{
    static const double steps[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};
    const size_t count = sizeof steps / sizeof steps[0];
    size_t i = 0;

    if (by > 0) {
        while (i + 1 < count && steps[i] <= view->interval)
            i++;
    } else {
        for (i = count - 1; i > 0 && steps[i] >= view->interval;)
            i--;
    }
    view->interval = steps[i];
}

static void sort_next(struct top_view *view)
{
    if (view->focus == TOP_WORKERS)
        view->by_worker = (enum top_worker_key)((view->by_worker + 1) % TOP_WORKER_KEYS);
    else if (view->focus == TOP_APPS)
        view->by_app = (enum top_app_key)((view->by_app + 1) % TOP_APP_KEYS);
}

/* What it is made of is drawn next, whatever it was. */
static void heed(struct top *top, int key)
{
    struct top_view *view = &top->view;

    switch (key) {
    case 'q':
        top->is_over = true;
        break;
    case 'w':
    case 'a':
    case 'r':
        view->focus = key == 'w' ? TOP_WORKERS : key == 'a' ? TOP_APPS : TOP_REQUESTS;
        break;
    case '\t':
        view->focus = (enum top_table)((view->focus + 1) % TOP_TABLES);
        break;
    case 's':
        sort_next(view);
        break;
    case 'p':
    case ' ':
        view->is_paused = !view->is_paused;
        top->next_at = 0;
        break;
    case '+':
    case '-':
        change_interval(view, key == '+' ? 1 : -1);
        top->next_at = 0;
        break;
    case '?':
    case 'h':
        view->is_helping = !view->is_helping;
        break;
    case KEY_DOWN:
        view->skip[view->focus]++;
        break;
    case KEY_UP:
        view->skip[view->focus] -= view->skip[view->focus] > 0;
        break;
    default: /* KEY_RESIZE: ncurses knows the size already */
        break;
    }
}

/* Until a key, a signal, or the time of the next look. */
static void wait_for_key(struct top *top)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t now = clock_ns(), span = top->next_at > now ? top->next_at - now : 0;
    struct timespec left = {(time_t)(span / NS_PER_SEC), (long)(span % NS_PER_SEC)};
    sigset_t none;
    int ready, key, count = 0;

    sigemptyset(&none);
    ready = ppoll(&input, 1, top->view.is_paused ? NULL : &left, &none);
    if (is_told_to_end())
        top->is_over = true;
    while (!top->is_over && (key = getch()) != ERR) {
        heed(top, key);
        count++;
    }
    if (ready > 0 && count == 0) /* the terminal has gone */
        top->is_over = true;
}

/* ---- the whole ---- */

static void draw(struct top *top)
{
    top_model_sort(&top->model, top->view.by_worker, top->view.by_app);
    top->view.now = clock_ns();
    top_view_draw(&top->model, &top->view);
}

static void run(struct top *top)
{
    draw(top);
    while (!top->is_over) {
        if (!top->view.is_paused && clock_ns() >= top->next_at) {
            double pause = top->view.interval;

            look(top);
            if (!top->has_rates && pause > FIRST_PAUSE)
                pause = FIRST_PAUSE;
            top->next_at = clock_ns() + (uint64_t)(pause * (double)NS_PER_SEC);
        }
        draw(top);
        if (!top->is_over)
            wait_for_key(top);
    }
}

/* What can be said in a sentence is said before the screen is ours. */
static enum exit_status check(struct ctl *ctl)
{
    struct wish wish = {.method = "GET", .path = "/v1/status"};
    struct client_answer answer;
    enum exit_status status;
    cJSON *json;

    if (ctl->options[OPTION_JSON].is_given) {
        ctl->out->failure("usage", "top is for people; `reevectl -j stats` has the figures");
        return EXIT_USAGE;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        ctl->out->failure("usage", "top needs a terminal; `reevectl stats` prints the figures");
        return EXIT_USAGE;
    }
    if (ctl->options[OPTION_INTERVAL].is_given && ctl->options[OPTION_INTERVAL].number < 0.1) {
        ctl->out->failure("usage", "--interval is 100ms at least");
        return EXIT_USAGE;
    }
    status = request(ctl, &wish, &answer, &json);
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

enum exit_status run_top(struct ctl *ctl)
{
    const struct option_value *interval = &ctl->options[OPTION_INTERVAL];
    const struct option_value *timeout = &ctl->options[OPTION_TIMEOUT];
    struct top top = {.ctl = ctl, .asked = -1};
    enum exit_status status = check(ctl);
    const char *refusal;

    if (status != EXIT_DONE)
        return status;
    top.view.interval = interval->is_given ? interval->number : 1;
    top.patience = timeout->is_given ? timeout->number : PATIENCE;
    catch_signals();
    refusal = top_terminal_open();
    if (refusal != NULL) {
        ctl->out->failure("usage", refusal);
        return EXIT_USAGE;
    }
    run(&top);
    top_terminal_close();
    top_model_fini(&top.model);
    return is_told_to_end() ? EXIT_INTERRUPTED : EXIT_DONE;
}
