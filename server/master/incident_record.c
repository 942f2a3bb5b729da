/* incident_record.c: see incident_record.h. */
#include "master/incident_record.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/report_flights.h"

#define SIGNAL_LIMIT 128u /* a number below it, whatever the worker has left there */

/* ---- all but what needs names ---- */

static void put_number(cJSON *json, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(json, name, (double)value);
}

static void put_signal(cJSON *json, int number)
{
    const char *name = sigabbrev_np(number);
    char text[32];

    put_number(json, "signal", (uint64_t)number);
    if (name == NULL)
        return;
    snprintf(text, sizeof(text), "SIG%s", name);
    cJSON_AddStringToObject(json, "signal_name", text);
}

static void put_status(cJSON *json, const struct worker *worker, const struct evidence_trace *trace)
{
    char text[32];

    if (WIFEXITED(worker->status))
        put_number(json, "exit_status", (uint64_t)WEXITSTATUS(worker->status));
    /* Of one that we had to kill, since its handler of a fatal one hung: that one. */
    if (trace->kind == TRACE_CRASH && (WIFEXITED(worker->status) || worker->is_hung))
        put_signal(json, (int)(trace->signal % SIGNAL_LIMIT));
    else if (WIFSIGNALED(worker->status))
        put_signal(json, WTERMSIG(worker->status));
    if (trace->kind != TRACE_CRASH || !trace->has_address)
        return;
    snprintf(text, sizeof(text), "0x%" PRIx64, trace->address);
    cJSON_AddStringToObject(json, "address", text);
}

static void put_build(cJSON *json, const struct master *master, uint64_t app, uint64_t generation,
                      const struct build *build)
{
    const char *name =
        app < master->board->max_apps ? catalog_name(&master->catalog, (unsigned)app) : NULL;

    if (name != NULL)
        cJSON_AddStringToObject(json, "app", name);
    put_number(json, "generation", generation);
    if (build != NULL && build->version[0] != '\0')
        cJSON_AddStringToObject(json, "version", build->version);
    if (build != NULL && build->build_id[0] != '\0')
        cJSON_AddStringToObject(json, "build_id", build->build_id);
}

/* The application that it happened in. */
static void put_app(cJSON *json, const struct master *master, const struct evidence *evidence)
{
    const struct build *build = incident_build(evidence);

    if (build != NULL)
        put_build(json, master, build->app, build->generation, build);
    else if (evidence->running != NULL)
        put_build(json, master, evidence->running->app, evidence->running->generation, NULL);
    else if (evidence->step != STEP_NONE)
        put_build(json, master, evidence->step_app, evidence->step_generation, NULL);
}

static void put_trace(cJSON *json, const struct evidence_trace *trace)
{
    if (trace->overflown != 0) {
        put_number(json, "overflown", trace->overflown);
        if (trace->is_coroutine == 0)
            cJSON_AddTrueToObject(json, "on_loop");
    }
    if (trace->thread != 0)
        put_number(json, "thread", trace->thread);
    if (trace->depth > 0)
        put_number(json, "depth", trace->depth);
}

static void put_flights(cJSON *json, const struct master *master, const struct evidence *evidence)
{
    cJSON *in_flight = cJSON_AddArrayToObject(json, "in_flight");
    cJSON *ended = cJSON_AddArrayToObject(json, "ended");
    const struct flight_list *list = &evidence->flights;

    for (size_t i = 0; i < list->count; i++)
        cJSON_AddItemToArray(i < list->in_flight ? in_flight : ended,
                             report_flight(master, &list->items[i], evidence->taken_at));
    put_number(json, "in_flight_count", evidence->in_flight_count);
    put_number(json, "unrecorded", list->unrecorded);
}

cJSON *incident_describe(const struct master *master, const struct worker *worker,
                         enum incident_kind kind, const char *sentence,
                         const struct evidence *evidence)
{
    cJSON *json = cJSON_CreateObject();

    put_number(json, "number", board_get(&master->board->incidents));
    cJSON_AddNumberToObject(json, "at", (double)(clock_wall_ns() / NS_PER_MS) / 1000);
    put_number(json, "worker", worker->id);
    put_number(json, "incarnation", worker->incarnation);
    put_number(json, "pid", (uint64_t)worker->pid);
    cJSON_AddStringToObject(json, "kind", incident_kind_name(kind));
    cJSON_AddStringToObject(json, "sentence", sentence != NULL ? sentence : "");
    put_status(json, worker, &evidence->trace);
    put_app(json, master, evidence);
    if (evidence->running != NULL)
        cJSON_AddItemToObject(json, "request",
                              report_flight(master, evidence->running, evidence->taken_at));
    if (worker_step_name(evidence->step) != NULL)
        cJSON_AddStringToObject(json, "step", worker_step_name(evidence->step));
    put_trace(json, &evidence->trace);
    if (incident_is_untraced(kind, evidence))
        cJSON_AddTrueToObject(json, "untraced");
    put_flights(json, master, evidence);
    return json;
}

/* ---- with its names ---- */

static void add_sites(cJSON *json, const struct evidence *evidence, const struct symbols *named)
{
    cJSON *in_flight = cJSON_GetObjectItem(json, "in_flight"), *flight;
    size_t i = 0;

    cJSON_ArrayForEach (flight, in_flight) {
        size_t place = evidence->flight_places[i++];
        char *site = place < evidence->place_count
                         ? report_symbol(&named[place], evidence->places[place].offset)
                         : NULL;

        report_site(flight, site);
        free(site);
    }
}

void incident_complete(cJSON *json, const struct master *master, const struct evidence *evidence,
                       const struct symbols *named)
{
    if (named != NULL)
        add_sites(json, evidence, named);
    cJSON_AddItemToObject(json, "backtrace", report_backtrace(master, evidence, named));
}
