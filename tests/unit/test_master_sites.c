/* test_master_sites.c: a place by function, file and line, in whatever file it is said to be. The
 * file is this test's own program. */
#include "master/sites.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "place_case.h"

static const int line = __LINE__ + 2;

static __attribute__((noinline)) int here(int n)
{
    return n * 3;
}

/* Optimised code has several lines at a function's first address. */
static void a_place_has_function_file_and_line(void **state)
{
    char *name = site_name("/proc/self/exe", place_offset(here)), *again;
    int found = 0;

    (void)state;
    assert_int_equal(here(1), 3);
    assert_int_equal(sscanf(name, "here (test_master_sites.c:%d)", &found), 1);
    assert_in_range(found, line, line + 3);
    again = site_name("/proc/self/exe", place_offset(here)); /* from memory */
    assert_string_equal(again, name);
    free(name);
    free(again);
}

static void assert_number(const char *path, uint64_t offset)
{
    char expected[32], *name = site_name(path, offset);

    snprintf(expected, sizeof expected, "+0x%llx", (unsigned long long)offset);
    assert_string_equal(name, expected);
    free(name);
}

static void what_is_not_there_is_a_number(void **state)
{
    (void)state;
    assert_number("/proc/self/exe", 0x7fffffffffff);
    assert_number("/no/such/file", 0x10);
    assert_number("/dev/null", 0x10);
    assert_number("/", 0x10);
    assert_number("/etc/passwd", 0x10);
}

/* A copy of this program in memory, by a path. */
static int copy(char *path, size_t size, size_t *length_out)
{
    static char bytes[8 << 20];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd = memfd_create("copy", MFD_CLOEXEC);
    ssize_t n = read(from, bytes, sizeof bytes);

    assert_true(n > 0);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    close(from);
    *length_out = (size_t)n;
    snprintf(path, size, "/proc/self/fd/%d", fd);
    return fd;
}

static void odd_files_have_no_names_but_do_no_harm(void **state)
{
    uint64_t offset = place_offset(here);
    char path[64];
    size_t length;
    int fd = copy(path, sizeof path, &length);

    (void)state;
    srand(1);
    for (unsigned i = 0; i < 60; i++) {
        unsigned char byte = (unsigned char)rand();

        assert_int_equal(
            pwrite(fd, &byte, 1, i < 20 ? rand() % 64 : (off_t)((size_t)rand() % length)), 1);
        free(site_name(path, offset + i)); /* another each time: it remembers */
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(ftruncate(fd, (off_t)(length - length / 20 * i)), 0);
        free(site_name(path, offset + 1000 + i));
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_number(path, offset + 2000);
    close(fd);
}

static void more_are_asked_for_than_are_kept(void **state)
{
    (void)state;
    for (uint64_t i = 1; i < 500; i++)
        assert_number("/dev/null", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_has_function_file_and_line),
        cmocka_unit_test(what_is_not_there_is_a_number),
        cmocka_unit_test(odd_files_have_no_names_but_do_no_harm),
        cmocka_unit_test(more_are_asked_for_than_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
