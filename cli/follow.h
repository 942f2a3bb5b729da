/* follow.h: a long action, followed from its request to its verdict, whatever happens to the
 * connection meanwhile. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include <cjson/cJSON.h>

#include "commands.h"

struct errand {
    const char *path; /* what is POSTed there */
    cJSON *body;      /* the errand's own: follow frees it */
    bool can_cancel;  /* `reevectl cancel` gives it up */
};

/* Tells every step, the verdict, or why there is none. */
enum exit_status follow(struct ctl *ctl, struct errand *errand);

#endif
