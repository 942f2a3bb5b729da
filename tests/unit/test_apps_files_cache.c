/* test_apps_files_cache.c: files' cache gives what is on the disk, nothing from outside of the
 * root, and loses no descriptor. */
#include "../../apps/files/beneath.c"
#include "../../apps/files/cache.c"
#include "../../apps/files/conditions.c"
#include "../../apps/files/types.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

struct fixture {
    char folder[64]; /* holds "root", which is served, and what is outside of it */
    int outside;
    int root;
    struct cache *cache;
};

static void put(int folder, const char *path, const char *text)
{
    int fd = openat(folder, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.folder = "/tmp/reeve-cache-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    f.outside = open(f.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(f.outside, "root", 0700), 0);
    f.root = openat(f.outside, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    f.cache = cache_new(f.root);
    assert_non_null(f.cache);
    put(f.outside, "secret.txt", "secret");
    put(f.root, "a.txt", "one");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    cache_free(f->cache);
    close(f->root);
    close(f->outside);
    snprintf(command, sizeof(command), "rm -r %s", f->folder);
    return system(command);
}

static void assert_contents(struct fixture *f, const char *path, const char *text)
{
    struct file *file = cache_open(f->cache, path);

    assert_non_null(file);
    assert_int_equal(file->size, strlen(text));
    assert_memory_equal(file->contents, text, strlen(text));
    file_release(file);
}

static void assert_error(struct fixture *f, const char *path, int error)
{
    errno = 0;
    assert_null(cache_open(f->cache, path));
    assert_int_equal(errno, error);
}

/* Waits until `path` is old enough to be kept, and has been. */
static void settle(struct fixture *f, const char *path)
{
    struct file *first, *second;

    do { /* the clock's second may change between the two, too, and that empties the cache */
        first = cache_open(f->cache, path);
        second = cache_open(f->cache, path);
        file_release(first);
        file_release(second);
    } while (first != second);
}

static void a_file_asked_for_again_is_the_same(void **state)
{
    settle(*state, "a.txt");
}

static void a_file_just_written_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct file *first, *second;

    do { /* until the machine was fast enough */
        put(f->root, "a.txt", "now");
        first = cache_open(f->cache, "a.txt");
        second = cache_open(f->cache, "a.txt");
        file_release(first);
        file_release(second);
    } while (first == second);
}

static void a_change_shows_at_once(void **state)
{
    struct fixture *f = *state;

    settle(f, "a.txt");
    put(f->root, "a.txt", "three");
    assert_contents(f, "a.txt", "three");

    put(f->root, "b.txt", "other");
    settle(f, "a.txt");
    assert_int_equal(renameat(f->root, "b.txt", f->root, "a.txt"), 0);
    assert_contents(f, "a.txt", "other");

    settle(f, "a.txt");
    assert_int_equal(unlinkat(f->root, "a.txt", 0), 0);
    assert_error(f, "a.txt", ENOENT);
    put(f->root, "a.txt", "again");
    assert_contents(f, "a.txt", "again");
}

static void a_link_exchanged_on_the_way_shows_soon(void **state)
{
    struct fixture *f = *state;
    struct file *file;
    bool is_new;

    assert_int_equal(mkdirat(f->root, "v1", 0700), 0);
    assert_int_equal(mkdirat(f->root, "v2", 0700), 0);
    put(f->root, "v1/x", "old");
    put(f->root, "v2/x", "new");
    assert_int_equal(symlinkat("v1", f->root, "current"), 0);
    settle(f, "current/x");
    assert_int_equal(symlinkat("v2", f->root, "next"), 0);
    assert_int_equal(renameat(f->root, "next", f->root, "current"), 0);
    do {
        file = cache_open(f->cache, "current/x");
        assert_non_null(file);
        is_new = memcmp(file->contents, "new", 3) == 0;
        file_release(file);
    } while (!is_new);
}

static void another_file_of_the_same_size_and_time_has_another_tag(void **state)
{
    struct fixture *f = *state;
    const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    struct file *first, *second;

    put(f->root, "b.txt", "two");
    assert_int_equal(utimensat(f->root, "a.txt", times, 0), 0);
    assert_int_equal(utimensat(f->root, "b.txt", times, 0), 0);
    first = cache_open(f->cache, "a.txt");
    assert_int_equal(renameat(f->root, "b.txt", f->root, "a.txt"), 0);
    second = cache_open(f->cache, "a.txt");
    assert_string_equal(first->last_modified, "Sun, 09 Sep 2001 01:46:40 GMT");
    assert_string_equal(second->last_modified, first->last_modified);
    assert_string_not_equal(second->etag, first->etag);
    assert_memory_equal(first->contents, "one", 3); /* held, and so still there */
    file_release(first);
    file_release(second);
}

static void a_time_in_the_future_is_not_told(void **state)
{
    struct fixture *f = *state;
    const struct timespec times[2] = {{4000000000, 0}, {4000000000, 0}};
    struct file *file;

    assert_int_equal(utimensat(f->root, "a.txt", times, 0), 0);
    file = cache_open(f->cache, "a.txt");
    assert_true(file->modified <= time(NULL));
    file_release(file);
}

static void nothing_leads_out_of_the_root(void **state)
{
    struct fixture *f = *state;
    char secret[128];

    snprintf(secret, sizeof(secret), "%s/secret.txt", f->folder);
    assert_int_equal(symlinkat("../secret.txt", f->root, "up"), 0);
    assert_int_equal(symlinkat(secret, f->root, "absolute"), 0);
    assert_int_equal(symlinkat("..", f->root, "parent"), 0);
    assert_int_equal(symlinkat("/proc/self/cwd", f->root, "magic"), 0);
    assert_error(f, "up", EXDEV);
    assert_error(f, "absolute", EXDEV);
    assert_error(f, "parent/secret.txt", EXDEV);
    assert_error(f, "parent/root/a.txt", EXDEV);
    assert_error(f, "magic/x", EXDEV);
    assert_error(f, "../secret.txt", EXDEV);
    assert_error(f, secret, EXDEV);

    assert_int_equal(mkdirat(f->root, "sub", 0700), 0);
    assert_int_equal(symlinkat("../a.txt", f->root, "sub/inside"), 0);
    assert_contents(f, "sub/inside", "one");
}

static void what_is_no_regular_file_is_not_opened(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdirat(f->root, "sub", 0700), 0);
    assert_int_equal(mkfifoat(f->root, "fifo", 0600), 0);
    assert_error(f, "sub", EISDIR);
    assert_error(f, "fifo", ENOENT);
    assert_error(f, "a.txt/b", ENOTDIR);
}

static void only_a_small_file_is_kept_in_memory(void **state)
{
    struct fixture *f = *state;
    char text[SMALL_FILE + 2];
    struct file *file;

    memset(text, 'x', sizeof(text));
    text[SMALL_FILE] = '\0';
    put(f->root, "small", text);
    assert_contents(f, "small", text);

    text[SMALL_FILE] = 'x';
    text[SMALL_FILE + 1] = '\0';
    put(f->root, "larger", text);
    file = cache_open(f->cache, "larger");
    assert_non_null(file);
    assert_int_equal(file->size, SMALL_FILE + 1);
    assert_null(file->contents);
    file_release(file);
}

/* More files than descriptors: the cache gives its own away rather than fail. */
static void the_cache_never_takes_the_last_descriptor(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, few;
    char name[16];

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        put(f->root, name, name);
    }
    settle(f, name);
    few = before;
    few.rlim_cur = 40;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_contents(f, name, name);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_asked_for_again_is_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_just_written_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_shows_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_exchanged_on_the_way_shows_soon, setup, teardown),
        cmocka_unit_test_setup_teardown(another_file_of_the_same_size_and_time_has_another_tag,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_in_the_future_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_leads_out_of_the_root, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_not_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_small_file_is_kept_in_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cache_never_takes_the_last_descriptor, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
