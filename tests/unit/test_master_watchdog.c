/* test_master_watchdog.c: how long a worker was silent while the master listened, what /proc says of
 * a process, and what becomes of one that was asked. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "master/process.h"
#include "master/verdict.h"
#include "master/vigil.h"

#define NOW  (100 * NS_PER_SEC) /* any moment */
#define LOOK (250 * NS_PER_MS)
#define MOST (500 * NS_PER_MS)

/* ---- silence ---- */

static void each_beat_ends_the_silence(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};
    uint64_t now = NOW;

    (void)state;
    for (int i = 0; i < 100; i++, now += LOOK) {
        vigil_look(&vigil, now, MOST);
        assert_int_equal(vigil_silence(&vigil, &silence, now - 1), 0);
    }
}

static void a_silence_grows_by_the_time_between_looks(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        vigil_look(&vigil, NOW + i * LOOK, MOST);
        assert_int_equal(vigil_silence(&vigil, &silence, NOW), i * LOOK);
    }
    assert_int_equal(vigil_silence(&vigil, &silence, NOW + 1), 0);
}

static void the_first_look_at_a_worker_begins_its_silence(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};

    (void)state;
    vigil_look(&vigil, NOW, MOST);
    vigil_look(&vigil, NOW + LOOK, MOST);
    assert_int_equal(vigil_silence(&vigil, &silence, 1), 0); /* however old its last beat is */
}

static void time_in_which_nobody_looked_is_nobodys_silence(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};

    (void)state;
    vigil_look(&vigil, NOW, MOST);
    vigil_silence(&vigil, &silence, NOW);
    vigil_look(&vigil, NOW + 3600 * NS_PER_SEC, MOST);
    assert_int_equal(vigil_silence(&vigil, &silence, NOW), MOST);
    vigil_look(&vigil, NOW + 3600 * NS_PER_SEC + LOOK, MOST);
    assert_int_equal(vigil_silence(&vigil, &silence, NOW), MOST + LOOK);
}

static void a_master_that_is_always_late_finds_it_out_too(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};
    unsigned looks = 0;

    (void)state;
    do
        vigil_look(&vigil, NOW + looks * 4 * NS_PER_SEC, MOST);
    while (vigil_silence(&vigil, &silence, NOW) < 30 * NS_PER_SEC && looks++ < 1000);
    assert_int_equal(looks, 60);
}

static void an_excused_silence_begins_anew(void **state)
{
    struct vigil vigil = {.now = 0};
    struct silence silence = {.beat = 0};

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        vigil_look(&vigil, NOW + i * LOOK, MOST);
        vigil_silence(&vigil, &silence, NOW);
    }
    vigil_excuse(&vigil, &silence);
    assert_int_equal(vigil_silence(&vigil, &silence, NOW), 0);
    vigil_look(&vigil, NOW + 10 * LOOK, MOST);
    assert_int_equal(vigil_silence(&vigil, &silence, NOW), LOOK);
}

/* ---- processes ---- */

static void a_status_is_read(void **state)
{
    struct process process;

    (void)state;
    process_parse("Name:\tx\\nState:\tZ\nUmask:\t0022\nState:\tT (stopped)\nTracerPid:\t4711\n"
                  "CoreDumping:\t1\nSigCgt:\t8000000100000200\n",
                  &process);
    assert_int_equal(process.state, 'T');
    assert_int_equal(process.tracer, 4711);
    assert_true(process.is_dumping);
    assert_true(process_catches(&process, 10));
    assert_true(process_catches(&process, 33));
    assert_true(process_catches(&process, 64));
    assert_false(process_catches(&process, 9));
    assert_false(process_catches(&process, 0));
    assert_false(process_catches(&process, 65));
}

static void what_a_status_does_not_say_is_not_known(void **state)
{
    static const char *const texts[] = {"", "State:", "XState:\tT\n", "\n\n", "TracerPid:\t\n"};
    struct process process;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        process_parse(texts[i], &process);
        assert_true(process.state == '?' || process.state == '\0');
        assert_int_equal(process.tracer, 0);
        assert_false(process.is_dumping);
        assert_false(process_catches(&process, SIGUSR1));
    }
}

static void on_signal(int number)
{
    (void)number;
}

static void a_stopped_process_is_told_from_one_that_sleeps(void **state)
{
    struct process process;
    int ready[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        signal(SIGUSR1, on_signal);
        (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &status, 1), 1);
    do
        process_read(pid, &process);
    while (process.state == 'R');
    assert_int_equal(process.state, 'S');
    assert_int_equal(process.tracer, 0);
    assert_true(process_catches(&process, SIGUSR1));
    assert_false(process_catches(&process, SIGUSR2));
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    process_read(pid, &process);
    assert_int_equal(process.state, 'T');
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    process_read(pid, &process);
    assert_int_equal(process.state, '?');
    close(ready[0]);
    close(ready[1]);
}

/* ---- verdicts ---- */

/* Every reason, with and without a heartbeat since, an answer, and time to give one. */
static const struct {
    struct suspicion of;
    struct process process;
    enum verdict verdict;
} verdicts[] = {
#define ASKED    .waited = VERDICT_ANSWER_WAIT - 1
#define OVER     .waited = VERDICT_ANSWER_WAIT
#define ANSWERED .has_answered = true, .waited = VERDICT_AFTER_ANSWER - 1
#define SILENT   .has_answered = true, .waited = VERDICT_AFTER_ANSWER
#define BEATS    .has_beaten = true
#define SERVES   .is_serving = true
    /* The answer is waited for, and whether it goes on then. */
    {{.reason = WATCHDOG_SILENT, SERVES, ASKED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_SILENT, SERVES, ANSWERED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_SILENT, SERVES, SILENT}, {.state = 'R'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_SILENT, SERVES, OVER}, {.state = 'S'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_SILENT, OVER}, {.state = 'S'}, VERDICT_HANGS}, /* it drains */
    {{.reason = WATCHDOG_SUSPECT, SERVES, ASKED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_SUSPECT, SERVES, ANSWERED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_SUSPECT, SERVES, SILENT}, {.state = 'R'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_SUSPECT, SERVES, OVER}, {.state = 'R'}, VERDICT_HANGS},
    /* One that is late goes ... */
    {{.reason = WATCHDOG_LATE, ASKED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_LATE, ANSWERED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_LATE, SILENT}, {.state = 'R'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_LATE, OVER}, {.state = 'R'}, VERDICT_HANGS},
    /* ... unless it serves: then it is not late any more. */
    {{.reason = WATCHDOG_LATE, SERVES, ANSWERED}, {.state = 'R'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_LATE, SERVES, SILENT}, {.state = 'R'}, VERDICT_HANGS},
    /* One that goes on stays, but for a late one. */
    {{.reason = WATCHDOG_SILENT, SERVES, BEATS, OVER}, {.state = 'R'}, VERDICT_GOES_ON},
    {{.reason = WATCHDOG_SUSPECT, SERVES, BEATS, ASKED}, {.state = 'S'}, VERDICT_GOES_ON},
    {{.reason = WATCHDOG_LATE, BEATS, ASKED}, {.state = 'S'}, VERDICT_WAIT}, /* for its word */
    {{.reason = WATCHDOG_LATE, BEATS, ANSWERED}, {.state = 'S'}, VERDICT_WAIT},
    {{.reason = WATCHDOG_LATE, BEATS, OVER}, {.state = 'S'}, VERDICT_LATE},
    {{.reason = WATCHDOG_LATE, BEATS, SILENT}, {.state = 'S'}, VERDICT_LATE},
    {{.reason = WATCHDOG_LATE, SERVES, BEATS, ASKED}, {.state = 'S'}, VERDICT_GOES_ON},
    {{.reason = WATCHDOG_SILENT, SERVES, BEATS, OVER}, {'t', .tracer = 1}, VERDICT_GOES_ON},
    /* Stopped, or in the kernel's hands: it hangs. */
    {{.reason = WATCHDOG_SILENT, SERVES, OVER}, {.state = 'T'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_SILENT, SERVES, OVER}, {.state = 'D'}, VERDICT_HANGS},
    {{.reason = WATCHDOG_LATE, OVER}, {.state = 'D'}, VERDICT_HANGS},
    /* Debugged, or dumping its core: not before the server stops. */
    {{.reason = WATCHDOG_SILENT, SERVES, ASKED}, {'t', .tracer = 1}, VERDICT_WAIT},
    {{.reason = WATCHDOG_SILENT, SERVES, OVER}, {'t', .tracer = 1}, VERDICT_SPARED},
    {{.reason = WATCHDOG_SUSPECT, SERVES, OVER}, {'S', .is_dumping = true}, VERDICT_SPARED},
    {{.reason = WATCHDOG_LATE, OVER}, {'S', .is_dumping = true}, VERDICT_SPARED},
    {{.reason = WATCHDOG_LATE, OVER, .is_stopping = true}, {'t', .tracer = 1}, VERDICT_HANGS},
    {{.reason = WATCHDOG_SILENT, OVER, .is_stopping = true}, {.is_dumping = true}, VERDICT_HANGS},
    /* Without /proc nothing of that is known. */
    {{.reason = WATCHDOG_SILENT, SERVES, OVER}, {.state = '?'}, VERDICT_HANGS},
};

static void a_verdict_follows_from_what_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (verdict_of(&verdicts[i].of, &verdicts[i].process) != verdicts[i].verdict)
            fail_msg("case %zu: not %d but %d", i, verdicts[i].verdict,
                     verdict_of(&verdicts[i].of, &verdicts[i].process));
}

static void what_held_it_is_told_from_what_it_ran(void **state)
{
    static const struct {
        char state;
        bool has_answered;
        char held;
    } cases[] = {{'R', false, 0},   {'S', false, 0},   {'?', false, 0},
                 {'T', false, 'T'}, {'t', false, 't'}, {'D', false, 'D'},
                 {'R', true, 0},    {'T', true, 'T'},  {'D', true, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(
            verdict_state(&(struct process){.state = cases[i].state}, cases[i].has_answered),
            cases[i].held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_beat_ends_the_silence),
        cmocka_unit_test(a_silence_grows_by_the_time_between_looks),
        cmocka_unit_test(the_first_look_at_a_worker_begins_its_silence),
        cmocka_unit_test(time_in_which_nobody_looked_is_nobodys_silence),
        cmocka_unit_test(a_master_that_is_always_late_finds_it_out_too),
        cmocka_unit_test(an_excused_silence_begins_anew),
        cmocka_unit_test(a_status_is_read),
        cmocka_unit_test(what_a_status_does_not_say_is_not_known),
        cmocka_unit_test(a_stopped_process_is_told_from_one_that_sleeps),
        cmocka_unit_test(a_verdict_follows_from_what_is_known),
        cmocka_unit_test(what_held_it_is_told_from_what_it_ran),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
