/* reeve/pool.h: a bounded number of things that are dear to make and can be used again, one user at
 * a time: connections to a database, say. Each worker has pools of its own, and so has each build;
 * while one replaces another, both have theirs open, so count on twice the size.
 *
 *     static int handler(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         void *connection;
 *
 *         if (reeve_pool_take(pool, 1.0, &connection) == -1)
 *             return unavailable(environ, start_response);
 *         ... what waits meanwhile lets others run, and they take others
 *         reeve_pool_give(pool, connection);      (or reeve_pool_discard: it is broken)
 *
 * Who comes first is served first. Something is opened when somebody waits for it and there is room
 * left, as background work: whoever waits need not wait for that one, and when he is cancelled it is
 * the next one's.
 *
 * A service that is down is not hammered. After an `open` that failed there is a pause, of a tenth
 * of a second at first and of 5 s at last, and then one try, until one succeeds. When nothing is
 * open nobody waits in vain for the end of that pause: takers fail at once, with the error of that
 * open.
 *
 * The first 8 pools of an app are shown, added up by name over its workers and builds, in its report
 * and in /metrics. All of it since 1.2. */
#ifndef REEVE_POOL_H
#define REEVE_POOL_H

#include <reeve/app.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_pool reeve_pool;

typedef struct reeve_pool_options {
    /* Tells the app's pools apart, across its builds: letters, digits, '-', '_', up to 31. Copied.
     */
    const char *name;
    size_t size;        /* how many at most, taken ones included; up to 1024; 0: 10 */
    size_t min_idle;    /* so many stay open, however long they are not used */
    size_t max_waiting; /* further takers fail at once; 0: 1000 */
    /* Seconds. 0 is the default, and a negative number no limit. */
    double open_limit;  /* for open and for check; 10 */
    double idle_limit;  /* what is not used for so long is closed; 60 */
    double lifetime;    /* what is older is not used again; none */
    double check_after; /* what was not used for as long is checked before it is again; always */

    /* Makes one: 0 with it in *item_out, not NULL; -1 with errno. Runs as background work, several
     * at a time. [suspends] is allowed. */
    int (*open)(void *state, void **item_out);
    /* Closes one. Must be quick: waiting fails with EDEADLK here and there. May be NULL. */
    void (*close)(void *state, void *item);
    /* Is one that nobody has used for `idle` seconds still in order? 0, or -1: it is closed, and
     * another one taken. Runs as the taker's code. [suspends] is allowed. May be NULL. */
    int (*check)(void *state, void *item, double idle);
    /* The pool has gone, nothing of it will be called any more: the time to free `state`. May be
     * NULL. */
    void (*gone)(void *state);
    void *state; /* given to all of them */
} reeve_pool_options;

/* Makes an empty pool, in init say. The options are copied. NULL: ENOMEM, or EINVAL: the name, a
 * size, no open. Does not suspend. */
REEVE_API reeve_pool *reeve_pool_new(reeve_module *module, const reeve_pool_options *options);

/* Closes what is not in use, cancels what is being opened, and fails those who wait with ECANCELED;
 * what is in use is closed when it is given back. To be called in fini, or in an init that failed.
 * NULL is nothing. Does not suspend. */
REEVE_API void reeve_pool_free(reeve_pool *pool);

/* Takes one that nobody uses, or waits for one. It goes with the scope it was taken in at the
 * latest: one that was not given back by then is closed, with a warning in the log that says where
 * it was taken, since nobody knows what state it is in. 0 or -1:
 *   ETIMEDOUT  none became free within `seconds` (0: none is free now)
 *   EAGAIN     max_waiting wait already
 *   ...        nothing is open, and the error of the last open
 *   ECANCELED  the request or task was cancelled; or the build's background work has ended, so that
 *              nothing is opened any more
 * [suspends] */
#define reeve_pool_take(pool, seconds, item_out) \
    reeve_pool_take_at(pool, seconds, item_out, __FILE__, __LINE__)
REEVE_API int reeve_pool_take_at(reeve_pool *pool, double seconds, void **item_out,
                                 const char *file, int line);

/* It does not go with that scope any more: whoever keeps it gives or discards it, whenever, from
 * another task or a callback too. */
REEVE_API void reeve_pool_keep(reeve_pool *pool, void *item);

/* Gives back what was taken, in order, for others: once, since a second time it would be taken from
 * whoever has it by then. Does not suspend. */
REEVE_API void reeve_pool_give(reeve_pool *pool, void *item);
/* Gives back what is broken: it is closed, and its place is free. Does not suspend. */
REEVE_API void reeve_pool_discard(reeve_pool *pool, void *item);

/* How it is at the moment, in this worker. */
typedef struct reeve_pool_state {
    size_t idle;    /* open, not used */
    size_t taken;   /* in use */
    size_t opening; /* being opened */
    size_t waiting; /* takers that wait */
    int error;      /* of the last open, an errno value; 0: it succeeded, or there was none */
} reeve_pool_state;
REEVE_API void reeve_pool_look(const reeve_pool *pool, reeve_pool_state *state_out);

#ifdef __cplusplus
}
#endif
#endif
