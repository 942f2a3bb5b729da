/* fetch.c: the simple call: a request, redirections if they are wanted, and the whole answer. */
#include <errno.h>
#include <reeve/client.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/exchange.h"
#include "client/origin.h"
#include "client/response.h"
#include "runtime/coro.h"

#define WHOLE_TIMEOUT 60.0
#define MAX_BODY      (8u << 20)
#define FIRST_ROOM    8192

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- the body ---- */

/* Room for at least one more byte, and for the NUL. What is declared was checked against max_body,
 * and costs no memory before it comes. */
static int make_room(const struct reeve_client_exchange *exchange, size_t *room)
{
    struct reeve_client_response *answer = exchange->answer;
    size_t wanted = answer->head.has_length ? (size_t)answer->head.content_length : FIRST_ROOM;
    char *body;

    if (answer->body_size < *room)
        return 0;
    if (*room > 0)
        wanted = *room * 2;
    body = realloc(answer->body, wanted + 1);
    if (!body)
        return fail(ENOMEM);
    answer->body = body;
    *room = wanted;
    return 0;
}

static int read_body(struct reeve_client_exchange *exchange)
{
    struct reeve_client_response *answer = exchange->answer;
    size_t room = 0;
    ssize_t n;

    while (!exchange->is_read) {
        if (answer->head.has_length && answer->body_size == answer->head.content_length)
            break;
        if (make_room(exchange, &room) == -1)
            return -1;
        n = exchange_read(exchange, answer->body + answer->body_size, room - answer->body_size);
        if (n == -1)
            return -1;
        if (n == 0)
            break;
        answer->body_size += (size_t)n;
    }
    if (answer->body)
        answer->body[answer->body_size] = '\0';
    return 0;
}

/* ---- one request ---- */

/* NULL with errno. ends_at is set by the first. */
static reeve_client_response *fetch_once(const struct ask *ask, uint64_t *ends_at, const void *site)
{
    const reeve_client_request *request = ask->request;
    struct reeve_client_exchange exchange = {
        .ask = *ask,
        .ends_at = *ends_at,
        .max_body = request->max_body ? request->max_body : MAX_BODY,
        .site = site,
    };
    reeve_client_response *answer = NULL;
    int result = exchange_begin(&exchange, WHOLE_TIMEOUT);

    *ends_at = exchange.ends_at;
    if (result == 0)
        result = exchange_head(&exchange);
    if (result == 0)
        result = read_body(&exchange);
    if (result == 0) {
        answer = exchange.answer;
        exchange.is_answer_taken = true;
    }
    exchange_end(&exchange);
    return answer;
}

/* ---- redirections ---- */

static bool is_redirection(const reeve_client_response *answer)
{
    switch (answer->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return reeve_client_header(answer, "Location") != NULL;
    default:
        return false;
    }
}

/* RFC 9110, section 15.4. */
static void change_method(struct ask *ask, int status)
{
    bool is_post = strcmp(ask->method, "POST") == 0;

    if (!(status == 303 && strcmp(ask->method, "HEAD") != 0) &&
        !((status == 301 || status == 302) && is_post))
        return;
    ask->method = "GET";
    ask->body = NULL;
    ask->body_size = 0;
    ask->has_lost_body = true;
}

/* The request goes to `url` from now on, which has to last as long. 0 or an errno value. */
static int redirect(struct ask *ask, int status, const char *url)
{
    struct url before = ask->url;
    int error = ask_set_url(ask, url);

    if (error)
        return error == EINVAL ? EBADMSG : error;
    if (strcmp(before.origin, ask->url.origin) != 0)
        ask->was_led_away = true;
    change_method(ask, status);
    return 0;
}

/* Follows what it has to. NULL with errno. */
static reeve_client_response *fetch_all(struct ask *ask, const void *site)
{
    unsigned left = ask->request->max_redirects;
    uint64_t ends_at = 0;
    char *url = NULL, *next;
    reeve_client_response *answer;
    int error = 0;

    while ((answer = fetch_once(ask, &ends_at, site)) && ask->request->max_redirects > 0 &&
           is_redirection(answer) && !error) {
        next = NULL;
        if (left-- == 0)
            error = ELOOP;
        else if (!(next = url_resolve(ask->text, reeve_client_header(answer, "Location"))))
            error = errno;
        else
            error = redirect(ask, answer->status, next);
        reeve_client_response_free(answer);
        answer = NULL;
        free(url);
        url = next;
        if (error)
            break;
    }
    if (!answer && !error)
        error = errno;
    free(url);
    errno = error;
    return answer;
}

/* ---- the call ---- */

int reeve_client_fetch(const reeve_client_request *request, reeve_client_response **response_out)
{
    struct ask ask;
    reeve_client_response *answer;
    int error = ask_init(&ask, request);

    if (error)
        return fail(error);
    if (ask_is_streamed(&ask))
        return fail(EINVAL);
    answer = fetch_all(&ask, __builtin_return_address(0));
    if (!answer)
        return -1;
    if ((error = client_keep_response(answer))) {
        reeve_client_response_free(answer);
        return fail(error);
    }
    *response_out = answer;
    return 0;
}
