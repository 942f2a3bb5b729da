/* test_runtime_coro.c: a coroutine waits without holding up the loop, is woken exactly once, and
 * finds everything of its own as it left it.
 *
 * Only the loop's stack asserts: a failure must not jump from one stack to another. Coroutines note
 * what they see. */
#include "runtime/coro.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define STACK (128u << 10)
#define KEPT  64

/* One coroutine: what it was told to do and what it saw. */
struct probe {
    struct coro *coro;
    char name;
    uint64_t sleep_ns;
    struct probe *other; /* whom it wakes */
    int reason, error;
    uint64_t begun, ended;
    uintptr_t frame;
    size_t size;
    bool is_done;
    unsigned afters, resumes;
    size_t alive_after;
    bool was_current, was_current_after;
};

static struct event_base *base;
static char trace[256]; /* names, in the order in which things happened */

static void note(char name)
{
    size_t length = strlen(trace);

    if (length + 1 < sizeof(trace))
        trace[length] = name;
}

static int setup(void **state)
{
    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    memset(trace, 0, sizeof(trace));
    base = event_base_new();
    return base == NULL ? -1 : coro_pool_open(base, STACK, KEPT);
}

static int teardown(void **state)
{
    (void)state;
    coro_pool_close();
    event_base_free(base);
    return 0;
}

static void after(enum coro_event event, struct coro *coro, void *arg)
{
    struct probe *probe = arg;

    assert_int_equal(coro == NULL, event == CORO_ENDED);
    probe->resumes += event == CORO_RESUMES;
    if (event == CORO_RESUMES)
        return;
    probe->afters++;
    probe->is_done = event == CORO_ENDED;
    probe->alive_after = coro_alive();
    probe->was_current_after = coro_current() != NULL;
}

static int run(void (*fn)(void *), struct probe *probe)
{
    return coro_run(fn, after, probe, 0);
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void turn_until_none_is_alive(void)
{
    while (coro_alive() > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

/* ---- what the coroutines do ---- */

static void ends_at_once(void *arg)
{
    struct probe *probe = arg;
    char here;

    probe->was_current = coro_current() != NULL;
    probe->frame = (uintptr_t)&here;
    note(probe->name);
}

static void waits(void *arg)
{
    struct probe *probe = arg;

    probe->coro = coro_current();
    probe->reason = coro_wait("a test");
    note(probe->name);
}

static void waits_twice(void *arg)
{
    waits(arg);
    waits(arg);
}

static void sleeps(void *arg)
{
    struct probe *probe = arg;

    probe->coro = coro_current();
    probe->begun = clock_ns();
    probe->reason = coro_sleep(probe->sleep_ns);
    probe->ended = clock_ns();
    note(probe->name);
}

/* ---- starting and ending ---- */

static void what_never_waits_has_ended_when_the_call_returns(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    assert_int_equal(run(ends_at_once, &probe), 0);
    assert_string_equal(trace, "a");
    assert_true(probe.was_current);
    assert_null(coro_current());
    assert_int_equal(probe.afters, 1);
    assert_true(probe.is_done);
    assert_int_equal(probe.alive_after, 0);
    assert_false(probe.was_current_after);
}

static void after_may_be_missing(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    assert_int_equal(coro_run(ends_at_once, NULL, &probe, 0), 0);
    assert_string_equal(trace, "a");
}

static void after_starts_another(enum coro_event event, struct coro *coro, void *arg)
{
    static struct probe next = {.name = 'b'};

    after(event, coro, arg);
    if (event == CORO_ENDED)
        run(ends_at_once, &next);
}

static void another_may_be_started_when_one_has_ended(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    assert_int_equal(coro_run(ends_at_once, after_starts_another, &probe, 0), 0);
    assert_string_equal(trace, "ab");
}

static void the_stack_last_used_is_the_first_taken(void **state)
{
    struct probe waiting = {0}, first = {0}, second = {0};

    (void)state;
    run(waits, &waiting);
    run(ends_at_once, &first);
    run(ends_at_once, &second);
    assert_int_equal(first.frame, second.frame);
    coro_resume(waiting.coro, 0);
    /* The last one to end was the one that waited. */
    run(ends_at_once, &first);
    assert_true(first.frame != second.frame);
}

/* What the ABI promises to every function, and vector instructions rely on. */
static void uses_aligned(void *arg)
{
    struct probe *probe = arg;
    _Alignas(16) volatile char block[16] = {0};

    probe->frame = (uintptr_t)&block[0] | ((uintptr_t)__builtin_frame_address(0) & 15);
}

static void a_stack_is_aligned(void **state)
{
    struct probe probe = {.frame = 1};

    (void)state;
    run(uses_aligned, &probe);
    assert_int_equal(probe.frame & 15, 0);
}

static void without_memory_nothing_runs(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    errno = 0;
    assert_int_equal(coro_run(ends_at_once, after, &probe, (size_t)1 << 60), -1);
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_int_equal(coro_run(ends_at_once, after, &probe, SIZE_MAX), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(probe.afters, 0);
    assert_int_equal(coro_alive(), 0);
    assert_string_equal(trace, "");
}

/* ---- waiting and waking ---- */

static void a_wait_gives_control_back_until_it_is_woken(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    assert_int_equal(run(waits, &probe), 0);
    assert_int_equal(probe.afters, 1);
    assert_false(probe.is_done);
    assert_int_equal(probe.alive_after, 1);
    assert_string_equal(coro_waits_for(probe.coro), "a test");
    turn();
    assert_string_equal(trace, "");

    assert_true(coro_wake(probe.coro, EPIPE));
    assert_string_equal(trace, ""); /* never within the call */
    turn();
    assert_string_equal(trace, "a");
    assert_int_equal(probe.reason, EPIPE);
    assert_int_equal(probe.afters, 2);
    assert_true(probe.is_done);
    assert_int_equal(coro_alive(), 0);
}

static void resumed_it_goes_on_within_the_call(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    run(waits_twice, &probe);
    assert_true(coro_resume(probe.coro, ETIMEDOUT));
    assert_string_equal(trace, "a");
    assert_int_equal(probe.reason, ETIMEDOUT);
    assert_false(probe.is_done);
    assert_true(coro_resume(probe.coro, 0));
    assert_string_equal(trace, "aa");
    assert_int_equal(probe.reason, 0);
    assert_true(probe.is_done);
}

static void a_wait_ends_by_one_wake_up_and_no_more(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    run(waits_twice, &probe);
    assert_true(coro_wake(probe.coro, EPIPE));
    assert_false(coro_wake(probe.coro, ETIMEDOUT));
    assert_false(coro_resume(probe.coro, ETIMEDOUT));
    assert_string_equal(trace, "");
    turn();
    turn();
    assert_string_equal(trace, "a"); /* the second wait has not been touched */
    assert_int_equal(probe.reason, EPIPE);
    assert_string_equal(coro_waits_for(probe.coro), "a test");
    coro_resume(probe.coro, 0);
}

static void wakes_itself(void *arg)
{
    struct probe *probe = arg;

    probe->reason = coro_wake(coro_current(), EPIPE) || coro_resume(coro_current(), EPIPE);
}

static void what_does_not_wait_is_not_woken(void **state)
{
    struct probe probe = {.reason = -1};

    (void)state;
    run(wakes_itself, &probe);
    assert_int_equal(probe.reason, false);
    assert_true(probe.is_done);
}

static void resumes_other(void *arg)
{
    struct probe *probe = arg;

    coro_resume(probe->other->coro, 0);
    note(probe->name);
}

static void from_within_a_coroutine_another_goes_on_later(void **state)
{
    struct probe a = {.name = 'a'}, b = {.name = 'b', .other = &a};

    (void)state;
    run(waits, &a);
    run(resumes_other, &b);
    assert_string_equal(trace, "b");
    turn();
    assert_string_equal(trace, "ba");
}

static void those_woken_go_on_in_the_order_of_their_waking(void **state)
{
    struct probe probes[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        probes[i] = (struct probe){.name = (char)('a' + i)};
        run(waits, &probes[i]);
    }
    for (int i = 0; i < 5; i++)
        assert_true(coro_wake(probes[(i * 3 + 2) % 5].coro, 0));
    turn();
    assert_string_equal(trace, "cadbe");
    assert_int_equal(coro_alive(), 0);
}

static void cancelling_wakes_everyone_that_waits_once(void **state)
{
    struct probe once = {.name = 'a'}, twice = {.name = 'b'};
    struct probe asleep = {.name = 'c', .sleep_ns = 3600 * NS_PER_SEC}, woken = {.name = 'd'};

    (void)state;
    run(waits, &once);
    run(waits_twice, &twice);
    run(sleeps, &asleep);
    run(waits, &woken);
    coro_wake(woken.coro, EPIPE);

    coro_cancel_all();
    turn();
    assert_string_equal(trace, "dabc");
    assert_int_equal(once.reason, ECANCELED);
    assert_int_equal(twice.reason, ECANCELED);
    assert_int_equal(asleep.reason, ECANCELED);
    assert_int_equal(woken.reason, EPIPE);
    assert_int_equal(coro_alive(), 1);
    coro_cancel_all();
    turn();
    assert_int_equal(coro_alive(), 0);
    coro_cancel_all(); /* nobody: nothing */
}

/* ---- what is kept ---- */

static void sets_errno(void *arg)
{
    struct probe *probe = arg;

    errno = (int)probe->size;
    waits(probe);
    probe->error = errno;
}

static void each_has_its_errno(void **state)
{
    struct probe a = {.size = ENOENT}, b = {.size = EACCES};

    (void)state;
    run(sets_errno, &a);
    run(sets_errno, &b);
    errno = ERANGE;
    coro_resume(a.coro, 0);
    errno = ERANGE;
    coro_resume(b.coro, 0);
    assert_int_equal(a.error, ENOENT);
    assert_int_equal(b.error, EACCES);
}

#if defined(__x86_64__)
/* The rounding mode is in two places: mxcsr for SSE, the control word for x87. */
static void set_rounding(unsigned mode)
{
    unsigned mxcsr;
    unsigned short control;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr = (mxcsr & ~0x6000u) | mode << 13;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    control = (unsigned short)((control & ~0xc00u) | mode << 10);
    __asm__ volatile("fldcw %0" : : "m"(control));
}

/* 0 to 3, or -1: the two disagree. */
static int rounding(void)
{
    unsigned mxcsr;
    unsigned short control;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return (mxcsr >> 13 & 3) == (control >> 10 & 3u) ? (int)(mxcsr >> 13 & 3) : -1;
}

static void sets_rounding(void *arg)
{
    struct probe *probe = arg;

    set_rounding((unsigned)probe->size);
    waits(probe);
    probe->error = rounding();
}

static void each_has_its_rounding_mode(void **state)
{
    struct probe up = {.size = 2}, down = {.size = 1};

    (void)state;
    run(sets_rounding, &up);
    assert_int_equal(rounding(), 0);
    run(sets_rounding, &down);
    assert_int_equal(rounding(), 0);
    coro_resume(up.coro, 0);
    assert_int_equal(rounding(), 0);
    coro_resume(down.coro, 0);
    assert_int_equal(up.error, 2);
    assert_int_equal(down.error, 1);
    assert_int_equal(rounding(), 0);
}
#endif

static volatile double factor = 3.0;

/* Enough of them that callee-saved registers are in use across the wait. */
static void keeps_values(void *arg)
{
    struct probe *probe = arg;
    uint64_t a = probe->size, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13, g = a * 17;
    double x = (double)a * factor;
    char text[64];

    snprintf(text, sizeof(text), "%zu", probe->size);
    waits(probe);
    probe->error = strtoull(text, NULL, 10) == a && b == a * 3 && c == a * 5 && d == a * 7 &&
                           e == a * 11 && f == a * 13 && g == a * 17 && x == (double)a * factor
                       ? 0
                       : -1;
}

static void thousands_are_alive_at_once_each_with_its_own(void **state)
{
    enum { MANY = 5000 };
    struct probe *probes = calloc(MANY, sizeof(*probes));

    (void)state;
    assert_non_null(probes);
    for (int i = 0; i < MANY; i++) {
        probes[i].size = (size_t)i;
        assert_int_equal(run(keeps_values, &probes[i]), 0);
    }
    assert_int_equal(coro_alive(), MANY);
    for (int i = MANY; i-- > 0;)
        assert_true(coro_wake(probes[i].coro, 0));
    turn();
    assert_int_equal(coro_alive(), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(probes[i].error, 0);
    free(probes);
}

/* ---- stacks ---- */

/* Touches the stack down to `size` bytes below `top`. */
static __attribute__((noinline)) void descend(uintptr_t top, size_t size)
{
    volatile char block[512];

    block[0] = block[sizeof(block) - 1] = 1;
    if (top - (uintptr_t)&block[0] < size)
        descend(top, size);
    block[0] = 2; /* so that it is no loop */
}

static void descends(void *arg)
{
    struct probe *probe = arg;
    char here;

    descend((uintptr_t)&here, probe->size);
    note(probe->name);
}

static void a_stack_can_be_used_to_its_end(void **state)
{
    struct probe probe = {.name = 'a', .size = STACK - (8u << 10)};

    (void)state;
    assert_int_equal(run(descends, &probe), 0);
    assert_int_equal(run(descends, &probe), 0);
    assert_string_equal(trace, "aa");
}

static void an_app_may_ask_for_a_stack_of_its_own_size(void **state)
{
    static const unsigned kib[] = {64, 256, 1024, 100, 33, 4096, 300, 500, 600, 700, 800, 64};

    (void)state;
    /* More sizes than there are pools for, each twice, while another one waits. */
    for (size_t i = 0; i < 2 * sizeof(kib) / sizeof(kib[0]); i++) {
        size_t size = (size_t)kib[i / 2] << 10;
        struct probe waiting = {0}, probe = {.name = 'a', .size = size - (8u << 10)};

        assert_int_equal(coro_run(waits, after, &waiting, size), 0);
        assert_int_equal(coro_run(descends, after, &probe, size), 0);
        assert_true(probe.is_done);
        coro_resume(waiting.coro, 0);
        assert_true(waiting.is_done);
    }
}

static uintptr_t stack_top; /* of the one that overflows */

static void overflows(void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    char here;

    (void)arg;
    stack_top = ((uintptr_t)&here + page - 1) & ~(page - 1);
    descend((uintptr_t)&here, UINTPTR_MAX);
}

/* On a stack of its own, in the child: 0 when the first byte too many was on the guard page. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr, bottom = stack_top - STACK;

    (void)signal;
    (void)context;
    _exit(at < bottom && at >= bottom - (uintptr_t)sysconf(_SC_PAGESIZE) ? 0 : 1);
}

static void an_overflow_ends_at_the_guard_page(void **state)
{
    static char other_stack[65536];
    const stack_t other = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct probe neighbour = {0};
    int status;
    pid_t child;

    (void)state;
    run(waits, &neighbour);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        sigaltstack(&other, NULL);
        sigaction(SIGSEGV, &action, NULL);
        coro_run(overflows, NULL, NULL, 0);
        _exit(2);
    }
    coro_resume(neighbour.coro, 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- sleeping ---- */

static void sleepers_go_on_in_the_order_of_their_times(void **state)
{
    static const uint64_t ms[] = {60, 20, 40, 0, 80};
    struct probe probes[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        probes[i] = (struct probe){.name = (char)('a' + i), .sleep_ns = ms[i] * NS_PER_MS};
        run(sleeps, &probes[i]);
        assert_string_equal(coro_waits_for(probes[i].coro), "sleep");
    }
    turn_until_none_is_alive();
    assert_string_equal(trace, "dbcae");
    for (int i = 0; i < 5; i++)
        assert_int_equal(probes[i].reason, 0);
}

/* The loop's clock is old when a coroutine has been busy before it sleeps. */
static void works_then_sleeps(void *arg)
{
    uint64_t end = clock_ns() + 15 * NS_PER_MS;

    coro_sleep(0);
    while (clock_ns() < end)
        ;
    sleeps(arg);
}

static void a_sleep_is_never_too_short(void **state)
{
    struct probe probes[40];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        probes[i] = (struct probe){.sleep_ns = i * 777777};
        run(i % 8 ? sleeps : works_then_sleeps, &probes[i]);
    }
    turn_until_none_is_alive();
    for (unsigned i = 0; i < 40; i++)
        assert_true(probes[i].ended - probes[i].begun >= probes[i].sleep_ns);
}

static void a_sleep_of_nothing_lets_the_others_run_first(void **state)
{
    struct probe yields = {.name = 'y'}, ready = {.name = 'r'};

    (void)state;
    run(waits, &ready);
    coro_wake(ready.coro, 0);
    run(sleeps, &yields);
    turn_until_none_is_alive();
    assert_string_equal(trace, "ry");
}

static void sleeps_then_waits(void *arg)
{
    sleeps(arg);
    waits(arg);
}

static void a_sleeper_woken_early_is_not_woken_again_at_its_time(void **state)
{
    struct probe probe = {.name = 'a', .sleep_ns = 20 * NS_PER_MS};
    struct probe later = {.name = 'b', .sleep_ns = 60 * NS_PER_MS};

    (void)state;
    run(sleeps_then_waits, &probe);
    run(sleeps, &later);
    assert_true(coro_wake(probe.coro, EPIPE));
    while (later.ended == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(trace, "ab");
    assert_int_equal(probe.reason, EPIPE);
    assert_string_equal(coro_waits_for(probe.coro), "a test");
    coro_resume(probe.coro, 0);
}

/* ---- cancelling ---- */

struct waits_seen {
    struct coro *coro;
    int reasons[4];
    unsigned count;
};

static void note_reason(struct waits_seen *seen, int reason)
{
    seen->reasons[seen->count++] = reason;
}

static void waits_four_times(void *arg)
{
    struct waits_seen *seen = arg;

    seen->coro = coro_current();
    note_reason(seen, coro_wait("one"));
    note_reason(seen, coro_wait("two"));
    note_reason(seen, coro_sleep(3600 * NS_PER_SEC));
    note_reason(seen, coro_sleep(0));
}

static void assert_reasons(const struct waits_seen *seen, int a, int b, int c, int d)
{
    assert_int_equal(seen->count, 4);
    assert_int_equal(seen->reasons[0], a);
    assert_int_equal(seen->reasons[1], b);
    assert_int_equal(seen->reasons[2], c);
    assert_int_equal(seen->reasons[3], d);
}

static void what_is_cancelled_waits_for_nothing_any_more(void **state)
{
    struct waits_seen seen = {0};

    (void)state;
    coro_run(waits_four_times, NULL, &seen, 0);
    assert_int_equal(coro_cancelled(seen.coro), 0);
    assert_true(coro_cancel(seen.coro, ECANCELED));
    assert_int_equal(coro_cancelled(seen.coro), ECANCELED);
    assert_int_equal(seen.count, 0); /* never within the call */
    turn();
    assert_reasons(&seen, ECANCELED, ECANCELED, ECANCELED, ECANCELED);
    assert_int_equal(coro_alive(), 0);
}

static void the_first_cancellation_counts(void **state)
{
    struct waits_seen seen = {0};

    (void)state;
    coro_run(waits_four_times, NULL, &seen, 0);
    assert_true(coro_cancel(seen.coro, ETIMEDOUT));
    assert_false(coro_cancel(seen.coro, ECANCELED));
    assert_false(coro_wake(seen.coro, 0));
    coro_cancel_all();
    turn();
    assert_reasons(&seen, ETIMEDOUT, ETIMEDOUT, ETIMEDOUT, ETIMEDOUT);
}

static void what_came_before_the_cancellation_is_seen_first(void **state)
{
    struct waits_seen seen = {0};

    (void)state;
    coro_run(waits_four_times, NULL, &seen, 0);
    assert_true(coro_wake(seen.coro, 0));
    assert_true(coro_cancel(seen.coro, ECANCELED));
    turn();
    assert_reasons(&seen, 0, ECANCELED, ECANCELED, ECANCELED);
}

static void cancels_itself(void *arg)
{
    coro_cancel(coro_current(), EPIPE);
    waits_four_times(arg);
}

static void one_may_cancel_itself(void **state)
{
    struct waits_seen seen = {0};

    (void)state;
    coro_run(cancels_itself, NULL, &seen, 0);
    assert_reasons(&seen, EPIPE, EPIPE, EPIPE, EPIPE);
}

static void the_next_on_the_same_stack_is_not_cancelled(void **state)
{
    struct waits_seen seen = {0}, next = {0};
    struct coro *first;

    (void)state;
    coro_run(waits_four_times, NULL, &seen, 0);
    first = seen.coro;
    coro_cancel(first, ECANCELED);
    turn();
    coro_run(waits_four_times, NULL, &next, 0);
    assert_ptr_equal(next.coro, first);
    assert_int_equal(coro_cancelled(next.coro), 0);
    assert_int_equal(next.count, 0);
    assert_true(coro_resume(next.coro, 0));
    assert_int_equal(next.count, 1);
    assert_int_equal(next.reasons[0], 0);
    coro_cancel(next.coro, ECANCELED);
    turn();
}

static void waits_with_errno(void *arg)
{
    struct probe *probe = arg;

    probe->coro = coro_current();
    coro_wait("a test");
    errno = EDOM;
    probe->reason = coro_wait("another");
    probe->error = errno;
}

static void a_cancelled_wait_keeps_errno(void **state)
{
    struct probe probe = {0};

    (void)state;
    run(waits_with_errno, &probe);
    coro_cancel(probe.coro, ECANCELED);
    turn();
    assert_int_equal(probe.reason, ECANCELED);
    assert_int_equal(probe.error, EDOM);
    assert_int_equal(probe.afters, 2); /* control came back twice only */
}

static void cancelling_all_ends_one_wait_of_each(void **state)
{
    struct probe probe = {.name = 'a'};

    (void)state;
    run(waits_twice, &probe);
    coro_cancel_all();
    assert_int_equal(coro_cancelled(probe.coro), 0);
    turn();
    assert_int_equal(probe.reason, ECANCELED);
    assert_string_equal(coro_waits_for(probe.coro), "a test");
    coro_resume(probe.coro, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_never_waits_has_ended_when_the_call_returns),
        TEST(after_may_be_missing),
        TEST(another_may_be_started_when_one_has_ended),
        TEST(the_stack_last_used_is_the_first_taken),
        TEST(a_stack_is_aligned),
        TEST(without_memory_nothing_runs),
        TEST(a_wait_gives_control_back_until_it_is_woken),
        TEST(resumed_it_goes_on_within_the_call),
        TEST(a_wait_ends_by_one_wake_up_and_no_more),
        TEST(what_does_not_wait_is_not_woken),
        TEST(from_within_a_coroutine_another_goes_on_later),
        TEST(those_woken_go_on_in_the_order_of_their_waking),
        TEST(cancelling_wakes_everyone_that_waits_once),
        TEST(each_has_its_errno),
#if defined(__x86_64__)
        TEST(each_has_its_rounding_mode),
#endif
        TEST(thousands_are_alive_at_once_each_with_its_own),
        TEST(a_stack_can_be_used_to_its_end),
        TEST(an_app_may_ask_for_a_stack_of_its_own_size),
        TEST(an_overflow_ends_at_the_guard_page),
        TEST(sleepers_go_on_in_the_order_of_their_times),
        TEST(a_sleep_is_never_too_short),
        TEST(a_sleep_of_nothing_lets_the_others_run_first),
        TEST(a_sleeper_woken_early_is_not_woken_again_at_its_time),
        TEST(what_is_cancelled_waits_for_nothing_any_more),
        TEST(the_first_cancellation_counts),
        TEST(what_came_before_the_cancellation_is_seen_first),
        TEST(one_may_cancel_itself),
        TEST(the_next_on_the_same_stack_is_not_cancelled),
        TEST(a_cancelled_wait_keeps_errno),
        TEST(cancelling_all_ends_one_wait_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
