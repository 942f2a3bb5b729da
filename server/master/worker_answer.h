/* worker_answer.h: GET /v1/workers/ID: what one worker does, with the places in code where its
 * requests wait. They are named by a process of their own (symbols.h), so the answer may come
 * later. */
#ifndef MASTER_WORKER_ANSWER_H
#define MASTER_WORKER_ANSWER_H

struct call;
struct report_source;

/* Answers the call, which has the slot's number as its argument. */
void worker_answer(struct call *call, const struct report_source *from);

#endif
