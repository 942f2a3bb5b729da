/* worker_answer.c: see worker_answer.h. What was named once is not asked again: `reevectl top` looks
 * every second. */
#include "master/worker_answer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "master/call.h"
#include "master/master.h"
#include "master/report.h"
#include "master/report_flights.h"
#include "master/sites.h"
#include "master/symbols.h"

#define PLACES_MOST 100u /* of one answer; fewer than are kept */

struct place {
    char *path; /* the build may go meanwhile */
    uint64_t offset;
    char *name; /* NULL: not known */
};

struct answer {
    struct call *call;
    cJSON *json;
    struct symbols_question *question; /* NULL: not asked, or answered */
    struct place places[PLACES_MOST];
    size_t place_count;
    size_t row_count, rows[REPORT_FLIGHTS]; /* of requests in flight: the index of its place */
};

static void answer_free(struct answer *answer)
{
    if (answer->question != NULL)
        symbols_forget(answer->question);
    for (size_t i = 0; i < answer->place_count; i++) {
        free(answer->places[i].path);
        free(answer->places[i].name);
    }
    cJSON_Delete(answer->json);
    free(answer);
}

static void on_call_gone(void *arg)
{
    answer_free(arg);
}

static void tell(struct answer *answer)
{
    cJSON *flight = cJSON_GetObjectItem(answer->json, "in_flight"), *json = answer->json;
    struct call *call = answer->call;

    flight = flight != NULL ? flight->child : NULL;
    for (size_t i = 0; i < answer->row_count && flight != NULL; i++, flight = flight->next)
        if (answer->rows[i] < answer->place_count)
            report_site(flight, answer->places[answer->rows[i]].name);
    answer->json = NULL;
    answer_free(answer);
    call_answer(call, HTTP_OK, json);
}

/* ---- the places ---- */

static size_t find_place(const struct answer *answer, const char *path, uint64_t offset)
{
    size_t i = 0;

    while (i < answer->place_count &&
           (answer->places[i].offset != offset || strcmp(answer->places[i].path, path) != 0))
        i++;
    return i;
}

static size_t add_place(struct answer *answer, const char *path, uint64_t offset)
{
    size_t i = find_place(answer, path, offset);
    const char *known;
    char *copy;

    if (i < answer->place_count || i == PLACES_MOST)
        return i;
    copy = strdup(path);
    if (copy == NULL)
        return PLACES_MOST;
    known = site_known(path, offset);
    answer->places[answer->place_count++] = (struct place){
        .path = copy, .offset = offset, .name = known != NULL ? strdup(known) : NULL};
    return i;
}

static void find_places(struct answer *answer, const struct flight_list *flights)
{
    struct pool *pool = answer->call->master->pool;

    for (size_t i = 0; i < flights->in_flight && i < REPORT_FLIGHTS; i++) {
        const struct flight *flight = &flights->items[i];
        const char *path = flight->phase == FLIGHT_WAITING && flight->site != 0
                               ? site_path(pool, (unsigned)flight->app, flight->generation)
                               : NULL;

        answer->rows[i] = path != NULL ? add_place(answer, path, flight->site) : PLACES_MOST;
        answer->row_count = i + 1;
    }
}

/* ---- their names ---- */

/* Those asked for are those without a name, in this order. */
static void on_named(const struct symbols *named, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t next = 0;

    answer->question = NULL;
    for (size_t i = 0; i < answer->place_count; i++) {
        struct place *place = &answer->places[i];

        if (place->name != NULL || next == count)
            continue;
        place->name = report_symbol(&named[next++], place->offset);
        if (place->name != NULL)
            site_keep(place->path, place->offset, place->name);
    }
    tell(answer);
}

static bool ask(struct answer *answer)
{
    struct symbol_place places[PLACES_MOST];
    size_t count = 0;

    for (size_t i = 0; i < answer->place_count; i++)
        if (answer->places[i].name == NULL)
            places[count++] = (struct symbol_place){.path = answer->places[i].path,
                                                    .offset = answer->places[i].offset};
    if (count > 0)
        answer->question = symbols_ask(answer->call->master, places, count, on_named, answer);
    return answer->question != NULL;
}

void worker_answer(struct call *call, const struct report_source *from)
{
    unsigned long id = strtoul(call->argument, NULL, 10);
    struct flight_list flights;
    struct answer *answer;
    cJSON *json = id < UINT_MAX ? report_worker(call->master, from, (unsigned)id, &flights) : NULL;

    if (json == NULL) {
        call_refuse(call, HTTP_NOTFOUND, "no such worker", "there has been no worker %s",
                    call->argument);
        return;
    }
    answer = calloc(1, sizeof(*answer));
    if (answer == NULL) {
        cJSON_Delete(json);
        flight_list_free(&flights);
        call_answer(call, HTTP_OK, NULL);
        return;
    }
    answer->call = call;
    answer->json = json;
    find_places(answer, &flights);
    flight_list_free(&flights);
    if (ask(answer))
        call_defer(call, on_call_gone, answer);
    else
        tell(answer);
}
