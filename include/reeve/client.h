/* reeve/client.h: HTTP/1.1 requests to other services.
 *
 * The simple call sends a request and waits for the whole answer:
 *
 *     const reeve_client_request request = {.url = "http://127.0.0.1:9000/users/7"};
 *     reeve_client_response *response;
 *
 *     if (reeve_client_fetch(&request, &response) == -1)
 *         return -1;
 *     if (reeve_client_status(response) == 200)
 *         use(reeve_client_body(response, NULL));
 *
 * Many at once are tasks that fetch, see apps/fanout. What is too large for memory, or has no end,
 * goes piece by piece through an exchange: reeve_client_open, further down.
 *
 * Connections are kept and used again. Each worker has its own: up to 64 at a time to an origin
 * (scheme, host and port), beyond which requests wait in the order of their coming; idle ones are
 * kept for a minute, or a second less than the service says it would (Keep-Alive: timeout). They
 * are the worker's, shared by all applications in it, and close when it drains. A service that
 * closes an idle connection just when a request goes out on it is not noticed by the caller, if the
 * method is GET, HEAD, PUT, DELETE, OPTIONS or TRACE: it is sent once more, on a new connection.
 * Others, POST above all, fail with ECONNRESET, since nobody knows whether they were carried out.
 *
 * All time limits are in seconds; 0 is the default, a negative number none. A scope's limit
 * (reeve/async.h), the request's own, and a client that goes away end these calls as they end any
 * other wait; the connection to the service is then closed, so it sees that nobody waits any more.
 *
 * Calls that fail answer -1 with errno:
 *   EINVAL           the request is not one: its URL, method, a header's name or value, such as one
 *                    with a line break in it; sizes that contradict each other
 *   EPERM            a header that is the client's own to write: Content-Length, Expect, and those
 *                    that start_response refuses, too
 *   EPROTONOSUPPORT  https, and any scheme other than http and http+unix
 *   EHOSTUNREACH     the host's name is not known
 *   ECONNREFUSED ... as connect(2)
 *   ECONNRESET       the service has closed the connection before its answer was complete
 *   EBADMSG          its answer is not HTTP/1.x, or its framing is broken, ambiguous or has no end
 *                    (two lengths, a length and chunks, folded lines, bare line feeds, endless chunk
 *                    extensions, more than 16 interim answers)
 *   EMSGSIZE         the head of its answer is too large
 *   EFBIG            its body is larger than max_body
 *   ELOOP            it redirects more often than max_redirects
 *   ETIMEDOUT        a limit has passed: one of the request's, or that of a scope
 *   ECANCELED        this request or task was cancelled
 *   EDEADLK          there is no coroutine here
 *   ENOMEM, EMFILE, ENFILE
 * Since 1.2, all of it. */
#ifndef REEVE_CLIENT_H
#define REEVE_CLIENT_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the request ---- */

/* Name what is needed, the rest is zero. It is borrowed: by reeve_client_fetch until it returns, by
 * an exchange until its answer's head was read. */
typedef struct reeve_client_request {
    /* "http://host:port/path?query", escaped as it has to be sent. A Unix socket is
     * "http+unix://%2Frun%2Fservice.sock/path", its own path with each "/" escaped. Names are
     * looked up for each new connection. */
    const char *url;
    const char *method; /* NULL: GET, or POST when there is a body */
    /* As those of start_response; NULL: none. Host is written when it is not given (one may be, and
     * must be a host), and so is User-Agent. */
    const reeve_header *headers;
    /* body_size bytes. In an exchange, body NULL with a size is a body of that many bytes, to come
     * by reeve_client_write. */
    const void *body;
    size_t body_size;
    bool is_chunked;       /* the body comes by reeve_client_write, its size is not known yet */
    bool expects_continue; /* asks whether the service wants the body, for a second at most */
    bool is_alone;         /* on a connection of its own, which is not kept */

    /* reeve_client_fetch follows so many redirections (301, 302, 303, 307, 308); 0: none, they are
     * answers as any other. 303 goes on with GET (HEAD stays HEAD), so does a POST that gets 301 or
     * 302, without its body. To another origin go neither Authorization nor Cookie nor Host. They
     * lead to http only, so whoever must not be led to places of an inner network leaves this 0. */
    unsigned max_redirects;

    double connect_timeout; /* to look up the name and connect; default 10 */
    double answer_timeout;  /* from when the last piece of the request was sent to the end of the
                               answer's head, and before that for a connection to become free;
                               default 30 */
    double idle_timeout;    /* for each piece of a body, either way, to move on; default 30 */
    double timeout;         /* the whole; default 60, of an exchange none */

    size_t max_body; /* of the answer that reeve_client_fetch takes, bytes; default 8 MiB */
    size_t max_head; /* of an answer, bytes, and 256 lines at most; default 64 KiB */

    uintptr_t reserved[8]; /* zero */
} reeve_client_request;

/* ---- the answer ---- */

typedef struct reeve_client_response reeve_client_response;

/* Sends the request and takes the whole answer, whatever its status. The answer is the caller's: it
 * goes when it is given back, and with the request during which it was made at the latest (so what
 * a task has fetched can be used by the one who awaits it). In background work it must be given
 * back. [suspends] */
REEVE_API int reeve_client_fetch(const reeve_client_request *request,
                                 reeve_client_response **response_out);

/* Gives back an answer of reeve_client_fetch. NULL is fine. */
REEVE_API void reeve_client_response_free(reeve_client_response *response);

REEVE_API int reeve_client_status(const reeve_client_response *response); /* 200 to 599 */

/* The value of the first header of that name, in any case, or NULL. It lives as long as the
 * response. */
REEVE_API const char *reeve_client_header(const reeve_client_response *response, const char *name);

/* Calls `each` for every header, in their order, until it returns non-zero; returns what it
 * returned last. */
REEVE_API int reeve_client_header_each(const reeve_client_response *response,
                                       int (*each)(const char *name, const char *value, void *arg),
                                       void *arg);

/* The body as the service sent it (content codings are the caller's to ask for and to undo), with a
 * NUL behind it; size_out may be NULL. Of an exchange's response it is empty. */
REEVE_API const char *reeve_client_body(const reeve_client_response *response, size_t *size_out);

/* ---- piece by piece ---- */

/* One request and its answer on a connection. It belongs to the scope in which it was opened, which
 * closes it at its end, with a warning in the log. Two coroutines may use it at a time, one that
 * writes and one that reads; EBUSY for any other, which ends nothing. Any other call that fails ends
 * the exchange, all further ones fail likewise (but see EPIPE and EMSGSIZE), and it only remains to
 * close it: also while others are in a call of it, which then fails with ECANCELED. */
typedef struct reeve_client_exchange reeve_client_exchange;

/* Sends the request's head, and its body when it was given one. EDEADLK also outside of a scope.
 * [suspends] */
REEVE_API int reeve_client_open(const reeve_client_request *request,
                                reeve_client_exchange **exchange_out);

/* Sends a piece of the body; waits while the service does not take it. EMSGSIZE: more than
 * body_size. EPIPE: the service takes no more of it, since it has answered already (413, say) or is
 * gone; the answer can be read. Whoever sends much to a service that answers meanwhile has to read
 * meanwhile, in a task: else each waits for the other. [suspends] */
REEVE_API int reeve_client_write(reeve_client_exchange *exchange, const void *data, size_t size);

/* The body is complete. To be called also when it has a size: EMSGSIZE when less was written. Not
 * needed without reeve_client_write. EPIPE as above. [suspends] */
REEVE_API int reeve_client_finish(reeve_client_exchange *exchange);

/* Waits for the answer's head. *response_out (may be NULL) lives as long as the exchange. Returns
 * the status, or -1. [suspends] */
REEVE_API int reeve_client_head(reeve_client_exchange *exchange,
                                const reeve_client_response **response_out);

/* Reads up to `size` bytes (not 0) of the answer's body, as soon as any are there: their number, 0
 * at its end, or -1. What is not read stays with the service, which has to wait. [suspends] */
REEVE_API ssize_t reeve_client_read(reeve_client_exchange *exchange, void *buffer, size_t size);

/* Ends it. The connection is kept when the answer was read to its end, or nearly. NULL is fine.
 * Keeps errno. Does not suspend. */
REEVE_API void reeve_client_close(reeve_client_exchange *exchange);

/* ---- limits ---- */

/* For the origin of that URL, in this worker, and so for all applications in it: at most so many
 * connections at a time (0: 64) and so many of them kept idle (at most; 16 unless told). Of all
 * origins together 256 are kept idle. 0, or -1: EINVAL and EPROTONOSUPPORT for the URL, ENOSPC for
 * more than 256 origins with limits of their own, ENOMEM. Does not suspend. */
REEVE_API int reeve_client_limit(const char *url, unsigned connections, unsigned idle);

#ifdef __cplusplus
}
#endif
#endif
