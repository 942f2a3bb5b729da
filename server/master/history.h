/* history.h: receipts and modules of past deployments, kept in the state folder:
 * FOLDER/deploys/NUMBER.json and FOLDER/modules/APP/GENERATION.so.
 *
 * Order is by number, never by time: clocks go backwards. Names of files are made of numbers and of
 * names of apps, never of anything else that a file says. When the disk refuses, the history goes
 * on in memory and catches up later; no deployment fails for it. It is told what a deployment did,
 * and decides nothing about one. */
#ifndef MASTER_HISTORY_H
#define MASTER_HISTORY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct history;

struct history_limits {
    /* Kept of each app, beside those that are needed, oldest forgotten first; among equal builds
     * the former ones before all others, or a few restarts would push out every other build. */
    unsigned modules;
    /* Kept in all, at least 1. Beyond them go, oldest first, those that no kept module of an app
     * that is served needs to be rolled back to. A module of an app that is not served any more is
     * forgotten with its receipt. */
    unsigned receipts;
    /* Of history_open only: the deployment that goes on although its process is another one now (an
     * exec): its receipt stays as it is. 0: none. */
    uint64_t resumed;
};

/* What only the master knows. */
struct history_owner {
    bool (*is_served)(const char *app, void *arg); /* it is in the configuration */
    /* Live, or a rollback is under way to it. */
    bool (*is_needed)(const char *app, uint64_t generation, void *arg);
    void *arg;
};

/* Reads what is there under `folder`, an absolute path, which is made when missing. What is damaged
 * or foreign is left alone, skipped, and named in one warning; what a killed process left half
 * written is removed. A receipt that is still "running" becomes "interrupted", with a reason.
 * folder NULL: in memory only. NULL when memory has run out. */
struct history *history_open(const char *folder, const struct history_limits *limits);
void history_free(struct history *history);
/* Until it is set, every app counts as served and no generation as needed. Copied. */
void history_set_owner(struct history *history, const struct history_owner *owner);
/* From the next history_put and history_keep on. */
void history_set_limits(struct history *history, const struct history_limits *limits);

/* One more than the highest number that was ever seen, files that could not be read included. Stays
 * the same until history_put. */
uint64_t history_next_deploy(const struct history *history);
/* The highest that any receipt or kept module had, failed ones included; 0: none. */
uint64_t history_last_generation(const struct history *history, const char *app);

/* Adds a receipt, or replaces the one of the same number. Copied. A disk that refuses is one
 * warning, and one line when it works again; what it missed is written then. 0, or -1 with ENOMEM,
 * or EINVAL when it has no number. */
int history_put(struct history *history, const cJSON *receipt);
/* An array, oldest first, and one of it or NULL: borrowed until the next history_put. */
const cJSON *history_receipts(const struct history *history);
const cJSON *history_receipt(const struct history *history, uint64_t deploy);

/* Keeps the module of a generation that went live, then forgets what is beyond the limit. Put its
 * receipt before, so that equal builds are known. 0, or -1 with a sentence in *error_out: the
 * deployment stays live, but cannot be rolled back to. */
int history_keep(struct history *history, const char *app, uint64_t generation,
                 const char *staged_path, char **error_out);
/* The kept module's path, to be freed; NULL: not kept, or empty. It may be the very file that runs
 * as that generation (a hard link): stage it as any module, never load it from here, or dlopen
 * would give the old code's handle. */
char *history_module(const struct history *history, const char *app, uint64_t generation);
/* As the generation's receipt has it, borrowed until the next history_put; NULL: not known. */
const char *history_sha256(const struct history *history, const char *app, uint64_t generation);
/* Reads the kept module and compares its SHA-256 with the receipt's. Takes 4 ms a megabyte. 0, or
 * -1 with a sentence: it is not to be used. */
int history_verify(const struct history *history, const char *app, uint64_t generation,
                   char **error_out);

/* Where a rollback from `generation` goes: the latest generation before it that was live, was not
 * itself rolled back from, is another build (SHA-256) and is kept; 0: none. */
uint64_t history_before(const struct history *history, const char *app, uint64_t generation);
/* The latest that was live, was not rolled back from and is kept, for fallback = last-good. */
uint64_t history_last_good(const struct history *history, const char *app);

#endif
