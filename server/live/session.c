/* session.c: see session.h. */
#include "live/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "app/generation.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/sock.h"
#include "live/pubsub.h"
#include "net/listener.h"
#include "runtime/coro.h"

/* ---- its end ---- */

static bool is_used(const struct session *session)
{
    return session->users > 0 || session->member.duty.is_working;
}

static void free_if_over(struct session *session)
{
    if (session->is_over && !is_used(session))
        session->kind->free(session);
}

void session_use(struct session *session)
{
    session->users++;
}

void session_drop(struct session *session)
{
    session->users--;
    free_if_over(session);
}

void session_close(struct session *session)
{
    if (!session->has_stream)
        return;
    session->has_stream = false;
    session->stream.is_gone = true; /* for whoever still looks */
    stream_free(&session->stream);
    wake_stop(&session->wake);
    line_dismiss(&session->writers, EPIPE);
    pubsub_drop_session(session);
}

void session_leave(struct session *session)
{
    if (!session->is_member)
        return;
    session->is_member = false;
    duty_fini(&session->member.duty);
    member_leave(&session->member);
}

void session_end(struct session *session)
{
    if (session->is_over)
        return;
    session_close(session);
    session->is_over = true;
    soon_cancel(&session->soon);
    free(session->peer);
    session->peer = NULL;
    session_leave(session);
}

/* ---- news ---- */

static void look(struct session *session)
{
    session_use(session);
    if (!session->is_over)
        session->kind->look(session);
    if (!session->is_over && session->has_stream)
        stream_flush(&session->stream);
    session_drop(session);
}

static void on_input(struct stream *stream)
{
    look(stream->arg);
}

static void on_room(struct stream *stream)
{
    struct session *session = stream->arg;

    while (line_give(&session->writers))
        ;
    look(session);
}

static void on_gone(struct stream *stream)
{
    struct session *session = stream->arg;

    line_dismiss(&session->writers, EPIPE);
    look(session);
}

static const struct stream_owner owner = {
    .on_input = on_input, .on_room = on_room, .on_gone = on_gone};

static void on_wake(struct wake *wake)
{
    look((struct session *)((char *)wake - offsetof(struct session, wake)));
}

static void on_soon(void *arg)
{
    look(arg);
}

void session_look_soon(struct session *session)
{
    if (!session->is_over)
        soon_call(&session->soon, on_soon, session);
}

void session_wake_in(struct session *session, uint64_t ns)
{
    if (wake_start(&session->wake, ns, session->stream.net->base, on_wake) == -1)
        stream_lose(&session->stream, ENOMEM);
}

/* ---- its begin ---- */

struct session *session_of_member(struct member *member)
{
    return (struct session *)((char *)member - offsetof(struct session, member));
}

struct session *session_of_duty(const struct duty *duty)
{
    return session_of_member(duty->member);
}

/* It may move only between two callbacks, and only now is it known to be there. */
static void on_rest(struct duty *duty)
{
    struct session *session = session_of_duty(duty);

    session_use(session);
    if (session->has_stream)
        stream_flush(&session->stream);
    if (session->is_member && !duty->is_working)
        member_settle(&session->member);
    look(session);
    session_drop(session);
}

void session_begin(struct session *session, const struct session_kind *kind,
                   struct generation *generation, void (*work)(struct duty *duty))
{
    session->kind = kind;
    session->has_stream = session->is_member = true;
    TAILQ_INIT(&session->writers);
    LIST_INIT(&session->forwards);
    stream_set_owner(&session->stream, &owner, session);
    duty_init(&session->member.duty, &session->member, work, on_rest);
    member_join(&session->member, &kind->member, generation, !session->stream.listener);
}

/* ---- writing ---- */

void session_flush(struct session *session)
{
    if (session->has_stream)
        stream_flush(&session->stream);
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static int wait_room(struct session *session, double seconds)
{
    struct line_place place;
    int reason;

    session_use(session);
    stream_want_room(&session->stream, session->low);
    reason = line_wait(&session->writers, &place, "room to write", strand_limit(seconds));
    session_drop(session);
    return reason ? fail(reason) : 0;
}

int session_wait_room(struct session *session, size_t high, size_t low, double seconds)
{
    if (!coro_current())
        return fail(EDEADLK);
    session_flush(session);
    if (!session->has_stream || session->stream.is_gone)
        return fail(EPIPE);
    session->low = low;
    return session->stream.unsent > high ? wait_room(session, seconds) : 0;
}

/* ---- facts ---- */

const char *session_peer(struct session *session)
{
    char host[64];
    unsigned port;
    bool is_v6;

    if (session->peer)
        return session->peer;
    sock_peer_text(&session->stream.peer.any, host, sizeof host, &port);
    is_v6 = strchr(host, ':') != NULL;
    if (!host[0])
        session->peer = strdup("unix");
    else if (asprintf(&session->peer, is_v6 ? "[%s]:%u" : "%s:%u", host, port) == -1)
        session->peer = NULL;
    return session->peer ? session->peer : "";
}

const char *session_listener(const struct session *session)
{
    const struct config *config = session->member.generation->app->room->config;

    return session->stream.listener ? config->listens[listener_index(session->stream.listener)].name
                                    : "";
}
