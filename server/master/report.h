/* report.h: the scoreboard and the configuration as JSON, for the control API.
 *
 * Names, units and meaning of the figures stand in base/stats_fields.c. Counts are exact whole
 * numbers, times seconds, sizes bytes. */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/config.h"
#include "base/stats.h"

struct pool;
struct quarantines;

struct report_source {
    const struct stats *stats;
    const struct config *config;
    const int *listeners; /* one for each of config->listens; NULL: not known */
    struct pool *pool;    /* knows the files of generations; NULL: places stay numbers */
    const struct quarantines *quarantines; /* NULL: not known */
    bool has_buckets; /* the histograms are asked for, not only what follows from them */
};

/* Each makes one answer, to be freed by the caller; NULL when memory has run out. */
cJSON *report_status(const struct report_source *from);  /* the server, its sockets, which apps */
cJSON *report_stats(const struct report_source *from);   /* the same, with every worker and app */
cJSON *report_workers(const struct report_source *from); /* {"workers":[...]} */
cJSON *report_apps(const struct report_source *from);    /* {"applications":{...}} */
cJSON *report_quarantine(const struct report_source *from); /* {"quarantine":[...]} */
cJSON *report_config(const struct report_source *from); /* what is in force, defaults included */

/* One app, as under its name in report_apps, with its name and module; NULL when there is none of
 * that name too. */
cJSON *report_app(const struct report_source *from, const char *name);

/* What keeps `generation` of the app in that column loaded, one object for each kind and place; the
 * list may be of one worker. `pool` as above; `module` is the app's file, whose name stands where a
 * place has none. */
cJSON *report_holders(const struct holder_list *holders, struct pool *pool, unsigned app,
                      uint64_t generation, const char *module);

/* The i-th listening socket. False: its queue is not known. */
bool report_socket(const struct report_source *from, size_t i, struct stats_socket *socket_out);

#endif
