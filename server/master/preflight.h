/* preflight.h: a build is tried in a throwaway process: staged there, loaded, initialised,
 * self-tested and asked for its selftest_paths by a worker without listeners, under tight limits.
 * Whatever happens to that process is an answer. */
#ifndef MASTER_PREFLIGHT_H
#define MASTER_PREFLIGHT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"

#define PREFLIGHT_OUTPUT_MAX (16 * 1024)

struct preflight_order { /* borrowed until the end is told */
    struct event_base *base;
    const struct config *config;
    unsigned app; /* index into config->apps */
    uint64_t generation;
    const char *module; /* the file that is tried */
    const char *path;   /* where the private copy goes */
};

struct preflight_result { /* lives during the call */
    const char *refusal;  /* one sentence; NULL: the build is good */
    const char *output;   /* what the child wrote on stdout and stderr, the first 16 KiB of it */
    const char *version;  /* the module's own; "" when it is not known */
    const char *build_id; /* "" when there is none */
    const char *sha256;   /* of the module, 64 hexadecimal digits; "" when it was not read */
    const char *warnings; /* sentences, each ended by \n; "": none */
    uint64_t size;        /* of the module, in bytes */
};

struct preflight;
/* Called once, when the process has been reaped; the preflight is freed right after. */
typedef void preflight_on_end(const struct preflight_result *result, void *arg);

/* NULL with errno when no process could be made. */
struct preflight *preflight_start(const struct preflight_order *order, preflight_on_end *on_end,
                                  void *arg);

/* Ends it now; on_end still comes, with a refusal. */
void preflight_cancel(struct preflight *preflight);

/* True when `pid` is its process. */
bool preflight_reap(struct preflight *preflight, pid_t pid, int status);

#endif
