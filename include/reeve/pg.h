/* reeve/pg.h: PostgreSQL for applications: a pool of connections in each worker, queries that
 * suspend. A library of its own, which an app that wants it links:
 *     cc $(pkg-config --cflags reeve-pg) -o app.so app.c $(pkg-config --libs reeve-pg)
 *
 *     static reeve_pg *db;           made in init, freed in fini:
 *         db = reeve_pg_open(module, "host=/run/postgresql dbname=notes", NULL);
 *         reeve_pg_close(db);
 *
 *     reeve_pg_result *found;
 *
 *     if (reeve_pg_query(db, &found, "SELECT text FROM notes WHERE id = $1", id) == -1)
 *         return fail(reeve_pg_last_error(db));
 *     for (size_t i = 0; i < reeve_pg_rows(found); i++)
 *         ... reeve_pg_text(found, i, 0)
 *
 * Parameters are strings, and NULL; what type they have is said by the statement ("$1::int"). What
 * comes from outside belongs there, never into the statement's text: texts are prepared once a
 * connection and kept. What a statement sets in its session (SET, LISTEN, temporary tables, advisory
 * locks) is there for the connection's next user too.
 *
 * A query that is waited for no more, since its time is over or the request was cancelled, is
 * stopped in the database, and its connection used again when it has become quiet within 5 s, or
 * closed; whoever waited does not wait for that. To stop one takes one of the worker's threads for
 * a moment (offload_threads), of all connections to a database only one at a time: also when the
 * database takes such orders and never answers. Connections that broke are replaced. A statement is
 * never sent twice, unless it is certain that nothing of it was executed.
 *
 * Calls marked [suspends] fail as in reeve/async.h, and else with these; reeve_pg_last_error says
 * more:
 *   EAGAIN       no connection became free within wait_limit, or max_waiting wait already
 *   ECONN..., ENOENT, EACCES, EHOSTUNREACH, EIO: there is no connection, and none can be made now
 *   ETIMEDOUT    query_limit has passed; the statement was stopped, and so it may or may not have
 *                been executed
 *   ECONNRESET   the connection broke under the statement, which may or may not have been executed
 *   EREMOTEIO    the database refused the statement, or it failed
 *   EMSGSIZE     the result is larger than max_result; the statement was stopped
 *   EINVAL       too many parameters, COPY, or a connection of which nothing is left
 *
 * libpq.so.5 is shared by all builds that use it; it has no state of theirs. TLS to the database
 * wants coroutine stacks of 128 KiB or more (the default is 256). All of it since 1.2. */
#ifndef REEVE_PG_H
#define REEVE_PG_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the database ---- */

/* One database, with a pool of connections to it (reeve/pool.h). */
typedef struct reeve_pg reeve_pg;

/* What is 0 has its default; limits are in seconds, and a negative one is none. */
typedef struct reeve_pg_options {
    const char *name;     /* of the pool, in reports; "pg" */
    size_t size;          /* connections at most, in each worker and for each build; 10 */
    size_t min_idle;      /* so many are kept, however long they are not used; 0 */
    size_t max_waiting;   /* for a connection; 1000 */
    double wait_limit;    /* for a connection; 5 */
    double connect_limit; /* 10 */
    double idle_limit;    /* 60 */
    double lifetime;      /* of a connection; 3600 */
    double query_limit;   /* of each statement, from the moment it has a connection; 30 */
    size_t max_result;    /* bytes, as they come from the database; 16 MiB */
    int max_prepared;     /* statements a connection keeps prepared; 64. Negative: none, as a proxy
                             that gives every transaction another connection may want it */
} reeve_pg_options;

/* Does not connect yet: that is when the first query does. conninfo is libpq's, "host=... dbname=..."
 * or "postgresql://...", with its defaults from the environment (PGHOST, ...); host names are looked
 * up off the loop. `options` may be NULL. NULL: ENOMEM, or EINVAL for what is no conninfo, and the
 * reason is the module's refusal. Does not suspend. */
reeve_pg *reeve_pg_open(reeve_module *module, const char *conninfo,
                        const reeve_pg_options *options);
/* In fini, or in an init that failed: closes the connections. NULL is nothing. Does not suspend. */
void reeve_pg_close(reeve_pg *pg);

/* ---- errors ---- */

typedef enum reeve_pg_failure {
    REEVE_PG_FINE,
    REEVE_PG_UNAVAILABLE, /* no connection was to be had: nothing was sent. 503 */
    REEVE_PG_LOST,        /* the connection broke; nobody knows what became of the statement */
    REEVE_PG_STOPPED,     /* the time was over, or the request was cancelled. 504 */
    REEVE_PG_REFUSED,     /* by the database: see sqlstate */
    REEVE_PG_TOO_LARGE,
    REEVE_PG_MISUSED,
} reeve_pg_failure;

typedef struct reeve_pg_error {
    reeve_pg_failure kind;
    int code;            /* errno as the call left it */
    char sqlstate[6];    /* "23505"; "" when the database did not say */
    char message[256];   /* one line, for the log rather than for clients; never the password */
    char constraint[64]; /* that was violated, or "" */
} reeve_pg_error;

/* Of the call that failed last; to be looked at before anything else that may wait. */
const reeve_pg_error *reeve_pg_last_error(const reeve_pg *pg);

/* ---- results ---- */

/* Goes with the scope it was made in at the latest. */
typedef struct reeve_pg_result reeve_pg_result;
/* Sooner. NULL is nothing. */
void reeve_pg_clear(reeve_pg_result *result);

size_t reeve_pg_rows(const reeve_pg_result *result);
size_t reeve_pg_columns(const reeve_pg_result *result);
/* How many rows INSERT, UPDATE, DELETE, ... concerned. */
uint64_t reeve_pg_affected(const reeve_pg_result *result);
/* NULL: there is no such column. */
const char *reeve_pg_name(const reeve_pg_result *result, size_t column);
/* The column of that name, with the case as it is; -1: there is none. */
int reeve_pg_column(const reeve_pg_result *result, const char *name);

/* Of NULL, and of a row or column that is not there: true, NULL, 0, and -1 with EINVAL. Numbers that
 * are none: EINVAL; that are too large: ERANGE. Text ends with a NUL, and lives as the result. */
bool reeve_pg_is_null(const reeve_pg_result *result, size_t row, int column);
const char *reeve_pg_text(const reeve_pg_result *result, size_t row, int column);
size_t reeve_pg_length(const reeve_pg_result *result, size_t row, int column);
int reeve_pg_int(const reeve_pg_result *result, size_t row, int column, int64_t *value_out);
int reeve_pg_double(const reeve_pg_result *result, size_t row, int column, double *value_out);
int reeve_pg_bool(const reeve_pg_result *result, size_t row, int column, bool *value_out);

/* ---- queries ---- */

/* A number as a parameter; lives as long as the enclosing block. */
#define REEVE_PG_INT(number)    reeve_pg_put_int((char[24]){0}, number)
#define REEVE_PG_DOUBLE(number) reeve_pg_put_double((char[32]){0}, number)
const char *reeve_pg_put_int(char text[24], int64_t number);
const char *reeve_pg_put_double(char text[32], double number);

/* A statement's text and its parameters, "SELECT $1::int", "7", as an array and its length. */
#define REEVE_PG_STATEMENT(...)         \
    (const char *const[]){__VA_ARGS__}, \
        (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* One statement on any connection: it is a transaction of its own. 0 and the result in *result_out
 * (which may be NULL, when nobody wants it; then it is not kept), or -1 with NULL there. [suspends]
 */
#define reeve_pg_query(pg, result_out, ...) \
    reeve_pg_query_words(pg, result_out, REEVE_PG_STATEMENT(__VA_ARGS__))
int reeve_pg_query_words(reeve_pg *pg, reeve_pg_result **result_out, const char *const *words,
                         size_t count);

/* The same for a result of any size: `row` is called with each row as it comes, as a result that has
 * one, and that is gone when it returns. It may suspend, and the database then waits. 0 goes on;
 * anything else stops the statement, and is what the call returns (-1: with row's errno).
 * max_result is each row's. [suspends] */
typedef int reeve_pg_row(const reeve_pg_result *row, void *arg);
#define reeve_pg_each(pg, row, arg, ...) \
    reeve_pg_each_words(pg, row, arg, REEVE_PG_STATEMENT(__VA_ARGS__))
int reeve_pg_each_words(reeve_pg *pg, reeve_pg_row *row, void *arg, const char *const *words,
                        size_t count);

/* ---- several statements on one connection ---- */

/* For one task at a time. Goes back with the scope it was taken in, if not sooner; a transaction
 * that is open then is rolled back. */
typedef struct reeve_pg_connection reeve_pg_connection;

/* 0 or -1. [suspends] */
int reeve_pg_take(reeve_pg *pg, reeve_pg_connection **connection_out);
/* NULL is nothing. Does not suspend: what is left to be done, a rollback say, is done in the
 * background. */
void reeve_pg_give(reeve_pg_connection *connection);

/* As above. After any failure but EREMOTEIO and EINVAL there is nothing left to do with the
 * connection than to give it back: every call fails with EINVAL. [suspends] */
#define reeve_pg_query_on(connection, result_out, ...) \
    reeve_pg_query_words_on(connection, result_out, REEVE_PG_STATEMENT(__VA_ARGS__))
int reeve_pg_query_words_on(reeve_pg_connection *connection, reeve_pg_result **result_out,
                            const char *const *words, size_t count);
#define reeve_pg_each_on(connection, row, arg, ...) \
    reeve_pg_each_words_on(connection, row, arg, REEVE_PG_STATEMENT(__VA_ARGS__))
int reeve_pg_each_words_on(reeve_pg_connection *connection, reeve_pg_row *row, void *arg,
                           const char *const *words, size_t count);

/* BEGIN, COMMIT and ROLLBACK on it. A transaction in which a statement failed cannot be committed:
 * it is rolled back, and the call fails with EREMOTEIO. [suspends] */
int reeve_pg_begin(reeve_pg_connection *connection);
int reeve_pg_commit(reeve_pg_connection *connection);
int reeve_pg_rollback(reeve_pg_connection *connection);

#ifdef __cplusplus
}
#endif
#endif
