/* history_modules.c: the modules that are kept for a rollback, and which of them it goes to. What
 * is kept is always asked of the disk: an operator may remove a file at any time. */
#include "master/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/history_private.h"
#include "master/sentence.h"

static bool is_served(const struct history *history, const char *app)
{
    const struct history_owner *owner = &history->owner;

    return owner->is_served == NULL || owner->is_served(app, owner->arg);
}

static bool is_needed(const struct history *history, const char *app, uint64_t generation)
{
    const struct history_owner *owner = &history->owner;

    return owner->is_needed != NULL && owner->is_needed(app, generation, owner->arg);
}

static const char *sha256_of(const struct history *history, const char *app, uint64_t generation)
{
    return history_text(history_entry(history, app, generation), "sha256");
}

const char *history_sha256(const struct history *history, const char *app, uint64_t generation)
{
    const char *sha256 = sha256_of(history, app, generation);

    return sha256[0] != '\0' ? sha256 : NULL;
}

/* The folder of an app's modules; a name that is none never becomes a path. -1 with errno. */
static int open_modules(const struct history *history, const char *app, bool is_made)
{
    errno = ENOENT;
    if (history->folder == NULL || !history_is_app(app))
        return -1;
    return files_folder(history->folder, "modules", app, is_made);
}

static bool is_kept(const struct history *history, const char *app, uint64_t generation)
{
    int folder = generation == 0 ? -1 : open_modules(history, app, false);
    char name[FILES_NAME_MAX];
    struct stat st;
    bool is_there;

    if (folder == -1)
        return false;
    files_name(name, generation, "so");
    is_there = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
               st.st_size > 0;
    close(folder);
    return is_there;
}

char *history_module(const struct history *history, const char *app, uint64_t generation)
{
    char *path;

    if (!is_kept(history, app, generation) ||
        asprintf(&path, "%s/modules/%s/%" PRIu64 ".so", history->folder, app, generation) < 0)
        return NULL;
    return path;
}

/* ---- keeping and forgetting ---- */

/* The modules of an app that may be forgotten, in that order. */
struct ranking {
    const char **sums; /* SHA-256 of each kept one; "": not known */
    uint64_t *numbers;
    size_t count;
};

/* Does a later kept generation have the same bytes? */
static bool is_repeated(const struct ranking *ranking, const struct files_list *kept, size_t at)
{
    const char *sum = ranking->sums[at];

    for (size_t i = at + 1; sum[0] != '\0' && i < kept->count; i++)
        if (strcmp(ranking->sums[i], sum) == 0)
            return true;
    return false;
}

/* First those whose build a later one has as well, oldest first, then the others, oldest first. */
static void rank(const struct history *history, const char *app, uint64_t fresh,
                 const struct files_list *kept, struct ranking *ranking)
{
    for (size_t i = 0; i < kept->count; i++)
        ranking->sums[i] = sha256_of(history, app, kept->numbers[i]);
    for (int is_second = 0; is_second < 2; is_second++)
        for (size_t i = 0; i < kept->count; i++)
            if (kept->numbers[i] != fresh && !is_needed(history, app, kept->numbers[i]) &&
                is_repeated(ranking, kept, i) == !is_second)
                ranking->numbers[ranking->count++] = kept->numbers[i];
}

static void forget_beyond_limit(const struct history *history, const char *app, uint64_t fresh,
                                int folder)
{
    struct ranking ranking = {.count = 0};
    char name[FILES_NAME_MAX];
    struct files_list kept;

    if (files_list(folder, "so", &kept, NULL, NULL) != 0)
        return; /* the next one will */
    ranking.sums = calloc(kept.count + 1, sizeof(*ranking.sums));
    ranking.numbers = calloc(kept.count + 1, sizeof(*ranking.numbers));
    if (ranking.sums != NULL && ranking.numbers != NULL)
        rank(history, app, fresh, &kept, &ranking);
    for (size_t i = 0; i + history->limits.modules < ranking.count; i++) {
        files_name(name, ranking.numbers[i], "so");
        unlinkat(folder, name, 0);
    }
    free(ranking.sums);
    free(ranking.numbers);
    free(kept.numbers);
}

int history_keep(struct history *history, const char *app, uint64_t generation,
                 const char *staged_path, char **error_out)
{
    int folder = open_modules(history, app, true);
    char name[FILES_NAME_MAX];

    if (history->folder == NULL)
        return sentence_set(error_out,
                            "generation %" PRIu64 " of %s cannot be rolled back to: there is no "
                            "state folder",
                            generation, app);
    files_name(name, generation, "so");
    if (folder == -1 || files_keep(folder, name, staged_path) != 0) {
        sentence_set(error_out,
                     "generation %" PRIu64 " of %s cannot be rolled back to: its module was not "
                     "kept in %s/modules/%s: %s",
                     generation, app, history->folder, app, strerror(errno));
        if (folder != -1)
            close(folder);
        return -1;
    }
    if (history_see(history, app, generation) == 0)
        forget_beyond_limit(history, app, generation, folder);
    close(folder);
    return 0;
}

static void forget_module(const struct history *history, const char *app, uint64_t generation)
{
    int folder = open_modules(history, app, false), modules;
    char name[FILES_NAME_MAX];

    if (folder == -1)
        return;
    files_name(name, generation, "so");
    unlinkat(folder, name, 0);
    close(folder);
    modules = files_folder(history->folder, "modules", NULL, false);
    if (modules == -1)
        return;
    unlinkat(modules, app, AT_REMOVEDIR); /* if that was the last of them */
    close(modules);
}

void history_forget_modules(const struct history *history, const cJSON *receipt)
{
    const cJSON *entry;

    cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
        const char *app = history_text(entry, "app");
        uint64_t generation = history_number(entry, "generation");

        if (generation != 0 && !is_served(history, app) && !is_needed(history, app, generation))
            forget_module(history, app, generation);
    }
}

bool history_is_receipt_needed(const struct history *history, const cJSON *receipt)
{
    bool is_rollback = strcmp(history_text(receipt, "kind"), "rollback") == 0;
    const cJSON *entry;

    cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
        const char *app = history_text(entry, "app");

        if (!is_served(history, app))
            continue;
        if (is_kept(history, app, history_number(entry, "generation")) ||
            (is_rollback && is_kept(history, app, history_number(entry, "from"))))
            return true;
    }
    return false;
}

/* ---- is it still what it was? ---- */

static int hash(int fd, char sha256[SHA256_DIGEST_STRING_LENGTH])
{
    uint8_t buffer[64 * 1024];
    SHA2_CTX context;
    ssize_t n;

    SHA256Init(&context);
    while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        SHA256Update(&context, buffer, (size_t)n);
    }
    SHA256End(&context, sha256);
    return 0;
}

int history_verify(const struct history *history, const char *app, uint64_t generation,
                   char **error_out)
{
    const char *expected = history_sha256(history, app, generation);
    char *path = history_module(history, app, generation), found[SHA256_DIGEST_STRING_LENGTH];
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status = -1;

    if (path == NULL)
        sentence_set(error_out, "generation %" PRIu64 " of %s is not kept", generation, app);
    else if (expected == NULL)
        sentence_set(error_out,
                     "generation %" PRIu64 " of %s cannot be checked: no receipt tells its SHA-256",
                     generation, app);
    else if (fd == -1 || hash(fd, found) != 0)
        sentence_set(error_out, "%s cannot be read: %s", path, strerror(errno));
    else if (strcmp(found, expected) != 0)
        sentence_set(error_out,
                     "%s is not what was deployed as generation %" PRIu64
                     " of %s: its SHA-256 is another one",
                     path, generation, app);
    else
        status = 0;
    if (fd != -1)
        close(fd);
    free(path);
    return status;
}

/* ---- where a rollback goes ---- */

static bool is_live(const cJSON *receipt, const cJSON *entry)
{
    return strcmp(history_text(entry, "outcome"), "live") == 0 &&
           strcmp(history_text(receipt, "outcome"), "rolled back") != 0;
}

/* Did a rollback that went live leave this generation? */
/* Some rollback went away from that generation, or later on from the same bytes: going back further
 * shall not come round to what was left before. */
static bool was_left(const struct history *history, const char *app, uint64_t generation)
{
    const cJSON *receipt, *entry;
    const char *sha256 = sha256_of(history, app, generation);

    cJSON_ArrayForEach (receipt, history->receipts) {
        if (strcmp(history_text(receipt, "kind"), "rollback") != 0)
            continue;
        cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
            uint64_t left = history_number(entry, "from");

            if (strcmp(history_text(entry, "app"), app) != 0 || !is_live(receipt, entry))
                continue;
            if (left == generation || (left > generation && sha256[0] != '\0' &&
                                       strcmp(sha256, sha256_of(history, app, left)) == 0))
                return true;
        }
    }
    return false;
}

/* The latest good generation below `limit` whose build is not the one of that SHA-256 ("": any). */
static uint64_t latest_good(const struct history *history, const char *app, uint64_t limit,
                            const char *sha256)
{
    const cJSON *receipt, *entry;
    uint64_t best = 0;

    cJSON_ArrayForEach (receipt, history->receipts) {
        cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
            uint64_t generation = history_number(entry, "generation");

            if (generation <= best || generation >= limit ||
                strcmp(history_text(entry, "app"), app) != 0 || !is_live(receipt, entry))
                continue;
            if (sha256[0] != '\0' && strcmp(history_text(entry, "sha256"), sha256) == 0)
                continue;
            if (!was_left(history, app, generation) && is_kept(history, app, generation))
                best = generation;
        }
    }
    return best;
}

uint64_t history_before(const struct history *history, const char *app, uint64_t generation)
{
    return latest_good(history, app, generation, sha256_of(history, app, generation));
}

uint64_t history_last_good(const struct history *history, const char *app)
{
    return latest_good(history, app, FILES_NUMBER_MAX + 1, "");
}
