/* test_app_turns.c: whoever comes first is let through first, what was handed over is not lost
 * however the wait ends, and who gives up has left the line.
 *
 * Only the loop's stack asserts; coroutines note what they see. Each is called by a letter. */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <reeve/async.h>

#include "runtime/coro.h"

#define SHORT 0.01 /* seconds, of a limit that is to pass */

struct actor {
    char name;
    struct coro *coro;
    double seconds;
    int result, error;
    void *item;
    int second_result, second_error;
    bool is_done;
};

static struct event_base *base;
static reeve_semaphore semaphore;
static reeve_mutex mutex;
static reeve_condition condition;
static reeve_queue *queue;
static char trace[64]; /* names, in the order in which they were let through */

static int setup(void **state)
{
    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    memset(trace, 0, sizeof trace);
    base = event_base_new();
    reeve_mutex_init(&mutex);
    reeve_condition_init(&condition);
    queue = reeve_queue_new(2);
    return !base || !queue ? -1 : coro_pool_open(base, 128u << 10, 8);
}

static int teardown(void **state)
{
    (void)state;
    reeve_queue_free(queue);
    coro_pool_close();
    event_base_free(base);
    return 0;
}

static void note(struct actor *actor, int result)
{
    actor->result = result;
    actor->error = result == 0 ? 0 : errno;
    trace[strlen(trace)] = actor->name;
}

static void start(void (*fn)(void *arg), struct actor *actor)
{
    assert_int_equal(coro_run(fn, NULL, actor, 0), 0);
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void turn_until_all_have_ended(void)
{
    while (coro_alive() > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

#define assert_ended(actor, want)                \
    do {                                         \
        assert_true((actor).is_done);            \
        assert_int_equal((actor).error, (want)); \
    } while (0)

/* ---- semaphore ---- */

static void acquires(void *arg)
{
    struct actor *actor = arg;

    actor->coro = coro_current();
    note(actor, reeve_semaphore_acquire(&semaphore, actor->seconds));
    actor->is_done = true;
}

static void a_semaphore_lets_as_many_through_as_it_counts(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = -1}, d = {.name = 'd', .seconds = -1};

    (void)state;
    reeve_semaphore_init(&semaphore, 2);
    assert_int_equal(reeve_semaphore_available(&semaphore), 2);
    start(acquires, &a);
    start(acquires, &b);
    assert_string_equal(trace, "ab");
    assert_int_equal(reeve_semaphore_available(&semaphore), 0);
    start(acquires, &c);
    start(acquires, &d);
    assert_int_equal(coro_alive(), 2);
    reeve_semaphore_release(&semaphore);
    assert_int_equal(reeve_semaphore_available(&semaphore), 0); /* it is c's already */
    turn();
    assert_string_equal(trace, "abc");
    reeve_semaphore_release(&semaphore);
    turn();
    assert_ended(d, 0);
    reeve_semaphore_release(&semaphore);
    assert_int_equal(reeve_semaphore_available(&semaphore), 1);
}

static void nobody_overtakes_whoever_was_given_it(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};

    (void)state;
    reeve_semaphore_init(&semaphore, 0);
    start(acquires, &a);
    reeve_semaphore_release(&semaphore);
    start(acquires, &b); /* before a could run */
    assert_false(b.is_done);
    turn();
    assert_ended(a, 0);
    assert_false(b.is_done);
    reeve_semaphore_release(&semaphore);
    turn();
    assert_ended(b, 0);
}

static void who_gives_up_has_left_the_line(void **state)
{
    struct actor a = {.name = 'a', .seconds = SHORT}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = -1}, d = {.name = 'd', .seconds = 0};

    (void)state;
    reeve_semaphore_init(&semaphore, 0);
    start(acquires, &a);
    start(acquires, &b);
    start(acquires, &c);
    start(acquires, &d);
    assert_ended(d, ETIMEDOUT);
    while (!a.is_done)
        event_base_loop(base, EVLOOP_ONCE);
    assert_ended(a, ETIMEDOUT);
    assert_true(coro_cancel(b.coro, ECANCELED));
    turn();
    assert_ended(b, ECANCELED);
    reeve_semaphore_release(&semaphore);
    turn();
    assert_ended(c, 0);
}

/* Both orders of the two, before it can run. */
static void what_was_given_to_one_that_is_cancelled_is_not_lost(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};

    (void)state;
    reeve_semaphore_init(&semaphore, 0);
    start(acquires, &a);
    start(acquires, &b);
    coro_cancel(a.coro, ECANCELED);
    reeve_semaphore_release(&semaphore);
    reeve_semaphore_release(&semaphore);
    coro_cancel(b.coro, ECANCELED);
    turn();
    assert_ended(a, 0);
    assert_ended(b, 0);
    assert_int_equal(reeve_semaphore_available(&semaphore), 0);
}

static void what_need_not_wait_works_everywhere(void **state)
{
    void *item;

    (void)state;
    reeve_semaphore_init(&semaphore, 1);
    assert_int_equal(reeve_semaphore_acquire(&semaphore, -1), 0);
    assert_int_equal(reeve_semaphore_acquire(&semaphore, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(reeve_semaphore_acquire(&semaphore, 1), -1);
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(reeve_queue_put(queue, trace, 0), 0);
    assert_int_equal(reeve_queue_get(queue, &item, -1), 0);
    assert_ptr_equal(item, trace);
    assert_int_equal(reeve_queue_get(queue, &item, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(reeve_queue_get(queue, &item, -1), -1);
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(reeve_mutex_lock(&mutex, -1), -1); /* there is nobody to own it */
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(reeve_condition_wait(&condition, &mutex, 0), -1);
    assert_int_equal(errno, EDEADLK);
}

/* ---- mutex ---- */

static void locks(void *arg)
{
    struct actor *actor = arg;

    actor->coro = coro_current();
    note(actor, reeve_mutex_lock(&mutex, actor->seconds));
    if (actor->result == 0) {
        actor->second_result = coro_wait("a test");
        reeve_mutex_unlock(&mutex);
    }
    actor->is_done = true;
}

static void a_mutex_goes_from_one_to_the_next(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = SHORT}, d = {.name = 'd', .seconds = -1};

    (void)state;
    start(locks, &a);
    start(locks, &b);
    start(locks, &c);
    start(locks, &d);
    assert_string_equal(trace, "a");
    while (!c.is_done)
        event_base_loop(base, EVLOOP_ONCE);
    assert_ended(c, ETIMEDOUT);
    coro_wake(a.coro, 0);
    turn();
    assert_true(a.is_done);
    assert_string_equal(trace, "acb");
    coro_wake(b.coro, 0);
    turn();
    coro_wake(d.coro, 0);
    turn_until_all_have_ended();
    assert_string_equal(trace, "acbd");
}

static void one_that_is_cancelled_with_the_mutex_in_its_hand_unlocks_it(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = -1};

    (void)state;
    start(locks, &a);
    start(locks, &b);
    start(locks, &c);
    coro_wake(a.coro, 0);
    coro_cancel(b.coro, ECANCELED); /* and a hands it to b before b runs */
    turn();
    assert_ended(b, 0);
    assert_int_equal(b.second_result, ECANCELED);
    coro_wake(c.coro, 0);
    turn_until_all_have_ended();
    assert_ended(c, 0);
}

static void misuses(void *arg)
{
    struct actor *actor = arg;

    note(actor, reeve_mutex_unlock(&mutex));
    actor->second_result = reeve_condition_wait(&condition, &mutex, -1);
    actor->second_error = errno;
    reeve_mutex_lock(&mutex, -1);
    reeve_mutex_lock(&mutex, -1);
    actor->is_done = errno == EDEADLK;
    reeve_mutex_unlock(&mutex);
}

static void a_mutex_knows_whose_it_is(void **state)
{
    struct actor a = {.name = 'a'};

    (void)state;
    start(misuses, &a);
    assert_ended(a, EPERM);
    assert_int_equal(a.second_result, -1);
    assert_int_equal(a.second_error, EPERM);
    assert_int_equal(reeve_mutex_unlock(&mutex), -1);
}

/* ---- condition ---- */

static void waits(void *arg)
{
    struct actor *actor = arg;

    actor->coro = coro_current();
    reeve_mutex_lock(&mutex, -1);
    note(actor, reeve_condition_wait(&condition, &mutex, actor->seconds));
    actor->second_result = reeve_mutex_unlock(&mutex); /* it has it again in any case */
    actor->is_done = true;
}

static void a_signal_wakes_the_first_and_a_broadcast_all(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = -1}, d = {.name = 'd', .seconds = SHORT};

    (void)state;
    start(waits, &d);
    start(waits, &a);
    start(waits, &b);
    start(waits, &c);
    while (!d.is_done)
        event_base_loop(base, EVLOOP_ONCE);
    assert_ended(d, ETIMEDOUT);
    reeve_condition_signal(&condition);
    turn();
    assert_string_equal(trace, "da");
    reeve_condition_broadcast(&condition);
    reeve_condition_signal(&condition); /* for nobody, and so without effect */
    turn_until_all_have_ended();
    assert_string_equal(trace, "dabc");
    assert_ended(c, 0);
    assert_int_equal(d.second_result, 0);
    assert_int_equal(c.second_result, 0);
}

/* Another has the mutex meanwhile. */
static void one_that_is_cancelled_locks_again_all_the_same(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1}, b = {.name = 'b', .seconds = -1};

    (void)state;
    start(waits, &a);
    start(locks, &b);
    coro_cancel(a.coro, ECANCELED);
    turn();
    turn();
    assert_false(a.is_done);
    coro_wake(a.coro, ECANCELED); /* as at the worker's end: still not without the mutex */
    turn();
    assert_false(a.is_done);
    coro_cancel_all();
    turn();
    turn();
    assert_true(b.is_done);
    assert_ended(a, ECANCELED);
    assert_int_equal(a.second_result, 0);
    assert_int_equal(coro_alive(), 0);
}

static void waits_twice(void *arg)
{
    struct actor *actor = arg;

    waits(arg);
    reeve_mutex_lock(&mutex, -1);
    actor->second_result = reeve_condition_wait(&condition, &mutex, -1);
    actor->second_error = errno;
    reeve_mutex_unlock(&mutex);
}

static void a_signal_that_meets_a_cancellation_counts(void **state)
{
    struct actor a = {.name = 'a', .seconds = -1};

    (void)state;
    start(waits_twice, &a);
    coro_cancel(a.coro, ECANCELED);
    reeve_condition_signal(&condition);
    turn();
    assert_ended(a, 0);
    assert_int_equal(a.second_result, -1);
    assert_int_equal(a.second_error, ECANCELED);
    assert_int_equal(coro_alive(), 0);
}

/* ---- queue ---- */

static void puts_its_name(void *arg)
{
    struct actor *actor = arg;

    actor->coro = coro_current();
    note(actor, reeve_queue_put(queue, &actor->name, actor->seconds));
    actor->is_done = true;
}

static void gets(void *arg)
{
    struct actor *actor = arg;

    actor->coro = coro_current();
    note(actor, reeve_queue_get(queue, &actor->item, actor->seconds));
    actor->is_done = true;
}

/* What the queue gives now. */
static char next(void)
{
    void *item = NULL;

    return reeve_queue_get(queue, &item, 0) == 0 ? *(char *)item : '-';
}

static void a_full_queue_keeps_its_order(void **state)
{
    struct actor all[] = {{.name = 'a', .seconds = -1},
                          {.name = 'b', .seconds = -1},
                          {.name = 'c', .seconds = -1},
                          {.name = 'd', .seconds = -1},
                          {.name = 'e', .seconds = 0}};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        start(puts_its_name, &all[i]);
    assert_ended(all[4], ETIMEDOUT);
    assert_int_equal(reeve_queue_count(queue), 2);
    assert_int_equal(next(), 'a');
    assert_int_equal(reeve_queue_count(queue), 2); /* c's is in it */
    turn();
    assert_ended(all[2], 0);
    assert_int_equal(next(), 'b');
    assert_int_equal(next(), 'c');
    assert_int_equal(next(), 'd');
    assert_int_equal(next(), '-');
    turn();
    assert_ended(all[3], 0);
}

static void an_item_goes_to_whoever_has_waited_longest(void **state)
{
    struct actor a = {.name = 'a', .seconds = SHORT}, b = {.name = 'b', .seconds = -1};
    struct actor c = {.name = 'c', .seconds = -1}, x = {.name = 'x'}, y = {.name = 'y'};

    (void)state;
    start(gets, &a);
    start(gets, &b);
    start(gets, &c);
    while (!a.is_done)
        event_base_loop(base, EVLOOP_ONCE);
    assert_ended(a, ETIMEDOUT);
    coro_cancel(b.coro, ECANCELED); /* the item finds it all the same */
    start(puts_its_name, &x);
    start(puts_its_name, &y);
    assert_int_equal(reeve_queue_count(queue), 0);
    assert_int_equal(next(), '-');
    turn();
    assert_ended(b, 0);
    assert_ptr_equal(b.item, &x.name);
    assert_ptr_equal(c.item, &y.name);
}

static void one_that_gives_up_has_not_put_its_item(void **state)
{
    struct actor a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c', .seconds = -1};

    (void)state;
    start(puts_its_name, &a);
    start(puts_its_name, &b);
    start(puts_its_name, &c);
    coro_cancel(c.coro, ECANCELED);
    turn();
    assert_ended(c, ECANCELED);
    assert_int_equal(next(), 'a');
    assert_int_equal(next(), 'b');
    assert_int_equal(next(), '-');
}

/* The queue may go as soon as it is closed, before those have run that it sends away. */
static void what_is_in_a_closed_queue_can_still_be_had(void **state)
{
    struct actor a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c', .seconds = -1};
    struct actor d = {.name = 'd', .seconds = -1};
    void *item;

    (void)state;
    start(puts_its_name, &a);
    start(puts_its_name, &b);
    start(puts_its_name, &c);
    reeve_queue_close(queue);
    start(puts_its_name, &d);
    assert_ended(d, EPIPE);
    assert_int_equal(next(), 'a');
    assert_int_equal(next(), 'b');
    assert_int_equal(reeve_queue_get(queue, &item, -1), -1);
    assert_int_equal(errno, EPIPE);
    reeve_queue_free(queue);
    queue = reeve_queue_new(1);
    turn();
    assert_ended(c, EPIPE);

    start(gets, &d);
    reeve_queue_close(queue);
    reeve_queue_free(queue);
    queue = NULL;
    turn();
    assert_ended(d, EPIPE);
}

static void a_queue_has_room_for_one_at_least(void **state)
{
    (void)state;
    assert_null(reeve_queue_new(0));
    assert_int_equal(errno, EINVAL);
    assert_null(reeve_queue_new(SIZE_MAX / 4));
    assert_int_equal(errno, ENOMEM);
}

/* ---- cancelling at each wait in turn ---- */

struct walk {
    struct coro *coro;
    char told[16]; /* of each call: '+', or '-' if it failed with ECANCELED */
};

static void tell(struct walk *walk, int result)
{
    walk->told[strlen(walk->told)] = result == 0 ? '+' : errno == ECANCELED ? '-' : '?';
}

/* Waits in each of these calls once, and is helped by pass(). */
static void walks(void *arg)
{
    struct walk *walk = arg;
    void *item;

    walk->coro = coro_current();
    tell(walk, reeve_semaphore_acquire(&semaphore, 3600));
    tell(walk, reeve_queue_get(queue, &item, 3600));
    reeve_queue_put(queue, walk, 0);
    reeve_queue_put(queue, walk, 0);
    tell(walk, reeve_queue_put(queue, walk, 3600));
    tell(walk, reeve_mutex_lock(&mutex, 3600));
    if (walk->told[3] == '-')
        return;
    tell(walk, reeve_condition_wait(&condition, &mutex, 3600));
    reeve_mutex_unlock(&mutex);
}

/* Ends its present wait, the way it is meant to. */
static void pass(size_t step, struct coro *keeper)
{
    void *item;

    if (step == 0)
        reeve_semaphore_release(&semaphore);
    else if (step == 1)
        reeve_queue_put(queue, trace, 0);
    else if (step == 2)
        reeve_queue_get(queue, &item, 0);
    else if (step == 3)
        coro_wake(keeper, 0);
    else
        reeve_condition_signal(&condition);
    turn();
}

static void every_wait_can_be_the_one_that_is_cancelled(void **state)
{
    static const char *const want[] = {"----", "+---", "++--", "+++-", "++++-", "+++++"};

    (void)state;
    for (size_t nth = 0; nth < 6; nth++) {
        struct actor keeper = {.name = 'k', .seconds = -1};
        struct walk walk = {0};
        void *item;

        reeve_semaphore_init(&semaphore, 0);
        while (reeve_queue_get(queue, &item, 0) == 0)
            ;
        start(locks, &keeper);
        assert_int_equal(coro_run(walks, NULL, &walk, 0), 0);
        for (size_t step = 0; step < nth; step++)
            pass(step, keeper.coro);
        if (nth < 5)
            coro_cancel(walk.coro, ECANCELED);
        coro_wake(keeper.coro, 0);
        turn_until_all_have_ended();
        assert_string_equal(walk.told, want[nth]);
        assert_int_equal(reeve_semaphore_available(&semaphore), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        T(a_semaphore_lets_as_many_through_as_it_counts),
        T(nobody_overtakes_whoever_was_given_it),
        T(who_gives_up_has_left_the_line),
        T(what_was_given_to_one_that_is_cancelled_is_not_lost),
        T(what_need_not_wait_works_everywhere),
        T(a_mutex_goes_from_one_to_the_next),
        T(one_that_is_cancelled_with_the_mutex_in_its_hand_unlocks_it),
        T(a_mutex_knows_whose_it_is),
        T(a_signal_wakes_the_first_and_a_broadcast_all),
        T(one_that_is_cancelled_locks_again_all_the_same),
        T(a_signal_that_meets_a_cancellation_counts),
        T(a_full_queue_keeps_its_order),
        T(an_item_goes_to_whoever_has_waited_longest),
        T(one_that_gives_up_has_not_put_its_item),
        T(what_is_in_a_closed_queue_can_still_be_had),
        T(a_queue_has_room_for_one_at_least),
        T(every_wait_can_be_the_one_that_is_cancelled),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
