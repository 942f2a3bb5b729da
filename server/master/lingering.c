/* lingering.c: see lingering.h. Looks now and then; acts only while nothing else is going on. */
#include "master/lingering.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/restart.h"
#include "master/timer.h"

#define LOOK      NS_PER_SEC
#define PAUSE_MIN (10 * NS_PER_SEC)
#define PAUSE_MAX (3600 * NS_PER_SEC)

struct lingering {
    struct master *master;
    struct event look;
    uint64_t pause;      /* ns after a failure, longer each time */
    uint64_t not_before; /* clock_ns() */
};

static bool lingers(const struct worker *worker, void *arg)
{
    const struct master *master = ((const struct lingering *)arg)->master;
    uint64_t limit = master->config->unload_timeout, now = clock_ns();
    const struct hold *hold;

    LIST_FOREACH (hold, &worker->holds, link)
        if ((hold->state == HOLD_OLD || hold->state == HOLD_STUCK) && now - hold->asked_at > limit)
            return worker->state == SEAT_SERVING;
    return false;
}

static bool is_any(struct lingering *lingering)
{
    for (struct worker *w = pool_first(lingering->master->pool); w != NULL; w = pool_next(w))
        if (lingers(w, lingering))
            return true;
    return false;
}

static void on_begin(void *arg)
{
    action_say_begin(((struct lingering *)arg)->master);
}

static void on_end(enum roll_end end, const char *reason, void *arg)
{
    struct lingering *lingering = arg;

    if (end == ROLL_FAILED) {
        lingering->pause = lingering->pause > 0 ? 2 * lingering->pause : PAUSE_MIN;
        if (lingering->pause > PAUSE_MAX)
            lingering->pause = PAUSE_MAX;
    } else {
        lingering->pause = 0;
    }
    lingering->not_before = clock_ns() + lingering->pause;
    restart_end(lingering->master, restart_outcome(end), reason);
}

static void replace(struct lingering *lingering)
{
    struct master *master = lingering->master;
    const struct action_listener nobody = {.on_line = NULL};
    struct roll_order order = {
        .edition = master->edition,
        .at_once = master->config->max_unavailable,
        .concerns = lingers,
        .on_begin = on_begin,
        .on_end = on_end,
        .arg = lingering,
    };
    const char *detail;

    if (action_begin(master, ACTION_RESTART, &nobody, &detail,
                     "a replacement of workers that hold old code") != ACTION_BEGUN)
        return;
    log_info("workers that have held old code for %g s are replaced",
             (double)master->config->unload_timeout / (double)NS_PER_SEC);
    if (roll_begin(master, &order) != 0)
        action_abandon(master);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct lingering *lingering = arg;
    struct master *master = lingering->master;

    (void)fd;
    (void)what;
    timer_arm(&lingering->look, LOOK);
    if (master->config->unload_timeout > 0 && !master->is_stopping && master->roll == NULL &&
        master->action.receipt == NULL && clock_ns() >= lingering->not_before &&
        pool_has_free_slot(master->pool) && is_any(lingering))
        replace(lingering);
}

struct lingering *lingering_new(struct master *master)
{
    struct lingering *lingering = calloc(1, sizeof(*lingering));

    if (lingering == NULL)
        return NULL;
    lingering->master = master;
    evtimer_assign(&lingering->look, master->base, on_look, lingering);
    timer_arm(&lingering->look, LOOK);
    return lingering;
}

void lingering_free(struct lingering *lingering)
{
    if (lingering == NULL)
        return;
    event_del(&lingering->look);
    free(lingering);
}
