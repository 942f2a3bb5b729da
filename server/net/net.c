/* net.c: sets up and winds down what the connections of a worker share. */
#include "net/net.h"

#include <errno.h>

#include "base/clock.h"
#include "net/conn_private.h"

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

    TAILQ_INIT(&net->conns);
    LIST_INIT(&net->paused);
    buf_pool_init(&net->ins, IN_SIZE, INS_KEPT);
    buf_pool_init(&net->outs, OUT_SIZE, OUTS_KEPT);
    net->now = clock_ns();
    net->limits = limits_new(net->base, durations, LIMIT_CLASSES, conn_on_limit, net);
    return net->limits ? 0 : -1;
}

void net_close(struct net *net)
{
    limits_free(net->limits);
    buf_pool_fini(&net->ins);
    buf_pool_fini(&net->outs);
}

void net_cut_all(struct net *net)
{
    struct conn *conn, *next;

    for (conn = TAILQ_FIRST(&net->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, all);
        conn_lost(conn);
        conn_advance(conn);
    }
}
