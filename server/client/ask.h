/* ask.h: a request, as it is to be sent: checked, its defaults filled in, its head written. No
 * sockets. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include <reeve/client.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "client/url.h"

/* What a redirection may have changed of a request. Everything is borrowed: the request itself, the
 * URL and the body until the answer has come, the method until its end. */
struct ask {
    const reeve_client_request *request;
    const char *text;   /* the URL */
    const char *method; /* never NULL */
    const void *body;   /* NULL: none, or it is still to come */
    size_t body_size;
    bool is_chunked;
    bool is_alone;
    bool was_led_away; /* to another origin than the one that the headers are meant for */
    bool has_lost_body;
    struct url url;
};

/* The limits of a request, in ns; CORO_FOREVER for none. */
struct ask_limits {
    uint64_t connect, answer, idle, whole;
    size_t max_head;
};

/* 0, or EINVAL, EPROTONOSUPPORT, EPERM. */
int ask_init(struct ask *ask, const reeve_client_request *request);
/* The URL of a redirection; `text` has to last as long. */
int ask_set_url(struct ask *ask, const char *text);

/* `whole` is what it is when the request does not say. */
void ask_get_limits(const reeve_client_request *request, double whole,
                    struct ask_limits *limits_out);

/* Appends the head. 0, or EINVAL, EPERM, ENOMEM. */
int ask_write(const struct ask *ask, struct buf *out);

/* The body is still to come, by reeve_client_write. */
static inline bool ask_is_streamed(const struct ask *ask)
{
    return ask->is_chunked || (!ask->body && ask->body_size > 0);
}

/* Carried out twice it does the same as once (RFC 9110, section 9.2.2). */
bool ask_is_idempotent(const struct ask *ask);

#endif
