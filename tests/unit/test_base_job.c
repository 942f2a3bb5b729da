/* test_base_job.c: at most one worker runs a job, whatever becomes of the others, and its beats stay
 * on the grid. */
#include "base/job.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "board_case.h"

#define PERIOD (10 * NS_PER_SEC)

static struct board_case c;

static struct job_table *table(void)
{
    return &board_app(c.board, 0)->jobs;
}

static int setup(void **state)
{
    (void)state;
    if (board_case_init(&c) == -1)
        return -1;
    for (unsigned i = 0; i < 4; i++)
        case_worker(&c, i, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_case_fini(&c);
    return 0;
}

static struct job_row *find(unsigned worker, const char *name, uint64_t now)
{
    return job_find(c.board, table(), job_worker(worker, 1), name, PERIOD, now);
}

static struct job_claim claim_of(unsigned worker, const char *name)
{
    struct job_row *row = find(worker, name, c.now);

    assert_non_null(row);
    return (struct job_claim){c.board, row, board_get(&row->turn), job_worker(worker, 1), PERIOD};
}

/* As the master does when it has reaped one. */
static void bury(unsigned worker)
{
    board_set(&board_seat(c.board, worker)->state, SEAT_EMPTY);
}

static struct job_figures figures(const struct job_claim *claim, uint64_t now)
{
    struct job_figures it;

    assert_true(job_read(c.board, claim->row, now, &it));
    return it;
}

static void a_name_is_one_row_for_all_workers(void **state)
{
    struct job_row *one = find(0, "one", c.now);

    (void)state;
    assert_ptr_equal(find(1, "one", c.now), one);
    assert_ptr_not_equal(find(1, "two", c.now), one);
    assert_ptr_not_equal(find(1, "on", c.now), one);
    assert_ptr_equal(find(3, "one", c.now), one);
}

static void there_are_eight(void **state)
{
    char name[] = "a";

    (void)state;
    for (; name[0] < 'a' + (int)JOB_MOST; name[0]++)
        assert_non_null(find(0, name, c.now));
    assert_null(find(0, name, c.now));
    assert_int_equal(errno, ENOSPC);
    assert_non_null(find(1, "a", c.now));
}

static void a_name_that_nobody_has_any_more_makes_room(void **state)
{
    uint64_t later = c.now + JOB_FORGOTTEN + 2;
    char name[] = "a";
    struct job_claim first, running;
    struct job_row *row;

    (void)state;
    for (; name[0] < 'a' + (int)JOB_MOST; name[0]++)
        find(0, name, c.now);
    first = claim_of(0, "a");
    running = claim_of(1, "b");
    assert_int_equal(job_begin(&running, c.now + PERIOD), JOB_BEGUN);
    for (name[0] = 'd'; name[0] < 'a' + (int)JOB_MOST; name[0]++)
        find(2, name, later - 1); /* still there */
    row = find(0, "new", later);
    assert_ptr_equal(row, first.row);
    assert_int_equal(board_get(&row->runs), 0);
    assert_int_equal(job_begin(&first, later + PERIOD), JOB_LOST);
    job_say(&first, later + 1);
    assert_int_equal(board_get(&row->seen_at), later);
    /* Nor is one taken that runs, only "c" is left. */
    assert_ptr_not_equal(find(0, "new2", later), running.row);
    assert_null(find(0, "new3", later));
    assert_int_equal(errno, ENOSPC);
}

static void who_died_while_it_gave_a_name_leaves_a_free_row(void **state)
{
    struct job_claim claim = claim_of(0, "one");

    (void)state;
    board_set(&claim.row->turn, claim.turn + 1);
    board_set(&claim.row->owner, job_worker(0, 1));
    board_set(&table()->naming, job_worker(0, 1));
    assert_null(find(1, "one", c.now));
    assert_int_equal(errno, EAGAIN); /* it may be alive */
    bury(0);
    assert_ptr_equal(find(1, "one", c.now), claim.row);
    assert_int_equal(board_get(&claim.row->turn), claim.turn + 2);
    assert_int_equal(board_get(&claim.row->owner), 0);
    assert_int_equal(board_get(&table()->naming), 0);
}

static void one_runs_it_when_it_is_due(void **state)
{
    struct job_claim one = claim_of(0, "job"), two = claim_of(1, "job");

    (void)state;
    assert_int_equal(job_due(&one), c.now + PERIOD);
    assert_int_equal(job_begin(&one, c.now + PERIOD - 1), JOB_NOT_DUE);
    assert_int_equal(job_begin(&one, c.now + PERIOD + 5), JOB_BEGUN);
    assert_int_equal(job_due(&two), c.now + 2 * PERIOD);
    assert_int_equal(job_begin(&two, c.now + PERIOD + 6), JOB_NOT_DUE);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD), JOB_TAKEN);
    assert_int_equal(job_begin(&one, c.now + 2 * PERIOD), JOB_TAKEN); /* of its other build */
    job_end(&one, c.now + 2 * PERIOD - 1, true);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD), JOB_BEGUN);
    job_end(&two, c.now + 2 * PERIOD, false);
    assert_int_equal(figures(&one, c.now).runs, 2);
    assert_int_equal(figures(&one, c.now).failures, 1);
}

static void missed_beats_are_left_out_and_the_others_stay_in_place(void **state)
{
    struct job_claim one = claim_of(0, "job"), two = claim_of(1, "job");

    (void)state;
    assert_int_equal(job_begin(&one, c.now + 3 * PERIOD + 7), JOB_BEGUN);
    assert_int_equal(job_due(&one), c.now + 4 * PERIOD);
    job_end(&one, c.now + 6 * PERIOD + 9, false);
    assert_int_equal(job_due(&two), c.now + 7 * PERIOD);
    assert_int_equal(job_begin(&two, c.now + 7 * PERIOD - 1), JOB_NOT_DUE);
}

/* As during a deployment that changes the period. */
static void each_build_has_its_own_period(void **state)
{
    struct job_claim old = claim_of(0, "job"), new = claim_of(1, "job");

    (void)state;
    new.period = PERIOD / 10;
    assert_int_equal(job_begin(&new, c.now + PERIOD / 10), JOB_BEGUN);
    job_end(&new, c.now + PERIOD / 10, false);
    assert_int_equal(job_due(&old), c.now + PERIOD / 10 + PERIOD);
    assert_int_equal(figures(&old, c.now).period, PERIOD / 10);
}

static void the_claim_of_a_dead_worker_is_void_once_it_was_reaped(void **state)
{
    struct job_claim one = claim_of(0, "job"), two = claim_of(1, "job");

    (void)state;
    assert_int_equal(job_begin(&one, c.now + PERIOD), JOB_BEGUN);
    assert_true(figures(&one, c.now).is_running);
    assert_int_equal(figures(&one, c.now).worker, 0);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD), JOB_TAKEN);
    bury(0);
    assert_false(figures(&one, c.now).is_running);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD - 1), JOB_NOT_DUE);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD), JOB_BEGUN);
    assert_int_equal(figures(&one, c.now).failures, 1);
    assert_int_equal(figures(&one, c.now).worker, 1);
}

static void its_successor_in_the_same_seat_is_somebody_else(void **state)
{
    struct job_claim one = claim_of(0, "job"), next = one;

    (void)state;
    assert_int_equal(job_begin(&one, c.now + PERIOD), JOB_BEGUN);
    board_set(&board_seat(c.board, 0)->incarnation, 2);
    next.worker = job_worker(0, 2);
    assert_int_equal(job_begin(&next, c.now + 2 * PERIOD), JOB_BEGUN);
}

static void a_worker_that_drains_keeps_its_claim(void **state)
{
    struct job_claim one = claim_of(0, "job"), two = claim_of(1, "job");

    (void)state;
    assert_int_equal(job_begin(&one, c.now + PERIOD), JOB_BEGUN);
    board_set(&board_seat(c.board, 0)->state, SEAT_DRAINING);
    assert_int_equal(job_begin(&two, c.now + 2 * PERIOD), JOB_TAKEN);
}

static void what_no_build_has_any_more_is_not_told_of(void **state)
{
    struct job_claim claim = claim_of(0, "job");
    struct job_figures it;

    (void)state;
    assert_true(job_read(c.board, claim.row, c.now + JOB_FORGOTTEN, &it));
    assert_string_equal(it.name, "job");
    assert_false(job_read(c.board, claim.row, c.now + JOB_FORGOTTEN + 1, &it));
    job_say(&claim, c.now + JOB_FORGOTTEN);
    assert_true(job_read(c.board, claim.row, c.now + JOB_FORGOTTEN + 1, &it));
    assert_false(job_read(c.board, &table()->rows[1], c.now, &it));
    board_set(&claim.row->turn, claim.turn + 1);
    assert_false(job_read(c.board, claim.row, c.now, &it));
}

/* `beats` of a nanosecond each, as fast as it can; who is inside alone changes both numbers alike. */
static void run_as_a_worker(unsigned worker, _Atomic uint64_t *inside, uint64_t beats)
{
    struct job_row *row;
    struct job_claim claim;

    while (!(row = job_find(c.board, table(), job_worker(worker, 1), "busy", 1, c.now)))
        if (errno != EAGAIN)
            _exit(1);
    claim = (struct job_claim){c.board, row, board_get(&row->turn), job_worker(worker, 1), 1};
    for (uint64_t i = 1; i < beats; i++) {
        uint64_t now = c.now + i;

        if (job_begin(&claim, now) != JOB_BEGUN)
            continue;
        if (atomic_fetch_add(inside, 1) != 0)
            _exit(2);
        atomic_fetch_sub(inside, 1);
        job_end(&claim, now, false);
    }
    _exit(0);
}

static void never_are_two_inside(void **state)
{
    _Atomic uint64_t *inside = &board_app(c.board, 1)->reloads; /* shared memory, of nobody else */
    pid_t pids[4];
    int status;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            run_as_a_worker(i, inside, 200000);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (unsigned i = 1; i < JOB_MOST; i++)
        assert_int_equal(board_get(&table()->rows[i].turn), 0); /* all found the same row */
    assert_int_not_equal(board_get(&table()->rows[0].runs), 0);
}

/* With one worker nobody says so meanwhile. */
static void a_run_that_took_long_has_not_made_it_forgotten(void **state)
{
    struct job_claim claim = claim_of(0, "job");
    uint64_t end = c.now + PERIOD + 2 * JOB_FORGOTTEN;
    struct job_figures it;

    (void)state;
    assert_int_equal(job_begin(&claim, c.now + PERIOD), JOB_BEGUN);
    job_end(&claim, end, false);
    assert_true(job_read(c.board, claim.row, end + 1, &it));
    assert_int_equal(it.runs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_name_is_one_row_for_all_workers),
        TEST(there_are_eight),
        TEST(a_name_that_nobody_has_any_more_makes_room),
        TEST(who_died_while_it_gave_a_name_leaves_a_free_row),
        TEST(one_runs_it_when_it_is_due),
        TEST(missed_beats_are_left_out_and_the_others_stay_in_place),
        TEST(each_build_has_its_own_period),
        TEST(the_claim_of_a_dead_worker_is_void_once_it_was_reaped),
        TEST(its_successor_in_the_same_seat_is_somebody_else),
        TEST(a_worker_that_drains_keeps_its_claim),
        TEST(what_no_build_has_any_more_is_not_told_of),
        TEST(a_run_that_took_long_has_not_made_it_forgotten),
        TEST(never_are_two_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
