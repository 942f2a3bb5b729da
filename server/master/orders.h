/* orders.h: what the control API can be asked to do: the body is checked and becomes an order to
 * the part of the master whose it is. None waits: what takes long is an action, whose lines are
 * streamed. */
#ifndef MASTER_ORDERS_H
#define MASTER_ORDERS_H

#include "master/call.h"

#define ORDERS_CANARY_KEYS "canary for max_errors max_latency min_requests"

void orders_reload_all(struct call *call); /* or those that "apps" names */
void orders_reload(struct call *call);     /* call->argument */
void orders_rollback(struct call *call);   /* call->argument, to "generation" */
void orders_reconfigure(struct call *call);
void orders_upgrade(struct call *call);
void orders_restart(struct call *call);
void orders_drain(struct call *call);
void orders_resume(struct call *call);
void orders_restart_worker(struct call *call); /* call->argument: "0", or "0.3" */
void orders_kill_worker(struct call *call);
void orders_cancel(struct call *call);
void orders_scale(struct call *call);
void orders_lift(struct call *call);
void orders_reopen(struct call *call);
void orders_shutdown(struct call *call);

struct worker;

/* The worker that call->argument names, as above, or NULL: refused. */
struct worker *orders_find_worker(struct call *call);
/* 404 about the app that call->argument names. */
void orders_refuse_app(struct call *call, const char *app);

#endif
