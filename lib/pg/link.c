/* link.c: one connection: made without blocking, looked at before it is used again, closed. */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- connecting ---- */

static void ignore_notice(void *arg, const char *message)
{
    (void)arg, (void)message; /* libpq would write it to the standard error output */
}

/* conninfo first, so that what follows replaces what it says. */
static PGconn *begin(const reeve_pg *pg, const struct addresses *found)
{
    const char *keywords[6] = {"dbname", "fallback_application_name"};
    const char *values[6] = {pg->conninfo, "reeve"};

    if (found->hosts) {
        keywords[2] = "host";
        values[2] = found->hosts;
        keywords[3] = "hostaddr";
        values[3] = found->addresses;
        keywords[4] = found->ports ? "port" : NULL;
        values[4] = found->ports;
    }
    return PQconnectStartParams(keywords, values, 1);
}

/* The socket may be another one at each step. The limit is that of the pool's scope. 0; -1: a wait
 * has failed; 1: there is no connection. */
static int connect_on(PGconn *conn)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    if (PQstatus(conn) == CONNECTION_BAD)
        return 1;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        unsigned events = status == PGRES_POLLING_READING ? REEVE_READABLE : REEVE_WRITABLE;

        if (reeve_wait_fd(PQsocket(conn), events, REEVE_FOREVER) == -1)
            return -1;
        status = PQconnectPoll(conn);
    }
    return status == PGRES_POLLING_OK && PQsetnonblocking(conn, 1) == 0 ? 0 : 1;
}

static int no_answer(reeve_pg *pg)
{
    if (errno != ETIMEDOUT)
        return -1;
    pg->connect_error = (reeve_pg_error){
        .kind = REEVE_PG_UNAVAILABLE, .code = EHOSTUNREACH, .message = "no answer in time"};
    errno = EHOSTUNREACH;
    return -1;
}

static PGconn *make(reeve_pg *pg)
{
    struct addresses found;
    PGconn *conn;
    int result, saved;

    if (addresses_find(pg, &found) == -1) {
        no_answer(pg);
        return NULL;
    }
    conn = begin(pg, &found);
    addresses_free(&found);
    if (conn)
        PQsetNoticeProcessor(conn, ignore_notice, NULL);
    result = conn ? connect_on(conn) : 1;
    if (result == 0)
        return conn;
    if (result == -1)
        no_answer(pg);
    else
        error_of_connect(pg, conn);
    saved = errno;
    PQfinish(conn);
    errno = saved;
    return NULL;
}

int link_open(void *state, void **item_out)
{
    reeve_pg *pg = state;
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        return -1;
    link->pg = pg;
    link->conn = make(pg);
    if (!link->conn) {
        int saved = errno;

        free(link);
        errno = saved;
        return -1;
    }
    prepared_open(&link->prepared, pg->max_prepared);
    *item_out = link;
    return 0;
}

void link_close(void *state, void *item)
{
    struct link *link = item;

    (void)state;
    PQfinish(link->conn);
    prepared_close(&link->prepared);
    free(link);
}

/* ---- before it is used again ---- */

/* Whoever says something unasked says good-bye, as a rule: the database is shutting down, or has
 * ended this session. A notification or a changed setting is none. */
#define LOOKS 16 /* then it has too much to say */
static bool is_quiet(PGconn *conn)
{
    char byte;
    ssize_t n = recv(PQsocket(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

int link_check(void *state, void *item, double idle)
{
    const struct link *link = item;
    PGnotify *notify;

    (void)state, (void)idle;
    for (int looks = 0; !is_quiet(link->conn); looks++)
        if (looks == LOOKS || !PQconsumeInput(link->conn) || PQisBusy(link->conn))
            return -1;
    while ((notify = PQnotifies(link->conn)))
        PQfreemem(notify);
    return PQstatus(link->conn) == CONNECTION_OK ? 0 : -1;
}
