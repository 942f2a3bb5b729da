/* coro.c: starting, waiting, waking. A coroutine's own struct lies at the top of its stack, so that
 * a short handler touches one page in all. */
#include "runtime/coro.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <sys/queue.h>

#include "base/poison.h"
#include "runtime/alarm.h"
#include "runtime/frames.h"
#include "runtime/stack.h"
#include "runtime/switch.h"

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum coro_state { CORO_IDLE, CORO_RUNNING, CORO_WAITING, CORO_WOKEN };

struct coro {
    struct switch_context context; /* where it goes on; valid while it does not run */
    enum coro_state state;
    int reason;        /* of the wake-up */
    int fails_with;    /* the reason of every wait from now on; 0: none */
    bool is_cancelled; /* ... for good: else until coro_uninterrupt */
    bool is_resolute;  /* this wait is not ended by that */
    const char *waits_for;
    const void *site; /* coro_note's */
    unsigned call;
    uint64_t walked; /* the latest walk that it was a part of, or began during */
    void (*fn)(void *arg);
    coro_watch *watch;
    void *arg;
    struct stack stack;
    struct stack_class *class; /* NULL: not pooled */
    void *fake_stack;          /* AddressSanitizer's */
    SLIST_ENTRY(coro) idle;
    TAILQ_ENTRY(coro) queued; /* in pool.waiting or pool.ready, as `state` says */
};

/* Idle stacks of one size. Apps that ask for a size of their own are few. */
#define STACK_CLASSES 8

struct stack_class {
    size_t size;
    size_t count;
    SLIST_HEAD(, coro) idle;
};

TAILQ_HEAD(coro_queue, coro);

/* The process's one pool: part of the worker's context. */
static struct {
    struct event_base *base;
    struct event ready_event;
    struct coro_queue ready, waiting;
    struct switch_context loop;
    struct coro *current;
    struct stack_class classes[STACK_CLASSES];
    size_t keep, alive;
    uint64_t walks; /* the number of the latest */
    unsigned nth;   /* wait from now on is cancelled; 0: none */
    void *loop_fake_stack;
    const void *loop_bottom; /* AddressSanitizer wants to know the loop's stack */
    size_t loop_size;
} pool;

/* ---- switching, with what AddressSanitizer wants to be told ---- */

static void switch_in(struct coro *coro)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&pool.loop_fake_stack, stack_bottom(&coro->stack),
                                   coro->stack.size);
#endif
    switch_to(&pool.loop, &coro->context);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(pool.loop_fake_stack, NULL, NULL);
#endif
}

static void arrived(struct coro *coro)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(coro->fake_stack, &pool.loop_bottom, &pool.loop_size);
#else
    (void)coro;
#endif
}

static void switch_out(struct coro *coro)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&coro->fake_stack, pool.loop_bottom, pool.loop_size);
#endif
    switch_to(&coro->context, &pool.loop);
    arrived(coro);
}

/* Lives as long as its stack: one round a piece of work. */
static void trampoline(void *arg)
{
    struct coro *coro = arg;

    arrived(coro);
    for (;;) {
        coro->fn(coro->arg);
        coro->state = CORO_IDLE;
        switch_out(coro);
    }
}

/* ---- stacks ---- */

static struct stack_class *find_class(size_t size)
{
    for (int i = 0; i < STACK_CLASSES; i++) {
        if (pool.classes[i].size == size)
            return &pool.classes[i];
        if (pool.classes[i].size == 0) {
            pool.classes[i].size = size;
            return &pool.classes[i];
        }
    }
    return NULL;
}

static struct coro *coro_new(size_t size, struct stack_class *class)
{
    struct stack stack;
    struct coro *coro;
    char *top;

    if (stack_map(&stack, size) == -1) {
        errno = ENOMEM;
        return NULL;
    }
    top = stack_bottom(&stack) + stack.size - ((sizeof *coro + 63) & ~(size_t)63);
    coro = (struct coro *)(void *)top;
    memset(coro, 0, sizeof *coro);
    coro->stack = stack;
    coro->class = class;
    switch_prepare(&coro->context, stack_bottom(&stack), (size_t)(top - stack_bottom(&stack)),
                   trampoline, coro);
    return coro;
}

static struct coro *coro_take(size_t size)
{
    struct stack_class *class = size ? find_class(size) : &pool.classes[0];
    struct coro *coro = class ? SLIST_FIRST(&class->idle) : NULL;

    if (coro) {
        SLIST_REMOVE_HEAD(&class->idle, idle);
        class->count--;
        return coro;
    }
    return coro_new(size ? size : pool.classes[0].size, class);
}

static void coro_unmap(struct coro *coro)
{
    struct stack stack = coro->stack; /* the struct lies on it */

    stack_unmap(&stack);
}

static void coro_give(struct coro *coro)
{
    if (!coro->class || coro->class->count >= pool.keep) {
        coro_unmap(coro);
        return;
    }
    SLIST_INSERT_HEAD(&coro->class->idle, coro, idle);
    coro->class->count++;
}

/* ---- running ---- */

static void run_until_it_waits(struct coro *coro)
{
    coro_watch *watch = coro->watch;
    void *arg = coro->arg;
    bool is_done;

    coro->state = CORO_RUNNING;
    pool.current = coro;
    switch_in(coro);
    pool.current = NULL;
    is_done = coro->state == CORO_IDLE;
    if (is_done) {
        pool.alive--;
        coro_give(coro);
    }
    if (watch)
        watch(is_done ? CORO_ENDED : CORO_WAITS, is_done ? NULL : coro, arg);
}

static void resume(struct coro *coro)
{
    if (coro->watch)
        coro->watch(CORO_RESUMES, coro, coro->arg);
    run_until_it_waits(coro);
}

static inline struct coro *prepare(void (*fn)(void *arg), coro_watch *watch, void *arg,
                                   size_t stack_size)
{
    struct coro *coro = coro_take(stack_size);

    if (!coro)
        return NULL;
    coro->fn = fn;
    coro->watch = watch;
    coro->arg = arg;
    coro->fails_with = 0;
    coro->is_cancelled = false;
    coro->call = 0;
    coro->site = NULL;
    coro->walked = pool.walks;
    pool.alive++;
    return coro;
}

int coro_run(void (*fn)(void *arg), coro_watch *watch, void *arg, size_t stack_size)
{
    struct coro *coro = prepare(fn, watch, arg, stack_size);

    if (!coro)
        return -1;
    run_until_it_waits(coro);
    return 0;
}

static void make_ready(struct coro *coro)
{
    coro->state = CORO_WOKEN;
    TAILQ_INSERT_TAIL(&pool.ready, coro, queued);
    event_active(&pool.ready_event, 0, 0);
}

struct coro *coro_start(void (*fn)(void *arg), coro_watch *watch, void *arg, size_t stack_size)
{
    struct coro *coro = prepare(fn, watch, arg, stack_size);

    if (coro)
        make_ready(coro);
    return coro;
}

struct coro *coro_current(void)
{
    return pool.current;
}

static void strike(struct coro *coro)
{
    if (pool.nth > 0 && --pool.nth == 0)
        coro_cancel(coro, ECANCELED);
}

static int suspend(struct coro *coro, const char *what)
{
    int saved = errno;

    coro->waits_for = what;
    coro->state = CORO_WAITING;
    TAILQ_INSERT_TAIL(&pool.waiting, coro, queued);
    strike(coro);
    switch_out(coro);
    coro->waits_for = NULL;
    errno = saved;
    return coro->reason;
}

int coro_wait(const char *what)
{
    struct coro *coro = pool.current;

    return coro->fails_with ? coro->fails_with : suspend(coro, what);
}

int coro_wait_resolutely(const char *what)
{
    struct coro *coro = pool.current;
    int reason;

    coro->is_resolute = true;
    reason = suspend(coro, what);
    coro->is_resolute = false;
    return reason;
}

bool coro_wake(struct coro *coro, int reason)
{
    if (coro->state != CORO_WAITING)
        return false;
    coro->reason = reason;
    TAILQ_REMOVE(&pool.waiting, coro, queued);
    make_ready(coro);
    return true;
}

bool coro_resume(struct coro *coro, int reason)
{
    if (pool.current)
        return coro_wake(coro, reason);
    if (coro->state != CORO_WAITING)
        return false;
    coro->reason = reason;
    TAILQ_REMOVE(&pool.waiting, coro, queued);
    resume(coro);
    return true;
}

static void fail_waits(struct coro *coro, int reason)
{
    coro->fails_with = reason;
    if (!coro->is_resolute)
        coro_wake(coro, reason);
}

bool coro_cancel(struct coro *coro, int reason)
{
    if (coro->is_cancelled)
        return false;
    coro->is_cancelled = true;
    fail_waits(coro, reason);
    return true;
}

bool coro_interrupt(struct coro *coro, int reason)
{
    if (coro->fails_with)
        return false;
    fail_waits(coro, reason);
    return true;
}

void coro_uninterrupt(struct coro *coro)
{
    if (!coro->is_cancelled)
        coro->fails_with = 0;
}

unsigned coro_cancel_nth(unsigned n)
{
    unsigned left = pool.nth;

    pool.nth = n;
    return left;
}

int coro_cancelled(const struct coro *coro)
{
    return coro->fails_with;
}

void coro_cancel_all(void)
{
    while (!TAILQ_EMPTY(&pool.waiting))
        coro_wake(TAILQ_FIRST(&pool.waiting), ECANCELED);
}

/* Those that become ready meanwhile have their turn when the loop's other events have had
 * theirs. */
static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct coro_queue now = TAILQ_HEAD_INITIALIZER(now);
    struct coro *coro;

    (void)fd, (void)what, (void)arg;
    TAILQ_CONCAT(&now, &pool.ready, queued);
    while ((coro = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, coro, queued);
        resume(coro);
    }
}

/* ---- waiting with a time limit, and for time alone ---- */

static void on_limit(void *arg)
{
    coro_resume(arg, ETIMEDOUT);
}

static void on_sleep_over(void *arg)
{
    coro_resume(arg, 0);
}

static int wait_with_alarm(const char *what, uint64_t ns, void (*on_time)(void *arg))
{
    struct alarm alarm;
    int reason;

    alarm_init(&alarm, pool.base, on_time, pool.current);
    if (alarm_start(&alarm, ns) == -1)
        return ENOMEM;
    reason = coro_wait(what);
    alarm_stop(&alarm);
    return reason;
}

int coro_wait_for(const char *what, uint64_t ns)
{
    if (pool.current->fails_with)
        return pool.current->fails_with;
    if (ns == CORO_FOREVER)
        return coro_wait(what);
    return ns == 0 ? ETIMEDOUT : wait_with_alarm(what, ns, on_limit);
}

int coro_sleep(uint64_t ns)
{
    return wait_with_alarm("sleep", ns, on_sleep_over);
}

/* ---- the pool ---- */

int coro_pool_open(struct event_base *base, size_t stack_size, size_t keep)
{
    memset(&pool, 0, sizeof pool);
    pool.base = base;
    pool.keep = keep;
    pool.classes[0].size = stack_size;
    TAILQ_INIT(&pool.ready);
    TAILQ_INIT(&pool.waiting);
    return event_assign(&pool.ready_event, base, -1, 0, on_ready, NULL);
}

void coro_pool_close(void)
{
    struct coro *coro;

    event_del(&pool.ready_event);
    for (int i = 0; i < STACK_CLASSES; i++)
        while ((coro = SLIST_FIRST(&pool.classes[i].idle))) {
            SLIST_REMOVE_HEAD(&pool.classes[i].idle, idle);
            coro_unmap(coro);
        }
    pool.base = NULL;
}

/* ---- reports ---- */

void coro_note(unsigned call, const void *site)
{
    if (!pool.current)
        return;
    pool.current->call = call;
    pool.current->site = site;
}

static void each_of(const struct coro_queue *queue, void (*fn)(void *arg), coro_each_fn *each,
                    void *arg)
{
    struct coro *coro;

    TAILQ_FOREACH (coro, queue, queued)
        if (coro->fn == fn)
            each(coro->arg, coro->call, coro->site, arg);
}

void coro_each(void (*fn)(void *arg), coro_each_fn *each, void *arg)
{
    each_of(&pool.waiting, fn, each, arg);
    each_of(&pool.ready, fn, each, arg);
}

void coro_walk_begin(struct coro_walk *walk)
{
    walk->number = ++pool.walks;
}

/* False: `each` has had enough. Who was seen goes to the end of the queue, or those behind would be
 * looked for in vain from slice to slice; who waits knows nothing of an order. */
static bool walk_through(const struct coro_walk *walk, struct coro_queue *queue, coro_walk_fn *each,
                         void *arg)
{
    struct coro *coro, *next;

    for (coro = TAILQ_FIRST(queue); coro; coro = next) {
        next = TAILQ_NEXT(coro, queued);
        if (coro->walked == walk->number)
            continue;
        coro->walked = walk->number;
        if (queue == &pool.waiting) {
            TAILQ_REMOVE(queue, coro, queued);
            TAILQ_INSERT_TAIL(queue, coro, queued);
        }
        if (!each(coro, arg))
            return false;
    }
    return true;
}

bool coro_walk_on(const struct coro_walk *walk, coro_walk_fn *each, void *arg)
{
    return walk_through(walk, &pool.waiting, each, arg) &&
           walk_through(walk, &pool.ready, each, arg);
}

void *coro_arg(const struct coro *coro, void (*fn)(void *arg))
{
    return coro->fn == fn ? coro->arg : NULL;
}

struct looking {
    struct frame *frames;
    size_t most, taken, depth;
};

static void look(void *arg)
{
    struct looking *looking = arg;

    looking->taken =
        frames_take(looking->frames, looking->most, switch_behind_begin(), &looking->depth);
}

size_t coro_frames(const struct coro *coro, struct frame *frames, size_t most, size_t *depth_out)
{
    struct looking looking = {.frames = frames, .most = most};

    switch_behind(&coro->context, look, &looking);
    *depth_out = looking.depth;
    return looking.taken;
}

unsigned coro_call(const struct coro *coro)
{
    return coro->call;
}

const void *coro_site(const struct coro *coro)
{
    return coro->site;
}

const char *coro_waits_for(const struct coro *coro)
{
    return coro->waits_for;
}

size_t coro_alive(void)
{
    return pool.alive;
}

bool coro_is_overflow(uintptr_t address, uintptr_t sp, size_t *size_out)
{
    const struct coro *coro = pool.current;
    const struct stack *stack;

    if (!coro)
        return false;
    stack = &coro->stack;
    if (!stack_is_overflow((uintptr_t)stack_bottom(stack), stack->map_size - stack->size, address,
                           sp))
        return false;
    *size_out = stack->size;
    return true;
}
