/* net.h: what all connections of a worker share: loop, limits, buffers, counts, and whom a request
 * goes to.
 *
 * Lifetime: the worker process. One struct, filled in by the worker and passed down. */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/board.h"
#include "base/buf.h"
#include "http/head.h"

struct conn;
struct event_base;
struct limits;
struct listener;
struct sockaddr;

struct net_durations { /* ns; as the configuration's keys of these names */
    uint64_t head, body, keep_alive, write;
};

TAILQ_HEAD(conn_list, conn);
LIST_HEAD(listener_list, listener);
TAILQ_HEAD(stream_list, stream);

struct net {
    /* Filled in before net_open. */
    struct event_base *base;
    struct board_slot *slot;
    struct head_limits head_limits;
    struct net_durations durations;
    uint64_t max_body;        /* 0: no limit */
    unsigned max_connections; /* 0: no limit */
    void *app;                /* of the two callbacks */
    /* A complete head has arrived. The app owns the exchange until it calls conn_finish, within
     * this call or later. */
    void (*on_request)(struct conn *conn);
    /* A head is to be refused with `status`: the app answers, and ends the exchange with
     * CONN_END_BY_SERVER. */
    void (*on_refused)(struct conn *conn, int status);
    /* The peer of one that is in an exchange has gone, or has ended its side: see conn_is_gone and
     * conn_has_ended. NULL: nobody asks. */
    void (*on_gone)(struct conn *conn);
    /* A connection was accepted from a listener that is not for HTTP: takes fd over. NULL: there is
     * no such listener. */
    void (*on_stream)(struct net *net, int fd, const struct listener *listener,
                      const struct sockaddr *peer);
    /* An idle connection may be given to another process: takes the descriptor over, sets it to -1
     * and returns true, or leaves it here. `has_asked`: something, before. NULL: all stay. */
    bool (*hand_on)(int *fd, const struct listener *listener, bool has_asked, void *arg);
    /* Another process serves this listener. */
    bool (*can_hand_on)(const struct listener *listener, void *arg);
    /* The last connection has gone, or none is left but those that this side has made. */
    void (*on_empty)(void *arg);
    /* So many connections more may be accepted before those who have less to do had their turn;
     * 0: they are left to the others for a moment. NULL: there is nobody else. */
    unsigned (*share)(void *arg);
    void *arg;

    /* Private to the room, except for reading. */
    struct limits *limits, *stream_limits;
    struct buf_pool ins, outs;
    struct conn_list conns;
    struct stream_list streams;
    struct listener_list paused; /* wait for a free place */
    unsigned conn_count;         /* of both */
    unsigned made_count;         /* streams among them that this side has made */
    unsigned husk_count;         /* connections among them whose socket has become a stream */
    uint64_t now;                /* clock_ns() when the loop last called into this room */
    bool is_draining;            /* an answer ends its connection, unless conn_may_stay */
    bool is_handing_on;  /* connections that others can take leave as soon as they are idle */
    uint64_t drained_at; /* when the drain began; 0: not yet */
};

int net_open(struct net *net); /* 0, or -1 with errno */
/* Every connection must be closed. */
void net_close(struct net *net);

/* drain.c: from now on connections end, each with its next answer; idle ones stay until then, or
 * until their limit. But if some can be handed on, those that net->can_hand_on leave as soon as
 * they are idle, as far as net->hand_on takes them (one that is not idle for a while is ended as
 * well), and of the others those that ask nothing are closed soon. The later word counts. */
void net_drain(struct net *net, bool can_hand_on);
/* While connections are handed on: tries again with those that are idle. */
void net_hand_on(struct net *net);
/* Sockets that are worth a moment: all but those streams that have ended their side, and whose peer
 * has got everything. */
unsigned net_unfinished(const struct net *net);
/* Those among them that would be cut off in the middle: not streams that have nothing more to say. */
unsigned net_cut_short(const struct net *net);
/* Tells on_empty, if there is nothing any more. */
void net_look_empty(const struct net *net);
/* Closes what has no exchange; what has one is cut, wakes with an error, and is closed when its
 * exchange ends. */
void net_cut_all(struct net *net);

#endif
