/* inquiry.c: see inquiry.h. What comes from workers is not trusted: base/stacks_read.c looks at it,
 * and memory is bounded for all of them together. */
#include "master/inquiry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "base/clock.h"
#include "master/call.h"
#include "master/inquiry_private.h"
#include "master/master.h"
#include "master/orders.h"
#include "master/pool.h"
#include "master/starting.h"
#include "master/timer.h"

#define PATIENCE  (2 * NS_PER_SEC)
#define BYTES_MAX ((size_t)48 << 20) /* of all files together; in memory some three times as much */

static void inquiry_free(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        struct witness *witness = &inquiry->witnesses[i];

        stacks_free(&witness->stacks);
        for (size_t j = 0; witness->paths != NULL && j < witness->flights.count; j++)
            free(witness->paths[j]);
        free(witness->paths);
        flight_list_free(&witness->flights);
    }
    if (inquiry->question != NULL)
        symbols_forget(inquiry->question);
    event_del(&inquiry->deadline);
    LIST_REMOVE(inquiry, link);
    free(inquiry->witnesses);
    free(inquiry->places);
    free(inquiry);
}

static void on_call_gone(void *arg)
{
    inquiry_free(arg);
}

/* ---- the answer ---- */

static void answer(struct inquiry *inquiry, const struct symbols *named)
{
    struct call *call = inquiry->call;
    cJSON *backtraces = NULL, *json = inquiry_tell(inquiry, named, &backtraces);

    inquiry_free(inquiry);
    call_answer(call, HTTP_OK, json);
    cJSON_Delete(backtraces);
}

static void on_named(const struct symbols *named, size_t count, void *arg)
{
    struct inquiry *inquiry = arg;

    inquiry->question = NULL;
    answer(inquiry, count == inquiry->place_count ? named : NULL);
}

static void ask_for_names(struct inquiry *inquiry)
{
    struct symbol_place *places = NULL;

    if (inquiry_find_places(inquiry) == 0 && inquiry->place_count > 0)
        places = calloc(inquiry->place_count, sizeof(places[0]));
    for (size_t i = 0; places != NULL && i < inquiry->place_count; i++)
        places[i] = (struct symbol_place){.path = inquiry->places[i].object,
                                          .offset = inquiry->places[i].offset,
                                          .function = inquiry->places[i].function};
    if (places != NULL)
        inquiry->question =
            symbols_ask(inquiry->master, places, inquiry->place_count, on_named, inquiry);
    free(places);
    if (inquiry->question == NULL)
        answer(inquiry, NULL);
}

static void answer_when_complete(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++)
        if (inquiry->witnesses[i].is_pending)
            return;
    event_del(&inquiry->deadline);
    ask_for_names(inquiry);
}

/* ---- those who do not answer ---- */

static struct worker *find_worker(const struct master *master, const struct witness *witness)
{
    for (struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w))
        if (w->id == witness->id && w->incarnation == witness->incarnation)
            return w;
    return NULL;
}

static char *copy_path(const struct worker *worker, const struct flight *flight)
{
    const struct hold *hold =
        flight->phase == FLIGHT_WAITING && flight->site != 0
            ? hold_find(&worker->holds, (unsigned)flight->app, flight->generation)
            : NULL;

    return hold != NULL ? strdup(hold->build->path) : NULL;
}

/* As if the worker had told of it. Its only call is the one that it waits in. */
static void put_flight(struct witness *witness, size_t i)
{
    const struct flight *flight = &witness->flights.items[i];
    struct stacks *stacks = &witness->stacks;

    stacks->frames[i] = (struct frame){.object = witness->paths[i], .offset = flight->site};
    stacks->traces[i] =
        (struct stacks_trace){.first = (uint32_t)i, .count = witness->paths[i] != NULL};
    stacks->traces[i].depth = stacks->traces[i].count;
    stacks->items[i] = (struct stacks_item){
        .id = flight->id,
        .generation = flight->generation,
        .begun_at = flight->begun_at,
        .waits_since = flight->phase == FLIGHT_WAITING ? flight->phase_at : 0,
        .app = (uint32_t)flight->app,
        .kind = HOLD_REQUEST,
        .method = (uint32_t)flight->method,
        .call = flight->phase == FLIGHT_WAITING ? (uint32_t)flight->call : CALL_NONE,
        .trace = (uint32_t)i,
        .path = flight->path};
}

/* Without memory it is told of no requests. */
static void read_flights(const struct master *master, const struct worker *worker,
                         struct witness *witness)
{
    const struct board_slot *slot = board_slot(master->board, worker->id);
    struct stacks *stacks = &witness->stacks;
    size_t count;

    if (flight_list_read(&witness->flights, &slot->flights, worker->incarnation) != 0)
        return;
    count = witness->flights.in_flight;
    witness->paths = calloc(witness->flights.count + 1, sizeof(witness->paths[0]));
    stacks->items = calloc(count + 1, sizeof(stacks->items[0]));
    stacks->traces = calloc(count + 1, sizeof(stacks->traces[0]));
    stacks->frames = calloc(count + 1, sizeof(stacks->frames[0]));
    if (witness->paths == NULL || stacks->items == NULL || stacks->traces == NULL ||
        stacks->frames == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        witness->paths[i] = copy_path(worker, &witness->flights.items[i]);
        put_flight(witness, i);
    }
    stacks->item_count = stacks->trace_count = stacks->frame_count = count;
    stacks->left_out = witness->flights.unrecorded;
}

static void give_up(const struct inquiry *inquiry, struct witness *witness)
{
    const struct worker *worker = find_worker(inquiry->master, witness);
    uint64_t silence = pool_silence(inquiry->master->pool, witness->id);
    char step[STARTING_STEP_MAX], since[64] = "";

    witness->is_pending = false;
    witness->at = clock_ns();
    if (worker == NULL)
        return;
    if (silence > POOL_SILENCE_MAX)
        snprintf(since, sizeof(since), ": its loop has not turned for %.1f s",
                 (double)silence / (double)NS_PER_SEC);
    snprintf(witness->reason, sizeof(witness->reason), "does not answer%s%s", since,
             starting_step(worker, step));
    read_flights(inquiry->master, worker, witness);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct inquiry *inquiry = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < inquiry->count; i++)
        if (inquiry->witnesses[i].is_pending)
            give_up(inquiry, &inquiry->witnesses[i]);
    answer_when_complete(inquiry);
}

/* ---- those who do ---- */

static struct witness *find_witness(struct inquiry *inquiry, const struct worker *worker)
{
    for (size_t i = 0; i < inquiry->count; i++)
        if (inquiry->witnesses[i].id == worker->id &&
            inquiry->witnesses[i].incarnation == worker->incarnation)
            return inquiry->witnesses[i].is_pending ? &inquiry->witnesses[i] : NULL;
    return NULL;
}

static size_t bytes_read(const struct inquiry *inquiry)
{
    size_t bytes = 0;

    for (size_t i = 0; i < inquiry->count; i++)
        bytes += inquiry->witnesses[i].stacks.size;
    return bytes;
}

static void hear(const struct inquiry *inquiry, struct witness *witness,
                 const struct message *message)
{
    const char *reason = NULL; /* of which its name is the subject */

    witness->is_pending = false;
    witness->at = clock_ns();
    if (message->fd == NULL)
        reason =
            message->text[0] != '\0' ? message->text : "answered, but that was lost on the way";
    else if (bytes_read(inquiry) > BYTES_MAX)
        reason = "is not told of: there is no room left beside the others, ask for it alone";
    else if (stacks_read(&witness->stacks, *message->fd) != 0)
        reason = errno == EPROTO ? "sent what is not understood"
                                 : "is not told of: the memory of the master has run out";
    witness->is_ok = reason == NULL;
    if (reason != NULL)
        snprintf(witness->reason, sizeof(witness->reason), "%.190s", reason);
}

void inquiry_on_answer(struct master *master, const struct worker *worker,
                       const struct message *message)
{
    struct inquiry *inquiry;
    struct witness *witness;

    LIST_FOREACH (inquiry, &master->inquiries.list, link)
        if (inquiry->number == message->value)
            break;
    witness = inquiry != NULL ? find_witness(inquiry, worker) : NULL;
    if (witness == NULL)
        return; /* too late, or nobody waits any more */
    hear(inquiry, witness, message);
    answer_when_complete(inquiry);
}

void inquiry_on_gone(struct master *master, const struct worker *worker)
{
    struct inquiry *inquiry, *next;

    for (inquiry = LIST_FIRST(&master->inquiries.list); inquiry != NULL; inquiry = next) {
        struct witness *witness = find_witness(inquiry, worker);

        next = LIST_NEXT(inquiry, link);
        if (witness == NULL)
            continue;
        witness->is_pending = false;
        answer_when_complete(inquiry);
    }
}

/* ---- asking ---- */

/* A worker that the former image of this process has left runs the former binary. */
static bool is_former(const struct worker *worker)
{
    struct stat own, its;
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)worker->pid);
    return stat("/proc/self/exe", &own) != 0 || stat(path, &its) != 0 || own.st_ino != its.st_ino ||
           own.st_dev != its.st_dev;
}

static void ask(const struct inquiry *inquiry, struct worker *worker, struct witness *witness)
{
    *witness = (struct witness){.id = worker->id,
                                .incarnation = worker->incarnation,
                                .is_former = is_former(worker),
                                .reason = "has ended meanwhile"};
    if (worker->is_reaped)
        return;
    witness->is_pending =
        pool_send(worker, &(struct message){.type = MESSAGE_STACKS, .value = inquiry->number}) == 0;
    if (!witness->is_pending)
        snprintf(witness->reason, sizeof(witness->reason), "ends");
}

static int ask_all(struct inquiry *inquiry, const struct worker *only)
{
    size_t count = 0;

    for (struct worker *w = pool_first(inquiry->master->pool); w != NULL; w = pool_next(w))
        count++;
    inquiry->witnesses = calloc(count + 1, sizeof(inquiry->witnesses[0]));
    if (inquiry->witnesses == NULL)
        return -1;
    for (struct worker *w = pool_first(inquiry->master->pool); w != NULL; w = pool_next(w))
        if (only == NULL || w == only)
            ask(inquiry, w, &inquiry->witnesses[inquiry->count++]);
    return 0;
}

static void begin(struct call *call, const struct worker *only, int app)
{
    struct master *master = call->master;
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));

    if (inquiry == NULL) {
        call_answer(call, HTTP_OK, NULL);
        return;
    }
    inquiry->master = master;
    inquiry->call = call;
    inquiry->number = ++master->inquiries.last;
    inquiry->is_of_app = app != -1;
    inquiry->app = (unsigned)app;
    evtimer_assign(&inquiry->deadline, master->base, on_deadline, inquiry);
    LIST_INSERT_HEAD(&master->inquiries.list, inquiry, link);
    if (ask_all(inquiry, only) != 0) {
        inquiry_free(inquiry);
        call_answer(call, HTTP_OK, NULL);
        return;
    }
    call_defer(call, on_call_gone, inquiry);
    timer_arm(&inquiry->deadline, PATIENCE);
    answer_when_complete(inquiry); /* there may be nobody to ask */
}

/* The column of the app that is asked for, -1: of all. False: there is none such, refused. */
static bool read_app(struct call *call, int *app_out)
{
    char *name = call_query(call, "app");
    const struct config_app *app =
        name != NULL ? config_find_app(call->master->config, name) : NULL;
    bool is_known = name == NULL || app != NULL;

    *app_out = app != NULL ? (int)app->column : -1;
    if (!is_known)
        orders_refuse_app(call, name);
    free(name);
    return is_known;
}

void inquiry_serve(struct call *call)
{
    char *id = call_query(call, "worker");
    const struct worker *only = NULL;
    bool is_of_one = id != NULL;
    int app;

    if (is_of_one) {
        snprintf(call->argument, sizeof(call->argument), "%s", id);
        free(id);
        only = orders_find_worker(call);
    }
    if ((!is_of_one || only != NULL) && read_app(call, &app))
        begin(call, only, app);
}
