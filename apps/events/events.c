/* events: a board of messages in the browser, and a clock, by Server-Sent Events. POST /board says
 * something, GET /stream is an EventSource's stream of what is said in all workers, and GET
 * /next?after=ID a long poll: it waits for the next message, for whoever has no EventSource.
 *
 * Each worker keeps the last messages, as they come by publish/subscribe, and each stream is a
 * reader of that with a place of its own: so a slow client costs no memory, and one that comes back
 * (Last-Event-ID) goes on where it was. What was said before the worker began, or while the browser
 * went from an old build to a new one, is not kept: that would be a database's.
 *
 * A deployment does not wait for streams: on_drain ends them, and the browsers connect anew. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <reeve/app.h>
#include <reeve/async.h>
#include <reeve/events.h>
#include <reeve/pubsub.h>

#include "page.h"

#define CHANNEL   "events:board"
#define KEPT      64
#define TEXT_MOST 1000
#define ID_MOST   40
#define PATIENCE  30 /* seconds */

/* The last messages of this worker: the one with the number n is in n % KEPT. */
static struct message {
    char id[ID_MOST]; /* the same in all workers */
    char text[TEXT_MOST + 1];
} kept[KEPT];
static uint64_t count;

/* Broadcast when there is a message, or the streams are to end. A condition wants its mutex. */
static reeve_condition news;
static reeve_mutex mutex;
static bool is_ending;

/* ---- the board ---- */

/* What is published: the id, a line feed, the text. */
static void on_message(reeve_subscription *subscription, const reeve_publication *publication,
                       void *arg)
{
    const char *text = publication->data ? strchr(publication->data, '\n') : NULL;
    struct message *message = &kept[count % KEPT];

    (void)subscription, (void)arg;
    if (!text)
        return; /* only what was missed is told: it cannot be had any more */
    snprintf(message->id, sizeof message->id, "%.*s", (int)(text - (const char *)publication->data),
             (const char *)publication->data);
    snprintf(message->text, sizeof message->text, "%s", text + 1);
    count++;
    reeve_condition_broadcast(&news);
}

/* The number of the message behind the one with this id; those that come from now on, if it is not
 * known any more. */
static uint64_t place_after(const char *id)
{
    uint64_t oldest = count > KEPT ? count - KEPT : 0;

    for (uint64_t n = count; id && n > oldest; n--)
        if (strcmp(kept[(n - 1) % KEPT].id, id) == 0)
            return n;
    return id ? oldest : count;
}

/* ---- POST /board ---- */

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *status,
                  const char *text)
{
    start_response(environ, status, REEVE_HEADERS({"Content-Type", "text/plain; charset=utf-8"}));
    return reeve_write(environ, text, strlen(text));
}

/* All of the body, or -1 with EFBIG: it is longer. */
static ssize_t read_text(reeve_environ *environ, char *text, size_t most)
{
    size_t length = 0;
    ssize_t n = 1;

    while (n > 0 && length <= most) {
        n = reeve_read(environ, text + length, most + 1 - length);
        length += n > 0 ? (size_t)n : 0;
    }
    if (length <= most)
        return n == 0 ? (ssize_t)length : -1;
    errno = EFBIG;
    return -1;
}

static int board(reeve_environ *environ, reeve_start_response *start_response)
{
    char text[TEXT_MOST + 1], line[ID_MOST + TEXT_MOST + 2];
    struct timespec now;
    ssize_t length;
    int size;

    if (strcmp(reeve_method(environ), "POST") != 0)
        return answer(environ, start_response, "405 Method Not Allowed", "Say it with POST.\n");
    length = read_text(environ, text, TEXT_MOST);
    if (length == -1 && errno == EFBIG)
        return answer(environ, start_response, "413 Content Too Large", "That is too long.\n");
    if (length <= 0 || memchr(text, '\0', (size_t)length))
        return length == -1 ? -1
                            : answer(environ, start_response, "400 Bad Request", "Say what?\n");
    /* No other message has this id, of no worker, and not of the build before either. */
    clock_gettime(CLOCK_REALTIME, &now);
    size = snprintf(line, sizeof line, "%lld.%09ld-%d\n%.*s", (long long)now.tv_sec, now.tv_nsec,
                    (int)getpid(), (int)length, text);
    if (reeve_publish(CHANNEL, line, (size_t)size) == -1)
        return -1;
    return answer(environ, start_response, "202 Accepted", "It is on its way.\n");
}

/* ---- GET /stream ---- */

/* In ms: when a stream has ended the browser waits so long before it connects anew. Its own choice
 * would be some seconds. */
static int send_patience(reeve_environ *environ)
{
    static const char retry[] = "retry: 500\n\n";

    return reeve_write(environ, retry, sizeof retry - 1);
}

static int send_clock(reeve_environ *environ)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%lld", (long long)time(NULL));

    return reeve_events_send(environ, "clock", NULL, text, (size_t)length);
}

/* A copy, since others may come while this one is being sent. */
static int send_message(reeve_environ *environ, uint64_t n)
{
    const struct message message = kept[n % KEPT];

    return reeve_events_send(environ, NULL, message.id, message.text, strlen(message.text));
}

/* 0: there may be something new; -1 with ETIMEDOUT after a second. Nothing can be missed: nobody
 * else runs between what a stream has seen and this. */
static int wait_for_news(void)
{
    int result;

    if (reeve_mutex_lock(&mutex, REEVE_FOREVER) == -1)
        return -1;
    result = reeve_condition_wait(&news, &mutex, 1.0);
    reeve_mutex_unlock(&mutex);
    return result;
}

static int stream(reeve_environ *environ, reeve_start_response *start_response)
{
    uint64_t next = place_after(reeve_events_last_id(environ));

    if (reeve_events_begin(environ, start_response) == -1 || send_patience(environ) == -1)
        return -1;
    while (!is_ending) {
        if (next + KEPT < count)
            next = count - KEPT; /* it was too slow for the rest */
        if (next < count) {
            if (send_message(environ, next++) == -1)
                return -1;
        } else if (wait_for_news() == -1) {
            /* A second without news: the clock, which also finds out who has gone. */
            if (errno != ETIMEDOUT || send_clock(environ) == -1)
                return -1;
        }
    }
    return 0;
}

/* ---- GET /next ---- */

/* Answers with a message as it was published, or with 204 when there was none for a while: a proxy
 * between would not wait for ever. */
static int next_message(reeve_environ *environ, reeve_start_response *start_response)
{
    uint64_t next = place_after(reeve_query_get(environ, "after"));
    const struct message *message = &kept[next % KEPT];
    char text[ID_MOST + TEXT_MOST + 2];

    reeve_cancel_when_gone(environ);
    for (int seconds = 0; next == count && seconds < PATIENCE && !is_ending; seconds++)
        if (wait_for_news() == -1 && errno != ETIMEDOUT)
            return -1;
    if (next == count)
        return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
    snprintf(text, sizeof text, "%s\n%s", message->id, message->text);
    return answer(environ, start_response, "200 OK", text);
}

/* ---- the application ---- */

static int page_view(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(
        environ, "200 OK",
        REEVE_HEADERS({"Content-Type", "text/html; charset=utf-8"},
                      {"Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; "
                                                  "style-src 'unsafe-inline'; connect-src *"}));
    return reeve_write(environ, page, sizeof page - 1);
}

static int events(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ);

    if (strcmp(path, "/stream") == 0)
        return stream(environ, start_response);
    if (strcmp(path, "/next") == 0)
        return next_message(environ, start_response);
    if (strcmp(path, "/board") == 0)
        return board(environ, start_response);
    if (strcmp(path, "/") == 0 || !*path)
        return page_view(environ, start_response);
    return answer(environ, start_response, "404 Not Found",
                  "There are a page, /stream, /next and /board.\n");
}

static int init(reeve_module *module)
{
    reeve_condition_init(&news);
    reeve_mutex_init(&mutex);
    if (!reeve_subscribe(module, CHANNEL, on_message, NULL))
        return reeve_refuse(module, "%s: %s", CHANNEL, strerror(errno));
    return 0;
}

static int on_drain(reeve_module *module)
{
    (void)module;
    is_ending = true;
    reeve_condition_broadcast(&news);
    return 0;
}

REEVE_APP(.name = "events", .version = "1.0.0", .application = events, .init = init,
          .on_drain = on_drain);
