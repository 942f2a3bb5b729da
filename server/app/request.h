/* request.h: one request while an app has it: `struct reeve_environ` to the application.
 *
 * Lifetime: from a complete head to conn_finish; pooled by the room. All its memory is in its
 * arena. It holds its generation. Strings of the head lie in the connection's buffer, which does
 * not move meanwhile. */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "app/room.h"
#include "base/arena.h"
#include "http/head.h"
#include "runtime/limit.h"

struct conn;
struct coro;
struct filters;
struct flight_row;
struct generation;
struct strand;
struct stream;

/* How far the response is. */
enum response_state {
    RESPONSE_NONE,    /* start_response was not called */
    RESPONSE_STARTED, /* status line and the app's headers are gathered, and held: they may be
                         replaced */
    RESPONSE_GUESSED, /* ... and the rest of the head, with a Content-Length of what the body is so
                         far: held, it may grow */
    RESPONSE_SENDING, /* the head is settled; body bytes leave */
    RESPONSE_ENDED    /* nothing can be added */
};

enum response_framing {
    FRAMING_LENGTH,   /* Content-Length of the server's making */
    FRAMING_DECLARED, /* the application's own */
    FRAMING_CHUNKED,
    FRAMING_CLOSE, /* HTTP/1.0: until the connection closes */
    FRAMING_NONE   /* 204 and 304: no body and no length */
};

struct response {
    enum response_state state;
    enum response_framing framing;
    int status;
    bool drops_body;    /* HEAD, 204, 304: bytes are counted, not sent */
    bool is_keep_alive; /* what the head says */
    bool is_broken; /* a part of the body could not be sent: what follows would be taken for it */
    bool has_date, has_server;
    uint64_t declared; /* FRAMING_DECLARED */
    uint64_t body;     /* bytes the application gave so far */
    uint64_t guess;    /* the Content-Length that a RESPONSE_GUESSED head says */
    /* While it is held: how long it is, and from its first byte where its tail (framing,
     * Connection, empty line) and the body begin. */
    size_t held, tail_at, body_at;
};

/* What the application has bound itself to by its status and headers. */
struct response_promise {
    bool is_declared; /* how long the body is */
    bool drops_body;  /* HEAD, 204, 304 */
    uint64_t declared;
};

struct on_close {
    SLIST_ENTRY(on_close) entry;
    void (*callback)(void *arg);
    void *arg;
};

/* reeve_environ_set: looked at before everything else; value NULL: removed. */
struct override {
    SLIST_ENTRY(override) entry;
    const char *name;
    const char *value;
};

/* reeve_environ_set_data. */
struct attachment {
    SLIST_ENTRY(attachment) entry;
    const void *key;
    void *data;
};

struct reeve_environ {
    struct conn *conn;
    struct room *room;
    struct generation *generation; /* NULL: none was found, the server answers */
    struct tenure *tenure;         /* its, when this began */
    struct coro *coro;             /* its, once it has waited */
    struct strand *strand;         /* its, once it was asked for */
    struct flight_row *flight;     /* NULL: it is not recorded */
    struct filters *filters;       /* filter.c's; NULL: none */
    struct limit limit;            /* overdue.c's */
    struct head head;
    struct response response;
    uint64_t id;
    uint64_t body_read;
    int read_error; /* errno of a failed reeve_read: decides the status of an answer that is
                        missing */
    int result;     /* of the application */

    char *path;           /* decoded, whole */
    size_t mount_length;  /* of `path`: SCRIPT_NAME, then PATH_INFO */
    uint64_t retry_after; /* seconds, of an answer of the server's own; 0: it does not say */
    reeve_iterable iterable;
    bool has_iterable;
    bool is_iterating;
    bool has_returned;     /* the application: only its tasks may run on */
    bool has_ended;        /* ... and they do not: it reads and writes no more */
    bool is_overdue;       /* it was cancelled at request_timeout */
    bool is_abandoned;     /* ... since its client has gone */
    bool ends_with_client; /* it is to be, as soon as that has ended its side */
    bool must_close;       /* where the next request begins is not known */
    bool is_upgraded;      /* its connection is none of HTTP's any more */
    SLIST_HEAD(, on_close) on_close;
    SLIST_HEAD(, override) overrides;
    SLIST_HEAD(, attachment) attachments;

    struct arena arena;
    SLIST_ENTRY(reeve_environ) idle;
    char first[1400]; /* of the arena */
};

struct reeve_environ *request_new(struct room *room, struct conn *conn);
void request_free(struct reeve_environ *request);
/* Frees those at rest. */
void request_trim(struct room *room);

/* 16 hexadecimal digits in the request's memory. */
const char *request_id_text(const struct reeve_environ *request);

/* ---- respond.c ---- */

/* What the application calls start_response. */
reeve_start_response *response_start(void);
/* The same, past the filters. */
int response_begin(struct reeve_environ *request, const char *status, const reeve_header *headers);
/* The same checks, and what would be promised. What was not sent is forgotten, and nothing begun. */
int response_try(struct reeve_environ *request, const char *status, const reeve_header *headers,
                 struct response_promise *promise_out);

/* Holds the head, complete with the guess that the body is `size` bytes, until it is settled. Only
 * before RESPONSE_SENDING, without a length of the application's own. 0, or -1 with errno. */
int response_guess(struct reeve_environ *request, size_t size);
/* The head is settled now, whatever follows: bytes may leave. 0, or -1 with errno. */
int response_settle(struct reeve_environ *request);
/* The last `size` gathered bytes are the response so far, and do not leave yet. */
void response_hold(struct reeve_environ *request, size_t size);
/* The application declared a length, and gave less. */
bool response_is_short(const struct reeve_environ *request);
/* What reeve_write does; `site` is where in the application's code it was called. */
int response_write(struct reeve_environ *request, const struct iovec *pieces, int count,
                   const void *site);
/* The same, past the filters; and what reeve_flush and reeve_send_file do there. */
int response_put(struct reeve_environ *request, const struct iovec *pieces, int count,
                 const void *site);
int response_flush(struct reeve_environ *request, const void *site);
int response_send_file(struct reeve_environ *request, int fd, off_t offset, size_t size,
                       const void *site);
/* The response is complete: settles the head, ends the body. */
void response_end(struct reeve_environ *request);
/* The application waits: what it gathered leaves now. */
void response_release(struct reeve_environ *request);
/* Forgets what was not sent. False when bytes were sent already. */
bool response_retract(struct reeve_environ *request);

/* ---- upgrade.c ---- */

/* Takes the socket away, into a stream that is all zero: the request is answered with 101, which is
 * the caller's to send. What the client sends behind its head is the stream's. 0, or -1: EALREADY,
 * bytes of a response were sent; ENOMEM. */
int request_upgrade(struct reeve_environ *request, struct stream *stream);

/* ---- error.c ---- */

/* Answers in the server's own name, in place of anything unsent. */
void error_answer(struct reeve_environ *request, int status);

/* ---- call.c ---- */

/* net's callback: parse, look up, prepare, call; the rest follows when the application has
 * ended. */
void call_on_request(struct conn *conn);
/* ... and for bytes that are no head: the server's own answer. */
void call_on_refused(struct conn *conn, int status);
/* ... and for one whose client has gone meanwhile. */
void call_on_gone(struct conn *conn);
/* What a request's coroutine runs; arg is the request. */
void call_run(void *arg);

#endif
