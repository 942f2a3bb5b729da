/* stacks.h: the suspended coroutines of a worker, as a file in memory that it writes bit by bit and
 * then sends to the master (MESSAGE_STACKS), which trusts nothing of it.
 *
 * Backtraces that are alike stand in it once. It is bounded: what does not fit is counted. */
#ifndef BASE_STACKS_H
#define BASE_STACKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"

#define STACKS_MOST     10000u /* coroutines in a file */
#define STACKS_FRAMES   48u    /* of a backtrace, the innermost */
#define STACKS_SIZE_MAX (8u << 20)

/* One that is suspended. Times are clock_ns(). */
struct stacks_item {
    uint64_t id;          /* of the request; of a task that whose scope it is in, or 0 */
    uint64_t generation;  /* of the app */
    uint64_t begun_at;    /* the request; 0: not known */
    uint64_t waits_since; /* 0: not known */
    uint32_t app;         /* its column */
    uint32_t kind;        /* enum hold_kind: a request, a task or an init */
    uint32_t method;      /* enum http_method */
    uint32_t call;        /* enum hold_call */
    uint32_t trace;       /* index of its backtrace: for the reader */
    const char *path;     /* of the request; a task's name; "": it is neither */
};

/* ---- for the worker ---- */

struct stacks_writer;

/* NULL with errno. */
struct stacks_writer *stacks_writer_new(void);
/* One more, with its innermost calls, `depth` in all. 0, or -1 with errno; ENOSPC: there is no room
 * for it, which has been counted. */
int stacks_put(struct stacks_writer *writer, const struct stacks_item *item,
               const struct frame *frames, size_t count, size_t depth);
/* One that is not even looked at. */
void stacks_leave_out(struct stacks_writer *writer);
/* Frees the writer; the file's descriptor, or -1 with errno. */
int stacks_writer_end(struct stacks_writer *writer);
void stacks_writer_free(struct stacks_writer *writer); /* and its file; NULL is fine */

/* ---- for the master ---- */

struct stacks_trace {
    uint32_t first, count; /* in frames */
    uint64_t depth; /* how many calls there were; more than `count`: outer ones are missing */
};

struct stacks {
    struct stacks_item *items;
    struct stacks_trace *traces;
    struct frame *frames;
    size_t item_count, trace_count, frame_count, object_count;
    uint64_t left_out;
    const char **objects;
    char *bytes; /* where all text lies */
    size_t size;
};

/* Reads a file. 0, or -1 with errno: EPROTO when it is none, or was not closed for good. The
 * descriptor stays the caller's. */
int stacks_read(struct stacks *stacks, int fd);
/* The same from memory by malloc, which is the struct's from then on, also when this fails. */
int stacks_parse(struct stacks *stacks, char *bytes, size_t size);
void stacks_free(struct stacks *stacks);

#endif
