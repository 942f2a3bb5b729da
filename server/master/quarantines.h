/* quarantines.h: a route that killed workers again and again is answered 503 by all of them, until
 * quarantine_time has passed, another build is live, or an operator lifts it.
 *
 * What is in force stands on the scoreboard, so it outlives workers and an upgrade; the kills that
 * have not led to anything yet are this process's, and an upgrade forgets them. */
#ifndef MASTER_QUARANTINES_H
#define MASTER_QUARANTINES_H

#include <cjson/cJSON.h>

#include "base/flight.h"

struct master;
struct quarantines;

/* Goes on with what is on the scoreboard. NULL with ENOMEM. */
struct quarantines *quarantines_new(struct master *master);
void quarantines_free(struct quarantines *quarantines);

/* This request ran when its worker crashed, hung or exited. Not for one killed from outside. Before
 * the worker's holds are dropped. */
void quarantines_on_kill(struct master *master, const struct flight *culprit);

/* [{"app","generation","path","is_prefix"?,"kills","since","remaining","refused"}]. A path is
 * written as in a request. */
cJSON *quarantines_list(const struct quarantines *quarantines);

/* Lifts what refuses `path` (decoded; NULL: any) of `app` (NULL: any), and returns it, as above;
 * what they did until now counts no more. */
cJSON *quarantines_lift(struct quarantines *quarantines, const char *app, const char *path);

#endif
