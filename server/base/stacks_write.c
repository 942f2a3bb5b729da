/* stacks_write.c: the worker's side of stacks.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/stacks_private.h"

#define GATHERED  (64u << 10) /* then it goes to the file */
#define SLOTS     32768u      /* of the table of backtraces: never more than a third is used */
#define NO_OBJECT UINT32_MAX
#define RESERVE   4096u /* of the file: for heads, padding, and the last coroutine */

struct slot {
    uint64_t hash; /* 0: free */
    uint32_t trace;
};

struct stacks_writer {
    int fd;
    struct stacks_head head;
    size_t gathered;
    char *objects[STACKS_OBJECTS];
    struct slot slots[SLOTS];
    char bytes[GATHERED];
};

_Static_assert(SLOTS / 3 > STACKS_MOST, "there is always a free slot");

/* ---- bytes ---- */

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

static int flush(struct stacks_writer *writer)
{
    size_t size = writer->gathered;

    writer->gathered = 0;
    return write_all(writer->fd, writer->bytes, size);
}

/* What follows at once is of the same record, and was checked to fit in the file. */
static int put(struct stacks_writer *writer, const void *data, size_t size)
{
    if (writer->gathered + size > GATHERED && flush(writer) == -1)
        return -1;
    if (size > 0)
        memcpy(writer->bytes + writer->gathered, data, size);
    writer->gathered += size;
    writer->head.size += size;
    return 0;
}

static int put_padding(struct stacks_writer *writer)
{
    static const char zeros[8];

    return put(writer, zeros, -writer->head.size & 7);
}

static bool has_room(const struct stacks_writer *writer, size_t more)
{
    return writer->head.size + more + RESERVE <= STACKS_SIZE_MAX;
}

static int put_record(struct stacks_writer *writer, uint32_t kind, const void *fixed, size_t size,
                      const void *rest, size_t rest_size)
{
    struct stacks_record record = {kind, (uint32_t)(sizeof record + size + rest_size)};

    record.size = (record.size + 7) & ~7u;
    if (put(writer, &record, sizeof record) == -1 || put(writer, fixed, size) == -1 ||
        put(writer, rest, rest_size) == -1)
        return -1;
    return put_padding(writer);
}

/* ---- objects and backtraces ---- */

/* Names are compared, since an object may go and another come to its place while this is written.
 * Returns NO_OBJECT for one for which there is no place, -1 on failure. */
static int64_t find_object(struct stacks_writer *writer, const char *name)
{
    size_t length = name ? strlen(name) : 0, count = writer->head.objects;

    for (size_t i = 0; name && i < count; i++)
        if (strcmp(writer->objects[i], name) == 0)
            return (int64_t)i;
    if (!name || count == STACKS_OBJECTS || length > STACKS_NAME_MAX || !has_room(writer, length))
        return NO_OBJECT;
    writer->objects[count] = strdup(name);
    if (!writer->objects[count] ||
        put_record(writer, STACKS_OBJECT, NULL, 0, name, length + 1) == -1)
        return -1;
    writer->head.objects++;
    return (int64_t)count;
}

static int translate(struct stacks_writer *writer, struct stacks_place *places,
                     const struct frame *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t object = i > 0 && frames[i].object == frames[i - 1].object
                             ? places[i - 1].object
                             : find_object(writer, frames[i].object);

        if (object == -1)
            return -1;
        places[i] = (struct stacks_place){
            .object = (uint32_t)object, .offset = frames[i].offset, .function = frames[i].function};
    }
    return 0;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct stacks_place *places, size_t count, size_t depth)
{
    uint64_t hash = mix(count, depth);

    for (size_t i = 0; i < count; i++)
        hash = mix(mix(hash, places[i].object), places[i].offset);
    return hash ? hash : 1;
}

/* The index of the backtrace; -1 with errno. */
static int64_t find_trace(struct stacks_writer *writer, const struct stacks_place *places,
                          size_t count, size_t depth)
{
    const struct stacks_calls calls = {.count = (uint32_t)count, .depth = (uint32_t)depth};
    uint64_t hash = hash_of(places, count, depth);
    struct slot *slot = &writer->slots[hash % SLOTS];

    while (slot->hash != 0 && slot->hash != hash)
        slot = slot + 1 == writer->slots + SLOTS ? writer->slots : slot + 1;
    if (slot->hash == hash)
        return slot->trace;
    if (!has_room(writer, count * sizeof places[0])) {
        errno = ENOSPC;
        return -1;
    }
    if (put_record(writer, STACKS_TRACE, &calls, sizeof calls, places, count * sizeof places[0]) ==
        -1)
        return -1;
    *slot = (struct slot){hash, writer->head.traces};
    return writer->head.traces++;
}

/* ---- the file ---- */

struct stacks_writer *stacks_writer_new(void)
{
    struct stacks_writer *writer = calloc(1, sizeof *writer);

    if (!writer)
        return NULL;
    writer->fd = memfd_create("reeve stacks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (writer->fd == -1 || put(writer, &writer->head, sizeof writer->head) == -1) {
        stacks_writer_free(writer);
        return NULL;
    }
    return writer;
}

static int put_item(struct stacks_writer *writer, const struct stacks_item *item, uint32_t trace)
{
    const struct stacks_coro coro = {.id = item->id,
                                     .generation = item->generation,
                                     .begun_at = item->begun_at,
                                     .waits_since = item->waits_since,
                                     .app = item->app,
                                     .kind = item->kind,
                                     .method = item->method,
                                     .call = item->call,
                                     .trace = trace};
    size_t length = strnlen(item->path, STACKS_NAME_MAX);
    char path[STACKS_NAME_MAX + 1];

    memcpy(path, item->path, length);
    path[length] = '\0';
    if (put_record(writer, STACKS_CORO, &coro, sizeof coro, path, length + 1) == -1)
        return -1;
    writer->head.items++;
    return 0;
}

int stacks_put(struct stacks_writer *writer, const struct stacks_item *item,
               const struct frame *frames, size_t count, size_t depth)
{
    struct stacks_place places[STACKS_FRAMES];
    int64_t trace;

    if (count > STACKS_FRAMES)
        count = STACKS_FRAMES;
    if (writer->head.items == STACKS_MOST || !has_room(writer, sizeof places)) {
        errno = ENOSPC;
    } else {
        if (translate(writer, places, frames, count) == -1)
            return -1;
        trace = find_trace(writer, places, count, depth);
        if (trace >= 0)
            return put_item(writer, item, (uint32_t)trace);
    }
    if (errno == ENOSPC)
        stacks_leave_out(writer);
    return -1;
}

void stacks_leave_out(struct stacks_writer *writer)
{
    writer->head.left_out++;
}

int stacks_writer_end(struct stacks_writer *writer)
{
    struct stacks_head head = writer->head;
    int fd = -1;

    head.magic = STACKS_MAGIC;
    if (flush(writer) == 0 && pwrite(writer->fd, &head, sizeof head, 0) == sizeof head &&
        fcntl(writer->fd, F_ADD_SEALS, STACKS_SEALS) == 0) {
        fd = writer->fd;
        writer->fd = -1;
    }
    stacks_writer_free(writer);
    return fd;
}

void stacks_writer_free(struct stacks_writer *writer)
{
    int saved = errno;

    if (!writer)
        return;
    for (size_t i = 0; i < STACKS_OBJECTS; i++)
        free(writer->objects[i]);
    if (writer->fd != -1)
        close(writer->fd);
    free(writer);
    errno = saved;
}
