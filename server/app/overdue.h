/* overdue.h: request_timeout: a request that has not ended in its time is cancelled, so that its
 * application unwinds.
 *
 * A request is watched from when it first waits: one that never does costs nothing here, and could
 * not be cancelled either, since it has the processor. The time counts from its arrival. What
 * became of it in the end is call.c's to say. */
#ifndef APP_OVERDUE_H
#define APP_OVERDUE_H

struct overdue;
struct reeve_environ;
struct room;

/* Makes room->overdue, unless no app has a limit; room->net's base is known. 0 or -1. */
int overdue_open(struct room *room);
void overdue_close(struct room *room);

/* The request waits, on its coroutine: for the first time or again. */
void overdue_watch(struct reeve_environ *request);
/* It has ended. */
void overdue_forget(struct reeve_environ *request);

#endif
