/* test_worker_fault.c: a process that a signal ends leaves what and where; one that is asked says
 * where it is and goes on.
 *
 * What goes wrong does so in a child: the trace is shared with it, and its code lies at the same
 * places as ours. */
#include "worker/fault.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/poison.h"
#include "base/trace.h"
#include "runtime/coro.h"
#include "runtime/unwind.h"

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK      (128u << 10)
#define LOOP_STACK ((size_t)1 << 20)

/* A function of its own, whatever the optimiser thinks, and without a sanitizer's tests: it is the
 * processor that is to notice. */
#if __has_attribute(noipa)
#define PLAIN __attribute__((noipa, no_sanitize("address", "undefined")))
#else
#define PLAIN __attribute__((noinline, no_sanitize("address", "undefined")))
#endif

/* Shared with the child. */
static struct shared {
    struct trace trace;
    _Atomic bool has_begun, is_to_end;
    _Atomic uint64_t rounds;
    _Atomic uintptr_t stack_top;
} * shared;
static struct trace *trace;

static volatile uint64_t sink;

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])
/* What they did when the program began: cmocka has handlers of its own. */
static struct sigaction originals[FATAL_COUNT];

static size_t loop_stack = LOOP_STACK;
static bool has_outermost; /* the worker's own is the outermost call that is told */

static int setup(void **state)
{
    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -1;
    trace = &shared->trace;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return munmap(shared, sizeof *shared);
}

/* ---- the child ---- */

static void be_worker(void (*fn)(void *), void *arg) __attribute__((noreturn, noinline));
static void be_worker(void (*fn)(void *), void *arg)
{
    const struct rlimit no_core = {0}, small_stack = {loop_stack, RLIM_INFINITY};
    struct event_base *base = event_base_new();
    uintptr_t outermost = has_outermost ? (uintptr_t)__builtin_dwarf_cfa() : UINTPTR_MAX;

    alarm(60);
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
#ifdef HAS_ASAN
    __sanitizer_set_report_fd((void *)STDERR_FILENO); /* else where ASAN_OPTIONS says */
#endif
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_STACK, &small_stack);
    if (fault_open(trace, outermost) == -1 || coro_pool_open(base, STACK, 4) == -1)
        _exit(100);
    fn(arg);
    _exit(0);
}

static pid_t start_with(const struct sigaction *actions, void (*fn)(void *), void *arg)
{
    pid_t child = fork();

    assert_true(child != -1);
    if (child == 0) {
        for (size_t i = 0; i < FATAL_COUNT; i++)
            sigaction(fatal[i], &actions[i], NULL);
        be_worker(fn, arg);
    }
    return child;
}

static pid_t start(void (*fn)(void *), void *arg)
{
    return start_with(originals, fn, arg);
}

static int end_of(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int run(void (*fn)(void *), void *arg)
{
    return end_of(start(fn, arg));
}

struct on_coroutine {
    void (*fn)(void *arg);
    void *arg;
};

static void starts_coroutine(void *arg)
{
    const struct on_coroutine *what = arg;

    coro_run(what->fn, NULL, what->arg, 0);
}

static int run_on_coroutine(void (*fn)(void *), void *arg)
{
    return run(starts_coroutine, &(struct on_coroutine){fn, arg});
}

/* ---- what is expected of the trace ---- */

static uint64_t get(const _Atomic uint64_t *cell)
{
    return atomic_load(cell);
}

static bool is_default(int number)
{
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (fatal[i] == number)
            return originals[i].sa_handler == SIG_DFL;
    return true;
}

/* As without us: AddressSanitizer takes some of the signals for itself, reports, and exits. */
static void assert_killed(int status, int number)
{
    if (is_default(number)) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), number);
    } else {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
    }
}

static void assert_crash(int number)
{
    assert_int_equal(get(&trace->turn) % 2, 0);
    assert_int_equal(get(&trace->kind), TRACE_CRASH);
    assert_int_equal(get(&trace->signal), number);
    assert_true(get(&trace->frame_count) > 0);
    assert_true(get(&trace->depth) >= get(&trace->frame_count));
}

/* Of the object that has `function` in it; its name as the trace should have it. */
static uintptr_t base_of(const void *function, const char **name_out)
{
    struct dl_find_object found;

    assert_int_equal(_dl_find_object((void *)(uintptr_t)function, &found), 0);
    *name_out = found.dlfo_link_map->l_name;
    return (uintptr_t)found.dlfo_link_map->l_addr;
}

static bool is_frame_of(uint64_t i, const void *function)
{
    const struct trace_frame *frame = &trace->frames[i];
    const char *name;
    uintptr_t base = base_of(function, &name);

    return get(&frame->object) < get(&trace->object_count) &&
           strcmp(trace->objects[get(&frame->object)].name, name) == 0 &&
           get(&frame->function) + base == (uintptr_t)function &&
           get(&frame->offset) >= get(&frame->function) &&
           get(&frame->offset) < get(&frame->function) + 512;
}

/* The first one from `from` on, which must be there. */
static uint64_t find_frame(uint64_t from, const void *function)
{
    for (uint64_t i = from; i < get(&trace->frame_count); i++)
        if (is_frame_of(i, function))
            return i;
    fail_msg("no such frame");
    return 0;
}

static void assert_has_object(const char *part)
{
    for (uint64_t i = 0; i < get(&trace->object_count); i++)
        if (strstr(trace->objects[i].name, part))
            return;
    fail_msg("no object %s", part);
}

/* ---- faults ---- */

PLAIN static void writes(uintptr_t address)
{
    *(volatile char *)address = 1;
    sink++;
}

PLAIN static void calls_writes(void *arg)
{
    writes((uintptr_t)arg);
    sink++;
}

static void a_fault_is_told_with_address_and_callers(void **state)
{
    (void)state;
    assert_killed(run(calls_writes, (void *)24), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->code), SEGV_MAPERR);
    assert_int_equal(get(&trace->has_address), 1);
    assert_int_equal(get(&trace->address), 24);
    assert_int_equal(get(&trace->sender), 0);
    assert_int_equal(get(&trace->thread), 0);
    assert_int_equal(get(&trace->overflown), 0);
    assert_true(is_frame_of(0, writes));
    assert_true(is_frame_of(1, calls_writes));
    assert_true(is_frame_of(find_frame(2, a_fault_is_told_with_address_and_callers),
                            a_fault_is_told_with_address_and_callers));
}

static void the_walk_ends_where_the_coroutine_began(void **state)
{
    (void)state;
    assert_killed(run_on_coroutine(calls_writes, (void *)24), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_true(is_frame_of(0, writes));
    assert_true(is_frame_of(1, calls_writes));
    assert_true(get(&trace->frame_count) < 8);
    assert_int_equal(get(&trace->depth), get(&trace->frame_count));
    for (uint64_t i = 0; i < get(&trace->frame_count); i++)
        assert_true(get(&trace->frames[i].object) < get(&trace->object_count));
}

static void what_led_to_the_worker_is_left_out(void **state)
{
    (void)state;
    has_outermost = true;
    assert_killed(run(calls_writes, (void *)24), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->depth), 3);
    assert_true(is_frame_of(1, calls_writes));
    assert_true(is_frame_of(2, be_worker));
    assert_killed(run_on_coroutine(calls_writes, (void *)24), SIGSEGV);
    has_outermost = false;
    assert_true(is_frame_of(1, calls_writes));
    assert_true(get(&trace->depth) > 2);
}

#if defined(__x86_64__) || defined(__aarch64__)
static void (*volatile nowhere)(void);

PLAIN static void calls_nowhere(void *arg)
{
    (void)arg;
    nowhere();
    sink++;
}

static void a_call_to_nowhere_is_told_with_its_caller(void **state)
{
    (void)state;
    assert_killed(run(calls_nowhere, NULL), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->address), 0);
    assert_int_equal(get(&trace->frames[0].object), TRACE_OBJECTS);
    assert_int_equal(get(&trace->frames[0].offset), 0);
    assert_true(is_frame_of(1, calls_nowhere));
    find_frame(2, a_call_to_nowhere_is_told_with_its_caller);
}
#endif

PLAIN static void aborts(void *arg)
{
    (void)arg;
    abort();
}

static void an_abort_is_told_with_the_c_library_in_between(void **state)
{
    pid_t child = start(aborts, NULL);

    (void)state;
    assert_killed(end_of(child), SIGABRT);
    assert_crash(SIGABRT);
    assert_int_equal(get(&trace->sender), child);
    assert_int_equal(get(&trace->has_address), 0);
    assert_true(find_frame(0, aborts) >= 2);
    assert_has_object("libc.so");
}

#if defined(__x86_64__)
/* As text in place of a pointer: the processor says nothing of it. */
static void a_pointer_that_cannot_be_one_has_no_address(void **state)
{
    (void)state;
    assert_killed(run(calls_writes, (void *)0x6f77206f6c6c6568), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->code), SI_KERNEL);
    assert_int_equal(get(&trace->has_address), 0);
    assert_int_equal(get(&trace->address), 0);
    assert_int_equal(get(&trace->sender), 0);
    assert_true(is_frame_of(0, writes));
    assert_true(is_frame_of(1, calls_writes));
}

static volatile int zero;

PLAIN static void divides(void *arg)
{
    (void)arg;
    sink = (uint64_t)(7 / zero);
}

PLAIN static void meets_breakpoint(void *arg)
{
    (void)arg;
    __asm__ volatile("int3");
    sink++;
}

static void a_division_by_zero_and_a_breakpoint_end_it(void **state)
{
    (void)state;
    assert_killed(run_on_coroutine(divides, NULL), SIGFPE);
    assert_crash(SIGFPE);
    assert_true(is_frame_of(0, divides));
    assert_killed(run_on_coroutine(meets_breakpoint, NULL), SIGTRAP);
    assert_crash(SIGTRAP);
    assert_true(is_frame_of(0, meets_breakpoint));
}
#endif

/* ---- signals that are sent ---- */

PLAIN static void raises(void *arg)
{
    raise(*(const int *)arg);
    sink++;
}

static void a_signal_that_was_raised_ends_it_as_that_signal(void **state)
{
    (void)state;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        pid_t child = start(raises, (void *)(uintptr_t)&fatal[i]);

        assert_killed(end_of(child), fatal[i]);
        assert_crash(fatal[i]);
        assert_int_equal(get(&trace->sender), child);
        find_frame(1, raises);
    }
}

static void waits_for_its_end(void *arg)
{
    (void)arg;
    atomic_store(&shared->has_begun, true);
    for (;;)
        pause();
}

static void wait_until_begun(void)
{
    while (!atomic_load(&shared->has_begun))
        usleep(1000);
}

static void a_signal_from_outside_is_told_with_its_sender(void **state)
{
    pid_t child = start(waits_for_its_end, NULL);

    (void)state;
    wait_until_begun();
    kill(child, SIGABRT);
    assert_killed(end_of(child), SIGABRT);
    assert_crash(SIGABRT);
    assert_int_equal((int)get(&trace->code), SI_USER);
    assert_int_equal(get(&trace->sender), getpid());
}

/* ---- whoever else wants the signal ---- */

static volatile sig_atomic_t expected_sender;

static void on_signal_of_its_own(int number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(number == SIGSEGV && info->si_addr == (void *)24 ? 41
          : number == SIGABRT && info->si_code == SI_USER && info->si_pid == (pid_t)expected_sender
              ? 42
              : 43);
}

/* The handler that was there before ours, as a sanitizer's. */
static int end_with_former_handler(void (*fn)(void *), void *arg, int number)
{
    struct sigaction actions[FATAL_COUNT];
    pid_t child;

    for (size_t i = 0; i < FATAL_COUNT; i++)
        actions[i] = (struct sigaction){.sa_sigaction = on_signal_of_its_own,
                                        .sa_flags = SA_SIGINFO | SA_ONSTACK};
    expected_sender = getpid();
    child = start_with(actions, fn, arg);
    if (number) {
        wait_until_begun();
        kill(child, number);
    }
    return end_of(child);
}

static void the_former_handler_has_its_turn_and_sees_what_happened(void **state)
{
    int status;

    (void)state;
    status = end_with_former_handler(calls_writes, (void *)24, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 41);
    assert_crash(SIGSEGV);
    status = end_with_former_handler(waits_for_its_end, NULL, SIGABRT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    assert_crash(SIGABRT);
}

static void handles_itself(void *arg)
{
    const struct sigaction action = {.sa_sigaction = on_signal_of_its_own, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    calls_writes(arg);
}

static void an_application_that_handles_it_itself_has_it_to_itself(void **state)
{
    int status = run(handles_itself, (void *)24);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 41);
    assert_int_equal(get(&trace->kind), TRACE_NONE);
}

static void forks_and_crashes(void *arg)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        calls_writes(arg);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status == 0)
        _exit(1);
}

static void what_an_application_forks_leaves_nothing_in_its_name(void **state)
{
    int status = run(forks_and_crashes, (void *)24);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(get(&trace->kind), TRACE_NONE);
}

/* ---- stacks that are too small ---- */

PLAIN static uint64_t recurses(uint64_t depth)
{
    volatile uint64_t block[16];

    block[depth % 16] = depth;
    if (depth == UINT64_MAX)
        return 0;
    return recurses(depth + 1) + block[depth % 16];
}

PLAIN static void starts_recursion(void *arg)
{
    (void)arg;
    sink += recurses(0);
}

/* Each call leaves out so much of the stack. */
PLAIN static uint64_t strides(uint64_t depth)
{
    volatile char block[40u << 10];

    block[0] = (char)depth;
    if (depth == UINT64_MAX)
        return 0;
    return strides(depth + 1) + (uint64_t)block[0];
}

PLAIN static void starts_strides(void *arg)
{
    char here;

    (void)arg;
    coro_wait("its neighbour");
    atomic_store(&shared->stack_top, ((uintptr_t)&here + 4095) & ~(uintptr_t)4095);
    sink += strides(0);
}

static void is_neighbour(void *arg)
{
    (void)arg;
    coro_wait("nothing");
}

static struct coro *first;

static void keep_first(enum coro_event event, struct coro *coro, void *arg)
{
    (void)event, (void)arg;
    first = coro;
}

/* The stacks of others lie next to its own. */
static void strides_among_others(void *arg)
{
    for (int i = 0; i < 4; i++)
        coro_run(is_neighbour, NULL, arg, 0);
    coro_run(starts_strides, keep_first, arg, 0);
    for (int i = 0; i < 4; i++)
        coro_run(is_neighbour, NULL, arg, 0);
    coro_resume(first, 0);
}

/* Innermost and outermost frames, in their order. */
static void assert_ends_of_recursion(void)
{
    uint64_t begin;

    assert_int_equal(get(&trace->frame_count), TRACE_FRAMES);
    assert_true(get(&trace->depth) > 400);
    for (uint64_t i = 0; i < TRACE_INNER; i++)
        assert_true(is_frame_of(i, recurses));
    begin = find_frame(TRACE_INNER, starts_recursion);
    for (uint64_t i = TRACE_INNER; i < begin; i++)
        assert_true(is_frame_of(i, recurses));
    for (uint64_t i = begin + 1; i < TRACE_FRAMES; i++)
        assert_false(is_frame_of(i, recurses));
}

static void an_overflown_coroutine_is_told_with_the_size_of_its_stack(void **state)
{
    (void)state;
    assert_killed(run_on_coroutine(starts_recursion, NULL), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->overflown), STACK);
    assert_int_equal(get(&trace->is_coroutine), 1);
    assert_ends_of_recursion();
}

static void large_locals_do_not_step_over_the_guard(void **state)
{
    uintptr_t bottom;

    (void)state;
    assert_killed(run(strides_among_others, NULL), SIGSEGV);
    assert_crash(SIGSEGV);
    bottom = atomic_load(&shared->stack_top) - STACK;
    assert_in_range(get(&trace->address), bottom - (64u << 10), bottom - 1);
    assert_int_equal(get(&trace->overflown), STACK);
    assert_true(is_frame_of(0, strides));
    find_frame(1, starts_strides);
}

static void an_overflown_stack_of_the_loop_is_told_with_its_limit(void **state)
{
    (void)state;
    assert_killed(run(starts_recursion, NULL), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->overflown), LOOP_STACK);
    assert_int_equal(get(&trace->is_coroutine), 0);
    assert_ends_of_recursion();
}

/* So little is on the stack for each call that no stack has more of them. */
PLAIN static void descends_for_ever(void)
{
    if (sink != UINT64_MAX)
        descends_for_ever();
    __asm__ volatile(""); /* no loop is made of it */
}

PLAIN static void starts_descent(void *arg)
{
    (void)arg;
    descends_for_ever();
    sink++;
}

static void an_endless_recursion_is_counted_whole(void **state)
{
    (void)state;
    loop_stack = (size_t)8 << 20;
    has_outermost = true;
    assert_killed(run(starts_descent, NULL), SIGSEGV);
    loop_stack = LOOP_STACK;
    has_outermost = false;
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->overflown), (size_t)8 << 20);
    assert_in_range(get(&trace->depth), 100000, UNWIND_MAX - 1);
    assert_true(is_frame_of(TRACE_INNER - 1, descends_for_ever));
    assert_true(is_frame_of(TRACE_FRAMES - 3, descends_for_ever));
    assert_true(is_frame_of(TRACE_FRAMES - 2, starts_descent));
    assert_true(is_frame_of(TRACE_FRAMES - 1, be_worker));
}

static void a_walk_has_an_end(void **state)
{
    (void)state;
    loop_stack = (size_t)64 << 20;
    assert_killed(run(starts_descent, NULL), SIGSEGV);
    loop_stack = LOOP_STACK;
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->depth), UNWIND_MAX);
    assert_true(is_frame_of(TRACE_FRAMES - 1, descends_for_ever));
}

/* Into its own guard, with most of the stack unused. */
PLAIN static void misses(void *arg)
{
    char here;

    (void)arg;
    writes((uintptr_t)&here - STACK);
}

static void a_pointer_gone_wild_is_no_overflow(void **state)
{
    (void)state;
    assert_killed(run_on_coroutine(misses, NULL), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal((int)get(&trace->code), SEGV_ACCERR);
    assert_int_equal(get(&trace->overflown), 0);
}

/* ---- within other threads, and within each other ---- */

static pthread_barrier_t together;

/* So deep that the walk takes its time. */
PLAIN static void descends(unsigned depth, void *arg)
{
    if (depth == 0)
        calls_writes(arg);
    else
        descends(depth - 1, arg);
    sink++;
}

static void *crashes_in_thread(void *arg)
{
    pthread_barrier_wait(&together);
    descends(3000, arg);
    return NULL;
}

static void starts_threads(void *arg)
{
    unsigned count = *(const unsigned *)arg;
    pthread_t threads[8];

    pthread_barrier_init(&together, NULL, count);
    for (unsigned i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, crashes_in_thread, (void *)24);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void a_thread_that_crashes_is_named(void **state)
{
    unsigned one = 1;
    pid_t child = start(starts_threads, &one);

    (void)state;
    assert_killed(end_of(child), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_true(get(&trace->thread) != 0);
    assert_int_not_equal(get(&trace->thread), child);
    assert_int_equal(get(&trace->overflown), 0);
    assert_true(is_frame_of(0, writes));
    find_frame(TRACE_INNER, crashes_in_thread);
}

static void of_threads_that_crash_together_one_is_told_whole(void **state)
{
    unsigned many = 8;

    (void)state;
    assert_killed(run(starts_threads, &many), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->turn), 4); /* the start's, and one more */
    assert_true(is_frame_of(0, writes));
    assert_true(is_frame_of(1, calls_writes));
    find_frame(TRACE_INNER, crashes_in_thread);
}

#if defined(__x86_64__)
/* Crashes, and its unwind information says that the caller is to be found in no man's land. */
void crashes_with_broken_frame(void *arg) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".globl crashes_with_broken_frame\n"
        ".hidden crashes_with_broken_frame\n"
        ".type crashes_with_broken_frame, @function\n"
        "crashes_with_broken_frame:\n"
        ".cfi_startproc\n"
        "    movq $64, %rax\n"
        "    .cfi_def_cfa %rax, 16\n"
        "    movb $0, 24\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size crashes_with_broken_frame, . - crashes_with_broken_frame\n");

static void a_broken_stack_ends_it_with_what_was_found_before(void **state)
{
    int status = run(crashes_with_broken_frame, NULL);

    (void)state;
    assert_true(WIFSIGNALED(status)); /* by the kernel: in a sanitizer's build too */
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_int_equal(get(&trace->turn) % 2, 1);
    assert_int_equal(get(&trace->kind), TRACE_CRASH);
    assert_int_equal(get(&trace->signal), SIGSEGV);
    assert_int_equal(get(&trace->address), 24);
    assert_int_equal(get(&trace->frame_count), 1);
    assert_true(is_frame_of(0, crashes_with_broken_frame));
}

static void the_next_worker_clears_what_was_left(void **state)
{
    uint64_t turn;
    int status;

    (void)state;
    run(crashes_with_broken_frame, NULL);
    turn = get(&trace->turn);
    atomic_store(&shared->is_to_end, true);
    status = run(raises, &(int){SIGKILL});
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_true(get(&trace->turn) > turn);
    assert_int_equal(get(&trace->turn) % 2, 0);
    assert_int_equal(get(&trace->kind), TRACE_NONE);
    assert_int_equal(get(&trace->frame_count), 0);
    assert_int_equal(get(&trace->object_count), 0);
}
#endif

/* ---- the question ---- */

static bool is_alive(pid_t child)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static void ask(pid_t child)
{
    uint64_t turn = get(&trace->turn), now;

    assert_int_equal(syscall(SYS_tgkill, child, child, TRACE_SIGNAL), 0);
    while ((now = get(&trace->turn)) <= turn || now % 2 != 0) {
        assert_true(is_alive(child));
        usleep(100);
    }
}

PLAIN static void spins(void)
{
    atomic_store(&shared->has_begun, true);
    while (!atomic_load(&shared->is_to_end))
        atomic_fetch_add(&shared->rounds, 1);
}

static void spins_on(void *arg)
{
    (void)arg;
    errno = ERANGE;
    spins();
    if (errno != ERANGE)
        _exit(1);
}

static void what_loops_answers_and_goes_on(void **state)
{
    struct on_coroutine what = {spins_on, NULL};
    pid_t child = start(starts_coroutine, &what);
    uint64_t rounds;
    int status;

    (void)state;
    wait_until_begun();
    for (int i = 0; i < 3; i++) {
        ask(child);
        assert_int_equal(get(&trace->kind), TRACE_ANSWER);
        assert_int_equal(get(&trace->signal), TRACE_SIGNAL);
        assert_int_equal(get(&trace->sender), getpid());
        assert_int_equal(get(&trace->thread), 0);
        assert_int_equal(find_frame(0, spins_on), find_frame(0, spins) + 1);
        assert_int_equal(get(&trace->depth), get(&trace->frame_count));
        rounds = get(&shared->rounds);
        while (get(&shared->rounds) == rounds)
            usleep(100);
    }
    atomic_store(&shared->is_to_end, true);
    status = end_of(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#if defined(__x86_64__)
/* Turns like spins(), and its unwind information says of its caller what `cfi` says. */
#define SPINS_WITH(name, cfi)                                                                   \
    void name(_Atomic bool *has_begun, _Atomic uint64_t *rounds, const _Atomic bool *is_to_end, \
              uintptr_t frame) __attribute__((visibility("hidden")));                           \
    __asm__(".text\n.globl " #name "\n.hidden " #name "\n"                                      \
            ".type " #name ", @function\n" #name ":\n.cfi_startproc\n"                          \
            "    movq %rcx, %rax\n"                                                             \
            "    " cfi "\n"                                                                     \
            "1:  movb $1, (%rdi)\n"                                                             \
            "    incq (%rsi)\n"                                                                 \
            "    cmpb $0, (%rdx)\n"                                                             \
            "    je 1b\n"                                                                       \
            "    ret\n"                                                                         \
            ".cfi_endproc\n.size " #name ", . - " #name "\n")

SPINS_WITH(spins_with_broken_frame, ".cfi_def_cfa %rax, 16");
/* DW_CFA_def_cfa_expression of an operation that there is not, at which libgcc calls abort(). */
SPINS_WITH(spins_with_nonsense, ".cfi_escape 0x0f, 0x01, 0xff");

static void spins_with_frame_at(void *arg)
{
    spins_with_broken_frame(&shared->has_begun, &shared->rounds, &shared->is_to_end,
                            (uintptr_t)arg);
}

static void spins_without_sense(void *arg)
{
    spins_with_nonsense(&shared->has_begun, &shared->rounds, &shared->is_to_end, (uintptr_t)arg);
}

static void assert_answers_and_goes_on(pid_t child, const void *function)
{
    uint64_t rounds;

    ask(child);
    assert_int_equal(get(&trace->kind), TRACE_ANSWER);
    assert_int_equal(get(&trace->signal), TRACE_SIGNAL);
    assert_int_equal(get(&trace->frame_count), 1);
    assert_int_equal(get(&trace->depth), 1);
    assert_true(is_frame_of(0, function));
    rounds = get(&shared->rounds);
    while (get(&shared->rounds) == rounds) {
        assert_true(is_alive(child));
        usleep(100);
    }
}

static void spoil(void (*fn)(void *), void *arg, const void *function)
{
    pid_t child;
    int status;

    atomic_store(&shared->has_begun, false);
    atomic_store(&shared->is_to_end, false);
    child = start(fn, arg);
    wait_until_begun();
    for (int i = 0; i < 3; i++)
        assert_answers_and_goes_on(child, function);
    atomic_store(&shared->is_to_end, true);
    status = end_of(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_broken_stack_ends_the_answer_and_nothing_else(void **state)
{
    void *const nowhere_at[] = {(void *)64, (void *)0x6f77206f6c6c6568};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        spoil(spins_with_frame_at, nowhere_at[i], spins_with_broken_frame);
    spoil(spins_without_sense, NULL, spins_with_nonsense);
}

static void spins_and_writes(void *arg)
{
    spins_with_frame_at(arg);
    calls_writes((void *)24);
    sink++;
}

static void after_a_broken_answer_a_crash_is_told_as_ever(void **state)
{
    pid_t child = start(spins_and_writes, (void *)64);

    (void)state;
    wait_until_begun();
    ask(child);
    atomic_store(&shared->is_to_end, true);
    assert_killed(end_of(child), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_true(is_frame_of(1, calls_writes));
    assert_true(is_frame_of(2, spins_and_writes));
}
#endif

PLAIN static void spins_below(unsigned depth)
{
    if (depth == 0)
        spins();
    else
        spins_below(depth - 1);
    sink++;
}

static void spins_far_below(void *arg)
{
    (void)arg;
    spins_below(200000);
}

/* While it walks: it must neither be taken for the walk's own nor be lost. */
static void a_signal_amid_the_answer_ends_it_as_that_signal(void **state)
{
    uint64_t turn;
    pid_t child;

    (void)state;
    loop_stack = (size_t)64 << 20;
    child = start(spins_far_below, NULL);
    loop_stack = LOOP_STACK;
    wait_until_begun();
    turn = get(&trace->turn);
    assert_int_equal(syscall(SYS_tgkill, child, child, TRACE_SIGNAL), 0);
    while (get(&trace->turn) == turn)
        ;
    kill(child, SIGSEGV);
    assert_killed(end_of(child), SIGSEGV);
    assert_crash(SIGSEGV);
    assert_int_equal(get(&trace->turn), turn + 4); /* the answer was ended before */
    assert_int_equal(get(&trace->sender), getpid());
    assert_true(is_frame_of(0, spins));
    assert_true(is_frame_of(1, spins_below));
}

/* Nearly always within the allocator, now and then in the loader. */
static void churns(void *arg)
{
    (void)arg;
    atomic_store(&shared->has_begun, true);
    while (!atomic_load(&shared->is_to_end)) {
        void *volatile block = malloc(1 + sink++ % 3000);

        free(block);
    }
}

static void whatever_it_is_in_the_middle_of_it_answers(void **state)
{
    pid_t child = start(churns, NULL);
    int status;

    (void)state;
    wait_until_begun();
    for (int i = 0; i < 300; i++) {
        ask(child);
        assert_int_equal(get(&trace->kind), TRACE_ANSWER);
        find_frame(0, churns);
    }
    atomic_store(&shared->is_to_end, true);
    status = end_of(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void reads(void *arg)
{
    const int *ends = arg;
    char byte;

    atomic_store(&shared->has_begun, true);
    if (read(ends[0], &byte, 1) != 1)
        _exit(1);
}

static void a_call_that_waits_goes_on_waiting(void **state)
{
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = start(reads, ends);
    wait_until_begun();
    for (int i = 0; i < 3; i++)
        ask(child);
    assert_int_equal(write(ends[1], "x", 1), 1);
    status = end_of(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fault_is_told_with_address_and_callers),
        TEST(the_walk_ends_where_the_coroutine_began),
        TEST(what_led_to_the_worker_is_left_out),
#if defined(__x86_64__) || defined(__aarch64__)
        TEST(a_call_to_nowhere_is_told_with_its_caller),
#endif
        TEST(an_abort_is_told_with_the_c_library_in_between),
#if defined(__x86_64__)
        TEST(a_pointer_that_cannot_be_one_has_no_address),
        TEST(a_division_by_zero_and_a_breakpoint_end_it),
#endif
        TEST(a_signal_that_was_raised_ends_it_as_that_signal),
        TEST(a_signal_from_outside_is_told_with_its_sender),
        TEST(the_former_handler_has_its_turn_and_sees_what_happened),
        TEST(an_application_that_handles_it_itself_has_it_to_itself),
        TEST(what_an_application_forks_leaves_nothing_in_its_name),
        TEST(an_overflown_coroutine_is_told_with_the_size_of_its_stack),
        TEST(large_locals_do_not_step_over_the_guard),
        TEST(an_overflown_stack_of_the_loop_is_told_with_its_limit),
        TEST(an_endless_recursion_is_counted_whole),
        TEST(a_walk_has_an_end),
        TEST(a_pointer_gone_wild_is_no_overflow),
        TEST(a_thread_that_crashes_is_named),
        TEST(of_threads_that_crash_together_one_is_told_whole),
#if defined(__x86_64__)
        TEST(a_broken_stack_ends_it_with_what_was_found_before),
        TEST(the_next_worker_clears_what_was_left),
#endif
        TEST(what_loops_answers_and_goes_on),
        TEST(whatever_it_is_in_the_middle_of_it_answers),
        TEST(a_call_that_waits_goes_on_waiting),
#if defined(__x86_64__)
        TEST(a_broken_stack_ends_the_answer_and_nothing_else),
        TEST(after_a_broken_answer_a_crash_is_told_as_ever),
#endif
        TEST(a_signal_amid_the_answer_ends_it_as_that_signal),
    };

    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], NULL, &originals[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
