/* stacks_read.c: the master's side of stacks.h. The worker may have gone mad: each number is looked
 * at before it is used, and memory is taken by what is there, not by what is said. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stacks_private.h"

struct reading {
    struct stacks *stacks;
    size_t item_room, trace_room, frame_room, object_room;
};

/* The array with room for `more` members of `size` behind its `count`; NULL without memory. */
static void *grown(void *array, size_t *room, size_t count, size_t more, size_t size)
{
    size_t wanted = *room > 0 ? *room : 64;

    if (count + more <= *room)
        return array;
    while (wanted < count + more)
        wanted *= 2;
    array = realloc(array, wanted * size);
    if (array)
        *room = wanted;
    return array;
}

static int is_odd(void)
{
    errno = EPROTO;
    return -1;
}

/* And none that costs much to look at, thousands of times. */
static bool is_text(const char *bytes, size_t size)
{
    return size > 0 &&
           memchr(bytes, '\0', size <= STACKS_NAME_MAX ? size : STACKS_NAME_MAX + 1) != NULL;
}

static int read_object(struct reading *reading, const char *body, size_t size)
{
    struct stacks *stacks = reading->stacks;
    const char **objects;

    if (!is_text(body, size) || stacks->object_count == STACKS_OBJECTS)
        return is_odd();
    objects =
        grown(stacks->objects, &reading->object_room, stacks->object_count, 1, sizeof objects[0]);
    if (!objects)
        return -1;
    stacks->objects = objects;
    stacks->objects[stacks->object_count++] = body;
    return 0;
}

static int make_room_for_trace(struct reading *reading, size_t calls)
{
    struct stacks *stacks = reading->stacks;
    struct stacks_trace *traces =
        grown(stacks->traces, &reading->trace_room, stacks->trace_count, 1, sizeof traces[0]);
    struct frame *frames;

    if (!traces)
        return -1;
    stacks->traces = traces;
    frames =
        grown(stacks->frames, &reading->frame_room, stacks->frame_count, calls, sizeof frames[0]);
    if (!frames && stacks->frame_count + calls > 0)
        return -1;
    stacks->frames = frames;
    return 0;
}

static int read_trace(struct reading *reading, const char *body, size_t size)
{
    struct stacks *stacks = reading->stacks;
    struct stacks_place place;
    struct stacks_calls calls;

    if (size < sizeof calls)
        return is_odd();
    memcpy(&calls, body, sizeof calls);
    if (calls.count > STACKS_FRAMES || size != sizeof calls + calls.count * sizeof place)
        return is_odd();
    if (make_room_for_trace(reading, calls.count) == -1)
        return -1;
    stacks->traces[stacks->trace_count++] = (struct stacks_trace){
        .first = (uint32_t)stacks->frame_count, .count = calls.count, .depth = calls.depth};
    for (uint32_t i = 0; i < calls.count; i++) {
        memcpy(&place, body + sizeof calls + i * sizeof place, sizeof place);
        stacks->frames[stacks->frame_count++] = (struct frame){
            .object = place.object < stacks->object_count ? stacks->objects[place.object] : NULL,
            .offset = place.offset,
            .function = place.function};
    }
    return 0;
}

static int read_coro(struct reading *reading, const char *body, size_t size)
{
    struct stacks *stacks = reading->stacks;
    struct stacks_item *items;
    struct stacks_coro coro;

    if (size < sizeof coro || !is_text(body + sizeof coro, size - sizeof coro))
        return is_odd();
    memcpy(&coro, body, sizeof coro);
    if (coro.trace >= stacks->trace_count || stacks->item_count == STACKS_MOST)
        return is_odd();
    items = grown(stacks->items, &reading->item_room, stacks->item_count, 1, sizeof items[0]);
    if (!items)
        return -1;
    stacks->items = items;
    stacks->items[stacks->item_count++] = (struct stacks_item){.id = coro.id,
                                                               .generation = coro.generation,
                                                               .begun_at = coro.begun_at,
                                                               .waits_since = coro.waits_since,
                                                               .app = coro.app,
                                                               .kind = coro.kind,
                                                               .method = coro.method,
                                                               .call = coro.call,
                                                               .trace = coro.trace,
                                                               .path = body + sizeof coro};
    return 0;
}

static int read_record(struct reading *reading, const struct stacks_record *record,
                       const char *body)
{
    size_t size = record->size - sizeof *record;

    switch (record->kind) {
    case STACKS_OBJECT:
        return read_object(reading, body, size);
    case STACKS_TRACE:
        return read_trace(reading, body, size);
    case STACKS_CORO:
        return read_coro(reading, body, size);
    default:
        return is_odd();
    }
}

static int read_records(struct reading *reading)
{
    const struct stacks *stacks = reading->stacks;
    struct stacks_record record;

    for (size_t at = sizeof(struct stacks_head); at < stacks->size; at += record.size) {
        if (stacks->size - at < sizeof record)
            return is_odd();
        memcpy(&record, stacks->bytes + at, sizeof record);
        if (record.size < sizeof record || record.size % 8 != 0 || record.size > stacks->size - at)
            return is_odd();
        if (read_record(reading, &record, stacks->bytes + at + sizeof record) == -1)
            return -1;
    }
    return 0;
}

int stacks_parse(struct stacks *stacks, char *bytes, size_t size)
{
    struct reading reading = {.stacks = stacks};
    struct stacks_head head;

    errno = 0;
    *stacks = (struct stacks){.bytes = bytes, .size = size};
    if (size >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        stacks->left_out = head.left_out;
        if (head.magic == STACKS_MAGIC && head.size == size && read_records(&reading) == 0)
            return 0;
    }
    if (errno != ENOMEM)
        errno = EPROTO;
    stacks_free(stacks);
    return -1;
}

static int read_all(int fd, char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, bytes + at, size - at, (off_t)at);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -1;
        if (n == 0)
            return is_odd();
        at += (size_t)n;
    }
    return 0;
}

int stacks_read(struct stacks *stacks, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat file;
    char *bytes;

    *stacks = (struct stacks){0};
    /* Only memory has seals: a read of it neither waits nor fails, and what was read stays. */
    if (seals == -1 || (seals & STACKS_SEALS) != STACKS_SEALS || fstat(fd, &file) == -1 ||
        file.st_size <= 0 || (size_t)file.st_size > STACKS_SIZE_MAX)
        return is_odd();
    bytes = malloc((size_t)file.st_size);
    if (!bytes)
        return -1;
    if (read_all(fd, bytes, (size_t)file.st_size) == -1) {
        free(bytes);
        return -1;
    }
    return stacks_parse(stacks, bytes, (size_t)file.st_size);
}

void stacks_free(struct stacks *stacks)
{
    int saved = errno;

    free(stacks->items);
    free(stacks->traces);
    free(stacks->frames);
    free(stacks->objects);
    free(stacks->bytes);
    *stacks = (struct stacks){0};
    errno = saved;
}
