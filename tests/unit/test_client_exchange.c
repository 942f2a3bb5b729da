/* test_client_exchange.c: requests over real sockets to a service in the same loop: which connection
 * they go on, who waits for one, and that whoever is cancelled at whichever wait leaves nothing
 * behind.
 *
 * Coroutines note what they see; only the loop's stack asserts. */
#include "client/exchange.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/origin.h"
#include "runtime/coro.h"

#define HEAD     "HTTP/1.1 200 OK\r\n"
#define TWO      HEAD "Content-Length: 2\r\n\r\nok"
#define MOST     16
#define ANY_TIME (3600.0)

/* ---- the service: a connection is answered when it has asked ---- */

struct peer {
    int fd; /* -1: closed */
    struct event *event;
    unsigned requests;
    bool is_closed; /* by the client */
};

static struct {
    const char *answer; /* to each request; NULL: none */
    bool closes;        /* behind it */
    unsigned closes_at; /* when the connection's so many-th request comes, without an answer */
    unsigned requests;
    struct peer peers[MOST];
    unsigned count;
    char last[4096]; /* request */
} service;

static struct event_base *base;
static struct event *accepting;
static int listener;
static char url[256];

static void hang_up(struct peer *peer)
{
    event_free(peer->event);
    close(peer->fd);
    peer->fd = -1;
}

/* Requests are small enough to come at once. */
static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = arg;
    ssize_t n = recv(fd, service.last, sizeof service.last - 1, 0);

    (void)what;
    if (n <= 0) {
        peer->is_closed = true;
        hang_up(peer);
        return;
    }
    service.last[n] = '\0';
    service.requests++;
    if (++peer->requests == service.closes_at) {
        hang_up(peer);
        return;
    }
    if (service.answer)
        send(fd, service.answer, strlen(service.answer), MSG_NOSIGNAL);
    if (service.closes)
        hang_up(peer);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = &service.peers[service.count % MOST];

    (void)what, (void)arg;
    service.count++;
    peer->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    peer->requests = 0;
    peer->is_closed = false;
    peer->event = event_new(base, peer->fd, EV_READ | EV_PERSIST, on_bytes, peer);
    event_add(peer->event, NULL);
}

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char path[64];

    alarm(60); /* a condition that never comes true is a failure */
    memset(&service, 0, sizeof service);
    snprintf(path, sizeof path, "/tmp/reeve-test-client-%d", getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    snprintf(url, sizeof url, "http+unix://%%2Ftmp%%2F%s/p", path + strlen("/tmp/"));
    *state = path;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    base = event_base_new();
    accepting = event_new(base, listener, EV_READ | EV_PERSIST, on_connection, NULL);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1 ||
        listen(listener, 16) == -1 || event_add(accepting, NULL) == -1)
        return -1;
    return coro_pool_open(base, 256u << 10, MOST) == -1 ? -1 : origin_open(base);
}

static int teardown(void **state)
{
    origin_close();
    coro_pool_close();
    for (unsigned i = 0; i < MOST; i++)
        if (service.peers[i].event && service.peers[i].fd != -1 && i < service.count)
            hang_up(&service.peers[i]);
    event_free(accepting);
    close(listener);
    event_base_free(base);
    unlink(*state);
    return 0;
}

static void turn_until_none_is_alive(void)
{
    while (coro_alive() > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void turn_a_while(void)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

/* ---- clients ---- */

struct client {
    reeve_client_request request;
    struct coro *coro;
    int status, error;
    char body[64];
    unsigned turn; /* the how many-th it was to have its answer */
};

static unsigned turns;

static void fetch(void *arg)
{
    struct client *client = arg;
    reeve_client_response *response;

    client->coro = coro_current();
    client->status = client->error = 0;
    if (reeve_client_fetch(&client->request, &response) == -1) {
        client->error = errno;
        return;
    }
    client->turn = ++turns;
    client->status = reeve_client_status(response);
    snprintf(client->body, sizeof client->body, "%s", reeve_client_body(response, NULL));
    reeve_client_response_free(response);
}

/* The status, or the error in the negative. */
static int ask(const char *method)
{
    struct client client = {.request = {.url = url, .method = method}};

    assert_int_equal(coro_run(fetch, NULL, &client, 0), 0);
    turn_until_none_is_alive();
    return client.error ? -client.error : client.status;
}

/* ---- which connection ---- */

static void one_connection_serves_request_after_request(void **state)
{
    (void)state;
    service.answer = TWO;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask("GET"), 200);
    assert_int_equal(service.count, 1);
    assert_int_equal(service.peers[0].requests, 5);
}

static void what_the_service_has_closed_is_not_used(void **state)
{
    (void)state;
    service.answer = TWO;
    service.closes = true; /* without having said so */
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask("POST"), 200);
    assert_int_equal(service.count, 3);
    event_base_loop(base, EVLOOP_ONCE); /* until the sweep */
    assert_false(origin_spare_one());
}

static void bytes_out_of_turn_end_a_connection(void **state)
{
    (void)state;
    service.answer = TWO;
    assert_int_equal(ask("GET"), 200);
    send(service.peers[0].fd, TWO, strlen(TWO), 0);
    assert_int_equal(ask("GET"), 200); /* seen by the request itself: the loop had no chance */
    assert_int_equal(service.count, 2);
    send(service.peers[1].fd, TWO, strlen(TWO), 0);
    turn_a_while(); /* and by the loop */
    assert_false(origin_spare_one());
}

/* It is closed when the request has come there, so nothing could be seen before. */
static void a_request_goes_once_more_when_that_does_no_harm(void **state)
{
    (void)state;
    service.answer = TWO;
    service.closes_at = 2;
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(service.count, 2);
    assert_int_equal(service.requests, 3);
    assert_int_equal(ask("POST"), -ECONNRESET);
    assert_int_equal(service.requests, 4);
    service.closes_at = 1; /* not a kept one: then it is no accident */
    assert_int_equal(ask("GET"), -ECONNRESET);
    assert_int_equal(service.requests, 5);
}

static void a_retry_is_not_repeated(void **state)
{
    (void)state;
    service.answer = TWO;
    assert_int_equal(ask("GET"), 200);
    service.peers[0].requests = 0;
    service.closes_at = 1; /* the new connection, too */
    assert_int_equal(ask("GET"), -ECONNRESET);
    assert_int_equal(service.requests, 3);
    assert_int_equal(service.count, 2);
}

static void the_service_says_for_how_long_it_keeps_one(void **state)
{
    (void)state;
    service.answer = HEAD "Keep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok";
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(service.count, 2);
    service.answer = HEAD "Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok";
    assert_int_equal(ask("GET"), 200);
    usleep(600000); /* half a second is what a second is taken for */
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(service.count, 4);
    /* Without another request the sweep sees to it. */
    while (!service.peers[3].is_closed)
        event_base_loop(base, EVLOOP_ONCE);
}

static void nothing_is_kept_in_a_worker_that_drains(void **state)
{
    (void)state;
    service.answer = TWO;
    assert_int_equal(ask("GET"), 200);
    origin_drain();
    turn_a_while();
    assert_true(service.peers[0].is_closed);
    assert_int_equal(ask("GET"), 200);
    turn_a_while();
    assert_true(service.peers[1].is_closed);
}

/* ---- taking turns ---- */

static void start(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        clients[i].request.url = url;
        assert_int_equal(coro_run(fetch, NULL, &clients[i], 0), 0);
    }
}

static void who_came_first_is_served_first(void **state)
{
    struct client clients[12] = {0};

    (void)state;
    turns = 0;
    service.answer = TWO;
    assert_int_equal(reeve_client_limit(url, 2, 1), 0);
    start(clients, 12);
    turn_until_none_is_alive();
    assert_int_equal(service.count, 2);
    for (unsigned i = 0; i < 12; i += 2) { /* two at a time */
        assert_in_range(clients[i].turn, i + 1, i + 2);
        assert_in_range(clients[i + 1].turn, i + 1, i + 2);
    }
    turn_a_while();
    assert_true(origin_spare_one());
    assert_false(origin_spare_one()); /* one may be idle */
}

static void who_gives_up_waiting_is_no_hindrance(void **state)
{
    struct client clients[4] = {0};

    (void)state;
    assert_int_equal(reeve_client_limit(url, 1, 1), 0);
    clients[1].request.timeout = 0.05;
    start(clients, 4); /* not answered yet */
    while (!clients[1].error)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(clients[1].error, ETIMEDOUT);
    coro_cancel(clients[2].coro, ECANCELED);
    turn_a_while();
    assert_int_equal(clients[2].error, ECANCELED);
    service.answer = TWO;
    send(service.peers[0].fd, TWO, strlen(TWO), 0);
    turn_until_none_is_alive();
    assert_int_equal(clients[0].status, 200);
    assert_int_equal(clients[3].status, 200);
    assert_int_equal(service.count, 1);
}

static void more_may_come_in_when_the_limit_is_raised(void **state)
{
    struct client clients[3] = {0};

    (void)state;
    assert_int_equal(reeve_client_limit(url, 1, 0), 0);
    start(clients, 3);
    turn_a_while();
    assert_int_equal(service.count, 1);
    assert_int_equal(reeve_client_limit(url, 3, 0), 0);
    turn_a_while();
    assert_int_equal(service.count, 3);
    for (int i = 0; i < 3; i++)
        send(service.peers[i].fd, TWO, strlen(TWO), 0);
    turn_until_none_is_alive();
    turn_a_while();
    for (int i = 0; i < 3; i++)
        assert_true(service.peers[i].is_closed); /* none may be idle */
}

static void origins_with_limits_are_not_without_number(void **state)
{
    char name[64];

    (void)state;
    for (int i = 0; i < ORIGIN_LIMITED; i++) {
        snprintf(name, sizeof name, "http://h%d/", i);
        assert_int_equal(reeve_client_limit(name, 1, 1), 0);
    }
    assert_int_equal(reeve_client_limit("http://h0/", 2, 2), 0);
    assert_int_equal(reeve_client_limit("http://other/", 1, 1), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(reeve_client_limit("https://h/", 1, 1), -1);
    assert_int_equal(errno, EPROTONOSUPPORT);
}

static int lowest_descriptor(void)
{
    int fd = dup(listener);

    close(fd);
    return fd;
}

/* A request on a connection of its own, while no descriptor is left for it: the status, or the error
 * in the negative. The service has some again by the time it accepts. */
static int ask_without_descriptors(void)
{
    struct client client = {.request = {.url = url, .is_alone = true}};
    struct rlimit before, none;

    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest_descriptor();
    setrlimit(RLIMIT_NOFILE, &none);
    coro_run(fetch, NULL, &client, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    turn_until_none_is_alive();
    return client.error ? -client.error : client.status;
}

static void an_idle_connection_gives_its_descriptor_to_one_that_is_needed(void **state)
{
    (void)state;
    service.answer = TWO;
    assert_int_equal(ask("GET"), 200);
    assert_int_equal(ask_without_descriptors(), 200);
    assert_true(service.peers[0].is_closed);
    assert_int_equal(ask_without_descriptors(), -EMFILE); /* there is none that could */
    assert_int_equal(service.count, 2);
    assert_int_equal(ask("GET"), 200);
}

/* ---- one that writes and one that reads ---- */

struct pair {
    struct reeve_client_exchange exchange;
    reeve_client_request request;
    int begun, written, status;
    unsigned pieces; /* 10 ms apart */
};

static void write_pieces(void *arg)
{
    struct pair *pair = arg;

    pair->begun = exchange_begin(&pair->exchange, ANY_TIME);
    for (unsigned i = 0; i < pair->pieces && pair->written == 0; i++) {
        coro_sleep(10 * NS_PER_MS);
        pair->written = exchange_write(&pair->exchange, "piece", 5);
    }
    if (pair->written == 0)
        pair->written = exchange_finish(&pair->exchange);
}

static void read_head(void *arg)
{
    struct pair *pair = arg;

    pair->status = exchange_head(&pair->exchange) == 0 ? pair->exchange.answer->status : -errno;
}

static void begin_pair(struct pair *pair)
{
    pair->request.url = url;
    pair->request.method = "PUT";
    pair->request.is_chunked = true;
    assert_int_equal(ask_init(&pair->exchange.ask, &pair->request), 0);
    assert_int_equal(coro_run(write_pieces, NULL, pair, 0), 0);
}

static void end_pair(struct pair *pair)
{
    turn_until_none_is_alive();
    exchange_end(&pair->exchange);
}

static void the_limit_of_the_answer_begins_when_the_request_was_sent(void **state)
{
    struct pair pair = {.pieces = 10, .request.answer_timeout = 0.05};

    (void)state;
    begin_pair(&pair);
    assert_int_equal(coro_run(read_head, NULL, &pair, 0), 0);
    while (!pair.exchange.is_sent && pair.status == 0)
        event_base_loop(base, EVLOOP_ONCE);
    send(service.peers[0].fd, TWO, strlen(TWO), 0);
    end_pair(&pair);
    assert_int_equal(pair.written, 0);
    assert_int_equal(pair.status, 200);
    /* And it is one. */
    pair = (struct pair){.pieces = 1, .request.answer_timeout = 0.05};
    begin_pair(&pair);
    assert_int_equal(coro_run(read_head, NULL, &pair, 0), 0);
    end_pair(&pair);
    assert_int_equal(pair.status, -ETIMEDOUT);
}

/* Its connection had gone, and the service's queue is full. */
static void who_reads_waits_while_the_request_goes_once_more(void **state)
{
    struct pair pair = {.pieces = 1};
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    int queued[MOST + 8], count = 0;

    (void)state;
    service.answer = TWO;
    service.closes_at = 2;
    assert_int_equal(ask("GET"), 200);
    begin_pair(&pair);
    while (service.requests < 2)
        event_base_loop(base, EVLOOP_ONCE);
    event_del(accepting);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (;; count++) {
        queued[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(queued[count], (struct sockaddr *)&address, length) == -1)
            break;
    }
    while (!pair.exchange.is_retried)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(coro_run(read_head, NULL, &pair, 0), 0);
    turn_a_while();
    for (; count >= 0; count--)
        close(queued[count]);
    for (int fd; (fd = accept(listener, NULL, NULL)) != -1;)
        close(fd);
    event_add(accepting, NULL);
    end_pair(&pair);
    assert_int_equal(pair.written, 0);
    assert_int_equal(pair.status, 200);
}

/* ---- cancelled at every wait ---- */

/* Each sort of wait once: for a connection (the limit is one, the other has it), the queue, the
 * answer's head, its body. */
static void exchange(void *arg)
{
    static const char text[] = "text";
    struct client *client = arg;
    struct reeve_client_exchange *streamed = calloc(1, sizeof *streamed);
    char piece[64];
    ssize_t n = -1;

    client->error = ask_init(&streamed->ask, &client->request);
    if (client->error == 0 && exchange_begin(streamed, ANY_TIME) == 0 &&
        exchange_write(streamed, text, 4) == 0 && exchange_finish(streamed) == 0 &&
        exchange_head(streamed) == 0)
        while ((n = exchange_read(streamed, piece, sizeof piece)) > 0)
            ;
    client->status = n == 0 ? streamed->answer->status : 0;
    client->error = n == 0 ? 0 : errno;
    exchange_end(streamed);
    free(streamed);
}

static void whoever_is_cancelled_leaves_nothing_behind(void **state)
{
    struct client first, second;
    int descriptor = lowest_descriptor();
    unsigned n, left = 0;

    (void)state;
    service.answer = HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    assert_int_equal(reeve_client_limit(url, 1, 1), 0);
    for (n = 1; left == 0; n++) {
        first = (struct client){.request = {.url = url, .is_chunked = true, .method = "PUT"}};
        second = first;
        first.request.expects_continue = second.request.expects_continue = n % 2;
        coro_cancel_nth(n);
        assert_int_equal(coro_run(exchange, NULL, &first, 0), 0);
        assert_int_equal(coro_run(exchange, NULL, &second, 0), 0);
        for (int i = 0; i < 20; i++) /* the rest of an answer comes late */
            turn_a_while();
        for (unsigned i = 0; i < MOST; i++)
            if (i < service.count && service.peers[i].fd != -1)
                send(service.peers[i].fd, "0\r\n\r\n", 5, MSG_NOSIGNAL);
        while (coro_alive() > 0) {
            event_base_loop(base, EVLOOP_ONCE);
            for (unsigned i = 0; i < MOST; i++)
                if (i < service.count && service.peers[i].fd != -1 && service.peers[i].requests)
                    send(service.peers[i].fd, "0\r\n\r\n", 5, MSG_NOSIGNAL);
        }
        left = coro_cancel_nth(0);
        while (origin_spare_one())
            ;
        turn_a_while();
        assert_int_equal(lowest_descriptor(), descriptor);
        assert_true(left > 0 || first.error == ECANCELED || second.error == ECANCELED);
    }
    assert_true(n > 4);
    /* The turn has not got lost. */
    service.answer = TWO;
    assert_int_equal(ask("GET"), 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_request_after_request),
        TEST(what_the_service_has_closed_is_not_used),
        TEST(bytes_out_of_turn_end_a_connection),
        TEST(a_request_goes_once_more_when_that_does_no_harm),
        TEST(a_retry_is_not_repeated),
        TEST(the_service_says_for_how_long_it_keeps_one),
        TEST(nothing_is_kept_in_a_worker_that_drains),
        TEST(who_came_first_is_served_first),
        TEST(who_gives_up_waiting_is_no_hindrance),
        TEST(more_may_come_in_when_the_limit_is_raised),
        TEST(origins_with_limits_are_not_without_number),
        TEST(an_idle_connection_gives_its_descriptor_to_one_that_is_needed),
        TEST(the_limit_of_the_answer_begins_when_the_request_was_sent),
        TEST(who_reads_waits_while_the_request_goes_once_more),
        TEST(whoever_is_cancelled_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
