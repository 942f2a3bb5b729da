/* deploy_queue.c: deployments of several apps, one after the other: a reload that was asked for, and
 * the start, which is a deployment of every app to no workers yet. */
#include "master/deploy_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/action.h"
#include "master/timer.h"

/* At the start the first refusal is the end; the sentence that the operator needs is in it. */
static void fail_start(struct deploys *deploys)
{
    const cJSON *receipt =
        cJSON_GetArrayItem(deploys->receipts, cJSON_GetArraySize(deploys->receipts) - 1);
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(receipt, "reason"));
    char text[CHANNEL_TEXT_MAX + 128];

    snprintf(text, sizeof(text), "app \"%s\": %s", deploy_app_of(deploys)->name,
             reason != NULL ? reason : "memory has run out");
    master_fail(deploys->master, text);
}

static void end_action(struct deploys *deploys)
{
    struct master *master = deploys->master;
    cJSON *line = cJSON_CreateObject();

    deploys->is_running = false;
    cJSON_AddStringToObject(line, "verdict", outcome_name(deploys->worst));
    cJSON_AddItemToObject(line, "receipts", deploys->receipts);
    deploys->receipts = NULL;
    action_end(master, line);
}

static void end_start(struct deploys *deploys)
{
    bool is_live = deploys->worst == OUTCOME_LIVE;

    if (!is_live)
        fail_start(deploys);
    cJSON_Delete(deploys->receipts);
    deploys->receipts = NULL;
    deploys->is_running = deploys->is_first = false;
    deploys->master->action = (struct action){.name = ""};
    if (is_live)
        master_on_deployed(deploys->master);
}

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
    struct deploys *deploys = arg;

    (void)fd;
    (void)what;
    if (deploys->is_first && (deploys->worst != OUTCOME_LIVE || deploys->next > deploys->last))
        end_start(deploys);
    else if (deploys->next > deploys->last)
        end_action(deploys);
    else
        deploy_begin(deploys, deploys->next++);
}

/* From the loop: nobody is told of progress before the start of the action has been answered. */
static void begin(struct deploys *deploys, unsigned first, unsigned last)
{
    deploys->is_running = true;
    deploys->worst = OUTCOME_LIVE;
    deploys->next = first;
    deploys->last = last;
    deploys->receipts = cJSON_CreateArray();
    timer_arm(&deploys->go_on, 0);
}

void deploy_first(struct deploys *deploys)
{
    const struct action_listener nobody = {.on_line = NULL};
    const char *detail;

    if (action_begin(deploys->master, nobody, &detail, "the start of the server") != ACTION_BEGUN)
        return; /* stopped already */
    deploys->is_first = true;
    begin(deploys, 0, (unsigned)deploys->master->config->app_count - 1);
}

enum action_start action_reload(struct master *master, const char *app,
                                struct action_listener listener, const char **detail_out)
{
    unsigned first = 0, last = (unsigned)master->config->app_count - 1;
    enum action_start begun;

    while (app != NULL && first <= last && strcmp(master->config->apps[first].name, app) != 0)
        first++;
    if (first > last) {
        *detail_out = "the configuration has no such app";
        return ACTION_NO_SUCH_APP;
    }
    if (app != NULL)
        last = first;
    begun = action_begin(master, listener, detail_out, "a reload of %s",
                         app != NULL ? app : "every app");
    if (begun == ACTION_BEGUN)
        begin(master->deploys, first, last);
    return begun;
}

/* ---- the whole ---- */

void deploy_stop(struct deploys *deploys)
{
    if (!deploys->is_running)
        return;
    deploy_cut_short(deploys, "the server is stopping");
    event_del(&deploys->go_on);
    if (deploys->is_first)
        end_start(deploys);
    else
        end_action(deploys);
}

static void enter_app(struct master *master, unsigned app)
{
    struct board_app *entry = board_app(master->board, app);

    snprintf(entry->name, sizeof(entry->name), "%s", master->config->apps[app].name);
}

struct deploys *deploys_new(struct master *master)
{
    struct deploys *deploys = calloc(1, sizeof(*deploys));
    const struct config *config = master->config;

    if (deploys == NULL)
        return NULL;
    deploys->master = master;
    deploys->apps = calloc(config->app_count, sizeof(*deploys->apps));
    deploys->history = cJSON_CreateArray();
    if (deploys->apps == NULL || deploys->history == NULL) {
        cJSON_Delete(deploys->history);
        free(deploys->apps);
        free(deploys);
        errno = ENOMEM;
        return NULL;
    }
    evtimer_assign(&deploys->timer, master->base, deploy_on_timer, deploys);
    evtimer_assign(&deploys->go_on, master->base, on_go_on, deploys);
    for (unsigned i = 0; i < config->app_count; i++)
        enter_app(master, i);
    board_set(&master->board->app_count, config->app_count);
    return deploys;
}

void deploys_free(struct deploys *deploys)
{
    if (deploys == NULL)
        return;
    event_del(&deploys->timer);
    event_del(&deploys->go_on);
    for (size_t i = 0; i < deploys->master->config->app_count; i++)
        build_unref(deploys->apps[i].current);
    cJSON_Delete(deploys->receipts);
    cJSON_Delete(deploys->history);
    free(deploys->apps);
    free(deploys);
}
