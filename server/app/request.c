/* request.c: takes a request from the room's pool and gives it back. */
#include "app/request.h"

#include <stdlib.h>
#include <string.h>

#include "net/conn.h"

/* Each takes some 2 KB. */
#define REQUESTS_KEPT 256

static struct reeve_environ *take(struct room *room)
{
    struct reeve_environ *request = SLIST_FIRST(&room->idle);

    if (!request)
        return malloc(sizeof *request);
    SLIST_REMOVE_HEAD(&room->idle, idle);
    room->idle_count--;
    return request;
}

struct reeve_environ *request_new(struct room *room, struct conn *conn)
{
    struct reeve_environ *request = take(room);

    if (!request)
        return NULL;
    memset(request, 0, offsetof(struct reeve_environ, arena));
    request->room = room;
    request->conn = conn;
    request->id = room->next_id++;
    arena_init(&request->arena, request->first, sizeof request->first);
    return request;
}

void request_free(struct reeve_environ *request)
{
    struct room *room = request->room;

    arena_fini(&request->arena);
    if (room->idle_count >= REQUESTS_KEPT) {
        free(request);
        return;
    }
    SLIST_INSERT_HEAD(&room->idle, request, idle);
    room->idle_count++;
}

void request_trim(struct room *room)
{
    struct reeve_environ *request;

    while ((request = SLIST_FIRST(&room->idle))) {
        SLIST_REMOVE_HEAD(&room->idle, idle);
        free(request);
    }
    room->idle_count = 0;
}
