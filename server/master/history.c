/* history.c: the receipts: in memory as one JSON array, on disk as a file each. Which modules are
 * kept beside them, and what can be rolled back to, is in history_modules.c; how they are read at
 * start, in history_read.c. */
#include "master/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "master/history_private.h"

/* ---- fields of a receipt ---- */

uint64_t history_number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    double value = cJSON_IsNumber(item) ? item->valuedouble : 0;

    return value >= 1 && value <= (double)FILES_NUMBER_MAX ? (uint64_t)value : 0;
}

const char *history_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text != NULL ? text : "";
}

bool history_is_app(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_");

    return length > 0 && length <= 63 && name[length] == '\0';
}

const cJSON *history_entry(const struct history *history, const char *app, uint64_t generation)
{
    const cJSON *receipt, *entry, *found = NULL;

    cJSON_ArrayForEach (receipt, history->receipts) {
        cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
            if (history_number(entry, "generation") == generation &&
                strcmp(history_text(entry, "app"), app) == 0)
                found = entry;
        }
    }
    return found;
}

/* ---- the highest numbers ---- */

int history_see(struct history *history, const char *app, uint64_t generation)
{
    struct history_seen *seen = history->seen, *more;

    for (size_t i = 0; i < history->seen_count; i++, seen++) {
        if (strcmp(seen->app, app) != 0)
            continue;
        if (generation > seen->generation)
            seen->generation = generation;
        return 0;
    }
    more = reallocarray(history->seen, history->seen_count + 1, sizeof(*more));
    if (more == NULL)
        return -1;
    history->seen = more;
    more += history->seen_count;
    *more = (struct history_seen){.app = strdup(app), .generation = generation};
    if (more->app == NULL)
        return -1;
    history->seen_count++;
    return 0;
}

int history_see_receipt(struct history *history, const cJSON *receipt)
{
    uint64_t deploy = history_number(receipt, "deploy");
    const cJSON *entry;

    if (deploy > history->last_deploy)
        history->last_deploy = deploy;
    cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
        if (history_see(history, history_text(entry, "app"), history_number(entry, "generation")) !=
            0)
            return -1;
    }
    return 0;
}

uint64_t history_last_generation(const struct history *history, const char *app)
{
    for (size_t i = 0; i < history->seen_count; i++)
        if (strcmp(history->seen[i].app, app) == 0)
            return history->seen[i].generation;
    return 0;
}

uint64_t history_next_deploy(const struct history *history)
{
    return history->last_deploy + 1;
}

/* ---- writing ---- */

static void drop_number(struct files_list *list, size_t at)
{
    list->count--;
    memmove(&list->numbers[at], &list->numbers[at + 1],
            (list->count - at) * sizeof(*list->numbers));
}

static void mark_saved(struct history *history, uint64_t deploy)
{
    for (size_t i = history->unsaved.count; i-- > 0;)
        if (history->unsaved.numbers[i] == deploy)
            drop_number(&history->unsaved, i);
}

int history_mark_unsaved(struct history *history, uint64_t deploy)
{
    struct files_list *list = &history->unsaved;
    uint64_t *more;

    if (history->folder == NULL)
        return 0;
    mark_saved(history, deploy);
    more = reallocarray(list->numbers, list->count + 1, sizeof(*more));
    if (more == NULL)
        return -1;
    list->numbers = more;
    more[list->count++] = deploy;
    return 0;
}

/* The text of a receipt, to be freed. One too long to be read again goes without what its modules
 * printed, which is all that can be that long. */
static char *print(const cJSON *receipt)
{
    char *text = cJSON_Print(receipt);
    cJSON *copy, *entry;

    if (text == NULL || strlen(text) <= HISTORY_RECEIPT_MAX)
        return text;
    free(text);
    copy = cJSON_Duplicate(receipt, true);
    cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(copy, "apps")) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "stderr");
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "warnings");
    }
    text = copy == NULL ? NULL : cJSON_Print(copy);
    cJSON_Delete(copy);
    return text;
}

static int save(const struct history *history, int folder, uint64_t deploy)
{
    const cJSON *receipt = history_receipt(history, deploy);
    char name[FILES_NAME_MAX], *text;
    int status;

    if (receipt == NULL)
        return 0;
    text = print(receipt);
    if (text == NULL)
        return -1;
    files_name(name, deploy, "json");
    status = files_write(folder, name, text, strlen(text));
    free(text);
    return status;
}

/* Receipts that lay there unread at start have numbers that were given again since: nothing is
 * written over them, and the next start reads them. */
static bool is_free(struct history *history, int folder)
{
    struct files_list list;
    bool is_empty;

    if (!history->is_unread)
        return true;
    if (files_list(folder, "json", &list, NULL, NULL) != 0)
        return false;
    is_empty = list.count == 0;
    free(list.numbers);
    history->is_unread = !is_empty;
    errno = EEXIST;
    return is_empty;
}

/* Writes what the disk does not have yet, the newest first since it matters most. */
static void save_all(struct history *history)
{
    struct files_list *unsaved = &history->unsaved;
    int folder, status = 0, error;

    if (unsaved->count == 0)
        return;
    folder = files_folder(history->folder, "deploys", NULL, true);
    if (folder == -1 || !is_free(history, folder))
        status = -1;
    while (status == 0 && unsaved->count > 0) {
        status = save(history, folder, unsaved->numbers[unsaved->count - 1]);
        if (status == 0)
            unsaved->count--;
    }
    error = errno;
    if (folder != -1)
        close(folder);
    if (status != 0 && !history->is_failing)
        log_warnx("the history cannot be written: %s/deploys: %s; receipts are kept in memory "
                  "until it can",
                  history->folder, strerror(error));
    else if (status == 0 && history->is_failing)
        log_info("the history works again: %s/deploys", history->folder);
    history->is_failing = status != 0;
}

/* ---- how many ---- */

static void forget(struct history *history, cJSON *receipt)
{
    uint64_t deploy = history_number(receipt, "deploy");
    char name[FILES_NAME_MAX];
    int folder = -1;

    if (history->folder != NULL) {
        history_forget_modules(history, receipt);
        folder = files_folder(history->folder, "deploys", NULL, false);
    }
    if (folder != -1) {
        files_name(name, deploy, "json");
        unlinkat(folder, name, 0);
        close(folder);
    }
    mark_saved(history, deploy);
    cJSON_Delete(cJSON_DetachItemViaPointer(history->receipts, receipt));
}

/* The newest always stays: numbers go on from it. */
static void trim(struct history *history)
{
    int over = cJSON_GetArraySize(history->receipts) - (int)history->limits.receipts;
    cJSON *receipt = history->receipts->child, *next;

    for (; over > 0 && receipt != NULL && receipt->next != NULL; receipt = next) {
        next = receipt->next;
        if (history_is_receipt_needed(history, receipt))
            continue;
        forget(history, receipt);
        over--;
    }
}

/* Puts a receipt, which becomes the array's, in its place. */
static void insert(cJSON *receipts, cJSON *receipt)
{
    uint64_t deploy = history_number(receipt, "deploy"), other;
    int at = 0, later = cJSON_GetArraySize(receipts);
    cJSON *item;

    cJSON_ArrayForEach (item, receipts) {
        other = history_number(item, "deploy");
        if (other == deploy) {
            cJSON_ReplaceItemViaPointer(receipts, item, receipt);
            return;
        }
        if (other > deploy)
            break;
        at++;
        later--;
    }
    /* Debian's cJSON refuses to insert in the middle: the later ones, nearly always none, are moved
     * behind it. */
    cJSON_AddItemToArray(receipts, receipt);
    for (; later > 0; later--)
        cJSON_AddItemToArray(receipts, cJSON_DetachItemFromArray(receipts, at));
}

int history_put(struct history *history, const cJSON *receipt)
{
    uint64_t deploy = history_number(receipt, "deploy");
    cJSON *copy;

    if (deploy == 0) {
        errno = EINVAL;
        return -1;
    }
    copy = cJSON_Duplicate(receipt, true);
    if (copy == NULL || history_see_receipt(history, copy) != 0 ||
        history_mark_unsaved(history, deploy) != 0) {
        cJSON_Delete(copy);
        errno = ENOMEM;
        return -1;
    }
    insert(history->receipts, copy);
    trim(history);
    save_all(history);
    return 0;
}

/* ---- the whole ---- */

struct history *history_open(const char *folder, const struct history_limits *limits)
{
    struct history *history = calloc(1, sizeof(*history));

    if (history == NULL)
        return NULL;
    history_set_limits(history, limits);
    history->receipts = cJSON_CreateArray();
    history->folder = folder == NULL ? NULL : strdup(folder);
    if (history->receipts == NULL || (folder != NULL && history->folder == NULL) ||
        (folder != NULL && history_read(history, limits->resumed) != 0)) {
        history_free(history);
        return NULL;
    }
    trim(history);
    save_all(history);
    return history;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    for (size_t i = 0; i < history->seen_count; i++)
        free(history->seen[i].app);
    free(history->seen);
    free(history->unsaved.numbers);
    cJSON_Delete(history->receipts);
    free(history->folder);
    free(history);
}

void history_set_owner(struct history *history, const struct history_owner *owner)
{
    history->owner = *owner;
}

void history_set_limits(struct history *history, const struct history_limits *limits)
{
    history->limits = *limits;
}

const cJSON *history_receipts(const struct history *history)
{
    return history->receipts;
}

const cJSON *history_receipt(const struct history *history, uint64_t deploy)
{
    const cJSON *receipt;

    cJSON_ArrayForEach (receipt, history->receipts) {
        if (history_number(receipt, "deploy") == deploy)
            return receipt;
    }
    return NULL;
}
