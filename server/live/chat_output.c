/* chat_output.c: what a chat sends: bytes, which the stream takes at once, and producers, which are
 * asked for pieces one after the other while there is room; what is pushed behind a producer waits
 * here until that is through. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/descriptors.h"
#include "app/generation.h"
#include "app/strand.h"
#include "base/buf.h"
#include "base/holder.h"
#include "base/log.h"
#include "live/chat_private.h"
#include "live/shared.h"
#include "net/net.h"
#include "net/stream.h"
#include "runtime/coro.h"
#include "runtime/fdwait.h"

/* Pieces in a row before others have their turn. */
#define PIECES_IN_A_ROW 32
/* What a producer counts for, beside the bytes that wait. */
#define PRODUCER_WEIGHT 256

/* One of three: some bytes, somebody's shared ones, a producer. */
struct item {
    TAILQ_ENTRY(item) entry;
    struct buf *bytes;
    struct payload *payload;
    reeve_iterable producer;
};

TAILQ_HEAD(item_list, item);

struct chat_output {
    struct duty pump;
    struct item_list items;
    struct item_list dropped; /* producers that are only to be closed */
    struct item *asked;       /* the producer whose next runs; NULL: none, or it was dropped */
    struct line waiters;      /* in reeve_chat_write, until all is with the stream */
    size_t queued, weight;    /* bytes in `items`; of the producers */
    bool is_paused;           /* until low_water */
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- the queue ---- */

static void free_item(struct reeve_chat *chat, struct item *item)
{
    buf_give(&chat->session.stream.net->outs, &item->bytes);
    payload_unref(item->payload);
    free(item);
}

static size_t size_of(const struct item *item)
{
    if (item->bytes)
        return buf_length(item->bytes);
    return item->payload ? item->payload->size : 0;
}

static bool is_producer(const struct item *item)
{
    return !item->bytes && !item->payload;
}

static void take_off(struct chat_output *output, struct item *item)
{
    TAILQ_REMOVE(&output->items, item, entry);
    output->queued -= size_of(item);
    if (is_producer(item))
        output->weight -= PRODUCER_WEIGHT;
}

static struct item *add_item(struct chat_output *output)
{
    struct item *item = calloc(1, sizeof *item);

    if (item)
        TAILQ_INSERT_TAIL(&output->items, item, entry);
    else
        errno = ENOMEM;
    return item;
}

static bool is_empty(const struct chat_output *output)
{
    return TAILQ_EMPTY(&output->items) && TAILQ_EMPTY(&output->dropped);
}

/* Small pieces that come together share a buffer. */
static int queue_bytes(struct reeve_chat *chat, const void *data, size_t size)
{
    struct chat_output *output = chat->output;
    struct item *last = TAILQ_LAST(&output->items, item_list);

    if (!last || !last->bytes) {
        struct buf *bytes = buf_take(&chat->session.stream.net->outs);

        last = bytes ? add_item(output) : NULL;
        if (!last) {
            buf_give(&chat->session.stream.net->outs, &bytes);
            return fail(ENOMEM);
        }
        last->bytes = bytes;
    }
    if (buf_append(last->bytes, data, size) == -1)
        return -1;
    output->queued += size;
    return 0;
}

static int queue_payload(struct chat_output *output, struct payload *payload)
{
    struct item *item = add_item(output);

    if (!item)
        return -1;
    item->payload = payload_ref(payload);
    output->queued += payload->size;
    return 0;
}

/* ---- the pump ---- */

static void close_producer(struct item *item)
{
    reeve_iterable producer = item->producer;

    free(item);
    if (producer.close)
        producer.close(producer.state);
}

static int send_item(struct reeve_chat *chat, const struct item *item)
{
    struct stream *stream = &chat->session.stream;

    if (item->payload)
        return stream_send_payload(stream, item->payload);
    return stream_send(stream, buf_bytes(item->bytes), buf_length(item->bytes));
}

static void complain(const struct reeve_chat *chat, int error)
{
    const struct generation *generation = chat->session.member.generation;

    log_warnx("%s %llu: a producer of the chat protocol \"%s\" failed: %s",
              generation->app->config->name, (unsigned long long)generation->number,
              chat->protocol->name, strerror(error));
    member_failed(&chat->session.member);
}

/* False: nothing more comes from it. */
static bool ask(struct reeve_chat *chat, struct item *item)
{
    struct chat_output *output = chat->output;
    const void *data = NULL;
    size_t size = 0;
    int result;

    output->asked = item;
    errno = 0;
    result = item->producer.next(item->producer.state, &data, &size);
    if (output->asked != item)
        return true; /* it was dropped, and will be closed as such */
    output->asked = NULL;
    if (result == 1 && stream_send(&chat->session.stream, data, size) == 0)
        return true;
    if (result != 0 && !chat->session.stream.is_gone) {
        int error = errno ? errno : EIO;

        complain(chat, error);
        chat->session.stream.wants_reset = true; /* what was sent of it is not taken for all */
        stream_lose(&chat->session.stream, error);
    }
    return false;
}

/* False: there is no room. */
static bool has_room(struct reeve_chat *chat)
{
    struct stream *stream = &chat->session.stream;

    if (stream->unsent < chat_high_water(chat))
        return true;
    stream_flush(stream);
    return stream->unsent < chat_high_water(chat);
}

/* False: nothing can be done at present. */
static bool pump_once(struct reeve_chat *chat)
{
    struct chat_output *output = chat->output;
    struct item *item = TAILQ_FIRST(&output->dropped);

    if (item) {
        TAILQ_REMOVE(&output->dropped, item, entry);
        close_producer(item);
        return true;
    }
    item = TAILQ_FIRST(&output->items);
    if (!item || chat->session.stream.is_gone)
        return false;
    if (!is_producer(item)) {
        if (send_item(chat, item) == -1)
            stream_lose(&chat->session.stream, errno);
        take_off(output, item);
        free_item(chat, item);
        return true;
    }
    if (!has_room(chat)) {
        output->is_paused = true;
        stream_want_room(&chat->session.stream, chat_low_water(chat));
        return false;
    }
    if (!ask(chat, item)) {
        take_off(output, item);
        close_producer(item);
    }
    return true;
}

static void work(struct duty *duty)
{
    struct reeve_chat *chat = chat_of(session_of_duty(duty));

    for (unsigned i = 0; i < PIECES_IN_A_ROW && pump_once(chat); i++) {
        duty_end_call(duty);
        if (coro_current() && coro_cancelled(coro_current()))
            return;
    }
}

/* Goes on, if there is something to do, in the loop's next round: others have their turn. */
static void on_rest(struct duty *duty)
{
    struct session *session = session_of_duty(duty);

    session_flush(session);
    session_look_soon(session);
    if (!duty->is_working)
        session_drop(session);
}

static struct chat_output *need_output(struct reeve_chat *chat)
{
    struct chat_output *output = chat->output;

    if (output)
        return output;
    output = calloc(1, sizeof *output);
    if (!output) {
        errno = ENOMEM;
        return NULL;
    }
    duty_init(&output->pump, &chat->session.member, work, on_rest);
    TAILQ_INIT(&output->items);
    TAILQ_INIT(&output->dropped);
    TAILQ_INIT(&output->waiters);
    chat->output = output;
    return output;
}

/* Producers that go unasked are still closed, in the application's code, by the pump. */
static void drop_all(struct reeve_chat *chat)
{
    struct chat_output *output = chat->output;
    struct item *item;

    if (output->asked && (!coro_current() || coro_arg(coro_current(), duty_run) != &output->pump))
        duty_cancel(&output->pump);
    output->asked = NULL;
    while ((item = TAILQ_FIRST(&output->items))) {
        take_off(output, item);
        if (is_producer(item))
            TAILQ_INSERT_TAIL(&output->dropped, item, entry);
        else
            free_item(chat, item);
    }
}

static void release(struct reeve_chat *chat)
{
    struct chat_output *output = chat->output;

    chat->output = NULL;
    line_dismiss(&output->waiters, 0);
    duty_fini(&output->pump);
    free(output);
}

static bool must_wait(const struct reeve_chat *chat)
{
    const struct chat_output *output = chat->output;

    return output->is_paused && TAILQ_EMPTY(&output->dropped) &&
           chat->session.stream.unsent > chat_low_water(chat);
}

void chat_look_at_output(struct reeve_chat *chat)
{
    struct chat_output *output = chat->output;

    if (!output)
        return;
    if (chat->session.stream.is_gone) {
        drop_all(chat);
        line_dismiss(&output->waiters, EPIPE);
    }
    if (output->pump.is_working)
        return;
    if (is_empty(output)) {
        release(chat);
        return;
    }
    if (must_wait(chat))
        return;
    output->is_paused = false;
    session_use(&chat->session);
    duty_begin(&output->pump);
}

/* ---- what applications push ---- */

size_t reeve_chat_pending(const reeve_chat *chat)
{
    return chat->session.stream.unsent + (chat->output ? chat->output->queued : 0);
}

static bool is_too_much(const struct reeve_chat *chat, size_t more)
{
    size_t waiting = reeve_chat_pending(chat) + (chat->output ? chat->output->weight : 0);

    return waiting + more > chat_max_output(chat);
}

/* It does not read, or not fast enough. What it has not taken is not kept for it any longer. */
static int give_up(struct reeve_chat *chat)
{
    struct stream *stream = &chat->session.stream;

    stream->wants_reset = true;
    stream_lose(stream, ENOBUFS);
    stream_discard(stream);
    chat_cut_off(chat, ENOBUFS);
    return fail(ENOBUFS);
}

/* What the kernel takes does not wait. */
static int make_room(struct reeve_chat *chat, size_t size)
{
    if (reeve_chat_is_gone(chat))
        return fail(EPIPE);
    if (!is_too_much(chat, size))
        return 0;
    session_flush(&chat->session);
    if (chat->session.stream.is_gone)
        return fail(EPIPE);
    return is_too_much(chat, size) ? give_up(chat) : 0;
}

static int count_sent(const struct reeve_chat *chat, int result)
{
    if (result == 0)
        member_count(&chat->session.member, messages_out);
    return result;
}

int reeve_chat_push(reeve_chat *chat, const void *data, size_t size)
{
    if (make_room(chat, size) == -1)
        return -1;
    return count_sent(chat, chat->output ? queue_bytes(chat, data, size)
                                         : stream_send(&chat->session.stream, data, size));
}

int reeve_chat_push_shared(reeve_chat *chat, reeve_shared *shared)
{
    struct payload *payload = shared->forms[SHARED_BYTES];

    if (make_room(chat, payload->size) == -1)
        return -1;
    return count_sent(chat, chat->output ? queue_payload(chat->output, payload)
                                         : stream_send_payload(&chat->session.stream, payload));
}

int reeve_chat_printf(reeve_chat *chat, const char *format, ...)
{
    char text[512], *longer = NULL;
    va_list args;
    int length, result;

    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0)
        return fail(EINVAL);
    if ((size_t)length >= sizeof text) {
        va_start(args, format);
        length = vasprintf(&longer, format, args);
        va_end(args);
        if (length < 0)
            return fail(ENOMEM);
    }
    result = reeve_chat_push(chat, longer ? longer : text, (size_t)length);
    free(longer);
    return result;
}

int reeve_chat_push_with_producer(reeve_chat *chat, reeve_iterable producer)
{
    struct item *item;

    if (!producer.next)
        return fail(EINVAL);
    if (make_room(chat, PRODUCER_WEIGHT) == -1)
        return -1;
    item = need_output(chat) ? add_item(chat->output) : NULL;
    if (!item)
        return -1;
    item->producer = producer;
    chat->output->weight += PRODUCER_WEIGHT;
    session_look_soon(&chat->session);
    return count_sent(chat, 0);
}

/* ---- waiting until it has left ---- */

/* The producers before it are through. */
static int wait_for_producers(struct reeve_chat *chat, uint64_t deadline)
{
    struct line_place place;
    int reason;

    if (!coro_current() || coro_arg(coro_current(), duty_run) == &chat->output->pump)
        return fail(EDEADLK); /* it would wait for itself */
    reason = line_wait(&chat->output->waiters, &place, "producers", deadline_left(deadline));
    return reason ? fail(reason) : 0;
}

static int wait_below(struct reeve_chat *chat, double seconds)
{
    uint64_t deadline = deadline_after(seconds), left;
    size_t high = chat_high_water(chat), low = chat_low_water(chat);

    if (reeve_chat_pending(chat) <= high)
        return 0;
    if (chat->output && wait_for_producers(chat, deadline) == -1)
        return -1;
    left = deadline_left(deadline);
    return session_wait_room(&chat->session, high, low,
                             left == CORO_FOREVER ? REEVE_FOREVER : (double)left / NS_PER_SEC);
}

int reeve_chat_write(reeve_chat *chat, const void *data, size_t size, double seconds)
{
    int reason = 0, result;

    coro_note(CALL_CHAT_WRITE, __builtin_return_address(0));
    session_use(&chat->session);
    if (coro_current())
        reason = fd_take_turns();
    if (reason)
        result = fail(reason);
    else if (reeve_chat_push(chat, data, size) == -1)
        result = -1;
    else
        result = wait_below(chat, seconds);
    reason = errno;
    session_drop(&chat->session);
    errno = reason;
    return result;
}

void reeve_chat_discard_buffers(reeve_chat *chat)
{
    struct stream *stream = &chat->session.stream;

    if (!chat->session.has_stream)
        return;
    if (chat->output)
        drop_all(chat);
    stream_discard(stream);
    chat->sealed = NULL; /* what lies there is nobody's any more */
    if (stream->in)
        stream_consume(stream, stream_length(stream));
    splitter_forget(&chat->splitter);
    if (chat->reader && chat->reader->splitter)
        splitter_forget(chat->reader->splitter);
    session_look_soon(&chat->session);
}
