/* test_master_stage.c: only a whole module is staged, privately, and what is wrong with another
 * file is said. The module that is staged is a copy of cmocka's library, cut and changed as needed.
 */
#include "master/stage.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sha2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/reeve-stage-XXXXXX";
static char module[PATH_MAX], staged[PATH_MAX];
static char *whole; /* a good module's bytes */
static size_t whole_size;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int read_library(void)
{
    Dl_info info;
    FILE *file;
    struct stat st;

    if (dladdr((void *)(uintptr_t)&_cmocka_run_group_tests, &info) == 0 ||
        stat(info.dli_fname, &st) != 0)
        return -1;
    whole_size = (size_t)st.st_size;
    whole = malloc(whole_size);
    file = fopen(info.dli_fname, "re");
    if (whole == NULL || file == NULL || fread(whole, 1, whole_size, file) != whole_size)
        return -1;
    return fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || read_library() != 0)
        return -1;
    snprintf(module, sizeof(module), "%s/module.so", folder);
    snprintf(staged, sizeof(staged), "%s/app/1-x.so", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(whole);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int clean(void **state)
{
    (void)state;
    unlink(staged);
    unlink(module);
    return 0;
}

static void put(const char *data, size_t size)
{
    int fd = open(module, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void assert_refused(const char *sentence)
{
    struct stage_result result;

    assert_int_equal(stage_copy(module, staged, &result), -1);
    if (strstr(result.problem, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", result.problem, sentence);
    assert_int_equal(access(staged, F_OK), -1);
}

static void a_whole_module_is_copied_privately(void **state)
{
    struct stage_result result;
    struct stat st;
    char *copy = malloc(whole_size), digest[STAGE_SHA256_MAX];
    int fd;

    (void)state;
    put(whole, whole_size);
    assert_int_equal(stage_copy(module, staged, &result), 0);
    assert_string_equal(result.problem, "");
    assert_int_equal(strlen(result.build_id), 40);
    assert_int_equal(result.size, whole_size);
    assert_string_equal(result.sha256, SHA256Data((uint8_t *)whole, whole_size, digest));
    fd = open(staged, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, whole_size);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(read(fd, copy, whole_size), whole_size);
    assert_memory_equal(copy, whole, whole_size);
    close(fd);
    free(copy);
}

static void what_is_there_already_is_never_overwritten(void **state)
{
    struct stage_result result;

    (void)state;
    put(whole, whole_size);
    assert_int_equal(stage_copy(module, staged, &result), 0);
    assert_int_equal(stage_copy(module, staged, &result), -1);
    assert_non_null(strstr(result.problem, "File exists"));
    assert_int_equal(access(staged, F_OK), 0);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    assert_refused("module.so cannot be read: No such file");
}

static void an_empty_file_a_folder_and_a_fifo_are_refused(void **state)
{
    (void)state;
    put("", 0);
    assert_refused("is empty");
    unlink(module);
    assert_int_equal(mkdir(module, 0700), 0);
    assert_refused("is no regular file");
    rmdir(module);
    assert_int_equal(mkfifo(module, 0600), 0); /* must not wait for a writer */
    assert_refused("is no regular file");
}

static void what_is_no_module_is_refused_by_its_name(void **state)
{
    static const char source[] = "int x;\n";
    char sentence[PATH_MAX + 32];

    (void)state;
    put(source, sizeof(source) - 1);
    snprintf(sentence, sizeof(sentence), "%s is no ELF file", module);
    assert_refused(sentence);
}

/* Wherever a compiler was interrupted. */
static void a_file_cut_short_is_refused_at_every_length(void **state)
{
    (void)state;
    put(whole, 3);
    assert_refused("is no ELF file");
    for (size_t size = 4; size < whole_size; size += whole_size / 50) {
        put(whole, size);
        assert_refused("is cut short");
    }
    put(whole, whole_size - 1);
    assert_refused("is cut short");
}

/* Written without a pause, or between two looks at its time: what is staged is whole. */
static void a_file_that_is_being_written_is_never_staged_by_halves(void **state)
{
    struct stage_result result;
    char *other = malloc(whole_size), digest[STAGE_SHA256_MAX], other_digest[STAGE_SHA256_MAX];
    pid_t writer;
    int fd;

    (void)state;
    memcpy(other, whole, whole_size);
    other[whole_size - 1] ^= 1; /* in the last section header, of no importance */
    put(whole, whole_size);
    SHA256Data((uint8_t *)whole, whole_size, digest);
    SHA256Data((uint8_t *)other, whole_size, other_digest);
    writer = fork();
    if (writer == 0) {
        fd = open(module, O_WRONLY);
        for (int i = 0;; i++)
            if (pwrite(fd, i % 2 ? whole : other, whole_size, 0) < 0)
                _exit(1);
    }
    for (int i = 0; i < 3; i++) {
        if (stage_copy(module, staged, &result) == 0)
            assert_true(strcmp(result.sha256, digest) == 0 ||
                        strcmp(result.sha256, other_digest) == 0);
        else
            assert_true(strstr(result.problem, "keeps changing") ||
                        strstr(result.problem, "changed while"));
        unlink(staged);
    }
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    free(other);
}

/* For want of a folder the master gives a file in memory, which two can write to in turn. */
static void the_copy_goes_into_a_file_that_is_open(void **state)
{
    struct stage_result result;
    int fd = memfd_create("staged", 0);
    char path[64], *copy = malloc(whole_size + 1);

    (void)state;
    put(whole, whole_size);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stage_copy(module, path, &result), 0);
        assert_int_equal(pread(fd, copy, whole_size + 1, 0), whole_size);
        assert_memory_equal(copy, whole, whole_size);
        assert_int_equal(ftruncate(fd, (off_t)whole_size + 100), 0);
    }
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), 12345);
    assert_int_equal(stage_copy(module, path, &result), -1);
    assert_non_null(strstr(result.problem, "cannot be staged"));
    close(fd);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_whole_module_is_copied_privately, clean),
        cmocka_unit_test_teardown(what_is_there_already_is_never_overwritten, clean),
        cmocka_unit_test_teardown(a_missing_file_is_named, clean),
        cmocka_unit_test_teardown(an_empty_file_a_folder_and_a_fifo_are_refused, clean),
        cmocka_unit_test_teardown(what_is_no_module_is_refused_by_its_name, clean),
        cmocka_unit_test_teardown(a_file_cut_short_is_refused_at_every_length, clean),
        cmocka_unit_test_teardown(a_file_that_is_being_written_is_never_staged_by_halves, clean),
        cmocka_unit_test_teardown(the_copy_goes_into_a_file_that_is_open, clean),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
