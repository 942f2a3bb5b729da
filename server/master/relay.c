/* relay.c: who takes a connection that is handed on: of the workers that serve, the one that lives
 * and has the fewest. Nothing waits here: the message is queued for it, and dies with it should it
 * die first. */
#include "master/relay.h"

#include <sys/resource.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/identity.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/rest.h"
#include "master/roll.h"

/* Descriptors that the master keeps for its own work: forks, the spool, the control API. */
#define RESERVE 64

/* What counts against a worker more than its connections do. */
#define IS_STALE   (1ull << 62)
#define IS_BEHIND  (1ull << 61) /* has not even read what was sent to it */
#define IS_FULL    (1ull << 60) /* at max_connections: an idle one more is no harm, but not wanted */
#define IMPOSSIBLE UINT64_MAX

/* ---- whom to ask ---- */

static uint64_t burden(const struct board *board, const struct worker *worker)
{
    unsigned most = worker->edition->config->max_connections;
    uint64_t connections = board_connections(board, worker->id);

    if (worker->channel == NULL)
        return IMPOSSIBLE;
    if (pool_silence(worker->pool, worker->id) > POOL_SILENCE_MAX)
        connections |= IS_STALE;
    if (!channel_is_flushed(worker->channel))
        connections |= IS_BEHIND;
    if (most != 0 && connections >= most)
        connections |= IS_FULL;
    return connections;
}

/* Who is sought. */
struct search {
    enum seat_state state;
    const struct worker *except[2];
    const char *listener; /* its identity; NULL: any */
};

static bool is_sought(const struct search *search, const struct worker *worker)
{
    return worker->state == search->state && worker != search->except[0] &&
           worker != search->except[1] &&
           (search->listener == NULL ||
            identity_find(worker->edition->config, search->listener) != -1);
}

/* The one of those to whom it is the least burden; NULL: there is none. */
static struct worker *find(const struct master *master, const struct search *search)
{
    struct worker *best = NULL;
    uint64_t least = IMPOSSIBLE, its;

    for (struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w)) {
        if (!is_sought(search, w))
            continue;
        its = burden(master->board, w);
        if (its < least) {
            least = its;
            best = w;
        }
    }
    return best;
}

static bool pass_to(const struct master *master, struct worker *worker,
                    const struct message *message)
{
    if (worker == NULL || pool_send(worker, message) == -1)
        return false;
    board_add(&board_seat(master->board, worker->id)->handed_in, 1);
    return true;
}

/* A worker that has just died looks idle until its end is read: another is tried. */
static bool pass_to_one(const struct master *master, struct search search,
                        const struct message *message)
{
    struct worker *first = find(master, &search);

    if (pass_to(master, first, message))
        return true;
    search.except[1] = first;
    return first != NULL && pass_to(master, find(master, &search), message);
}

/* ---- passing on ---- */

/* The descriptor is one of the last. */
static bool is_of_reserve(int fd)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           (rlim_t)fd + RESERVE >= limit.rlim_cur;
}

static void complain(struct worker *from, const char *why)
{
    char name[POOL_NAME_MAX];

    if (from->has_lost_connections)
        return;
    from->has_lost_connections = true;
    log_warnx("idle connections of %s are closed instead of handed on: %s", pool_name(from, name),
              why);
}

/* Nobody serves that listener any more, which the sender could not know. Whoever drains can serve
 * once more what has been asked meanwhile: best somebody else, since the sender may be about to
 * leave. */
static void pass_back(const struct master *master, struct worker *from,
                      const struct message *message)
{
    struct message kept = *message;

    kept.value = CONNECTION_KEEP;
    if (!pass_to_one(master, (struct search){SEAT_DRAINING, {from, NULL}, kept.text}, &kept) &&
        !pass_to(master, from, &kept))
        complain(from, "no other worker can take them");
}

void relay_pass(struct master *master, struct worker *from, const struct message *message)
{
    board_add(&board_seat(master->board, from->id)->handed_out, 1);
    if (message->fd == NULL || is_of_reserve(*message->fd)) {
        complain(from, "the master has run out of descriptors");
        return;
    }
    if (pass_to_one(master, (struct search){SEAT_SERVING, {from, NULL}, message->text}, message))
        return;
    pass_back(master, from, message);
}

/* ---- telling ---- */

/* Nobody accepts any more when the server stops, or is drained. */
static bool is_anybody_left(const struct master *master, const struct worker *leaving)
{
    return !master->is_stopping && !rest_is_on(master) &&
           find(master, &(struct search){SEAT_SERVING, {leaving, NULL}, NULL}) != NULL;
}

void relay_drain(const struct master *master, struct worker *leaving, uint64_t timeout)
{
    char identities[CHANNEL_TEXT_MAX + 1];
    struct message drain = {.type = MESSAGE_DRAIN, .value = timeout};

    if (is_anybody_left(master, leaving)) {
        identity_write_all(roll_edition(master)->config, identities, sizeof(identities));
        drain.generation = DRAIN_HAND_ON;
        drain.text = identities;
    } else if (rest_is_on(master)) { /* nobody takes them: who asks nothing for a second is cut */
        drain.generation = DRAIN_HAND_ON;
    }
    pool_send(leaving, &drain);
}

void relay_offer(const struct master *master, struct worker *leaving)
{
    uint64_t passed = clock_ns() - leaving->drained_at;
    uint64_t timeout = leaving->drain_limit;

    if (leaving->state != SEAT_DRAINING || leaving->drained_at == 0 ||
        (!is_anybody_left(master, leaving) && !rest_is_on(master)))
        return;
    relay_drain(master, leaving, passed < timeout ? timeout - passed : 0);
}

void relay_on_ready(const struct master *master)
{
    for (struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w))
        relay_offer(master, w);
}
