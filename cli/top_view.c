/* top_view.c: see top_view.h. Everything is drawn anew each time; ncurses finds out what of it
 * changes on the terminal. What does not fit is left out, never wrapped. */
#include "top_view.h"

#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <curses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "top_cells.h"

#define GAP 1 /* between columns */

/* ---- text ---- */

static chtype attribute_of(enum colour colour)
{
    switch (colour) {
    case COLOUR_NONE:
        return A_NORMAL;
    case COLOUR_BOLD:
        return A_BOLD;
    case COLOUR_DIM:
        return A_DIM;
    default: /* without colours, pairs that were never made would show nothing */
        return A_BOLD | (COLOR_PAIRS > COLOUR_YELLOW ? (chtype)COLOR_PAIR((int)colour) : 0);
    }
}

/* As many characters as fit into `width` columns; what does not print becomes '?'. Their width. */
static int convert(const char *text, int width, wchar_t *to, size_t room)
{
    mbstate_t state = {0};
    size_t left = strlen(text), count = 0;
    int used = 0;

    while (left > 0 && count + 1 < room) {
        wchar_t c;
        size_t length = mbrtowc(&c, text, left, &state);
        bool is_wrong = length == (size_t)-1 || length == (size_t)-2 || length == 0;

        if (is_wrong) {
            memset(&state, 0, sizeof state);
            length = 1;
        }
        if (is_wrong || !iswprint((wint_t)c) || wcwidth(c) < 1)
            c = L'?';
        if (used + wcwidth(c) > width)
            break;
        used += wcwidth(c);
        to[count++] = c;
        text += length;
        left -= length;
    }
    to[count] = L'\0';
    return used;
}

/* Within `width` columns from x on, at its left or right end. */
static int put(int y, int x, int width, bool is_right, chtype attribute, const char *text)
{
    wchar_t wide[512];
    int used;

    if (y < 0 || y >= LINES || x < 0 || x >= COLS)
        return 0;
    if (width > COLS - x)
        width = COLS - x;
    used = convert(text, width, wide, sizeof wide / sizeof wide[0]);
    attron((int)attribute);
    mvaddwstr(y, is_right ? x + width - used : x, wide);
    attroff((int)attribute);
    return used;
}

/* ---- the head ---- */

/* A line of parts: one that does not fit is left out, with all behind it. */
struct line {
    int y, x;
    bool is_full;
};

static void add(struct line *line, enum colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(struct line *line, enum colour colour, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (line->is_full || (line->x > 0 && line->x + (int)strlen(text) > COLS)) {
        line->is_full = true;
        return;
    }
    line->x += put(line->y, line->x, COLS, false, attribute_of(colour), text);
}

static void draw_title(const struct top_model *model, const struct top_view *view, int y)
{
    struct line line = {.y = y};
    char age[32], hint[64];

    add(&line, COLOUR_BOLD, "reeve %s", model->version);
    add(&line, COLOUR_NONE, "  pid %.0f", model->pid);
    add(&line, COLOUR_NONE, "  up %s", human_age(model->uptime, age, sizeof age));
    snprintf(hint, sizeof hint, "%severy %g s  ? help  q quit", view->is_paused ? "PAUSED  " : "",
             view->interval);
    if (line.x + 2 + (int)strlen(hint) <= COLS)
        put(y, 0, COLS, true, view->is_paused ? A_REVERSE : A_DIM, hint);
    else if (view->is_paused && line.x + 8 <= COLS)
        put(y, 0, COLS, true, A_REVERSE, "PAUSED");
}

static void draw_requests_line(const struct top_model *model, int y)
{
    struct line line = {.y = y};
    char a[32], b[32];

    add(&line, COLOUR_DIM, "requests     ");
    add(&line, COLOUR_BOLD, "%s/s", top_rate(model->rate, a, sizeof a));
    add(&line, COLOUR_NONE, ", %s active", human_count(model->active, a, sizeof a));
    add(&line, model->errors > 0 ? COLOUR_RED : COLOUR_NONE, ", errors %s/s",
        top_rate(model->errors, a, sizeof a));
    add(&line, COLOUR_NONE, ", p50 %s, p99 %s%s", top_seconds(model->p50, a, sizeof a),
        top_seconds(model->p99, b, sizeof b), model->is_recent ? "" : " since the start");
}

static void draw_workers_line(const struct top_model *model, int y)
{
    struct line line = {.y = y};
    char a[32], b[32];

    add(&line, COLOUR_DIM, "workers      ");
    add(&line, model->serving < model->wanted ? COLOUR_YELLOW : COLOUR_NONE, "%.0f of %.0f serve",
        model->serving, model->wanted);
    if (model->starting > 0)
        add(&line, COLOUR_YELLOW, ", %.0f starting", model->starting);
    if (model->draining > 0)
        add(&line, COLOUR_YELLOW, ", %.0f draining", model->draining);
    add(&line, COLOUR_NONE, "; connections %s active, %s idle",
        human_count(model->connections, a, sizeof a), human_count(model->idle, b, sizeof b));
    add(&line, COLOUR_NONE, ", %s new/s", top_rate(model->accepted, a, sizeof a));
}

/* What is wrong, if anything is. The line below it. */
static int draw_alerts(const struct top_model *model, const struct top_view *view, int y)
{
    if (view->trouble[0] != '\0')
        put(y++, 0, COLS, false, A_REVERSE | attribute_of(COLOUR_RED), view->trouble);
    for (size_t i = 0; i < model->alert_count && (LINES >= 20 || i == 0); i++)
        put(y++, 0, COLS, false,
            attribute_of(model->alerts[i].is_grave ? COLOUR_RED : COLOUR_YELLOW),
            model->alerts[i].text);
    return y;
}

static int draw_head(const struct top_model *model, const struct top_view *view)
{
    int y = 0;

    if (model->version[0] == '\0') {
        put(y++, 0, COLS, false, A_BOLD, "reeve");
        return draw_alerts(model, view, y);
    }
    draw_title(model, view, y++);
    draw_requests_line(model, y++);
    draw_workers_line(model, y++);
    return draw_alerts(model, view, y);
}

/* ---- tables ---- */

/* The columns that there is room for; 0: left out. */
static void measure(const struct top_columns *columns, int widths[TOP_COLUMNS])
{
    int sum = -GAP, growth = 0;

    for (size_t c = 0; c < columns->count; c++) {
        widths[c] = columns->columns[c].width;
        growth += columns->columns[c].widest - widths[c];
        sum += widths[c] + GAP;
    }
    for (int rank = 9; rank > 0; rank--) {
        for (size_t c = 0; c < columns->count; c++) {
            if (columns->columns[c].rank != rank || sum + (rank >= TOP_LUXURY ? growth : 0) <= COLS)
                continue;
            sum -= widths[c] + GAP;
            widths[c] = 0;
        }
    }
    for (size_t c = 0; c < columns->count && sum < COLS; c++) {
        int more = columns->columns[c].widest - widths[c];

        if (widths[c] == 0 || more == 0)
            continue;
        more = more < COLS - sum ? more : COLS - sum;
        widths[c] += more;
        sum += more;
    }
}

static void draw_heading(const struct top_view *view, enum top_table table, const int *widths,
                         int y)
{
    const struct top_columns *columns = top_columns(table);
    chtype attribute = table == view->focus ? A_REVERSE : A_UNDERLINE;
    int x = 0;

    attron((int)attribute);
    mvhline(y, 0, ' ' | attribute, COLS);
    attroff((int)attribute);
    for (size_t c = 0; c < columns->count; c++) {
        const struct top_column *column = &columns->columns[c];
        bool is_key = column->key >= 0 && column->key == top_key(view, table);
        char title[24];

        if (widths[c] == 0)
            continue;
        snprintf(title, sizeof title, "%s%s", is_key ? "*" : "", column->title);
        put(y, x, widths[c], column->is_right, attribute, title);
        x += widths[c] + GAP;
    }
}

static void draw_row(const struct top_model *model, const struct top_view *view,
                     enum top_table table, size_t row, const int *widths, int y)
{
    const struct top_columns *columns = top_columns(table);
    int x = 0;

    for (size_t c = 0; c < columns->count; c++) {
        struct top_cell cell;

        if (widths[c] == 0)
            continue;
        top_cell(model, view, table, row, c, &cell);
        put(y, x, widths[c], columns->columns[c].is_right, attribute_of(cell.colour), cell.text);
        x += widths[c] + GAP;
    }
}

/* The heading and height - 1 rows; the last tells how many more there are. */
static void draw_table(const struct top_model *model, struct top_view *view, enum top_table table,
                       int y, int height)
{
    size_t rows = top_rows(model, table), room = (size_t)(height - 1), *skip = &view->skip[table];
    int widths[TOP_COLUMNS];
    char more[48];

    measure(top_columns(table), widths);
    draw_heading(view, table, widths, y);
    if (*skip + room > rows)
        *skip = rows > room ? rows - room : 0;
    for (size_t i = 0; i < room && *skip + i < rows; i++) {
        if (i + 1 == room && room > 1 && *skip + room < rows) {
            snprintf(more, sizeof more, "  %zu more", rows - *skip - i);
            put(y + height - 1, 0, COLS, false, A_DIM, more);
            return;
        }
        draw_row(model, view, table, *skip + i, widths, y + 1 + (int)i);
    }
}

/* How many lines each table gets: all a few, the one in focus what is left, then the others. */
static void share(const struct top_model *model, const struct top_view *view, int room,
                  int heights[TOP_TABLES])
{
    enum top_table order[TOP_TABLES] = {view->focus};
    int wants[TOP_TABLES], count = 1;

    for (int table = 0; table < TOP_TABLES; table++) {
        size_t rows = top_rows(model, (enum top_table)table);

        if (table != (int)view->focus)
            order[count++] = (enum top_table)table;
        wants[table] = rows > 10000 ? 10000 : (int)rows + 1;
        heights[table] = 0;
        if (rows == 0 && table == TOP_REQUESTS && view->focus != TOP_REQUESTS)
            wants[table] = 0;
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TOP_TABLES; i++) {
            int want = wants[order[i]] - heights[order[i]], most = round == 0 ? 4 : room;

            want = want < most ? want : most;
            want = want < room ? want : room;
            if (heights[order[i]] + want < 2 && wants[order[i]] > 1)
                continue; /* a heading alone says nothing */
            heights[order[i]] += want;
            room -= want;
        }
    }
}

static void draw_tables(const struct top_model *model, struct top_view *view, int y)
{
    int heights[TOP_TABLES];

    if (y >= LINES)
        return;
    share(model, view, LINES - y, heights);
    for (int table = 0; table < TOP_TABLES; table++) {
        if (heights[table] > 0)
            draw_table(model, view, (enum top_table)table, y, heights[table]);
        y += heights[table];
    }
}

/* ---- the whole ---- */

static void draw_help(int y)
{
    static const char *const lines[] = {
        "q            quit",
        "w a r, Tab   workers, apps or requests get the room",
        "s            sort that table by the next column (marked *)",
        "Up Down      look at its other rows",
        "p            pause, and go on",
        "+ -          look less or more often",
        "?            this page, and back",
        "",
        "Figures are of the time between two looks. ERR/S: answers 5xx",
        "or none. LAG: how late the worker's loop came to its events,",
        "in 99 of 100 cases at most. IN: what the request waits in.",
        "REQ/S is of requests that began. LIVE: long-lived connections,",
        "chats and WebSockets; MSG/S: what they received and sent.",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        put(y + 1 + (int)i, 2, COLS, false, A_NORMAL, lines[i]);
}

void top_view_draw(const struct top_model *model, struct top_view *view)
{
    int y;

    erase();
    y = draw_head(model, view);
    if (view->is_helping)
        draw_help(y);
    else if (model->version[0] != '\0')
        draw_tables(model, view, y);
    refresh();
}
