/* inquiry_private.h: inquiry.c gathers, inquiry_tell.c makes the answer of it. */
#ifndef MASTER_INQUIRY_PRIVATE_H
#define MASTER_INQUIRY_PRIVATE_H

#include <cjson/cJSON.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/flight.h"
#include "base/stacks.h"
#include "master/inquiry.h"
#include "master/symbols.h"

/* One worker's part. */
struct witness {
    unsigned id;
    uint64_t incarnation;
    bool is_pending; /* it was asked, and has not answered */
    bool is_ok;
    bool is_former;   /* of another binary than this: its own functions cannot be named */
    char reason[200]; /* why it is not ok */
    uint64_t at;      /* clock_ns(): ages are those of then */
    /* What it says; or, with `flights`, what the recorder says of it. */
    struct stacks stacks;
    struct flight_list flights; /* without items: none */
    char **paths;               /* of files, for each of the flights; NULL: there are none */
};

struct inquiry {
    LIST_ENTRY(inquiry) link;
    struct master *master;
    struct call *call;
    uint64_t number;
    bool is_of_app; /* of `app` only */
    unsigned app;   /* its column */
    struct witness *witnesses;
    size_t count;
    struct event deadline;
    struct symbols_question *question; /* NULL: not asked, or answered */
    struct frame *places;              /* what it asks for, sorted */
    size_t place_count;
};

/* The places to be named, each once. 0, or -1 with ENOMEM. */
int inquiry_find_places(struct inquiry *inquiry);
/* The answer; `named` may be NULL. NULL without memory. The text is to be freed with cJSON_free. */
cJSON *inquiry_tell(const struct inquiry *inquiry, const struct symbols *named,
                    cJSON **backtraces_out);

/* Whether this one is to be told of. */
bool inquiry_has(const struct inquiry *inquiry, const struct stacks_item *item);

#endif
