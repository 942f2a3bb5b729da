/* holder.h: what keeps an old generation of an app loaded, and how that is called.
 *
 * A worker sums up what still holds a generation that takes no new requests: how often, of which
 * kind, in which call of the interface it waits and where in the module that call was made. It
 * writes the rows into its cell of the scoreboard; whoever reports reads them there. */
#ifndef BASE_HOLDER_H
#define BASE_HOLDER_H

#include <stddef.h>
#include <stdint.h>

struct board;
struct board_cell;

enum hold_kind {
    HOLD_OTHERS,       /* of several kinds or places: what there was no row left for */
    HOLD_REQUEST,      /* a request that runs */
    HOLD_INIT,         /* its init has not ended */
    HOLD_TASK,         /* a task that runs */
    HOLD_FUTURE,       /* a future that somebody keeps */
    HOLD_TIMER,        /* a timer or a job by the clock */
    HOLD_CONNECTION,   /* a long-lived connection: of a chat listener, a WebSocket */
    HOLD_SUBSCRIPTION, /* to a channel of publish/subscribe, that somebody keeps */
    HOLD_STATE,        /* requests that began before a handover, and may use what it has to free */
    HOLD_KINDS
};

/* The calls of the interface that wait. */
enum hold_call {
    CALL_NONE, /* in none of them, or not known */
    CALL_SLEEP,
    CALL_READ,
    CALL_WRITE,
    CALL_FLUSH,
    CALL_SEND_FILE,
    CALL_AWAIT,
    CALL_SCOPE_END,
    CALL_SEMAPHORE,
    CALL_MUTEX,
    CALL_CONDITION,
    CALL_QUEUE,
    CALL_FD,
    CALL_CONNECT,
    CALL_GETADDRINFO,
    CALL_OFFLOAD,
    CALL_CLIENT,
    CALL_POOL,
    CALL_CHAT_READ,
    CALL_CHAT_WRITE,
    CALL_WEBSOCKET_RECEIVE,
    CALL_WEBSOCKET_SEND,
    CALL_SUBSCRIPTION,
    CALL_COUNT
};

struct holder {
    uint64_t generation;
    uint64_t kind;     /* enum hold_kind */
    uint64_t waits_in; /* enum hold_call */
    uint64_t site;     /* in the module, from its load address; within the call, not behind it; 0:
                          not known */
    uint64_t count;
};

/* Rows of several workers, added up. */
struct holder_list {
    struct holder *items; /* newest generation first, then the most frequent */
    size_t count;
};

/* "request"; "reeve_sleep", or NULL when it is in none. */
const char *hold_kind_name(uint64_t kind);
const char *hold_call_name(uint64_t call);

/* Adds what one worker shows for `generation`; as HOLD_OTHERS when it cannot be read, since its
 * writer was stopped in the middle. 0, or -1 with ENOMEM. */
int holder_list_add(struct holder_list *list, const struct board_cell *cell, uint64_t generation);
/* Everything that any worker shows for an app. */
int holder_list_gather(struct holder_list *list, const struct board *board, unsigned app);
void holder_list_free(struct holder_list *list);

/* How many things the rows of `generation` are. */
uint64_t holder_list_count(const struct holder_list *list, uint64_t generation);

#endif
