/* incident_record.h: an incident as JSON, as the control API shows it. */
#ifndef MASTER_INCIDENT_RECORD_H
#define MASTER_INCIDENT_RECORD_H

#include <cjson/cJSON.h>

#include "master/evidence.h"
#include "master/incident_story.h"
#include "master/symbols.h"

struct master;
struct worker;

/* All but what needs names. */
cJSON *incident_describe(const struct master *master, const struct worker *worker,
                         enum incident_kind kind, const char *sentence,
                         const struct evidence *evidence);
/* The rest; `named` has an entry for each of the evidence's places, or is NULL. */
void incident_complete(cJSON *json, const struct master *master, const struct evidence *evidence,
                       const struct symbols *named);

#endif
