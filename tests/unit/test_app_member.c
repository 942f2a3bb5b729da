/* test_app_member.c: a long-lived connection as a member of a generation: callbacks one after the
 * other, the hold, the move to the next build, and the ends of all that. */
#include "app/member.h"

#include "app_case.h"

#include <reeve/async.h>

#include "app/strand.h"

static struct app_case c;

/* ---- a kind of connection ---- */

static struct {
    struct member member;
    unsigned works, rests, asked, farewells;
    int result, error; /* of what work waited for */
    bool has_strand, was_on_coroutine, accepts;
    int (*inside)(void);
} it;

static bool adopt(struct member *member, struct generation *to)
{
    assert_ptr_equal(member, &it.member);
    assert_ptr_equal(to, c.room.apps[0].live);
    it.asked++;
    return it.accepts;
}

static void farewell(struct member *member)
{
    (void)member;
    it.farewells++;
}

static const struct member_kind kind = {.adopt = adopt, .farewell = farewell};

static void work(struct duty *duty)
{
    it.works++;
    it.was_on_coroutine = coro_current() != NULL;
    it.result = it.inside ? it.inside() : 0;
    it.error = errno;
    it.has_strand = duty->strand != NULL;
}

static void rest(struct duty *duty)
{
    assert_null(coro_current());
    it.rests++;
    if (!duty->is_working)
        member_settle(duty->member);
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ, (void)start_response;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    if (app_case_open(&c, application) == -1)
        return -1;
    duty_init(&it.member.duty, &it.member, work, rest);
    member_join(&it.member, &kind, c.generation, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (it.member.generation) {
        duty_fini(&it.member.duty);
        member_leave(&it.member);
    }
    app_case_close(&c);
    return 0;
}

/* The build that takes its place. */
static struct generation *next_build(void)
{
    struct generation *former = c.generation;
    struct generation *next = calloc(1, sizeof *next);

    assert_non_null(next);
    next->app = former->app;
    next->number = former->number + 1;
    next->descriptor = former->descriptor;
    next->is_prepared = true;
    background_open(next);
    LIST_INSERT_HEAD(&next->app->generations, next, entry);
    c.generation = next;
    generation_commit(next, false, NULL, 0);
    return former;
}

static int nap(void)
{
    return reeve_sleep(0.001);
}

static int forever(void)
{
    return reeve_sleep(3600);
}

/* ---- tests ---- */

static void its_callbacks_run_on_a_coroutine_one_after_the_other(void **state)
{
    (void)state;
    it.inside = nap;
    duty_begin(&it.member.duty);
    assert_int_equal(it.works, 1);
    assert_int_equal(it.rests, 1); /* it waits */
    assert_true(it.member.duty.is_working);
    duty_begin(&it.member.duty);
    assert_int_equal(it.works, 1);
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_true(it.was_on_coroutine);
    assert_int_equal(it.result, 0);
    assert_int_equal(it.rests, 2);
    duty_begin(&it.member.duty);
    assert_int_equal(it.works, 2);
    while (it.member.duty.is_working)
        app_case_turn(&c);
}

static int spawned;

static int task(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    spawned++;
    reeve_sleep(3600);
    spawned++;
    return 0;
}

static int spawn(void)
{
    return reeve_spawn(task, NULL) ? reeve_sleep(0.001) : -1;
}

static void what_a_callback_begins_ends_with_it(void **state)
{
    (void)state;
    spawned = 0;
    it.inside = spawn;
    duty_begin(&it.member.duty);
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_true(it.has_strand);
    assert_null(it.member.duty.strand);
    assert_int_equal(spawned, 2); /* it was cancelled, and waited for */
}

static void begin_it(void *arg)
{
    duty_begin(arg);
}

static void from_another_coroutine_it_begins_soon(void **state)
{
    (void)state;
    assert_int_equal(coro_run(begin_it, NULL, &it.member.duty, 0), 0);
    assert_int_equal(it.works, 0);
    app_case_turn(&c);
    assert_int_equal(it.works, 1);
}

static void a_cancelled_callback_unwinds_and_the_next_is_none(void **state)
{
    (void)state;
    it.inside = forever;
    duty_begin(&it.member.duty);
    duty_cancel(&it.member.duty);
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_int_equal(it.result, -1);
    assert_int_equal(it.error, ECANCELED);
    it.inside = nap;
    duty_begin(&it.member.duty);
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_int_equal(it.result, 0);
}

static void for_a_module_on_the_loop_it_runs_there(void **state)
{
    (void)state;
    c.descriptor.on_loop = true;
    it.inside = nap;
    duty_begin(&it.member.duty);
    assert_int_equal(it.works, 1);
    assert_int_equal(it.rests, 1);
    assert_false(it.was_on_coroutine);
    assert_int_equal(it.error, EDEADLK);
}

static void it_goes_over_to_the_build_that_adopts_it(void **state)
{
    const struct board_column *total = app_case_column(&c);

    (void)state;
    it.accepts = true;
    assert_int_equal(board_get(&total->connections), 1);
    next_build();
    assert_int_equal(it.asked, 1);
    assert_ptr_equal(it.member.generation, c.generation);
    assert_int_equal(c.generation->held_for[HOLD_CONNECTION], 1);
    assert_null(generation_find(&c.room.apps[0], 1)); /* nothing holds it any more */
    assert_int_equal(board_get(&total->connections), 1);
    assert_int_equal(board_get(&total->opened), 1);
    assert_int_equal(board_get(&total->moved), 1);
}

static void it_stays_with_its_build_otherwise_and_holds_it(void **state)
{
    struct generation *former;

    (void)state;
    former = next_build();
    assert_int_equal(it.asked, 1);
    assert_ptr_equal(it.member.generation, former);
    assert_int_equal(former->held_for[HOLD_CONNECTION], 1);
    assert_false(former->background.is_over); /* its background work is for it, too */
    member_leave(&it.member);
    it.member.generation = NULL;
    assert_null(generation_find(&c.room.apps[0], 1));
}

static void in_the_middle_of_a_callback_it_is_not_asked(void **state)
{
    (void)state;
    it.accepts = true;
    it.inside = nap;
    duty_begin(&it.member.duty);
    next_build();
    assert_int_equal(it.asked, 0);
    assert_non_null(generation_find(&c.room.apps[0], 1));
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_int_equal(it.asked, 1);
    assert_ptr_equal(it.member.generation, c.generation);
    assert_null(generation_find(&c.room.apps[0], 1));
}

static void one_that_the_app_has_made_does_not_keep_the_old_build(void **state)
{
    (void)state;
    member_leave(&it.member);
    member_join(&it.member, &kind, c.generation, true);
    next_build();
    assert_int_equal(it.farewells, 1);
}

static unsigned moved, told;

static bool adopt_any(struct member *member, struct generation *to)
{
    (void)member, (void)to;
    moved++;
    return true;
}

static void tell(struct member *member)
{
    (void)member;
    told++;
}

/* The first that goes over leaves nothing behind but connections that the application has made. */
static void all_that_the_app_has_made_are_offered_to_the_next_build(void **state)
{
    static const struct member_kind any = {.adopt = adopt_any, .farewell = tell};
    struct member made[3] = {0};

    (void)state;
    moved = told = 0;
    member_leave(&it.member);
    it.member.generation = NULL;
    for (int i = 0; i < 3; i++) {
        duty_init(&made[i].duty, &made[i], work, rest);
        member_join(&made[i], &any, c.generation, true);
    }
    next_build();
    assert_int_equal(moved, 3);
    assert_int_equal(told, 0);
    assert_int_equal(c.generation->made, 3);
    for (int i = 0; i < 3; i++)
        member_leave(&made[i]);
}

static unsigned empties;

static void on_empty(void *arg)
{
    (void)arg;
    empties++;
}

/* A worker that drains waits for it. */
static void one_whose_socket_has_gone_counts_until_its_last_callback_has_returned(void **state)
{
    (void)state;
    c.room.net.on_empty = on_empty;
    empties = 0;
    it.inside = nap;
    assert_int_equal(members_accepted(&c.room), 1);
    assert_int_equal(duties_waiting(), 0);
    duty_begin(&it.member.duty);
    assert_int_equal(duties_waiting(), 1);
    while (it.member.duty.is_working)
        app_case_turn(&c);
    assert_int_equal(duties_waiting(), 0);
    assert_int_equal(empties, 0);
    member_leave(&it.member);
    it.member.generation = NULL;
    assert_int_equal(members_accepted(&c.room), 0);
    assert_int_equal(empties, 1);
    c.room.net.on_empty = NULL;
}

static void what_fails_there_is_counted_with_the_requests_that_did(void **state)
{
    (void)state;
    member_failed(&it.member);
    assert_int_equal(board_get(&app_case_column(&c)->exceptions), 1);
    assert_int_equal(board_get(&c.generation->column->exceptions), 1);
    assert_int_equal(board_get(&c.room.slot->exceptions), 1);
}

static void at_the_end_all_are_told(void **state)
{
    (void)state;
    members_farewell(&c.room);
    assert_int_equal(it.farewells, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(its_callbacks_run_on_a_coroutine_one_after_the_other),
        TEST(what_a_callback_begins_ends_with_it),
        TEST(from_another_coroutine_it_begins_soon),
        TEST(a_cancelled_callback_unwinds_and_the_next_is_none),
        TEST(for_a_module_on_the_loop_it_runs_there),
        TEST(it_goes_over_to_the_build_that_adopts_it),
        TEST(it_stays_with_its_build_otherwise_and_holds_it),
        TEST(in_the_middle_of_a_callback_it_is_not_asked),
        TEST(one_that_the_app_has_made_does_not_keep_the_old_build),
        TEST(all_that_the_app_has_made_are_offered_to_the_next_build),
        TEST(one_whose_socket_has_gone_counts_until_its_last_callback_has_returned),
        TEST(what_fails_there_is_counted_with_the_requests_that_did),
        TEST(at_the_end_all_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
