/* human.c: see human.h. */
#include "human.h"

#include <stdarg.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

char *human_count(double count, char *text, size_t size)
{
    char plain[32];
    size_t length, out = 0;

    length = (size_t)snprintf(plain, sizeof plain, "%.0f", count);
    for (size_t i = 0; i < length && out + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0 && plain[i - 1] != '-')
            text[out++] = ',';
        text[out++] = plain[i];
    }
    text[out] = '\0';
    return text;
}

char *human_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, size, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

char *human_seconds(double seconds, char *text, size_t size)
{
    static const struct unit {
        double seconds;
        const char *name;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    size_t unit = 0;
    double value;

    if (seconds <= 0) {
        snprintf(text, size, "0 s");
        return text;
    }
    while (unit + 1 < sizeof units / sizeof units[0] && seconds < units[unit].seconds)
        unit++;
    value = seconds / units[unit].seconds;
    snprintf(text, size,
             value < 10    ? "%.2f %s"
             : value < 100 ? "%.1f %s"
                           : "%.0f %s",
             value, units[unit].name);
    return text;
}

char *human_age(double seconds, char *text, size_t size)
{
    unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

    if (s < 60)
        snprintf(text, size, "%lu s", s);
    else if (s < 3600)
        snprintf(text, size, "%lu min %lu s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, size, "%lu h %lu min", s / 3600, s / 60 % 60);
    else
        snprintf(text, size, "%lu d %lu h", s / 86400, s / 3600 % 24);
    return text;
}

char *human_when(double at, char *text, size_t size)
{
    time_t now = time(NULL), then = (time_t)at;
    struct tm today, day;

    if (at <= 0 || localtime_r(&then, &day) == NULL || localtime_r(&now, &today) == NULL)
        snprintf(text, size, "-");
    else
        strftime(text, size, day.tm_year == today.tm_year ? "%b %d %H:%M:%S" : "%b %d %Y", &day);
    return text;
}

bool human_is_terminal(FILE *to)
{
    const char *term = getenv("TERM");

    return isatty(fileno(to)) && term != NULL && strcmp(term, "dumb") != 0;
}

static bool has_colours(FILE *to)
{
    const char *no_color = getenv("NO_COLOR");

    return human_is_terminal(to) && (no_color == NULL || no_color[0] == '\0');
}

const char *human_colour(FILE *to, enum colour colour)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                        "\033[31m", "\033[32m", "\033[33m"};

    return has_colours(to) ? codes[colour] : "";
}

static void print_except(FILE *to, const char *text, const char *allowed)
{
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        /* 0x80 to 0x9f behind 0xc2 are control characters, too, in UTF-8. */
        bool is_control = (*s < 0x20 && strchr(allowed, *s) == NULL) || *s == 0x7f ||
                          (*s == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f);

        fputc(is_control ? '?' : *s, to);
    }
}

void human_print(FILE *to, const char *text)
{
    print_except(to, text, "\n\t");
}

void human_print_line(FILE *to, const char *text)
{
    print_except(to, text, "");
}

/* ---- tables ---- */

#define COLUMNS_MAX 20

struct cell {
    enum colour colour;
    char text[104];
};

struct table {
    size_t columns, count, room;
    bool is_right[COLUMNS_MAX], is_optional[COLUMNS_MAX], is_hidden[COLUMNS_MAX];
    int widths[COLUMNS_MAX];
    struct cell *cells; /* the headings first */
};

static struct cell *add_cell(struct table *table)
{
    if (table->count == table->room) {
        size_t room = table->room * 2 + 64;
        struct cell *cells = realloc(table->cells, room * sizeof *cells);

        if (cells == NULL)
            return NULL;
        table->cells = cells;
        table->room = room;
    }
    return &table->cells[table->count++];
}

struct table *table_new(const char *headings)
{
    struct table *table = calloc(1, sizeof *table);

    while (table != NULL && *headings != '\0' && table->columns < COLUMNS_MAX) {
        size_t column = table->columns++, length;

        table->is_optional[column] = *headings == '?';
        headings += table->is_optional[column];
        table->is_right[column] = *headings == '>';
        headings += table->is_right[column];
        length = strcspn(headings, "|");
        table_cell(table, COLOUR_DIM, "%.*s", (int)length, headings);
        headings += length;
        headings += *headings == '|';
    }
    return table;
}

void table_cell(struct table *table, enum colour colour, const char *format, ...)
{
    struct cell *cell = table == NULL ? NULL : add_cell(table);
    va_list args;

    if (cell == NULL)
        return;
    cell->colour = colour;
    va_start(args, format);
    vsnprintf(cell->text, sizeof cell->text, format, args);
    va_end(args);
}

/* Columns of the terminal that it takes: bytes that continue a character take none. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

static void measure(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        int width = width_of(table->cells[i].text), *widest = &table->widths[i % table->columns];

        *widest = width > *widest ? width : *widest;
    }
}

int human_width(FILE *to)
{
    struct winsize size;

    if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return INT_MAX;
    return size.ws_col;
}

static void hide_what_does_not_fit(struct table *table, int room)
{
    int width = -2;

    for (size_t c = 0; c < table->columns; c++)
        width += table->widths[c] + 2;
    for (size_t c = table->columns; c-- > 0 && width > room;) {
        if (table->is_optional[c]) {
            table->is_hidden[c] = true;
            width -= table->widths[c] + 2;
        }
    }
}

static void print_cell(const struct table *table, size_t i, FILE *to)
{
    const struct cell *cell = &table->cells[i];
    size_t column = i % table->columns;
    int padding = table->widths[column] - width_of(cell->text);
    bool is_last = column + 1 == table->columns; /* never optional */

    if (table->is_hidden[column])
        return;
    if (table->is_right[column])
        fprintf(to, "%*s", padding, "");
    if (cell->colour != COLOUR_NONE)
        fputs(human_colour(to, cell->colour), to);
    human_print_line(to, cell->text);
    if (cell->colour != COLOUR_NONE)
        fputs(human_colour(to, COLOUR_NONE), to);
    if (!table->is_right[column] && !is_last)
        fprintf(to, "%*s", padding, "");
    fputs(is_last ? "\n" : "  ", to);
}

void table_print(struct table *table, FILE *to)
{
    if (table == NULL)
        return;
    measure(table);
    hide_what_does_not_fit(table, human_width(to));
    for (size_t i = 0; i < table->count && table->count > table->columns; i++)
        print_cell(table, i, to);
    free(table->cells);
    free(table);
}
