/* test_base_config_compare.c: what may change while the server runs, and the sentence for what may
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"

#define L "listen \"127.0.0.1:8080\" { }\n"
#define A "app \"a\" { module = \"a.so\" }\n"

static char room[64] = "/tmp/reeve-test-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int enter_room(void **state)
{
    (void)state;
    if (mkdtemp(room) == NULL || chdir(room) != 0)
        return -1;
    write_file("a.so", "");
    write_file("b.so", "");
    setenv("RUNTIME_DIRECTORY", "/run/reeve-test", 1);
    setenv("STATE_DIRECTORY", "/var/lib/reeve-test", 1);
    return 0;
}

static int leave_room(void **state)
{
    (void)state;
    unlink("a.so");
    unlink("b.so");
    unlink("t.conf");
    return chdir("/") == 0 ? rmdir(room) : -1;
}

static struct config *load(const char *text)
{
    struct config *config;
    char *error = NULL;

    write_file("t.conf", text);
    config = config_load("t.conf", &error);
    if (config == NULL)
        fail_msg("%s", error);
    return config;
}

static void assert_accepted(const char *now, const char *next)
{
    struct config *a = load(now), *b = load(next);
    char *error = NULL;

    if (config_compare(a, b, &error) != 0)
        fail_msg("%s", error);
    config_free(a);
    config_free(b);
}

static void assert_refused(const char *now, const char *next, const char *sentence)
{
    struct config *a = load(now), *b = load(next);
    char *error = NULL, expected[512];

    snprintf(expected, sizeof expected, "%s/t.conf%s", room, sentence);
    assert_int_equal(config_compare(a, b, &error), -1);
    assert_non_null(error);
    assert_string_equal(error, expected);
    free(error);
    config_free(a);
    config_free(b);
}

static void most_things_may_change(void **state)
{
    (void)state;
    assert_accepted(
        "workers = 2\n" L A,
        "workers = 5 log_file = log log_level = debug access_log = acc access_format = json\n"
        "boot_timeout = 1s drain_timeout = 2s unload_wait = 3s unload_timeout = 4s keep = 3\n"
        "keep_receipts = 11 fallback = last-good max_unavailable = 2 stack_size = 64k\n"
        "max_head = 64k keep_alive = 0 server_header = off\n"
        "listen \"127.0.0.1:1\" { }\n listen \"127.0.0.1:8080\" { backlog = 3 }\n"
        "app b { module = b.so }");
    assert_accepted("workers = 1\n" L A, "workers = auto\n" L A);
    assert_accepted(L A, "listen \"127.0.0.1:8080\" { protocol = chat app = a }\n" A);
}

static void what_is_fixed_at_the_start_has_its_sentence(void **state)
{
    (void)state;
    assert_refused("workers = 2 max_workers = 9\n" L A, "workers = 2\nmax_workers = 10\n" L A,
                   ":2: max_workers cannot change while the server runs (it is 9): stop the server "
                   "and start it again");
    assert_refused("workers = 2 max_workers = 9\n" L A, "workers = 2\n" L A,
                   ": max_workers cannot change while the server runs (it is 9): stop the server "
                   "and start it again");
    assert_refused(L A, "\n\nmax_apps = 33\n" L A,
                   ":3: max_apps cannot change while the server runs (it is 32): stop the server "
                   "and start it again");
    assert_refused(L A, "pubsub_ring = 64k\n" L A,
                   ":1: pubsub_ring cannot change while the server runs (it is 1024k): stop the "
                   "server and start it again");
    assert_refused(L A, "control = /c.sock\n" L A,
                   ":1: control cannot change while the server runs (it is "
                   "\"/run/reeve-test/control.sock\"): stop the server and start it again");
    assert_refused("state_dir = /s\n" L A, L A "state_dir = /t\n",
                   ":3: state_dir cannot change while the server runs (it is \"/s\"): stop the "
                   "server and start it again");
    assert_refused(L A, L A "pid_file = /tmp/p\n",
                   ":3: pid_file cannot change while the server runs (it was started without): "
                   "stop the server and start it again");
    assert_refused("pid_file = /tmp/p\n" L A, L A,
                   ": pid_file cannot change while the server runs (it is \"/tmp/p\"): stop the "
                   "server and start it again");
}

static void the_same_said_otherwise_is_no_change(void **state)
{
    (void)state;
    assert_accepted("workers = 2 max_workers = 16\n" L A, "workers = 2\n" L A);
    assert_accepted(L A, "max_apps = 32 pid_file = off control = auto pubsub_ring = 1024k\n" L A);
    assert_accepted(L A, "control = /run/reeve-test/control.sock\n" L A);
}

/* "max_workers = auto" follows from `workers`: the scoreboard is as large as it was made. */
static void what_is_auto_stays_as_it_was_at_the_start(void **state)
{
    struct config *now = load("workers = 2\n" L A), *next = load("workers = 12\n" L A);
    char *error = NULL;

    (void)state;
    assert_int_equal(next->max_workers, 28);
    assert_int_equal(config_compare(now, next, &error), 0);
    assert_int_equal(next->max_workers, 16);
    config_free(next);

    setenv("RUNTIME_DIRECTORY", "/elsewhere", 1);
    setenv("STATE_DIRECTORY", "/elsewhere", 1);
    next = load("workers = 2\n" L A);
    assert_int_equal(config_compare(now, next, &error), 0);
    assert_string_equal(next->control, "/run/reeve-test/control.sock");
    assert_string_equal(next->state_dir, "/var/lib/reeve-test");
    config_free(next);
    config_free(now);
    setenv("RUNTIME_DIRECTORY", "/run/reeve-test", 1);
    setenv("STATE_DIRECTORY", "/var/lib/reeve-test", 1);
}

static void workers_must_fit_what_is_there(void **state)
{
    (void)state;
    assert_accepted("workers = 2\n" L A, "workers = 15\n" L A);
    assert_refused("workers = 2\n" L A, "\nworkers = 16\n" L A,
                   ":2: workers = 16 is too many: max_workers is 16 and cannot change while the "
                   "server runs: stop the server and start it again");
    assert_refused("workers = 2\n" L A, "workers = 14\nmax_unavailable = 16\n" L A,
                   ":2: max_unavailable = 16 must be less than max_workers, which is 16 and cannot "
                   "change while the server runs");
}

static bool is_equal(const char *a, const char *b)
{
    char text[512];
    struct config *left, *right;
    bool is;

    snprintf(text, sizeof text, L "app a { module = a.so %s }", a);
    left = load(text);
    snprintf(text, sizeof text, L "\napp a { module = %s }", b);
    right = load(text);
    is = config_app_equal(&left->apps[0], &right->apps[0]);
    config_free(left);
    config_free(right);
    return is;
}

static void an_app_is_the_same_by_what_it_can_see(void **state)
{
    (void)state;
    assert_true(is_equal("", "a.so"));
    assert_true(is_equal("mount = /", "./a.so listen = \"127.0.0.1:8080\""));
    assert_true(is_equal("option { x = 1 y = 2 }", "a.so option { y = 2 x = 1 }"));
    assert_true(is_equal("option { x = 1 }", "a.so option { x = 2 x = 1 }")); /* the last holds */
    assert_true(is_equal("request_timeout = 1s", "a.so"));
    assert_false(is_equal("", "b.so"));
    assert_false(is_equal("mount = /a", "a.so"));
    assert_false(is_equal("option { x = 1 }", "a.so"));
    assert_false(is_equal("", "a.so option { x = 1 }"));
    assert_false(is_equal("option { x = 1 }", "a.so option { x = 2 }"));
}

/* ---- places ------------------------------------------------------------------------------------
 */

static void assert_places(const char *text, const char *sentence)
{
    struct config *config = load(text);
    char *error = NULL, expected[512];
    int status = config_check_places(config, &error);

    config_free(config);
    if (sentence == NULL) {
        if (status != 0)
            fail_msg("%s", error);
        return;
    }
    snprintf(expected, sizeof expected, "%s/t.conf:%s", room, sentence);
    assert_int_equal(status, -1);
    assert_non_null(error);
    assert_string_equal(error, expected);
    free(error);
}

static void places_that_can_be_made_pass(void **state)
{
    (void)state;
    assert_places(L A, NULL); /* auto: who knows who will start it */
    assert_places("control = c.sock state_dir = s\n" L A, NULL);
    assert_places("control = new/c.sock state_dir = new/and/deep\n" L A, NULL);
    assert_int_equal(access("new", F_OK), -1);
    assert_places("state_dir = .\n" L A, NULL);
}

static void places_that_cannot_be_made_have_their_sentence(void **state)
{
    (void)state;
    assert_places("workers = 1\ncontrol = /dev/null\n" L A,
                  "2: control: \"/dev/null\" is there already, and is no socket");
    assert_places("control = /no/such/folder/c.sock\n" L A,
                  "1: control: the folder of \"/no/such/folder/c.sock\" cannot be made: there is "
                  "nothing below \"/\" yet");
    assert_places("control = /dev/null/c.sock\n" L A,
                  "1: control: \"/dev/null/c.sock\" cannot be made: /dev/null: Not a directory");
    assert_places(L A "state_dir = /dev/null\n",
                  "3: state_dir: nothing can be kept in \"/dev/null\": /dev/null: Not a directory");
}

static void a_folder_that_may_not_be_written_is_refused(void **state)
{
    struct config *config = load("state_dir = s\n" L A);
    bool is_root = geteuid() == 0; /* who may write anywhere */
    char *error = NULL;
    int status;

    (void)state;
    assert_int_equal(chmod(room, 0555), 0);
    if (is_root && seteuid(65534) != 0)
        skip();
    status = config_check_places(config, &error);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(room, 0700), 0);
    assert_int_equal(status, -1);
    assert_non_null(strstr(error, ":1: state_dir: nothing can be kept in "));
    assert_non_null(strstr(error, ": Permission denied"));
    free(error);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_things_may_change),
        cmocka_unit_test(what_is_fixed_at_the_start_has_its_sentence),
        cmocka_unit_test(the_same_said_otherwise_is_no_change),
        cmocka_unit_test(what_is_auto_stays_as_it_was_at_the_start),
        cmocka_unit_test(workers_must_fit_what_is_there),
        cmocka_unit_test(an_app_is_the_same_by_what_it_can_see),
        cmocka_unit_test(places_that_can_be_made_pass),
        cmocka_unit_test(places_that_cannot_be_made_have_their_sentence),
        cmocka_unit_test(a_folder_that_may_not_be_written_is_refused),
    };

    return cmocka_run_group_tests(tests, enter_room, leave_room);
}
