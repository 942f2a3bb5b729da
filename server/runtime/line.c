/* line.c: see line.h. */
#include "runtime/line.h"

#include "runtime/coro.h"

static void join(struct line *line, struct line_place *place)
{
    place->coro = coro_current();
    place->is_in_line = true;
    TAILQ_INSERT_TAIL(line, place, entry);
}

static void leave(struct line *line, struct line_place *place)
{
    TAILQ_REMOVE(line, place, entry);
    place->is_in_line = false;
}

int line_wait(struct line *line, struct line_place *place, const char *what, uint64_t ns)
{
    int reason;

    join(line, place);
    reason = coro_wait_for(what, ns);
    if (!place->is_in_line)
        return place->error;
    leave(line, place);
    return reason;
}

void line_wait_resolutely(struct line *line, struct line_place *place, const char *what)
{
    join(line, place);
    while (place->is_in_line)
        coro_wait_resolutely(what);
}

/* One that was woken already, by its limit or a cancellation, finds the turn all the same. */
static void call_up(struct line *line, struct line_place *place, int error)
{
    leave(line, place);
    place->error = error;
    coro_wake(place->coro, error);
}

struct line_place *line_give(struct line *line)
{
    struct line_place *first = TAILQ_FIRST(line);

    if (first)
        call_up(line, first, 0);
    return first;
}

void line_dismiss(struct line *line, int error)
{
    struct line_place *first;

    while ((first = TAILQ_FIRST(line)))
        call_up(line, first, error);
}
