/* fault.c: see fault.h. All that runs in a handler is async-signal-safe, and all signals are
 * blocked meanwhile. A stack may be broken, and then the walk faults. After a fatal signal that
 * ends the process at once, with what was noted so far; the answer to a question, whose worker may
 * be in perfect order, just ends there. */
#include "worker/fault.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/count.h"
#include "base/trace.h"
#include "runtime/coro.h"
#include "runtime/stack.h"
#include "runtime/unwind.h"

/* For our handlers and, in a sanitizer's build, its own after them. */
#define HANDLER_STACK (256u << 10)
/* What the kernel keeps free below the main thread's stack. */
#define KERNEL_GUARD ((size_t)1 << 20)
/* Of two threads that fault at once the second gives the first one so much time to tell. */
#define PATIENCE_MS 1000

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

/* Part of the worker's context: a handler has no argument of ours. */
static struct {
    struct trace *trace;
    pid_t process; /* a child that an application forks has our handlers, but no trace of its own */
    _Atomic pid_t writer; /* the thread that fills the trace; 0: none does */
    struct sigaction before[FATAL_COUNT];
    sigset_t fatal;
    uintptr_t loop_bottom; /* of the main thread's stack */
    size_t loop_size;
    struct unwind_end end;  /* the calls that have led to the worker */
    _Atomic pid_t answerer; /* the thread that walks its stack for an answer; 0: none does */
    sigjmp_buf way_out;     /* ... if it faults */
} fault;

/* ---- the trace ---- */

static void begin(struct trace *trace)
{
    uint64_t turn = atomic_load_explicit(&trace->turn, memory_order_relaxed);

    board_set(&trace->turn, (turn + 1) | 1);
    atomic_thread_fence(memory_order_release);
    board_set(&trace->kind, TRACE_NONE);
    board_set(&trace->signal, 0);
    board_set(&trace->code, 0);
    board_set(&trace->address, 0);
    board_set(&trace->has_address, 0);
    board_set(&trace->sender, 0);
    board_set(&trace->thread, 0);
    board_set(&trace->overflown, 0);
    board_set(&trace->is_coroutine, 0);
    board_set(&trace->frame_count, 0);
    board_set(&trace->depth, 0);
    board_set(&trace->object_count, 0);
}

static void end(struct trace *trace)
{
    uint64_t turn = atomic_load_explicit(&trace->turn, memory_order_relaxed);

    atomic_store_explicit(&trace->turn, turn + 1, memory_order_release);
}

/* The processor has stopped at an instruction, and told where. What the kernel says by itself
 * (SI_KERNEL) may be so too, but has no address: of a pointer that cannot be one, say. */
static bool has_address(const siginfo_t *info)
{
    bool is_fault = info->si_signo == SIGSEGV || info->si_signo == SIGBUS ||
                    info->si_signo == SIGFPE || info->si_signo == SIGILL ||
                    info->si_signo == SIGTRAP;

    return is_fault && info->si_code > 0 && info->si_code != SI_KERNEL;
}

/* ... and it stops there again if it is tried again. */
static bool is_repeatable(const siginfo_t *info)
{
    return has_address(info) && info->si_signo != SIGTRAP &&
           !(info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

static bool is_sent(const siginfo_t *info)
{
    return info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL;
}

static void note_signal(struct trace *trace, const siginfo_t *info)
{
    board_set(&trace->signal, (uint64_t)info->si_signo);
    board_set(&trace->code, (uint64_t)(int64_t)info->si_code);
    if (has_address(info)) {
        board_set(&trace->address, (uintptr_t)info->si_addr);
        board_set(&trace->has_address, 1);
    }
    if (is_sent(info))
        board_set(&trace->sender, (uint64_t)info->si_pid);
    if (gettid() != fault.process)
        board_set(&trace->thread, (uint64_t)gettid());
}

/* Only the main thread's two kinds of stacks are known here; a thread of an application's that
 * overflows its own has no other to tell it from. */
static void note_overflow(struct trace *trace, const siginfo_t *info, const void *context)
{
    uintptr_t address = (uintptr_t)info->si_addr, sp = unwind_sp(context);
    size_t size = fault.loop_size;
    bool is_coroutine = coro_current() != NULL;

    if (!is_repeatable(info) || gettid() != fault.process)
        return;
    if (is_coroutine ? !coro_is_overflow(address, sp, &size)
                     : !stack_is_overflow(fault.loop_bottom, KERNEL_GUARD, address, sp))
        return;
    board_set(&trace->is_coroutine, is_coroutine);
    board_set(&trace->overflown, size);
}

static void record(enum trace_kind kind, const siginfo_t *info, void *context)
{
    struct trace *trace = fault.trace;

    begin(trace);
    note_signal(trace, info);
    if (kind == TRACE_CRASH)
        note_overflow(trace, info, context);
    atomic_store_explicit(&trace->kind, kind, memory_order_release);
    unwind_interrupted(trace, context, &fault.end);
    end(trace);
}

/* ---- who writes ---- */

static bool try_to_write(void)
{
    pid_t none = 0;

    return atomic_compare_exchange_strong(&fault.writer, &none, gettid());
}

/* False when the trace is a former fault's: this thread's, whose handler has come to grief, or
 * another's. That one ends the process as soon as it has told all, normally while this one still
 * waits. */
static bool may_write(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; i < PATIENCE_MS; i++) {
        if (try_to_write())
            return true;
        if (atomic_load(&fault.writer) == gettid())
            return false;
        nanosleep(&moment, NULL);
    }
    return false;
}

/* ---- the handlers ---- */

static void give_back_signals(void)
{
    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], &fault.before[i], NULL);
}

/* It is blocked until the handler has returned, so it comes at the very place, and as it was. */
static void raise_again(siginfo_t *info)
{
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), info->si_signo, info) == -1)
        syscall(SYS_tgkill, getpid(), gettid(), info->si_signo);
}

/* The walk's: a fault, or the unwinder has given up by abort(). Else it is sent by whomever. */
static bool is_of_walk(const siginfo_t *info)
{
    bool is_abort = info->si_signo == SIGABRT && info->si_code == SI_TKILL;

    return info->si_code > 0 || (is_abort && info->si_pid == fault.process);
}

/* What was sent comes when the question is answered, as if it had been sent then. */
static void interrupt_answer(siginfo_t *info, ucontext_t *context)
{
    if (is_of_walk(info))
        siglongjmp(fault.way_out, 1);
    sigaddset(&context->uc_sigmask, info->si_signo);
    raise_again(info);
}

static void crash(siginfo_t *info, void *context)
{
    if (getpid() == fault.process && may_write())
        record(TRACE_CRASH, info, context); /* and stays the writer: the first fault is the cause */
    give_back_signals();
    if (!is_repeatable(info))
        raise_again(info);
}

static void on_fatal(int number, siginfo_t *info, void *context)
{
    int error = errno;

    (void)number;
    if (atomic_load(&fault.answerer) == gettid())
        interrupt_answer(info, context);
    else
        crash(info, context);
    errno = error;
}

/* The walk changes the context for a while, and may end in between. */
static void answer(const siginfo_t *info, ucontext_t *context)
{
    const mcontext_t before = context->uc_mcontext;
    sigset_t blocked;

    if (sigsetjmp(fault.way_out, 1) == 0) {
        atomic_store(&fault.answerer, gettid());
        pthread_sigmask(SIG_UNBLOCK, &fault.fatal, &blocked);
        record(TRACE_ANSWER, info, context);
        pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    } else {
        context->uc_mcontext = before;
        end(fault.trace);
    }
    atomic_store(&fault.answerer, 0);
}

static void on_question(int number, siginfo_t *info, void *context)
{
    int error = errno;

    (void)number;
    if (getpid() == fault.process && try_to_write()) {
        answer(info, context);
        atomic_store(&fault.writer, 0);
    }
    errno = error;
}

/* ---- the start ---- */

static int open_handler_stack(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = HANDLER_STACK + page;
    stack_t stack = {.ss_size = HANDLER_STACK};
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (map == MAP_FAILED)
        return -1;
    stack.ss_sp = map + page;
    if (mprotect(map, page, PROT_NONE) == -1 || sigaltstack(&stack, NULL) == -1) {
        int error = errno;

        munmap(map, size);
        errno = error;
        return -1;
    }
    return 0;
}

/* Without it an overflow of the loop's stack is not called one, and what the master did is told
 * too: nothing worse. */
static void find_loop_stack(void)
{
    struct rlimit limit;
    pthread_attr_t attributes;
    void *bottom;
    size_t size;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &bottom, &size) == 0 &&
        getrlimit(RLIMIT_STACK, &limit) == 0) {
        fault.loop_bottom = (uintptr_t)bottom;
        fault.loop_size = limit.rlim_cur == RLIM_INFINITY ? size : (size_t)limit.rlim_cur;
        fault.end.to = (uintptr_t)bottom + size;
    }
    pthread_attr_destroy(&attributes);
}

static int handle_signals(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigset_t open;

    sigfillset(&action.sa_mask);
    sigemptyset(&fault.fatal);
    action.sa_sigaction = on_fatal;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        sigaddset(&fault.fatal, fatal[i]);
        if (sigaction(fatal[i], &action, &fault.before[i]) == -1)
            return -1;
    }
    action.sa_sigaction = on_question;
    if (sigaction(TRACE_SIGNAL, &action, NULL) == -1)
        return -1;
    open = fault.fatal;
    sigaddset(&open, TRACE_SIGNAL);
    return pthread_sigmask(SIG_UNBLOCK, &open, NULL) == 0 ? 0 : -1;
}

int fault_open(struct trace *trace, uintptr_t outermost)
{
    begin(trace); /* the former worker may have ended while it wrote */
    end(trace);
    fault.trace = trace;
    atomic_store(&fault.writer, 0);
    fault.process = getpid();
    unwind_prepare();
    fault.end = (struct unwind_end){.from = outermost};
    find_loop_stack();
    return open_handler_stack() == -1 ? -1 : handle_signals();
}
