/* board_case.h: a scoreboard and a configuration filled in by hand, for what reads them. */
#ifndef TESTS_BOARD_CASE_H
#define TESTS_BOARD_CASE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/config.h"

#define CASE_WORKERS 8
#define CASE_APPS    4
#define CASE_HANG    (30 * NS_PER_SEC)

struct board_case {
    struct board *board;
    int fd;
    uint64_t now; /* clock_ns(), a minute after the start */
    struct config config;
    struct config_listen listens[2];
    struct config_app apps[2];
    char names[6][16];
};

static inline void case_name_app(struct board_case *c, unsigned i, const char *name,
                                 const char *mount)
{
    snprintf(c->names[i], sizeof c->names[i], "%s", name);
    snprintf(c->names[2 + i], sizeof c->names[2 + i], "%s", mount);
    c->apps[i].name = c->names[i];
    c->apps[i].mount = c->names[2 + i];
    c->apps[i].module = c->names[i];
    c->apps[i].column = i;
    snprintf(board_app(c->board, i)->name, sizeof board_app(c->board, i)->name, "%s", name);
    board_set(&c->board->app_count, i + 1);
}

static inline int board_case_init(struct board_case *c)
{
    memset(c, 0, sizeof *c);
    c->board = board_create(CASE_WORKERS, CASE_APPS, &c->fd);
    if (c->board == NULL)
        return -1;
    c->now = c->board->started_at + 60 * NS_PER_SEC;
    case_name_app(c, 0, "hello", "/");
    case_name_app(c, 1, "echo", "/echo");
    for (unsigned i = 0; i < 2; i++) {
        snprintf(c->names[4 + i], sizeof c->names[4 + i], "listen%u", i);
        c->listens[i].name = c->names[4 + i];
        c->listens[i].backlog = 511;
        sock_parse("127.0.0.1:8080", &c->listens[i].address);
    }
    c->config.workers = 2;
    c->config.hang_timeout = CASE_HANG;
    c->config.listens = c->listens;
    c->config.listen_count = 2;
    c->config.apps = c->apps;
    c->config.app_count = 2;
    return 0;
}

static inline void board_case_fini(struct board_case *c)
{
    board_detach(c->board);
    close(c->fd);
}

/* A living worker in seat i, whose loop came round just now. */
static inline struct board_slot *case_worker(struct board_case *c, unsigned i, uint64_t incarnation)
{
    struct board_seat *seat = board_seat(c->board, i);
    struct board_slot *slot = board_slot(c->board, i);

    board_set(&seat->state, SEAT_SERVING);
    board_set(&seat->incarnation, incarnation);
    board_set(&seat->pid, 1000 + i);
    board_set(&seat->last_spawn, c->now - 10 * NS_PER_SEC);
    board_set(&slot->incarnation, incarnation);
    board_set(&slot->pid, 1000 + i);
    board_set(&slot->booted_at, c->now - 9 * NS_PER_SEC);
    board_set(&slot->is_accepting, 1);
    board_set(&slot->heartbeat_at, c->now);
    return slot;
}

/* `requests` requests of 1 ms each, all answered with 200. */
static inline void case_serve(struct board_column *column, uint64_t requests)
{
    board_add(&column->requests, requests);
    board_add(&column->answers[2], requests);
    for (uint64_t i = 0; i < requests; i++)
        histogram_record(&column->latency, NS_PER_MS);
}

#endif
