/* unwind.c: see unwind.h. The walk begins in the signal handler, and passes over its frames up to
 * the one that was interrupted. */
#include "runtime/unwind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>
#include <unwind.h>

#include "base/count.h"
#include "base/trace.h"

struct walk {
    struct trace *trace;
    const struct unwind_end *end;
    uint64_t depth;
    bool has_first;    /* the innermost frame is noted already */
    bool is_at_caller; /* the context was made to look as if its caller had been interrupted */
    bool has_passed;   /* the handler's own frames */
    const struct link_map *objects[TRACE_OBJECTS]; /* those in the trace's table */
    uintptr_t outer[TRACE_OUTER]; /* a ring of the outermost so far, by depth, behind TRACE_INNER */
};

/* Counts what is wholly there: the reader is another process, maybe when this one was cut off. */
static void publish(_Atomic uint64_t *count, uint64_t value)
{
    atomic_store_explicit(count, value, memory_order_release);
}

/* ---- what a machine keeps where ---- */

uintptr_t unwind_pc(const void *context)
{
    const ucontext_t *machine = context;

#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.pc;
#else
    (void)machine;
    return 0;
#endif
}

uintptr_t unwind_sp(const void *context)
{
    const ucontext_t *machine = context;

#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.sp;
#else
    (void)machine;
    return 0;
#endif
}

static void place_context(ucontext_t *context, uintptr_t pc, uintptr_t sp)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    context->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
#elif defined(__aarch64__)
    context->uc_mcontext.pc = pc;
    context->uc_mcontext.sp = sp;
#else
    (void)context, (void)pc, (void)sp;
#endif
}

/* When the fault was that there is no code to be run at the place: where the call, which is all
 * that can have gone there, would have returned to, and the stack pointer then. Else 0. It looks at
 * any stack, of which AddressSanitizer may think that nobody should. */
__attribute__((no_sanitize("address"))) static uintptr_t
caller_of_nowhere(const ucontext_t *context, uintptr_t *sp_out)
{
    uintptr_t pc = unwind_pc(context), sp = unwind_sp(context);

#if defined(__x86_64__)
    enum { PAGE_FAULT = 14 };

    if (context->uc_mcontext.gregs[REG_TRAPNO] != PAGE_FAULT ||
        (uintptr_t)context->uc_mcontext.gregs[REG_CR2] != pc)
        return 0;
    *sp_out = sp + sizeof(uintptr_t);
    return *(const uintptr_t *)sp;
#elif defined(__aarch64__)
    if (context->uc_mcontext.fault_address != pc)
        return 0;
    *sp_out = sp;
    return context->uc_mcontext.regs[30];
#else
    (void)pc, (void)sp, (void)sp_out;
    return 0;
#endif
}

/* ---- frames ---- */

/* Of too long a name the end is left out. */
static void copy_name(char to[TRACE_NAME], const char *from)
{
    size_t i = 0;

    for (; from && from[i] && i + 1 < TRACE_NAME; i++)
        to[i] = from[i];
    to[i] = '\0';
}

/* Its index in the table; TRACE_OBJECTS: that is full. */
static uint64_t index_of(struct walk *walk, const struct link_map *object)
{
    struct trace *trace = walk->trace;
    uint64_t count = board_get(&trace->object_count);

    for (uint64_t i = 0; i < count; i++)
        if (walk->objects[i] == object)
            return i;
    if (count == TRACE_OBJECTS)
        return TRACE_OBJECTS;
    walk->objects[count] = object;
    copy_name(trace->objects[count].name, object->l_name);
    publish(&trace->object_count, count + 1);
    return count;
}

/* The unwinder wants a return address: one behind. */
static uintptr_t function_at(uintptr_t address)
{
    return (uintptr_t)_Unwind_FindEnclosingFunction((void *)(address + 1));
}

static void note(struct walk *walk, uint64_t i, uintptr_t address)
{
    struct trace_frame *frame = &walk->trace->frames[i];
    struct dl_find_object found;
    uint64_t object = TRACE_OBJECTS;
    uintptr_t base = 0, function = 0;

    if (_dl_find_object((void *)address, &found) == 0)
        object = index_of(walk, found.dlfo_link_map);
    if (object != TRACE_OBJECTS) {
        base = (uintptr_t)found.dlfo_link_map->l_addr;
        function = function_at(address);
    }
    board_set(&frame->object, object);
    board_set(&frame->offset, address - base);
    board_set(&frame->function, function ? function - base : 0);
}

/* `address` is within the instruction that did it, or the call. */
static void add(struct walk *walk, uintptr_t address)
{
    struct trace *trace = walk->trace;
    uint64_t i = walk->depth++;

    if (i >= TRACE_INNER)
        walk->outer[i % TRACE_OUTER] = address;
    if (i >= TRACE_FRAMES)
        return;
    note(walk, i, address);
    board_set(&trace->depth, i + 1);
    publish(&trace->frame_count, i + 1);
}

/* The places behind TRACE_INNER held what came first. */
static void note_outermost(struct walk *walk)
{
    if (walk->depth <= TRACE_FRAMES)
        return;
    for (uint64_t i = 0; i < TRACE_OUTER; i++) {
        uint64_t depth = walk->depth - TRACE_OUTER + i;

        note(walk, TRACE_INNER + i, walk->outer[depth % TRACE_OUTER]);
    }
    board_set(&walk->trace->depth, walk->depth);
}

/* Told by the stack pointer at the call, so whatever the compiler makes of functions is the same. */
static bool is_beyond_end(const struct walk *walk, struct _Unwind_Context *context)
{
    uintptr_t sp = _Unwind_GetCFA(context);

    return sp >= walk->end->from && sp < walk->end->to;
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    int is_interrupted = 0; /* ... and so `ip` is the instruction itself, not the one behind */
    uintptr_t ip = _Unwind_GetIPInfo(context, &is_interrupted);

    if (!walk->has_passed) {
        if (!is_interrupted)
            return _URC_NO_REASON;
        walk->has_passed = true;
        if (walk->has_first && !walk->is_at_caller)
            return _URC_NO_REASON;
    }
    if (ip == 0 || walk->depth == UNWIND_MAX || is_beyond_end(walk, context))
        return _URC_END_OF_STACK;
    add(walk, is_interrupted ? ip : ip - 1);
    return _URC_NO_REASON;
}

/* The innermost frame needs no unwinding, where the machine is known: it is there in any case. */
static void add_first(struct walk *walk, ucontext_t *context)
{
    uintptr_t sp, back;

    if (unwind_sp(context) == 0)
        return;
    add(walk, unwind_pc(context));
    walk->has_first = true;
    if (function_at(unwind_pc(context)))
        return;
    back = caller_of_nowhere(context, &sp);
    if (back == 0 || !function_at(back - 1))
        return;
    place_context(context, back - 1, sp);
    walk->is_at_caller = true;
}

void unwind_interrupted(struct trace *trace, void *context, const struct unwind_end *end)
{
    struct walk walk = {.trace = trace, .end = end};
    uintptr_t pc = unwind_pc(context), sp = unwind_sp(context);

    add_first(&walk, context);
    _Unwind_Backtrace(on_frame, &walk);
    note_outermost(&walk);
    place_context(context, pc, sp);
}

/* ---- the start ---- */

static _Unwind_Reason_Code on_any_frame(struct _Unwind_Context *context, void *arg)
{
    int is_interrupted;

    (void)arg;
    _Unwind_GetIPInfo(context, &is_interrupted);
    return _URC_NO_REASON;
}

void unwind_prepare(void)
{
    _Unwind_Backtrace(on_any_frame, NULL);
    function_at((uintptr_t)on_any_frame);
}
