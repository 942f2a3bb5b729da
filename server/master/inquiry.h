/* inquiry.h: GET /v1/stacks: every worker is asked which of its coroutines are suspended and in
 * which calls, and the places in code are named.
 *
 * Several may ask at once, and go away before there is an answer. A worker that does not answer in
 * time is told of with what the flight recorder knows of it. */
#ifndef MASTER_INQUIRY_H
#define MASTER_INQUIRY_H

#include <stdint.h>
#include <sys/queue.h>

struct call;
struct inquiry;
struct master;
struct message;
struct worker;

/* Those under way: a part of struct master, all zeros at its begin. Each ends with its call. */
struct inquiries {
    LIST_HEAD(, inquiry) list;
    uint64_t last; /* number */
};

/* Answers the call, later. ?worker=ID or ID.INCARNATION and ?app=NAME tell of these only. */
void inquiry_serve(struct call *call);

/* Of a worker: its answer; and that it has ended. */
void inquiry_on_answer(struct master *master, const struct worker *worker,
                       const struct message *message);
void inquiry_on_gone(struct master *master, const struct worker *worker);

#endif
