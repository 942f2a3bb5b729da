/* What one image of the master leaves to the next: everything that was written is read again, and
 * what cannot be right is refused. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/channel.h"
#include "master/succession.h"

/* Every list has entries, and every kind of value its extremes. */
static void fill(struct succession *s)
{
    *s = (struct succession){
        .format = SUCCESSION_FORMAT,
        .protocol = CHANNEL_PROTOCOL,
        .pid = 4711,
        .nonce = strdup("once"),
        .version = strdup("0.1.0"),
        .is_control_auto = true,
        .control = strdup("/run/\"reeve\"/\xc3\xa4\n.sock"),
        .control_fd = -1,
        .lock = 3,
        .board_fd = 5,
        .control_inode = UINT64_MAX,
        .deploy = (UINT64_C(1) << 53) + 1,
        .action = strdup("an upgrade"),
        .target = 2,
        .pubsub_ring = 1 << 28,
        .listener_count = 2,
        .bell_count = 2,
        .app_count = 2,
        .build_count = 1,
        .worker_count = 2,
        .hold_count = 1,
    };
    s->listeners = calloc(2, sizeof(*s->listeners));
    s->listeners[0] = (struct succession_listener){7, strdup("web"), strdup("*:80"), true};
    s->listeners[1] = (struct succession_listener){8, NULL, NULL, false};
    s->bells = calloc(2, sizeof(*s->bells));
    s->bells[0].fd = 10;
    s->bells[1].fd = 12;
    s->builds = calloc(1, sizeof(*s->builds));
    s->builds[0] = (struct succession_build){1, 12, strdup("/proc/9/fd/1001"), strdup(""), NULL};
    s->apps = calloc(2, sizeof(*s->apps));
    s->apps[0] = (struct succession_app){strdup("gone"), NULL, -1, 3};
    s->apps[1] = (struct succession_app){strdup("hello"), strdup("/hello.so"), 0, 13};
    s->crew = calloc(2, sizeof(*s->crew));
    s->crew[0] = (struct succession_worker){.id = 1, .pid = 20, .link = -1, .is_reaped = true};
    s->crew[1] = (struct succession_worker){.id = 0,
                                            .pid = 21,
                                            .link = 9,
                                            .incarnation = 4,
                                            .refusal = strdup("why"),
                                            .is_hung = true,
                                            .has_answered = true,
                                            .hang_state = 'T'};
    s->holds = calloc(1, sizeof(*s->holds));
    s->holds[0] = (struct succession_hold){.worker = 1, .build = 0, .state = 2, .asked_at = 99};
    s->receipts = cJSON_Parse("[{\"deploy\":1}]");
}

static int write_and_read(const struct succession *from, struct succession *to, char **error_out)
{
    int fd = succession_write(from), status;

    assert_int_not_equal(fd, -1);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    *to = (struct succession){.format = 0};
    status = succession_read(fd, to, error_out);
    close(fd);
    return status;
}

static void test_round_trip(void **state)
{
    struct succession from, to;
    char *error = NULL;

    (void)state;
    fill(&from);
    assert_int_equal(write_and_read(&from, &to, &error), 0);
    assert_int_equal(to.pid, 4711);
    assert_true(to.is_control_auto);
    assert_false(to.is_private);
    assert_string_equal(to.control, from.control);
    assert_null(to.state_dir);
    assert_int_equal(to.control_fd, -1);
    assert_true(to.control_inode == UINT64_MAX);
    assert_true(to.deploy == (UINT64_C(1) << 53) + 1);
    assert_int_equal(to.listener_count, 2);
    assert_string_equal(to.listeners[0].address, "*:80");
    assert_true(to.listeners[0].is_ours);
    assert_null(to.listeners[1].name);
    assert_int_equal(to.pubsub_ring, 1 << 28);
    assert_int_equal(to.bell_count, 2);
    assert_int_equal(to.bells[1].fd, 12);
    assert_int_equal(to.apps[0].current, -1);
    assert_string_equal(to.apps[1].module, "/hello.so");
    assert_true(to.apps[1].last == 13);
    assert_string_equal(to.builds[0].path, "/proc/9/fd/1001");
    assert_string_equal(to.builds[0].version, "");
    assert_null(to.builds[0].build_id);
    assert_int_equal(to.worker_count, 2);
    assert_int_equal(to.crew[0].link, -1);
    assert_true(to.crew[0].is_reaped);
    assert_true(to.crew[1].incarnation == 4);
    assert_string_equal(to.crew[1].refusal, "why");
    assert_true(to.crew[1].has_answered);
    assert_int_equal(to.crew[1].hang_state, 'T');
    assert_int_equal(to.holds[0].worker, 1);
    assert_true(to.holds[0].asked_at == 99);
    assert_int_equal(cJSON_GetArraySize(to.receipts), 1);
    succession_fini(&from);
    succession_fini(&to);
}

static void assert_refused(const struct succession *from, const char *part)
{
    struct succession to;
    char *error = NULL;

    assert_int_equal(write_and_read(from, &to, &error), -1);
    assert_non_null(strstr(error, part));
    free(error);
    succession_fini(&to);
}

static void test_other_versions_are_refused(void **state)
{
    struct succession s;

    (void)state;
    fill(&s);
    s.format++;
    assert_refused(&s, "stop the server and start the new one");
    s.format--;
    s.protocol++;
    assert_refused(&s, "does not understand the workers");
    succession_fini(&s);
}

static void test_indexes_that_point_nowhere_are_refused(void **state)
{
    struct succession s;

    (void)state;
    fill(&s);
    s.apps[1].current = 1;
    assert_refused(&s, "contradicts");
    s.apps[1].current = 0;
    s.builds[0].app = 2;
    assert_refused(&s, "contradicts");
    s.builds[0].app = 1;
    s.holds[0].worker = -1;
    assert_refused(&s, "contradicts");
    s.holds[0].worker = 1;
    s.holds[0].build = 1;
    assert_refused(&s, "contradicts");
    s.holds[0].build = 0;
    s.holds[0].state = 17;
    assert_refused(&s, "contradicts");
    succession_fini(&s);
}

/* A document of these bytes. */
static int read_text(const char *text, struct succession *to, char **error_out)
{
    int fd = memfd_create("test", MFD_CLOEXEC), status;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    *to = (struct succession){.format = 0};
    status = succession_read(fd, to, error_out);
    close(fd);
    return status;
}

static void test_what_is_no_document_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"format\":\"1\"}",
                                        "{\"format\":1e99}",
                                        "{\"format\":1,\"deploy\":7}",
                                        "{\"format\":1,\"deploy\":\"-7\"}",
                                        "{\"format\":1,\"deploy\":\"99999999999999999999\"}",
                                        "{\"format\":1,\"control\":[]}",
                                        "{\"format\":1,\"is_private\":1}",
                                        "{\"format\":1,\"crew\":[{\"pid\":\"x\"}]}"};
    struct succession to;
    int pipe_fds[2];
    char *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_text(texts[i], &to, &error), -1);
        assert_non_null(error);
        succession_fini(&to);
    }
    to = (struct succession){.format = 0};
    assert_int_equal(succession_read(-1, &to, &error), -1);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(succession_read(pipe_fds[0], &to, &error), -1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    free(error);
}

/* What a later version adds is no obstacle for this one, and what it drops is zero. */
static void test_unknown_fields_are_left_out_of_account(void **state)
{
    char text[512];
    struct succession to;
    char *error = NULL;

    (void)state;
    snprintf(text, sizeof(text),
             "{\"format\":%d,\"protocol\":%d,\"nonce\":\"a\",\"control\":\"b\",\"action\":\"c\","
             "\"later\":{\"x\":[1]},\"crew\":[{\"id\":3,\"mood\":\"good\"}]}",
             SUCCESSION_FORMAT, CHANNEL_PROTOCOL);
    assert_int_equal(read_text(text, &to, &error), 0);
    assert_int_equal(to.worker_count, 1);
    assert_int_equal(to.crew[0].id, 3);
    assert_int_equal(to.crew[0].pid, 0);
    assert_int_equal(to.listener_count, 0);
    succession_fini(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_other_versions_are_refused),
        cmocka_unit_test(test_indexes_that_point_nowhere_are_refused),
        cmocka_unit_test(test_what_is_no_document_is_refused),
        cmocka_unit_test(test_unknown_fields_are_left_out_of_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
