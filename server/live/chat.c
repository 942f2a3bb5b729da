/* chat.c: the life of a chat: how it begins, what its news lead to, how it ends, and how it passes
 * to the next build. */
#include "live/chat.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/generation.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/log.h"
#include "live/chat_private.h"
#include "live/pubsub.h"
#include "net/listener.h"
#include "runtime/coro.h"

#define MAX_INPUT    (64u << 10)
#define MAX_OUTPUT   (1u << 20)
#define HIGH_WATER   (64u << 10)
#define LOW_WATER    (16u << 10)
#define IDLE_SECONDS 300.0

const reeve_chat_protocol chat_plain = {REEVE_CHAT_PROTOCOL, .name = ""};

bool chat_is_plain(const struct reeve_chat *chat)
{
    return chat->protocol == &chat_plain;
}

static bool has_callbacks(const struct reeve_chat *chat)
{
    return !chat_is_plain(chat) && !chat->protocol->serve;
}

/* ---- limits ---- */

/* A build's struct may be older, and shorter, than ours. */
#define HAS(protocol, field) \
    ((protocol)->size >= offsetof(reeve_chat_protocol, field) + sizeof((protocol)->field))

size_t chat_max_input(const struct reeve_chat *chat)
{
    return chat->protocol->max_input ? chat->protocol->max_input : MAX_INPUT;
}

size_t chat_max_output(const struct reeve_chat *chat)
{
    return chat->protocol->max_output ? chat->protocol->max_output : MAX_OUTPUT;
}

size_t chat_high_water(const struct reeve_chat *chat)
{
    const reeve_chat_protocol *protocol = chat->protocol;
    size_t most = chat_max_output(chat) / 2;

    if (HAS(protocol, high_water) && protocol->high_water)
        return protocol->high_water;
    return HIGH_WATER < most ? HIGH_WATER : most;
}

size_t chat_low_water(const struct reeve_chat *chat)
{
    const reeve_chat_protocol *protocol = chat->protocol;
    size_t high = chat_high_water(chat);

    if (HAS(protocol, low_water) && protocol->low_water)
        return protocol->low_water < high ? protocol->low_water : high;
    return LOW_WATER < high ? LOW_WATER : high / 4;
}

uint64_t chat_idle_limit(const struct reeve_chat *chat)
{
    const reeve_chat_protocol *protocol = chat->protocol;
    double seconds = HAS(protocol, idle_timeout) ? protocol->idle_timeout : 0;

    if (seconds < 0)
        return 0;
    if (!(seconds > 0)) /* NaN too */
        seconds = IDLE_SECONDS;
    return strand_limit(seconds);
}

/* ---- its end ---- */

void chat_finish(struct reeve_chat *chat)
{
    chat->is_finishing = true;
    session_look_soon(&chat->session);
}

void chat_fail(struct reeve_chat *chat, int error)
{
    if (chat->error)
        return;
    chat->error = error;
    if (has_callbacks(chat) && chat->protocol->handle_error) {
        session_look_soon(&chat->session);
        return;
    }
    chat->is_error_told = true;
    chat_finish(chat);
}

void chat_cut_off(struct reeve_chat *chat, int error)
{
    if (!chat->error)
        member_count(&chat->session.member, cut_off);
    chat_fail(chat, error);
}

/* Whoever wants the end and goes on itself need not be told by a cancellation. */
static void note_own_end(struct reeve_chat *chat)
{
    const struct coro *coro = coro_current();

    if (coro && coro_arg(coro, duty_run) == &chat->session.member.duty)
        chat->is_own_end = true;
}

void reeve_chat_close_when_done(reeve_chat *chat)
{
    note_own_end(chat);
    chat_finish(chat);
}

void chat_let_go(struct reeve_chat *chat)
{
    chat->stage = CHAT_ENDED;
    chat->hook = NULL;
    chat_finish(chat);
}

void reeve_chat_close(reeve_chat *chat)
{
    note_own_end(chat);
    stream_lose(&chat->session.stream, 0);
    if (chat->hook) {
        reeve_scope_forget(chat->hook);
        chat_let_go(chat);
    }
    chat_finish(chat);
}

/* What lies there may be looked at by a callback that waits, so it goes when that has returned. */
static void shut(struct reeve_chat *chat)
{
    struct stream *stream = &chat->session.stream;

    if (chat->session.member.duty.is_working || chat_is_plain(chat)) {
        chat->kept = stream->in;
        stream->in = NULL;
    }
    stream_shut(stream);
}

static void count_open(const struct reeve_chat *chat, bool is_one_more)
{
    struct board_slot *slot = chat->session.stream.net->slot;

    if (!chat->session.stream.listener)
        return;
    if (is_one_more)
        board_add(&slot->chats, 1);
    else
        board_sub(&slot->chats, 1);
}

/* The code of its generation may go with it. */
static void end(struct reeve_chat *chat)
{
    count_open(chat, false);
    buf_give(&chat->session.stream.net->ins, &chat->kept);
    splitter_fini(&chat->splitter);
    session_end(&chat->session);
}

static void free_chat(struct session *session)
{
    free(chat_of(session));
}

static void end_if_done(struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;

    if (chat->session.is_over)
        return;
    if (chat->is_finishing && !chat->output && !stream->is_gone && !stream->is_shutting)
        shut(chat);
    if (stream->is_gone && chat->stage == CHAT_ENDED && !chat->output &&
        !chat->session.member.duty.is_working)
        end(chat);
}

/* ---- news ---- */

/* What an application does for a client that has gone is in vain, unless it says that it is not. */
static void abandon(struct reeve_chat *chat)
{
    const struct config_app *app = chat->session.member.generation->app->config;

    if (app->client_gone == CLIENT_GONE_IGNORE || chat->doing == DEED_CLOSE || chat->is_own_end)
        return;
    chat->is_dropping = true;
    duty_cancel(&chat->session.member.duty);
}

static void notice_gone(struct reeve_chat *chat)
{
    if (!chat->session.stream.is_gone)
        return;
    if (!chat->is_lost && chat->session.stream.error == ETIMEDOUT)
        member_count(&chat->session.member, cut_off);
    chat->is_lost = true;
    if (chat->session.member.duty.is_working)
        abandon(chat);
}

/* It looks for itself what there is. */
static void wake_reader(struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;

    if (chat->reader &&
        (stream->is_readable || stream->is_eof || stream->is_gone || chat->is_finishing))
        coro_wake(chat->reader->coro, 0);
}

/* The alarm is set once, and looks when it rings whether anything has come since. */
static void watch_idleness(struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;
    uint64_t idle, since, now;

    if (!has_callbacks(chat) || chat->is_finishing || stream->is_gone || chat->error ||
        wake_is_set(&chat->session.wake))
        return;
    idle = chat_idle_limit(chat);
    if (idle == 0)
        return;
    now = clock_ns();
    since = stream->received_at > chat->rested_at ? stream->received_at : chat->rested_at;
    if (chat->session.member.duty.is_working || chat->reader)
        since = now;
    if (now < since + idle)
        session_wake_in(&chat->session, since + idle - now);
    else
        chat_cut_off(chat, ETIMEDOUT);
}

/* No callback runs. False: there is one to run. */
static bool proceed(struct reeve_chat *chat)
{
    if (chat->has_waited) {
        chat->has_waited = false;
        chat->rested_at = clock_ns();
    }
    if (!chat_is_plain(chat))
        buf_give(&chat->session.stream.net->ins, &chat->kept);
    if (chat->yields) {
        chat->yields = false;
        session_look_soon(&chat->session);
        return true;
    }
    if (chat_next(chat) != DEED_NONE) {
        duty_begin(&chat->session.member.duty);
        return false;
    }
    if (has_callbacks(chat) && !chat->reader)
        stream_rest(&chat->session.stream);
    return true;
}

static void look(struct session *session)
{
    struct reeve_chat *chat = chat_of(session);

    wake_reader(chat); /* before a cancellation, so that it learns why */
    notice_gone(chat);
    chat_look_at_output(chat);
    if (session->member.duty.is_working) {
        chat->has_waited = true;
        if (!chat->reader)
            stream_look(&session->stream);
    } else if (!proceed(chat)) {
        return; /* what it led to was looked at */
    }
    end_if_done(chat);
    if (session->is_over)
        return;
    watch_idleness(chat);
    member_settle(&session->member);
}

/* ---- from one build to the next ---- */

static bool may_move(const struct reeve_chat *chat)
{
    return has_callbacks(chat) && chat->stage == CHAT_OPEN && !chat->error && !chat->is_finishing &&
           !chat->session.stream.is_gone && !chat->output && !chat->reader;
}

static const reeve_chat_protocol *find_protocol(const reeve_app *app, const char *name)
{
    if (app->chat && strcmp(app->chat->name, name) == 0)
        return app->chat;
    for (size_t i = 0; app->chats && app->chats[i]; i++)
        if (strcmp(app->chats[i]->name, name) == 0)
            return app->chats[i];
    return NULL;
}

static bool adopt(struct member *member, struct generation *to)
{
    struct reeve_chat *chat = chat_of(session_of_member(member));
    const reeve_chat_protocol *protocol;
    bool is_taken;

    if (!may_move(chat) || chat->refused_by == to->number)
        return false;
    protocol = find_protocol(to->descriptor, chat->protocol->name);
    if (!protocol || !protocol->adopt || protocol->serve)
        return false;
    room_do(to->app->room, STEP_HANDOVER, to);
    is_taken = protocol->adopt(chat, chat->protocol->version) == 0;
    room_do(to->app->room, STEP_NONE, to);
    if (!is_taken) {
        chat->refused_by = to->number;
        return false;
    }
    chat->protocol = protocol;
    wake_stop(&chat->session.wake); /* its limits may be others */
    session_look_soon(&chat->session);
    return true;
}

static void farewell(struct member *member)
{
    struct reeve_chat *chat = chat_of(session_of_member(member));

    if (chat->is_finishing || chat->stage == CHAT_ENDED || chat->session.stream.is_gone)
        return;
    if (chat->stage == CHAT_OPEN && chat->protocol->farewell)
        chat->protocol->farewell(chat);
    chat_finish(chat);
}

/* ---- what is published ---- */

static void forward(struct session *session, struct forward *to, struct publication *publication)
{
    struct reeve_chat *chat = chat_of(session);
    size_t size;

    reeve_shared_data(publication->shared, &size);
    if (to->slow == REEVE_SLOW_DROP_OLDEST &&
        reeve_chat_pending(chat) + size > chat_max_output(chat))
        return;
    reeve_chat_push_shared(chat, publication->shared);
}

int reeve_chat_subscribe(reeve_chat *chat, const char *channel, reeve_slow slow)
{
    if (reeve_chat_is_gone(chat)) {
        errno = EPIPE;
        return -1;
    }
    return pubsub_forward(&chat->session, channel, 0, slow);
}

int reeve_chat_unsubscribe(reeve_chat *chat, const char *channel)
{
    return pubsub_unforward(&chat->session, channel);
}

/* ---- its begin ---- */

static const struct session_kind kind = {
    .member = {.adopt = adopt, .farewell = farewell},
    .look = look,
    .forward = forward,
    .free = free_chat,
};

struct reeve_chat *chat_new(void)
{
    return calloc(1, sizeof(struct reeve_chat));
}

void chat_begin(struct reeve_chat *chat, struct generation *generation,
                const reeve_chat_protocol *protocol)
{
    chat->protocol = protocol;
    splitter_init(&chat->splitter);
    session_begin(&chat->session, &kind, generation, chat_work);
    count_open(chat, true);
    if (chat_is_plain(chat))
        chat->stage = CHAT_OPEN;
    else
        duty_begin(&chat->session.member.duty);
}

void chat_accept(struct net *net, int fd, const struct listener *listener,
                 const struct sockaddr *peer)
{
    const struct room *room = net->app;
    const struct config_listen *listen = &room->config->listens[listener_index(listener)];
    struct generation *generation = room->apps[listen->app_index].live;
    struct reeve_chat *chat = NULL;

    if (generation && generation->descriptor->chat)
        chat = chat_new();
    if (!chat) {
        close(fd);
        return;
    }
    if (stream_open(&chat->session.stream, net, fd, listener, peer) == -1)
        free(chat);
    else
        chat_begin(chat, generation, generation->descriptor->chat);
}

/* ---- what applications ask ---- */

void reeve_chat_set_data(reeve_chat *chat, void *data)
{
    chat->session.data = data;
}

void *reeve_chat_data(const reeve_chat *chat)
{
    return chat->session.data;
}

reeve_module *reeve_chat_module(const reeve_chat *chat)
{
    return generation_module(chat->session.member.generation);
}

const char *reeve_chat_peer(reeve_chat *chat)
{
    return session_peer(&chat->session);
}

const char *reeve_chat_listener(const reeve_chat *chat)
{
    return session_listener(&chat->session);
}

bool reeve_chat_is_gone(const reeve_chat *chat)
{
    return chat->session.stream.is_gone || chat->is_finishing;
}

/* One whose handle_close has been called may have nothing left to look at. */
static bool is_there(const struct reeve_chat *chat)
{
    return !chat_is_plain(chat) && chat->stage == CHAT_OPEN && chat->doing != DEED_CLOSE;
}

int reeve_chat_each(reeve_module *module, int (*each)(reeve_chat *chat, void *arg), void *arg)
{
    struct member *member, *next;
    struct reeve_chat *chat;
    int result = 0;

    for (member = LIST_FIRST(&generation_of(module)->members); member && result == 0;
         member = next) {
        next = LIST_NEXT(member, entry);
        if (member->kind != &kind.member)
            continue;
        chat = chat_of(session_of_member(member));
        if (is_there(chat))
            result = each(chat, arg);
    }
    return result;
}
