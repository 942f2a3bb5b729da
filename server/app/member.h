/* member.h: a long-lived connection as a member of a generation: it holds it, runs its callbacks one
 * after the other, and moves to the next one if that takes it.
 *
 * What is spoken is its kind's concern (server/live). Lifetime: embedded in the kind's struct, from
 * member_join to member_leave. */
#ifndef APP_MEMBER_H
#define APP_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/board.h"
#include "runtime/soon.h"

struct coro;
struct generation;
struct member;
struct room;
struct strand;

struct member_kind {
    /* The generation that this one belongs to is not live any more, and that one is: true when its
     * build has the same protocol and adopts the connection, which then speaks that. Asked on the
     * loop's stack, only while no duty runs. */
    bool (*adopt)(struct member *member, struct generation *to);
    /* It is to end: a last word, then it is closed. On the loop's stack. More than once does no harm.
     */
    void (*farewell)(struct member *member);
};

/* What is done in the application's code, on a coroutine of its own, while there is something to do.
 * A connection has one for its callbacks, and may have others beside it. */
struct duty {
    struct member *member;
    /* Does all that there is to do; returns when nothing is left. [suspends] */
    void (*work)(struct duty *duty);
    /* Control has come back from work: it waits, or has ended (is_working is false). On the loop's
     * stack. May free the member. */
    void (*rest)(struct duty *duty);
    struct coro *coro;     /* that is suspended in work, or NULL */
    struct strand *strand; /* of the callback that runs, once it was asked for */
    struct soon soon;
    bool is_working;
};

struct member {
    LIST_ENTRY(member) entry; /* of generation->members */
    const struct member_kind *kind;
    struct generation *generation;
    struct duty duty; /* its callbacks' */
    bool is_made;     /* by the application: what it accepted has somebody at the other end */
};

LIST_HEAD(member_list, member);

/* From now on it holds the generation, which must not have been freed. */
void member_join(struct member *member, const struct member_kind *kind,
                 struct generation *generation, bool is_made);
/* No duty may run. The generation may go within, on the loop's stack, and then its code. */
void member_leave(struct member *member);

/* It has come to rest: goes over to the live generation if its own is retired and that adopts it. */
void member_settle(struct member *member);

void duty_init(struct duty *duty, struct member *member, void (*work)(struct duty *duty),
               void (*rest)(struct duty *duty));
/* There is something to do: on the loop's stack work begins within this call, on another one soon;
 * nothing, while it runs or is about to. Without memory for a stack, and for a module that is
 * on_loop, it runs on the loop's own, and cannot wait. */
void duty_begin(struct duty *duty);
/* A callback has returned: what it began ends with it. [suspends] */
void duty_end_call(struct duty *duty);
/* Its wait ends, and every later one of this run. */
void duty_cancel(struct duty *duty);
/* It does not begin if it has not yet. */
void duty_fini(struct duty *duty);

/* What its coroutine runs; arg is the duty. */
void duty_run(void *arg);
/* Of the callback that runs; NULL: memory has run out. */
struct strand *duty_strand(struct duty *duty);

/* One more of a figure of struct board_column, for its app and for its generation. */
#define member_count(member, figure) member_count_at(member, offsetof(struct board_column, figure))
void member_count_at(const struct member *member, size_t figure);
/* A callback of the application has failed, or whatever else it is to blame for: counted with the
 * requests that did. */
void member_failed(const struct member *member);

/* ---- all of a generation's, of a worker's ---- */

/* The generation has been retired: those that the live one adopts go over. */
void members_move(struct generation *generation);
/* Those that the application has made are told to end, since its background work does. */
void members_end_made(struct generation *generation);
void members_farewell(const struct room *room);
/* Of those that were accepted: also one whose peer has gone, until its last callback has returned. */
unsigned members_accepted(const struct room *room);
/* Those of all, of whatever member, that are in the middle of something. */
unsigned duties_waiting(void);

#endif
