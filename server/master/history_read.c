/* history_read.c: the history as it lies on disk when the server starts. Whatever lies there, the
 * server starts: what is no receipt and no module is skipped, and named once. */
#include "master/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_depth.h"
#include "base/log.h"
#include "master/history_private.h"

#define RECEIPT_DEPTH_MAX 16
#define SKIPPED_NAMED     8

static const char interrupted[] =
    "the server ended before the outcome of this deployment was written down";

struct reading {
    struct history *history;
    const char *where;  /* of what is read now: "deploys", "modules", "modules/APP" */
    char skipped[1024]; /* names and why */
    unsigned skipped_count;
    bool is_out_of_memory;
};

static void skip(struct reading *reading, const char *name, const char *why)
{
    size_t used = strlen(reading->skipped);

    if (reading->skipped_count++ < SKIPPED_NAMED)
        snprintf(reading->skipped + used, sizeof(reading->skipped) - used, "%s%s/%.40s (%s)",
                 used > 0 ? ", " : "", reading->where, name, why);
}

static void skip_foreign(const char *name, void *arg)
{
    skip(arg, name, "not a file of the history");
}

static void tell_skipped(const struct reading *reading)
{
    char more[32] = "";

    if (reading->skipped_count > SKIPPED_NAMED)
        snprintf(more, sizeof(more), " and %u more", reading->skipped_count - SKIPPED_NAMED);
    if (reading->skipped_count > 0)
        log_warnx("the history skips, and leaves alone, in %s: %s%s", reading->history->folder,
                  reading->skipped, more);
}

/* ---- receipts ---- */

static bool is_receipt(const cJSON *json)
{
    const cJSON *apps = cJSON_GetObjectItemCaseSensitive(json, "apps"), *entry;

    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "outcome")))
        return false;
    if (apps != NULL && !cJSON_IsArray(apps))
        return false;
    cJSON_ArrayForEach (entry, apps) {
        if (!history_is_app(history_text(entry, "app")))
            return false;
    }
    return true;
}

/* NULL with the reason. */
static cJSON *parse(const char *text, size_t size, uint64_t deploy, const char **why_out)
{
    cJSON *json = NULL;

    *why_out = "no whole JSON object";
    if (strlen(text) != size)
        return NULL;
    if (!json_is_shallow(text, RECEIPT_DEPTH_MAX)) {
        *why_out = "nested too deeply";
        return NULL;
    }
    json = cJSON_ParseWithOpts(text, NULL, true);
    if (!cJSON_IsObject(json))
        goto bad;
    *why_out = "no receipt of that number";
    if (history_number(json, "deploy") == deploy && is_receipt(json))
        return json;
bad:
    cJSON_Delete(json);
    return NULL;
}

static int read_receipt(struct reading *reading, int folder, uint64_t deploy)
{
    struct history *history = reading->history;
    char name[FILES_NAME_MAX], *text;
    const char *why;
    cJSON *receipt;
    size_t size;

    if (deploy > history->last_deploy)
        history->last_deploy = deploy;
    files_name(name, deploy, "json");
    text = files_read(folder, name, HISTORY_RECEIPT_MAX, &size);
    if (text == NULL) {
        skip(reading, name, errno == EFBIG ? "larger than 1 MiB" : strerror(errno));
        return errno == ENOMEM ? -1 : 0;
    }
    receipt = parse(text, size, deploy, &why);
    free(text);
    if (receipt == NULL) {
        skip(reading, name, why);
        return 0;
    }
    cJSON_AddItemToArray(history->receipts, receipt); /* they come in ascending order */
    return history_see_receipt(history, receipt);
}

static void read_receipts(struct reading *reading)
{
    struct history *history = reading->history;
    int folder = files_folder(history->folder, "deploys", NULL, true);
    struct files_list list = {.count = 0};

    reading->where = "deploys";
    if (folder == -1 || files_list(folder, "json", &list, skip_foreign, reading) != 0) {
        log_warnx("the history cannot be used: %s/deploys: %s; receipts are kept in memory until "
                  "it can",
                  history->folder, strerror(errno));
        history->is_failing = history->is_unread = true;
    }
    for (size_t i = 0; i < list.count; i++)
        if (read_receipt(reading, folder, list.numbers[i]) != 0)
            reading->is_out_of_memory = true;
    free(list.numbers);
    if (folder != -1)
        close(folder);
}

/* ---- modules ---- */

static void read_app(const char *app, void *arg)
{
    struct reading *reading = arg;
    struct files_list list = {.count = 0};
    char where[80];
    int folder = -1;

    if (history_is_app(app))
        folder = files_folder(reading->history->folder, "modules", app, false);
    if (folder == -1) {
        skip_foreign(app, reading);
        return;
    }
    snprintf(where, sizeof(where), "modules/%s", app);
    reading->where = where;
    if (files_list(folder, "so", &list, skip_foreign, reading) != 0)
        skip(reading, "", strerror(errno));
    close(folder);
    for (size_t i = 0; i < list.count; i++)
        if (history_see(reading->history, app, list.numbers[i]) != 0)
            reading->is_out_of_memory = true;
    free(list.numbers);
    reading->where = "modules";
}

static void read_modules(struct reading *reading)
{
    int folder = files_folder(reading->history->folder, "modules", NULL, false);
    struct files_list list;

    if (folder == -1)
        return; /* none was ever kept, or history_keep will say what is wrong */
    reading->where = "modules";
    if (files_list(folder, "so", &list, read_app, reading) == 0)
        free(list.numbers);
    close(folder);
}

/* ---- what a killed server was doing ---- */

static int set_text(cJSON *object, const char *key, const char *text)
{
    cJSON *item = cJSON_CreateString(text);

    if (item == NULL)
        return -1;
    if (cJSON_GetObjectItemCaseSensitive(object, key) != NULL)
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, item);
    else
        cJSON_AddItemToObject(object, key, item);
    return 0;
}

static bool is_running(const cJSON *object)
{
    return strcmp(history_text(object, "outcome"), "running") == 0;
}

static int interrupt(struct history *history, cJSON *receipt)
{
    cJSON *entry;

    cJSON_ArrayForEach (entry, cJSON_GetObjectItemCaseSensitive(receipt, "apps")) {
        if ((is_running(entry) || history_text(entry, "outcome")[0] == '\0') &&
            set_text(entry, "outcome", "interrupted") != 0)
            return -1;
    }
    if (set_text(receipt, "outcome", "interrupted") != 0 ||
        set_text(receipt, "reason", interrupted) != 0)
        return -1;
    return history_mark_unsaved(history, history_number(receipt, "deploy"));
}

int history_read(struct history *history, uint64_t resumed)
{
    struct reading reading = {.history = history};
    cJSON *receipt;

    read_receipts(&reading);
    read_modules(&reading);
    tell_skipped(&reading);
    cJSON_ArrayForEach (receipt, history->receipts) {
        if (is_running(receipt) && history_number(receipt, "deploy") != resumed &&
            interrupt(history, receipt) != 0)
            reading.is_out_of_memory = true;
    }
    return reading.is_out_of_memory ? -1 : 0;
}
