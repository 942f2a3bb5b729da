/* overdue.c: a class of limits for each app, and the word in the log for each that expires. */
#include "app/overdue.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/place.h"
#include "app/request.h"
#include "base/clock.h"
#include "base/holder.h"
#include "base/log.h"
#include "http/head.h"
#include "net/conn.h"
#include "runtime/coro.h"
#include "runtime/limit.h"

/* What the others of a second waited for is seldom something else. */
#define SAID_A_SECOND 10

struct overdue {
    struct limits *limits; /* classes in the order of room->apps */
    struct event *tell;    /* pending while a second is counted */
    unsigned said, unsaid; /* of this second */
};

/* ---- the log ---- */

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    struct overdue *overdue = arg;

    (void)fd, (void)what;
    if (overdue->unsaid > 0)
        log_warnx("and %u more requests were cancelled at request_timeout within the second",
                  overdue->unsaid);
    overdue->said = overdue->unsaid = 0;
}

/* Without the timer it is said, rather than counted and forgotten. */
static bool may_say(struct overdue *overdue)
{
    const struct timeval second = {.tv_sec = 1};

    if (!event_pending(overdue->tell, EV_TIMEOUT, NULL) && event_add(overdue->tell, &second) == -1)
        return true;
    if (overdue->said < SAID_A_SECOND) {
        overdue->said++;
        return true;
    }
    overdue->unsaid++;
    return false;
}

/* " in reeve_sleep at shop.so+0x1234", as much of it as is known. */
static void describe_wait(const struct reeve_environ *request, char *text, size_t size)
{
    const struct generation *generation = request->generation;
    const struct coro *coro = request->coro;
    const char *call = hold_call_name(coro_call(coro)), *module = generation->app->config->module;
    const char *slash = module ? strrchr(module, '/') : NULL;
    uint64_t place = place_in(generation, coro_site(coro),
                              (const void *)(uintptr_t)generation->descriptor->application);
    int length = snprintf(text, size, "%s%s", call ? " in " : "", call ? call : "");

    if (place && length >= 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length, " at %s+0x%llx",
                 slash ? slash + 1 : generation->app->config->name, (unsigned long long)place);
}

static void say(const struct reeve_environ *request, uint64_t now)
{
    const struct generation *generation = request->generation;
    char where[160];

    describe_wait(request, where, sizeof where);
    log_warnx("%s %llu: request %s: %s %s: cancelled after %.1f s, while it waited%s",
              generation->app->config->name, (unsigned long long)generation->number,
              request_id_text(request), http_method_str(request->head.method), request->path,
              (double)(now - conn_arrived_at(request->conn)) / (double)NS_PER_SEC, where);
}

/* ---- the limit ---- */

static void count(struct reeve_environ *request)
{
    struct board_column *column = generation_column(request->generation);

    board_add(&request->room->slot->overdue, 1);
    board_add(&request->generation->app->cell->total.overdue, 1);
    if (column)
        board_add(&column->overdue, 1);
}

static void on_expire(struct limit *limit, unsigned class, void *arg)
{
    struct reeve_environ *request =
        (struct reeve_environ *)((char *)limit - offsetof(struct reeve_environ, limit));
    struct overdue *overdue = arg;

    (void)class;
    if (may_say(overdue))
        say(request, clock_ns());
    count(request);
    request->is_overdue = true;
    coro_cancel(request->coro, ECANCELED);
}

/* Requests begin in the order of their arrival, and each runs until it waits before the next one
 * begins: so they come to a class in that order too, and each has its time to the tick. */
void overdue_watch(struct reeve_environ *request)
{
    const struct room *room = request->room;
    const struct app *app = request->generation->app;

    if (!room->overdue || request->limit.running || request->is_overdue || request->is_upgraded ||
        app->config->request_timeout == 0)
        return;
    limit_start(room->overdue->limits, &request->limit, (unsigned)(app - room->apps),
                conn_arrived_at(request->conn));
}

void overdue_forget(struct reeve_environ *request)
{
    if (request->limit.running)
        limit_stop(request->room->overdue->limits, &request->limit);
}

/* ---- opening ---- */

static bool has_limits(const struct room *room)
{
    for (unsigned i = 0; i < room->app_count; i++)
        if (room->apps[i].config->request_timeout != 0)
            return true;
    return false;
}

static struct limits *new_limits(const struct room *room, struct overdue *overdue)
{
    uint64_t *durations = calloc(room->app_count, sizeof *durations);
    struct limits *limits = NULL;

    if (!durations)
        return NULL;
    for (unsigned i = 0; i < room->app_count; i++)
        durations[i] = room->apps[i].config->request_timeout;
    limits = limits_new(room->net.base, durations, room->app_count, on_expire, overdue);
    free(durations);
    return limits;
}

int overdue_open(struct room *room)
{
    struct overdue *overdue;

    if (!has_limits(room))
        return 0;
    room->overdue = overdue = calloc(1, sizeof *overdue);
    if (!overdue)
        return -1;
    overdue->tell = event_new(room->net.base, -1, 0, on_tell, overdue);
    overdue->limits = new_limits(room, overdue);
    if (overdue->tell && overdue->limits)
        return 0;
    overdue_close(room);
    return -1;
}

void overdue_close(struct room *room)
{
    struct overdue *overdue = room->overdue;

    if (!overdue)
        return;
    on_tell(-1, 0, overdue); /* what this second has not told yet */
    if (overdue->tell)
        event_free(overdue->tell);
    if (overdue->limits)
        limits_free(overdue->limits);
    free(overdue);
    room->overdue = NULL;
}
