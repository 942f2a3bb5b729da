/* listener.c: one raw event a socket; the accept queue is shared with the other workers. */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/net.h"

/* A burst is shared with the siblings, and running requests are not kept waiting. */
#define ACCEPTS_A_WAKE 16
/* A sibling that is idle needs less than a millisecond. When they all together have left something
 * for so long none is, whatever the scoreboard says, and for a while nothing is left to them: each
 * time for longer, until one of them has taken something. */
#define YIELD     (1 * NS_PER_MS)
#define PATIENCE  (4 * NS_PER_MS)
#define ALONE_MIN (1 * NS_PER_MS)
#define ALONE_MAX (64 * NS_PER_MS)
/* Who has run out of descriptors has so for a while, and tries often. */
#define COMPLAIN_EVERY (10 * NS_PER_SEC)

struct listener {
    struct event event;
    struct event retry; /* while paused, in case no connection closes */
    struct event yield; /* pending: the siblings have the next connections */
    struct net *net;
    LIST_ENTRY(listener) paused;
    int fd;
    unsigned index, port;
    uint64_t yields_since; /* clock_ns(): something has been left in the queue since; 0: nothing */
    uint64_t alone, alone_until; /* ns; clock_ns() */
    bool is_started, is_paused;
    bool is_stream;         /* for net->on_stream */
    uint64_t complained_at; /* 0: never */
};

static void pause_accepting(struct listener *listener)
{
    const struct timeval moment = {.tv_usec = 100000};

    if (listener->is_paused)
        return;
    listener->is_paused = true;
    board_set(&listener->net->slot->is_accepting, 0); /* siblings shall not leave us anything */
    event_del(&listener->event);
    event_del(&listener->yield);
    LIST_INSERT_HEAD(&listener->net->paused, listener, paused);
    event_add(&listener->retry, &moment);
}

static void resume_accepting(struct listener *listener)
{
    if (!listener->is_paused)
        return;
    listener->is_paused = false;
    LIST_REMOVE(listener, paused);
    event_del(&listener->retry);
    if (!listener->is_started)
        return;
    board_set(&listener->net->slot->is_accepting, 1);
    event_add(&listener->event, NULL);
}

void listener_resume_paused(struct net *net)
{
    struct listener *listener;

    while ((listener = LIST_FIRST(&net->paused)))
        resume_accepting(listener);
}

/* Counts sockets that were accepted. */
static bool is_full(const struct net *net)
{
    unsigned count = net->conn_count - net->husk_count - net->made_count;

    return net->max_connections && count >= net->max_connections;
}

/* What accept's manual lists as errors of the connection that was to be accepted, not of the
 * listener. */
static bool is_transient(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
           error == EHOSTUNREACH || error == EOPNOTSUPP || error == ENETUNREACH;
}

static void complain(struct listener *listener)
{
    uint64_t now = listener->net->now;

    if (listener->complained_at && now < listener->complained_at + COMPLAIN_EVERY)
        return;
    log_warn("accepting connections pauses for a moment");
    listener->complained_at = now;
}

/* Returns whether to go on accepting. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    socklen_t length = sizeof peer;
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd == -1) {
        if (errno == EAGAIN)
            return false;
        if (is_transient(errno))
            return true;
        complain(listener);
        pause_accepting(listener);
        return false;
    }
    if (listener->is_stream)
        listener->net->on_stream(listener->net, fd, listener, (struct sockaddr *)&peer);
    else
        conn_open(listener->net, fd, listener, (struct sockaddr *)&peer);
    return true;
}

static void accept_some(struct listener *listener, unsigned most)
{
    for (unsigned i = 0; i < most && i < ACCEPTS_A_WAKE; i++) {
        if (is_full(listener->net)) {
            pause_accepting(listener);
            return;
        }
        if (!accept_one(listener))
            return;
    }
}

static void yield(struct listener *listener)
{
    const struct timeval moment = {.tv_usec = YIELD / 1000};

    event_del(&listener->event);
    event_add(&listener->yield, &moment);
}

static bool is_patient(struct listener *listener)
{
    uint64_t now = listener->net->now;

    if (now < listener->alone_until)
        return false;
    if (listener->yields_since == 0)
        listener->yields_since = now;
    if (now - listener->yields_since < PATIENCE)
        return true;
    listener->alone_until = now + listener->alone;
    if (listener->alone < ALONE_MAX)
        listener->alone *= 2;
    return false;
}

static void on_connections(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    struct net *net = listener->net;
    unsigned share = ACCEPTS_A_WAKE;

    (void)fd, (void)what;
    net->now = clock_ns();
    if (net->share)
        share = net->share(net->arg);
    if (share == 0 && is_patient(listener)) {
        yield(listener);
        return;
    }
    listener->yields_since = 0;
    accept_some(listener, share > 0 ? share : ACCEPTS_A_WAKE);
}

/* What still waits there wakes the listener at once. */
static void on_yielded(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    struct pollfd queue = {.fd = listener->fd, .events = POLLIN};

    (void)fd, (void)what;
    if (poll(&queue, 1, 0) == 0) {
        listener->yields_since = 0;
        listener->alone = ALONE_MIN;
    }
    event_add(&listener->event, NULL);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    resume_accepting(arg);
}

void listener_take_queued(struct listener *listener)
{
    listener->net->now = clock_ns();
    while (listener->is_started && !is_full(listener->net) && accept_one(listener))
        ;
}

struct listener *listener_new(struct net *net, int fd, unsigned index, unsigned port)
{
    struct listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return NULL;
    listener->net = net;
    listener->fd = fd;
    listener->alone = ALONE_MIN;
    listener->index = index;
    listener->port = port;
    event_assign(&listener->event, net->base, fd, EV_READ | EV_PERSIST, on_connections, listener);
    event_assign(&listener->retry, net->base, -1, 0, on_retry, listener);
    event_assign(&listener->yield, net->base, -1, 0, on_yielded, listener);
    return listener;
}

void listener_set_stream(struct listener *listener)
{
    listener->is_stream = true;
}

void listener_free(struct listener *listener)
{
    listener_stop(listener);
    free(listener);
}

void listener_start(struct listener *listener)
{
    listener->is_started = true;
    if (!listener->is_paused)
        event_add(&listener->event, NULL);
}

void listener_stop(struct listener *listener)
{
    listener->is_started = false;
    resume_accepting(listener);
    event_del(&listener->event);
    event_del(&listener->yield);
}

unsigned listener_index(const struct listener *listener)
{
    return listener->index;
}

unsigned listener_port(const struct listener *listener)
{
    return listener->port;
}
