/* test_master_incidents.c: how a worker's end is judged, and what is told of it, from a scoreboard
 * that is filled in by hand. The application's module is this test's own program. */
#include "master/incidents.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "board_case.h"
#include "http_parser.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/quarantines.h"
#include "master/report.h"
#include "master/report_flights.h"
#include "place_case.h"

static char folder[] = "/tmp/reeve-incidents-XXXXXX";
static char module[64], log_path[64];

static struct board_case board;
static struct master master;
static struct pool pool;
static struct worker worker;
static struct flight_recorder recorder;

static __attribute__((noinline)) int crash_here(int n)
{
    return n * 3;
}

static __attribute__((noinline)) int wait_here(int n)
{
    return n * 5;
}

/* ---- a worker that ends ---- */

/* In slot 2, of incarnation 3, with generation 7 of hello; it was ready, and ended by `status`. */
static struct board_slot *have_worker(int status)
{
    struct board_slot *slot = case_worker(&board, 2, 3);
    struct build *build = build_adopt(module, 0, 7);

    memset(&worker, 0, sizeof worker);
    worker.pool = &pool;
    worker.id = 2;
    worker.incarnation = 3;
    worker.pid = 4711;
    worker.state = SEAT_SERVING;
    worker.was_ready = true;
    worker.status = status;
    worker.spawned_at = clock_ns();
    LIST_INIT(&worker.holds);
    snprintf(build->version, sizeof build->version, "1.2.0");
    snprintf(build->build_id, sizeof build->build_id, "abcdef");
    hold_add(&worker.holds, build);
    build_unref(build);
    flight_open(&recorder, &slot->flights, 3);
    return slot;
}

static struct flight_row *have_flight(uint64_t id, const char *path)
{
    struct flight_start start = {.id = id,
                                 .app = 0,
                                 .generation = 7,
                                 .method = HTTP_GET,
                                 .begun_at = clock_ns() - 1234 * NS_PER_MS,
                                 .path = path,
                                 .path_length = strlen(path)};

    return flight_begin(&recorder, &start);
}

static void have_trace(struct trace *trace, enum trace_kind kind, uint64_t number)
{
    memset(trace, 0, sizeof *trace);
    trace->kind = kind;
    trace->has_address = kind == TRACE_CRASH && number == SIGSEGV;
    trace->signal = number;
    trace->object_count = 2;
    snprintf(trace->objects[0].name, TRACE_NAME, "%s", module);
    snprintf(trace->objects[1].name, TRACE_NAME, "/no/such/lib/libx.so.6");
}

static void add_frame(struct trace *trace, uint64_t object, uint64_t offset)
{
    trace->frames[trace->frame_count++] = (struct trace_frame){object, offset, 0};
    trace->depth++;
}

/* Names are looked up until there is nothing left to ask. */
static void wait_for_names(void)
{
    int status;
    pid_t pid;

    while (!LIST_EMPTY(&master.questions)) {
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            assert_true(symbols_reap(&master, pid));
        event_base_loop(master.base, EVLOOP_NONBLOCK);
        usleep(1000);
    }
    assert_false(incidents_are_pending(master.incidents));
}

static bool end_at_once(const char *how)
{
    bool is_told = incidents_on_end(&master, &worker, how);

    hold_drop_all(&worker.holds);
    return is_told;
}

static bool end_worker(const char *how)
{
    bool is_told = end_at_once(how);

    wait_for_names();
    return is_told;
}

/* ---- what was said ---- */

static char log_text_[64 << 10];

static const char *read_log(void)
{
    FILE *file = fopen(log_path, "r");
    size_t n = fread(log_text_, 1, sizeof log_text_ - 1, file);

    log_text_[n] = '\0';
    fclose(file);
    return log_text_;
}

static void assert_logged(const char *text)
{
    if (strstr(read_log(), text) == NULL)
        fail_msg("not in the log: %s\n%s", text, log_text_);
}

static size_t count_in_log(const char *text)
{
    size_t count = 0;

    for (const char *at = read_log(); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* What is kept is raw text. */
static cJSON *read_again(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON *parsed = cJSON_Parse(text);

    cJSON_free(text);
    cJSON_Delete(json);
    assert_non_null(parsed);
    return parsed;
}

static cJSON *latest_;

static const cJSON *latest(void)
{
    cJSON_Delete(latest_);
    latest_ = read_again(incidents_latest_of(master.incidents, 2));
    return latest_;
}

static const char *text_at(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(json, name));
}

static double number_at(const cJSON *json, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(json, name));
}

static const cJSON *frame_at(int i)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(latest(), "backtrace"), i);
}

/* ---- crashes ---- */

static void a_crash_is_told_with_request_code_and_what_else_there_was(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);
    struct flight_row *row = have_flight(0xa1, "/ended");

    (void)state;
    flight_end(&recorder, row, 200, clock_ns());
    row = have_flight(0xa2, "/slow");
    flight_wait(row, CALL_SLEEP, place_offset(wait_here), clock_ns());
    have_flight(0xa3, "/null");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.address = 0x20;
    add_frame(&slot->trace, 0, place_offset(crash_here));
    add_frame(&slot->trace, 1, 0x1234);
    add_frame(&slot->trace, TRACE_OBJECTS, 0xdead);
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));

    assert_logged("worker 2.3 pid 4711 was killed by signal 11 (Segmentation fault) at address "
                  "0x20, in hello 7 (version 1.2.0, build id abcdef), request 00000000000000a3 GET "
                  "/null\n");
    assert_logged("worker 2.3:   crash_here (test_master_incidents.c:");
    assert_logged(") in hello\n");
    assert_logged("worker 2.3:   0x1234 in libx.so.6\n");
    assert_logged("worker 2.3:   0xdead\n");
    assert_logged("worker 2.3: in flight: 00000000000000a2 GET /slow of hello 7, 1.23");
    assert_logged(" s, waits in reeve_sleep at wait_here (test_master_incidents.c:");
    assert_logged(
        "worker 2.3: ended before: 00000000000000a1 GET /ended of hello 7, 200 after 1.23");
    assert_int_equal(count_in_log("/null"), 1);

    assert_string_equal(text_at(latest(), "kind"), "crash");
    assert_string_equal(text_at(latest(), "signal_name"), "SIGSEGV");
    assert_string_equal(text_at(latest(), "address"), "0x20");
    assert_string_equal(text_at(latest(), "build_id"), "abcdef");
    assert_string_equal(text_at(cJSON_GetObjectItem(latest(), "request"), "id"),
                        "00000000000000a3");
    assert_string_equal(text_at(frame_at(0), "function"), "crash_here");
    assert_string_equal(text_at(frame_at(0), "object"), "hello");
    assert_string_equal(text_at(frame_at(1), "object"), "libx.so.6");
    assert_null(cJSON_GetObjectItem(frame_at(2), "object"));
    assert_string_equal(text_at(frame_at(2), "offset"), "0xdead");
    assert_int_equal(slot->trace.kind, TRACE_NONE); /* it is nobody else's */
}

static void what_recurses_is_told_once_with_the_stack_to_ask_for(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);

    (void)state;
    have_flight(0xb1, "/recurse");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.overflown = 256 << 10;
    slot->trace.is_coroutine = 1;
    for (unsigned i = 0; i < TRACE_FRAMES - 2; i++)
        add_frame(&slot->trace, 0, place_offset(crash_here));
    add_frame(&slot->trace, 0, place_offset(wait_here));
    add_frame(&slot->trace, 1, 1);
    slot->trace.depth = 5000;
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
    assert_logged("(Segmentation fault), a stack overflow at address 0x0, in hello 7");
    assert_logged("worker 2.3:   … 4997 more of crash_here (test_master_incidents.c:");
    assert_logged("worker 2.3: the stack of 256 KiB was too small: ask for more with .stack_size = "
                  "524288 in REEVE_APP or stack_size = 512k, unless the recursion has no end\n");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "backtrace")), 3);
    assert_int_equal(number_at(frame_at(0), "repeated"), 4997);
    assert_int_equal(number_at(latest(), "depth"), 5000);
    assert_int_equal(number_at(latest(), "overflown"), 262144);
}

static void what_is_left_out_of_a_long_backtrace_is_counted(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);

    (void)state;
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    for (unsigned i = 0; i < TRACE_FRAMES; i++)
        add_frame(&slot->trace, 1, 0x1000 + i);
    slot->trace.depth = 100;
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
    assert_int_equal(number_at(frame_at(TRACE_INNER), "left_out"), 100 - TRACE_FRAMES);
    assert_string_equal(text_at(frame_at(TRACE_INNER - 1), "offset"), "0x102f");
    assert_string_equal(text_at(frame_at(TRACE_INNER + 1), "offset"), "0x1030");
    /* The log has 40 lines of these 65. */
    assert_logged("worker 2.3:   … 25 more\n");
    assert_int_equal(count_in_log("worker 2.3:   "), 41);
}

static void another_threads_crash_is_not_the_running_requests(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);

    (void)state;
    have_flight(0xc1, "/thread");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.thread = 4712;
    add_frame(&slot->trace, 0, place_offset(crash_here));
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
    assert_logged("at address 0x0, in another thread than its loop's, in hello 7 (version 1.2.0, "
                  "build id abcdef), while it ran request 00000000000000c1 GET /thread of hello "
                  "7\n");
}

static void a_step_is_told_when_no_request_runs(void **state)
{
    struct board_slot *slot = have_worker(SIGABRT);

    (void)state;
    worker.was_ready = false;
    worker.state = SEAT_STARTING;
    board_set(&slot->step, STEP_INIT);
    board_set(&slot->step_app, 0);
    board_set(&slot->step_generation, 7);
    assert_true(end_worker("was killed by signal 6 (Aborted)"));
    assert_logged("was killed by signal 6 (Aborted) before it was ready, in init of hello 7 "
                  "(version 1.2.0, build id abcdef)\n");
    assert_string_equal(text_at(latest(), "step"), "in init");
    assert_int_equal(board_get(&slot->step), STEP_NONE);
}

static void the_program_of_a_worker_of_a_former_binary_has_no_names(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);

    (void)state;
    worker.spawned_at = 1;
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.objects[1].name[0] = '\0';
    add_frame(&slot->trace, 1, place_offset(crash_here));
    add_frame(&slot->trace, 0, place_offset(wait_here));
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
    assert_string_equal(text_at(frame_at(0), "object"), "reeve");
    assert_null(cJSON_GetObjectItem(frame_at(0), "function"));
    assert_string_equal(text_at(frame_at(1), "function"), "wait_here");
}

static void a_scoreboard_of_a_worker_gone_mad_does_no_harm(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);
    struct flight_row *row = have_flight(1, "/a");

    (void)state;
    memset(row, 0x7f, sizeof *row);
    row->turn = 2;
    row->phase = FLIGHT_RUNNING;
    memset(&slot->trace, 0xff, sizeof slot->trace);
    slot->trace.kind = TRACE_CRASH;
    board_set(&slot->step, UINT64_MAX);
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
    assert_string_equal(text_at(latest(), "kind"), "killed"); /* the sender is another */
    slot = have_worker(SIGSEGV);
    memset(&slot->flights, 0xff, sizeof slot->flights);
    assert_true(end_worker("was killed by signal 11 (Segmentation fault)"));
}

/* ---- which ends are incidents ---- */

static const char *judge(bool is_told)
{
    return is_told ? text_at(latest(), "kind") : "none";
}

static void ends_that_are_wanted_are_no_incidents(void **state)
{
    (void)state;
    have_worker(0);
    worker.state = SEAT_DRAINING;
    assert_string_equal(judge(end_worker("exited with status 0")), "none");
    have_worker(3 << 8);
    worker.is_asked = true;
    assert_string_equal(judge(end_worker("exited with status 3")), "none");
    have_worker(SIGKILL);
    worker.is_asked = true;
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "none");
    have_worker(1 << 8);
    worker.refusal = strdup("its init said no");
    assert_string_equal(judge(end_worker("exited with status 1")), "none");
    free(worker.refusal);
    assert_string_equal(read_log(), "");
    assert_int_equal(board_get(&board.board->incidents), 0);
}

static void other_ends_are_by_their_kind(void **state)
{
    struct board_slot *slot;

    (void)state;
    have_worker(SIGSEGV);
    worker.is_asked = true; /* and yet */
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    have_worker(SIGKILL);
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "killed");
    have_worker(SIGKILL);
    worker.is_asked = true;
    have_flight(1, "/cut");
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "killed");
    have_worker(3 << 8);
    assert_string_equal(judge(end_worker("exited with status 3")), "exit");
    have_worker(0);
    worker.is_asked = true;
    have_flight(1, "/exit");
    assert_string_equal(judge(end_worker("exited with status 0")), "exit");
    assert_logged("exited with status 0, in hello 7 (version 1.2.0, build id abcdef), request "
                  "0000000000000001 GET /exit");
    have_worker(SIGKILL);
    worker.is_late = true;
    worker.state = SEAT_DRAINING;
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "late");
    assert_logged("worker 2.3 pid 4711 did not end in time and was killed\n");
    slot = have_worker(SIGSEGV);
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.sender = 815;
    slot->trace.has_address = 0;
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")),
                        "killed");
    assert_logged("was killed by signal 11 (Segmentation fault), sent by process 815");
    slot = have_worker(SIGABRT);
    have_trace(&slot->trace, TRACE_CRASH, SIGABRT);
    slot->trace.sender = 4711; /* abort() */
    assert_string_equal(judge(end_worker("was killed by signal 6 (Aborted)")), "crash");
    slot = have_worker(1 << 8); /* a sanitizer's handler of the signal */
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    assert_string_equal(judge(end_worker("exited with status 1")), "crash");
    assert_logged("exited with status 1 after signal 11 (Segmentation fault) at address 0x0\n");
    assert_string_equal(text_at(latest(), "signal_name"), "SIGSEGV");
    assert_int_equal(board_get(&board.board->incidents), 9);
}

static void a_hang_has_the_answer_that_it_gave(void **state)
{
    struct board_slot *slot = have_worker(SIGKILL);

    (void)state;
    worker.is_hung = true;
    worker.watch.has_answered = true;
    worker.hang = strdup("its loop has not turned for 30.2 s");
    have_flight(0xd1, "/loop");
    have_trace(&slot->trace, TRACE_ANSWER, 40);
    add_frame(&slot->trace, 0, place_offset(crash_here));
    assert_string_equal(judge(end_worker("hung and was killed")), "hang");
    free(worker.hang);
    assert_logged("worker 2.3 pid 4711 hangs (its loop has not turned for 30.2 s) and was killed, "
                  "while it ran request 00000000000000d1 GET /loop of hello 7 (version 1.2.0, "
                  "build id abcdef)\n");
    assert_logged("worker 2.3:   crash_here (");
    /* An answer that was followed by another end says nothing of that. */
    slot = have_worker(SIGKILL);
    have_trace(&slot->trace, TRACE_ANSWER, 40);
    add_frame(&slot->trace, 0, place_offset(crash_here));
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "killed");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "backtrace")), 0);
}

static void an_answer_to_an_earlier_question_is_not_that_of_its_end(void **state)
{
    struct board_slot *slot = have_worker(SIGKILL);

    (void)state;
    worker.is_hung = true; /* asked again, it said nothing */
    worker.hang = strdup("its loop has not turned for 30.2 s");
    have_trace(&slot->trace, TRACE_ANSWER, 40);
    add_frame(&slot->trace, 0, place_offset(crash_here));
    assert_string_equal(judge(end_worker("hung and was killed")), "hang");
    free(worker.hang);
    assert_int_equal(count_in_log("crash_here"), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "backtrace")), 0);
}

static void a_crash_handler_that_hung_has_its_signal_told(void **state)
{
    struct board_slot *slot = have_worker(SIGKILL);

    (void)state;
    worker.is_hung = true;
    worker.hang = strdup("its loop has not turned for 30.2 s");
    have_flight(0xd2, "/handler");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.address = 0x20;
    add_frame(&slot->trace, 0, place_offset(crash_here));
    assert_string_equal(judge(end_worker("hung and was killed")), "hang");
    free(worker.hang);
    assert_logged("hangs (its loop has not turned for 30.2 s) after signal 11 (Segmentation fault) "
                  "at address 0x20 and was killed, in hello 7 (version 1.2.0, build id abcdef), "
                  "request 00000000000000d2 GET /handler\n");
    assert_logged("worker 2.3:   crash_here (");
    assert_string_equal(text_at(latest(), "signal_name"), "SIGSEGV");
}

static void an_address_is_told_only_where_there_is_one(void **state)
{
    struct board_slot *slot = have_worker(SIGSEGV);

    (void)state;
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.has_address = 0;
    slot->trace.code = SI_KERNEL;
    have_flight(1, "/wild");
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    assert_logged(
        "(Segmentation fault) at a non-canonical address (or a misaligned one), in hello");
    assert_null(cJSON_GetObjectItem(latest(), "address"));
    slot = have_worker(SIGABRT);
    have_trace(&slot->trace, TRACE_CRASH, SIGABRT);
    slot->trace.code = (uint64_t)SI_TKILL;
    slot->trace.sender = 4711;
    have_flight(2, "/abort");
    assert_string_equal(judge(end_worker("was killed by signal 6 (Aborted)")), "crash");
    assert_logged("(Aborted), in hello 7");
    assert_null(cJSON_GetObjectItem(latest(), "address"));
    assert_int_equal(count_in_log("0x0"), 0);
}

static void a_crash_without_a_trace_is_nobodys_known_doing(void **state)
{
    (void)state;
    have_worker(SIGSEGV);
    have_flight(0xe1, "/thread");
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    assert_logged("was killed by signal 11 (Segmentation fault), while it ran request "
                  "00000000000000e1 GET /thread of hello 7 (version 1.2.0, build id abcdef)\n");
    assert_logged("worker 2.3: it left no trace: a thread's stack overflowed, or the signal was "
                  "blocked or handled by the application\n");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(latest(), "untraced")));
}

static int blamed(void)
{
    cJSON *list = quarantines_list(master.quarantines);
    int count = cJSON_GetArraySize(list);

    cJSON_Delete(list);
    return count;
}

static void what_did_it_itself_is_blamed(void **state)
{
    struct build *live = build_adopt(module, 0, 7);
    struct board_slot *slot;

    (void)state;
    catalog_replace(&master.catalog, 0, live);
    build_unref(live);
    board.config.quarantine_after = 1;
    board.config.quarantine_time = 60 * NS_PER_SEC;
    have_worker(SIGKILL);
    have_flight(1, "/killed");
    assert_string_equal(judge(end_worker("was killed by signal 9 (Killed)")), "killed");
    slot = have_worker(SIGSEGV);
    have_flight(2, "/bystander");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    slot->trace.thread = 815;
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    slot = have_worker(SIGSEGV);
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    flight_wait(have_flight(3, "/waits"), CALL_SLEEP, 0, clock_ns());
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    have_worker(SIGSEGV);
    have_flight(4, "/traceless");
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    for (const char *held = "TtD"; *held != '\0'; held++) {
        have_worker(SIGKILL);
        worker.is_hung = true;
        worker.hang_state = *held;
        have_flight(5, "/stopped");
        assert_string_equal(judge(end_worker("hung and was killed")), "hang");
    }
    assert_int_equal(blamed(), 0);
    slot = have_worker(SIGSEGV);
    have_flight(6, "/crashes");
    have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
    assert_string_equal(judge(end_worker("was killed by signal 11 (Segmentation fault)")), "crash");
    assert_int_equal(blamed(), 1);
    have_worker(1 << 8);
    have_flight(7, "/exits");
    assert_string_equal(judge(end_worker("exited with status 1")), "exit");
    assert_int_equal(blamed(), 2);
    have_worker(SIGKILL);
    worker.is_hung = true;
    have_flight(8, "/hangs");
    assert_string_equal(judge(end_worker("hung and was killed")), "hang");
    assert_int_equal(blamed(), 3);
    build_unref(catalog_replace(&master.catalog, 0, NULL));
}

/* ---- many ---- */

static void a_flood_has_five_stories_and_then_only_first_lines(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct flight_row *row;

        have_worker(SIGKILL);
        row = have_flight(i, "/slow");
        flight_wait(row, CALL_SLEEP, 0, clock_ns());
        assert_true(end_worker("was killed by signal 9 (Killed)"));
    }
    assert_int_equal(count_in_log("was killed by signal 9 (Killed)"), 40);
    assert_int_equal(count_in_log("in flight: "), 5);
    assert_int_equal(count_in_log("(Killed) (the rest of the story is left out)\n"), 35);
    /* All that is known is kept all the same, of the last ones. */
    cJSON *report = read_again(incidents_report(master.incidents));
    const cJSON *list = cJSON_GetObjectItem(report, "incidents");

    assert_int_equal(cJSON_GetArraySize(list), INCIDENTS_KEPT);
    assert_int_equal(number_at(cJSON_GetArrayItem(list, 0), "number"), 9);
    assert_int_equal(number_at(cJSON_GetArrayItem(list, 31), "number"), 40);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "in_flight")), 1);
    cJSON_Delete(report);
}

static void of_many_requests_some_are_told_and_the_others_counted(void **state)
{
    (void)state;
    have_worker(SIGKILL);
    have_flight(1000, "/running");
    for (unsigned i = 0; i < 100; i++)
        flight_wait(have_flight(i, "/slow"), CALL_SLEEP, place_offset(wait_here), clock_ns());
    for (unsigned i = 0; i < FLIGHT_KEPT; i++)
        flight_end(&recorder, have_flight(i, "/ended"), 200, clock_ns());
    assert_true(end_worker("was killed by signal 9 (Killed)"));
    assert_int_equal(count_in_log("waits in reeve_sleep at wait_here (test_master_incidents.c:"),
                     20);
    assert_logged("worker 2.3: in flight: and 80 more\n");
    assert_int_equal(count_in_log("ended before: "), 8);
    assert_int_equal(number_at(latest(), "in_flight_count"), 101);
}

static void stories_of_many_at_once_have_all_their_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct board_slot *slot = have_worker(SIGSEGV);

        have_trace(&slot->trace, TRACE_CRASH, SIGSEGV);
        slot->trace.objects[1].name[0] = '\0'; /* this program: the module's file goes with one */
        add_frame(&slot->trace, 1, place_offset(crash_here));
        assert_true(end_at_once("was killed by signal 11 (Segmentation fault)"));
    }
    assert_true(incidents_are_pending(master.incidents));
    wait_for_names();
    assert_int_equal(count_in_log("worker 2.3:   crash_here ("), 5);

    /* Of those of which the log has only the first line some have theirs, too; none is lost. */
    cJSON *report = read_again(incidents_report(master.incidents)), *incident;
    int named = 0;

    cJSON_ArrayForEach (incident, cJSON_GetObjectItem(report, "incidents")) {
        cJSON *frames = cJSON_GetObjectItem(incident, "backtrace");

        assert_int_equal(cJSON_GetArraySize(frames), 1);
        named += text_at(cJSON_GetArrayItem(frames, 0), "function") != NULL;
    }
    assert_in_range(named, 5, INCIDENTS_KEPT);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "incidents")), INCIDENTS_KEPT);
    cJSON_Delete(report);
}

static void what_is_kept_is_bounded(void **state)
{
    char path[FLIGHT_PATH];
    struct flight_row *rows[200];

    (void)state;
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    for (unsigned n = 0; n < INCIDENTS_KEPT; n++) {
        have_worker(SIGKILL);
        for (unsigned i = 0; i < 200; i++)
            rows[i] = have_flight(i, path);
        for (unsigned i = 0; i < 200; i++)
            flight_end(&recorder, rows[i], 200, clock_ns());
        for (unsigned i = 0; i < 100; i++)
            flight_wait(have_flight(i, path), CALL_SLEEP, 0, clock_ns());
        assert_true(end_worker("was killed by signal 9 (Killed)"));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "in_flight")), 64);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(latest(), "ended")), FLIGHT_KEPT);
        assert_int_equal(number_at(latest(), "in_flight_count"), 100);
    }
    /* Of older ones the numbers are left. */
    cJSON *report = read_again(incidents_report(master.incidents));
    const cJSON *oldest = cJSON_GetArrayItem(cJSON_GetObjectItem(report, "incidents"), 0);
    char *text = cJSON_PrintUnformatted(report);

    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "incidents")), INCIDENTS_KEPT);
    assert_in_range(strlen(text), 200 << 10, 400 << 10);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(oldest, "in_flight")), 0);
    assert_int_equal(number_at(oldest, "in_flight_count"), 100);
    cJSON_free(text);
    cJSON_Delete(report);
}

static void those_before_an_upgrade_are_counted(void **state)
{
    cJSON *report;

    (void)state;
    board_set(&board.board->incidents, 2);
    incidents_free(master.incidents);
    master.incidents = incidents_new(&master);
    have_worker(SIGKILL);
    assert_true(end_worker("was killed by signal 9 (Killed)"));
    report = read_again(incidents_report(master.incidents));
    assert_int_equal(number_at(report, "before_upgrade"), 2);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "incidents")), 1);
    cJSON_Delete(report);
}

static void a_slots_requests_are_shown_after_its_worker_has_gone(void **state)
{
    struct report_source source = {.config = &board.config};
    struct flight_list flights;
    struct stats *stats;
    cJSON *report;

    (void)state;
    have_worker(SIGKILL);
    flight_wait(have_flight(5, "/slow"), CALL_SLEEP, place_offset(wait_here), clock_ns());
    assert_true(end_worker("was killed by signal 9 (Killed)"));
    stats = stats_new(board.board, &board.config, clock_ns());
    source.stats = stats;
    report = report_worker(&master, &source, 2, &flights);
    assert_int_equal(flights.in_flight, 1);
    flight_list_free(&flights);
    report = read_again(report);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "in_flight")), 1);
    assert_string_equal(text_at(cJSON_GetObjectItem(report, "incident"), "kind"), "killed");
    cJSON_Delete(report);
    assert_null(report_worker(&master, &source, 3, &flights)); /* never filled */
    assert_null(report_worker(&master, &source, 4000000000, &flights));
    stats_free(stats);
}

/* ---- the whole ---- */

static int begin(void **state)
{
    (void)state;
    unlink(log_path);
    if (board_case_init(&board) != 0 || log_open(log_path, LOG_LEVEL_INFO) != 0)
        return -1;
    board.config.log_file = log_path;
    board.config.log_level = LOG_LEVEL_INFO;
    pool = (struct pool){.master = &master};
    TAILQ_INIT(&pool.workers);
    master = (struct master){
        .base = event_base_new(), .config = &board.config, .board = board.board, .pool = &pool};
    if (catalog_open(&master.catalog, board.board) != 0)
        return -1;
    master.incidents = incidents_new(&master);
    master.quarantines = quarantines_new(&master);
    return master.incidents == NULL || master.quarantines == NULL ||
                   symlink("/proc/self/exe", module) != 0
               ? -1
               : 0;
}

static int end(void **state)
{
    (void)state;
    cJSON_Delete(latest_);
    latest_ = NULL;
    symbols_free(&master);
    incidents_free(master.incidents);
    quarantines_free(master.quarantines);
    catalog_close(&master.catalog);
    event_base_free(master.base);
    libevent_global_shutdown();
    board_case_fini(&board);
    log_open(NULL, LOG_LEVEL_INFO);
    unlink(module);
    return 0;
}

static int open_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(module, sizeof module, "%s/7.so", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(log_path);
    return rmdir(folder);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_crash_is_told_with_request_code_and_what_else_there_was),
        CASE(what_recurses_is_told_once_with_the_stack_to_ask_for),
        CASE(what_is_left_out_of_a_long_backtrace_is_counted),
        CASE(another_threads_crash_is_not_the_running_requests),
        CASE(a_step_is_told_when_no_request_runs),
        CASE(the_program_of_a_worker_of_a_former_binary_has_no_names),
        CASE(a_scoreboard_of_a_worker_gone_mad_does_no_harm),
        CASE(ends_that_are_wanted_are_no_incidents),
        CASE(other_ends_are_by_their_kind),
        CASE(a_hang_has_the_answer_that_it_gave),
        CASE(an_answer_to_an_earlier_question_is_not_that_of_its_end),
        CASE(a_crash_handler_that_hung_has_its_signal_told),
        CASE(an_address_is_told_only_where_there_is_one),
        CASE(a_crash_without_a_trace_is_nobodys_known_doing),
        CASE(what_did_it_itself_is_blamed),
        CASE(a_flood_has_five_stories_and_then_only_first_lines),
        CASE(stories_of_many_at_once_have_all_their_names),
        CASE(what_is_kept_is_bounded),
        CASE(those_before_an_upgrade_are_counted),
        CASE(of_many_requests_some_are_told_and_the_others_counted),
        CASE(a_slots_requests_are_shown_after_its_worker_has_gone),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
