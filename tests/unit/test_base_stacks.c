/* test_base_stacks.c: what a worker writes of its coroutines is what the master reads; it stays
 * within its bounds; and a file that is odd is refused, whatever is odd about it. */
#include "base/stacks.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct frame calls[] = {
    {"", 0x100, 0xf0}, {"/spool/hello/3.so", 0x200, 0x1f0}, {NULL, 0x300, 0}, {"", 0x400, 0x3f0}};

static const struct stacks_item request = {.id = 0x1234,
                                           .generation = 3,
                                           .begun_at = 5,
                                           .waits_since = 6,
                                           .app = 1,
                                           .kind = 1,
                                           .method = 3,
                                           .call = 2,
                                           .path = "/slow"};

static struct stacks_writer *writer_new(void)
{
    struct stacks_writer *writer = stacks_writer_new();

    assert_non_null(writer);
    return writer;
}

static int one_file(void)
{
    struct stacks_writer *writer = writer_new();
    int fd;

    assert_int_equal(stacks_put(writer, &request, calls, 4, 4), 0);
    fd = stacks_writer_end(writer);
    assert_true(fd >= 0);
    return fd;
}

static void what_is_written_is_what_is_read(void **state)
{
    const struct stacks_item init = {.generation = 4, .kind = 2, .path = ""};
    struct stacks_writer *writer = writer_new();
    struct stacks stacks;
    int fd;

    (void)state;
    assert_int_equal(stacks_put(writer, &request, calls, 4, 9), 0);
    assert_int_equal(stacks_put(writer, &init, NULL, 0, 0), 0);
    stacks_leave_out(writer);
    fd = stacks_writer_end(writer);
    assert_int_equal(stacks_read(&stacks, fd), 0);
    assert_int_equal(stacks.item_count, 2);
    assert_int_equal(stacks.items[0].id, 0x1234);
    assert_int_equal(stacks.items[0].generation, 3);
    assert_int_equal(stacks.items[0].begun_at, 5);
    assert_int_equal(stacks.items[0].waits_since, 6);
    assert_int_equal(stacks.items[0].app, 1);
    assert_int_equal(stacks.items[0].kind, 1);
    assert_int_equal(stacks.items[0].method, 3);
    assert_int_equal(stacks.items[0].call, 2);
    assert_string_equal(stacks.items[0].path, "/slow");
    assert_int_equal(stacks.items[1].kind, 2);
    assert_string_equal(stacks.items[1].path, "");
    assert_int_equal(stacks.traces[stacks.items[0].trace].count, 4);
    assert_int_equal(stacks.traces[stacks.items[0].trace].depth, 9);
    assert_int_equal(stacks.traces[stacks.items[1].trace].count, 0);
    for (int i = 0; i < 4; i++) {
        const struct frame *frame = &stacks.frames[stacks.traces[0].first + i];

        assert_int_equal(frame->offset, calls[i].offset);
        assert_int_equal(frame->function, calls[i].function);
        if (calls[i].object)
            assert_string_equal(frame->object, calls[i].object);
        else
            assert_null(frame->object);
    }
    assert_int_equal(stacks.object_count, 2);
    assert_int_equal(stacks.left_out, 1);
    stacks_free(&stacks);
    close(fd);
}

static void backtraces_that_are_alike_are_there_once(void **state)
{
    struct stacks_writer *writer = writer_new();
    struct stacks stacks;
    struct stat file;
    int fd;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(stacks_put(writer, &request, calls, 4 - (i % 2 != 0), 4), 0);
    fd = stacks_writer_end(writer);
    assert_int_equal(stacks_read(&stacks, fd), 0);
    assert_int_equal(stacks.item_count, 1000);
    assert_int_equal(stacks.trace_count, 2);
    assert_int_equal(stacks.items[998].trace, 0);
    assert_int_equal(stacks.items[999].trace, 1);
    fstat(fd, &file);
    assert_in_range(file.st_size, 1000 * 60, 1000 * 100);
    stacks_free(&stacks);
    close(fd);
}

static void what_is_beyond_the_bounds_is_counted(void **state)
{
    struct stacks_writer *writer = writer_new();
    struct stacks stacks;
    int fd;

    (void)state;
    for (unsigned i = 0; i < STACKS_MOST + 7; i++)
        assert_int_equal(stacks_put(writer, &request, calls, 4, 4), i < STACKS_MOST ? 0 : -1);
    assert_int_equal(errno, ENOSPC);
    fd = stacks_writer_end(writer);
    assert_int_equal(stacks_read(&stacks, fd), 0);
    assert_int_equal(stacks.item_count, STACKS_MOST);
    assert_int_equal(stacks.left_out, 7);
    stacks_free(&stacks);
    close(fd);
}

/* Each in another place, with long names and as many calls as there can be. */
static void the_file_stays_within_its_size(void **state)
{
    struct stacks_writer *writer = writer_new();
    struct stacks_item item = request;
    struct frame frames[STACKS_FRAMES + 10];
    char name[2000], path[2000];
    struct stacks stacks;
    struct stat file;
    unsigned done = 0;
    int fd;

    (void)state;
    memset(name, 'n', sizeof name);
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    item.path = path;
    for (unsigned i = 0; i < STACKS_MOST; i++) {
        snprintf(name + 900, sizeof name - 900, "%u", i);
        for (unsigned j = 0; j < STACKS_FRAMES + 10; j++)
            frames[j] = (struct frame){name, i, i};
        done += stacks_put(writer, &item, frames, STACKS_FRAMES + 10, 2000) == 0;
    }
    fd = stacks_writer_end(writer);
    assert_true(fd >= 0);
    fstat(fd, &file);
    assert_in_range(file.st_size, STACKS_SIZE_MAX - 10000, STACKS_SIZE_MAX);
    assert_int_equal(stacks_read(&stacks, fd), 0);
    assert_int_equal(stacks.item_count, done);
    assert_int_equal(stacks.left_out, STACKS_MOST - done);
    assert_null(stacks.frames[stacks.frame_count - 1].object); /* there were too many objects */
    assert_int_equal(strlen(stacks.items[0].path), 1023);
    stacks_free(&stacks);
    close(fd);
}

static void a_file_that_may_still_change_or_is_no_memory_is_refused(void **state)
{
    int fds[2], fd = memfd_create("a test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int good = one_file(), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stacks stacks;
    char bytes[4096];
    ssize_t n = pread(good, bytes, sizeof bytes, 0);

    (void)state;
    assert_true(n > 0);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    assert_int_equal(stacks_read(&stacks, fd), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, fcntl(good, F_GET_SEALS)), 0);
    assert_int_equal(stacks_read(&stacks, fd), 0);
    stacks_free(&stacks);
    assert_int_equal(stacks_read(&stacks, file), -1);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(stacks_read(&stacks, fds[0]), -1); /* and does not wait */
    assert_int_equal(stacks_read(&stacks, -1), -1);
    close(fds[0]), close(fds[1]), close(fd), close(file), close(good);
}

static void nobody_can_change_it_afterwards(void **state)
{
    int fd = one_file();

    (void)state;
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 1), -1);
    close(fd);
}

static void an_odd_file_is_refused_or_harmless(void **state)
{
    char good[4096];
    int fd = one_file();
    ssize_t size = pread(fd, good, sizeof good, 0);
    struct stacks stacks;

    (void)state;
    assert_in_range(size, 100, sizeof good);
    for (ssize_t cut = 0; cut < size; cut++) {
        char *bytes = malloc((size_t)cut + 1);

        memcpy(bytes, good, (size_t)cut);
        assert_int_equal(stacks_parse(&stacks, bytes, (size_t)cut), -1);
        assert_int_equal(errno, EPROTO);
    }
    for (ssize_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            char *bytes = malloc((size_t)size);

            memcpy(bytes, good, (size_t)size);
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
            if (stacks_parse(&stacks, bytes, (size_t)size) == 0) {
                for (size_t i = 0; i < stacks.item_count; i++) {
                    assert_true(stacks.items[i].trace < stacks.trace_count);
                    assert_true(strlen(stacks.items[i].path) < 1024);
                }
                stacks_free(&stacks);
            }
        }
    close(fd);
}

static void without_descriptors_there_is_no_file(void **state)
{
    struct rlimit limit, none;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    assert_null(stacks_writer_new());
    assert_int_equal(errno, EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Memory or the file's size: what is only half there is not sent. */
static void a_file_that_cannot_be_written_is_not_there(void **state)
{
    struct stacks_writer *writer = writer_new();
    struct stacks_item item = request;
    struct rlimit limit, small;
    int result = 0;

    (void)state;
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    for (unsigned i = 0; i < 5000 && result == 0; i++)
        result = stacks_put(writer, &item, calls, 4, 4);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(result, -1);
    assert_int_not_equal(errno, ENOSPC);
    stacks_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_what_is_read),
        cmocka_unit_test(backtraces_that_are_alike_are_there_once),
        cmocka_unit_test(what_is_beyond_the_bounds_is_counted),
        cmocka_unit_test(the_file_stays_within_its_size),
        cmocka_unit_test(a_file_that_may_still_change_or_is_no_memory_is_refused),
        cmocka_unit_test(nobody_can_change_it_afterwards),
        cmocka_unit_test(an_odd_file_is_refused_or_harmless),
        cmocka_unit_test(without_descriptors_there_is_no_file),
        cmocka_unit_test(a_file_that_cannot_be_written_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
