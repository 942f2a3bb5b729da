/* test_net_conn.c: a connection between a hostile client and a small application made of callbacks:
 * heads, bodies, output, limits and ends.
 *
 * Time limits are hours unless a test is about one, so whatever should happen without one and does
 * not hangs, and is ended by alarm. */
#include "net/conn.h"

#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/conn_private.h"
#include "net/net.h"
#include "runtime/coro.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n"
#define HOUR (3600 * NS_PER_SEC)

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct event_base *base;
static struct board *board;
static int board_fd;
static struct net net;
static unsigned empties; /* calls of on_empty */

static int client = -1;
static char wire[8u << 20]; /* what came back, NUL-terminated */
static size_t wire_length;
static int wire_end; /* 0: open; 1: closed; 2: reset */

/* ---- the application ---- */

/* What is done with a request, on a coroutine: 0, or -1 with errno. */
typedef int work(struct conn *conn);

static work *works[16]; /* for the requests in their order; the last one for all that follow */
static unsigned requests, finished;
static enum conn_end end;

struct seen {
    struct conn *conn; /* NULL: over */
    int result, error;
    int refused; /* with this status */
    bool is_gone_at_end;
} seen[16];

static char body[4u << 20]; /* what works read */
static size_t body_length;
static size_t piece = sizeof(body); /* how much they read at most at once */

static unsigned index_of(struct conn *conn)
{
    return (unsigned)((struct seen *)conn_user(conn) - seen);
}

static void finish(struct conn *conn)
{
    struct seen *s = conn_user(conn);

    s->is_gone_at_end = conn_is_gone(conn);
    s->conn = NULL;
    finished++;
    conn_finish(conn, s->refused ? CONN_END_BY_SERVER : end, clock_ns());
}

static void run_work(void *arg)
{
    struct conn *conn = arg;
    unsigned i = index_of(conn);
    work *todo = works[i];

    for (unsigned before = i; !todo; before--)
        todo = works[before - 1];
    errno = 0;
    seen[i].result = todo(conn);
    seen[i].error = errno;
}

static void after_work(enum coro_event event, struct coro *coro, void *arg)
{
    (void)coro;
    if (event == CORO_ENDED)
        finish(arg);
    else if (event == CORO_WAITS)
        conn_flush(arg);
}

static void begin(struct conn *conn)
{
    struct seen *s = &seen[requests++ % COUNT(seen)];

    *s = (struct seen){.conn = conn};
    conn_set_user(conn, s);
}

static void on_request(struct conn *conn)
{
    const struct head_scan *scan;
    struct head_field fields[16];
    struct head head;
    char *bytes = conn_head(conn, &scan);

    begin(conn);
    assert_int_equal(head_parse(&head, scan, bytes, fields, &net.head_limits), 0);
    assert_int_equal(conn_begin_body(conn, &head), 0);
    assert_int_equal(coro_run(run_work, after_work, conn, 0), 0);
}

static void gather_text(struct conn *conn, const char *text)
{
    struct buf *out = conn_out(conn);

    if (out)
        buf_append(out, text, strlen(text));
}

static void on_refused(struct conn *conn, int status)
{
    char text[32];

    begin(conn);
    seen[(requests - 1) % COUNT(seen)].refused = status;
    snprintf(text, sizeof(text), "refused %d\n", status);
    gather_text(conn, text);
    finish(conn);
}

static void on_empty(void *arg)
{
    (void)arg;
    empties++;
}

static int handed = -1; /* the last one that was handed on */
static unsigned offered;
static bool is_handed_fresh, does_refuse;

static bool hand_on(int *fd, const struct listener *listener, bool has_asked, void *arg)
{
    (void)listener;
    (void)arg;
    offered++;
    if (does_refuse)
        return false;
    assert_int_equal(handed, -1);
    handed = *fd;
    *fd = -1;
    is_handed_fresh = !has_asked;
    return true;
}

static bool has_taker;

static bool can_hand_on(const struct listener *listener, void *arg)
{
    (void)listener;
    (void)arg;
    return has_taker;
}

/* In place of libevent's: memory may run out. */
static bool is_event_refused;

int event_add(struct event *event, const struct timeval *timeout)
{
    union {
        void *symbol;
        int (*call)(struct event *event, const struct timeval *timeout);
    } real = {.symbol = dlsym(RTLD_NEXT, "event_add")};

    return is_event_refused ? -1 : real.call(event, timeout);
}

/* ---- what it does ---- */

static int answers(struct conn *conn)
{
    char text[32];

    snprintf(text, sizeof(text), "answer %u\n", index_of(conn));
    gather_text(conn, text);
    return 0;
}

static int reads(struct conn *conn)
{
    ssize_t n;

    body_length = 0;
    do {
        size_t room = sizeof(body) - body_length;

        n = conn_read(conn, body + body_length, room < piece ? room : piece);
        body_length += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (n == -1)
        return -1;
    return answers(conn);
}

static int reads_one_byte(struct conn *conn)
{
    return conn_read(conn, body, 1) == 1 ? answers(conn) : -1;
}

static struct coro *suspended;

static int suspends(struct conn *conn)
{
    suspended = coro_current();
    coro_wait("the test");
    return answers(conn);
}

/* ---- the fixture ---- */

static void open_net(struct net_durations durations)
{
    net = (struct net){.base = base,
                       .slot = board_slot(board, 0),
                       .head_limits = {.max_head = 8192, .max_target = 1024, .max_headers = 16},
                       .durations = durations,
                       .on_request = on_request,
                       .on_refused = on_refused,
                       .hand_on = hand_on,
                       .can_hand_on = can_hand_on,
                       .on_empty = on_empty};
    assert_int_equal(net_open(&net), 0);
}

static int setup(void **state)
{
    (void)state;
    alarm(60);
    signal(SIGPIPE, SIG_IGN); /* as in a worker */
    memset(works, 0, sizeof(works));
    works[0] = answers;
    memset(seen, 0, sizeof(seen));
    requests = finished = empties = offered = 0;
    handed = -1;
    does_refuse = is_event_refused = false;
    has_taker = true;
    end = CONN_END_KEEP;
    piece = sizeof(body);
    wire_length = 0;
    wire_end = 0;
    base = event_base_new();
    board = board_create(1, 1, &board_fd);
    if (!base || !board || coro_pool_open(base, 64u << 10, 8) == -1)
        return -1;
    open_net((struct net_durations){HOUR, HOUR, HOUR, HOUR});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (client != -1)
        close(client);
    client = -1;
    net_cut_all(&net);
    coro_cancel_all();
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(net.conn_count, 0);
    assert_int_equal(coro_alive(), 0);
    assert_int_equal(board_get(&net.slot->accepted), board_get(&net.slot->closed));
    assert_int_equal(board_get(&net.slot->idle), 0);
    net_close(&net);
    coro_pool_close();
    event_base_free(base);
    board_detach(board);
    close(board_fd);
    return 0;
}

/* In place of the fixture's: hours, except where one is given. */
static void limit_to(struct net_durations durations)
{
    net_close(&net);
    open_net(
        (struct net_durations){.head = durations.head ? durations.head : HOUR,
                               .body = durations.body ? durations.body : HOUR,
                               .keep_alive = durations.keep_alive ? durations.keep_alive : HOUR,
                               .write = durations.write ? durations.write : HOUR});
}

static void adopt(int fd)
{
    const struct sockaddr peer = {.sa_family = AF_UNIX};

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(conn_open(&net, fd, NULL, &peer), 0);
}

static void connect_client(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    client = fds[0];
    adopt(fds[1]);
}

/* For what only TCP does: resets. `room` in bytes is how little the server's side can queue; 0: as
 * usual. */
static void connect_tcp(int room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd, small = 4096, yes = 1;

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    if (room)
        setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    fcntl(client, F_SETFL, O_NONBLOCK);
    fd = accept(listener, NULL, NULL);
    assert_int_not_equal(fd, -1);
    close(listener);
    if (room)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    adopt(fd);
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void receive(void)
{
    ssize_t n;

    while (client != -1 && wire_end == 0 &&
           (n = recv(client, wire + wire_length, sizeof(wire) - 1 - wire_length, MSG_DONTWAIT)) !=
               -1) {
        wire_length += (size_t)n;
        wire[wire_length] = '\0';
        if (n == 0) {
            wire_end = 1;
            return;
        }
    }
    wire[wire_length] = '\0';
    if (client != -1 && wire_end == 0 && errno == ECONNRESET)
        wire_end = 2;
}

/* A round of the loop, with a client that reads. */
static void turn_and_receive(void)
{
    event_base_loop(base, EVLOOP_ONCE);
    receive();
}

static void turn_until_finished(unsigned count)
{
    while (finished < count)
        turn_and_receive();
}

static void turn_until_closed(void)
{
    while (net.conn_count > 0)
        turn_and_receive();
    receive();
}

/* Until the client has this much, or the end. */
static void turn_until_received(size_t size)
{
    receive();
    while (wire_length < size && wire_end == 0)
        turn_and_receive();
}

/* While the client waits for room the loop goes on. */
static void put(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(client, bytes, size, MSG_NOSIGNAL);

        assert_true(n > 0 || errno == EAGAIN);
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        if (size > 0)
            turn_and_receive();
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void reset(void)
{
    const struct linger none = {.l_onoff = 1};

    setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(client);
    client = -1;
}

/* Bytes that tell one place from another. */
static const char *pattern(size_t size)
{
    static char bytes[4u << 20];

    assert_true(size <= sizeof(bytes));
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    return bytes;
}

/* ---- heads ---- */

static void a_head_that_comes_byte_by_byte_is_one_request(void **state)
{
    (void)state;
    connect_client();
    for (const char *c = GET GET; *c; c++) {
        put(c, 1);
        turn();
    }
    turn_until_finished(2);
    receive();
    assert_string_equal(wire, "answer 0\nanswer 1\n");
    assert_int_equal(requests, 2);
}

static void pipelined_requests_are_handed_up_one_after_another(void **state)
{
    (void)state;
    works[0] = suspends;
    works[1] = answers;
    connect_client();
    put_text(GET GET GET "GET / HT");
    turn();
    turn();
    assert_int_equal(requests, 1); /* the others wait for its end */
    coro_wake(suspended, 0);
    turn_until_finished(3);
    put_text("TP/1.1\r\nHost: a\r\n\r\n");
    turn_until_finished(4);
    receive();
    assert_string_equal(wire, "answer 0\nanswer 1\nanswer 2\nanswer 3\n");
}

static void a_thousand_pipelined_requests_do_not_keep_the_loop(void **state)
{
    static char many[1000 * (sizeof(GET) - 1)];

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        memcpy(many + i * (sizeof(GET) - 1), GET, sizeof(GET) - 1);
    connect_client();
    put(many, sizeof(many));
    turn_until_finished(1000);
    shutdown(client, SHUT_WR);
    turn_until_closed();
    assert_int_equal(requests, 1000);
}

static void what_is_no_head_is_refused_and_ends_the_connection(void **state)
{
    (void)state;
    connect_client();
    put_text(GET "rubbish\r\n" GET);
    turn_until_received(100);
    assert_string_equal(wire, "answer 0\nrefused 400\n");
    assert_int_equal(wire_end, 1);
    assert_int_equal(requests, 2);
}

static void a_head_that_is_too_long_is_refused_at_its_limit(void **state)
{
    (void)state;
    connect_client();
    put_text("GET / HTTP/1.1\r\nX: ");
    put(pattern(8192), 8192);
    turn_until_received(100);
    assert_string_equal(wire, "refused 431\n");
}

/* ---- bodies ---- */

/* A POST of `size` bytes, all but the first `with_head` of them coming later in pieces of `step`.
 */
static void post(size_t size, size_t with_head, size_t step)
{
    static char request[(4u << 20) + 256];
    const char *bytes = pattern(size);
    size_t length = (size_t)snprintf(request, 256, POST, size), at = with_head;

    memcpy(request + length, bytes, with_head);
    put(request, length + with_head);
    turn();
    for (size_t n; at < size; at += n) {
        n = size - at < step ? size - at : step;
        put(bytes + at, n);
        turn();
    }
}

static void a_body_arrives_whole_however_it_comes(void **state)
{
    static const size_t sizes[] = {0, 1, 3999, 4000, 4095, 4096, 4097, 9000, 70000};
    static const size_t steps[] = {1, 511, 4096, 100000};
    static const size_t pieces[] = {1, 100, 4095, 4096, 65536};

    (void)state;
    works[0] = reads;
    connect_client();
    for (size_t i = 0; i < COUNT(sizes) * COUNT(steps) * COUNT(pieces); i++) {
        size_t size = sizes[i % COUNT(sizes)], step = steps[i / COUNT(sizes) % COUNT(steps)];
        size_t with_head = i % 3 == 0 ? size : i % 3 == 1 ? size / 2 : 0;

        piece = pieces[i / COUNT(sizes) / COUNT(steps)];
        if (size > 10000 && (step == 1 || piece == 1))
            continue;
        requests %= COUNT(seen);
        finished = 0;
        works[requests] = reads;
        post(size, with_head, step);
        turn_until_finished(1);
        assert_int_equal(body_length, size);
        assert_memory_equal(body, pattern(size), size);
    }
}

/* Chunks of `sizes`, ended by 0, with a request right behind. */
static void put_chunked(const size_t *sizes, const char *behind, size_t step)
{
    static char request[1u << 20];
    size_t length = 0, at = 0;
    const char *bytes = pattern(300000);

    length += (size_t)sprintf(request,
                              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (; *sizes; at += *sizes++) {
        length += (size_t)sprintf(request + length, "%zx;x=\"y\"\r\n", *sizes);
        memcpy(request + length, bytes + at, *sizes);
        length += *sizes;
        length += (size_t)sprintf(request + length, "\r\n");
    }
    length += (size_t)sprintf(request + length, "0\r\nTrailer: t\r\n\r\n%s", behind);
    for (at = 0; at < length; at += step) {
        put(request + at, length - at < step ? length - at : step);
        turn();
    }
}

static void chunks_are_put_together_and_what_is_behind_them_is_found(void **state)
{
    static const size_t lists[][8] = {{1, 2, 3}, {4096, 4096}, {4095, 1, 4097}, {70000, 5, 30000}};
    static const size_t steps[] = {1, 7, 4000, 4096, 1000000};

    (void)state;
    connect_client();
    for (size_t i = 0; i < COUNT(lists); i++)
        for (size_t k = i == 3 ? 1 : 0; k < COUNT(steps); k++) {
            size_t total = 0;

            for (const size_t *size = lists[i]; *size; size++)
                total += *size;
            requests = finished = 0;
            works[0] = reads;
            works[1] = answers;
            put_chunked(lists[i], GET, steps[k]);
            turn_until_finished(2);
            assert_int_equal(body_length, total);
            assert_memory_equal(body, pattern(total), total);
        }
}

static void broken_chunks_are_an_error_and_the_end(void **state)
{
    (void)state;
    works[0] = reads;
    connect_client();
    put_text("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX" GET);
    turn_until_received(1);
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, EBADMSG);
    assert_int_equal(body_length, 5);
    assert_int_equal(wire_end, 1);
    assert_int_equal(requests, 1);
}

static int checks_its_head(struct conn *conn)
{
    const struct head_scan *scan;
    const char *bytes = conn_head(conn, &scan), *before = bytes;
    char copy[256];

    memcpy(copy, bytes, scan->length);
    if (reads(conn) == -1)
        return -1;
    bytes = conn_head(conn, &scan);
    return bytes == before && memcmp(copy, bytes, scan->length) == 0 ? 0 : -1;
}

/* The application's strings lie in it. */
static void the_head_stays_where_it_is_while_the_body_comes(void **state)
{
    (void)state;
    works[0] = checks_its_head;
    piece = 1000;
    connect_client();
    post(100000, 3000, 3000);
    put_text(GET);
    works[1] = answers;
    turn_until_finished(2);
    assert_int_equal(seen[0].result, 0);
    assert_int_equal(body_length, 100000);
}

static void an_unread_body_is_read_past_if_it_is_short(void **state)
{
    static const size_t many[8] = {60000, 60000, 60000};

    (void)state;
    connect_client();
    post(200000, 100, 100000);
    put_chunked(many, GET, 100000);
    works[3] = reads_one_byte;
    works[4] = answers;
    post(200000, 0, 100000);
    put_text(GET);
    turn_until_finished(5);
    receive();
    assert_string_equal(wire, "answer 0\nanswer 1\nanswer 2\nanswer 3\nanswer 4\n");
}

static void a_long_one_ends_the_connection_after_the_answer(void **state)
{
    char head[128];

    (void)state;
    connect_client();
    snprintf(head, sizeof(head), POST, (size_t)1 << 30);
    put_text(head);
    put(pattern(300000), 300000);
    turn_until_received(9);
    assert_string_equal(wire, "answer 0\n");
    while (wire_end == 0)
        turn_and_receive();
    assert_int_equal(wire_end, 1);
    put(pattern(300000), 300000); /* nobody minds */
    close(client);
    client = -1;
    turn_until_closed();
    assert_int_equal(requests, 1);
}

static void a_chunked_one_that_goes_on_ends_it_too(void **state)
{
    static const size_t many[8] = {100000, 100000, 100000};

    (void)state;
    connect_client();
    put_chunked(many, GET, 100000);
    turn_until_received(9);
    while (wire_end == 0)
        turn_and_receive();
    assert_string_equal(wire, "answer 0\n");
    assert_int_equal(requests, 1);
}

static int is_reusable[2];

static int asks_for_reuse(struct conn *conn)
{
    is_reusable[0] = conn_is_reusable(conn, true);
    is_reusable[1] = conn_is_reusable(conn, false);
    return answers(conn);
}

static int reads_and_asks_for_reuse(struct conn *conn)
{
    return reads_one_byte(conn) == -1 ? -1 : asks_for_reuse(conn);
}

static void a_connection_is_reusable_if_the_body_will_be_out_of_the_way(void **state)
{
    char head[128];

    (void)state;
    works[0] = asks_for_reuse;
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    assert_true(is_reusable[0] && is_reusable[1]);
    post(200000, 0, 200000);
    turn_until_finished(2);
    assert_true(is_reusable[0] && is_reusable[1]);
    works[2] = reads_and_asks_for_reuse;
    snprintf(head, sizeof(head), POST "x", (size_t)1 << 30);
    put_text(head);
    turn_until_finished(3);
    assert_true(is_reusable[0] && !is_reusable[1]);
}

static void a_long_body_nobody_has_begun_to_read_makes_it_useless(void **state)
{
    char head[128];

    (void)state;
    works[0] = asks_for_reuse;
    connect_client();
    snprintf(head, sizeof(head), POST, (size_t)1 << 30);
    put_text(head);
    turn_until_finished(1);
    assert_false(is_reusable[0] || is_reusable[1]);
}

/* ---- 100 Continue ---- */

static int continues_and_reads(struct conn *conn)
{
    gather_text(conn, "held");
    conn_hold(conn, 4);
    conn_continue(conn);
    conn_continue(conn); /* once */
    if (reads(conn) == -1)
        return -1;
    conn_hold(conn, 0);
    return 0;
}

static void the_interim_answer_goes_before_what_is_held(void **state)
{
    const char *interim = "answer 0\nHTTP/1.1 100 Continue\r\n\r\n";

    (void)state;
    works[1] = continues_and_reads;
    connect_client();
    put_text(GET "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    turn_until_received(strlen(interim));
    turn();
    receive();
    assert_string_equal(wire, interim);
    put_text("hi");
    turn_until_finished(2);
    receive();
    assert_string_equal(wire + strlen(interim), "heldanswer 1\n");
}

/* ---- output ---- */

static void what_is_held_stays(void **state)
{
    (void)state;
    works[0] = suspends;
    connect_client();
    put_text(GET);
    turn();
    gather_text(seen[0].conn, "freeheld");
    conn_hold(seen[0].conn, 4);
    assert_int_equal(conn_unsent(seen[0].conn), 4);
    assert_int_equal(conn_flush(seen[0].conn), 0);
    receive();
    assert_string_equal(wire, "free");
    assert_int_equal(conn_unsent(seen[0].conn), 0);
    gather_text(seen[0].conn, "+");
    conn_hold(seen[0].conn, 0);
    coro_wake(suspended, 0);
    turn_until_finished(1);
    receive();
    assert_string_equal(wire, "freeheld+answer 0\n");
}

static int writes_vectors(struct conn *conn)
{
    char *bytes = (char *)(uintptr_t)pattern(3000000);
    struct iovec pieces[150];

    for (int i = 0; i < 150; i++) /* more than go at once, and empty ones between */
        pieces[i] = (struct iovec){bytes + i * 20000, i % 10 == 9 ? 0 : 20000};
    gather_text(conn, "gathered ");
    if (conn_write(conn, pieces, 150) == -1)
        return -1;
    return answers(conn);
}

static void pieces_leave_in_order_however_slowly_the_client_reads(void **state)
{
    const char *bytes = pattern(3000000);
    char step[1000];
    size_t at = 9;

    (void)state;
    works[0] = writes_vectors;
    connect_tcp(8192);
    put_text(GET);
    while (finished == 0) {
        ssize_t n;

        turn();
        n = recv(client, step, sizeof(step), MSG_DONTWAIT);
        if (n > 0) {
            memcpy(wire + wire_length, step, (size_t)n);
            wire_length += (size_t)n;
        }
    }
    turn_until_received(9 + 135 * 20000 + 9);
    assert_memory_equal(wire, "gathered ", 9);
    for (size_t i = 0; i < 150; i++)
        if (i % 10 != 9) {
            assert_memory_equal(wire + at, bytes + i * 20000, 20000);
            at += 20000;
        }
    assert_string_equal(wire + at, "answer 0\n");
}

static int file_fd;

static int sends_file(struct conn *conn)
{
    gather_text(conn, "gathered ");
    if (conn_send_file(conn, file_fd, 5, 2000000) == -1)
        return -1;
    return answers(conn);
}

static void open_file(size_t size)
{
    file_fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(file_fd, pattern(size), size), size);
}

static void a_file_leaves_behind_what_was_gathered(void **state)
{
    (void)state;
    open_file(2000010);
    works[0] = sends_file;
    connect_tcp(8192);
    put_text(GET);
    turn_until_received(9 + 2000000 + 9);
    assert_memory_equal(wire, "gathered ", 9);
    assert_memory_equal(wire + 9, pattern(2000005) + 5, 2000000);
    assert_string_equal(wire + 9 + 2000000, "answer 0\n");
    close(file_fd);
}

static void a_file_that_ends_early_is_an_error_of_its_own(void **state)
{
    (void)state;
    open_file(1000);
    works[0] = sends_file;
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, EIO);
    assert_false(seen[0].is_gone_at_end);
    close(file_fd);
}

static void on_the_loop_writing_gathers_and_reading_does_not_wait(void **state)
{
    struct iovec all = {(char *)(uintptr_t)pattern(2000000), 2000000};
    char byte;

    (void)state;
    works[0] = suspends;
    connect_client();
    put_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    turn();
    assert_int_equal(conn_read(seen[0].conn, &byte, 1), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    assert_int_equal(conn_send_file(seen[0].conn, 0, 0, 1), -1);
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(conn_write(seen[0].conn, &all, 1), 0);
    assert_int_equal(conn_flush(seen[0].conn), 0);
    assert_true(conn_unsent(seen[0].conn) > 0); /* nobody waited for the rest */
    coro_wake(suspended, 0);
    turn_until_received(2000000 + 9);
    assert_memory_equal(wire, pattern(2000000), 2000000);
    assert_string_equal(wire + 2000000, "answer 0\n");
}

/* ---- turns ---- */

static unsigned turns;

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    turns++;
}

/* As if it had moved all that without ever having had to wait, which needs a faster peer than a
 * test can have; then something else becomes ready. */
static void move_much(struct conn *conn, struct event *ready)
{
    conn->turn = 64u << 20;
    event_assign(ready, base, -1, 0, on_turn, NULL);
    event_active(ready, 0, 0);
}

static int never_waits(struct conn *conn)
{
    struct iovec one = {(char *)(uintptr_t)pattern(1), 1};
    struct event ready[3];

    turns = 0;
    move_much(conn, &ready[0]);
    if (conn_read(conn, body, 1) != 1 || turns != 1)
        return -1;
    move_much(conn, &ready[1]);
    if (conn_write(conn, &one, 1) == -1 || turns != 2)
        return -1;
    move_much(conn, &ready[2]);
    return conn_flush(conn) == -1 || turns != 3 ? -1 : 0;
}

static void who_never_waits_lets_others_have_their_turn(void **state)
{
    (void)state;
    works[0] = never_waits;
    connect_client();
    post(1, 1, 1);
    turn_until_finished(1);
    assert_int_equal(seen[0].result, 0);
}

/* ---- ends ---- */

static void a_client_that_says_no_more_gets_its_answers(void **state)
{
    (void)state;
    works[1] = suspends;
    connect_client();
    put_text(GET GET GET);
    shutdown(client, SHUT_WR);
    works[2] = answers;
    while (requests < 2)
        turn();
    turn();
    turn();
    assert_int_equal(net.conn_count, 1);
    coro_wake(suspended, 0);
    turn_until_closed();
    assert_string_equal(wire, "answer 0\nanswer 1\nanswer 2\n");
    assert_int_equal(wire_end, 1);
}

static void a_body_that_breaks_off_is_told_to_who_reads_it(void **state)
{
    char head[128];

    (void)state;
    works[0] = reads;
    connect_client();
    snprintf(head, sizeof(head), POST "half", (size_t)8);
    put_text(head);
    turn();
    shutdown(client, SHUT_WR); /* while it waits */
    turn_until_closed();
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, ECONNRESET);
    assert_false(seen[0].is_gone_at_end); /* it may still be told */

    requests = 0;
    connect_client();
    put_text(head);
    shutdown(client, SHUT_WR); /* before */
    turn_until_closed();
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, ECONNRESET);
    assert_int_equal(finished, 2);
}

static void a_reset_is_noticed_by_an_idle_connection(void **state)
{
    (void)state;
    connect_tcp(0);
    put_text(GET);
    turn_until_finished(1);
    receive();
    reset();
    turn_until_closed();
}

/* The bytes and the reset are one edge, and the read before the wait is a short one. */
static void a_reset_that_comes_together_with_bytes_is_noticed(void **state)
{
    (void)state;
    connect_tcp(0);
    put_text("GET / HT");
    reset();
    turn_until_closed();
    assert_int_equal(requests, 0);

    works[0] = reads;
    connect_tcp(0);
    put_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    reset();
    turn_until_closed();
    assert_int_equal(seen[0].error, ECONNRESET);
    assert_true(seen[0].is_gone_at_end);
}

static void a_reset_is_noticed_while_nobody_reads(void **state)
{
    (void)state;
    works[0] = suspends;
    connect_tcp(0);
    put_text(GET);
    while (requests == 0)
        turn();
    assert_false(conn_is_gone(seen[0].conn));
    reset();
    while (!conn_is_gone(seen[0].conn))
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(net.conn_count, 1); /* until the exchange is over */
    coro_wake(suspended, 0);
    turn_until_closed();
    assert_int_equal(finished, 1);
}

static void a_reset_wakes_who_writes(void **state)
{
    (void)state;
    works[0] = writes_vectors;
    connect_tcp(8192);
    put_text(GET);
    while (requests == 0)
        turn();
    assert_int_equal(finished, 0);
    reset();
    turn_until_closed();
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, EPIPE);
}

static int cuts(struct conn *conn)
{
    gather_text(conn, "begun");
    conn_cut(conn);
    return 0;
}

static void a_cut_is_a_reset_behind_what_was_answered(void **state)
{
    (void)state;
    works[1] = cuts;
    connect_tcp(0);
    put_text(GET GET GET);
    turn_until_closed();
    while (wire_end == 0)
        receive();
    assert_string_equal(wire, "answer 0\nbegun");
    assert_int_equal(wire_end, 2);
    assert_int_equal(requests, 2);
}

static void our_end_lingers_until_the_client_has_read_its_answer(void **state)
{
    (void)state;
    end = CONN_END_BY_SERVER;
    connect_tcp(0);
    put_text(GET);
    while (finished == 0)
        turn();
    put_text(GET GET); /* bytes nobody will look at: unread, they would make a reset */
    turn();
    turn();
    assert_int_equal(net.conn_count, 1);
    receive();
    assert_string_equal(wire, "answer 0\n");
    assert_int_equal(wire_end, 1);
    close(client);
    client = -1;
    turn_until_closed();
    assert_int_equal(requests, 1);
}

static void who_announced_the_end_is_closed_at_once(void **state)
{
    (void)state;
    end = CONN_END_BY_CLIENT;
    connect_tcp(0);
    put_text(GET);
    turn_until_closed();
    while (wire_end == 0)
        receive();
    assert_string_equal(wire, "answer 0\n");
    assert_int_equal(wire_end, 1);
}

static void cutting_all_ends_every_connection_and_wakes_who_waits(void **state)
{
    int others[3];

    (void)state;
    works[0] = reads;
    works[1] = writes_vectors;
    works[2] = suspends;
    connect_client();
    others[0] = client;
    put_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    while (requests < 1)
        turn();
    connect_tcp(8192);
    others[1] = client;
    put_text(GET);
    while (requests < 2)
        turn();
    connect_client();
    others[2] = client;
    put_text(GET);
    while (requests < 3)
        turn();
    connect_client(); /* idle */
    assert_int_equal(net.conn_count, 4);

    net_cut_all(&net);
    assert_int_equal(net.conn_count, 3);
    while (finished < 2)
        turn();
    assert_int_equal(net.conn_count, 1); /* the one that waits for something else */
    assert_int_equal(seen[0].error, ECONNRESET);
    assert_int_equal(seen[1].error, EPIPE);
    assert_int_equal(empties, 0);
    coro_wake(suspended, 0);
    turn();
    assert_int_equal(net.conn_count, 0);
    assert_int_equal(empties, 1);
    for (size_t i = 0; i < COUNT(others); i++)
        close(others[i]);
}

/* ---- limits ---- */

#define SHORT (150 * NS_PER_MS)

static void a_connection_that_asks_nothing_is_closed_in_silence(void **state)
{
    uint64_t begun = clock_ns();

    (void)state;
    limit_to((struct net_durations){.head = SHORT});
    connect_client();
    turn_until_closed();
    assert_true(clock_ns() - begun >= SHORT);
    assert_string_equal(wire, "");
    assert_int_equal(requests, 0);
}

static void half_a_head_is_refused_with_408(void **state)
{
    uint64_t begun = clock_ns(), next = begun;

    (void)state;
    limit_to((struct net_durations){.head = SHORT});
    connect_client();
    put_text(GET "GET /");
    while (wire_end == 0) {
        turn_and_receive();
        if (clock_ns() >= next && finished == 1) {
            put_text("a"); /* a drip is no excuse */
            next += SHORT / 10;
        }
    }
    assert_true(clock_ns() - begun >= SHORT);
    assert_string_equal(wire, "answer 0\nrefused 408\n");
}

static void an_idle_connection_is_closed_after_keep_alive(void **state)
{
    uint64_t answered;

    (void)state;
    limit_to((struct net_durations){.keep_alive = SHORT, .head = SHORT / 4});
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    answered = clock_ns();
    assert_int_equal(board_get(&net.slot->idle), 1);
    turn_until_closed();
    assert_true(clock_ns() - answered >= SHORT);
    assert_int_equal(wire_end, 1);
    assert_string_equal(wire, "answer 0\n");
}

static int is_busy(struct conn *conn)
{
    for (uint64_t until = clock_ns() + 2 * SHORT; clock_ns() < until;)
        ;
    return answers(conn);
}

/* The loop's idea of now is from before the application's work. */
static void an_applications_time_is_not_the_clients(void **state)
{
    uint64_t answered;

    (void)state;
    works[0] = is_busy;
    limit_to((struct net_durations){.keep_alive = SHORT});
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    answered = clock_ns();
    turn_until_closed();
    assert_true(clock_ns() - answered >= SHORT / 2); /* `answered` is a little late */
}

static void a_body_that_does_not_come_times_out(void **state)
{
    char head[128];
    uint64_t begun = clock_ns();

    (void)state;
    works[0] = reads;
    limit_to((struct net_durations){.body = SHORT, .head = SHORT / 4, .keep_alive = SHORT / 4});
    connect_client();
    snprintf(head, sizeof(head), POST "half", (size_t)8);
    put_text(head);
    turn_until_finished(1);
    assert_true(clock_ns() - begun >= SHORT);
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, ETIMEDOUT);
    assert_false(seen[0].is_gone_at_end);
}

/* Without a look at the client: it takes nothing. */
static void turn_blindly_until_finished(unsigned count)
{
    while (finished < count)
        event_base_loop(base, EVLOOP_ONCE);
}

static void a_client_that_takes_nothing_times_out(void **state)
{
    uint64_t begun = clock_ns();

    (void)state;
    works[0] = writes_vectors;
    limit_to((struct net_durations){.write = SHORT});
    connect_tcp(8192);
    put_text(GET);
    turn_blindly_until_finished(1);
    assert_true(clock_ns() - begun >= SHORT);
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, ETIMEDOUT);
    while (net.conn_count > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static int blocks_reads_and_writes(struct conn *conn)
{
    struct iovec all = {(char *)(uintptr_t)pattern(3000000), 3000000};

    gather_text(conn, pattern(2000000)); /* what no socket takes at once: blocked while it reads */
    if (reads_one_byte(conn) == -1)
        return -1;
    return conn_write(conn, &all, 1);
}

/* The body's limit took the place of the answer's, and was over. */
static void it_times_out_although_a_body_came_in_between(void **state)
{
    char head[128];

    (void)state;
    works[0] = blocks_reads_and_writes;
    limit_to((struct net_durations){.write = SHORT});
    connect_tcp(8192);
    snprintf(head, sizeof(head), POST, (size_t)8);
    put_text(head);
    while (requests == 0)
        turn();
    turn();
    put_text("x");
    turn_blindly_until_finished(1);
    assert_int_equal(seen[0].result, -1);
    assert_int_equal(seen[0].error, ETIMEDOUT);
}

static int blocks_and_reads(struct conn *conn)
{
    gather_text(conn, pattern(2000000));
    return reads_one_byte(conn);
}

static void an_answer_that_stays_behind_times_out_too(void **state)
{
    char head[128];

    (void)state;
    works[0] = blocks_and_reads;
    limit_to((struct net_durations){.write = SHORT});
    connect_tcp(8192);
    snprintf(head, sizeof(head), POST, (size_t)1);
    put_text(head);
    while (requests == 0)
        turn();
    turn();
    put_text("x");
    turn_blindly_until_finished(1);
    while (net.conn_count > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void a_linger_has_an_end(void **state)
{
    (void)state;
    end = CONN_END_BY_SERVER;
    connect_client();
    put_text(GET);
    turn_until_closed(); /* although the client keeps its end open */
    assert_string_equal(wire, "answer 0\n");
}

/* ---- accounts ---- */

static void idle_connections_are_counted_and_have_no_buffers(void **state)
{
    int first;

    (void)state;
    connect_client();
    first = client;
    connect_client();
    assert_int_equal(board_get(&net.slot->accepted), 2);
    assert_int_equal(board_get(&net.slot->idle), 2);
    put_text(GET "GET");
    turn_until_finished(1);
    assert_int_equal(board_get(&net.slot->idle), 1); /* half a head is no idleness */
    put_text(" / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn_until_finished(2);
    turn();
    assert_int_equal(board_get(&net.slot->idle), 2);
    assert_int_equal(net.ins.kept, 1);
    assert_int_equal(net.outs.kept, 1);
    close(first);
    close(client);
    client = -1;
    turn_until_closed();
    assert_int_equal(board_get(&net.slot->closed), 2);
    assert_int_equal(empties, 1);
}

/* ---- from one process to another, both of which are this one ---- */

/* The connection goes on here. */
static void adopt_handed(void)
{
    int fd = handed;

    assert_int_not_equal(fd, -1);
    handed = -1;
    net_drain(&net, false);
    net.is_draining = false;
    assert_int_equal(conn_adopt(&net, fd, NULL, !is_handed_fresh, false), 0);
}

static void a_drain_hands_on_what_is_idle_and_what_was_not_read_goes_along(void **state)
{
    (void)state;
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    turn();
    put_text(GET GET);
    net_drain(&net, true);
    assert_int_not_equal(handed, -1);
    assert_false(is_handed_fresh);
    assert_int_equal(net.conn_count, 0);
    assert_int_equal(empties, 1);
    assert_int_equal(board_get(&net.slot->idle), 0);
    turn();
    assert_int_equal(requests, 1); /* nobody listens to it here */
    adopt_handed();
    turn_until_finished(3);
    turn();
    receive();
    assert_string_equal(wire, "answer 0\nanswer 1\nanswer 2\n");
    assert_int_equal(wire_end, 0);
    assert_int_equal(board_get(&net.slot->accepted), 1);
    assert_int_equal(board_get(&net.slot->closed), 0);
    assert_int_equal(board_get(&net.slot->idle), 1);
}

static void a_running_request_is_finished_before_its_connection_is_handed_on(void **state)
{
    (void)state;
    works[0] = suspends;
    connect_client();
    put_text(GET);
    turn();
    net_drain(&net, true);
    assert_true(conn_may_stay(seen[0].conn)); /* so the answer need not end the connection */
    assert_int_equal(offered, 0);
    coro_wake(suspended, 0);
    turn_until_finished(1);
    turn();
    receive();
    assert_string_equal(wire, "answer 0\n");
    assert_int_equal(wire_end, 0);
    adopt_handed();
}

static void half_a_head_and_a_pipeline_stay_until_they_are_answered(void **state)
{
    (void)state;
    connect_client();
    put_text("GET / HT");
    turn();
    net_drain(&net, true);
    assert_int_equal(offered, 0);
    put_text("TP/1.1\r\nHost: a\r\n\r\n" GET "G");
    turn_until_finished(2);
    turn();
    assert_int_equal(offered, 0);
    put_text("ET / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn_until_finished(3);
    turn();
    assert_int_equal(offered, 1);
    adopt_handed();
}

static void who_cannot_be_handed_on_stays_and_misses_nothing(void **state)
{
    (void)state;
    connect_client();
    does_refuse = true;
    put_text(GET);
    net_drain(&net, true);
    assert_int_equal(offered, 1);
    assert_int_equal(net.conn_count, 1);
    turn_until_finished(1);
    turn();
    assert_int_equal(offered, 2);
    does_refuse = false;
    net_hand_on(&net);
    assert_int_equal(offered, 3);
    assert_int_equal(net.conn_count, 0);
    adopt_handed();
}

static void nothing_is_handed_on_when_others_cannot_take_it_any_more(void **state)
{
    (void)state;
    connect_client();
    does_refuse = true;
    net_drain(&net, true);
    net_drain(&net, false);
    assert_false(conn_may_stay(TAILQ_FIRST(&net.conns)));
    net_hand_on(&net);
    put_text(GET);
    turn_until_finished(1);
    turn();
    assert_int_equal(offered, 1);
}

static void a_connection_that_was_adopted_has_the_time_that_is_due_to_it(void **state)
{
    (void)state;
    limit_to((struct net_durations){.keep_alive = NS_PER_SEC / 5});
    connect_client();
    net_drain(&net, true);
    assert_true(is_handed_fresh);
    adopt_handed(); /* it has never asked: head_timeout, hours */
    net_drain(&net, true);
    assert_true(is_handed_fresh);
    is_handed_fresh = false;
    adopt_handed();
    net_drain(&net, true);
    assert_false(is_handed_fresh);
    adopt_handed();
    turn_until_closed(); /* after keep_alive */
}

static void one_that_was_reset_on_its_way_is_closed(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    int fd;

    (void)state;
    connect_tcp(0);
    net_drain(&net, true);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(client);
    client = -1;
    fd = handed;
    assert_int_equal(conn_adopt(&net, fd, NULL, true, false), -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(board_get(&net.slot->closed), 1);
}

static void without_memory_one_that_cannot_be_handed_on_is_closed(void **state)
{
    (void)state;
    connect_client();
    does_refuse = is_event_refused = true;
    net_drain(&net, true);
    is_event_refused = false;
    assert_int_equal(offered, 1);
    turn_until_closed();
    assert_int_equal(wire_end, 1);
}

static void one_whose_listener_nobody_serves_has_a_moment_for_a_last_request(void **state)
{
    (void)state;
    connect_client();
    has_taker = false;
    net_drain(&net, true);
    assert_int_equal(offered, 0);
    assert_false(conn_may_stay(TAILQ_FIRST(&net.conns)));
    end = CONN_END_BY_SERVER; /* as an answer that says so */
    put_text(GET);
    turn_until_finished(1);
    receive();
    assert_string_equal(wire, "answer 0\n");
}

static void one_that_lets_it_pass_is_closed_without_a_reset(void **state)
{
    uint64_t before = clock_ns();

    (void)state;
    connect_client();
    put_text(GET);
    turn_until_finished(1);
    turn();
    has_taker = false;
    net_drain(&net, true);
    while (wire_end == 0)
        turn_and_receive();
    assert_int_equal(wire_end, 1);
    assert_true(clock_ns() - before >= DRAIN_GRACE);
    assert_int_equal(board_get(&net.slot->idle), 0);
    close(client);
    client = -1;
    turn_until_closed();
}

static void what_comes_at_the_end_of_that_moment_is_answered(void **state)
{
    (void)state;
    connect_client();
    turn();
    has_taker = false;
    net_drain(&net, true);
    put_text(GET); /* the loop does not know yet */
    limits_expire_class(net.limits, LIMIT_LEAVE);
    turn_until_finished(1);
    receive();
    assert_string_equal(wire, "answer 0\n");
    assert_int_equal(wire_end, 0);
}

static void one_that_somebody_serves_in_the_end_is_handed_on(void **state)
{
    (void)state;
    connect_client();
    has_taker = false;
    net_drain(&net, true);
    has_taker = does_refuse = true; /* no room just now */
    net_drain(&net, true);
    limits_expire_class(net.limits, LIMIT_LEAVE);
    assert_int_equal(net.conn_count, 1);
    does_refuse = false;
    net_hand_on(&net);
    assert_int_equal(net.conn_count, 0);
    adopt_handed();
}

static void one_that_came_back_stays_until_its_next_answer(void **state)
{
    int fd;

    (void)state;
    connect_client();
    net_drain(&net, true);
    fd = handed;
    handed = -1;
    assert_int_equal(conn_adopt(&net, fd, NULL, true, true), 0);
    assert_int_equal(offered, 1);
    assert_false(conn_may_stay(TAILQ_FIRST(&net.conns)));
    net_hand_on(&net);
    assert_int_equal(offered, 1);
    net_drain(&net, true); /* somebody else has come */
    assert_int_equal(offered, 2);
    adopt_handed();
}

static void one_that_is_adopted_by_who_drains_too_goes_on_at_once(void **state)
{
    int fd;

    (void)state;
    connect_client();
    net_drain(&net, true);
    fd = handed;
    handed = -1;
    assert_int_equal(conn_adopt(&net, fd, NULL, true, false), 0);
    assert_int_equal(offered, 2);
    assert_int_equal(net.conn_count, 0);
    adopt_handed();
}

static bool could_stay[4];

static int notes_whether_it_may_stay(struct conn *conn)
{
    could_stay[index_of(conn)] = conn_may_stay(conn);
    return answers(conn);
}

static void who_is_never_idle_is_told_after_a_moment(void **state)
{
    (void)state;
    works[0] = notes_whether_it_may_stay;
    connect_client();
    put_text(GET GET);
    net_drain(&net, true); /* it is idle still: unread */
    adopt_handed();
    net.is_draining = net.is_handing_on = true; /* as if it had been so before */
    net.drained_at = clock_ns() - 2 * DRAIN_GRACE;
    turn_until_finished(2);
    turn();
    assert_true(could_stay[0]); /* it may be its only one */
    assert_false(could_stay[1]);
    put_text(GET GET);
    adopt_handed();
    net.is_draining = net.is_handing_on = true;
    net.drained_at = clock_ns();
    turn_until_finished(4);
    assert_true(could_stay[2]);
    assert_true(could_stay[3]);
    turn();
    adopt_handed();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_that_comes_byte_by_byte_is_one_request),
        TEST(pipelined_requests_are_handed_up_one_after_another),
        TEST(a_thousand_pipelined_requests_do_not_keep_the_loop),
        TEST(what_is_no_head_is_refused_and_ends_the_connection),
        TEST(a_head_that_is_too_long_is_refused_at_its_limit),
        TEST(a_body_arrives_whole_however_it_comes),
        TEST(chunks_are_put_together_and_what_is_behind_them_is_found),
        TEST(broken_chunks_are_an_error_and_the_end),
        TEST(the_head_stays_where_it_is_while_the_body_comes),
        TEST(an_unread_body_is_read_past_if_it_is_short),
        TEST(a_long_one_ends_the_connection_after_the_answer),
        TEST(a_chunked_one_that_goes_on_ends_it_too),
        TEST(a_connection_is_reusable_if_the_body_will_be_out_of_the_way),
        TEST(a_long_body_nobody_has_begun_to_read_makes_it_useless),
        TEST(the_interim_answer_goes_before_what_is_held),
        TEST(what_is_held_stays),
        TEST(pieces_leave_in_order_however_slowly_the_client_reads),
        TEST(a_file_leaves_behind_what_was_gathered),
        TEST(a_file_that_ends_early_is_an_error_of_its_own),
        TEST(on_the_loop_writing_gathers_and_reading_does_not_wait),
        TEST(who_never_waits_lets_others_have_their_turn),
        TEST(a_client_that_says_no_more_gets_its_answers),
        TEST(a_body_that_breaks_off_is_told_to_who_reads_it),
        TEST(a_reset_is_noticed_by_an_idle_connection),
        TEST(a_reset_that_comes_together_with_bytes_is_noticed),
        TEST(a_reset_is_noticed_while_nobody_reads),
        TEST(a_reset_wakes_who_writes),
        TEST(a_cut_is_a_reset_behind_what_was_answered),
        TEST(our_end_lingers_until_the_client_has_read_its_answer),
        TEST(who_announced_the_end_is_closed_at_once),
        TEST(cutting_all_ends_every_connection_and_wakes_who_waits),
        TEST(a_connection_that_asks_nothing_is_closed_in_silence),
        TEST(half_a_head_is_refused_with_408),
        TEST(an_idle_connection_is_closed_after_keep_alive),
        TEST(an_applications_time_is_not_the_clients),
        TEST(a_body_that_does_not_come_times_out),
        TEST(a_client_that_takes_nothing_times_out),
        TEST(it_times_out_although_a_body_came_in_between),
        TEST(an_answer_that_stays_behind_times_out_too),
        TEST(a_linger_has_an_end),
        TEST(idle_connections_are_counted_and_have_no_buffers),
        TEST(a_drain_hands_on_what_is_idle_and_what_was_not_read_goes_along),
        TEST(a_running_request_is_finished_before_its_connection_is_handed_on),
        TEST(half_a_head_and_a_pipeline_stay_until_they_are_answered),
        TEST(who_cannot_be_handed_on_stays_and_misses_nothing),
        TEST(nothing_is_handed_on_when_others_cannot_take_it_any_more),
        TEST(a_connection_that_was_adopted_has_the_time_that_is_due_to_it),
        TEST(one_that_was_reset_on_its_way_is_closed),
        TEST(without_memory_one_that_cannot_be_handed_on_is_closed),
        TEST(one_whose_listener_nobody_serves_has_a_moment_for_a_last_request),
        TEST(one_that_lets_it_pass_is_closed_without_a_reset),
        TEST(what_comes_at_the_end_of_that_moment_is_answered),
        TEST(one_that_somebody_serves_in_the_end_is_handed_on),
        TEST(one_that_came_back_stays_until_its_next_answer),
        TEST(one_that_is_adopted_by_who_drains_too_goes_on_at_once),
        TEST(who_is_never_idle_is_told_after_a_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
