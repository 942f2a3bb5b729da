/* incidents.c: see incidents.h. The sentence is said at once; what needs names follows when they
 * have been looked up, in a process of its own (symbols.h). */
#include "master/incidents.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/evidence.h"
#include "master/incident_record.h"
#include "master/incident_story.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/quarantines.h"
#include "master/symbols.h"

/* So many whole stories within that time; of more there is only the first line. */
#define WHOLE_MOST   5u
#define WHOLE_WITHIN (10 * NS_PER_SEC)
/* Stories whose names are looked up at the same time, by a process each; those that are not whole
 * leave room for those that are, and only so many of them wait for their turn. */
#define ASKING_MOST    4u
#define ASKING_OTHERS  2u
#define WAITING_OTHERS 8u

#define KEPT_BYTES ((size_t)384 << 10) /* of JSON, all of them together */

struct incident {
    TAILQ_ENTRY(incident) link;
    struct incidents *incidents;
    unsigned slot;
    char worker[POOL_NAME_MAX];
    struct evidence *evidence; /* NULL: the story has been told */
    bool is_whole;             /* the log gets all of it */
    bool is_asking;            /* names are looked up; else they wait for that, until it is told */

    /* As the control API shows it. It is a text then, which takes a tenth of the memory. */
    cJSON *json; /* NULL: it is the text */
    char *text;
    size_t size;       /* of the text */
    unsigned left_out; /* lists of it: see bound_memory */
};

TAILQ_HEAD(incident_list, incident);

struct incidents {
    struct master *master;
    uint64_t made_at;          /* workers that are older are of a former binary */
    uint64_t before;           /* so many incidents there were in the life of that binary */
    struct incident_list kept; /* oldest first */
    unsigned kept_count;
    unsigned asking_count;         /* of these */
    uint64_t whole_at[WHOLE_MOST]; /* when the last whole stories began: a ring */
    unsigned whole_next;
};

struct incidents *incidents_new(struct master *master)
{
    struct incidents *incidents = calloc(1, sizeof(*incidents));

    if (incidents == NULL)
        return NULL;
    incidents->master = master;
    incidents->made_at = clock_ns();
    incidents->before = board_get(&master->board->incidents);
    TAILQ_INIT(&incidents->kept);
    return incidents;
}

static void incident_free(struct incident *incident)
{
    if (incident == NULL)
        return;
    cJSON_Delete(incident->json);
    cJSON_free(incident->text);
    evidence_free(incident->evidence);
    free(incident);
}

/* Names that are still looked up are the questions' end, too: symbols_free comes before. */
void incidents_free(struct incidents *incidents)
{
    struct incident *incident;

    if (incidents == NULL)
        return;
    while ((incident = TAILQ_FIRST(&incidents->kept)) != NULL) {
        TAILQ_REMOVE(&incidents->kept, incident, link);
        incident_free(incident);
    }
    free(incidents);
}

bool incidents_are_pending(const struct incidents *incidents)
{
    const struct incident *incident;

    if (incidents == NULL)
        return false;
    TAILQ_FOREACH (incident, &incidents->kept, link)
        if (incident->evidence != NULL && incident->is_whole)
            return true;
    return false;
}

/* ---- what it was ---- */

static bool is_fatal(int number)
{
    switch (number) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGABRT:
    case SIGSYS:
    case SIGTRAP:
        return true;
    default:
        return false;
    }
}

/* Ended by a signal. */
static enum incident_kind kind_of_signal(const struct master *master, const struct worker *worker,
                                         const struct evidence *evidence)
{
    const struct evidence_trace *trace = &evidence->trace;
    int number = WTERMSIG(worker->status);
    bool is_own = trace->sender == 0 || trace->sender == (uint64_t)worker->pid;

    if (is_fatal(number))
        return trace->kind != TRACE_CRASH || is_own ? INCIDENT_CRASH : INCIDENT_KILLED;
    if (worker->is_hung)
        return INCIDENT_HANG;
    if (worker->is_late && worker->state == SEAT_STARTING)
        return evidence->step != STEP_NONE ? INCIDENT_LATE : INCIDENT_NONE;
    if (worker->is_late)
        return INCIDENT_LATE;
    if (worker->refusal != NULL)
        return INCIDENT_NONE; /* it has said itself what is wrong */
    /* Of one that was leaving anyway nothing is lost but what it still had to do. */
    if (worker->is_asked && (master->urgency == URGENCY_NOW || evidence->flights.in_flight == 0))
        return INCIDENT_NONE;
    return INCIDENT_KILLED;
}

static enum incident_kind kind_of(const struct master *master, const struct worker *worker,
                                  const struct evidence *evidence)
{
    if (WIFSIGNALED(worker->status))
        return kind_of_signal(master, worker, evidence);
    if (evidence->trace.kind == TRACE_CRASH && WEXITSTATUS(worker->status) != 0)
        return INCIDENT_CRASH; /* by a handler of somebody's, as a sanitizer has one */
    if (evidence->running != NULL)
        return INCIDENT_EXIT; /* in the middle of it */
    if (worker->is_asked || worker->refusal != NULL ||
        (WEXITSTATUS(worker->status) == 0 && worker->state == SEAT_DRAINING))
        return INCIDENT_NONE;
    return INCIDENT_EXIT;
}

/* ---- with its names ---- */

/* What a list has is left out by and by, the oldest incident's first: there the numbers stay. */
static void leave_out(struct incident *incident, const char *list)
{
    cJSON *json = cJSON_Parse(incident->text), *empty = cJSON_CreateArray();
    char *text = NULL;

    if (json != NULL && empty != NULL && cJSON_ReplaceItemInObject(json, list, empty)) {
        empty = NULL;
        text = cJSON_PrintUnformatted(json);
    }
    if (text != NULL) {
        cJSON_free(incident->text);
        incident->text = text;
        incident->size = strlen(text);
    }
    cJSON_Delete(empty);
    cJSON_Delete(json);
}

static void bound_memory(struct incidents *incidents)
{
    static const char *const lists[] = {"in_flight", "ended", "backtrace"};
    struct incident *incident;
    size_t size = 0;

    TAILQ_FOREACH (incident, &incidents->kept, link)
        size += incident->size;
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        TAILQ_FOREACH (incident, &incidents->kept, link) {
            if (size <= KEPT_BYTES)
                return;
            if (incident->text == NULL || incident->left_out > i)
                continue;
            size -= incident->size;
            leave_out(incident, lists[i]);
            incident->left_out = i + 1;
            size += incident->size;
        }
}

static void end_story(struct incident *incident, const struct symbols *named)
{
    incident_complete(incident->json, incident->incidents->master, incident->evidence, named);
    evidence_free(incident->evidence); /* the builds may go */
    incident->evidence = NULL;
    if (incident->is_whole)
        incident_log(incident->worker, incident->json);
    incident->text = cJSON_PrintUnformatted(incident->json);
    if (incident->text == NULL)
        return; /* as it is, then */
    incident->size = strlen(incident->text);
    cJSON_Delete(incident->json);
    incident->json = NULL;
    bound_memory(incident->incidents);
}

static void ask_next(struct incidents *incidents);

static void on_named(const struct symbols *named, size_t count, void *arg)
{
    struct incident *incident = arg;
    struct incidents *incidents = incident->incidents;
    bool is_whole = incident->is_whole;

    incident->is_asking = false;
    incidents->asking_count--;
    end_story(incident, count == incident->evidence->place_count ? named : NULL);
    ask_next(incidents);
    if (is_whole && !incidents_are_pending(incidents))
        master_on_gone(incidents->master); /* which may wait for nothing else */
}

static void ask(struct incident *incident)
{
    const struct evidence *evidence = incident->evidence;

    incident->is_asking = symbols_ask(incident->incidents->master, evidence->places,
                                      evidence->place_count, on_named, incident) != NULL;
    if (incident->is_asking)
        incident->incidents->asking_count++;
    else
        end_story(incident, NULL);
}

/* The oldest that waits; NULL: none. */
static struct incident *find_waiting(const struct incidents *incidents, bool is_whole)
{
    struct incident *incident;

    TAILQ_FOREACH (incident, &incidents->kept, link)
        if (incident->evidence != NULL && !incident->is_asking && incident->is_whole == is_whole)
            return incident;
    return NULL;
}

/* Whom the log waits for comes first. */
static void ask_next(struct incidents *incidents)
{
    struct incident *incident;

    while (incidents->asking_count < ASKING_MOST) {
        incident = find_waiting(incidents, true);
        if (incident == NULL && incidents->asking_count < ASKING_OTHERS)
            incident = find_waiting(incidents, false);
        if (incident == NULL)
            return;
        ask(incident);
    }
}

static void go_on(struct incident *incident)
{
    struct incidents *incidents = incident->incidents;
    struct incident *other;
    unsigned waiting = 0;

    if (incident->evidence->place_count == 0) {
        end_story(incident, NULL);
        return;
    }
    TAILQ_FOREACH (other, &incidents->kept, link)
        waiting += other->evidence != NULL && !other->is_asking && !other->is_whole;
    if (!incident->is_whole && waiting > WAITING_OTHERS)
        end_story(incident, NULL);
    else
        ask_next(incidents);
}

/* ---- the list ---- */

static void keep(struct incidents *incidents, struct incident *incident)
{
    struct incident *oldest = TAILQ_FIRST(&incidents->kept);

    TAILQ_INSERT_TAIL(&incidents->kept, incident, link);
    if (++incidents->kept_count <= INCIDENTS_KEPT)
        return;
    while (oldest->is_asking || (oldest->evidence != NULL && oldest->is_whole)) /* few of so many */
        oldest = TAILQ_NEXT(oldest, link);
    TAILQ_REMOVE(&incidents->kept, oldest, link);
    incident_free(oldest);
    incidents->kept_count--;
}

/* Beyond its first line. */
static bool has_more(enum incident_kind kind, const struct evidence *evidence)
{
    return evidence->trace.count > 0 || evidence->trace.overflown != 0 ||
           incident_is_untraced(kind, evidence) ||
           evidence->flights.count > (evidence->running != NULL ? 1 : 0);
}

static bool may_be_whole(struct incidents *incidents, enum incident_kind kind,
                         const struct evidence *evidence)
{
    uint64_t *oldest = &incidents->whole_at[incidents->whole_next], now = evidence->taken_at;

    if (!has_more(kind, evidence))
        return true;
    if (*oldest != 0 && now - *oldest < WHOLE_WITHIN)
        return false;
    *oldest = now;
    incidents->whole_next = (incidents->whole_next + 1) % WHOLE_MOST;
    return true;
}

/* The evidence is the incident's from now on. */
static struct incident *incident_new(struct master *master, const struct worker *worker,
                                     enum incident_kind kind, const char *sentence,
                                     struct evidence *evidence)
{
    struct incident *incident = calloc(1, sizeof(*incident));

    if (incident == NULL) {
        evidence_free(evidence);
        return NULL;
    }
    incident->incidents = master->incidents;
    incident->slot = worker->id;
    pool_name(worker, incident->worker);
    incident->evidence = evidence;
    incident->is_whole = may_be_whole(master->incidents, kind, evidence);
    incident->json = incident_describe(master, worker, kind, sentence, evidence);
    return incident;
}

/* Somebody has stopped it, or the kernel holds on to it. */
static bool is_held(const struct worker *worker)
{
    return worker->hang_state == 'T' || worker->hang_state == 't' || worker->hang_state == 'D';
}

/* The request that ran did it, as far as is known. */
static void blame(struct master *master, const struct worker *worker, enum incident_kind kind,
                  const struct evidence *evidence)
{
    bool is_its_own = (kind == INCIDENT_CRASH && !incident_is_untraced(kind, evidence)) ||
                      (kind == INCIDENT_HANG && !is_held(worker)) || kind == INCIDENT_EXIT;

    if (is_its_own && evidence->running != NULL && evidence->trace.thread == 0)
        quarantines_on_kill(master, evidence->running);
}

bool incidents_on_end(struct master *master, struct worker *worker, const char *how)
{
    bool is_former = worker->spawned_at < master->incidents->made_at;
    struct evidence *evidence = evidence_take(master, worker, is_former);
    struct incident *incident;
    enum incident_kind kind;
    char *sentence;
    bool is_said;

    if (evidence == NULL)
        return false;
    kind = kind_of(master, worker, evidence);
    if (kind == INCIDENT_NONE) {
        evidence_free(evidence);
        return false;
    }
    board_add(&master->board->incidents, 1);
    sentence = incident_sentence(master, worker, kind, how, evidence);
    incident = incident_new(master, worker, kind, sentence, evidence);
    if (sentence != NULL)
        log_warnx("%s%s", sentence,
                  incident != NULL && incident->is_whole ? ""
                                                         : " (the rest of the story is left out)");
    if (incident != NULL) {
        blame(master, worker, kind, evidence);
        keep(master->incidents, incident);
        go_on(incident); /* the evidence may be gone then */
    }
    is_said = sentence != NULL;
    free(sentence);
    return is_said;
}

static cJSON *show(const struct incident *incident)
{
    return incident->text != NULL ? cJSON_CreateRaw(incident->text)
                                  : cJSON_Duplicate(incident->json, true);
}

cJSON *incidents_report(const struct incidents *incidents)
{
    cJSON *report = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(report, "incidents");
    const struct incident *incident;

    TAILQ_FOREACH (incident, &incidents->kept, link)
        cJSON_AddItemToArray(list, show(incident));
    if (incidents->before > 0)
        cJSON_AddNumberToObject(report, "before_upgrade", (double)incidents->before);
    return report;
}

cJSON *incidents_latest_of(const struct incidents *incidents, unsigned slot)
{
    const struct incident *incident;

    TAILQ_FOREACH_REVERSE(incident, &incidents->kept, incident_list, link)
    if (incident->slot == slot)
        return show(incident);
    return cJSON_CreateNull();
}
