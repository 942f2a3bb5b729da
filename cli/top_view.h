/* top_view.h: `reevectl top` on a terminal of any size, by ncurses. All text may be the server's, and
 * so anybody's: nothing of it reaches the terminal but characters that print. */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "top_model.h"

enum top_table { TOP_WORKERS, TOP_APPS, TOP_REQUESTS, TOP_TABLES };

/* What the keys have changed. */
struct top_view {
    enum top_table focus; /* gets the room that is left */
    size_t skip[TOP_TABLES];
    enum top_worker_key by_worker;
    enum top_app_key by_app;
    double interval; /* seconds */
    bool is_paused, is_helping;
    char trouble[256]; /* why there are no new figures; "" */
    uint64_t now;      /* clock_ns() */
};

/* ---- top_terminal.c ---- */

/* The terminal is ours from now on: NULL, or why it cannot be. */
const char *top_terminal_open(void);
/* As it was before; twice is fine. */
void top_terminal_close(void);

/* ---- top_view.c ---- */

void top_view_draw(const struct top_model *model, struct top_view *view);

#endif
