/* routes.h: the paths of the control API. */
#ifndef MASTER_ROUTES_H
#define MASTER_ROUTES_H

#include "master/call.h"

/* Answers the call, now or line by line. */
void routes_serve(struct call *call);

#endif
