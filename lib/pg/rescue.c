/* rescue.c: what becomes of a link that was left in the middle of something: as background work the
 * database is told to stop, the rest of its answer is received, a transaction rolled back. A link
 * that is at rest then is used again; any other is closed. */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

/* In all, before a link is given up. */
#define PATIENCE 5.0

bool link_is_idle(const struct link *link)
{
    return PQstatus(link->conn) == CONNECTION_OK && PQtransactionStatus(link->conn) == PQTRANS_IDLE;
}

/* ---- in the background ---- */

static double left_until(double end)
{
    double left = end - now_seconds();

    return left > 0 ? left : 0;
}

/* Lifetime: its thread's. */
struct stop {
    reeve_pg *pg;
    PGcancel *canceller;
};

static void cancel(void *arg)
{
    const struct stop *stop = arg;
    char why[256];

    PQcancel(stop->canceller, why, sizeof why);
}

static int cancel_in_thread(void *arg, void **value_out)
{
    (void)value_out;
    return reeve_offload(cancel, arg);
}

static void stop_free(struct stop *stop)
{
    if (stop && stop->canceller)
        PQfreeCancel(stop->canceller);
    free(stop);
}

static void on_stopped(reeve_future *task, void *arg)
{
    struct stop *stop = arg;

    reeve_future_result(task, NULL); /* that it failed is nobody's business */
    reeve_semaphore_release(&stop->pg->stopping);
    stop_free(stop);
}

/* NULL: it was not begun. */
static reeve_future *begin_stop(const struct link *link)
{
    struct stop *stop = calloc(1, sizeof *stop);
    reeve_future *task = NULL;

    if (stop)
        *stop = (struct stop){.pg = link->pg, .canceller = PQgetCancel(link->conn)};
    if (stop && stop->canceller &&
        reeve_spawn_background(link->pg->module, cancel_in_thread, stop, &task) == 0) {
        if (reeve_future_on_done(task, on_stopped, stop) == 0)
            return task;
        reeve_future_cancel(task); /* before it began */
        reeve_future_release(task);
    }
    stop_free(stop);
    return NULL;
}

/* PQcancel opens a connection of its own and blocks meanwhile, for ever when the database takes it
 * and says nothing. So it is done in a thread, for which nobody waits beyond his patience, and in
 * one thread at a time for each database. -1: whether the database was told is not known. */
static int stop(const struct link *link, double end)
{
    reeve_future *task;
    int result;

    if (reeve_semaphore_acquire(&link->pg->stopping, left_until(end)) == -1)
        return -1;
    task = begin_stop(link);
    if (!task) {
        reeve_semaphore_release(&link->pg->stopping);
        return -1;
    }
    result = reeve_await(task, left_until(end), NULL);
    reeve_future_release(task);
    return result;
}

/* The rest of what was asked for. */
static int receive_rest(struct link *link, double end)
{
    struct run run = {.link = link, .has_end = true, .end = end};
    PGresult *result;

    for (;;) {
        if (run_receive(&run, &result) == -1)
            return -1;
        if (!result)
            return 0;
        if (PQresultStatus(result) == PGRES_COPY_IN || PQresultStatus(result) == PGRES_COPY_OUT ||
            PQresultStatus(result) == PGRES_COPY_BOTH) {
            PQclear(result);
            return -1;
        }
        PQclear(result);
    }
}

static int rescue(void *arg, void **value_out)
{
    struct link *link = arg;
    double end = now_seconds() + PATIENCE;
    int result = 0;

    (void)value_out;
    if (PQtransactionStatus(link->conn) == PQTRANS_ACTIVE) {
        result = stop(link, end);
        if (result == 0)
            result = receive_rest(link, end);
    }
    if (result == 0 && PQstatus(link->conn) == CONNECTION_OK && !link_is_idle(link))
        run_command(link, "ROLLBACK", left_until(end), NULL);
    link->is_quiet = link_is_idle(link);
    return 0;
}

/* One that was cancelled before it began has rescued nothing. */
static void on_rescued(reeve_future *task, void *arg)
{
    struct link *link = arg;
    reeve_pool *pool = link->pg->pool;

    reeve_future_result(task, NULL);
    reeve_future_release(task);
    if (link->is_quiet && !link->is_stale)
        reeve_pool_give(pool, link);
    else
        reeve_pool_discard(pool, link);
}

/* ---- giving back ---- */

static int begin_rescue(struct link *link)
{
    reeve_future *task;

    link->is_quiet = false;
    if (reeve_spawn_background(link->pg->module, rescue, link, &task) == -1)
        return -1;
    if (reeve_future_on_done(task, on_rescued, link) == 0)
        return 0;
    reeve_future_cancel(task); /* before it began */
    reeve_future_release(task);
    return -1;
}

void link_return(struct link *link)
{
    reeve_pool *pool = link->pg->pool;
    int saved = errno;

    if (link_is_idle(link) && !link->is_stale) {
        reeve_pool_give(pool, link);
    } else {
        reeve_pool_keep(pool, link);
        if (PQstatus(link->conn) == CONNECTION_BAD || link_is_idle(link) ||
            begin_rescue(link) == -1)
            reeve_pool_discard(pool, link);
    }
    errno = saved;
}
