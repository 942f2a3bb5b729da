/* test_base_config.c: what a configuration may say, and the very sentence an operator gets for what
 * it may not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/config_parts.h"
#include "base/paths.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define L "listen \"127.0.0.1:8080\" { }\n"
#define A "app \"a\" { module = \"a.so\" }\n"

static char top[4096];  /* of the repository: where the test was started */
static char room[4096]; /* a temporary folder, the current one while the tests run */

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_file(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static int enter_room(void **state)
{
    char name[] = "/tmp/reeve-test-XXXXXX";

    (void)state;
    if (getcwd(top, sizeof top) == NULL || mkdtemp(name) == NULL || chdir(name) != 0)
        return -1;
    if (getcwd(room, sizeof room) == NULL || mkdir("folder", 0755) != 0)
        return -1;
    write_file("a.so", "");
    write_file("b.so", "");
    write_file("secret.so", "");
    unsetenv("REEVE_TEST");
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    setenv("RUNTIME_DIRECTORY", "/run/reeve-test", 1);
    return chmod("secret.so", 0);
}

static int leave_room(void **state)
{
    static const char *const files[] = {"a.so", "b.so", "secret.so", "t.conf", "folder/a.so"};

    (void)state;
    for (size_t i = 0; i < COUNT(files); i++)
        unlink(files[i]);
    rmdir("folder");
    return chdir(top) == 0 ? rmdir(room) : -1;
}

/* "FOLDER/name" */
static const char *in_room(const char *name)
{
    static char path[sizeof room + 64];

    snprintf(path, sizeof path, "%s/%s", room, name);
    return path;
}

static struct config *load_file(const char *path)
{
    char *error = NULL;
    struct config *config = config_load(path, &error);

    if (config == NULL)
        fail_msg("%s", error);
    return config;
}

static struct config *load(const char *text)
{
    write_file("t.conf", text);
    return load_file("t.conf");
}

static void assert_refused(const char *text, const char *sentence)
{
    struct config *config;
    char *error = NULL;

    write_file("t.conf", text);
    config = config_load("t.conf", &error);
    if (config != NULL)
        fail_msg("this was accepted:\n%s", text);
    assert_non_null(error);
    assert_string_equal(error, sentence);
    free(error);
}

/* ---- durations and sizes --------------------------------------------------------------------- */

static void durations_have_units_and_are_seconds_without(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"30", 30 * NS_PER_SEC},
        {"500ms", 500 * NS_PER_MS},
        {"30s", 30 * NS_PER_SEC},
        {"5m", 300 * NS_PER_SEC},
        {"2h", 7200 * NS_PER_SEC},
        {"1d", 86400 * NS_PER_SEC},
        {"18446744073s", 18446744073 * NS_PER_SEC},
    };
    static const char *const bad[] = {
        "",     "s",   "-1s",  "+1s",     "1.5s", " 1s",          "1s ",
        "1 s",  "1S",  "1us",  "1sec",    "1h5m", "18446744074s", "99999999999999999999",
        "0x10", "1e3", "soon", "213504d",
    };
    uint64_t ns = 7;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(config_duration(good[i].text, &ns), 0);
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (config_duration(bad[i], &ns) != -1)
            fail_msg("accepted: \"%s\"", bad[i]);
    }
}

static void sizes_have_units_and_are_bytes_without(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},        {"512", 512},     {"64k", 65536},
        {"64K", 65536},  {"16m", 1 << 24}, {"16M", 1 << 24},
        {"1g", 1 << 30}, {"1G", 1 << 30},  {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {"",   "k",   "-1", "1.5k", "1kb",          "1 k",
                                      "1t", "0x1", "1b", "k1",   "17179869184g", "lots"};
    uint64_t bytes = 7;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(config_size(good[i].text, &bytes), 0);
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (config_size(bad[i], &bytes) != -1)
            fail_msg("accepted: \"%s\"", bad[i]);
    }
}

/* ---- what is accepted ------------------------------------------------------------------------ */

static void the_defaults_are_those_of_the_header(void **state)
{
    struct config *config = load(L A);

    (void)state;
    assert_string_equal(config->path, in_room("t.conf"));
    assert_true(config->is_workers_auto);
    assert_in_range(config->workers, 1, 1000);
    assert_int_equal(config->max_workers, config->workers < 6 ? 16 : 2 * config->workers + 4);
    assert_int_equal(config->max_apps, 32);
    assert_string_equal(config->control, "/run/reeve-test/control.sock");
    assert_null(config->pid_file);
    assert_null(config->log_file);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_null(config->access_log);
    assert_int_equal(config->access_format, ACCESS_COMBINED);
    assert_true(config->boot_timeout == 30 * NS_PER_SEC);
    assert_true(config->prepare_timeout == 30 * NS_PER_SEC);
    assert_true(config->drain_timeout == 30 * NS_PER_SEC);
    assert_true(config->unload_wait == 5 * NS_PER_SEC);
    assert_true(config->hang_timeout == 30 * NS_PER_SEC);
    assert_true(config->unload_timeout == 0);
    assert_true(config->upgrade_timeout == 30 * NS_PER_SEC);
    assert_int_equal(config->max_unavailable, 1);
    assert_int_equal(config->keep, 10);
    assert_int_equal(config->keep_receipts, 200);
    assert_int_equal(config->fallback, FALLBACK_NONE);
    assert_true(config->head_timeout == 30 * NS_PER_SEC);
    assert_true(config->body_timeout == 60 * NS_PER_SEC);
    assert_true(config->keep_alive == 75 * NS_PER_SEC);
    assert_true(config->write_timeout == 60 * NS_PER_SEC);
    assert_int_equal(config->max_head, 32 << 10);
    assert_int_equal(config->max_target, 8 << 10);
    assert_int_equal(config->max_headers, 100);
    assert_int_equal(config->max_body, 0);
    assert_int_equal(config->max_connections, 0);
    assert_int_equal(config->stack_size, 256 << 10);
    assert_int_equal(config->offload_threads, 4);
    assert_int_equal(config->pubsub_ring, 1 << 20);
    assert_true(config->server_header);
    assert_int_equal(config->listen_count, 1);
    assert_string_equal(config->listens[0].name, "127.0.0.1:8080");
    assert_int_equal(config->listens[0].backlog, 511);
    assert_int_equal(config->listens[0].mode, 0660);
    assert_int_equal(config->listens[0].protocol, LISTEN_HTTP);
    assert_null(config->listens[0].app);
    assert_int_equal(config->listens[0].line, 1);
    assert_int_equal(config->app_count, 1);
    assert_string_equal(config->apps[0].name, "a");
    assert_string_equal(config->apps[0].module, in_room("a.so"));
    assert_string_equal(config->apps[0].mount, "/");
    assert_int_equal(config->apps[0].listen_count, 0);
    assert_int_equal(config->apps[0].option_count, 0);
    assert_true(config->apps[0].request_timeout == 0);
    assert_int_equal(config->apps[0].client_gone, CLIENT_GONE_RESET);
    assert_int_equal(config->apps[0].line, 2);
    assert_int_equal(config->apps[0].column, 0);
    config_free(config);
}

static void every_key_is_taken_as_it_is_written(void **state)
{
    struct config *config = load("workers = 3 max_workers = 010\n"
                                 "max_apps = 2 control = run/c.sock state_dir = ./state\n"
                                 "pid_file = folder/pid log_file = \"log\" log_level = debug\n"
                                 "access_log = '/dev/stdout' access_format = json\n"
                                 "boot_timeout = 1ms prepare_timeout = 2s drain_timeout = 3m\n"
                                 "unload_wait = 0 hang_timeout = 1d head_timeout = 4\n"
                                 "body_timeout = 5s keep_alive = 0 write_timeout = 6s\n"
                                 "max_head = 1k max_target = 1023 max_headers = 7\n"
                                 "max_body = 2g max_connections = 9 stack_size = 64m\n"
                                 "unload_timeout = 7m upgrade_timeout = 8s max_unavailable = 9\n"
                                 "keep = 1 keep_receipts = 10000 fallback = last-good\n"
                                 "server_header = off offload_threads = 64 pubsub_ring = 2m\n" L A);

    (void)state;
    assert_int_equal(config->workers, 3);
    assert_false(config->is_workers_auto);
    assert_int_equal(config->max_workers, 10);
    assert_int_equal(config->max_apps, 2);
    assert_string_equal(config->control, in_room("run/c.sock"));
    assert_string_equal(config->state_dir, in_room("state"));
    assert_string_equal(config->pid_file, in_room("folder/pid"));
    assert_string_equal(config->log_file, in_room("log"));
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(config->access_log, "/dev/stdout");
    assert_int_equal(config->access_format, ACCESS_JSON);
    assert_true(config->boot_timeout == NS_PER_MS);
    assert_true(config->prepare_timeout == 2 * NS_PER_SEC);
    assert_true(config->drain_timeout == 180 * NS_PER_SEC);
    assert_true(config->unload_wait == 0);
    assert_true(config->hang_timeout == 86400 * NS_PER_SEC);
    assert_true(config->head_timeout == 4 * NS_PER_SEC);
    assert_true(config->body_timeout == 5 * NS_PER_SEC);
    assert_true(config->keep_alive == 0);
    assert_true(config->write_timeout == 6 * NS_PER_SEC);
    assert_int_equal(config->max_head, 1024);
    assert_int_equal(config->max_target, 1023);
    assert_int_equal(config->max_headers, 7);
    assert_true(config->max_body == 2ull << 30);
    assert_int_equal(config->max_connections, 9);
    assert_int_equal(config->stack_size, 64 << 20);
    assert_int_equal(config->offload_threads, 64);
    assert_int_equal(config->pubsub_ring, 2 << 20);
    assert_false(config->server_header);
    assert_true(config->unload_timeout == 420 * NS_PER_SEC);
    assert_true(config->upgrade_timeout == 8 * NS_PER_SEC);
    assert_int_equal(config->max_unavailable, 9);
    assert_int_equal(config->keep, 1);
    assert_int_equal(config->keep_receipts, 10000);
    assert_int_equal(config->fallback, FALLBACK_LAST_GOOD);
    config_free(config);
}

static void sections_have_keys_lists_and_options(void **state)
{
    struct config *config = load("listen \"127.0.0.1:1\" { name = \"main\" backlog = 5 }\n"
                                 "listen \"unix:x.sock\"\n{ mode = 0600 }\n"
                                 "app\n  \"one\"\n{\n  module = a.so mount = \"/o/n.e\"\n"
                                 "  listen = {\"main\", 'unix:x.sock'}\n"
                                 "  option { root = \"a b\" \"k y\" = v empty = \"\" }\n}\n"
                                 "app two { module = b.so listen = main }\n"
                                 "app three { module = b.so listen = {} mount = /3 }\n");
    const struct config_app *one = &config->apps[0];

    (void)state;
    assert_int_equal(config->listen_count, 2);
    assert_string_equal(config->listens[0].name, "main");
    assert_string_equal(config->listens[0].address.text, "127.0.0.1:1");
    assert_int_equal(config->listens[0].backlog, 5);
    assert_string_equal(config->listens[1].address.addr.un.sun_path, in_room("x.sock"));
    assert_int_equal(config->listens[1].mode, 0600);
    assert_int_equal(config->app_count, 3);
    assert_string_equal(one->module, in_room("a.so"));
    assert_string_equal(one->mount, "/o/n.e");
    assert_int_equal(one->line, 5);
    assert_int_equal(one->listen_count, 2);
    assert_string_equal(one->listens[0], "main");
    assert_string_equal(one->listens[1], config->listens[1].name);
    assert_int_equal(one->option_count, 3);
    assert_string_equal(config_app_option(one, "root"), "a b");
    assert_string_equal(config_app_option(one, "k y"), "v");
    assert_string_equal(config_app_option(one, "empty"), "");
    assert_null(config_app_option(one, "other"));
    assert_int_equal(config->apps[1].line, 11);
    assert_int_equal(config->apps[1].listen_count, 1);
    assert_int_equal(config->apps[2].listen_count, 0);
    assert_int_equal(config->apps[2].column, 2); /* until somebody knows better */
    config_free(config);
}

static void an_app_has_the_servers_time_limit_or_its_own(void **state)
{
    struct config *config =
        load("app a { module = a.so }\n"
             "app b { module = a.so mount = /b request_timeout = 5m }\n"
             "app c { module = a.so mount = /c request_timeout = 0 }\n"
             "app d { module = a.so mount = /d request_timeout = auto client_gone = close }\n" L
             "request_timeout = 1500ms\n");

    (void)state;
    assert_true(config->request_timeout == 1500 * NS_PER_MS);
    assert_true(config->apps[0].request_timeout == 1500 * NS_PER_MS);
    assert_true(config->apps[1].request_timeout == 300 * NS_PER_SEC);
    assert_true(config->apps[2].request_timeout == 0);
    assert_true(config->apps[3].request_timeout == 1500 * NS_PER_MS);
    assert_int_equal(config->apps[3].client_gone, CLIENT_GONE_CLOSE);
    config_free(config);
}

static void an_app_may_name_a_listener_that_follows_or_by_its_address(void **state)
{
    struct config *config = load("app a { module = a.so listen = {\":80\"} }\n"
                                 "app b { module = b.so listen = {\"127.0.0.1:81\"} }\n"
                                 "listen \"*:80\" { name = all }\nlisten \"127.0.0.1:81\" { }\n");

    (void)state;
    assert_string_equal(config->apps[0].listens[0], "all");
    assert_string_equal(config->apps[1].listens[0], "127.0.0.1:81");
    config_free(config);
}

static void a_chat_listener_belongs_to_the_app_that_it_names(void **state)
{
    struct config *config = load("listen \"127.0.0.1:1\" { app = two protocol = chat }\n"
                                 "app one { module = a.so }\n"
                                 "app two { module = b.so mount = /two }\n"
                                 "listen \"127.0.0.1:2\" { protocol = http }\n"
                                 "listen \"127.0.0.1:3\" { protocol = chat app = \"one\" }\n");

    (void)state;
    assert_int_equal(config->listens[0].protocol, LISTEN_CHAT);
    assert_string_equal(config->listens[0].app, "two");
    assert_int_equal(config->listens[0].app_index, 1);
    assert_int_equal(config->listens[1].protocol, LISTEN_HTTP);
    assert_null(config->listens[1].app);
    assert_int_equal(config->listens[2].app_index, 0);
    config_free(config);

    /* HTTP need not be spoken at all. */
    config = load("listen \"127.0.0.1:1\" { protocol = chat app = a }\n" A);
    assert_int_equal(config->listen_count, 1);
    config_free(config);
}

static void comments_may_stand_anywhere_and_lines_stay_right(void **state)
{
    (void)state;
    config_free(load("\xef\xbb\xbf# a \" quote { and a brace\r\n" L "// another '\r\n"
                     "app /* here */ \"a\" # there\n{ # and\n module = # here\n \"a.so\"\n"
                     " listen = { # first\n \"127.0.0.1:8080\" /* and\nlast */ } }\n"));
}

static void strings_take_environment_variables(void **state)
{
    struct config *config;

    (void)state;
    setenv("REEVE_TEST", "a.so", 1);
    config = load(L "app a { module = \"${REEVE_TEST}\" option { x = \"<${NO_SUCH_1:-none}>\"\n"
                    "y = '${NO_SUCH_2}' z = ${REEVE_TEST} } }\n");
    assert_string_equal(config->apps[0].module, in_room("a.so"));
    assert_string_equal(config_app_option(&config->apps[0], "x"), "<none>");
    assert_string_equal(config_app_option(&config->apps[0], "y"), "${NO_SUCH_2}");
    assert_string_equal(config_app_option(&config->apps[0], "z"), "a.so");
    config_free(config);
    unsetenv("REEVE_TEST");
}

static void apps_without_a_common_listener_may_share_a_mount(void **state)
{
    (void)state;
    config_free(load("listen \"127.0.0.1:1\" { }\nlisten \"127.0.0.1:2\" { }\n"
                     "app a { module = a.so listen = \"127.0.0.1:1\" }\n"
                     "app b { module = a.so listen = \"127.0.0.1:2\" }\n"));
}

static void a_leftover_errno_does_no_harm(void **state)
{
    (void)state;
    errno = ERANGE;
    config_free(load("workers = 2\n" L A));
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void each_mistake_has_its_sentence(void **state)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        /* the text */
        {"", "t.conf: no listener: add one, such as listen \"127.0.0.1:8080\" { }"},
        {L "workers = \"2\n" A, "t.conf:2: the string is not closed on its line"},
        {L "\n/* workers\n" A, "t.conf:3: the comment that begins here is never closed"},
        {L "app a {\n module = a.so\n", "t.conf:2: the \"{\" that begins here is never closed"},
        {L "app a {\n option {\n", "t.conf:3: the \"{\" that begins here is never closed"},
        {L A "}\n", "t.conf:3: unexpected \"}\""},
        {"{{{{{{{{{", "t.conf:1: too many braces are open"},
        {L "\nuser = \"${NO_SUCH_1}\"",
         "t.conf:3: the environment variable \"NO_SUCH_1\" is not set"},
        {L "user = ${NO_SUCH_1}", "t.conf:2: the environment variable \"NO_SUCH_1\" is not set"},
        {L "user = \"${HOME\"", "t.conf:2: the \"}\" of a variable ${...} is missing"},
        {"\n\x01", "t.conf:2: this is no text: there is a byte 0x01 in it"},
        /* the grammar */
        {"# one\n# two\nwrokers = 2\n" L A, "t.conf:3: unknown key \"wrokers\""},
        {"listen \"127.0.0.1:1\" {\n backlogg = 2 }",
         "t.conf:2: unknown key \"backlogg\" in listen \"127.0.0.1:1\""},
        {L "app a {\n module = a.so\n mont = / }", "t.conf:4: unknown key \"mont\" in app \"a\""},
        {L A "app|module = b.so", "t.conf:3: unknown key \"module\""},
        {L A "app|listen = b.so", "t.conf:3: unknown key \"listen\""},
        {"app|module = b.so", "t.conf:1: unknown key \"app\""},
        {"\"\" = 3", "t.conf:1: this cannot be understood"},
        {"workers 2", "t.conf:1: \"=\" is missing after \"workers\""},
        {"workers += 2", "t.conf:1: \"+=\" adds to lists, but this is none: \"workers\""},
        {"workers =", "t.conf:1: the file ends where a value should be"},
        {"workers = 2 3", "t.conf:1: unknown key \"3\""},
        {"workers = = 3", "t.conf:1: unexpected \"=\""},
        {"workers = {2}", "t.conf:1: unexpected \"{\""},
        {"listen { }", "t.conf:1: a name or address in quotes is missing after \"listen\""},
        {"listen \"127.0.0.1:1\" backlog = 3",
         "t.conf:1: \"{\" is missing after the name of \"listen\""},
        {L "app a { listen = {\"x\" \"y\"} }", "t.conf:2: unexpected \"y\" in app \"a\""},
        {L "app a { option { x } }", "t.conf:2: \"=\" is missing after \"x\""},
        {"workers = \"\\400\"", "t.conf:1: a byte has no such number: \"\\400\""},
        {"workers = \"\\99\"", "t.conf:1: unknown escape \"\\99\""},
        {"workers = 2\n\nworkers = 3\n", "t.conf:3: \"workers\" was already set in line 1"},
        {L "app a { module = a.so\n module = b.so }",
         "t.conf:3: \"module\" was already set in line 2"},
        /* values */
        {"workers = 0", "t.conf:1: workers must be auto or a number from 1 to 1000, not \"0\""},
        {"workers = 2.5", "t.conf:1: workers must be auto or a number from 1 to 1000, not \"2.5\""},
        {"workers = 12abc",
         "t.conf:1: workers must be auto or a number from 1 to 1000, not \"12abc\""},
        {"workers = -1", "t.conf:1: workers must be auto or a number from 1 to 1000, not \"-1\""},
        {"max_workers = 1",
         "t.conf:1: max_workers must be auto or a number from 2 to 4096, not \"1\""},
        {"max_apps = 4294967297",
         "t.conf:1: max_apps must be a number from 1 to 1000, not \"4294967297\""},
        {"\nboot_timeout = 0", "t.conf:2: boot_timeout must be a duration from 1ms to 1d "
                               "(seconds, or with ms, s, m, h or d), not \"0\""},
        {"keep_alive = 2d", "t.conf:1: keep_alive must be a duration from 0 to 1d "
                            "(seconds, or with ms, s, m, h or d), not \"2d\""},
        {"head_timeout = \"soon\"", "t.conf:1: head_timeout must be a duration from 1ms to 1d "
                                    "(seconds, or with ms, s, m, h or d), not \"soon\""},
        {"max_head = 2m", "t.conf:1: max_head must be a size from 1k to 1m "
                          "(bytes, or with k, m or g), not \"2m\""},
        {"stack_size = 4096", "t.conf:1: stack_size must be a size from 32k to 64m "
                              "(bytes, or with k, m or g), not \"4096\""},
        {"max_body = 1.5g", "t.conf:1: max_body must be a size from 0 to 1048576g "
                            "(bytes, or with k, m or g), not \"1.5g\""},
        {"max_headers = \"\"", "t.conf:1: max_headers must be a number from 1 to 1000, not \"\""},
        {"log_level = verbose",
         "t.conf:1: log_level must be debug, info, warn or error, not \"verbose\""},
        {"access_format = xml", "t.conf:1: access_format must be combined or json, not \"xml\""},
        {"fallback = last", "t.conf:1: fallback must be none or last-good, not \"last\""},
        {"keep = 0", "t.conf:1: keep must be a number from 1 to 1000, not \"0\""},
        {"pubsub_ring = 63k",
         "t.conf:1: pubsub_ring must be a size from 64k to 256m (bytes, or with k, m or g), not "
         "\"63k\""},
        {"offload_threads = 65",
         "t.conf:1: offload_threads must be a number from 1 to 64, not \"65\""},
        {"keep_receipts = 9",
         "t.conf:1: keep_receipts must be a number from 10 to 10000, not \"9\""},
        {"max_unavailable = 0",
         "t.conf:1: max_unavailable must be a number from 1 to 4095, not \"0\""},
        {"unload_timeout = 2d", "t.conf:1: unload_timeout must be a duration from 0 to 1d "
                                "(seconds, or with ms, s, m, h or d), not \"2d\""},
        {"upgrade_timeout = 0", "t.conf:1: upgrade_timeout must be a duration from 1ms to 1d "
                                "(seconds, or with ms, s, m, h or d), not \"0\""},
        {"server_header = 1", "t.conf:1: server_header must be on or off, not \"1\""},
        {"control = ''", "t.conf:1: control must be a path, not \"\""},
        {"log_file = no/such/log", "t.conf:1: log_file: there is no folder \"ROOM/no/such/\""},
        {"pid_file = folder", "t.conf:1: pid_file: \"folder\" is a folder"},
        /* listeners */
        {L "listen \"localhost:80\" { }",
         "t.conf:2: listen \"localhost:80\": the host must be a numeric IPv4 address, an IPv6 "
         "address in [ ], or *"},
        {"\nlisten \"127.0.0.1:65536\"\n{\n}\n", "t.conf:2: listen \"127.0.0.1:65536\": the port "
                                                 "must be 0 to 65535 (0: the kernel chooses)"},
        {"listen \"127.0.0.1:1\" {\n backlog = 0 }",
         "t.conf:2: backlog must be a number from 1 to 65535, not \"0\""},
        {"listen \"127.0.0.1:1\" { mode = 0888 }",
         "t.conf:1: mode must be an octal mode from 0 to 0777, not \"0888\""},
        {"listen \"127.0.0.1:1\" { mode = 1777 }",
         "t.conf:1: mode must be an octal mode from 0 to 0777, not \"1777\""},
        {"listen \"127.0.0.1:1\" { name = \"a b\" }",
         "t.conf:1: name must be 1 to 63 ASCII characters without spaces, not \"a b\""},
        {L A L, "t.conf:3: there already is a listener at \"127.0.0.1:8080\" (line 1)"},
        {"listen \":80\" { }\n" A "listen \"*:80\" { }",
         "t.conf:3: there already is a listener at \"*:80\" (line 1)"},
        {"listen \"127.0.0.1:1\" { name = x }\n\nlisten \"127.0.0.1:2\" { name = x }",
         "t.conf:3: there already is a listener named \"x\" (line 1)"},
        {"listen \"127.0.0.1:1\" {\n protocol = smtp }",
         "t.conf:2: protocol must be http or chat, not \"smtp\""},
        {"listen \"127.0.0.1:1\" {\n app = \"\" }",
         "t.conf:2: app must be the name of an app, not \"\""},
        {A "listen \"127.0.0.1:1\" {\n protocol = chat }",
         "t.conf:2: listen \"127.0.0.1:1\": protocol = chat needs app = \"NAME\", the app to which "
         "its connections go"},
        {A "listen \"127.0.0.1:1\" {\n app = a }",
         "t.conf:3: listen \"127.0.0.1:1\": app is for protocol = chat only; to an http listener "
         "an app is bound by its own listen = {...}"},
        {L A "listen \"127.0.0.1:1\" { protocol = chat\n name = x\n app = b }",
         "t.conf:5: listen \"127.0.0.1:1\": there is no app \"b\""},
        {L "listen \"127.0.0.1:1\" { protocol = chat name = x app = a }\napp a {\n module = a.so\n"
           " listen = {\"127.0.0.1:8080\", \"127.0.0.1:1\"}\n}",
         "t.conf:5: app \"a\": the listener \"x\" speaks chat, and is bound to the app that it "
         "names itself"},
        /* apps */
        {L, "t.conf: no app: add one, such as app \"hello\" { module = \"hello.so\" }"},
        {L "\napp \"a\"\n{\n mount = /\n}", "t.conf:3: app \"a\" has no module"},
        {L "app \"a b\" { module = a.so }",
         "t.conf:2: app \"a b\": a name is 1 to 63 letters, digits, \"-\" or \"_\""},
        {L "app a123456789012345678901234567890123456789012345678901234567890123 { }",
         "t.conf:2: app \"a123456789012345678901234567890123456789012345678901234567890123\": a "
         "name is 1 to 63 letters, digits, \"-\" or \"_\""},
        {L A A, "t.conf:3: there already is an app \"a\" (line 2)"},
        {L "app a {\n module = c.so }",
         "t.conf:3: module \"c.so\" cannot be read: No such file or directory"},
        {L "app a { module = folder }",
         "t.conf:2: module \"folder\" cannot be read: it is a folder"},
        {L "app a { module = /dev/null }",
         "t.conf:2: module \"/dev/null\" cannot be read: it is not a regular file"},
        {L "app a { module = \"\" }", "t.conf:2: module must be a path, not \"\""},
        {L "app a { request_timeout = 2d }",
         "t.conf:2: request_timeout must be a duration from 0 to 1d (seconds, or with ms, s, m, h "
         "or d), not \"2d\""},
        {L "app a { client_gone = no }",
         "t.conf:2: client_gone must be reset, close or ignore, not \"no\""},
        {L "app a { mount = a }", "t.conf:2: mount \"a\" must begin with \"/\""},
        {L "app a { mount = \"\" }", "t.conf:2: mount \"\" must begin with \"/\""},
        {L "app a { mount = /a/ }", "t.conf:2: mount \"/a/\" must not end with \"/\""},
        {L "app a { mount = \"/a//b\" }",
         "t.conf:2: mount \"/a//b\" must have no segment that is empty, \".\" or \"..\""},
        {L "app a { mount = /a/../b }",
         "t.conf:2: mount \"/a/../b\" must have no segment that is empty, \".\" or \"..\""},
        {L "app a { mount = /. }",
         "t.conf:2: mount \"/.\" must have no segment that is empty, \".\" or \"..\""},
        {L "app a { mount = \"/a%20b\" }",
         "t.conf:2: mount \"/a%20b\" must have no spaces, control characters, \"%\", \"?\" or "
         "\"#\""},
        {L A "app b { module = b.so }", "t.conf:3: app \"b\" is mounted at \"/\", where app \"a\" "
                                        "(line 2) is"},
        {L "listen \"127.0.0.1:1\" { name = x }\napp a { module = a.so listen = x mount = /m }\n"
           "app b {\n module = b.so\n mount = /m }\n",
         "t.conf:6: app \"b\" is mounted at \"/m\", where app \"a\" (line 3) is"},
        {L "app a {\n module = a.so\n listen = {\n \"127.0.0.1:8080\", mian }\n}",
         "t.conf:5: app \"a\": there is no listener \"mian\""},
        {L "app a { module = a.so listen = {\"127.0.0.1:8080\", \"127.0.0.1:8080\"} }",
         "t.conf:2: app \"a\" names the listener \"127.0.0.1:8080\" twice"},
        /* the whole */
        {L A "workers = 4\nmax_workers = 4\n",
         "t.conf:4: max_workers = 4 is too few for 4 workers: at least 5, since a replacement runs "
         "beside the worker it replaces"},
        {L A "workers = 2 max_workers = 5\nmax_unavailable = 5\n",
         "t.conf:4: max_unavailable = 5 must be less than max_workers (5), since replacements run "
         "beside the workers they replace"},
        {L A "pubsub_ring = 96k",
         "t.conf:3: pubsub_ring (98304 bytes) must be a power of two, as 64k, 1m or 16m"},
        {L A "max_apps = 1 app b { module = a.so mount = /b }",
         "t.conf:3: max_apps = 1 is too few for 2 apps"},
        {L A "max_target = 4k\nmax_head = 4k\n",
         "t.conf:4: max_target (4096 bytes) must be less than max_head (4096 bytes), which holds "
         "the target and the headers"},
        {L A "max_target = 64k",
         "t.conf:3: max_target (65536 bytes) must be less than max_head (32768 bytes), which holds "
         "the target and the headers"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char sentence[sizeof room + 256], *mark;

        snprintf(sentence, sizeof sentence, "%s", rows[i].sentence);
        mark = strstr(sentence, "ROOM");
        if (mark != NULL)
            snprintf(mark, sizeof sentence - (size_t)(mark - sentence), "%s%s", room,
                     strstr(rows[i].sentence, "ROOM") + 4);
        assert_refused(rows[i].text, sentence);
    }
}

static void a_module_that_may_not_be_read_is_refused(void **state)
{
    bool is_root = geteuid() == 0; /* who may read anything */
    struct config *config;
    char *error = NULL;

    (void)state;
    write_file("t.conf", L "app a { module = secret.so }");
    if (is_root && (chmod(room, 0755) != 0 || seteuid(65534) != 0))
        skip();
    config = config_load("t.conf", &error);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_null(config);
    assert_string_equal(error, "t.conf:2: module \"secret.so\" cannot be read: Permission denied");
    free(error);
}

static void too_long_paths_are_refused(void **state)
{
    char text[512], sentence[512], mount[300];

    (void)state;
    memset(mount, 'm', sizeof mount - 1);
    mount[0] = '/';
    mount[256] = '\0';
    snprintf(text, sizeof text, L "app a { mount = %s }", mount);
    snprintf(sentence, sizeof sentence, "t.conf:2: mount \"%s\" must have at most 255 bytes",
             mount);
    assert_refused(text, sentence);

    mount[108] = '\0';
    snprintf(text, sizeof text, L A "control = %s", mount);
    snprintf(sentence, sizeof sentence,
             "t.conf:3: the path of the control socket, \"%s\", has 108 bytes, but a Unix "
             "socket's may have 107",
             mount);
    assert_refused(text, sentence);
}

static void what_is_no_file_is_refused(void **state)
{
    static const char binary[] = "\x7f"
                                 "ELF\x02\x01\x01\0\0\0workers";
    char *error = NULL;

    (void)state;
    unlink("t.conf");
    assert_null(config_load("t.conf", &error));
    assert_string_equal(error,
                        "t.conf: the configuration cannot be read: No such file or directory");
    free(error);
    assert_null(config_load("folder", &error));
    assert_string_equal(error, "folder: the configuration cannot be read: it is a folder");
    free(error);
    write_bytes("t.conf", binary, sizeof binary);
    assert_null(config_load("t.conf", &error));
    assert_string_equal(error, "t.conf:1: this is no text: there is a byte 0x7f in it");
    free(error);
    assert_null(config_load("/dev/zero", &error));
    assert_string_equal(error, "/dev/zero: the configuration cannot be read: File too large");
    free(error);
}

/* libconfuse's lexer is global: what a refused file leaves behind in it must not reach the next. */
static void a_good_file_is_read_after_any_bad_one(void **state)
{
    static const char *const bad[] = {
        "workers = \"\\400\"", "workers = \"${HOME", "workers = '", "app a { module = \"\\99",
        "listen x {",          "app a { option { x", "/* x",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *error = NULL;

        write_file("t.conf", bad[i]);
        assert_null(config_load("t.conf", &error));
        free(error);
        config_free(load("workers = 2\n" L A));
    }
}

/* Every file that is cut short somewhere is either whole or refused, and nothing leaks or crashes
 * on the way. */
static void a_file_cut_short_does_no_harm(void **state)
{
    static const char whole[] =
        "# c\nworkers = \"2\" /* x */\nlisten \"127.0.0.1:1\" { name = 'n' }\n"
        "app \"a\" { module = \"a.so\" listen = {\"n\"} option { k = \"v\\n${HOME:-x}\" } }\n";

    (void)state;
    for (size_t length = 0; length < sizeof whole; length++) {
        char *error = NULL;
        struct config *config;

        write_bytes("t.conf", whole, length);
        config = config_load("t.conf", &error);
        assert_true((config == NULL) == (error != NULL));
        config_free(config);
        free(error);
    }
}

/* ---- the command line ------------------------------------------------------------------------ */

static void a_command_line_makes_the_same(void **state)
{
    static const char *const modules[] = {"a.so", "folder/../b.so"};
    static const char *const listens[] = {"127.0.0.1:1", ":2"};
    const struct config_line line = {
        .listens = listens,
        .listen_count = 2,
        .modules = modules,
        .module_count = 2,
        .workers = "3",
        .log_level = "warn",
        .control = "c.sock",
        .state_dir = "s",
        .access_log = "off",
        .pid_file = "/tmp/pid",
    };
    char *error = NULL;
    struct config *config = config_from_line(&line, &error);

    (void)state;
    if (config == NULL)
        fail_msg("%s", error);
    assert_null(config->path);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->log_level, LOG_LEVEL_WARN);
    assert_string_equal(config->control, in_room("c.sock"));
    assert_string_equal(config->state_dir, in_room("s"));
    assert_null(config->access_log);
    assert_string_equal(config->pid_file, "/tmp/pid");
    assert_int_equal(config->listen_count, 2);
    assert_string_equal(config->listens[1].name, "*:2");
    assert_int_equal(config->app_count, 2);
    assert_string_equal(config->apps[0].name, "a");
    assert_string_equal(config->apps[0].mount, "/");
    assert_string_equal(config->apps[1].name, "b");
    assert_string_equal(config->apps[1].mount, "/b");
    config_free(config);
}

static void a_module_alone_is_enough(void **state)
{
    static const char *const modules[] = {"a.so"};
    char *error = NULL;
    struct config *config =
        config_from_line(&(struct config_line){.modules = modules, .module_count = 1}, &error);

    (void)state;
    if (config == NULL)
        fail_msg("%s", error);
    assert_true(config->is_workers_auto);
    assert_string_equal(config->listens[0].address.text, "127.0.0.1:8080");
    config_free(config);
}

static void a_wrong_argument_is_named(void **state)
{
    static const char *const good[] = {"a.so"}, *const twice[] = {"a.so", "folder/a.so"},
                             *const missing[] = {"c.so"}, *const odd[] = {"a b.so"},
                             *const host[] = {"localhost"};
    static const struct {
        struct config_line line;
        const char *sentence;
    } rows[] = {
        {{.module_count = 0}, "no module: name at least one, such as hello.so"},
        {{.modules = missing, .module_count = 1},
         "module \"c.so\" cannot be read: No such file or directory"},
        {{.modules = odd, .module_count = 1},
         "app \"a b\": a name is 1 to 63 letters, digits, \"-\" or \"_\""},
        {{.modules = twice, .module_count = 2}, "there already is an app \"a\""},
        {{.modules = good, .module_count = 1, .workers = "many"},
         "--workers must be auto or a number from 1 to 1000, not \"many\""},
        {{.modules = good, .module_count = 1, .state_dir = ""},
         "--state-dir must be a path, not \"\""},
        {{.modules = good, .module_count = 1, .listens = host, .listen_count = 1},
         "--listen \"localhost\": an address is IPV4:PORT, [IPV6]:PORT, *:PORT for all, or "
         "unix:/PATH"},
    };

    (void)state;
    write_file("folder/a.so", "");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *error = NULL;

        assert_null(config_from_line(&rows[i].line, &error));
        assert_string_equal(error, rows[i].sentence);
        free(error);
    }
}

/* ---- the reference ----------------------------------------------------------------------------
 */

/* A key's name where the line is "# name = value", blanks before; else NULL. `name` holds it. */
static const char *commented_key(const char *line, char name[64])
{
    char rest = '\0';

    return sscanf(line, " # %63[a-z_] = %c", name, &rest) == 2 ? name : NULL;
}

/* Copies etc/reeve.conf to t.conf with modules that are there; `is_all`: with every default as a
 * setting. Marks in `seen` the server's keys that it shows. */
static void copy_reference(bool is_all, bool seen[CONFIG_KEYS_MAX])
{
    char path[sizeof top + 32], line[512], name[64];
    FILE *in, *out = fopen("t.conf", "w");

    snprintf(path, sizeof path, "%s/etc/reeve.conf", top);
    in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(out);
    while (fgets(line, sizeof line, in) != NULL) {
        const char *module = strstr(line, "build/apps/"), *key = commented_key(line, name);

        for (size_t i = 0; key != NULL && config_server_keys[i].name != NULL; i++)
            seen[i] |= strcmp(config_server_keys[i].name, key) == 0;
        if (module != NULL && key == NULL)
            fprintf(out, "module = a.so\n");
        else if (is_all && key != NULL)
            fprintf(out, "%s", strchr(line, '#') + 1);
        else
            fprintf(out, "%s", line);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void assert_same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_same_settings(struct config *a, struct config *b)
{
    size_t start = offsetof(struct config, boot_timeout), end = offsetof(struct config, listens);

    assert_int_equal(a->workers, b->workers);
    assert_int_equal(a->is_workers_auto, b->is_workers_auto);
    assert_int_equal(a->max_workers, b->max_workers);
    assert_int_equal(a->max_apps, b->max_apps);
    assert_int_equal(a->log_level, b->log_level);
    assert_int_equal(a->access_format, b->access_format);
    assert_same_text(a->control, b->control);
    assert_same_text(a->state_dir, b->state_dir);
    assert_same_text(a->pid_file, b->pid_file);
    assert_same_text(a->log_file, b->log_file);
    assert_same_text(a->access_log, b->access_log);
    /* Numbers only, and calloc'ed, so padding is alike. */
    assert_memory_equal((char *)a + start, (char *)b + start, end - start);
    assert_int_equal(a->listen_count, b->listen_count);
    assert_same_text(a->listens[0].name, b->listens[0].name);
    assert_int_equal(a->listens[0].backlog, b->listens[0].backlog);
    assert_int_equal(a->listens[0].mode, b->listens[0].mode);
    assert_int_equal(a->app_count, b->app_count);
    assert_same_text(a->apps[0].mount, b->apps[0].mount);
    assert_true(a->apps[0].request_timeout == b->apps[0].request_timeout);
    assert_int_equal(a->apps[0].client_gone, b->apps[0].client_gone);
    assert_int_equal(a->apps[0].listen_count, b->apps[0].listen_count);
}

static void the_reference_loads_and_shows_every_true_default(void **state)
{
    bool seen[CONFIG_KEYS_MAX] = {false}, again[CONFIG_KEYS_MAX] = {false};
    struct config *as_it_stands, *all_set;
    char *error = NULL;

    (void)state;
    copy_reference(false, seen);
    as_it_stands = config_load("t.conf", &error);
    if (as_it_stands == NULL)
        fail_msg("%s", error);
    copy_reference(true, again);
    all_set = config_load("t.conf", &error);
    if (all_set == NULL)
        fail_msg("%s", error);
    assert_same_settings(as_it_stands, all_set);
    for (size_t i = 0; config_server_keys[i].name != NULL; i++) {
        if (!seen[i])
            fail_msg("etc/reeve.conf does not show %s", config_server_keys[i].name);
    }
    config_free(as_it_stands);
    config_free(all_set);
}

/* The bounds that the reference names for a key are in the paragraph above it. */
static void the_reference_names_every_bound(void **state)
{
    char path[sizeof top + 32], line[512], paragraph[4096] = "", name[64];
    FILE *in;

    (void)state;
    snprintf(path, sizeof path, "%s/etc/reeve.conf", top);
    in = fopen(path, "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        const char *shown = commented_key(line, name);
        const struct config_key *key = config_server_keys;

        if (line[0] == '\n')
            paragraph[0] = '\0';
        strncat(paragraph, line, sizeof paragraph - strlen(paragraph) - 1);
        while (shown != NULL && key->name != NULL && strcmp(key->name, shown) != 0)
            key++;
        if (shown == NULL || key->name == NULL || key->min == NULL)
            continue;
        if (strstr(paragraph, key->min) == NULL ||
            (strstr(paragraph, key->max) == NULL && strcmp(shown, "max_target") != 0 &&
             strcmp(shown, "max_body") != 0))
            fail_msg("etc/reeve.conf does not say %s to %s for %s", key->min, key->max, shown);
    }
    fclose(in);
}

/* ---- default places -------------------------------------------------------------------------- */

static void assert_path(char *path, const char *expected)
{
    assert_non_null(path);
    assert_string_equal(path, expected);
    free(path);
}

static void the_control_socket_follows_the_environment(void **state)
{
    (void)state;
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_path(paths_control(), "/run/reeve-test/control.sock");
    setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
    assert_path(paths_control(), "/run/one/control.sock");
    setenv("RUNTIME_DIRECTORY", "", 1);
    assert_path(paths_control(), "/run/user/7/reeve/control.sock");
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_path(paths_control(), "/run/reeve/control.sock");
    unsetenv("XDG_RUNTIME_DIR");
    setenv("RUNTIME_DIRECTORY", "/run/reeve-test", 1);
}

static void a_client_finds_the_socket_that_is_there(void **state)
{
    struct sock_address address;
    int fd;

    (void)state;
    setenv("XDG_RUNTIME_DIR", room, 1);
    assert_path(paths_control_find(), "/run/reeve-test/control.sock"); /* none is there */
    assert_int_equal(mkdir("reeve", 0755), 0);
    assert_null(sock_parse("unix:reeve/control.sock", &address));
    fd = sock_listen(&address, 1, 0600);
    assert_true(fd >= 0);
    assert_path(paths_control_find(), in_room("reeve/control.sock"));
    close(fd);
    unlink("reeve/control.sock");
    rmdir("reeve");
    unsetenv("XDG_RUNTIME_DIR");
}

static void the_state_folder_follows_the_environment(void **state)
{
    char *path;

    (void)state;
    setenv("XDG_STATE_HOME", "/home/x/.local/state", 1);
    assert_path(paths_state_dir(), "/home/x/.local/state/reeve");
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    assert_path(paths_state_dir(), "/var/lib/one");
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    path = paths_state_dir();
    if (path != NULL)
        assert_string_equal(path, "/var/lib/reeve");
    free(path);
}

static void paths_become_absolute(void **state)
{
    (void)state;
    assert_path(paths_absolute("/a/./b"), "/a/./b");
    assert_path(paths_absolute("x/y"), in_room("x/y"));
    assert_path(paths_absolute(".//./x"), in_room("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units_and_are_seconds_without),
        cmocka_unit_test(sizes_have_units_and_are_bytes_without),
        cmocka_unit_test(the_defaults_are_those_of_the_header),
        cmocka_unit_test(every_key_is_taken_as_it_is_written),
        cmocka_unit_test(sections_have_keys_lists_and_options),
        cmocka_unit_test(an_app_has_the_servers_time_limit_or_its_own),
        cmocka_unit_test(an_app_may_name_a_listener_that_follows_or_by_its_address),
        cmocka_unit_test(a_chat_listener_belongs_to_the_app_that_it_names),
        cmocka_unit_test(comments_may_stand_anywhere_and_lines_stay_right),
        cmocka_unit_test(strings_take_environment_variables),
        cmocka_unit_test(apps_without_a_common_listener_may_share_a_mount),
        cmocka_unit_test(a_leftover_errno_does_no_harm),
        cmocka_unit_test(each_mistake_has_its_sentence),
        cmocka_unit_test(a_module_that_may_not_be_read_is_refused),
        cmocka_unit_test(too_long_paths_are_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_good_file_is_read_after_any_bad_one),
        cmocka_unit_test(a_file_cut_short_does_no_harm),
        cmocka_unit_test(a_command_line_makes_the_same),
        cmocka_unit_test(a_module_alone_is_enough),
        cmocka_unit_test(a_wrong_argument_is_named),
        cmocka_unit_test(the_reference_loads_and_shows_every_true_default),
        cmocka_unit_test(the_reference_names_every_bound),
        cmocka_unit_test(the_control_socket_follows_the_environment),
        cmocka_unit_test(a_client_finds_the_socket_that_is_there),
        cmocka_unit_test(the_state_folder_follows_the_environment),
        cmocka_unit_test(paths_become_absolute),
    };

    return cmocka_run_group_tests(tests, enter_room, leave_room);
}
