/* incident_story.c: see incident_story.h. */
#include "master/incident_story.h"

#include <http_parser.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/sentence.h"

#define FRAMES_TOLD  40 /* lines of a backtrace, and the last ones of a longer one */
#define FRAMES_LAST  8
#define WAITING_TOLD 20
#define ENDED_TOLD   8

const char *incident_kind_name(enum incident_kind kind)
{
    static const char *const names[INCIDENT_KINDS] = {"none", "crash",  "hang",
                                                      "exit", "killed", "late"};

    return names[kind];
}

/* ---- the sentence ---- */

bool incident_is_untraced(enum incident_kind kind, const struct evidence *evidence)
{
    return kind == INCIDENT_CRASH && evidence->trace.kind != TRACE_CRASH;
}

const struct build *incident_build(const struct evidence *evidence)
{
    const struct flight *running = evidence->running;
    const struct build *build = evidence_build_in_trace(evidence);

    if (evidence->trace.thread != 0 && build != NULL)
        return build; /* what the loop's thread did meanwhile is another matter */
    if (running != NULL)
        return evidence_build(evidence, running->app, running->generation);
    if (evidence->step != STEP_NONE)
        return evidence_build(evidence, evidence->step_app, evidence->step_generation);
    return build;
}

static void write_app(FILE *out, const struct master *master, uint64_t app, uint64_t generation,
                      const struct build *build)
{
    const char *name =
        app < master->board->max_apps ? catalog_name(&master->catalog, (unsigned)app) : NULL;
    const char *comma = "";

    fprintf(out, "%s %" PRIu64, name != NULL ? name : "?", generation);
    if (build == NULL || (build->version[0] == '\0' && build->build_id[0] == '\0'))
        return;
    fprintf(out, " (");
    if (build->version[0] != '\0') {
        fprintf(out, "version %s", build->version);
        comma = ", ";
    }
    if (build->build_id[0] != '\0')
        fprintf(out, "%sbuild id %s", comma, build->build_id);
    fprintf(out, ")");
}

static void write_request(FILE *out, const struct flight *flight)
{
    fprintf(out, "request %016" PRIx64 " %s %s", flight->id,
            flight->method < 256 ? http_method_str((enum http_method)flight->method) : "?",
            flight->path);
}

/* It was the request's own doing; else it was only under way. `is_told`: of the build. */
static void write_culprit(FILE *out, const struct master *master, const struct evidence *evidence)
{
    const struct flight *running = evidence->running;

    fprintf(out, ", in ");
    write_app(out, master, running->app, running->generation, incident_build(evidence));
    fprintf(out, ", ");
    write_request(out, running);
}

static void write_bystander(FILE *out, const struct master *master, const struct evidence *evidence,
                            bool is_told)
{
    const struct flight *running = evidence->running;

    fprintf(out, ", while it ran ");
    write_request(out, running);
    fprintf(out, " of ");
    write_app(out, master, running->app, running->generation,
              is_told ? NULL : evidence_build(evidence, running->app, running->generation));
}

static const char *step_in_words(uint64_t step)
{
    if (step == STEP_LOAD)
        return "in a constructor";
    return step == STEP_FINI ? "in fini or a destructor" : worker_step_name(step);
}

/* Of one that hangs the request is named by its side: who stopped it is another question. */
static bool is_own_doing(enum incident_kind kind, const struct evidence *evidence)
{
    if (kind == INCIDENT_CRASH || kind == INCIDENT_HANG)
        return evidence->trace.kind == TRACE_CRASH;
    return kind == INCIDENT_EXIT;
}

static void write_what(FILE *out, const struct master *master, enum incident_kind kind,
                       const struct evidence *evidence)
{
    const struct build *build = incident_build(evidence);
    bool is_thread = evidence->trace.thread != 0;

    if (is_thread)
        fprintf(out, ", in another thread than its loop's");
    if (is_thread && build != NULL) {
        fprintf(out, ", in ");
        write_app(out, master, build->app, build->generation, build);
    }
    if (evidence->running != NULL && !is_thread && is_own_doing(kind, evidence)) {
        write_culprit(out, master, evidence);
    } else if (evidence->running != NULL) {
        write_bystander(out, master, evidence, is_thread && build != NULL);
    } else if (step_in_words(evidence->step) != NULL) {
        fprintf(out, ", %s of ", step_in_words(evidence->step));
        write_app(out, master, evidence->step_app, evidence->step_generation,
                  evidence_build(evidence, evidence->step_app, evidence->step_generation));
    } else if (build != NULL && !is_thread) {
        fprintf(out, ", in ");
        write_app(out, master, build->app, build->generation, build);
    }
}

/* The signal that it was about, where it did not end by that, and what is known of it. */
static void write_signal(FILE *out, const struct worker *worker, enum incident_kind kind,
                         const struct evidence_trace *trace)
{
    if (WIFEXITED(worker->status) || (uint64_t)WTERMSIG(worker->status) != trace->signal)
        fprintf(out, " after signal %d (%s)", (int)trace->signal, strsignal((int)trace->signal));
    if (trace->overflown != 0)
        fprintf(out, ", a stack overflow");
    if (trace->has_address)
        fprintf(out, " at address 0x%" PRIx64, trace->address);
    else if (trace->signal == SIGSEGV && trace->code == SI_KERNEL)
        /* The processor's general protection, which gives no address. */
        fprintf(out, " at a non-canonical address (or a misaligned one)");
    else if (kind == INCIDENT_KILLED && trace->sender != 0)
        fprintf(out, ", sent by process %" PRIu64, trace->sender);
}

static void write_how(FILE *out, const struct worker *worker, enum incident_kind kind,
                      const char *how, const struct evidence_trace *trace)
{
    bool is_late_start = kind == INCIDENT_LATE && worker->state == SEAT_STARTING;

    if (kind == INCIDENT_HANG)
        fprintf(out, "hangs (%s)", sentence_or(worker->hang));
    else if (is_late_start)
        fprintf(out, "was killed: %s", sentence_or(worker->refusal));
    else if (kind == INCIDENT_LATE)
        fprintf(out, "did not end in time and was killed");
    else
        fprintf(out, "%s%s", how, worker->was_ready ? "" : " before it was ready");
    if (trace->kind == TRACE_CRASH && kind != INCIDENT_LATE)
        write_signal(out, worker, kind, trace);
    if (kind == INCIDENT_HANG)
        fprintf(out, " and was killed");
}

char *incident_sentence(const struct master *master, const struct worker *worker,
                        enum incident_kind kind, const char *how, const struct evidence *evidence)
{
    char name[POOL_NAME_MAX], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    fprintf(out, "%s pid %d ", pool_name(worker, name), (int)worker->pid);
    write_how(out, worker, kind, how, &evidence->trace);
    write_what(out, master, kind, evidence);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- the lines that follow ---- */

static const char *text_of(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static double number_of(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* "crash (trouble.c:20)"; without a name the place. */
static void name_frame(const cJSON *frame, char *text, size_t size)
{
    const char *function = text_of(frame, "function"), *file = text_of(frame, "file");
    const char *offset = text_of(frame, "offset");

    if (file != NULL)
        snprintf(text, size, "%s (%s:%.0f)", function != NULL ? function : "?", file,
                 number_of(frame, "line"));
    else if (function != NULL)
        snprintf(text, size, "%s", function);
    else
        snprintf(text, size, "%s", offset != NULL ? offset : "?");
}

static void log_frame(const char *worker, const cJSON *frame, const char *last_object)
{
    const char *object = text_of(frame, "object");
    bool is_elsewhere = object != NULL && (last_object == NULL || strcmp(object, last_object) != 0);
    double repeated = number_of(frame, "repeated"), left_out = number_of(frame, "left_out");
    char name[600];

    if (left_out > 0) {
        log_warnx("%s:   … %.0f more", worker, left_out);
        return;
    }
    name_frame(frame, name, sizeof(name));
    log_warnx("%s:   %s%s%s%s", worker, name, is_elsewhere ? " in " : "",
              is_elsewhere ? object : "",
              cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(frame, "inlined")) ? ", inlined" : "");
    if (repeated > 0)
        log_warnx("%s:   … %.0f more of %s", worker, repeated, name);
}

static void log_backtrace(const char *worker, const cJSON *backtrace)
{
    int count = cJSON_GetArraySize(backtrace), i = 0;
    const char *last_object = NULL;
    const cJSON *frame;

    cJSON_ArrayForEach (frame, backtrace) {
        if (count > FRAMES_TOLD && i == FRAMES_TOLD - FRAMES_LAST)
            log_warnx("%s:   … %d more", worker, count - FRAMES_TOLD);
        if (count <= FRAMES_TOLD || i < FRAMES_TOLD - FRAMES_LAST || i >= count - FRAMES_LAST) {
            log_frame(worker, frame, last_object);
            last_object = text_of(frame, "object");
        }
        i++;
    }
}

/* The size to ask for: the next power of two, as an option and as the configuration has it. */
static void log_overflow(const char *worker, const cJSON *incident)
{
    double size = number_of(incident, "overflown"), wanted = 4096;

    if (size <= 0)
        return;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(incident, "on_loop"))) {
        log_warnx("%s: the loop's own stack of %.0f KiB was too small: ask for more with "
                  "`ulimit -s`, or LimitSTACK= of a service, unless the recursion has no end",
                  worker, size / 1024);
        return;
    }
    while (wanted <= size)
        wanted *= 2;
    log_warnx("%s: the stack of %.0f KiB was too small: ask for more with .stack_size = %.0f in "
              "REEVE_APP or stack_size = %.0fk, unless the recursion has no end",
              worker, size / 1024, wanted, wanted / 1024);
}

static void name_flight(const cJSON *flight, char *text, size_t size)
{
    const char *id = text_of(flight, "id"), *method = text_of(flight, "method");
    const char *path = text_of(flight, "path"), *app = text_of(flight, "app");

    snprintf(text, size, "%s %s %s of %s %.0f", sentence_or(id), sentence_or(method),
             sentence_or(path), sentence_or(app), number_of(flight, "generation"));
}

static bool is_running(const cJSON *flight)
{
    const char *phase = text_of(flight, "phase");

    return phase != NULL && strcmp(phase, flight_phase_name(FLIGHT_RUNNING)) == 0;
}

static void log_waiting(const char *worker, const cJSON *flight)
{
    const char *call = text_of(flight, "waits_in"), *site = text_of(flight, "site");
    const char *phase = text_of(flight, "phase");
    char name[600];

    name_flight(flight, name, sizeof(name));
    log_warnx("%s: in flight: %s, %.3f s, %s%s%s%s", worker, name, number_of(flight, "age"),
              call != NULL ? "waits in " : sentence_or(phase), call != NULL ? call : "",
              site != NULL ? " at " : "", site != NULL ? site : "");
}

static void log_in_flight(const char *worker, const cJSON *incident)
{
    double left = number_of(incident, "in_flight_count") + number_of(incident, "unrecorded");
    const cJSON *flight;
    int told = 0;

    cJSON_ArrayForEach (flight, cJSON_GetObjectItemCaseSensitive(incident, "in_flight")) {
        if (told == WAITING_TOLD)
            break;
        if (!is_running(flight)) { /* that one is in the sentence */
            log_waiting(worker, flight);
            told++;
        }
        left--;
    }
    if (left > 0)
        log_warnx("%s: in flight: and %.0f more", worker, left);
}

static void log_ended(const char *worker, const cJSON *incident)
{
    const cJSON *flight;
    int told = 0;

    cJSON_ArrayForEach (flight, cJSON_GetObjectItemCaseSensitive(incident, "ended")) {
        char name[600];

        if (told++ == ENDED_TOLD)
            return;
        name_flight(flight, name, sizeof(name));
        log_warnx("%s: ended before: %s, %.0f after %.3f s", worker, name,
                  number_of(flight, "status"), number_of(flight, "seconds"));
    }
}

void incident_log(const char *worker, const cJSON *incident)
{
    log_backtrace(worker, cJSON_GetObjectItemCaseSensitive(incident, "backtrace"));
    log_overflow(worker, incident);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(incident, "untraced")))
        log_warnx("%s: it left no trace: a thread's stack overflowed, or the signal was blocked or "
                  "handled by the application",
                  worker);
    log_in_flight(worker, incident);
    log_ended(worker, incident);
}
