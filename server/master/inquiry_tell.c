/* inquiry_tell.c: what the workers have said, and the names of the places, as JSON: the oldest
 * first. */
#include <http_parser.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/holder.h"
#include "base/trace.h"
#include "master/inquiry_private.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/report_flights.h"

#define TOLD_MOST   10000u
#define PLACES_MOST 4096u

/* One of them, by whom it was told, and its backtrace. */
struct told {
    const struct witness *witness;
    const struct stacks_item *item;
    cJSON **backtrace; /* NULL in it: not made yet */
};

/* ---- places ---- */

/* The server's own last: should there be too many, they are the least interesting. */
static int compare_objects(const char *a, const char *b)
{
    if (a == b)
        return 0;
    if (a[0] == '\0' || b[0] == '\0')
        return (a[0] == '\0') - (b[0] == '\0');
    return strcmp(a, b);
}

static int compare_places(const void *one, const void *two)
{
    const struct frame *a = one, *b = two;
    int objects = compare_objects(a->object, b->object);

    return objects != 0 ? objects : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Whether a file can say something of it. */
static bool has_name(const struct witness *witness, const struct frame *frame)
{
    if (frame->object == NULL)
        return false;
    return frame->object[0] == '/' || (frame->object[0] == '\0' && !witness->is_former);
}

bool inquiry_has(const struct inquiry *inquiry, const struct stacks_item *item)
{
    return !inquiry->is_of_app || item->app == inquiry->app;
}

/* Appends those of one worker that are told of, with room for all its frames. */
static void add_places(struct inquiry *inquiry, const struct witness *witness, bool *is_used)
{
    const struct stacks *stacks = &witness->stacks;

    for (size_t i = 0; i < stacks->item_count; i++)
        if (inquiry_has(inquiry, &stacks->items[i]))
            is_used[stacks->items[i].trace] = true;
    for (size_t i = 0; i < stacks->trace_count; i++) {
        const struct stacks_trace *trace = &stacks->traces[i];

        for (uint32_t j = 0; is_used[i] && j < trace->count; j++)
            if (has_name(witness, &stacks->frames[trace->first + j]))
                inquiry->places[inquiry->place_count++] = stacks->frames[trace->first + j];
    }
}

static void sort_places(struct inquiry *inquiry)
{
    size_t count = 0;

    qsort(inquiry->places, inquiry->place_count, sizeof(inquiry->places[0]), compare_places);
    for (size_t i = 0; i < inquiry->place_count; i++)
        if (count == 0 || compare_places(&inquiry->places[count - 1], &inquiry->places[i]) != 0)
            inquiry->places[count++] = inquiry->places[i];
    inquiry->place_count = count < PLACES_MOST ? count : PLACES_MOST;
}

int inquiry_find_places(struct inquiry *inquiry)
{
    size_t frames = 0;
    bool *is_used;

    for (size_t i = 0; i < inquiry->count; i++)
        frames += inquiry->witnesses[i].stacks.frame_count;
    inquiry->places = calloc(frames + 1, sizeof(inquiry->places[0]));
    if (inquiry->places == NULL)
        return -1;
    for (size_t i = 0; i < inquiry->count; i++) {
        is_used = calloc(inquiry->witnesses[i].stacks.trace_count + 1, sizeof(is_used[0]));
        if (is_used == NULL)
            return -1;
        add_places(inquiry, &inquiry->witnesses[i], is_used);
        free(is_used);
    }
    sort_places(inquiry);
    return 0;
}

/* NULL: there is none. */
static const struct symbols *find_symbols(const struct inquiry *inquiry,
                                          const struct symbols *named,
                                          const struct witness *witness, const struct frame *frame)
{
    const struct frame *place;

    if (named == NULL || !has_name(witness, frame))
        return NULL;
    place = bsearch(frame, inquiry->places, inquiry->place_count, sizeof(inquiry->places[0]),
                    compare_places);
    return place != NULL && named[place - inquiry->places].count > 0
               ? &named[place - inquiry->places]
               : NULL;
}

/* ---- numbers ---- */

static void put_count(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void put_seconds(cJSON *object, const char *name, uint64_t from, uint64_t to)
{
    char text[40];

    snprintf(text, sizeof(text), "%.6f",
             from < to ? (double)(to - from) / (double)NS_PER_SEC : 0.0);
    cJSON_AddRawToObject(object, name, text);
}

/* ---- a backtrace ---- */

/* The file as people know it. */
static void put_object(cJSON *json, const struct master *master, const char *object)
{
    const char *slash = strrchr(object, '/');
    char name[256];

    snprintf(name, sizeof(name), "%s", slash != NULL ? slash + 1 : object);
    if (object[0] == '\0')
        snprintf(name, sizeof(name), "reeve");
    for (struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w)) {
        const struct hold *hold;

        LIST_FOREACH (hold, &w->holds, link)
            if (strcmp(hold->build->path, object) == 0) {
                report_module(master, hold->build, name, sizeof(name));
                cJSON_AddStringToObject(json, "object", name);
                return;
            }
    }
    cJSON_AddStringToObject(json, "object", name);
}

/* The functions at a place, which may be several by inlining. Returns the last. */
static cJSON *put_frame(cJSON *list, const struct master *master, const struct frame *frame,
                        const struct symbols *symbols)
{
    size_t count = symbols != NULL ? symbols->count : 1;
    cJSON *json = NULL;
    char offset[24];

    snprintf(offset, sizeof(offset), "0x%" PRIx64, frame->offset);
    for (size_t i = 0; i < count; i++) {
        json = cJSON_CreateObject();
        if (symbols != NULL)
            report_put_symbol(json, &symbols->items[i]);
        if (frame->object != NULL)
            put_object(json, master, frame->object);
        cJSON_AddStringToObject(json, "offset", offset);
        cJSON_AddItemToArray(list, json);
    }
    return json;
}

static bool is_same(const struct frame *a, const struct frame *b)
{
    return a->object == b->object && a->offset == b->offset;
}

static cJSON *make_backtrace(const struct inquiry *inquiry, const struct symbols *named,
                             const struct witness *witness, const struct stacks_trace *trace)
{
    const struct frame *frames = &witness->stacks.frames[trace->first];
    cJSON *list = cJSON_CreateArray(), *last;
    uint32_t next;

    for (uint32_t i = 0; i < trace->count; i = next) {
        last = put_frame(list, inquiry->master, &frames[i],
                         find_symbols(inquiry, named, witness, &frames[i]));
        for (next = i + 1; next < trace->count && is_same(&frames[i], &frames[next]); next++)
            ;
        if (next - i > 1)
            put_count(last, "repeated", next - i - 1);
    }
    if (trace->depth > trace->count) {
        last = cJSON_CreateObject();
        put_count(last, "left_out", trace->depth - trace->count);
        cJSON_AddItemToArray(list, last);
    }
    return list;
}

/* ---- one of them ---- */

/* Only of a worker that did not answer: it has the processor, or had it when the worker stopped. */
static bool is_running(const struct told *told)
{
    const struct witness *witness = told->witness;

    return witness->flights.items != NULL &&
           witness->flights.items[told->item - witness->stacks.items].phase == FLIGHT_RUNNING;
}

static void put_request(cJSON *json, const struct told *told)
{
    const struct stacks_item *item = told->item;

    report_put_id(json, item->id);
    cJSON_AddStringToObject(
        json, "method", item->method < 64 ? http_method_str((enum http_method)item->method) : "?");
    cJSON_AddStringToObject(json, "path", item->path);
    cJSON_AddStringToObject(json, "phase",
                            flight_phase_name(is_running(told) ? FLIGHT_RUNNING : FLIGHT_WAITING));
}

/* One that is no request's is background work. */
static void put_task(cJSON *json, const struct stacks_item *item)
{
    char id[24];

    cJSON_AddStringToObject(json, "task", item->path);
    snprintf(id, sizeof(id), "%016" PRIx64, item->id);
    if (item->id != 0)
        cJSON_AddStringToObject(json, "of_request", id);
}

static cJSON *tell_one(const struct inquiry *inquiry, const struct symbols *named,
                       const struct told *told, cJSON *backtraces)
{
    const struct witness *witness = told->witness;
    const struct stacks_item *item = told->item;
    const char *call = hold_call_name(item->call);
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "worker", witness->id);
    put_count(json, "incarnation", witness->incarnation);
    cJSON_AddStringToObject(json, "app", report_app_name(inquiry->master, item->app));
    put_count(json, "generation", item->generation);
    if (item->kind == HOLD_REQUEST)
        put_request(json, told);
    else if (item->kind == HOLD_TASK)
        put_task(json, item);
    else
        cJSON_AddStringToObject(
            json, "step",
            worker_step_name(item->kind == HOLD_CONNECTION ? STEP_CONNECTION : STEP_INIT));
    if (item->begun_at != 0)
        put_seconds(json, "age", item->begun_at, witness->at);
    if (call != NULL)
        cJSON_AddStringToObject(json, "waits_in", call);
    if (item->waits_since != 0)
        put_seconds(json, "waited", item->waits_since, witness->at);
    if (*told->backtrace == NULL) {
        *told->backtrace =
            make_backtrace(inquiry, named, witness, &witness->stacks.traces[item->trace]);
        cJSON_AddItemToArray(backtraces, *told->backtrace);
    }
    /* Thousands share one: it is there once, and written each time. */
    cJSON_AddItemToObject(json, "backtrace", cJSON_CreateArrayReference((*told->backtrace)->child));
    return json;
}

/* ---- all of them ---- */

static int compare_told(const void *one, const void *two)
{
    const struct told *a = one, *b = two;
    uint64_t at_a = a->item->begun_at - 1, at_b = b->item->begun_at - 1; /* not known: last */

    if (at_a != at_b)
        return at_a < at_b ? -1 : 1;
    return (a->item->id > b->item->id) - (a->item->id < b->item->id);
}

static size_t choose(const struct inquiry *inquiry, struct told *told, cJSON **made)
{
    size_t count = 0;

    for (size_t i = 0; i < inquiry->count; i++) {
        const struct witness *witness = &inquiry->witnesses[i];

        for (size_t j = 0; j < witness->stacks.item_count; j++) {
            const struct stacks_item *item = &witness->stacks.items[j];

            if (inquiry_has(inquiry, item))
                told[count++] = (struct told){witness, item, &made[item->trace]};
        }
        made += witness->stacks.trace_count;
    }
    qsort(told, count, sizeof(told[0]), compare_told);
    return count;
}

static void tell_workers(const struct inquiry *inquiry, cJSON *list)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct witness *witness = &inquiry->witnesses[i];
        cJSON *json = cJSON_CreateObject();

        cJSON_AddNumberToObject(json, "id", witness->id);
        put_count(json, "incarnation", witness->incarnation);
        cJSON_AddBoolToObject(json, "ok", witness->is_ok);
        if (!witness->is_ok)
            cJSON_AddStringToObject(json, "reason", witness->reason);
        cJSON_AddItemToArray(list, json);
    }
}

cJSON *inquiry_tell(const struct inquiry *inquiry, const struct symbols *named,
                    cJSON **backtraces_out)
{
    size_t items = 1, traces = 1, count;
    uint64_t left_out = 0;
    struct told *told;
    cJSON **made, *json = NULL, *list;

    for (size_t i = 0; i < inquiry->count; i++) {
        items += inquiry->witnesses[i].stacks.item_count;
        traces += inquiry->witnesses[i].stacks.trace_count;
        left_out += inquiry->witnesses[i].stacks.left_out;
    }
    told = calloc(items, sizeof(told[0]));
    made = calloc(traces, sizeof(made[0]));
    *backtraces_out = cJSON_CreateArray();
    if (told != NULL && made != NULL && *backtraces_out != NULL) {
        count = choose(inquiry, told, made);
        json = cJSON_CreateObject();
        list = cJSON_AddArrayToObject(json, "stacks");
        for (size_t i = 0; i < count && i < TOLD_MOST; i++)
            cJSON_AddItemToArray(list, tell_one(inquiry, named, &told[i], *backtraces_out));
        left_out += count > TOLD_MOST ? count - TOLD_MOST : 0;
        if (left_out > 0)
            put_count(json, "left_out", left_out);
        tell_workers(inquiry, cJSON_AddArrayToObject(json, "workers"));
    }
    free(told);
    free(made);
    return json;
}
