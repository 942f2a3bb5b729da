/* drain.c: how connections end when their worker does. What others can take leaves as soon as it is
 * idle, what they cannot is told so by its next answer. Nobody is cut here.
 *
 * Neither may hold the drain: after DRAIN_GRACE a connection that goes from one pipelined request
 * to the next is told as well, and one that stays silent is closed. */
#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/conn_private.h"

static bool is_wanted(const struct conn *conn)
{
    const struct net *net = conn->net;

    return net->is_handing_on && !conn->is_kept && net->can_hand_on(conn->listener, net->arg);
}

bool conn_may_stay(const struct conn *conn)
{
    const struct net *net = conn->net;

    return is_wanted(conn) && !(conn->has_answered && net->now > net->drained_at + DRAIN_GRACE);
}

/* The events go first: registered, the connection would wake this process as long as anybody has it
 * open. No byte is read from here on, so none is lost and none answered twice. True when it has
 * gone, and is freed. */
static bool hand_on(struct conn *conn)
{
    struct net *net = conn->net;
    bool has_asked = conn->limit.running != LIMIT_HEAD + 1;

    event_del(&conn->event);
    conn_fini_output(conn);
    if (net->hand_on(&conn->fd, conn->listener, has_asked, net->arg)) {
        conn_forget(conn);
        return true;
    }
    if (event_add(&conn->event, NULL) == -1) { /* what has come meanwhile makes a new edge */
        conn_lost(conn);
        event_active(&conn->event, EV_READ, 0);
    }
    return false;
}

bool conn_leave(struct conn *conn)
{
    if (is_wanted(conn))
        return hand_on(conn);
    if (conn->net->is_handing_on)
        conn_limit(conn, LIMIT_LEAVE);
    return conn->net->is_handing_on;
}

/* What has come meanwhile is answered. A request that crosses with our FIN is the protocol's own
 * race (RFC 9112 section 9.5); the client had a second to be told in an answer. */
void conn_on_silence(struct conn *conn)
{
    char byte;

    if (is_wanted(conn)) /* by now */
        return;
    if (recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN) {
        conn_set_idle(conn, false);
        conn->state = CONN_CLOSING;
    } else {
        conn->is_readable = true;
    }
}

void net_hand_on(struct net *net)
{
    struct conn *conn, *next;

    for (conn = TAILQ_FIRST(&net->conns); conn && net->is_handing_on; conn = next) {
        next = TAILQ_NEXT(conn, all);
        if (conn->is_idle && is_wanted(conn) && !hand_on(conn))
            return;
    }
}

/* Those that nobody else can take. */
static void begin_graces(struct net *net)
{
    struct conn *conn;

    TAILQ_FOREACH (conn, &net->conns, all)
        if (conn->is_idle && !is_wanted(conn))
            conn_limit(conn, LIMIT_LEAVE);
}

void net_drain(struct net *net, bool can_hand_on)
{
    struct conn *conn;

    net->now = clock_ns();
    if (!net->is_draining)
        net->drained_at = net->now;
    net->is_draining = true;
    net->is_handing_on = can_hand_on && net->hand_on;
    TAILQ_FOREACH (conn, &net->conns, all)
        conn->is_kept = false; /* it may be otherwise by now */
    if (net->is_handing_on)
        begin_graces(net);
    net_hand_on(net);
}
