/* evidence.h: what a worker that has ended left on the scoreboard, taken before its slot is given
 * to the next one; and the files that its places in code are in. */
#ifndef MASTER_EVIDENCE_H
#define MASTER_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/flight.h"
#include "base/trace.h"
#include "master/build.h"
#include "master/symbols.h"

struct master;
struct worker;

#define EVIDENCE_FLIGHTS 64u /* in flight that are told of; the others are counted */
#define EVIDENCE_ENDED   FLIGHT_KEPT
#define EVIDENCE_PLACES  (TRACE_FRAMES + EVIDENCE_FLIGHTS)

struct evidence_frame {
    unsigned object; /* TRACE_OBJECTS: of none */
    uint64_t offset, function;
    size_t place; /* index into the places; EVIDENCE_PLACES: its file is not known */
};

struct evidence_object {
    char name[TRACE_NAME];     /* as the loader knows it; "": the server's own program */
    const struct build *build; /* whose staged file it is; NULL: none's */
};

/* See base/trace.h for what these are. */
struct evidence_trace {
    uint64_t kind, signal, has_address, address, sender, thread, overflown, is_coroutine;
    int code;       /* siginfo's */
    uint64_t depth; /* at least `count` */
    struct evidence_frame frames[TRACE_FRAMES];
    size_t count;
    struct evidence_object objects[TRACE_OBJECTS];
    size_t object_count;
};

struct evidence {
    struct evidence_trace trace;
    uint64_t step, step_app, step_generation;
    struct flight_list flights;   /* no more of them than these numbers */
    size_t in_flight_count;       /* all there were */
    const struct flight *running; /* of these; NULL: none had the processor */
    uint64_t taken_at;            /* clock_ns() */
    struct build **builds;        /* that the worker had: references */
    size_t build_count;

    /* What to ask about: frames first, then where requests wait. */
    struct symbol_place places[EVIDENCE_PLACES];
    size_t place_count;
    size_t flight_places[EVIDENCE_FLIGHTS]; /* as a frame's `place` */
};

/* Of a worker that is reaped and has its holds still; what it left is taken off the scoreboard, but
 * for the flights. `is_former`: it is of another binary than this, whose own functions cannot be
 * named. On the heap; NULL when memory has run out. */
struct evidence *evidence_take(const struct master *master, const struct worker *worker,
                               bool is_former);
void evidence_free(struct evidence *evidence);

/* The worker's build; NULL: it did not have that one. */
const struct build *evidence_build(const struct evidence *evidence, uint64_t app,
                                   uint64_t generation);
/* The build that the innermost frame of any is in; NULL: none. */
const struct build *evidence_build_in_trace(const struct evidence *evidence);

#endif
