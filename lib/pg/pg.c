/* pg.c: a database: what it is called, its limits, and its pool of links. */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WAIT     5.0
#define DEFAULT_LIFETIME 3600.0
#define DEFAULT_QUERY    30.0
#define DEFAULT_RESULT   ((size_t)16 << 20)
#define DEFAULT_PREPARED 64
#define MOST_PREPARED    1024

/* ---- options ---- */

static double or_default(double seconds, double otherwise)
{
    return seconds > 0 || seconds < 0 ? seconds : otherwise;
}

static void set_options(reeve_pg *pg, const reeve_pg_options *options)
{
    int prepared = options->max_prepared ? options->max_prepared : DEFAULT_PREPARED;

    pg->wait_limit = or_default(options->wait_limit, DEFAULT_WAIT);
    pg->query_limit = or_default(options->query_limit, DEFAULT_QUERY);
    pg->max_result = options->max_result ? options->max_result : DEFAULT_RESULT;
    pg->max_prepared = prepared < 0 ? 0 : (size_t)prepared;
    if (pg->max_prepared > MOST_PREPARED)
        pg->max_prepared = MOST_PREPARED;
}

static void gone(void *state)
{
    reeve_pg *pg = state;

    free(pg->conninfo);
    free(pg->host);
    free(pg->port);
    free(pg->password);
    free(pg);
}

static reeve_pool *make_pool(reeve_pg *pg, const reeve_pg_options *options)
{
    return reeve_pool_new(pg->module,
                          &(reeve_pool_options){
                              .name = options->name ? options->name : "pg",
                              .size = options->size,
                              .min_idle = options->min_idle,
                              .max_waiting = options->max_waiting,
                              .open_limit = options->connect_limit,
                              .idle_limit = options->idle_limit,
                              .lifetime = or_default(options->lifetime, DEFAULT_LIFETIME),
                              .open = link_open,
                              .close = link_close,
                              .check = link_check,
                              .gone = gone,
                              .state = pg,
                          });
}

/* ---- conninfo ---- */

/* The first that says it counts. -1: ENOMEM. */
static int remember(char **value, const char *text)
{
    if (*value || !text || text[0] == '\0')
        return 0;
    *value = strdup(text);
    return *value ? 0 : -1;
}

static int read_options(reeve_pg *pg, const PQconninfoOption *option)
{
    int result = 0;

    for (; option->keyword && result == 0; option++) {
        if (strcmp(option->keyword, "host") == 0)
            result = remember(&pg->host, option->val);
        else if (strcmp(option->keyword, "port") == 0)
            result = remember(&pg->port, option->val);
        else if (strcmp(option->keyword, "password") == 0)
            result = remember(&pg->password, option->val);
        else if (strcmp(option->keyword, "hostaddr") == 0 && option->val && option->val[0])
            pg->has_hostaddr = true;
    }
    return result;
}

/* 0, or -1 with errno. libpq's own words about a string that it cannot read may repeat a part of
 * it. */
static int read_conninfo(reeve_pg *pg)
{
    PQconninfoOption *given = PQconninfoParse(pg->conninfo, NULL), *defaults;
    int result;

    if (!given) {
        reeve_refuse(pg->module, "the database's conninfo is none (host=... dbname=..., or "
                                 "postgresql://...)");
        errno = EINVAL;
        return -1;
    }
    defaults = PQconndefaults();
    result = read_options(pg, given);
    if (result == 0 && defaults)
        result = read_options(pg, defaults);
    PQconninfoFree(defaults);
    PQconninfoFree(given);
    if (result == -1)
        errno = ENOMEM;
    return result;
}

/* ---- the database ---- */

/* 0, or -1 with errno and the reason. */
static int open_pg(reeve_pg *pg, const char *conninfo, const reeve_pg_options *options)
{
    set_options(pg, options);
    reeve_semaphore_init(&pg->stopping, 1);
    pg->conninfo = strdup(conninfo ? conninfo : "");
    if (!pg->conninfo) {
        errno = ENOMEM;
        return -1;
    }
    if (read_conninfo(pg) == -1)
        return -1;
    pg->pool = make_pool(pg, options);
    if (!pg->pool && errno == EINVAL)
        reeve_refuse(pg->module, "the database's pool has a name or a size that it cannot have");
    return pg->pool ? 0 : -1;
}

reeve_pg *reeve_pg_open(reeve_module *module, const char *conninfo, const reeve_pg_options *options)
{
    static const reeve_pg_options none;
    reeve_pg *pg = calloc(1, sizeof *pg);
    int saved;

    if (!pg)
        return NULL;
    pg->module = module;
    if (open_pg(pg, conninfo, options ? options : &none) == 0)
        return pg;
    saved = errno;
    gone(pg);
    errno = saved;
    return NULL;
}

void reeve_pg_close(reeve_pg *pg)
{
    if (pg)
        reeve_pool_free(pg->pool);
}
