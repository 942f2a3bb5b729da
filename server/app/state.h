/* state.h: an app's state passes from the generation that was live to the one that becomes it. */
#ifndef APP_STATE_H
#define APP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/channel.h"

struct generation;

/* The time in which a generation shows its requests one state. A request notes the one it began in;
 * see state.c. */
struct tenure;

/* Before the generation's first request. 0 or -1: memory has run out. */
int state_open(struct generation *generation);
void state_close(struct generation *generation);

/* Asks both; for the loop's stack, while `from` is live and `to` is about to be. `is_kept`: `from`
 * may become live again. Returns what came of it; the reason, if one was given, is in `why`.
 * Afterwards `to` has no state that another generation owns. */
enum handover state_hand_over(struct generation *from, struct generation *to, bool is_kept,
                              char *why, size_t size);

/* A request has ended that began in a tenure which was no longer its generation's last one. It
 * holds the generation no more. */
void state_leave(struct tenure *tenure);

/* The generation has gone whose `heir` it was; NULL: nothing. */
void state_release(struct tenure *heir);

#endif
