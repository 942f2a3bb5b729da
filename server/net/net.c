/* net.c: sets up and winds down what the connections of a worker share. */
#include "net/net.h"

#include <errno.h>

#include "base/clock.h"
#include "net/conn_private.h"
#include "net/listener.h"
#include "net/stream.h"

/* A head and a small pipeline fit the first, a dozen short answers the second. Both leave room for
 * malloc's header. */
#define IN_SIZE   2900
#define OUT_SIZE  16000
#define INS_KEPT  1024
#define OUTS_KEPT 128

#define LINGER_NS (2 * NS_PER_SEC)

int net_open(struct net *net)
{
    const uint64_t durations[LIMIT_CLASSES] = {
        [LIMIT_HEAD] = net->durations.head,
        [LIMIT_BODY] = net->durations.body,
        [LIMIT_IDLE] = net->durations.keep_alive,
        [LIMIT_WRITE] = net->durations.write,
        [LIMIT_LINGER] = LINGER_NS,
        [LIMIT_LEAVE] = DRAIN_GRACE,
    };
    const uint64_t stream_durations[STREAM_CLASSES] = {
        [STREAM_WRITE] = net->durations.write,
        [STREAM_LINGER] = LINGER_NS,
    };

    TAILQ_INIT(&net->conns);
    TAILQ_INIT(&net->streams);
    LIST_INIT(&net->paused);
    buf_pool_init(&net->ins, IN_SIZE, INS_KEPT);
    buf_pool_init(&net->outs, OUT_SIZE, OUTS_KEPT);
    net->now = clock_ns();
    net->limits = limits_new(net->base, durations, LIMIT_CLASSES, conn_on_limit, net);
    net->stream_limits =
        limits_new(net->base, stream_durations, STREAM_CLASSES, stream_on_limit, net);
    return net->limits && net->stream_limits ? 0 : -1;
}

void net_close(struct net *net)
{
    limits_free(net->limits);
    limits_free(net->stream_limits);
    buf_pool_fini(&net->ins);
    buf_pool_fini(&net->outs);
}

void net_left(struct net *net)
{
    net->conn_count--;
    listener_resume_paused(net);
    net_look_empty(net);
}

void net_look_empty(const struct net *net)
{
    if (net->conn_count == net->made_count && net->on_empty)
        net->on_empty(net->arg);
}

unsigned net_unfinished(const struct net *net)
{
    const struct stream *stream;
    unsigned count = net->conn_count - net->husk_count;

    TAILQ_FOREACH (stream, &net->streams, all)
        count -= stream_is_through(stream);
    return count;
}

unsigned net_cut_short(const struct net *net)
{
    const struct stream *stream;
    unsigned count = net->conn_count - net->husk_count;

    TAILQ_FOREACH (stream, &net->streams, all)
        count -= stream->is_gone || stream->unsent == 0;
    return count;
}

void net_cut_all(struct net *net)
{
    struct conn *conn, *next;
    struct stream *stream;

    for (conn = TAILQ_FIRST(&net->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, all);
        conn_lost(conn);
        conn_advance(conn);
    }
    TAILQ_FOREACH (stream, &net->streams, all)
        stream_lose(stream, ECONNRESET);
}
