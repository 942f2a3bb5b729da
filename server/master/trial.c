/* trial.c: see trial.h. Which trial runs is the master's to know (master->trial), since it reaps.
 */
#include "master/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "master/action.h"
#include "master/deploy.h"
#include "master/master.h"
#include "master/preflight.h"
#include "master/timer.h"

struct trial {
    struct trial_order order;
    size_t at; /* the change that is being tried */
    struct preflight *preflight;
    bool is_cancelled;
    struct event go_on;
};

static void end(struct trial *trial, const struct change *refused, const char *reason)
{
    struct trial_order order = trial->order;

    event_del(&trial->go_on);
    order.master->trial = NULL;
    order.on_end(refused, reason, order.arg);
    free(trial);
}

static struct receipt_app *entry_of(const struct trial *trial)
{
    const struct change *change = &trial->order.changes[trial->at];
    struct master *master = trial->order.master;

    return receipt_app(master->action.receipt, catalog_name(&master->catalog, change->app));
}

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static void note(const struct trial *trial, const struct preflight_result *result)
{
    struct build *build = trial->order.changes[trial->at].build;
    struct receipt_app *entry = entry_of(trial);

    copy_text(build->version, sizeof(build->version), result->version);
    copy_text(build->build_id, sizeof(build->build_id), result->build_id);
    if (entry == NULL)
        return;
    receipt_set(&entry->version, result->version);
    receipt_set(&entry->build_id, result->build_id);
    receipt_set(&entry->sha256, result->sha256);
    receipt_set(&entry->output, result->output);
    receipt_set(&entry->warnings, result->warnings);
    entry->size = result->size;
}

/* A kept module whose bytes are not what they were is no build that anybody has tried. */
static const char *check_bytes(const struct change *change, const struct preflight_result *result)
{
    if (result->refusal != NULL || change->sha256 == NULL ||
        strcmp(change->sha256, result->sha256) == 0)
        return result->refusal;
    return "its kept module was changed since: its SHA-256 is not the receipt's";
}

static void on_preflight_end(const struct preflight_result *result, void *arg)
{
    struct trial *trial = arg;
    struct change *change = &trial->order.changes[trial->at];
    const char *refusal = check_bytes(change, result);

    trial->preflight = NULL;
    note(trial, result);
    if (trial->is_cancelled) {
        end(trial, change, "it was given up");
    } else if (refusal == NULL) {
        trial->at++;
        timer_arm(&trial->go_on, 0);
    } else if (trial->order.on_refused != NULL &&
               trial->order.on_refused(change, refusal, trial->order.arg)) {
        timer_arm(&trial->go_on, 0);
    } else {
        end(trial, change, refusal);
    }
}

static void try_one(struct trial *trial)
{
    struct change *change = &trial->order.changes[trial->at];
    struct master *master = trial->order.master;
    struct preflight_order order = {
        .base = master->base,
        .config = trial->order.config,
        .app = (unsigned)change->index,
        .generation = change->build->generation,
        .path = change->build->path,
        .module = change->module,
    };
    char why[128];

    action_say(master, deploy_line(master, "preflight", change->build));
    trial->preflight = preflight_start(&order, on_preflight_end, trial);
    if (trial->preflight == NULL) {
        snprintf(why, sizeof(why), "its preflight could not be started: %s", strerror(errno));
        change->is_untried = true;
        end(trial, change, why);
    }
}

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
    struct trial *trial = arg;

    (void)fd;
    (void)what;
    if (trial->at == trial->order.count)
        end(trial, NULL, NULL);
    else if (trial->is_cancelled)
        end(trial, &trial->order.changes[trial->at], "it was given up");
    else
        try_one(trial);
}

struct trial *trial_begin(const struct trial_order *order)
{
    struct trial *trial = calloc(1, sizeof(*trial));

    if (trial == NULL)
        return NULL;
    trial->order = *order;
    evtimer_assign(&trial->go_on, order->master->base, on_go_on, trial);
    timer_arm(&trial->go_on, 0);
    order->master->trial = trial;
    return trial;
}

void trial_cancel(struct trial *trial)
{
    trial->is_cancelled = true;
    if (trial->preflight != NULL)
        preflight_cancel(trial->preflight);
}

bool trial_reap(struct trial *trial, pid_t pid, int status)
{
    return trial != NULL && preflight_reap(trial->preflight, pid, status);
}
