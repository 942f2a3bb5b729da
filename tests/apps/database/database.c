/* database: what reeve/pg.h and reeve/pool.h can do, by request:
 *     /query?sql=S&p=P      "rows columns affected", then each row's values with a "|" between them; P may be missing
 *     /each?sql=S&most=N    adds up the first column, row by row, and stops after N rows
 *     /tx?then=W            inserts "tx" into things; W: commit, rollback, nothing (forgets it), fail (then commits), sleep
 *     /hold?ms=N            holds a connection so long, without a query
 *     /forget               takes from the pool of numbers, and does not give back
 *     ...&cancel=N          whoever is the N-th to wait from then on is cancelled there, in a build with a sanitizer
 * and "KIND ERRNO SQLSTATE MESSAGE" with 503, 504 or 500 when something fails. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/async.h>
#include <reeve/pg.h>
#include <reeve/pool.h>

#ifndef BUILD
#define BUILD 0
#endif
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

static reeve_pg *db;
static reeve_pool *numbers;

static int say(reeve_environ *env, reeve_start_response *start_response, const char *status,
               const char *text)
{
    if (text == NULL || start_response(env, status, REEVE_NO_HEADERS) != 0)
        return -1;
    return reeve_write(env, text, strlen(text));
}

static int fail(reeve_environ *env, reeve_start_response *start_response)
{
    static const char *const kinds[] = {"fine",    "unavailable", "lost",   "stopped",
                                        "refused", "too-large",   "misused"};
    const reeve_pg_error *error = reeve_pg_last_error(db);
    const char *status = error->kind == REEVE_PG_UNAVAILABLE ? "503 Service Unavailable"
                         : error->kind == REEVE_PG_STOPPED   ? "504 Gateway Timeout"
                                                             : "500 Internal Server Error";

    return say(env, start_response, status,
               reeve_printf(env, "%s %d %s %s\n", kinds[error->kind], error->code,
                            error->sqlstate[0] ? error->sqlstate : "-", error->message));
}

static const char *row_text(reeve_environ *env, const reeve_pg_result *rows, size_t row)
{
    const char *line = "";

    for (size_t column = 0; column < reeve_pg_columns(rows); column++) {
        const char *value = reeve_pg_text(rows, row, (int)column);

        line = reeve_printf(env, "%s%s%s", line, column > 0 ? "|" : "", value ? value : "NULL");
    }
    return line;
}

static int query(reeve_environ *env, reeve_start_response *start_response)
{
    const char *sql = reeve_query_get(env, "sql"), *parameter = reeve_query_get(env, "p");
    const char *text;
    reeve_pg_result *rows;
    int result =
        parameter ? reeve_pg_query(db, &rows, sql, parameter) : reeve_pg_query(db, &rows, sql);

    if (result == -1)
        return fail(env, start_response);
    text = reeve_printf(env, "%zu %zu %llu\n", reeve_pg_rows(rows), reeve_pg_columns(rows),
                        (unsigned long long)reeve_pg_affected(rows));
    for (size_t i = 0; i < reeve_pg_rows(rows); i++)
        text = reeve_printf(env, "%s%s\n", text, row_text(env, rows, i));
    return say(env, start_response, "200 OK", text);
}

struct sum {
    int64_t total;
    size_t rows, most;
};

static int add(const reeve_pg_result *row, void *arg)
{
    struct sum *sum = arg;
    int64_t value;

    if (reeve_pg_int(row, 0, 0, &value) == 0)
        sum->total += value;
    if (sum->rows == 0 && reeve_sleep(0.01) == -1)
        return -1;
    return ++sum->rows == sum->most ? 7 : 0;
}

static int each(reeve_environ *env, reeve_start_response *start_response)
{
    const char *most = reeve_query_get(env, "most");
    struct sum sum = {.most = most ? strtoul(most, NULL, 10) : 0};
    int result = reeve_pg_each(db, add, &sum, reeve_query_get(env, "sql"));

    if (result == -1)
        return fail(env, start_response);
    return say(env, start_response, "200 OK",
               reeve_printf(env, "%d %zu %lld\n", result, sum.rows, (long long)sum.total));
}

static int tx(reeve_environ *env, reeve_start_response *start_response)
{
    const char *then = reeve_query_get(env, "then");
    reeve_pg_connection *connection;
    reeve_pg_result *rows;

    if (reeve_pg_take(db, &connection) == -1 || reeve_pg_begin(connection) == -1 ||
        reeve_pg_query_on(connection, NULL, "INSERT INTO things VALUES ($1)", "tx") == -1)
        return fail(env, start_response);
    if (strcmp(then, "nothing") == 0)
        return say(env, start_response, "200 OK", "forgotten\n");
    if (strcmp(then, "fail") == 0)
        reeve_pg_query_on(connection, NULL, "SELECT 1/0");
    if (strcmp(then, "sleep") == 0 &&
        reeve_pg_query_on(connection, NULL, "SELECT pg_sleep(60)") == -1)
        return fail(env, start_response);
    if (strcmp(then, "rollback") == 0 ? reeve_pg_rollback(connection) : reeve_pg_commit(connection))
        return fail(env, start_response);
    if (reeve_pg_query_on(connection, &rows, "SELECT count(*) AS \"how many\" FROM things") == -1)
        return fail(env, start_response);
    reeve_pg_give(connection);
    return say(
        env, start_response, "200 OK",
        reeve_printf(env, "%s\n", reeve_pg_text(rows, 0, reeve_pg_column(rows, "how many"))));
}

static int hold(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_pg_connection *connection;

    if (reeve_pg_take(db, &connection) == -1)
        return fail(env, start_response);
    reeve_sleep(strtod(reeve_query_get(env, "ms"), NULL) / 1000);
    return say(env, start_response, "200 OK", "held\n");
}

static int forget(reeve_environ *env, reeve_start_response *start_response)
{
    void *item;

    if (reeve_pool_take(numbers, 1, &item) == -1)
        return -1;
    return say(env, start_response, "200 OK", "taken\n");
}

/* tests/apps/tour has the same, for everything but this. */
static void cancel_nth(unsigned n)
{
    unsigned (*nth)(unsigned);

    *(void **)&nth = dlsym(RTLD_DEFAULT, "reeve_test_cancel_nth");
    if (nth)
        nth(n);
}

static int database(reeve_environ *env, reeve_start_response *start_response)
{
    static const struct {
        const char *path;
        reeve_application *handler;
    } routes[] = {{"/query", query}, {"/each", each},     {"/tx", tx},
                  {"/hold", hold},   {"/forget", forget}, {NULL, NULL}};

    const char *nth = reeve_query_get(env, "cancel");
    int result;

    for (size_t i = 0; routes[i].path; i++) {
        if (strcmp(reeve_path(env), routes[i].path) != 0)
            continue;
        cancel_nth(nth ? (unsigned)atoi(nth) : 0);
        result = routes[i].handler(env, start_response);
        cancel_nth(0);
        return result;
    }
    return say(env, start_response, "200 OK", "build " TEXT(BUILD) "\n");
}

static int open_number(void *state, void **item_out)
{
    (void)state;
    return (*item_out = malloc(1)) ? 0 : -1;
}

static void close_number(void *state, void *item)
{
    (void)state;
    free(item);
}

static double option(reeve_module *module, const char *name)
{
    const char *text = reeve_option(module, name);

    return text ? strtod(text, NULL) : 0;
}

static int init(reeve_module *module)
{
    db = reeve_pg_open(module, reeve_option(module, "database"),
                       &(reeve_pg_options){.size = (size_t)option(module, "size"),
                                           .wait_limit = option(module, "wait_limit"),
                                           .connect_limit = option(module, "connect_limit"),
                                           .query_limit = option(module, "query_limit"),
                                           .max_result = (size_t)option(module, "max_result"),
                                           .max_prepared = (int)option(module, "max_prepared")});
    if (db == NULL)
        return -1;
    numbers = reeve_pool_new(
        module, &(reeve_pool_options){
                    .name = "numbers", .size = 3, .open = open_number, .close = close_number});
    return numbers ? 0 : -1;
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_pg_close(db);
    reeve_pool_free(numbers);
}

REEVE_APP(.name = "database", .version = "1.0." TEXT(BUILD), .init = init, .fini = fini,
          .application = database);
