/* report_flights.c: see report_flights.h. */
#include "master/report_flights.h"

#include <http_parser.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/holder.h"
#include "master/incidents.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/report.h"

static void put_count(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(object, name, (double)value);
}

/* Whole microseconds. */
static void put_seconds(cJSON *object, const char *name, uint64_t from, uint64_t to)
{
    uint64_t us = from < to ? (to - from) / 1000 : 0;

    cJSON_AddNumberToObject(object, name, (double)us / 1e6);
}

static void put_offset(cJSON *object, uint64_t offset)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%" PRIx64, offset);
    cJSON_AddStringToObject(object, "offset", text);
}

void report_put_id(cJSON *object, uint64_t id)
{
    char text[24];

    snprintf(text, sizeof(text), "%016" PRIx64, id);
    cJSON_AddStringToObject(object, "id", text);
}

/* ---- requests ---- */

const char *report_app_name(const struct master *master, uint64_t app)
{
    const char *name =
        app < master->board->max_apps ? catalog_name(&master->catalog, (unsigned)app) : NULL;

    return name != NULL ? name : "?";
}

cJSON *report_flight(const struct master *master, const struct flight *flight, uint64_t now)
{
    cJSON *object = cJSON_CreateObject();
    const char *call = hold_call_name(flight->call);
    bool has_ended = flight->phase == FLIGHT_ENDED;

    report_put_id(object, flight->id);
    cJSON_AddStringToObject(object, "app", report_app_name(master, flight->app));
    put_count(object, "generation", flight->generation);
    cJSON_AddStringToObject(object, "method",
                            flight->method < 256 ? http_method_str((enum http_method)flight->method)
                                                 : "?");
    cJSON_AddStringToObject(object, "path", flight->path);
    cJSON_AddStringToObject(object, "phase", flight_phase_name(flight->phase));
    put_seconds(object, "age", flight->begun_at, now);
    put_seconds(object, "in_phase", flight->phase_at, now);
    if (flight->phase == FLIGHT_WAITING && call != NULL)
        cJSON_AddStringToObject(object, "waits_in", call);
    if (has_ended) {
        put_count(object, "status", flight->status);
        put_seconds(object, "seconds", flight->begun_at, flight->phase_at);
    }
    return object;
}

void report_site(cJSON *flight, const char *site)
{
    if (site != NULL && cJSON_GetObjectItem(flight, "waits_in") != NULL)
        cJSON_AddStringToObject(flight, "site", site);
}

/* ---- places ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

void report_module(const struct master *master, const struct build *build, char *name_out,
                   size_t size)
{
    const char *app = report_app_name(master, build->app);
    const struct config_app *config = config_find_app(master->config, app);

    if (config != NULL && config->module != NULL)
        snprintf(name_out, size, "%s", base_name(config->module));
    else
        snprintf(name_out, size, "%s.so", app);
}

char *report_symbol(const struct symbols *symbols, uint64_t offset)
{
    const struct symbol *symbol = symbols->count > 0 ? &symbols->items[0] : NULL;
    char *text = NULL;
    int length = -1;

    if (symbol != NULL && symbol->function != NULL && symbol->file != NULL)
        length = asprintf(&text, "%s (%s:%d)", symbol->function, symbol->file, symbol->line);
    else if (symbol != NULL && symbol->function != NULL)
        length = asprintf(&text, "%s", symbol->function);
    else if (symbol != NULL && symbol->file != NULL)
        length = asprintf(&text, "%s:%d", symbol->file, symbol->line);
    else
        length = asprintf(&text, "+0x%" PRIx64, offset);
    return length < 0 ? NULL : text;
}

static void put_object(cJSON *json, const struct master *master, const struct evidence_trace *trace,
                       const struct evidence_frame *frame)
{
    const struct evidence_object *object;
    char name[TRACE_NAME];

    if (frame->object >= trace->object_count)
        return;
    object = &trace->objects[frame->object];
    if (object->build != NULL)
        report_module(master, object->build, name, sizeof(name));
    else
        snprintf(name, sizeof(name), "%s",
                 object->name[0] != '\0' ? base_name(object->name) : "reeve");
    cJSON_AddStringToObject(json, "object", name);
}

void report_put_symbol(cJSON *json, const struct symbol *symbol)
{
    if (symbol->function != NULL)
        cJSON_AddStringToObject(json, "function", symbol->function);
    if (symbol->file != NULL) {
        cJSON_AddStringToObject(json, "file", symbol->file);
        cJSON_AddNumberToObject(json, "line", symbol->line);
    }
    if (symbol->is_inlined)
        cJSON_AddTrueToObject(json, "inlined");
}

/* The functions at one frame. Returns the last, which is not inlined. */
static cJSON *put_frame(cJSON *list, const struct master *master, const struct evidence *evidence,
                        const struct evidence_frame *frame, const struct symbols *named)
{
    const struct symbols *symbols =
        named != NULL && frame->place < evidence->place_count ? &named[frame->place] : NULL;
    size_t count = symbols != NULL && symbols->count > 0 ? symbols->count : 1;
    cJSON *json = NULL;

    for (size_t i = 0; i < count; i++) {
        json = cJSON_CreateObject();
        if (symbols != NULL && symbols->count > 0)
            report_put_symbol(json, &symbols->items[i]);
        put_object(json, master, &evidence->trace, frame);
        put_offset(json, frame->offset);
        cJSON_AddItemToArray(list, json);
    }
    return json;
}

static bool is_same(const struct evidence_frame *a, const struct evidence_frame *b)
{
    return a->object == b->object && a->offset == b->offset;
}

/* Frames between `inner` and `outer` that the worker has left out. They are of the recursion that
 * goes on at both sides of them, if one does. */
static uint64_t left_out_before(const struct evidence_trace *trace, size_t outer)
{
    return outer == TRACE_INNER || outer == trace->count ? trace->depth - trace->count : 0;
}

static void put_left_out(cJSON *list, uint64_t count)
{
    cJSON *json;

    if (count == 0)
        return;
    json = cJSON_CreateObject();
    put_count(json, "left_out", count);
    cJSON_AddItemToArray(list, json);
}

cJSON *report_backtrace(const struct master *master, const struct evidence *evidence,
                        const struct symbols *named)
{
    const struct evidence_trace *trace = &evidence->trace;
    cJSON *list = cJSON_CreateArray(), *last;
    bool has_gap = false;
    size_t next;

    for (size_t i = 0; i < trace->count; i = next) {
        uint64_t repeated = 0;

        last = put_frame(list, master, evidence, &trace->frames[i], named);
        for (next = i + 1; next < trace->count; next++) {
            if (!is_same(&trace->frames[i], &trace->frames[next]))
                break;
            repeated += 1 + left_out_before(trace, next);
            has_gap = has_gap || next == TRACE_INNER;
        }
        if (repeated > 0)
            put_count(last, "repeated", repeated);
        if (!has_gap && (next == TRACE_INNER || next == trace->count)) {
            put_left_out(list, left_out_before(trace, next));
            has_gap = true;
        }
    }
    return list;
}

/* ---- one worker ---- */

static void put_flights(cJSON *report, struct master *master, const struct flight_list *list)
{
    cJSON *in_flight = cJSON_AddArrayToObject(report, "in_flight");
    cJSON *ended = cJSON_AddArrayToObject(report, "ended");
    uint64_t now = clock_ns();

    for (size_t i = 0; i < list->count; i++) {
        const struct flight *flight = &list->items[i];

        if (i < list->in_flight ? i >= REPORT_FLIGHTS : i - list->in_flight >= FLIGHT_KEPT)
            continue;
        cJSON_AddItemToArray(i < list->in_flight ? in_flight : ended,
                             report_flight(master, flight, now));
    }
    put_count(report, "in_flight_count", list->in_flight);
    put_count(report, "unrecorded", list->unrecorded);
}

static cJSON *detach_worker(const struct report_source *from, unsigned id)
{
    cJSON *all = report_workers(from);
    cJSON *list = cJSON_GetObjectItem(all, "workers"), *item, *found = NULL;

    cJSON_ArrayForEach (item, list) { /* where counts are raw text */
        const cJSON *number = cJSON_GetObjectItem(item, "id");

        if (number != NULL && strtoul(number->valuestring, NULL, 10) == id) {
            found = cJSON_DetachItemViaPointer(list, item);
            break;
        }
    }
    cJSON_Delete(all);
    return found != NULL ? found : cJSON_CreateNull();
}

cJSON *report_worker(struct master *master, const struct report_source *from, unsigned id,
                     struct flight_list *flights_out)
{
    const struct board_slot *slot;
    cJSON *report;

    *flights_out = (struct flight_list){.items = NULL};
    if (id >= master->board->max_workers ||
        board_get(&board_seat(master->board, id)->incarnation) == 0)
        return NULL;
    slot = board_slot(master->board, id);
    report = cJSON_CreateObject();
    cJSON_AddItemToObject(report, "worker", detach_worker(from, id));
    if (flight_list_read(flights_out, &slot->flights, atomic_load(&slot->flights.incarnation)) == 0)
        put_flights(report, master, flights_out);
    cJSON_AddItemToObject(report, "incident", incidents_latest_of(master->incidents, id));
    return report;
}
