/* check.h: `reeve -t`: would these modules be accepted? Nothing is bound, locked or served. */
#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include "base/config.h"

/* Stages and loads each app's module in a process of its own. Returns 0, or -1 with one sentence
 * about the first that is refused in *error_out, to be freed; what that process wrote is shown on
 * stderr. */
int check_modules(const struct config *config, char **error_out);

#endif
