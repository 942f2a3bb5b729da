/* client.h: the client as its worker sees it. What applications see is reeve/client.h. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

struct event_base;

/* One a process, after the coroutines' pool. 0 or -1. */
int client_open(struct event_base *base);
/* Idle connections are closed, and none is kept from now on. */
void client_drain(void);
/* No coroutine may be alive. */
void client_close(void);

#endif
