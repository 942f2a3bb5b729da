/* incident_story.h: an incident in words: the one sentence, and the lines of the log that follow
 * it. */
#ifndef MASTER_INCIDENT_STORY_H
#define MASTER_INCIDENT_STORY_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "master/evidence.h"

struct master;
struct worker;

enum incident_kind {
    INCIDENT_NONE,
    INCIDENT_CRASH,  /* a fatal signal that its own code brought about */
    INCIDENT_HANG,   /* killed by us, since its loop did not turn */
    INCIDENT_EXIT,   /* it ended itself, unasked */
    INCIDENT_KILLED, /* by somebody's signal */
    INCIDENT_LATE,   /* killed by us, since its time was over */
    INCIDENT_KINDS
};
const char *incident_kind_name(enum incident_kind kind); /* "crash" */

/* "worker 0.1 pid 4711 was killed by signal 11 (Segmentation fault) ...". To be freed; NULL when
 * memory has run out. */
char *incident_sentence(const struct master *master, const struct worker *worker,
                        enum incident_kind kind, const char *how, const struct evidence *evidence);
/* A crash whose handler has told nothing: whose doing it was is not known. */
bool incident_is_untraced(enum incident_kind kind, const struct evidence *evidence);
/* The build whose code it happened in; NULL: none's, or not known. */
const struct build *incident_build(const struct evidence *evidence);

/* All that is known beyond the sentence, each line with the worker's name. */
void incident_log(const char *worker, const cJSON *incident);

#endif
