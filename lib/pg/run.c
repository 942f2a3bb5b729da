/* run.c: one statement on one link: sent, waited for, its results received. It never blocks, and
 * keeps no more of a result than it may. */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define PARAMETERS  65535 /* the protocol's most */
#define ROWS_A_TURN 256

double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- receiving ---- */

static double remaining(const struct run *run)
{
    double left = run->end - now_seconds();

    if (!run->has_end)
        return REEVE_FOREVER;
    return left > 0 ? left : 0;
}

static int too_large(const struct run *run)
{
    return error_set(run->link->pg, REEVE_PG_TOO_LARGE, EMSGSIZE,
                     "the result is larger than max_result");
}

/* libpq keeps a row in memory until it is there as a whole: as long as it is not, what has come is
 * all of this row. It is counted no more than about right, since more may come while it is read. */
static int take_input(struct run *run)
{
    PGconn *conn = run->link->conn;
    int waiting = 0;

    if (ioctl(PQsocket(conn), FIONREAD, &waiting) == -1)
        waiting = 0;
    if (!PQconsumeInput(conn))
        return error_lost(run->link);
    run->bytes = PQisBusy(conn) ? run->bytes + (size_t)waiting : 0;
    return run->bytes > run->link->pg->max_result ? too_large(run) : 0;
}

/* Until something has come, or what is to be sent can go on. */
static int wait_for_more(struct run *run, bool is_flushing)
{
    unsigned events = REEVE_READABLE | (is_flushing ? REEVE_WRITABLE : 0);
    int ready = reeve_wait_fd(PQsocket(run->link->conn), events, remaining(run));

    if (ready == -1)
        return error_of_wait(run->link->pg);
    return ready & REEVE_READABLE ? take_input(run) : 0;
}

int run_receive(struct run *run, PGresult **result_out)
{
    PGconn *conn = run->link->conn;
    int flushing;

    for (;;) {
        flushing = PQflush(conn);
        if (flushing == -1)
            return error_lost(run->link);
        if (flushing == 0 && !PQisBusy(conn))
            break;
        if (wait_for_more(run, flushing == 1) == -1)
            return -1;
    }
    *result_out = PQgetResult(conn);
    return 0;
}

/* ---- results ---- */

static int no_memory(const struct run *run)
{
    return error_set(run->link->pg, REEVE_PG_MISUSED, ENOMEM, "memory has run out");
}

static int keep_row(struct run *run, const PGresult *from)
{
    if (table_add(&run->table, from) == -1)
        return no_memory(run);
    return table_size(&run->table) > run->link->pg->max_result ? too_large(run) : 0;
}

static int give_row(struct run *run, PGresult *from)
{
    reeve_pg_result lent = {0};
    int said;

    table_empty(&run->table);
    if (keep_row(run, from) == -1)
        return -1;
    lent.table = run->table;
    lent.table.last = from;
    said = run->row(&lent, run->arg);
    if (said == 0)
        return 0;
    run->row_said = said;
    return error_set(run->link->pg, REEVE_PG_STOPPED, errno, "the application has had enough");
}

/* Rows that come without end would keep the loop from everybody else. */
static int let_others_run(struct run *run)
{
    if (++run->rows % ROWS_A_TURN != 0)
        return 0;
    return reeve_sleep(0) == -1 ? error_of_wait(run->link->pg) : 0;
}

static int take_row(struct run *run, PGresult *from)
{
    int result = 0;

    if (run->row)
        result = give_row(run, from);
    else if (run->keeps_rows)
        result = keep_row(run, from);
    if (result == 0)
        result = let_others_run(run);
    PQclear(from);
    if (result == -1)
        errno = run->link->pg->error.code;
    return result;
}

static int no_copy(struct run *run, PGresult *result)
{
    PQclear(result);
    return error_set(run->link->pg, REEVE_PG_MISUSED, EINVAL, "COPY is not for this call");
}

/* A plan does not survive every change of a table; and a proxy between may know nothing of it. The
 * statement was not begun then: what a function of the application raises comes from elsewhere. */
static bool says_outdated(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *by = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

    if (!state || !by)
        return false;
    return (strcmp(state, "0A000") == 0 && strcmp(by, "RevalidateCachedQuery") == 0) ||
           (strcmp(state, "26000") == 0 && strcmp(by, "FetchPreparedStatement") == 0);
}

/* 0: more may come; -1: it is over at once; 1: it has failed, and what follows is to be received. */
static int take_result(struct run *run, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        return take_row(run, result);
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        PQclear(run->table.last);
        run->table.last = result;
        return 0;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        return no_copy(run, result);
    default:
        error_of_result(run->link, result);
        run->is_outdated = says_outdated(result);
        PQclear(result);
        return 1;
    }
}

/* Everything up to the end of what was sent. Behind an error it may wait, and others fail meanwhile:
 * the error is kept aside. */
static int receive_all(struct run *run)
{
    reeve_pg *pg = run->link->pg;
    reeve_pg_error error;
    PGresult *result;
    int taken, failed = 0;

    for (;;) {
        if (run_receive(run, &result) == -1)
            return -1;
        if (!result)
            break;
        taken = take_result(run, result);
        if (taken == -1)
            return -1;
        if (taken == 1)
            error = pg->error;
        failed |= taken;
    }
    if (!failed)
        return 0;
    pg->error = error;
    if (PQstatus(run->link->conn) == CONNECTION_BAD) { /* it may have become so behind the error */
        pg->error.kind = REEVE_PG_LOST;
        pg->error.code = ECONNRESET;
    }
    errno = pg->error.code;
    return -1;
}

/* ---- sending ---- */

static int sent(struct run *run, int is_sent)
{
    if (!is_sent && PQstatus(run->link->conn) == CONNECTION_OK)
        return error_set(run->link->pg, REEVE_PG_MISUSED, EINVAL, PQerrorMessage(run->link->conn));
    if (!is_sent)
        return error_lost(run->link);
    run->is_sent = true;
    PQsetSingleRowMode(run->link->conn);
    return 0;
}

static int send_plain(struct run *run)
{
    return sent(run, PQsendQueryParams(run->link->conn, run->words[0], (int)run->count - 1, NULL,
                                       run->words + 1, NULL, NULL, 0));
}

static void name_of(char name[32], size_t number)
{
    snprintf(name, 32, "reeve%zu", number);
}

static int send_prepared(struct run *run, size_t number)
{
    char name[32];

    name_of(name, number);
    return sent(run, PQsendQueryPrepared(run->link->conn, name, (int)run->count - 1, run->words + 1,
                                         NULL, NULL, 0));
}

/* Nothing is executed by that. Until the database has said what became of it, nobody knows whether
 * the link has that statement. */
static int prepare(struct run *run, size_t number)
{
    struct link *link = run->link;
    char name[32];
    int result;

    name_of(name, number);
    link->is_stale = true;
    if (!PQsendPrepare(link->conn, name, run->words[0], 0, NULL))
        return error_lost(link);
    result = receive_all(run);
    if (result == 0 && prepared_keep(&link->prepared, number, run->words[0]) == -1)
        return no_memory(run);
    link->is_stale = result == -1 && link->pg->error.kind != REEVE_PG_REFUSED;
    return result;
}

static int run_prepared(struct run *run, size_t number)
{
    if (send_prepared(run, number) == -1)
        return -1;
    if (receive_all(run) == 0)
        return 0;
    if (!run->is_outdated || !link_is_idle(run->link))
        return -1;
    run->link->is_stale = true;
    return send_plain(run) == -1 ? -1 : receive_all(run);
}

static int run_any(struct run *run)
{
    struct link *link = run->link;
    size_t number = link->is_stale ? 0 : prepared_find(&link->prepared, run->words[0]);

    if (number > 0)
        return run_prepared(run, number);
    if (!link->is_stale)
        number = prepared_place(&link->prepared, run->words[0], link->pg->max_prepared);
    if (number == 0)
        return send_plain(run) == -1 ? -1 : receive_all(run);
    if (prepare(run, number) == -1)
        return -1;
    return run_prepared(run, number);
}

/* ---- a statement ---- */

int run_statement(struct run *run)
{
    reeve_pg *pg = run->link->pg;
    int result;

    if (run->count == 0 || !run->words[0] || run->count - 1 > PARAMETERS)
        return error_set(pg, REEVE_PG_MISUSED, EINVAL, "no statement, or too many parameters");
    run->has_end = pg->query_limit >= 0;
    run->end = now_seconds() + pg->query_limit;
    result = run_any(run);
    if (result == -1) {
        table_free(&run->table);
        errno = pg->error.code;
    }
    return result;
}

int run_command(struct link *link, const char *command, double seconds, PGresult **last_out)
{
    struct run run = {.link = link,
                      .words = &command,
                      .count = 1,
                      .has_end = seconds >= 0,
                      .end = now_seconds() + seconds};
    int result = send_plain(&run) == -1 ? -1 : receive_all(&run);

    if (result == 0 && last_out) {
        *last_out = run.table.last;
        run.table.last = NULL;
    }
    table_free(&run.table);
    if (result == -1)
        errno = link->pg->error.code;
    return result;
}
