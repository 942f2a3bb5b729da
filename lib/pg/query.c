/* query.c: statements on a connection of the caller's, or on any. */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reeve_pg_connection {
    reeve_pg *pg;
    struct link *link; /* NULL: nothing is left of it */
    reeve_scope_hook *hook;
    bool is_busy; /* with a statement */
};

/* ---- results ---- */

/* After run_statement has succeeded. */
static int pass_on(struct run *run, reeve_pg_result **result_out)
{
    if (!result_out) {
        table_free(&run->table);
        return 0;
    }
    *result_out = result_new(&run->table);
    return *result_out ? 0
                       : error_set(run->link->pg, REEVE_PG_MISUSED, ENOMEM, "memory has run out");
}

/* What the call returns: row's own word, when that was what ended it. */
static int outcome(const struct run *run, int result)
{
    return result == -1 && run->row_said ? run->row_said : result;
}

/* ---- on any connection ---- */

static int take_link(reeve_pg *pg, struct link **link_out)
{
    void *item;

    *link_out = NULL;
    if (reeve_pool_take(pg->pool, pg->wait_limit, &item) == -1)
        return error_of_take(pg);
    *link_out = item;
    return 0;
}

static int run_once(reeve_pg *pg, struct run *run, reeve_pg_result **result_out)
{
    int result, saved;

    if (take_link(pg, &run->link) == -1)
        return -1;
    result = run_statement(run);
    if (result == 0)
        result = pass_on(run, result_out);
    saved = errno;
    link_return(run->link);
    errno = saved;
    return result;
}

/* A statement that was not sent, since the connection had broken by then, is sent on another. */
static int run_on_any(reeve_pg *pg, struct run *run, reeve_pg_result **result_out)
{
    int result = run_once(pg, run, result_out);

    if (result == -1 && pg->error.kind == REEVE_PG_LOST && !run->is_sent)
        result = run_once(pg, run, result_out);
    return outcome(run, result);
}

int reeve_pg_query_words(reeve_pg *pg, reeve_pg_result **result_out, const char *const *words,
                         size_t count)
{
    struct run run = {.words = words, .count = count, .keeps_rows = result_out != NULL};

    if (result_out)
        *result_out = NULL;
    return run_on_any(pg, &run, result_out);
}

int reeve_pg_each_words(reeve_pg *pg, reeve_pg_row *row, void *arg, const char *const *words,
                        size_t count)
{
    struct run run = {.words = words, .count = count, .row = row, .arg = arg};

    return run_on_any(pg, &run, NULL);
}

/* ---- on the caller's ---- */

static void on_scope_end(void *arg)
{
    reeve_pg_connection *connection = arg;

    connection->hook = NULL; /* it was called */
    reeve_pg_give(connection);
}

int reeve_pg_take(reeve_pg *pg, reeve_pg_connection **connection_out)
{
    reeve_pg_connection *connection = calloc(1, sizeof *connection);

    *connection_out = NULL;
    if (!connection)
        return error_set(pg, REEVE_PG_MISUSED, ENOMEM, "memory has run out");
    connection->pg = pg;
    if (take_link(pg, &connection->link) == 0) {
        /* After the pool's hook, so that it is called before it. */
        connection->hook = reeve_scope_on_end(on_scope_end, connection);
        if (connection->hook) {
            *connection_out = connection;
            return 0;
        }
        link_return(connection->link);
        error_set(pg, REEVE_PG_MISUSED, ENOMEM, "memory has run out");
    }
    free(connection);
    errno = pg->error.code;
    return -1;
}

void reeve_pg_give(reeve_pg_connection *connection)
{
    int saved = errno;

    if (!connection)
        return;
    if (connection->link)
        link_return(connection->link);
    if (connection->hook)
        reeve_scope_forget(connection->hook);
    free(connection);
    errno = saved;
}

/* What a statement that was broken off has left is not for the application. */
static void let_go(reeve_pg_connection *connection)
{
    if (connection->pg->error.kind == REEVE_PG_REFUSED ||
        (connection->pg->error.kind == REEVE_PG_MISUSED &&
         PQtransactionStatus(connection->link->conn) != PQTRANS_ACTIVE))
        return;
    link_return(connection->link);
    connection->link = NULL;
}

static int begin_on(reeve_pg_connection *connection)
{
    if (!connection->link)
        return error_set(connection->pg, REEVE_PG_MISUSED, EINVAL,
                         "nothing is left of the connection");
    if (connection->is_busy)
        return error_set(connection->pg, REEVE_PG_MISUSED, EINVAL,
                         "another statement runs on the connection");
    connection->is_busy = true;
    return 0;
}

static int run_on(reeve_pg_connection *connection, struct run *run, reeve_pg_result **result_out)
{
    int result, saved;

    if (begin_on(connection) == -1)
        return -1;
    run->link = connection->link;
    result = run_statement(run);
    connection->is_busy = false;
    if (result == 0)
        return pass_on(run, result_out);
    saved = errno;
    let_go(connection);
    errno = saved;
    return outcome(run, result);
}

int reeve_pg_query_words_on(reeve_pg_connection *connection, reeve_pg_result **result_out,
                            const char *const *words, size_t count)
{
    struct run run = {.words = words, .count = count, .keeps_rows = result_out != NULL};

    if (result_out)
        *result_out = NULL;
    return run_on(connection, &run, result_out);
}

int reeve_pg_each_words_on(reeve_pg_connection *connection, reeve_pg_row *row, void *arg,
                           const char *const *words, size_t count)
{
    struct run run = {.words = words, .count = count, .row = row, .arg = arg};

    return run_on(connection, &run, NULL);
}

/* ---- transactions ---- */

/* *tag_out says what was done, which need not be what was said. */
static int command(reeve_pg_connection *connection, const char *text, char tag_out[32])
{
    PGresult *answer;
    int result, saved;

    if (begin_on(connection) == -1)
        return -1;
    result = run_command(connection->link, text, connection->pg->query_limit, &answer);
    connection->is_busy = false;
    if (result == 0) {
        snprintf(tag_out, 32, "%s", answer ? PQcmdStatus(answer) : "");
        PQclear(answer);
        return 0;
    }
    saved = errno;
    let_go(connection);
    errno = saved;
    return -1;
}

int reeve_pg_begin(reeve_pg_connection *connection)
{
    char tag[32];

    return command(connection, "BEGIN", tag);
}

int reeve_pg_commit(reeve_pg_connection *connection)
{
    char tag[32];

    if (command(connection, "COMMIT", tag) == -1)
        return -1;
    if (strcmp(tag, "COMMIT") == 0)
        return 0;
    return error_set(connection->pg, REEVE_PG_REFUSED, EREMOTEIO,
                     "a statement had failed: the transaction was rolled back");
}

int reeve_pg_rollback(reeve_pg_connection *connection)
{
    char tag[32];

    return command(connection, "ROLLBACK", tag);
}
