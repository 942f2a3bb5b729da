/* inspect.h: answers the master's question which coroutines are suspended, and in which calls.
 *
 * It looks at a few each round of the loop, so that with thousands of them nobody waits for long;
 * they start, go on and end in between. */
#ifndef WORKER_INSPECT_H
#define WORKER_INSPECT_H

#include <stdint.h>

struct inspect;
struct link;
struct room;

/* NULL with errno. */
struct inspect *inspect_new(struct room *room, struct link *link);
void inspect_free(struct inspect *inspect); /* NULL is fine */

/* link_answer_stacks is called once for each question, soon, or within the call. Who asks while it
 * looks around for somebody else gets an answer of his own, which knows what began meanwhile. */
void inspect_ask(struct inspect *inspect, uint64_t question);

#endif
