/* test_master_history.c: the receipts of past deployments are whole on disk or not there, and are
 * read again by the next server whatever lies beside them, and whatever the disk did. */
#include "history_case.h"

static void a_fresh_history_is_empty_and_private(void **state)
{
    struct stat st;

    (void)state;
    reopen();
    assert_int_equal(history_next_deploy(history), 1);
    assert_int_equal(history_last_generation(history, "hello"), 0);
    assert_int_equal(receipt_count(), 0);
    assert_null(history_receipt(history, 1));
    assert_int_equal(history_before(history, "hello", 1), 0);
    assert_int_equal(history_last_good(history, "hello"), 0);
    assert_int_equal(stat(in_room("state/deploys"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_silent();
}

static void receipts_outlive_the_server(void **state)
{
    struct stat st;

    (void)state;
    reopen();
    put((struct deployed){.deploy = 1, .generation = 1, .outcome = "running"});
    put((struct deployed){.deploy = 1, .generation = 1});
    put((struct deployed){.deploy = 2, .generation = 7, .outcome = "rejected"});
    assert_int_equal(stat(in_room("state/deploys/1.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    reopen();
    assert_int_equal(receipt_count(), 2);
    assert_string_equal(field(1, "outcome"), "live");
    assert_string_equal(field(2, "outcome"), "rejected");
    assert_int_equal(history_next_deploy(history), 3);
    assert_int_equal(history_last_generation(history, "hello"), 7); /* a rejected one's, too */
    assert_silent();
}

static void receipts_are_ordered_by_number(void **state)
{
    const cJSON *receipt;
    int expected = 8;

    (void)state;
    reopen();
    put((struct deployed){.deploy = 11, .generation = 3});
    put((struct deployed){.deploy = 8, .generation = 1});
    put((struct deployed){.deploy = 9, .generation = 2, .outcome = "running"});
    put((struct deployed){.deploy = 10, .generation = 2});
    put((struct deployed){.deploy = 9, .generation = 2, .outcome = "failed"});
    for (int i = 0; i < 2; i++, reopen()) {
        expected = 8;
        cJSON_ArrayForEach (receipt, history_receipts(history))
            assert_int_equal(cJSON_GetObjectItem(receipt, "deploy")->valueint, expected++);
        assert_int_equal(expected, 12);
    }
}

static void a_receipt_without_a_number_is_refused(void **state)
{
    cJSON *json = cJSON_Parse("{\"deploy\":-1,\"outcome\":\"live\"}");

    (void)state;
    reopen();
    assert_int_equal(history_put(history, json), -1);
    assert_int_equal(errno, EINVAL);
    cJSON_SetNumberValue(cJSON_GetObjectItem(json, "deploy"), 1e300);
    assert_int_equal(history_put(history, json), -1);
    cJSON_Delete(json);
    assert_int_equal(receipt_count(), 0);
}

static void what_was_running_when_the_server_was_killed_is_interrupted(void **state)
{
    const cJSON *app;

    (void)state;
    reopen();
    put((struct deployed){.deploy = 4, .generation = 1, .outcome = "running"});
    for (int i = 0; i < 2; i++) {
        limits.resumed = i == 0 ? 0 : 4; /* so the second time it shows what is on the disk */
        reopen();
        assert_string_equal(field(4, "outcome"), "interrupted");
        assert_non_null(strstr(field(4, "reason"), "the server ended before"));
        app = cJSON_GetArrayItem(cJSON_GetObjectItem(history_receipt(history, 4), "apps"), 0);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(app, "outcome")),
                            "interrupted");
    }
    assert_int_equal(history_next_deploy(history), 5);
}

static void a_deployment_that_goes_on_over_an_exec_stays_running(void **state)
{
    (void)state;
    reopen();
    put((struct deployed){.deploy = 4, .generation = 1, .outcome = "running"});
    limits.resumed = 4;
    reopen();
    assert_string_equal(field(4, "outcome"), "running");
}

static void drafts_of_a_killed_server_are_removed(void **state)
{
    (void)state;
    make_folders();
    put_text(in_room("state/deploys/.12.json.draft"), "{\"dep");
    put_text(in_room("state/modules/hello/.3.so.draft"), "\177EL");
    reopen();
    assert_false(is_there(in_room("state/deploys/.12.json.draft")));
    assert_false(is_there(in_room("state/modules/hello/.3.so.draft")));
    assert_int_equal(history_last_generation(history, "hello"), 0);
    assert_silent();
}

static void garbage_is_skipped_left_alone_and_named_once(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "nonsense",
        "{\"deploy\":3,\"outcome\":\"live\"}", /* another number than its name */
        "{\"deploy\":6,\"outcome\":5}",
        "{\"deploy\":7,\"outcome\":\"live\",\"apps\":{}}",
        "{\"deploy\":8,\"outcome\":\"live\",\"apps\":[{\"app\":\"../../etc\",\"generation\":1}]}",
        "{\"deploy\":9,\"outcome\":\"live\"} and more",
    };
    const char *text;

    (void)state;
    make_folders();
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        put_text(in_room("state/deploys/%u.json", i + 1), bad[i]);
    put_file(in_room("state/deploys/10.json"), "{\"deploy\":10,\"outcome\":\"live\"}\0\n", 32);
    put_text(in_room("state/deploys/20.json"), "{\"deploy\":20,\"outcome\":\"live\"}");
    put_text(in_room("state/deploys/README"), "mine");
    put_text(in_room("state/deploys/021.json"), "mine");
    put_text(in_room("state/deploys/18446744073709551615.json"), "mine");
    put_text(in_room("state/modules/hello/x.so"), "mine");
    put_text(in_room("state/modules/file"), "mine");
    assert_int_equal(mkdir(in_room("state/deploys/30.json"), 0700), 0);
    put_text(in_room("state/31.json"), "{\"deploy\":31,\"outcome\":\"live\"}");
    assert_int_equal(symlink("../31.json", in_room("state/deploys/31.json")), 0);
    assert_int_equal(mkfifo(in_room("state/deploys/32.json"), 0600), 0);
    reopen();
    text = logged();
    assert_non_null(strstr(text, "deploys/1.json (no whole JSON object)"));
    assert_non_null(strstr(text, " more\n"));
    assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
    assert_int_equal(receipt_count(), 1);
    assert_string_equal(field(20, "outcome"), "live");
    assert_int_equal(history_next_deploy(history), 33); /* numbers are never given twice */
    put((struct deployed){.deploy = 33, .generation = 1});
    for (unsigned i = 1; i <= 10; i++)
        assert_true(is_there(in_room("state/deploys/%u.json", i)));
    assert_true(is_there(in_room("state/deploys/README")));
    assert_true(is_there(in_room("state/modules/file")));
    assert_true(is_there(in_room("state/deploys/30.json")));
}

static void a_receipt_nested_too_deeply_or_too_long_is_skipped(void **state)
{
    size_t size = (1 << 20) + 1;
    char *text = malloc(size);

    (void)state;
    make_folders();
    memset(text, ' ', size);
    memcpy(text, "{\"deploy\":1,\"outcome\":\"live\"}", 29);
    put_file(in_room("state/deploys/1.json"), text, size);
    reopen();
    assert_logged("1.json (larger than 1 MiB)");
    put_file(in_room("state/deploys/1.json"), text, size - 1);
    reopen();
    assert_int_equal(receipt_count(), 1);
    memset(text, '[', size);
    put_file(in_room("state/deploys/2.json"), text, size - 1);
    reopen();
    assert_logged("2.json (nested too deeply)");
    free(text);
}

/* The output of many modules can be longer than what is read again. */
static void a_receipt_that_grew_too_long_is_written_without_its_output(void **state)
{
    struct deployed d = {.deploy = 1, .generation = 1};
    cJSON *json = receipt_of(&d);
    char *output = calloc(1, (1 << 20) + 1);

    (void)state;
    memset(output, 'x', 1 << 20);
    cJSON_AddStringToObject(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "apps"), 0), "stderr",
                            output);
    reopen();
    assert_int_equal(history_put(history, json), 0);
    reopen();
    assert_string_equal(field(1, "outcome"), "live");
    assert_silent();
    free(output);
    cJSON_Delete(json);
}

static void the_oldest_receipts_are_forgotten_beyond_the_limit(void **state)
{
    (void)state;
    limits.receipts = 3;
    reopen();
    for (unsigned i = 1; i <= 5; i++)
        put((struct deployed){.deploy = i, .generation = i});
    assert_int_equal(receipt_count(), 3);
    assert_null(history_receipt(history, 2));
    assert_non_null(history_receipt(history, 3));
    assert_false(is_there(in_room("state/deploys/2.json")));
    assert_true(is_there(in_room("state/deploys/3.json")));
    limits.receipts = 0; /* the newest stays: numbers go on from it */
    reopen();
    assert_int_equal(receipt_count(), 1);
    assert_false(is_there(in_room("state/deploys/4.json")));
    assert_int_equal(history_next_deploy(history), 6);
    assert_int_equal(history_last_generation(history, "hello"), 5);
}

/* Otherwise two hundred deployments of others would make an app impossible to roll back. */
static void a_receipt_that_a_rollback_needs_is_not_forgotten(void **state)
{
    (void)state;
    limits.receipts = 4;
    reopen();
    own(3, 0);
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    deploy((struct deployed){.generation = 2, .bytes = "B"});
    deploy((struct deployed){.generation = 3, .from = 2, .kind = "rollback", .bytes = "A"});
    for (unsigned i = 1; i <= 9; i++)
        put((struct deployed){.deploy = 3 + i, .generation = i, .app = "other"});
    assert_int_equal(receipt_count(), 4);
    assert_int_equal(history_last_good(history, "hello"), 3);
    assert_int_equal(history_last_generation(history, "other"), 9); /* also of forgotten ones */
    deploy((struct deployed){.generation = 4, .bytes = "D"});
    own(4, 0);
    put((struct deployed){.deploy = 14, .generation = 10, .app = "other"});
    assert_int_equal(receipt_count(), 5); /* four of kept modules, and the newest */
    reopen();
    assert_int_equal(history_before(history, "hello", 4), 3);
    assert_int_equal(history_before(history, "hello", 3), 0); /* 1 is the same, 2 was left */
}

/* A rollback's receipt says more than its own module: that another one was left. */
static void what_a_rollback_left_stays_known(void **state)
{
    (void)state;
    limits.receipts = 2;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    deploy((struct deployed){.generation = 2, .bytes = "B"});
    put((struct deployed){.deploy = 3,
                          .generation = 3,
                          .from = 2,
                          .kind = "rollback",
                          .bytes = "A"}); /* whose module could not be kept */
    for (unsigned i = 4; i <= 6; i++)
        put((struct deployed){.deploy = i, .generation = i, .app = "other"});
    assert_int_equal(history_last_good(history, "hello"), 1);
}

static void an_app_that_is_not_served_any_more_is_forgotten_with_its_receipts(void **state)
{
    (void)state;
    limits.receipts = 3;
    reopen();
    own(0, 0);
    deploy((struct deployed){.generation = 1, .bytes = "A", .app = "old"});
    deploy((struct deployed){.generation = 2, .bytes = "B", .app = "old"});
    deploy((struct deployed){.generation = 1, .bytes = "C"});
    assert_true(is_kept("old", 1)); /* it may come back */
    put((struct deployed){.deploy = 4, .generation = 2});
    assert_false(is_kept("old", 1));
    assert_true(is_kept("old", 2));
    put((struct deployed){.deploy = 5, .generation = 3});
    assert_false(is_there(in_room("state/modules/old")));
    assert_true(is_kept("hello", 1));
}

/* ---- a disk that refuses ---- */

static void a_full_disk_costs_one_warning_and_nothing_else(void **state)
{
    (void)state;
    reopen();
    put((struct deployed){.deploy = 1, .generation = 1, .outcome = "running"});
    set_disk_full(true);
    put((struct deployed){.deploy = 1, .generation = 1});
    put((struct deployed){.deploy = 2, .generation = 2, .outcome = "running"});
    put((struct deployed){.deploy = 2, .generation = 2});
    set_disk_full(false);
    assert_logged("the history cannot be written: ");
    assert_string_equal(field(2, "outcome"), "live");
    assert_false(is_there(in_room("state/deploys/.2.json.draft")));
    assert_true(is_there(in_room("state/deploys/1.json"))); /* as it was */
    put((struct deployed){.deploy = 3, .generation = 3});
    assert_logged("the history works again");
    reopen(); /* what the disk missed was written then */
    for (unsigned i = 1; i <= 3; i++)
        assert_string_equal(field(i, "outcome"), "live");
    assert_silent();
    set_disk_full(true);
    put((struct deployed){.deploy = 4, .generation = 4});
    set_disk_full(false);
    assert_logged("the history cannot be written: "); /* a second streak, a second warning */
}

static void a_disk_full_until_the_end_leaves_no_wrong_answer(void **state)
{
    (void)state;
    reopen();
    put((struct deployed){.deploy = 1, .generation = 1, .outcome = "running"});
    set_disk_full(true);
    put((struct deployed){.deploy = 1, .generation = 1});
    reopen();
    set_disk_full(false);
    assert_string_equal(field(1, "outcome"), "interrupted");
    assert_non_null(strstr(field(1, "reason"), "written down")); /* true of both cases */
}

static void an_unusable_state_folder_is_one_warning(void **state)
{
    (void)state;
    put_text(folder, "a file");
    reopen();
    put((struct deployed){.deploy = 1, .generation = 1});
    put((struct deployed){.deploy = 2, .generation = 2});
    assert_logged("the history cannot be used");
    assert_int_equal(history_next_deploy(history), 3);
    unlink(folder);
    put((struct deployed){.deploy = 3, .generation = 3});
    assert_logged("the history works again");
    reopen();
    assert_int_equal(receipt_count(), 3);
}

static void receipts_that_could_not_be_read_are_not_overwritten(void **state)
{
    (void)state;
    make_folders();
    put_text(in_room("state/deploys/1.json"), "{\"deploy\":1,\"outcome\":\"live\"}");
    assert_int_equal(rename(folder, in_room("away")), 0);
    put_text(folder, "a file");
    reopen();
    unlink(folder);
    assert_int_equal(rename(in_room("away"), folder), 0);
    put((struct deployed){.deploy = 1, .generation = 1, .outcome = "failed"});
    assert_logged("the history cannot be used");
    assert_string_equal(field(1, "outcome"), "failed");
    reopen();
    assert_string_equal(field(1, "outcome"), "live");
}

static void a_state_folder_that_vanishes_is_made_again(void **state)
{
    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    remove_tree(folder);
    assert_false(is_kept("hello", 1));
    deploy((struct deployed){.generation = 2, .bytes = "B"});
    assert_true(is_kept("hello", 2));
    assert_int_equal(history_before(history, "hello", 2), 0);
    assert_true(is_there(in_room("state/deploys/2.json")));
    assert_silent();
}

static void a_history_in_memory_keeps_receipts_only(void **state)
{
    char *error = NULL;

    (void)state;
    history = history_open(NULL, &limits);
    put((struct deployed){.deploy = 1, .generation = 1});
    assert_string_equal(field(1, "outcome"), "live");
    assert_int_equal(history_keep(history, "hello", 1, "/dev/null", &error), -1);
    assert_non_null(strstr(error, "no state folder"));
    free(error);
    assert_null(history_module(history, "hello", 1));
    assert_false(is_there(folder));
}

/* As with any call of the library, whichever allocation fails. */
static void memory_that_runs_out_is_told_and_nothing_is_lost(void **state)
{
    struct deployed d = {.deploy = 1, .generation = 1, .bytes = "A"};
    cJSON *json = receipt_of(&d);

    (void)state;
    reopen();
    put((struct deployed){.deploy = 1, .generation = 1, .outcome = "failed"});
    for (int i = 0, status = -1; status != 0; i++) {
        fail_allocation(i);
        status = history_put(history, json);
        fail_allocation(-1);
        assert_string_equal(field(1, "outcome"), status == 0 ? "live" : "failed");
    }
    for (int i = 0; i < 100; i++) {
        struct history *other;

        fail_allocation(i);
        other = history_open(folder, &limits);
        fail_allocation(-1);
        history_free(other);
    }
    put((struct deployed){.deploy = 1, .generation = 1});
    logged();
    reopen();
    assert_string_equal(field(1, "outcome"), "live");
    assert_silent();
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_history_is_empty_and_private),
        TEST(receipts_outlive_the_server),
        TEST(receipts_are_ordered_by_number),
        TEST(a_receipt_without_a_number_is_refused),
        TEST(what_was_running_when_the_server_was_killed_is_interrupted),
        TEST(a_deployment_that_goes_on_over_an_exec_stays_running),
        TEST(drafts_of_a_killed_server_are_removed),
        TEST(garbage_is_skipped_left_alone_and_named_once),
        TEST(a_receipt_nested_too_deeply_or_too_long_is_skipped),
        TEST(a_receipt_that_grew_too_long_is_written_without_its_output),
        TEST(the_oldest_receipts_are_forgotten_beyond_the_limit),
        TEST(a_receipt_that_a_rollback_needs_is_not_forgotten),
        TEST(what_a_rollback_left_stays_known),
        TEST(an_app_that_is_not_served_any_more_is_forgotten_with_its_receipts),
        TEST(a_full_disk_costs_one_warning_and_nothing_else),
        TEST(a_disk_full_until_the_end_leaves_no_wrong_answer),
        TEST(an_unusable_state_folder_is_one_warning),
        TEST(receipts_that_could_not_be_read_are_not_overwritten),
        TEST(a_state_folder_that_vanishes_is_made_again),
        TEST(a_history_in_memory_keeps_receipts_only),
        TEST(memory_that_runs_out_is_told_and_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
