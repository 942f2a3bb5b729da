/* history_private.h: what history.c (receipts), history_read.c (at start) and
 * history_modules.c (kept modules) share. */
#ifndef MASTER_HISTORY_PRIVATE_H
#define MASTER_HISTORY_PRIVATE_H

#include "master/files.h"
#include "master/history.h"

#define HISTORY_RECEIPT_MAX ((size_t)1 << 20) /* bytes of its file */

struct history_seen {
    char *app;
    uint64_t generation; /* the highest of it that ever was */
};

struct history {
    char *folder; /* NULL: in memory only */
    struct history_limits limits;
    struct history_owner owner;
    cJSON *receipts; /* ascending by "deploy" */
    uint64_t last_deploy;
    struct history_seen *seen;
    size_t seen_count;
    struct files_list unsaved; /* receipts that the disk does not have as they are now */
    bool is_failing;           /* the disk refused, and that was said */
    bool is_unread;            /* what lay there at start could not be read */
};

/* 1 to 63 letters, digits, '-' and '_', as in the configuration: fit for a file's name. */
bool history_is_app(const char *name);
/* Notes that there are such numbers. 0, or -1 with ENOMEM. */
int history_see(struct history *history, const char *app, uint64_t generation);
int history_see_receipt(struct history *history, const cJSON *receipt);
/* The disk has to get this receipt. 0, or -1 with ENOMEM. */
int history_mark_unsaved(struct history *history, uint64_t deploy);

/* Fills a fresh history from its folder. 0, or -1 with ENOMEM. */
int history_read(struct history *history, uint64_t resumed);

/* Of a receipt or an entry of its "apps": 0 or "" where there is no such field. */
uint64_t history_number(const cJSON *object, const char *key);
const char *history_text(const cJSON *object, const char *key);
/* The entry of a generation in the receipts; NULL: none. */
const cJSON *history_entry(const struct history *history, const char *app, uint64_t generation);

/* Does a kept module of an app that is served depend on what this receipt says? */
bool history_is_receipt_needed(const struct history *history, const cJSON *receipt);
/* A receipt is forgotten: so are its modules of apps that are not served any more. */
void history_forget_modules(const struct history *history, const cJSON *receipt);

#endif
