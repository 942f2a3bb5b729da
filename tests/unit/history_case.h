/* history_case.h: the state folder, the log and the deployments that the tests of the history
 * share. linkat and copy_file_range are replaced here, to refuse when a test says so. Included once
 * by a test, which need not use all of it. */
#ifndef TESTS_HISTORY_CASE_H
#define TESTS_HISTORY_CASE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <sha2.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "master/history.h"

static char room[] = "/tmp/reeve-history-XXXXXX";
static char folder[64]; /* the state folder: ROOM/state */
static int log_pipe = -1;
static struct history *history; /* of the test that runs */
static struct history_limits limits;

/* ---- system calls that refuse ---- */

static int link_error, copy_error; /* errno; 0: works */

int linkat(int from, const char *path, int to, const char *name, int flags)
{
    if (link_error != 0) {
        errno = link_error;
        return -1;
    }
    return (int)syscall(SYS_linkat, from, path, to, name, flags);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t size, unsigned flags)
{
    if (copy_error != 0) {
        errno = copy_error;
        return -1;
    }
    return syscall(SYS_copy_file_range, from, at, to, to_at, size, flags);
}

static int allocations_left = -1; /* of cJSON; -1: any number */

static inline void *allocate(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return malloc(size);
}

/* After so many more, cJSON gets no memory; -1: it gets all. */
static inline void fail_allocation(int after)
{
    allocations_left = after;
    cJSON_InitHooks(after == -1 ? NULL : &(cJSON_Hooks){allocate, free});
}

static inline void set_disk_full(bool is_full)
{
    static struct rlimit before;
    struct rlimit none;

    if (is_full) {
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    } else {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
}

/* ---- the room ---- */

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the room; in a buffer that the fourth call from here overwrites. */
static inline const char *in_room(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *in_room(const char *format, ...)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    int length = snprintf(path, PATH_MAX, "%s/", room);
    va_list args;

    va_start(args, format);
    vsnprintf(path + length, PATH_MAX - (size_t)length, format, args);
    va_end(args);
    return path;
}

static inline bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline void put_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static inline void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

static inline void make_folders(void)
{
    mkdir(folder, 0700);
    mkdir(in_room("state/deploys"), 0700);
    mkdir(in_room("state/modules"), 0700);
    mkdir(in_room("state/modules/hello"), 0700);
}

/* What was logged since the last call. */
static inline const char *logged(void)
{
    static char text[32 * 1024];
    ssize_t n = read(log_pipe, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static inline void assert_logged(const char *words)
{
    const char *text = logged();

    if (strstr(text, words) == NULL)
        fail_msg("the log does not say \"%s\" but: %s", words, text);
    assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n')); /* one line */
}

static inline void assert_silent(void)
{
    assert_string_equal(logged(), "");
}

static inline int set_up_all(void **state)
{
    int fds[2];

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(room) == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    snprintf(folder, sizeof(folder), "%s/state", room);
    log_pipe = fds[0];
    return log_open(in_room("../../proc/self/fd/%d", fds[1]), LOG_LEVEL_INFO);
}

static inline int tear_down_all(void **state)
{
    (void)state;
    log_open(NULL, LOG_LEVEL_INFO);
    return rmdir(room);
}

static inline int set_up(void **state)
{
    (void)state;
    link_error = copy_error = 0;
    limits = (struct history_limits){.modules = 10, .receipts = 200};
    history = NULL;
    return mkdir(room, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    history_free(history);
    remove_tree(folder);
    unlink(in_room("staged.so"));
    logged();
    return 0;
}

/* ---- the master's part ---- */

static inline void reopen(void)
{
    history_free(history);
    history = history_open(folder, &limits);
    assert_non_null(history);
}

static inline const char *sum_of(const char *bytes)
{
    static char sum[SHA256_DIGEST_STRING_LENGTH];

    return SHA256Data((const uint8_t *)bytes, strlen(bytes), sum);
}

/* A deployment of one app, as far as the history looks at it. */
struct deployed {
    uint64_t deploy, generation, from;
    const char *kind, *outcome, *app;
    const char *bytes; /* of the module */
};

static inline cJSON *receipt_of(const struct deployed *d)
{
    cJSON *json = cJSON_CreateObject(), *app = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "deploy", (double)d->deploy);
    cJSON_AddStringToObject(json, "kind", d->kind != NULL ? d->kind : "reload");
    cJSON_AddNumberToObject(json, "began_at", 1e9 - (double)d->deploy); /* the clock goes back */
    cJSON_AddStringToObject(json, "outcome", d->outcome != NULL ? d->outcome : "live");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "apps"), app);
    cJSON_AddStringToObject(app, "app", d->app != NULL ? d->app : "hello");
    cJSON_AddNumberToObject(app, "generation", (double)d->generation);
    if (d->from != 0)
        cJSON_AddNumberToObject(app, "from", (double)d->from);
    cJSON_AddStringToObject(app, "outcome", d->outcome != NULL ? d->outcome : "live");
    if (d->bytes != NULL)
        cJSON_AddStringToObject(app, "sha256", sum_of(d->bytes));
    return json;
}

static inline void put(struct deployed d)
{
    cJSON *json = receipt_of(&d);

    assert_int_equal(history_put(history, json), 0);
    cJSON_Delete(json);
}

static inline void keep_bytes(const char *app, uint64_t generation, const char *bytes)
{
    char *error = NULL;

    unlink(in_room("staged.so")); /* each staged module is a file of its own */
    put_text(in_room("staged.so"), bytes);
    if (history_keep(history, app, generation, in_room("staged.so"), &error) != 0)
        fail_msg("%s", error);
    assert_null(error);
}

/* A deployment that went live and whose module was kept. */
static inline void deploy(struct deployed d)
{
    d.deploy = d.deploy != 0 ? d.deploy : history_next_deploy(history);
    put(d);
    keep_bytes(d.app != NULL ? d.app : "hello", d.generation, d.bytes);
}

static inline bool is_kept(const char *app, uint64_t generation)
{
    char *path = history_module(history, app, generation);
    bool is_it = path != NULL;

    free(path);
    return is_it;
}

static inline const char *field(uint64_t number, const char *key)
{
    const cJSON *receipt = history_receipt(history, number);

    assert_non_null(receipt);
    return cJSON_GetStringValue(cJSON_GetObjectItem(receipt, key));
}

static inline int receipt_count(void)
{
    return cJSON_GetArraySize(history_receipts(history));
}

static uint64_t needed[4]; /* generations of hello */
static const char *served = "hello";

static inline bool is_served(const char *app, void *arg)
{
    assert_ptr_equal(arg, needed);
    return strcmp(app, served) == 0;
}

static inline bool is_needed(const char *app, uint64_t generation, void *arg)
{
    assert_ptr_equal(arg, needed);
    for (size_t i = 0; i < 4; i++)
        if (needed[i] == generation && strcmp(app, "hello") == 0)
            return true;
    return false;
}

static inline void own(uint64_t first, uint64_t second)
{
    memset(needed, 0, sizeof(needed));
    needed[0] = first;
    needed[1] = second;
    history_set_owner(history, &(struct history_owner){is_served, is_needed, needed});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
