/* app_case.h: one worker's applications, loop and net around an application that is a function of
 * the test, and one client on a socketpair: what is sent goes the real way, and comes back byte by
 * byte.
 *
 * Assertions belong on the loop's stack: an application notes what it sees. */
#ifndef TESTS_UNIT_APP_CASE_H
#define TESTS_UNIT_APP_CASE_H

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/generation.h"
#include "app/place.h"
#include "app/request.h"
#include "app/room.h"
#include "app/route.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/listener.h"
#include "runtime/coro.h"
#include "runtime/soon.h"

/* In place of the server's own, which tells the time. */
#define CASE_STAMP "Server: S\r\nDate: D\r\n"

#define CASE_WIRE (4u << 20)

struct app_case {
    struct event_base *base;
    struct board *board;
    int board_fd;
    struct config config;
    struct config_listen listens[1];
    struct config_app apps[1];
    struct room room;
    struct listener *listener;
    reeve_app descriptor;
    struct generation *generation;
    int client;           /* the client's end; -1: none */
    char wire[CASE_WIRE]; /* what has come back, NUL-terminated */
    size_t length;
    bool is_closed; /* the server has closed its end */
};

static inline void app_case_fill_config(struct app_case *c)
{
    static char name[] = "case", mount[] = "/";

    c->listens[0].name = name;
    c->apps[0].name = name;
    c->apps[0].mount = mount;
    c->config.listens = c->listens;
    c->config.listen_count = 1;
    c->config.apps = c->apps;
    c->config.app_count = 1;
    c->config.keep_alive = 3600 * NS_PER_SEC;
    c->config.server_header = true;
}

/* Hours: whoever waits for a limit hangs, and is ended by alarm. */
static inline int app_case_open_net(struct app_case *c)
{
    struct net *net = &c->room.net;
    const uint64_t hour = 3600 * NS_PER_SEC;

    net->base = c->base;
    net->slot = c->room.slot;
    net->head_limits =
        (struct head_limits){.max_head = 32768, .max_target = 8192, .max_headers = 100};
    net->durations =
        (struct net_durations){.head = hour, .body = hour, .keep_alive = hour, .write = hour};
    net->app = &c->room;
    net->on_request = call_on_request;
    net->on_refused = call_on_refused;
    net->on_gone = call_on_gone;
    return net_open(net);
}

static inline void app_case_fix_stamp(struct app_case *c)
{
    struct room *room = &c->room;

    snprintf(room->stamp, sizeof room->stamp, CASE_STAMP);
    room->stamp_length = strlen(CASE_STAMP);
    room->server_length = strlen("Server: S\r\n");
    room->stamp_until = UINT64_MAX;
}

/* As prepared and committed, without a module. */
static inline int app_case_commit(struct app_case *c, reeve_application *application)
{
    struct generation *generation = calloc(1, sizeof *generation);

    if (!generation)
        return -1;
    c->descriptor = (reeve_app){.name = "case", .version = "1", .application = application};
    c->generation = generation;
    generation->app = &c->room.apps[0];
    generation->number = 1;
    generation->descriptor = &c->descriptor;
    place_find_mapping((const void *)(uintptr_t)application, &generation->mapping);
    generation->is_prepared = true;
    LIST_INSERT_HEAD(&c->room.apps[0].generations, generation, entry);
    generation_commit(generation, false, NULL, 0);
    return 0;
}

static inline int app_case_open(struct app_case *c, reeve_application *application)
{
    memset(c, 0, offsetof(struct app_case, wire));
    c->length = 0;
    c->is_closed = false;
    c->wire[0] = '\0';
    c->client = -1;
    alarm(60);                /* a condition that never comes true is a failure */
    signal(SIGPIPE, SIG_IGN); /* as in a worker */
    app_case_fill_config(c);
    c->base = event_base_new();
    c->board = board_create(1, 1, &c->board_fd);
    if (!c->base || !c->board || coro_pool_open(c->base, 256u << 10, 8) == -1 ||
        soon_open(c->base) == -1 || room_open(&c->room, &c->config, c->board, 0) == -1 ||
        app_case_open_net(c) == -1)
        return -1;
    app_case_fix_stamp(c);
    c->listener = listener_new(&c->room.net, -1, 0, 8080);
    return c->listener ? app_case_commit(c, application) : -1;
}

static inline void app_case_connect(struct app_case *c)
{
    const struct sockaddr_in peer = {.sin_family = AF_INET,
                                     .sin_port = htons(4711),
                                     .sin_addr.s_addr = htonl(0xc0000207)}; /* 192.0.2.7 */
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    c->client = fds[0];
    c->length = 0;
    c->is_closed = false;
    assert_int_equal(conn_open(&c->room.net, fds[1], c->listener, (const struct sockaddr *)&peer),
                     0);
}

static inline void app_case_send(struct app_case *c, const char *bytes, size_t size)
{
    assert_int_equal(send(c->client, bytes, size, MSG_NOSIGNAL), size);
}

/* The client takes what has come. */
static inline void app_case_receive(struct app_case *c)
{
    ssize_t n;

    if (c->client == -1)
        return;
    while ((n = recv(c->client, c->wire + c->length, CASE_WIRE - 1 - c->length, 0)) > 0)
        c->length += (size_t)n;
    c->is_closed |= n == 0 || (n == -1 && errno != EAGAIN);
    c->wire[c->length] = '\0';
}

static inline void app_case_turn(struct app_case *c)
{
    event_base_loop(c->base, EVLOOP_ONCE);
    app_case_receive(c);
}

/* Until the answers so far are `size` bytes. */
static inline void app_case_turn_until(struct app_case *c, size_t size)
{
    while (c->length < size && !c->is_closed)
        app_case_turn(c);
}

/* Until no request runs and no connection is left. The client reads all the while. */
static inline void app_case_turn_until_closed(struct app_case *c)
{
    while (c->room.net.conn_count > 0)
        app_case_turn(c);
    app_case_receive(c);
}

static inline void app_case_hang_up(struct app_case *c)
{
    close(c->client);
    c->client = -1;
}

/* All that comes back for these bytes from a client that says no more after them. */
static inline const char *app_case_ask(struct app_case *c, const char *bytes)
{
    app_case_connect(c);
    app_case_send(c, bytes, strlen(bytes));
    shutdown(c->client, SHUT_WR);
    app_case_turn_until_closed(c);
    app_case_hang_up(c);
    return c->wire;
}

static inline const struct board_column *app_case_column(const struct app_case *c)
{
    return &board_cell(c->board, 0, 0)->total;
}

static inline void app_case_close(struct app_case *c)
{
    if (c->client != -1)
        app_case_hang_up(c);
    net_cut_all(&c->room.net);
    coro_cancel_all();
    event_base_loop(c->base, EVLOOP_NONBLOCK);
    assert_int_equal(c->room.net.conn_count, 0);
    assert_int_equal(c->generation->holds, 0);
    generation_retire(c->generation);
    listener_free(c->listener);
    net_close(&c->room.net);
    room_close(&c->room);
    soon_close();
    coro_pool_close();
    event_base_free(c->base);
    board_detach(c->board);
    close(c->board_fd);
}

#endif
