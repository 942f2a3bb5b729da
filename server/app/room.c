/* room.c: sets up the applications' side of a worker. */
#include "app/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/generation.h"
#include "app/overdue.h"
#include "app/request.h"
#include "app/route.h"
#include "app/trial.h"
#include "base/clock.h"
#include "http/status.h"
#include "net/listener.h"

static int open_apps(struct room *room, struct board *board, unsigned worker)
{
    room->app_count = (unsigned)room->config->app_count;
    room->apps = calloc(room->app_count, sizeof room->apps[0]);
    if (!room->apps)
        return -1;
    for (unsigned i = 0; i < room->app_count; i++) {
        room->apps[i].config = &room->config->apps[i];
        room->apps[i].room = room;
        room->apps[i].index = room->config->apps[i].column;
        room->apps[i].cell = board_cell(board, worker, room->apps[i].index);
        LIST_INIT(&room->apps[i].generations);
    }
    return 0;
}

int room_open(struct room *room, const struct config *config, struct board *board, unsigned worker)
{
    room->config = config;
    room->board = board;
    room->worker = worker;
    room->slot = board_slot(board, worker);
    room->quarantine = &board->quarantine;
    flight_open(&room->recorder, &room->slot->flights, board_get(&room->slot->incarnation));
    SLIST_INIT(&room->idle);
    if (getrandom(&room->next_id, sizeof room->next_id, 0) != sizeof room->next_id)
        room->next_id = clock_wall_ns() ^ (uint64_t)worker << 56;
    room->server_length = config->server_header ? (size_t)snprintf(room->stamp, sizeof room->stamp,
                                                                   "Server: reeve\r\n")
                                                : 0;
    room->routes = route_tables_new(config);
    if (!room->routes || open_apps(room, board, worker) == -1) {
        room_close(room);
        return -1;
    }
    return 0;
}

void room_close(struct room *room)
{
    if (room->door)
        listener_free(room->door);
    overdue_close(room);
    request_trim(room);
    route_tables_free(room->routes, room->config);
    free(room->apps);
}

static struct generation *first_in_use(const struct app *app)
{
    struct generation *generation;

    LIST_FOREACH (generation, &app->generations, entry)
        if (!generation->is_retired)
            return generation;
    return NULL;
}

/* Live or only prepared. One that still runs is left as it is: the process takes it along. From the
 * start each time, since one that goes may take others along. */
static void retire_all_of(struct app *app)
{
    struct generation *generation;

    while ((generation = first_in_use(app)))
        generation_retire(generation);
}

void room_retire(struct room *room)
{
    for (unsigned i = 0; i < room->app_count; i++)
        retire_all_of(&room->apps[i]);
}

void room_do(const struct room *room, enum worker_step step, const struct generation *generation)
{
    board_set(&room->slot->step_app, generation->app->index);
    board_set(&room->slot->step_generation, generation->number);
    board_set(&room->slot->step, step);
    if (step != STEP_NONE)
        trial_step(room, "%s", worker_step_name(step));
}

void room_refresh_stamp(struct room *room, uint64_t now)
{
    uint64_t wall = clock_wall_ns();
    char date[HTTP_DATE_LENGTH + 1];

    http_date((time_t)(wall / NS_PER_SEC), date);
    room->stamp_length =
        room->server_length + (size_t)snprintf(room->stamp + room->server_length,
                                               sizeof room->stamp - room->server_length,
                                               "Date: %s\r\n", date);
    room->stamp_until = now + NS_PER_SEC - wall % NS_PER_SEC;
}

struct app *room_app(struct room *room, unsigned column)
{
    for (unsigned i = 0; i < room->app_count; i++)
        if (room->apps[i].index == column)
            return &room->apps[i];
    return NULL;
}
