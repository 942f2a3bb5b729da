/* conn.c: the life of a connection as a state machine: head, exchange, next head, close.
 *
 * Everything that happens to a connection ends in conn_advance: it makes every step that can be
 * made now, sends what was gathered, and settles (idle, waiting, closing). Only settle frees, and
 * only there: whoever calls conn_advance does not touch the connection afterwards. */
#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn_private.h"
#include "net/listener.h"
#include "runtime/coro.h"

/* More steps than this in one wake-up and the others have their turn first. */
#define STEPS_A_TURN 256
/* Gathered answers leave at the latest when they are this long: half of a socket's usual send
 * buffer. */
#define GATHER_MOST (64u << 10)

/* ---- facts ---- */

const struct listener *conn_listener(const struct conn *conn)
{
    return conn->listener;
}

struct net *conn_net(const struct conn *conn)
{
    return conn->net;
}

const struct sockaddr *conn_peer(const struct conn *conn)
{
    return &conn->peer.any;
}

uint64_t conn_arrived_at(const struct conn *conn)
{
    return conn->arrived_at;
}

bool conn_is_gone(const struct conn *conn)
{
    return conn->is_gone;
}

bool conn_has_ended(const struct conn *conn)
{
    return conn->has_fin || conn->is_eof || conn->is_gone;
}

char *conn_head(const struct conn *conn, const struct head_scan **scan_out)
{
    *scan_out = &conn->scan;
    return buf_bytes(conn->pinned ? conn->pinned : conn->in);
}

void conn_set_user(struct conn *conn, void *user)
{
    conn->user = user;
}

void *conn_user(const struct conn *conn)
{
    return conn->user;
}

/* ---- the end ---- */

/* The peer has gone, or we gave it up. Whoever waits learns it; the connection is freed by
 * settle. */
static void lose(struct conn *conn, int reason)
{
    conn->is_gone = true;
    conn->is_readable = false;
    if (conn->waiter)
        coro_wake(conn->waiter, reason);
}

static void tell_gone(struct conn *conn)
{
    if (conn->state == CONN_EXCHANGE && conn->net->on_gone)
        conn->net->on_gone(conn);
}

void conn_lost(struct conn *conn)
{
    lose(conn, conn->wait == WAIT_READ ? ECONNRESET : EPIPE);
    tell_gone(conn);
}

/* It was too slow, or silent for too long. */
static void give_up(struct conn *conn)
{
    lose(conn, ETIMEDOUT);
    tell_gone(conn);
}

void conn_cut(struct conn *conn)
{
    if (!conn->is_gone)
        conn_push(conn, 0);
    conn->wants_reset = true;
    lose(conn, ECONNRESET);
}

static void reset_on_close(int fd)
{
    const struct linger none = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void conn_set_idle(struct conn *conn, bool is_idle)
{
    if (conn->is_idle == is_idle)
        return;
    conn->is_idle = is_idle;
    if (is_idle)
        board_add(&conn->net->slot->idle, 1);
    else
        board_sub(&conn->net->slot->idle, 1);
}

void conn_forget(struct conn *conn)
{
    struct net *net = conn->net;

    conn_set_idle(conn, false);
    limit_stop(net->limits, &conn->limit);
    buf_give(&net->ins, &conn->in);
    buf_give(&net->ins, &conn->pinned);
    TAILQ_REMOVE(&net->conns, conn, all);
    free(conn);
    net_left(net);
}

static void conn_free(struct conn *conn)
{
    if (conn->fd == -1) { /* conn_detach */
        conn->net->husk_count--;
        conn_forget(conn);
        return;
    }
    event_del(&conn->event);
    conn_fini_output(conn);
    if (conn->wants_reset)
        reset_on_close(conn->fd);
    close(conn->fd);
    board_add(&conn->net->slot->closed, 1);
    conn_forget(conn);
}

/* ---- steps: each returns whether another may follow at once ---- */

static void open_exchange(struct conn *conn, size_t head_length)
{
    conn->state = CONN_EXCHANGE;
    conn->arrived_at = conn->net->now;
    conn->body_at = head_length;
    conn->discarded = conn->turn = 0;
    conn->awaits_continue = false;
    memset(&conn->body, 0, sizeof conn->body);
    conn_set_idle(conn, false);
    if (conn->limit.running == LIMIT_HEAD + 1) /* the next head's time is its own */
        limit_stop(conn->net->limits, &conn->limit);
}

/* What was sent is no head, so where the next one would begin is not known: the app answers and
 * ends it. */
static void refuse(struct conn *conn, int status)
{
    open_exchange(conn, buf_length(conn->in));
    conn->net->on_refused(conn, status);
}

static void begin_exchange(struct conn *conn)
{
    open_exchange(conn, conn->scan.length);
    conn->net->on_request(conn);
}

static bool step_head(struct conn *conn)
{
    int status;

    if (conn->in && buf_length(conn->in) > 0) {
        status = head_scan(&conn->scan, buf_bytes(conn->in), buf_length(conn->in),
                           &conn->net->head_limits);
        if (status == 200) {
            begin_exchange(conn);
            return true;
        }
        if (status) {
            refuse(conn, status);
            return true;
        }
        conn_may_read(conn);
    }
    if (!conn->is_readable)
        return false;
    if (conn_fill(conn) > 0)
        return true;
    return conn->is_readable; /* interrupted */
}

/* A coroutine that waits for what has come goes on. */
static bool step_exchange(struct conn *conn)
{
    bool is_ready = (conn->wait == WAIT_READ && (conn->is_readable || conn->is_eof)) ||
                    (conn->wait == WAIT_WRITE && !conn->is_blocked);

    return is_ready && coro_resume(conn->waiter, 0);
}

static bool step(struct conn *conn)
{
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        return step_head(conn);
    case CONN_EXCHANGE:
        return step_exchange(conn);
    case CONN_DISCARD:
        return conn_discard_body(conn);
    case CONN_LINGER:
        conn_discard_all(conn);
        return conn->is_readable;
    case CONN_CLOSING:
        break;
    }
    return false;
}

/* Pipelined answers leave together, but not without bound. */
static bool has_much_unsent(struct conn *conn)
{
    return conn_unsent(conn) > GATHER_MOST && conn->wait != WAIT_WRITE &&
           (conn_push(conn, 0) == -1 || conn_unsent(conn) > 0);
}

static void make_steps(struct conn *conn)
{
    for (int i = 0; i < STEPS_A_TURN; i++) {
        if (conn->is_gone || (conn->is_blocked && conn->state != CONN_EXCHANGE) ||
            (conn->state == CONN_HEAD && has_much_unsent(conn)))
            return;
        if (!step(conn))
            return;
    }
    event_active(&conn->event, 0, 0);
}

/* ---- settling ---- */

static void start_limit(struct conn *conn, unsigned class)
{
    limit_start(conn->net->limits, &conn->limit, class, conn->net->now);
}

void conn_limit(struct conn *conn, unsigned class)
{
    if (conn->limit.running != class + 1)
        limit_start(conn->net->limits, &conn->limit, class, clock_ns());
}

int conn_await(struct conn *conn, enum conn_wait what, unsigned class, const char *text)
{
    int reason;

    conn->waiter = coro_current();
    conn->wait = what;
    conn->turn = 0;
    conn_limit(conn, class); /* of what was waited for before, another may still run */
    reason = coro_wait(text);
    conn->waiter = NULL;
    conn->wait = WAIT_NONE;
    limit_stop(conn->net->limits, &conn->limit);
    if (reason) {
        errno = reason;
        return -1;
    }
    return 0;
}

/* Nothing to send is left and no request is in progress. */
static void settle_idle(struct conn *conn)
{
    bool is_partial = conn->in && buf_length(conn->in) > 0;

    if (is_partial) {
        conn_set_idle(conn, false);
        conn_limit(conn, LIMIT_HEAD);
        return;
    }
    buf_give(&conn->net->ins, &conn->in);
    conn_set_idle(conn, true);
    conn->has_answered = false;
    if (conn->net->is_draining && conn_leave(conn))
        return;
    /* A connection that never asked anything is in LIMIT_HEAD since conn_open, and stays. */
    if (conn->limit.running != LIMIT_HEAD + 1 || conn->arrived_at)
        start_limit(conn, LIMIT_IDLE);
}

/* Our last byte has gone. Lingers unless the peer has said that it sends no more. */
static void close_or_linger(struct conn *conn)
{
    if (conn->is_eof || conn->is_gone || shutdown(conn->fd, SHUT_WR) == -1) {
        conn_free(conn);
        return;
    }
    conn->state = CONN_LINGER;
    start_limit(conn, LIMIT_LINGER);
    conn->is_readable = true;
    conn_discard_all(conn);
    if (conn->is_eof || conn->is_gone)
        conn_free(conn);
    else if (conn->is_readable) /* there is more of it than for one turn */
        event_active(&conn->event, 0, 0);
}

static void settle_sent(struct conn *conn)
{
    if (conn->held == 0)
        buf_give(&conn->net->outs, &conn->out);
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        if (conn->is_eof)
            conn_free(conn);
        else
            settle_idle(conn);
        break;
    case CONN_EXCHANGE:
        if (conn->wait == WAIT_READ)
            conn_limit(conn, LIMIT_BODY);
        else if (conn->wait == WAIT_NONE)
            limit_stop(conn->net->limits, &conn->limit);
        break;
    case CONN_DISCARD:
        conn_limit(conn, LIMIT_BODY);
        break;
    case CONN_CLOSING:
        close_or_linger(conn);
        break;
    case CONN_LINGER:
        if (conn->is_eof)
            conn_free(conn);
        break;
    }
}

/* After the steps: sends, and brings limits and buffers into line with the state. May free. */
static void settle(struct conn *conn)
{
    if (!conn->is_gone && conn->wait != WAIT_WRITE)
        conn_push(conn, 0);
    if (conn->is_gone) {
        if (conn->state != CONN_EXCHANGE)
            conn_free(conn);
        return;
    }
    if (conn_unsent(conn) == 0)
        settle_sent(conn);
    else if (conn->wait != WAIT_READ)
        conn_limit(conn, LIMIT_WRITE);
}

void conn_advance(struct conn *conn)
{
    if (conn->is_advancing)
        return;
    conn->is_advancing = true;
    make_steps(conn);
    conn->is_advancing = false;
    settle(conn);
}

/* ---- what happens to it ---- */

/* The edge may be that of a reset, and nobody is reading now who would learn of it. */
static void check_for_reset(struct conn *conn)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error)
        conn_lost(conn);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd;
    conn->net->now = clock_ns();
    if (what & (EV_READ | EV_CLOSED))
        conn->is_readable = true;
    if (what & EV_CLOSED)
        conn->has_fin = true;
    if (conn->state == CONN_EXCHANGE && conn->wait != WAIT_READ)
        check_for_reset(conn);
    if (conn->has_fin && !conn->is_gone)
        tell_gone(conn);
    conn_advance(conn);
}

void conn_on_limit(struct limit *limit, unsigned class, void *arg)
{
    struct conn *conn = (struct conn *)((char *)limit - offsetof(struct conn, limit));
    struct net *net = arg;

    net->now = clock_ns();
    switch (class) {
    case LIMIT_HEAD:
        if (conn->in && buf_length(conn->in) > 0) {
            conn->is_advancing = true; /* so that it lives until conn_advance */
            refuse(conn, 408);
            conn->is_advancing = false;
        } else
            give_up(conn);
        break;
    case LIMIT_BODY:
        if (conn->state == CONN_EXCHANGE && conn->waiter)
            coro_wake(conn->waiter, ETIMEDOUT);
        else
            give_up(conn);
        break;
    case LIMIT_WRITE:
        if (conn_was_slow_only(conn)) {
            start_limit(conn, LIMIT_WRITE);
            return;
        }
        give_up(conn);
        break;
    case LIMIT_LEAVE:
        conn_on_silence(conn);
        break;
    default:
        give_up(conn);
    }
    conn_advance(conn);
}

/* NULL: memory has run out, and fd is closed. */
static struct conn *conn_new(struct net *net, int fd, const struct listener *listener,
                             const struct sockaddr *peer)
{
    struct conn *conn = calloc(1, sizeof *conn);

    if (!conn) {
        close(fd);
        return NULL;
    }
    conn->net = net;
    conn->fd = fd;
    conn->listener = listener;
    conn->peer.any.sa_family = peer->sa_family;
    if (peer->sa_family == AF_INET)
        memcpy(&conn->peer.in, peer, sizeof conn->peer.in);
    else if (peer->sa_family == AF_INET6)
        memcpy(&conn->peer.in6, peer, sizeof conn->peer.in6);
    event_assign(&conn->event, net->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
                 conn);
    if (event_add(&conn->event, NULL) == -1) {
        close(fd);
        free(conn);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&net->conns, conn, all);
    net->conn_count++;
    conn_set_idle(conn, true);
    return conn;
}

int conn_open(struct net *net, int fd, const struct listener *listener, const struct sockaddr *peer)
{
    struct conn *conn = conn_new(net, fd, listener, peer);

    if (!conn)
        return -1;
    board_add(&net->slot->accepted, 1);
    start_limit(conn, LIMIT_HEAD);
    return 0;
}

int conn_adopt(struct net *net, int fd, const struct listener *listener, bool has_asked,
               bool is_kept)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    socklen_t length = sizeof peer;
    struct conn *conn = NULL;

    net->now = clock_ns();
    if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
        conn = conn_new(net, fd, listener, (struct sockaddr *)&peer);
    else /* it was reset on its way */
        close(fd);
    if (!conn) {
        board_add(&net->slot->closed, 1);
        return -1;
    }
    start_limit(conn, has_asked && net->durations.keep_alive ? LIMIT_IDLE : LIMIT_HEAD);
    conn->is_kept = is_kept;
    if (net->is_draining)
        conn_leave(conn);
    return 0;
}

int conn_begin_body(struct conn *conn, const struct head *head)
{
    conn->awaits_continue = head->expects_continue;
    return body_init(&conn->body, head, conn->net->max_body) == BODY_TOO_LARGE ? 413 : 0;
}

void conn_continue(struct conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!conn->awaits_continue)
        return;
    conn->awaits_continue = false;
    /* The client sends already: it did not wait (RFC 9110 section 10.1.1). */
    if (conn->in && buf_length(conn->in) > conn->body_at)
        return;
    if (conn_insert(conn, text, sizeof text - 1) == 0)
        conn_push(conn, 0);
}

/* ---- the end of an exchange ---- */

/* What has been read behind the head. */
static int take_rest(struct conn *conn, struct buf **rest_out)
{
    size_t rest = conn->in ? buf_length(conn->in) - conn->body_at : 0;

    if (rest == 0)
        return 0;
    *rest_out = buf_take(&conn->net->ins);
    if (*rest_out && buf_append(*rest_out, buf_bytes(conn->in) + conn->body_at, rest) == 0 &&
        buf_reserve(*rest_out, 1) == 0)
        return 0;
    buf_give(&conn->net->ins, rest_out);
    return -1;
}

int conn_detach(struct conn *conn, struct buf **rest_out, struct buf **unsent_out, int *fd_out)
{
    if (take_rest(conn, rest_out) == -1)
        return -1;
    event_del(&conn->event);
    limit_stop(conn->net->limits, &conn->limit);
    *unsent_out = conn->out;
    conn->out = NULL;
    conn_fini_output(conn);
    conn->write_event = NULL;
    *fd_out = conn->fd;
    conn->fd = -1;
    conn->net->husk_count++;
    conn->is_gone = true;
    conn->is_readable = conn->is_blocked = false;
    return 0;
}

static void next_head(struct conn *conn)
{
    conn_release_input(conn);
    memset(&conn->scan, 0, sizeof conn->scan);
    conn->state = CONN_HEAD;
}

void conn_finish(struct conn *conn, enum conn_end end, uint64_t now)
{
    enum body_state body = conn_skip_buffered_body(conn);

    conn->net->now = now;
    conn->user = NULL;
    conn->held = 0;
    conn->has_answered = true;
    if (end == CONN_END_KEEP && body == BODY_END) {
        next_head(conn);
    } else if (end == CONN_END_KEEP && conn_is_reusable(conn, false) && body != BODY_BAD &&
               body != BODY_TOO_LARGE) {
        memset(&conn->scan, 0, sizeof conn->scan);
        conn->state = CONN_DISCARD;
    } else {
        /* A client that sends no more needs no lingering: its answer cannot meet a reset. */
        if (end == CONN_END_BY_CLIENT && body == BODY_END && !conn->is_readable &&
            buf_length(conn->in ? conn->in : conn->pinned) == conn->body_at)
            conn->is_eof = true;
        conn->state = CONN_CLOSING;
    }
    conn_advance(conn);
}
