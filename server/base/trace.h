/* trace.h: what a worker in trouble leaves on the scoreboard: the signal, and which code ran, as
 * places in files, for the master to name.
 *
 * Written by a signal handler (worker/fault.c), which may be cut off at any store: whoever reads
 * takes what is there, and finds the later parts missing. One a slot; the next incarnation clears
 * it. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The master's question to a worker's own thread, what it is doing. The answer is in the trace, and
 * the worker goes on as if nothing had been. */
#define TRACE_SIGNAL (SIGRTMIN + 5)

#define TRACE_INNER   48u /* frames from where it happened outwards */
#define TRACE_OUTER   16u /* ... and the outermost ones, when there are more */
#define TRACE_FRAMES  (TRACE_INNER + TRACE_OUTER)
#define TRACE_OBJECTS 12u
#define TRACE_NAME    256u

enum trace_kind {
    TRACE_NONE,
    TRACE_CRASH,  /* a fatal signal */
    TRACE_ANSWER, /* the master has asked: the worker seems to hang */
};

/* What a worker does outside of requests that may run an application's code. */
enum worker_step {
    STEP_NONE,
    STEP_LOAD, /* constructors */
    STEP_CHECK,
    STEP_INIT,
    STEP_SELFTEST,
    STEP_HANDOVER,
    STEP_TASK,       /* background work */
    STEP_CONNECTION, /* a callback of a long-lived connection */
    STEP_FINI,       /* and destructors */
    STEP_COUNT
};
const char *worker_step_name(uint64_t step); /* "in init", NULL for STEP_NONE */

struct trace_frame {
    _Atomic uint64_t object;   /* index into objects; TRACE_OBJECTS: of none */
    _Atomic uint64_t offset;   /* from its load address; of none: the address itself. Within the
                                  call, not behind it */
    _Atomic uint64_t function; /* offset of the beginning of the function, by its unwind
                                  information; 0: not known */
};

struct trace_object {
    char name[TRACE_NAME]; /* of the file, as the loader knows it; "" is the server's own program */
};

struct trace {
    alignas(128) _Atomic uint64_t turn; /* odd: it is being written. Counted up by each one */
    _Atomic uint64_t kind;              /* enum trace_kind */
    _Atomic uint64_t signal, code;      /* siginfo's */
    _Atomic uint64_t address;           /* of the access, or the instruction, that faulted */
    _Atomic uint64_t has_address;       /* the processor has told it; 0 else may be anything */
    _Atomic uint64_t sender;            /* pid: the signal was sent; 0: it was not */
    _Atomic uint64_t thread;            /* 0: the worker's own thread; else its id */
    /* The stack that is too small for what runs on it, in bytes; 0: that is not what happened. */
    _Atomic uint64_t overflown;
    _Atomic uint64_t is_coroutine; /* it was a coroutine's; else the loop's */
    _Atomic uint64_t frame_count;  /* of `frames` that are filled */
    _Atomic uint64_t depth;        /* of the whole stack; more than frame_count: some between
                                      TRACE_INNER and the rest are left out */
    _Atomic uint64_t object_count;
    struct trace_frame frames[TRACE_FRAMES];
    struct trace_object objects[TRACE_OBJECTS];
};

#endif
