/* error.c: what went wrong, in a form that tells applications what they can do about it, and tells
 * nobody the password. */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- texts ---- */

/* libpq has never been seen to say it; this makes sure. */
static void hide(char *text, const char *secret)
{
    size_t length = secret ? strlen(secret) : 0;
    char *found;

    while (length > 0 && (found = strstr(text, secret)))
        memset(found, '*', length);
}

/* The first line, without what libpq and its end add around it. */
static void put_line(char *out, size_t size, const char *text)
{
    size_t length;

    text += strspn(text, " \t\r\n");
    length = strcspn(text, "\r\n");
    if (length >= size)
        length = size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

static void put_message(reeve_pg *pg, reeve_pg_error *error, const char *text)
{
    char line[4 * sizeof error->message]; /* so that what is cut off has no part of it */

    put_line(line, sizeof line, text ? text : "");
    if (pg->password && strcmp(pg->password, "*") != 0 && !strchr(pg->password, '*'))
        hide(line, pg->password);
    put_line(error->message, sizeof error->message, line);
}

/* ---- errors ---- */

int error_set(reeve_pg *pg, reeve_pg_failure kind, int code, const char *message)
{
    pg->error = (reeve_pg_error){.kind = kind, .code = code};
    put_message(pg, &pg->error, message);
    errno = code;
    return -1;
}

int error_lost(struct link *link)
{
    return error_set(link->pg, REEVE_PG_LOST, ECONNRESET, PQerrorMessage(link->conn));
}

static void put_field(char *out, size_t size, const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);

    put_line(out, size, text ? text : "");
}

/* One that says why it ends the connection breaks it. */
int error_of_result(struct link *link, const PGresult *result)
{
    reeve_pg_error *error = &link->pg->error;
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool is_lost = PQstatus(link->conn) == CONNECTION_BAD;

    *error = (reeve_pg_error){.kind = is_lost ? REEVE_PG_LOST : REEVE_PG_REFUSED,
                              .code = is_lost ? ECONNRESET : EREMOTEIO};
    put_message(link->pg, error, primary ? primary : PQresultErrorMessage(result));
    put_field(error->sqlstate, sizeof error->sqlstate, result, PG_DIAG_SQLSTATE);
    put_field(error->constraint, sizeof error->constraint, result, PG_DIAG_CONSTRAINT_NAME);
    errno = error->code;
    return -1;
}

int error_of_wait(reeve_pg *pg)
{
    int code = errno;

    return error_set(pg, REEVE_PG_STOPPED, code,
                     code == ETIMEDOUT ? "its time was over" : strerror(code));
}

/* The pool's own limit is told from that of a scope. */
int error_of_take(reeve_pg *pg)
{
    int code = errno, cancelled = reeve_is_cancelled();

    if (cancelled || code == EDEADLK)
        return error_set(pg, REEVE_PG_STOPPED, code, strerror(code));
    if (code == ETIMEDOUT || code == EAGAIN)
        return error_set(pg, REEVE_PG_UNAVAILABLE, EAGAIN, "all connections are in use");
    if (pg->connect_error.code != code)
        return error_set(pg, REEVE_PG_UNAVAILABLE, code, strerror(code));
    pg->error = pg->connect_error;
    errno = code;
    return -1;
}

/* What libpq says in words, as far as it can be known. */
static int code_of(PGconn *conn)
{
    const char *text = PQerrorMessage(conn);
    static const int known[] = {ECONNREFUSED, ECONNRESET,  ENOENT,      EACCES,
                                EHOSTUNREACH, ENETUNREACH, ECONNABORTED};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(text, strerror(known[i])))
            return known[i];
    return EIO;
}

int error_of_connect(reeve_pg *pg, PGconn *conn)
{
    reeve_pg_error *error = &pg->connect_error;

    *error = (reeve_pg_error){.kind = REEVE_PG_UNAVAILABLE, .code = conn ? code_of(conn) : ENOMEM};
    put_message(pg, error, conn ? PQerrorMessage(conn) : "memory has run out");
    errno = error->code;
    return -1;
}

const reeve_pg_error *reeve_pg_last_error(const reeve_pg *pg)
{
    return &pg->error;
}
