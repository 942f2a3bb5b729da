/* test_base_log.c: what a line of the log looks like, that one line is one write, and that errno
 * survives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

static char room[] = "/tmp/reeve-test-XXXXXX";
static char path[64], rotated[64];

static int enter_room(void **state)
{
    (void)state;
    if (mkdtemp(room) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", room);
    snprintf(rotated, sizeof rotated, "%s/log.1", room);
    return 0;
}

static int leave_room(void **state)
{
    (void)state;
    log_open(NULL, LOG_LEVEL_INFO);
    unlink(path);
    unlink(rotated);
    return rmdir(room);
}

/* Each test begins with an empty log at level info. */
static int open_empty(void **state)
{
    (void)state;
    unlink(path);
    unlink(rotated);
    log_set_role("master");
    return log_open(path, LOG_LEVEL_INFO);
}

/* The file's content; in a buffer that the next call overwrites. */
static const char *content(const char *file)
{
    static char text[16384];
    int fd = open(file, O_RDONLY);
    ssize_t n;

    assert_true(fd >= 0);
    n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

/* What stands behind "TIME LEVEL role[pid]: ", without the line's end. */
static const char *text_of(const char *line)
{
    static char text[16384];
    const char *start = strstr(line, "]: ");

    assert_non_null(start);
    snprintf(text, sizeof text, "%s", start + 3);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    int failed;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    failed = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (failed)
        fail_msg("\"%s\" does not match %s", text, pattern);
}

static void a_line_has_time_level_role_and_pid(void **state)
{
    char pattern[160];

    (void)state;
    log_set_role("worker 2.1");
    log_info("listening on %s", "127.0.0.1:8080");
    snprintf(
        pattern, sizeof pattern,
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} "
        "info worker 2\\.1\\[%d\\]: listening on 127\\.0\\.0\\.1:8080\n$",
        (int)getpid());
    assert_matches(content(path), pattern);
}

static void what_is_below_the_level_is_left_out(void **state)
{
    (void)state;
    log_debug("hidden");
    assert_false(log_is_on(LOG_LEVEL_DEBUG));
    assert_true(log_is_on(LOG_LEVEL_INFO));
    assert_string_equal(content(path), "");
    assert_int_equal(log_open(path, LOG_LEVEL_ERROR), 0);
    log_info("hidden");
    log_warnx("hidden");
    log_error("shown");
    assert_string_equal(text_of(content(path)), "shown");
    assert_matches(content(path), "^[^ ]+ error ");
}

static void warn_appends_errno_and_all_keep_it(void **state)
{
    (void)state;
    errno = ENOENT;
    log_warn("cannot open %s", "x");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(text_of(content(path)), "cannot open x: No such file or directory");
    assert_matches(content(path), "^[^ ]+ warn ");
    errno = EBADF;
    log_info("fine");
    log_error("lost");
    log_warnx("odd");
    log_debug("hidden");
    assert_int_equal(errno, EBADF);
    assert_null(strstr(content(path), "Bad file"));
}

static void control_bytes_cannot_forge_a_line(void **state)
{
    const char *log;

    (void)state;
    log_info("%s", "GET /\r\n2026 info master[1]: all is well\t\x1b[2J\x7f \xc3\xa9");
    log = content(path);
    assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
    assert_string_equal(text_of(log), "GET /\\x0d\\n2026 info master[1]: all is well\\t\\x1b[2J"
                                      "\\x7f \xc3\xa9");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    char longest[9000];
    const char *log;
    size_t length;

    (void)state;
    for (int byte = 'x'; byte != 0; byte = byte == 'x' ? '\n' : 0) {
        open_empty(NULL);
        memset(longest, byte, sizeof longest - 1);
        longest[sizeof longest - 1] = '\0';
        log_info("%s", longest);
        log = content(path);
        length = strlen(log);
        assert_in_range(length, 4000, 4096);
        assert_string_equal(log + length - 4, "...\n");
        assert_ptr_equal(strchr(log, '\n'), log + length - 1);
    }
}

/* A SOCK_SEQPACKET socket keeps writes apart. */
static void a_line_is_one_write(void **state)
{
    char line[8192];
    int fds[2];
    int saved = dup(STDERR_FILENO);

    (void)state;
    assert_true(saved >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    assert_int_equal(log_open(NULL, LOG_LEVEL_INFO), 0);
    assert_int_equal(log_fd(), STDERR_FILENO);
    errno = EIO;
    log_warn("one %d", 1);
    log_info("two\n\n");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    for (int i = 0; i < 2; i++) {
        ssize_t n = read(fds[0], line, sizeof line - 1);

        assert_true(n > 0);
        line[n] = '\0';
        assert_string_equal(text_of(line), i == 0 ? "one 1: Input/output error" : "two\\n\\n");
        assert_int_equal(line[n - 1], '\n');
    }
    assert_int_equal(read(fds[0], line, sizeof line), -1);
    close(fds[0]);
    close(fds[1]);
    close(saved);
}

static void reopening_follows_a_rotation(void **state)
{
    (void)state;
    log_info("before");
    assert_int_equal(rename(path, rotated), 0);
    log_info("still there");
    assert_non_null(strstr(content(rotated), "still there"));
    assert_int_equal(log_reopen(), 0);
    log_info("after");
    assert_null(strstr(content(rotated), "after"));
    assert_string_equal(text_of(content(path)), "after");
}

static void opening_again_appends(void **state)
{
    (void)state;
    log_info("one");
    assert_int_equal(log_open(path, LOG_LEVEL_INFO), 0);
    log_info("two");
    assert_non_null(strstr(content(path), ": one\n"));
    assert_non_null(strstr(content(path), ": two\n"));
}

static void a_log_that_cannot_be_opened_leaves_the_former(void **state)
{
    char moved[64];

    (void)state;
    errno = 0;
    assert_int_equal(log_open("/no/such/folder/log", LOG_LEVEL_DEBUG), -1);
    assert_int_equal(errno, ENOENT);
    assert_false(log_is_on(LOG_LEVEL_DEBUG));
    log_info("here");
    assert_string_equal(text_of(content(path)), "here");

    snprintf(moved, sizeof moved, "%s.away", room);
    assert_int_equal(rename(room, moved), 0);
    assert_int_equal(log_reopen(), -1);
    log_info("still");
    assert_int_equal(rename(moved, room), 0);
    assert_non_null(strstr(content(path), ": still\n"));
}

static void the_file_is_not_inherited(void **state)
{
    (void)state;
    assert_true(fcntl(log_fd(), F_GETFD) & FD_CLOEXEC);
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_LEVEL_INFO;

    (void)state;
    assert_int_equal(log_level_of("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_of("error", &level), 0);
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_int_equal(log_level_of("Error", &level), -1);
    assert_int_equal(log_level_of("", &level), -1);
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void fatal_says_it_and_exits_with_1(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        errno = EACCES;
        fatal("cannot bind %s", "x");
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_string_equal(text_of(content(path)), "cannot bind x: Permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_level_role_and_pid, open_empty),
        cmocka_unit_test_setup(what_is_below_the_level_is_left_out, open_empty),
        cmocka_unit_test_setup(warn_appends_errno_and_all_keep_it, open_empty),
        cmocka_unit_test_setup(control_bytes_cannot_forge_a_line, open_empty),
        cmocka_unit_test_setup(a_long_line_is_cut_and_still_ends, open_empty),
        cmocka_unit_test_setup(a_line_is_one_write, open_empty),
        cmocka_unit_test_setup(reopening_follows_a_rotation, open_empty),
        cmocka_unit_test_setup(opening_again_appends, open_empty),
        cmocka_unit_test_setup(a_log_that_cannot_be_opened_leaves_the_former, open_empty),
        cmocka_unit_test_setup(the_file_is_not_inherited, open_empty),
        cmocka_unit_test_setup(levels_have_names, open_empty),
        cmocka_unit_test_setup(fatal_says_it_and_exits_with_1, open_empty),
    };

    return cmocka_run_group_tests(tests, enter_room, leave_room);
}
