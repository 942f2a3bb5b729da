/* test_master_home.c: the state folder belongs to one server and is clean at its start, whatever
 * the last one left; an image after an exec finds it as it was; and without any folder modules are
 * staged in memory, where workers that closed everything can load them. */
#include "master/home.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/build.h"

struct place {
    char folder[64];
    struct home home;
    char *error;
    char text[256];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    strcpy(p->folder, "/tmp/reeve_test_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    setenv("TMPDIR", p->folder, 1);
    p->home.lock = -1;
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];

    home_close(&p->home);
    free(p->error);
    snprintf(command, sizeof(command), "rm -rf %s", p->folder);
    assert_int_equal(system(command), 0);
    free(p);
    unsetenv("TMPDIR");
    return 0;
}

static const char *in(struct place *p, const char *name)
{
    snprintf(p->text, sizeof(p->text), "%s/%s", p->folder, name);
    return p->text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* ---- folders ---- */

static void garbage_of_the_last_one_is_gone_and_its_lock_no_obstacle(void **state)
{
    struct place *p = *state;

    assert_int_equal(mkdir(in(p, "spool"), 0700), 0);
    assert_int_equal(mkdir(in(p, "spool/hello"), 0700), 0);
    write_file(in(p, "spool/hello/1-abc.so"), "half a mod");
    write_file(in(p, "lock"), "4711\n");
    write_file(in(p, "history"), "kept");
    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
    assert_false(is_there(in(p, "spool/hello")));
    assert_true(is_there(in(p, "spool")));
    assert_true(is_there(in(p, "history")));
    assert_string_equal(spool_folder(p->home.spool), in(p, "spool"));
}

static void a_spool_that_is_a_link_or_a_file_leads_nowhere_else(void **state)
{
    struct place *p = *state;
    char target[128];

    snprintf(target, sizeof(target), "%s/precious", p->folder);
    mkdir(target, 0700);
    write_file(in(p, "precious/file"), "x");
    assert_int_equal(symlink(target, in(p, "spool")), 0);
    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
    assert_true(is_there(in(p, "precious/file")));
    home_close(&p->home);
    write_file(in(p, "spool"), "a file");
    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
}

static void two_never_share_one(void **state)
{
    struct place *p = *state;
    struct home other;
    char pid[32];

    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
    assert_int_equal(home_open(&other, p->folder, &p->error), -1);
    snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    assert_non_null(strstr(p->error, "in use by another reeve"));
    assert_non_null(strstr(p->error, pid));
    assert_true(is_there(in(p, "spool")));
}

static void one_that_cannot_be_used_is_an_error_and_no_reason_to_go_elsewhere(void **state)
{
    struct place *p = *state;

    write_file(in(p, "file"), "");
    assert_int_equal(home_open(&p->home, in(p, "file/state"), &p->error), -1);
    assert_non_null(strstr(p->error, "state_dir: "));
    assert_int_equal(home_open(&p->home, "/proc/state", &p->error), -1);
    assert_non_null(strstr(p->error, "state_dir: /proc/state: "));
}

static void an_image_after_an_exec_finds_all_as_it_was(void **state)
{
    struct place *p = *state;
    struct home next, other;
    int lock;

    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
    mkdir(in(p, "spool/hello"), 0700);
    write_file(in(p, "spool/hello/1.so"), "loaded");
    lock = dup(p->home.lock); /* as the exec keeps it */
    close(p->home.lock);
    assert_int_equal(home_adopt(&next, p->folder, lock, false, &p->error), 0);
    assert_true(is_there(in(p, "spool/hello/1.so")));
    assert_int_equal(fcntl(lock, F_GETFD), FD_CLOEXEC);
    assert_int_equal(home_open(&other, p->folder, &p->error), -1);
    free(p->home.folder);
    spool_free(p->home.spool);
    p->home = next;
    home_close(&p->home);
    assert_false(is_there(in(p, "spool")));
    assert_int_equal(home_open(&p->home, p->folder, &p->error), 0);
}

static void a_private_folder_goes_with_its_master_or_with_the_next_one(void **state)
{
    struct place *p = *state;
    char *left;
    int status;

    fflush(NULL);
    if (fork() == 0) {
        struct home home;

        kill(home_open(&home, NULL, &p->error) == 0 && home.is_private ? getpid() : 0, SIGKILL);
    }
    wait(&status);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    mkdir(in(p, "reeve-abcdef"), 0700); /* begun by another that has not locked it yet */
    assert_int_equal(home_open(&p->home, NULL, &p->error), 0);
    assert_true(p->home.is_private);
    assert_memory_equal(p->home.folder, p->folder, strlen(p->folder));
    assert_true(is_there(in(p, "reeve-abcdef")));
    assert_int_equal(rmdir(in(p, "reeve-abcdef")), 0);
    left = strdup(p->home.folder);
    home_close(&p->home);
    assert_false(is_there(left));
    free(left);
    assert_int_equal(rmdir(p->folder), 0); /* so the killed one's is gone, too */
    mkdir(p->folder, 0700);
}

/* ---- in memory ---- */

/* A library that is surely there: that of the tests. */
static void stage(const char *path)
{
    Dl_info info;
    char buffer[65536];
    int to = open(path, O_WRONLY | O_TRUNC), from;
    ssize_t n;

    if (dladdr(__extension__(void *) _cmocka_run_group_tests, &info) == 0 || to == -1)
        _exit(1);
    from = open(info.dli_fname, O_RDONLY);
    while ((n = read(from, buffer, sizeof(buffer))) > 0)
        if (write(to, buffer, (size_t)n) != n)
            _exit(2);
    _exit(n == 0 ? 0 : 3);
}

static void load(const char *path)
{
    void *handle;

    close_range(3, ~0u, 0);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        fprintf(stderr, "%s\n", dlerror());
    if (handle == NULL || dlclose(handle) != 0)
        _exit(1);
    _exit(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL ? 0 : 2);
}

static int in_child(void (*run)(const char *), const char *path)
{
    int status;

    fflush(NULL);
    if (fork() == 0)
        run(path);
    wait(&status);
    return status;
}

static void stage_and_load(void)
{
    char *error = NULL;
    struct spool *spool = spool_in_memory(&error);
    struct build *builds[2];

    assert_non_null(spool);
    assert_null(spool_folder(spool));
    for (unsigned i = 0; i < 2; i++) {
        builds[i] = build_new(spool, "hello", 0, i + 1);
        assert_non_null(builds[i]);
        assert_int_equal(in_child(stage, builds[i]->path), 0);
        assert_int_equal(in_child(load, builds[i]->path), 0);
    }
    assert_string_not_equal(builds[0]->path, builds[1]->path);
    build_unref(builds[0]);
    build_unref(builds[1]);
    spool_free(spool);
}

static void a_process_that_closed_everything_loads_a_module_from_memory(void **state)
{
    (void)state;
    stage_and_load();
}

static void load_as_nobody(const char *unused)
{
    (void)unused;
    if (setgid(12345) != 0 || setuid(12345) != 0 || execl("/proc/self/exe", "x", "load", NULL))
        _exit(1);
}

static void any_user_can_do_that(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid() != 0 || stat("/proc/self/exe", &st) != 0 || (st.st_mode & 05) != 05)
        skip();
    assert_int_equal(in_child(load_as_nobody, NULL), 0);
}

static void a_path_is_not_used_again_soon_nor_while_it_is_in_use(void **state)
{
    char *error = NULL, *first, *kept, *path = NULL;
    struct spool *spool = spool_in_memory(&error);
    int fd, kept_fd, rounds = 0;

    (void)state;
    first = spool_path(spool, "hello", 1, &fd);
    close(fd);
    kept = spool_path(spool, "hello", 2, &kept_fd);
    do {
        free(path);
        path = spool_path(spool, "hello", 3, &fd);
        assert_non_null(path);
        assert_string_not_equal(path, kept);
        close(fd);
    } while (strcmp(path, first) != 0 && ++rounds < 5000);
    assert_in_range(rounds, 200, 4000);
    free(path);
    path = spool_path(spool, "hello", 3, &fd);
    assert_int_not_equal(fd, kept_fd);
    assert_int_equal(spool_descriptor(path), fd);
    close(fd);
    close(kept_fd);
    free(path);
    free(kept);
    free(first);
    spool_free(spool);
}

static void a_build_in_memory_outlives_an_exec_when_it_is_kept(void **state)
{
    char *error = NULL;
    struct spool *spool = spool_in_memory(&error);
    struct build *build = build_new(spool, "hello", 4, 7), *next;

    (void)state;
    assert_int_equal(fcntl(build->memory, F_GETFD), FD_CLOEXEC);
    assert_int_equal(build_keep(build, true), 0);
    assert_int_equal(fcntl(build->memory, F_GETFD), 0);
    next = build_adopt(build->path, build->app, build->generation);
    assert_non_null(next);
    assert_int_equal(next->memory, build->memory);
    assert_int_equal(fcntl(next->memory, F_GETFD), FD_CLOEXEC);
    build_unref(next);
    errno = 0;
    assert_null(build_adopt(build->path, 4, 7)); /* its descriptor is gone */
    assert_int_equal(errno, EBADF);
    build->memory = spool_descriptor("/var/lib/reeve/spool/hello/7-1.so");
    assert_int_equal(build->memory, -1);
    free(build->path);
    free(build);
    spool_free(spool);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(garbage_of_the_last_one_is_gone_and_its_lock_no_obstacle),
        TEST(a_spool_that_is_a_link_or_a_file_leads_nowhere_else),
        TEST(two_never_share_one),
        TEST(one_that_cannot_be_used_is_an_error_and_no_reason_to_go_elsewhere),
        TEST(an_image_after_an_exec_finds_all_as_it_was),
        TEST(a_private_folder_goes_with_its_master_or_with_the_next_one),
        cmocka_unit_test(a_process_that_closed_everything_loads_a_module_from_memory),
        cmocka_unit_test(any_user_can_do_that),
        cmocka_unit_test(a_path_is_not_used_again_soon_nor_while_it_is_in_use),
        cmocka_unit_test(a_build_in_memory_outlives_an_exec_when_it_is_kept),
    };

    (void)argv;
    if (argc == 2) { /* any_user_can_do_that: this program again, as another user */
        stage_and_load();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
