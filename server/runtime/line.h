/* line.h: coroutines that stand in line for something, first come, first served.
 *
 * What there is to have is given to the first in line there and then, before it runs again: nobody
 * who comes later can take it first. It does not know what is given. */
#ifndef RUNTIME_LINE_H
#define RUNTIME_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct coro;

/* One place, on the stack of whoever stands there. */
struct line_place {
    TAILQ_ENTRY(line_place) entry;
    struct coro *coro;
    void *item; /* what is passed along, if anything: the users' own */
    int error;  /* what it was sent away with; 0: it was given its turn */
    bool is_in_line;
};

TAILQ_HEAD(line, line_place);

/* Stands in line until it is given its turn, at most `ns` (CORO_FOREVER; 0: not at all). 0, or the
 * reason why not: ETIMEDOUT, what coro_cancel was given, what line_dismiss was given. Once the turn
 * was given it counts, whatever has come since; and the line is not touched any more. */
int line_wait(struct line *line, struct line_place *place, const char *what, uint64_t ns);

/* The same, until its turn has come, whatever happens. */
void line_wait_resolutely(struct line *line, struct line_place *place, const char *what);

/* Gives the first one its turn: it goes on soon. NULL: nobody is there. */
struct line_place *line_give(struct line *line);

/* Sends everyone away with `error`. */
void line_dismiss(struct line *line, int error);

#endif
