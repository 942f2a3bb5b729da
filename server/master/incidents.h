/* incidents.h: abnormal ends of workers: each is told in the log, with what the worker left on the
 * scoreboard, and the last ones are kept. */
#ifndef MASTER_INCIDENTS_H
#define MASTER_INCIDENTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

struct incidents;
struct master;
struct worker;

#define INCIDENTS_KEPT 32u

/* NULL with errno. */
struct incidents *incidents_new(struct master *master);
void incidents_free(struct incidents *incidents);

/* A worker was reaped; its slot and its holds are as it left them. `how` it ended, by its wait
 * status. False: that was no incident, and the log says nothing yet. */
bool incidents_on_end(struct master *master, struct worker *worker, const char *how);
/* The log is still to get some story's end, which waits for names. The master is told
 * (master_on_gone) when none does any more. */
bool incidents_are_pending(const struct incidents *incidents);

/* {"incidents":[...]}, all that are kept, oldest first; with "before_upgrade" how many there were
 * before this image of the master, which keeps none of them. To be freed. Its parts are raw text. */
cJSON *incidents_report(const struct incidents *incidents);
/* The latest in that slot, null: none. To be freed; raw text. */
cJSON *incidents_latest_of(const struct incidents *incidents, unsigned slot);

#endif
