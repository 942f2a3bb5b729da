/* test_app_state.c: who has the state after a commit, who frees it, and when. The generations are
 * made here, without modules: what the module would do is in these functions. */
#include "app/state.h"

#include "app_case.h"

struct build {
    const char *gives, *takes; /* why it declines; NULL: it does not */
    bool replaces;             /* its handover sets the data itself */
    unsigned given, taken, finis;
    uint32_t asked_for, offered; /* versions */
    bool was_handed_over;        /* in its fini */
    void *had;                   /* in its fini */
    void *had_before;            /* in its handover */
};

static struct {
    struct app_case app;
    struct build builds[32];
    struct generation *generations[32];
    int count;
    char why[256];
    char text[64]; /* of those that went, in order */
} c;

static struct build *build_of(const reeve_module *module)
{
    return &c.builds[((const struct generation *)module)->number];
}

static int give(reeve_module *module, uint32_t next_version)
{
    struct build *build = build_of(module);

    build->given++;
    build->asked_for = next_version;
    return build->gives ? reeve_refuse(module, "%s", build->gives) : 0;
}

static int handover(reeve_module *module, void *state, uint32_t version)
{
    struct build *build = build_of(module);

    build->offered = version;
    build->had_before = reeve_module_data(module);
    if (build->takes)
        return build->takes[0] ? reeve_refuse(module, "%s", build->takes) : -1;
    build->taken++;
    if (build->replaces)
        reeve_module_set_data(module, (char *)state + 1);
    return 0;
}

static void fini(reeve_module *module)
{
    struct build *build = build_of(module);
    char name[24];

    build->finis++;
    build->had = reeve_module_data(module);
    build->was_handed_over = reeve_state_is_handed_over(module);
    snprintf(name, sizeof name, "%d ", (int)((struct generation *)module)->number);
    strcat(c.text, name);
}

/* Prepared, numbers from 2 on, with a state of its own. */
static struct generation *prepared(uint32_t version)
{
    static reeve_app descriptors[32];
    struct generation *generation = calloc(1, sizeof *generation);
    int number = ++c.count;

    descriptors[number] = (reeve_app){.name = "case",
                                      .version = "1",
                                      .fini = fini,
                                      .state_version = version,
                                      .give = give,
                                      .handover = handover};
    generation->app = &c.app.room.apps[0];
    generation->number = (uint64_t)number;
    generation->descriptor = &descriptors[number];
    generation->is_prepared = true;
    generation->data = &c.builds[number];
    assert_int_equal(state_open(generation), 0);
    LIST_INSERT_HEAD(&generation->app->generations, generation, entry);
    return generation;
}

static enum handover commit(struct generation *generation, bool is_kept)
{
    return generation_commit(generation, is_kept, c.why, sizeof c.why);
}

static int nothing(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    return start_response(environ, "200 OK", REEVE_NO_HEADERS);
}

static int setup(void **state)
{
    (void)state;
    memset(&c, 0, sizeof c);
    c.count = 1; /* the case's own, which has no state */
    return app_case_open(&c.app, nothing);
}

static int teardown(void **state)
{
    struct app *app = &c.app.room.apps[0];
    bool is_alone = LIST_FIRST(&app->generations) == app->live && !LIST_NEXT(app->live, entry);

    (void)state;
    c.app.generation = app->live;
    app_case_close(&c.app);
    return is_alone ? 0 : -1;
}

static void nothing_is_handed_over_by_who_has_none(void **state)
{
    struct generation *first = prepared(0);

    (void)state;
    assert_int_equal(commit(first, false), HANDOVER_NONE);
    assert_int_equal(commit(prepared(1), false), HANDOVER_NONE); /* its version is 0 */
    c.app.room.apps[0].live->data = NULL;
    assert_int_equal(commit(prepared(1), false), HANDOVER_NONE);
    assert_int_equal(c.builds[2].given + c.builds[3].given + c.builds[4].taken, 0);
    assert_string_equal(c.why, "");
    assert_string_equal(c.text, "2 3 ");
}

static void the_state_goes_to_the_next_and_the_former_does_not_free_it(void **state)
{
    struct generation *a = prepared(1), *b = prepared(2);

    (void)state;
    commit(a, false);
    assert_int_equal(commit(b, false), HANDOVER_DONE);
    assert_string_equal(c.why, "");
    assert_int_equal(c.builds[2].asked_for, 2);
    assert_int_equal(c.builds[3].offered, 1);
    assert_ptr_equal(b->data, &c.builds[2]);
    assert_int_equal(c.builds[2].finis, 1);
    assert_true(c.builds[2].was_handed_over);
    assert_int_equal(b->holds, 0);

    generation_retire(b);
    assert_false(c.builds[3].was_handed_over);
    assert_ptr_equal(c.builds[3].had, &c.builds[2]);
    commit(prepared(0), false);
}

static void handover_may_set_the_data_itself(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    c.builds[3].replaces = true;
    commit(a, false);
    commit(b, false);
    assert_ptr_equal(b->data, (char *)&c.builds[2] + 1);
}

static void the_old_one_may_decline(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    c.builds[2].gives = "not now";
    commit(a, false);
    assert_int_equal(commit(b, false), HANDOVER_REFUSED_BY_OLD);
    assert_string_equal(c.why, "not now");
    assert_int_equal(c.builds[3].offered, 0);
    assert_ptr_equal(b->data, &c.builds[3]);
    assert_false(c.builds[2].was_handed_over);
    assert_ptr_equal(c.builds[2].had, &c.builds[2]);
}

static void the_new_one_may_decline(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(2), *e = prepared(2);

    (void)state;
    c.builds[3].takes = "no room";
    c.builds[4].takes = "";
    commit(a, false);
    assert_int_equal(commit(b, false), HANDOVER_REFUSED_BY_NEW);
    assert_string_equal(c.why, "no room");
    assert_ptr_equal(b->data, &c.builds[3]);
    assert_false(c.builds[2].was_handed_over);

    assert_int_equal(commit(d, false), HANDOVER_OTHER_VERSION);
    assert_string_equal(c.why, "it has version 2 of the state and does not take version 1");
    assert_ptr_equal(d->data, &c.builds[4]);

    ((reeve_app *)(uintptr_t)e->descriptor)->handover = NULL;
    assert_int_equal(commit(e, false), HANDOVER_REFUSED_BY_NEW);
    assert_string_equal(c.why, "it has no handover");
    assert_int_equal(c.builds[4].given, 0);
}

static void who_has_the_state_stays_until_all_who_use_it_have_gone(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(0);
    struct tenure *request;

    (void)state;
    commit(a, false);
    request = generation_enter(a);
    commit(b, false);
    assert_ptr_equal(a->data, b->data); /* its request still sees it */
    ((reeve_app *)(uintptr_t)d->descriptor)->handover = NULL;
    commit(d, false); /* b is superseded, and would free what a's request uses */
    assert_int_equal(c.builds[3].finis, 0);
    assert_int_equal(b->held_for[HOLD_STATE], 2); /* for the request, and for a itself */

    generation_leave(a, request);
    assert_string_equal(c.text, "2 3 ");
    assert_false(c.builds[3].was_handed_over);
}

static bool may_return;

static int takes_its_time(reeve_module *module)
{
    (void)module;
    while (!may_return)
        reeve_sleep(0.001);
    return 0;
}

static void what_runs_in_the_background_keeps_the_state(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(0);

    (void)state;
    may_return = false;
    ((reeve_app *)(uintptr_t)a->descriptor)->on_drain = takes_its_time;
    ((reeve_app *)(uintptr_t)d->descriptor)->handover = NULL;
    commit(a, false);
    commit(b, false);
    commit(d, false); /* b is superseded, and would free what a's on_drain uses */
    assert_int_equal(c.builds[3].finis, 0);

    may_return = true;
    while (coro_alive() > 0)
        app_case_turn(&c.app);
    assert_string_equal(c.text, "2 3 ");
}

/* A task of a's that runs on may have seen the state that b keeps, and will free. */
static void so_does_a_task_of_one_that_is_back_without_it(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    may_return = false;
    ((reeve_app *)(uintptr_t)a->descriptor)->on_start = takes_its_time;
    commit(a, false);
    commit(b, true);
    c.builds[3].gives = "mine now";
    commit(a, false);
    assert_string_equal(c.text, "");

    may_return = true;
    while (coro_alive() > 0)
        app_case_turn(&c.app);
    commit(prepared(0), false);
    assert_string_equal(c.text, "2 3 ");
}

static void twenty_generations_pass_it_on(void **state)
{
    struct generation *held[20];
    struct tenure *requests[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        held[i] = prepared(1);
        commit(held[i], false);
        assert_ptr_equal(held[i]->data, &c.builds[2]);
        requests[i] = generation_enter(held[i]);
    }
    assert_string_equal(c.text, "");
    for (int i = 18; i >= 0; i--) { /* the oldest goes last */
        assert_int_equal(c.builds[2 + i].finis, 0);
        generation_leave(held[i], requests[i]);
    }
    assert_string_equal(c.text, "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ");
    assert_int_equal(held[19]->holds, 1);
    generation_leave(held[19], requests[19]);
}

static void one_that_is_kept_gets_its_state_back(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    commit(a, false);
    assert_int_equal(commit(b, true), HANDOVER_DONE);
    assert_false(a->is_retired);
    assert_true(reeve_state_is_handed_over(generation_module(a)));
    assert_ptr_equal(c.builds[3].had_before, &c.builds[3]);
    c.builds[2].had_before = &c;
    assert_int_equal(commit(a, false), HANDOVER_DONE);
    assert_null(c.builds[2].had_before); /* it may free what it finds there */
    assert_ptr_equal(a->data, &c.builds[2]);
    assert_ptr_equal(c.app.room.apps[0].live, a);
    assert_false(reeve_state_is_handed_over(generation_module(a)));
    assert_true(c.builds[3].was_handed_over);
    assert_int_equal(a->holds, 0);
    assert_int_equal(c.builds[2].finis, 0);
}

static void to_and_fro_nobody_is_left_behind(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    commit(a, false);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(commit(b, true), HANDOVER_DONE);
        assert_int_equal(commit(a, true), HANDOVER_DONE);
    }
    generation_retire(b); /* promoted the other way round */
    assert_string_equal(c.text, "3 ");
    assert_true(c.builds[3].was_handed_over);
    assert_int_equal(a->holds, 0);
}

static void one_that_is_kept_goes_when_the_other_is_promoted(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    commit(a, false);
    commit(b, true);
    generation_retire(a);
    assert_string_equal(c.text, "2 ");
    assert_true(c.builds[2].was_handed_over);
    assert_false(b->is_handed_over);
    assert_int_equal(b->holds, 0);
}

static void what_was_never_given_away_is_simply_still_there(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    c.builds[3].takes = "no";
    commit(a, false);
    assert_int_equal(commit(b, true), HANDOVER_REFUSED_BY_NEW);
    assert_int_equal(commit(a, false), HANDOVER_NONE);
    assert_int_equal(c.builds[3].given, 0);
    assert_ptr_equal(a->data, &c.builds[2]);
    assert_false(c.builds[3].was_handed_over);
    assert_ptr_equal(c.builds[3].had, &c.builds[3]);
}

static void who_could_not_take_it_back_does_not_give_it_to_one_on_trial(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    ((reeve_app *)(uintptr_t)a->descriptor)->handover = NULL;
    commit(a, false);
    assert_int_equal(commit(b, true), HANDOVER_REFUSED_BY_OLD);
    assert_ptr_equal(b->data, &c.builds[3]);
    assert_int_equal(commit(a, false), HANDOVER_NONE);
    assert_ptr_equal(a->data, &c.builds[2]);
}

/* The state is the other one's, which will free it: not while a's requests may use it. */
static void a_state_that_cannot_come_back_is_lost_but_not_freed_too_soon(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);
    struct tenure *request;

    (void)state;
    commit(a, false);
    request = generation_enter(a);
    commit(b, true);
    c.builds[3].gives = "mine now";
    assert_int_equal(commit(a, false), HANDOVER_REFUSED_BY_OLD);
    assert_string_equal(c.why, "mine now");
    assert_null(reeve_module_data(generation_module(a)));
    assert_false(reeve_state_is_handed_over(generation_module(a)));
    assert_int_equal(c.builds[3].finis, 0);
    generation_leave(a, request);
    assert_string_equal(c.text, "3 "); /* though a lives on, and is served by new requests */
    assert_false(c.builds[3].was_handed_over);
    assert_ptr_equal(c.builds[3].had, &c.builds[2]);
    assert_int_equal(a->holds, 0);
    commit(prepared(1), false);
    assert_null(c.builds[2].had);
}

static void one_whose_state_did_not_come_back_goes_at_once_when_nobody_uses_it(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1);

    (void)state;
    commit(a, false);
    generation_leave(a, generation_enter(a));
    commit(b, true);
    c.builds[3].gives = "mine now";
    commit(a, false);
    assert_string_equal(c.text, "3 ");
    assert_int_equal(a->holds, 0);
}

/* What b made of the state is a's, and what it was made from b's to free: not under a's request. */
static void one_that_gave_the_state_back_stays_while_older_requests_run(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(1);
    struct tenure *old, *new;

    (void)state;
    commit(a, false);
    old = generation_enter(a);
    c.builds[3].replaces = true;
    commit(b, true);
    commit(a, false);
    assert_int_equal(c.builds[3].finis, 0);
    assert_int_equal(b->held_for[HOLD_STATE], 1);
    new = generation_enter(a); /* one of today's keeps nothing */
    generation_leave(a, old);
    assert_string_equal(c.text, "3 ");
    assert_int_equal(a->held_for[HOLD_STATE], 0);
    commit(d, false);
    assert_int_equal(d->held_for[HOLD_STATE], 2); /* for the new one, with no old one to count,
                                                     and for a itself */
    generation_leave(a, new);
    assert_string_equal(c.text, "3 2 ");
    assert_int_equal(d->holds, 0);
}

/* ... and the other way round: b's requests use what a now owns. */
static void one_that_took_the_state_back_stays_while_the_others_requests_run(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(0);
    struct tenure *request;

    (void)state;
    commit(a, false);
    commit(b, true);
    request = generation_enter(b);
    commit(a, false);
    ((reeve_app *)(uintptr_t)d->descriptor)->handover = NULL;
    commit(d, false);
    assert_string_equal(c.text, "");
    generation_leave(b, request);
    assert_string_equal(c.text, "3 2 ");
    assert_true(c.builds[3].was_handed_over);
    assert_false(c.builds[2].was_handed_over);
}

/* a's first request has seen a's state, b's, and, since it may ask again, what followed. */
static void a_request_keeps_all_that_it_may_have_seen(void **state)
{
    struct generation *a = prepared(1), *b = prepared(1), *d = prepared(1), *e = prepared(0);
    struct tenure *first, *second;

    (void)state;
    commit(a, false);
    first = generation_enter(a);
    commit(b, true);
    c.builds[3].gives = "mine now";
    commit(a, false); /* without a state */
    reeve_module_set_data(generation_module(a), &c);
    second = generation_enter(a);
    commit(d, true);
    commit(a, false); /* d gave it back */
    assert_string_equal(c.text, "");
    generation_leave(a, second);
    assert_string_equal(c.text, ""); /* the first one may have seen what d had */
    ((reeve_app *)(uintptr_t)e->descriptor)->handover = NULL;
    commit(e, false);
    assert_string_equal(c.text, "");
    generation_leave(a, first);
    assert_int_equal(strlen(c.text), 6);
    assert_int_equal(c.builds[2].finis + c.builds[3].finis + c.builds[4].finis, 3);
    assert_false(c.builds[2].was_handed_over);
    assert_true(c.builds[4].was_handed_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(nothing_is_handed_over_by_who_has_none),
        CASE(the_state_goes_to_the_next_and_the_former_does_not_free_it),
        CASE(handover_may_set_the_data_itself),
        CASE(the_old_one_may_decline),
        CASE(the_new_one_may_decline),
        CASE(who_has_the_state_stays_until_all_who_use_it_have_gone),
        CASE(what_runs_in_the_background_keeps_the_state),
        CASE(so_does_a_task_of_one_that_is_back_without_it),
        CASE(twenty_generations_pass_it_on),
        CASE(one_that_is_kept_gets_its_state_back),
        CASE(to_and_fro_nobody_is_left_behind),
        CASE(one_that_is_kept_goes_when_the_other_is_promoted),
        CASE(what_was_never_given_away_is_simply_still_there),
        CASE(who_could_not_take_it_back_does_not_give_it_to_one_on_trial),
        CASE(a_state_that_cannot_come_back_is_lost_but_not_freed_too_soon),
        CASE(one_whose_state_did_not_come_back_goes_at_once_when_nobody_uses_it),
        CASE(one_that_gave_the_state_back_stays_while_older_requests_run),
        CASE(one_that_took_the_state_back_stays_while_the_others_requests_run),
        CASE(a_request_keeps_all_that_it_may_have_seen),
#undef CASE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
