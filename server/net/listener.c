/* listener.c: one raw event a socket; the accept queue is shared with the other workers. */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/net.h"

/* A burst is shared with the siblings, and running requests are not kept waiting. */
#define ACCEPTS_A_WAKE 16
/* Who has run out of descriptors has so for a while, and tries often. */
#define COMPLAIN_EVERY (10 * NS_PER_SEC)

struct listener {
    struct event event;
    struct event retry; /* while paused, in case no connection closes */
    struct net *net;
    LIST_ENTRY(listener) paused;
    int fd;
    unsigned index, port;
    bool is_started, is_paused;
    uint64_t complained_at; /* 0: never */
};

static void pause_accepting(struct listener *listener)
{
    const struct timeval moment = {.tv_usec = 100000};

    if (listener->is_paused)
        return;
    listener->is_paused = true;
    event_del(&listener->event);
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
    if (listener->is_started)
        event_add(&listener->event, NULL);
}

void listener_resume_paused(struct net *net)
{
    struct listener *listener;

    while ((listener = LIST_FIRST(&net->paused)))
        resume_accepting(listener);
}

static bool is_full(const struct net *net)
{
    return net->max_connections && net->conn_count >= net->max_connections;
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
    conn_open(listener->net, fd, listener, (struct sockaddr *)&peer);
    return true;
}

static void on_connections(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;

    (void)fd, (void)what;
    listener->net->now = clock_ns();
    for (int i = 0; i < ACCEPTS_A_WAKE; i++) {
        if (is_full(listener->net)) {
            pause_accepting(listener);
            return;
        }
        if (!accept_one(listener))
            return;
    }
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
    listener->index = index;
    listener->port = port;
    event_assign(&listener->event, net->base, fd, EV_READ | EV_PERSIST, on_connections, listener);
    event_assign(&listener->retry, net->base, -1, 0, on_retry, listener);
    return listener;
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
}

unsigned listener_index(const struct listener *listener)
{
    return listener->index;
}

unsigned listener_port(const struct listener *listener)
{
    return listener->port;
}
