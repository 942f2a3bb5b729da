/* private.h: what the files of this library share: a database, and its links, which are the pool's
 * items.
 *
 *     pg.c         the database and its pool; taking and giving
 *     link.c       a link: connecting, closing, whether it is in order
 *     address.c    host names looked up beforehand, since libpq would block for that
 *     prepared.c   the statements that a link has prepared
 *     run.c        one statement, sent and its results received
 *     query.c      the calls that run statements
 *     rescue.c     links that are left in the middle: stopped, quieted, used again
 *     error.c      what went wrong
 *     result.c     what came back */
#ifndef PG_PRIVATE_H
#define PG_PRIVATE_H

#include <reeve/async.h>
#include <reeve/pg.h>
#include <reeve/pool.h>
#include <libpq-fe.h>

struct reeve_pg {
    reeve_module *module;
    reeve_pool *pool;
    char *conninfo;
    char *host, *port, *password; /* as conninfo or the environment have them; NULL: not at all */
    bool has_hostaddr;            /* there is nothing to look up */
    double wait_limit, query_limit;
    size_t max_result;
    size_t max_prepared;
    reeve_semaphore stopping;     /* for the one thread that tells the database to stop */
    reeve_pg_error error;         /* of the last call */
    reeve_pg_error connect_error; /* of the last connection that was tried */
};

/* ---- link.c ---- */

struct prepared {
    char **texts; /* a table by hash, of a power of two places, with a free one at least */
    size_t places, count;
};

/* Lifetime: of its connection; whoever has taken it uses it alone. */
struct link {
    reeve_pg *pg;
    PGconn *conn;
    struct prepared prepared;
    bool is_stale; /* what it has prepared is not to be relied on: closed when it is given back */
    bool is_quiet; /* its rescue was successful */
};

/* The pool's; `state` is the reeve_pg. */
int link_open(void *state, void **item_out);
void link_close(void *state, void *item);
int link_check(void *state, void *item, double idle);

/* ---- address.c ---- */

/* What PQconnectStartParams is to be given in place of host and port; freed with addresses_free. */
struct addresses {
    char *hosts, *addresses, *ports; /* with a comma between each two; NULL: as conninfo says */
};
/* 0 or -1. [suspends] */
int addresses_find(const reeve_pg *pg, struct addresses *out);
void addresses_free(struct addresses *addresses);

/* ---- prepared.c ---- */

/* 0: ENOMEM is no reason to fail, it just keeps none. */
void prepared_open(struct prepared *prepared, size_t most);
void prepared_close(struct prepared *prepared);
/* The statement's number, from 1; 0: it is not prepared. */
size_t prepared_find(const struct prepared *prepared, const char *text);
/* The number that it would get; 0: there is no place for it. */
size_t prepared_place(const struct prepared *prepared, const char *text, size_t most);
/* It has that number now. -1: ENOMEM, and it has not. */
int prepared_keep(struct prepared *prepared, size_t number, const char *text);

/* ---- result.c ---- */

/* Rows that are kept, in one piece; what libpq has of each is freed at once. */
struct table {
    PGresult *last; /* its names and its tag; NULL: none yet */
    char *bytes;    /* the texts, each with its NUL */
    size_t size, room;
    size_t *cells; /* where each begins in `bytes`; NO_TEXT: it is NULL */
    size_t cell_count, cell_room;
    size_t rows, columns;
};
#define NO_TEXT SIZE_MAX

/* The first row of `from` is added. -1: ENOMEM. */
int table_add(struct table *table, const PGresult *from);
/* Memory that it takes. */
size_t table_size(const struct table *table);
/* It has no rows any more, and keeps its memory. */
void table_empty(struct table *table);
void table_free(struct table *table);

struct reeve_pg_result {
    struct table table;
    reeve_scope_hook *hook; /* NULL: it is lent for a moment */
};

/* Takes the table, whatever happens. NULL: ENOMEM. */
reeve_pg_result *result_new(struct table *table);

/* ---- run.c ---- */

struct run {
    struct link *link;
    const char *const *words; /* the statement, then its parameters */
    size_t count;
    bool keeps_rows;
    reeve_pg_row *row; /* is called with each; NULL: not row by row */
    void *arg;
    bool has_end;
    double end;         /* of its time, by now_seconds() */
    size_t bytes;       /* of the row that is being received, about */
    struct table table; /* what it gave */
    size_t rows;        /* received */
    bool is_sent;       /* something of it may have been executed */
    bool is_outdated;   /* it was not, since what was prepared of it is not good any more */
    int row_said;       /* what ended it */
};

double now_seconds(void);

/* 0 or -1, with the database's error set. After that the link may be in the middle of something:
 * give it to link_return. [suspends] */
int run_statement(struct run *run);
/* A command without parameters or prepared statement. */
int run_command(struct link *link, const char *command, double seconds, PGresult **last_out);
/* The next result, or *result_out NULL: there are no more. [suspends] */
int run_receive(struct run *run, PGresult **result_out);

/* ---- rescue.c ---- */

/* Gives the link back to the pool; when it is not at rest, as soon as it is, or not at all. It is
 * not to be touched any more. */
void link_return(struct link *link);
/* At rest, and outside of a transaction. */
bool link_is_idle(const struct link *link);

/* ---- error.c ---- */

/* All return -1, with errno. */
int error_set(reeve_pg *pg, reeve_pg_failure kind, int code, const char *message);
/* The connection is no more. */
int error_lost(struct link *link);
int error_of_result(struct link *link, const PGresult *result);
/* A wait has failed with errno. */
int error_of_wait(reeve_pg *pg);
/* No link could be taken, for errno. */
int error_of_take(reeve_pg *pg);
/* A connection could not be made: notes why. */
int error_of_connect(reeve_pg *pg, PGconn *conn);

#endif
