/* test_master_history_modules.c: the modules of past deployments are kept whole or not at all, as
 * many as there should be, and a rollback goes to the right one. */
#include "history_case.h"

static void assert_kept_bytes(uint64_t generation, const char *bytes)
{
    char *path = history_module(history, "hello", generation), found[64] = "", *error = NULL;
    struct stat st;
    int fd;

    assert_non_null(path);
    assert_string_equal(path, in_room("state/modules/hello/%" PRIu64 ".so", generation));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, found, sizeof(found) - 1) > 0);
    assert_string_equal(found, bytes);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(history_verify(history, "hello", generation, &error), 0);
    close(fd);
    free(path);
}

static nlink_t links_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_nlink;
}

static void a_module_is_kept_as_a_hard_link(void **state)
{
    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "module"});
    assert_int_equal(links_of(in_room("staged.so")), 2);
    unlink(in_room("staged.so")); /* the spool is emptied at the next start */
    reopen();
    assert_kept_bytes(1, "module");
    assert_int_equal(history_last_generation(history, "hello"), 1);
}

static void a_module_is_copied_where_no_link_is_possible(void **state)
{
    static const int refusals[] = {EXDEV, EPERM, EMLINK};

    (void)state;
    reopen();
    for (unsigned i = 0; i < 6; i++) {
        link_error = refusals[i % 3];
        copy_error = i < 3 ? 0 : EXDEV; /* then by hand */
        deploy((struct deployed){.generation = i + 1, .bytes = "a copied module"});
        assert_int_equal(links_of(in_room("staged.so")), 1);
        assert_kept_bytes(i + 1, "a copied module");
    }
}

static void the_same_generation_can_be_kept_again(void **state)
{
    char *error = NULL;

    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    /* The same file once more: a rename over a link of itself does nothing. */
    assert_int_equal(history_keep(history, "hello", 1, in_room("staged.so"), &error), 0);
    assert_false(is_there(in_room("state/modules/hello/.1.so.draft")));
    assert_kept_bytes(1, "A");
    deploy((struct deployed){.deploy = 1, .generation = 1, .bytes = "B"});
    assert_kept_bytes(1, "B");
}

static void a_module_that_cannot_be_kept_is_a_sentence(void **state)
{
    char *error = NULL;

    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    assert_int_equal(history_keep(history, "hello", 2, in_room("nowhere.so"), &error), -1);
    assert_non_null(strstr(error, "generation 2 of hello cannot be rolled back to"));
    assert_non_null(strstr(error, "No such file"));
    put_text(in_room("staged.so"), "");
    assert_int_equal(history_keep(history, "hello", 2, in_room("staged.so"), &error), -1);
    unlink(in_room("staged.so"));
    put_text(in_room("staged.so"), "B");
    assert_int_equal(history_keep(history, "../hello", 2, in_room("staged.so"), &error), -1);
    assert_false(is_there(in_room("state/hello")));
    link_error = EXDEV;
    for (int i = 0; i < 2; i++, copy_error = EXDEV) {
        set_disk_full(true);
        assert_int_equal(history_keep(history, "hello", 1, in_room("staged.so"), &error), -1);
        set_disk_full(false);
        assert_non_null(strstr(error, "File too large"));
    }
    assert_false(is_there(in_room("state/modules/hello/.1.so.draft")));
    free(error);
    deploy((struct deployed){.generation = 3, .bytes = "C"});
    assert_false(is_kept("hello", 2));
    assert_int_equal(history_before(history, "hello", 3), 0); /* 1 lies there emptied by us */
}

/* Killed between keeping it and writing its receipt. */
static void a_module_without_a_receipt_still_has_its_number(void **state)
{
    (void)state;
    reopen();
    keep_bytes("hello", 9, "I");
    reopen();
    assert_int_equal(history_last_generation(history, "hello"), 9);
    assert_int_equal(history_last_good(history, "hello"), 0); /* who knows whether it was live */
}

static void a_module_that_changed_is_refused(void **state)
{
    char *error = NULL;

    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "AAAA"});
    put_text(in_room("state/modules/hello/1.so"), "AABA");
    assert_int_equal(history_verify(history, "hello", 1, &error), -1);
    assert_non_null(strstr(error, "is not what was deployed as generation 1 of hello"));
    put_text(in_room("state/modules/hello/1.so"), "");
    assert_null(history_module(history, "hello", 1));
    assert_int_equal(history_verify(history, "hello", 1, &error), -1);
    assert_string_equal(error, "generation 1 of hello is not kept");
    keep_bytes("hello", 2, "B");
    assert_null(history_sha256(history, "hello", 2));
    assert_int_equal(history_verify(history, "hello", 2, &error), -1);
    assert_non_null(strstr(error, "no receipt tells its SHA-256"));
    free(error);
    assert_string_equal(history_sha256(history, "hello", 1), sum_of("AAAA"));
}

static void a_link_in_the_place_of_a_module_is_not_followed(void **state)
{
    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    assert_int_equal(rename(in_room("state/modules/hello/1.so"), in_room("state/1.so")), 0);
    assert_int_equal(symlink("../../1.so", in_room("state/modules/hello/1.so")), 0);
    assert_false(is_kept("hello", 1));
    assert_int_equal(rename(in_room("state/modules/hello"), in_room("state/elsewhere")), 0);
    assert_int_equal(symlink("../elsewhere", in_room("state/modules/hello")), 0);
    put_text(in_room("state/elsewhere/5.so"), "E");
    assert_false(is_kept("hello", 5));
}

static void the_oldest_modules_are_forgotten_beyond_the_limit(void **state)
{
    char bytes[] = "A";

    (void)state;
    limits.modules = 2;
    reopen();
    for (unsigned i = 1; i <= 5; i++, bytes[0]++) {
        own(i, 0);
        deploy((struct deployed){.generation = i, .bytes = bytes});
    }
    assert_false(is_kept("hello", 2));
    assert_true(is_kept("hello", 3)); /* two, beside the live one */
    assert_true(is_kept("hello", 4));
    assert_true(is_kept("hello", 5));
    deploy((struct deployed){.generation = 1, .bytes = "X", .app = "other"});
    assert_true(is_kept("hello", 3)); /* each app for itself */
    limits.modules = 0;
    history_set_limits(history, &limits);
    own(4, 0);
    deploy((struct deployed){.generation = 6, .bytes = "F"});
    assert_false(is_kept("hello", 3));
    assert_true(is_kept("hello", 4)); /* needed */
    assert_false(is_kept("hello", 5));
    assert_true(is_kept("hello", 6)); /* just kept */
}

/* Each start deploys the same file once more, as a generation of its own. */
static void restarts_do_not_push_out_other_builds(void **state)
{
    (void)state;
    limits.modules = 2;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    for (unsigned i = 2; i <= 9; i++) {
        reopen();
        own(i, 0);
        deploy((struct deployed){.generation = i, .kind = "start", .bytes = "B"});
    }
    assert_true(is_kept("hello", 1));
    assert_int_equal(history_before(history, "hello", 9), 1);
}

/* ---- where a rollback goes ---- */

static void a_rollback_goes_to_the_build_before(void **state)
{
    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    deploy((struct deployed){.generation = 2, .bytes = "B"});
    deploy((struct deployed){.generation = 3, .bytes = "C"});
    put((struct deployed){.deploy = 4, .generation = 4, .outcome = "rejected", .bytes = "D"});
    put((struct deployed){.deploy = 5, .generation = 5, .outcome = "rolled back", .bytes = "E"});
    keep_bytes("hello", 5, "E"); /* a canary that was taken back */
    assert_int_equal(history_before(history, "hello", 3), 2);
    assert_int_equal(history_last_good(history, "hello"), 3);
    deploy((struct deployed){.generation = 6, .from = 3, .kind = "rollback", .bytes = "B"});
    assert_int_equal(history_last_good(history, "hello"), 6);
    assert_int_equal(history_before(history, "hello", 6), 1); /* never back to 3 */
    put((struct deployed){
        .deploy = 7, .generation = 7, .from = 6, .kind = "rollback", .outcome = "rejected"});
    assert_int_equal(history_last_good(history, "hello"), 6); /* that rollback left nothing */
    deploy((struct deployed){.generation = 8, .bytes = "C"}); /* mended, or believed to be */
    deploy((struct deployed){.generation = 9, .bytes = "D"});
    assert_int_equal(history_before(history, "hello", 9), 8);
    reopen();
    assert_int_equal(history_before(history, "hello", 9), 8);
    assert_int_equal(history_before(history, "other", 9), 0);
}

static void a_rollback_changes_something(void **state)
{
    (void)state;
    reopen();
    deploy((struct deployed){.generation = 1, .bytes = "A"});
    deploy((struct deployed){.generation = 2, .bytes = "B"});
    deploy((struct deployed){.generation = 3, .kind = "start", .bytes = "B"});
    assert_int_equal(history_before(history, "hello", 3), 1);
    unlink(in_room("state/modules/hello/1.so"));
    assert_int_equal(history_before(history, "hello", 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_module_is_kept_as_a_hard_link),
        TEST(a_module_is_copied_where_no_link_is_possible),
        TEST(the_same_generation_can_be_kept_again),
        TEST(a_module_that_cannot_be_kept_is_a_sentence),
        TEST(a_module_without_a_receipt_still_has_its_number),
        TEST(a_module_that_changed_is_refused),
        TEST(a_link_in_the_place_of_a_module_is_not_followed),
        TEST(the_oldest_modules_are_forgotten_beyond_the_limit),
        TEST(restarts_do_not_push_out_other_builds),
        TEST(a_rollback_goes_to_the_build_before),
        TEST(a_rollback_changes_something),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
