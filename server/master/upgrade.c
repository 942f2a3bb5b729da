/* upgrade.c: an upgrade of the binary as a transaction:
 *
 *     check in a child -> all is quiet -> exec -> (the new image:) roll the workers -> done
 *          `-> rejected       `-> failed    `-> failed, the old image goes on
 *
 * The child is examination.c's, what goes over the exec is bequest.c's and heir.c's. */
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "master/bequest.h"
#include "master/control.h"
#include "master/examination.h"
#include "master/heir.h"
#include "master/history.h"
#include "master/incidents.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/program_file.h"
#include "master/restart.h"
#include "master/roll.h"
#include "master/self.h"
#include "master/sentence.h"
#include "master/service.h"
#include "master/timer.h"

#define LOOK         (2 * NS_PER_MS)
#define QUIET_WITHIN (500 * NS_PER_MS) /* for the control API's answers: then they are cut off */
#define SENT_WITHIN  (2 * NS_PER_SEC)  /* for the links: then the upgrade is given up */
#define TOLD_WITHIN  (6 * NS_PER_SEC)  /* for names in stories, a little more than they take */

struct upgrade {
    struct master *master;
    char *binary;
    struct program_file file, config; /* as they were when the check began */
    struct examination *examination;  /* NULL: not begun, or over */
    uint64_t leaving_at;              /* clock_ns(): it was accepted; 0: not yet */
    bool is_given_up;
    struct event timer; /* the begin; looking whether all is quiet */
};

/* ---- the end ---- */

static void upgrade_free(struct upgrade *upgrade)
{
    event_del(&upgrade->timer);
    free(upgrade->binary);
    free(upgrade);
}

/* Everything is as it was. */
static void give_up(struct upgrade *upgrade, enum outcome outcome, const char *reason)
{
    struct master *master = upgrade->master;

    if (upgrade->leaving_at != 0) {
        service_ready(master->service);
        if (master->control != NULL)
            control_pause(master->control, false);
    }
    log_warnx("%s to %s: %s: %s", master->action.receipt->action, upgrade->binary,
              outcome_name(outcome), reason);
    master->upgrade = NULL;
    action_end(master, outcome, reason, NULL);
    upgrade_free(upgrade);
}

/* ---- the exec ---- */

static char **make_arguments(const struct upgrade *upgrade)
{
    const struct self *self = upgrade->master->self;
    size_t count = 0;
    char **argv;

    while (self->argv[count] != NULL)
        count++;
    argv = calloc(count + 2, sizeof(*argv));
    if (argv == NULL)
        return NULL;
    memcpy(argv, self->argv, count * sizeof(*argv));
    /* As it was called, for ps, unless it is another file now. */
    if (self->binary == NULL || count == 0 || strcmp(self->binary, upgrade->binary) != 0)
        argv[0] = upgrade->binary;
    return argv;
}

static int prepare(const struct master *master, int document)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", document);
    if (setenv(HEIR_VARIABLE, number, 1) != 0 ||
        service_restore_environment(master->service) != 0 || bequest_keep(master, true) != 0)
        return -1;
    return fcntl(document, F_SETFD, 0);
}

static void take_back(const struct master *master)
{
    bequest_keep(master, false);
    service_clear_environment();
    unsetenv(HEIR_VARIABLE);
}

/* Returns only when it has failed. */
static void become(struct upgrade *upgrade)
{
    struct master *master = upgrade->master;
    int document = bequest_write(master, "");
    char **argv = make_arguments(upgrade);
    char *reason = NULL;

    fflush(NULL);
    if (document != -1 && argv != NULL && prepare(master, document) == 0)
        execv(upgrade->binary, argv);
    sentence_set(&reason, "it could not be executed: %s", strerror(errno));
    take_back(master);
    if (document != -1)
        close(document);
    free(argv);
    give_up(upgrade, OUTCOME_FAILED, sentence_or(reason));
    free(reason);
}

/* ---- between the check and the exec ---- */

/* Which worker has not taken all that was sent to it; NULL: none. */
static const struct worker *find_behind(const struct master *master)
{
    for (const struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w))
        if (w->channel != NULL && !channel_is_flushed(w->channel))
            return w;
    return NULL;
}

static bool is_quiet(const struct master *master)
{
    return master->control == NULL || control_is_quiet(master->control);
}

/* What was checked is what is executed, and read. */
static const char *changed_file(const struct upgrade *upgrade)
{
    const char *config = upgrade->master->config->path;

    if (!program_file_is_same(upgrade->binary, &upgrade->file))
        return upgrade->binary;
    if (config != NULL && !program_file_is_same(config, &upgrade->config))
        return config;
    return NULL;
}

static void look(struct upgrade *upgrade)
{
    struct master *master = upgrade->master;
    uint64_t passed = clock_ns() - upgrade->leaving_at;
    const struct worker *behind = find_behind(master);
    char name[POOL_NAME_MAX], reason[4096];

    if (behind != NULL && passed > SENT_WITHIN) {
        snprintf(reason, sizeof(reason), "%s does not take what was sent to it",
                 pool_name(behind, name));
        give_up(upgrade, OUTCOME_FAILED, reason);
    } else if (behind != NULL || (!is_quiet(master) && passed < QUIET_WITHIN) ||
               (incidents_are_pending(master->incidents) && passed < TOLD_WITHIN)) {
        timer_arm(&upgrade->timer, LOOK);
    } else if (changed_file(upgrade) != NULL) {
        snprintf(reason, sizeof(reason), "%s was changed while it was checked",
                 changed_file(upgrade));
        give_up(upgrade, OUTCOME_REJECTED, reason);
    } else {
        become(upgrade);
    }
}

static void leave(struct upgrade *upgrade, const char *version)
{
    struct master *master = upgrade->master;

    log_info("%s is reeve %s, and goes on with what reeve " REEVE_VERSION " has", upgrade->binary,
             version);
    upgrade->leaving_at = clock_ns();
    action_say(master, action_line("exec"));
    service_reloading(master->service);
    if (master->control != NULL)
        control_pause(master->control, true);
    timer_arm(&upgrade->timer, 0);
}

/* ---- the check ---- */

static void on_examined(const char *version, const char *refusal, void *arg)
{
    struct upgrade *upgrade = arg;

    upgrade->examination = NULL;
    if (upgrade->is_given_up)
        give_up(upgrade, OUTCOME_FAILED, "the server is stopping");
    else if (refusal != NULL)
        give_up(upgrade, OUTCOME_REJECTED, refusal);
    else
        leave(upgrade, version);
}

bool upgrade_reap(struct upgrade *upgrade, pid_t pid, int status)
{
    return upgrade != NULL && examination_reap(upgrade->examination, pid, status);
}

static void begin(struct upgrade *upgrade)
{
    struct master *master = upgrade->master;
    cJSON *line = action_line("check");
    char *reason = NULL;

    action_say_begin(master);
    cJSON_AddStringToObject(line, "binary", upgrade->binary);
    action_say(master, line);
    if (program_file_check(upgrade->binary, &upgrade->file, &reason) != 0) {
        give_up(upgrade, OUTCOME_REJECTED, sentence_or(reason));
        free(reason);
        return;
    }
    program_file_look(master->config->path, &upgrade->config);
    upgrade->examination = examination_start(master, upgrade->binary, on_examined, upgrade);
    if (upgrade->examination == NULL)
        give_up(upgrade, OUTCOME_FAILED, strerror(errno));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct upgrade *upgrade = arg;

    (void)fd;
    (void)what;
    if (upgrade->is_given_up)
        give_up(upgrade, OUTCOME_FAILED, "the server is stopping");
    else if (upgrade->leaving_at != 0)
        look(upgrade);
    else
        begin(upgrade);
}

void upgrade_stop(struct master *master)
{
    struct upgrade *upgrade = master->upgrade;

    if (upgrade == NULL)
        return;
    upgrade->is_given_up = true;
    if (upgrade->examination != NULL)
        examination_cancel(upgrade->examination);
    else
        timer_arm(&upgrade->timer, 0);
}

/* ---- the order ---- */

static const char *obstacle(const struct master *master, const char *binary)
{
    if (binary == NULL)
        return "the file that this server was started from is not known: name one (--binary)";
    if (binary[0] != '/')
        return "the binary has to be named by an absolute path";
    if (!master->is_ready)
        return "the server is starting";
    if (!roll_has_slot(master))
        return "there is no slot for a replacement: max_workers is reached";
    return NULL;
}

static struct upgrade *make(struct master *master, const char *binary)
{
    struct upgrade *upgrade = calloc(1, sizeof(*upgrade));

    if (upgrade == NULL)
        return NULL;
    upgrade->binary = strdup(binary);
    if (upgrade->binary == NULL) {
        free(upgrade);
        return NULL;
    }
    upgrade->master = master;
    evtimer_assign(&upgrade->timer, master->base, on_timer, upgrade);
    return upgrade;
}

enum action_start action_upgrade(struct master *master, const char *binary,
                                 const struct action_listener *listener, const char **detail_out)
{
    const char *file = binary != NULL ? binary : master->self->binary;
    enum action_start begun;

    if (!master->is_stopping && master->action.receipt == NULL &&
        (*detail_out = obstacle(master, file)) != NULL)
        return ACTION_FAILED;
    begun = action_begin(master, ACTION_UPGRADE, listener, detail_out, "an upgrade");
    if (begun != ACTION_BEGUN)
        return begun;
    master->upgrade = make(master, file);
    if (master->upgrade == NULL) {
        action_abandon(master);
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    timer_arm(&master->upgrade->timer, 0);
    return ACTION_BEGUN;
}

/* ---- in the new image ---- */

static void put_receipt(struct master *master)
{
    cJSON *json = receipt_json(master->action.receipt);

    if (json != NULL)
        history_put(master->history, json);
    cJSON_Delete(json);
}

/* Who asked has lost his stream by the exec, and looks at the receipt instead. */
static void note_line(const cJSON *line, bool is_last, void *arg)
{
    const char *step = cJSON_GetStringValue(cJSON_GetObjectItem(line, "step"));
    struct master *master = arg;
    struct receipt_worker *entry;

    if (is_last || step == NULL || strcmp(step, "ready") != 0)
        return;
    for (const struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w)) {
        if (w->pid != (pid_t)cJSON_GetNumberValue(cJSON_GetObjectItem(line, "pid")))
            continue;
        entry = receipt_worker(master->action.receipt, w->id, w->incarnation);
        if (entry == NULL)
            return;
        entry->is_ok = true;
        entry->prepare = w->ready_at - w->spawned_at;
        put_receipt(master);
    }
}

static void on_rolled(enum roll_end how, const char *reason, void *arg)
{
    struct master *master = arg;
    char *text = NULL;

    service_ready(master->service);
    if (how == ROLL_FAILED && master->is_stopping)
        sentence_set(&text, "%s", reason);
    else if (how == ROLL_FAILED)
        sentence_set(&text,
                     "reeve " REEVE_VERSION " supervises now, but the workers of before that "
                     "were not replaced go on serving: %s",
                     reason);
    restart_end(master, restart_outcome(how), text);
    free(text);
}

void upgrade_go_on(struct master *master, const char *from)
{
    struct roll_order order = {
        .edition = master->edition,
        .at_once = master->config->max_unavailable,
        .on_end = on_rolled,
        .arg = master,
    };

    log_info("reeve %s goes on for reeve %s as pid %d; its workers are replaced", REEVE_VERSION,
             from, (int)getpid());
    master->action.listener = (struct action_listener){.on_line = note_line, .arg = master};
    if (roll_begin(master, &order) != 0)
        on_rolled(ROLL_FAILED, "memory has run out", master);
}
