/* evidence.c: see evidence.h. The worker may have gone mad before it ended: nothing on the
 * scoreboard is believed to be within its bounds. */
#include "master/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/master.h"
#include "master/pool.h"

static size_t at_most(uint64_t value, size_t most)
{
    return value < most ? (size_t)value : most;
}

/* ---- the trace ---- */

static void take_frames(struct evidence_trace *to, const struct trace *from)
{
    to->count = at_most(board_get(&from->frame_count), TRACE_FRAMES);
    for (size_t i = 0; i < to->count; i++) {
        uint64_t object = board_get(&from->frames[i].object);

        to->frames[i] = (struct evidence_frame){
            .object = object < to->object_count ? (unsigned)object : TRACE_OBJECTS,
            .offset = board_get(&from->frames[i].offset),
            .function = board_get(&from->frames[i].function),
            .place = EVIDENCE_PLACES,
        };
    }
    to->depth = board_get(&from->depth);
    if (to->depth < to->count)
        to->depth = to->count;
}

static void take_objects(struct evidence_trace *to, const struct trace *from)
{
    to->object_count = at_most(board_get(&from->object_count), TRACE_OBJECTS);
    for (size_t i = 0; i < to->object_count; i++) {
        memcpy(to->objects[i].name, from->objects[i].name, TRACE_NAME);
        to->objects[i].name[TRACE_NAME - 1] = '\0';
    }
}

/* An answer of a worker that went on afterwards, or to an earlier question than that before its
 * end, says nothing of its end. */
static void take_trace(struct evidence_trace *to, struct trace *from, bool is_answer)
{
    uint64_t kind = board_get(&from->kind);

    atomic_store(&from->kind, TRACE_NONE); /* the next one in this slot has not had it */
    if (kind != TRACE_CRASH && (kind != TRACE_ANSWER || !is_answer))
        return;
    to->kind = kind;
    to->signal = board_get(&from->signal);
    to->code = (int)board_get(&from->code);
    to->has_address = board_get(&from->has_address);
    to->address = board_get(&from->address);
    to->sender = board_get(&from->sender);
    to->thread = board_get(&from->thread);
    to->overflown = board_get(&from->overflown);
    to->is_coroutine = board_get(&from->is_coroutine);
    take_objects(to, from);
    take_frames(to, from);
}

static void take_step(struct evidence *to, struct board_slot *slot)
{
    to->step = board_get(&slot->step);
    to->step_app = board_get(&slot->step_app);
    to->step_generation = board_get(&slot->step_generation);
    board_set(&slot->step, STEP_NONE);
}

/* As many rows of requests that ended are on the scoreboard as there once were at the same time:
 * thousands, perhaps, of which the latest are told. */
static int take_flights(struct evidence *to, const struct flight_table *from, uint64_t incarnation)
{
    struct flight_list *list = &to->flights;
    struct flight *items;
    size_t ended;

    if (flight_list_read(list, from, incarnation) != 0)
        return -1;
    to->in_flight_count = list->in_flight;
    ended = at_most(list->count - list->in_flight, EVIDENCE_ENDED);
    if (list->in_flight > EVIDENCE_FLIGHTS)
        memmove(&list->items[EVIDENCE_FLIGHTS], &list->items[list->in_flight],
                ended * sizeof(list->items[0]));
    list->in_flight = at_most(list->in_flight, EVIDENCE_FLIGHTS);
    list->count = list->in_flight + ended;
    items = list->count > 0 ? realloc(list->items, list->count * sizeof(*items)) : NULL;
    if (items != NULL)
        list->items = items;
    return 0;
}

/* ---- the files ---- */

static void add_build(struct evidence *to, struct build *build)
{
    for (size_t i = 0; i < to->build_count; i++)
        if (to->builds[i] == build)
            return;
    to->builds[to->build_count++] = build_ref(build);
}

/* One whose link was closed long before it ended has its holds no more; but it mostly had what is
 * current. */
static int take_builds(struct evidence *to, const struct master *master,
                       const struct worker *worker)
{
    const struct hold *hold;
    size_t count = 0;

    LIST_FOREACH (hold, &worker->holds, link)
        count++;
    to->builds = calloc(count + master->board->max_apps, sizeof(to->builds[0]));
    if (to->builds == NULL)
        return -1;
    LIST_FOREACH (hold, &worker->holds, link)
        add_build(to, hold->build);
    for (unsigned i = 0; i < master->board->max_apps; i++)
        if (master->catalog.apps[i].current != NULL)
            add_build(to, master->catalog.apps[i].current);
    return 0;
}

static const struct build *build_at(const struct evidence *evidence, const char *path)
{
    for (size_t i = 0; i < evidence->build_count; i++)
        if (strcmp(evidence->builds[i]->path, path) == 0)
            return evidence->builds[i];
    return NULL;
}

const struct build *evidence_build(const struct evidence *evidence, uint64_t app,
                                   uint64_t generation)
{
    for (size_t i = 0; i < evidence->build_count; i++)
        if (evidence->builds[i]->app == app && evidence->builds[i]->generation == generation)
            return evidence->builds[i];
    return NULL;
}

const struct build *evidence_build_in_trace(const struct evidence *evidence)
{
    const struct evidence_trace *trace = &evidence->trace;

    for (size_t i = 0; i < trace->count; i++)
        if (trace->frames[i].object < trace->object_count &&
            trace->objects[trace->frames[i].object].build != NULL)
            return trace->objects[trace->frames[i].object].build;
    return NULL;
}

/* ---- what to ask about ---- */

static size_t add_place(struct evidence *evidence, const char *path, uint64_t offset,
                        uint64_t function)
{
    evidence->places[evidence->place_count] =
        (struct symbol_place){.path = path, .offset = offset, .function = function};
    return evidence->place_count++;
}

/* The kernel's own, which has no file, has a name without a folder. */
static bool has_file(const char *name, bool is_former)
{
    return name[0] == '/' || (name[0] == '\0' && !is_former);
}

static void add_frames(struct evidence *evidence, bool is_former)
{
    struct evidence_trace *trace = &evidence->trace;

    for (size_t i = 0; i < trace->count; i++) {
        struct evidence_frame *frame = &trace->frames[i];
        const char *name =
            frame->object < trace->object_count ? trace->objects[frame->object].name : NULL;

        if (name != NULL && has_file(name, is_former))
            frame->place = add_place(evidence, name, frame->offset, frame->function);
    }
}

static size_t find_same_site(const struct evidence *evidence, size_t i)
{
    const struct flight *items = evidence->flights.items;

    for (size_t j = 0; j < i; j++)
        if (items[j].phase == items[i].phase && items[j].site == items[i].site &&
            items[j].app == items[i].app && items[j].generation == items[i].generation)
            return j;
    return i;
}

/* Where requests wait; many of them at the same place. */
static void add_sites(struct evidence *evidence)
{
    for (size_t i = 0; i < evidence->flights.in_flight; i++) {
        const struct flight *flight = &evidence->flights.items[i];
        const struct build *build = evidence_build(evidence, flight->app, flight->generation);
        size_t same = find_same_site(evidence, i);

        if (same != i)
            evidence->flight_places[i] = evidence->flight_places[same];
        else if (flight->phase != FLIGHT_WAITING || flight->site == 0 || build == NULL)
            evidence->flight_places[i] = EVIDENCE_PLACES;
        else
            evidence->flight_places[i] = add_place(evidence, build->path, flight->site, 0);
    }
}

struct evidence *evidence_take(const struct master *master, const struct worker *worker,
                               bool is_former)
{
    struct board_slot *slot = board_slot(master->board, worker->id);
    struct evidence *evidence = calloc(1, sizeof(*evidence));

    if (evidence == NULL)
        return NULL;
    evidence->taken_at = clock_ns();
    take_trace(&evidence->trace, &slot->trace, worker->is_hung && worker->watch.has_answered);
    take_step(evidence, slot);
    if (take_builds(evidence, master, worker) != 0 ||
        take_flights(evidence, &slot->flights, worker->incarnation) != 0) {
        evidence_free(evidence);
        return NULL;
    }
    if (evidence->flights.count > 0 && evidence->flights.items[0].phase == FLIGHT_RUNNING)
        evidence->running = &evidence->flights.items[0];
    for (size_t i = 0; i < evidence->trace.object_count; i++)
        evidence->trace.objects[i].build = build_at(evidence, evidence->trace.objects[i].name);
    add_frames(evidence, is_former);
    add_sites(evidence);
    return evidence;
}

void evidence_free(struct evidence *evidence)
{
    if (evidence == NULL)
        return;
    for (size_t i = 0; i < evidence->build_count; i++)
        build_unref(evidence->builds[i]);
    free(evidence->builds);
    flight_list_free(&evidence->flights);
    free(evidence);
}
