/* orders.c: see orders.h. */
#include "master/orders.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "master/action.h"
#include "master/judge.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/upgrade.h"

#define APPS_MAX 256

/* ---- actions ---- */

void orders_refuse_app(struct call *call, const char *app)
{
    call_refuse(call, HTTP_NOTFOUND, "no such application", "there is no application \"%s\"", app);
}

/* The first line may come before the action's start has returned. */
static void on_line(const cJSON *line, bool is_last, void *arg)
{
    struct call *call = arg;

    if (!call->is_answered)
        call_stream_begin(call);
    call_stream_line(call, line, is_last);
}

static const char *detail_or(const char *detail, const char *otherwise)
{
    return detail == NULL || detail[0] == '\0' ? otherwise : detail;
}

static void refuse_action(struct call *call, enum action_start start, const char *detail)
{
    switch (start) {
    case ACTION_BEGUN:
        break;
    case ACTION_BUSY:
        call_refuse(call, 409, "busy", "%s is running; try again when it is over",
                    detail_or(detail, "another action"));
        break;
    case ACTION_NO_SUCH_APP:
        orders_refuse_app(call, detail_or(detail, call->argument));
        break;
    case ACTION_NO_SUCH_BUILD:
        call_refuse(call, HTTP_NOTFOUND, "no such build", "%s", detail_or(detail, ""));
        break;
    case ACTION_BAD_ORDER:
        call_refuse(call, HTTP_BADREQUEST, "bad request", "%s", detail_or(detail, ""));
        break;
    case ACTION_NOT_NOW:
        call_refuse(call, 409, "not now", "%s", detail_or(detail, "try again later"));
        break;
    case ACTION_STOPPING:
        call_refuse(call, HTTP_SERVUNAVAIL, "stopping", "%s",
                    detail_or(detail, "the server is stopping"));
        break;
    case ACTION_FAILED:
        call_refuse(call, HTTP_INTERNAL, "failed", "%s", detail_or(detail, "nothing was changed"));
        break;
    }
}

/* After an action's start: it may have reported already, and even be over. */
static void follow(struct call *call, enum action_start start, const char *detail)
{
    if (start != ACTION_BEGUN)
        refuse_action(call, start, detail);
    else if (!call->is_answered)
        call_stream_begin(call);
}

static struct action_listener listener_of(struct call *call)
{
    return (struct action_listener){on_line, call, call->peer};
}

/* ---- reload and rollback ---- */

static int refuse_value(struct call *call, const char *key, const char *expected)
{
    return call_refuse(call, HTTP_BADREQUEST, "bad request", "\"%s\" has to be %s", key, expected);
}

static const cJSON *item_of(const struct call *call, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(call->body, key);
}

#define PERIOD_MAX (24 * 60 * 60)

/* "30s", or a number of seconds. */
static int read_period(struct call *call, struct canary_rules *rules)
{
    const cJSON *item = item_of(call, "for");
    bool is_text = cJSON_IsString(item);

    if (item == NULL)
        return 0;
    if (is_text && config_duration(item->valuestring, &rules->period) == 0 && rules->period > 0 &&
        rules->period <= PERIOD_MAX * NS_PER_SEC)
        return 0;
    if (cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble <= PERIOD_MAX) {
        rules->period = (uint64_t)(item->valuedouble * (double)NS_PER_SEC);
        return 0;
    }
    return refuse_value(call, "for", "a duration up to a day, as \"30s\", or seconds");
}

/* A limit that is a number, or a text which is one in another form. */
struct limit_form {
    const char *key, *expected;
    int (*parse)(const char *text, double *value_out);
    int (*check)(double value);
};

static int read_limit(struct call *call, const struct limit_form *form, double *limit_out)
{
    const cJSON *item = item_of(call, form->key);

    if (item == NULL || (cJSON_IsString(item) && form->parse(item->valuestring, limit_out) == 0))
        return 0;
    if (cJSON_IsNumber(item) && form->check(item->valuedouble) == 0) {
        *limit_out = item->valuedouble;
        return 0;
    }
    return refuse_value(call, form->key, form->expected);
}

static const struct limit_form errors_form = {"max_errors", "a share, as \"1%\" or 0.01",
                                              judge_parse_errors, judge_check_errors};
static const struct limit_form latency_form = {"max_latency",
                                               "a factor, as \"2x\" or 2, from 1 to 1000",
                                               judge_parse_factor, judge_check_factor};

/* A whole number from `least` on; left as it is when there is none. 0, or -1: refused. */
static int read_count(struct call *call, const char *key, double least, uint64_t *count_out)
{
    const cJSON *item = item_of(call, key);

    if (item == NULL)
        return 0;
    if (!cJSON_IsNumber(item) || item->valuedouble < least || item->valuedouble > 1e15 ||
        floor(item->valuedouble) < item->valuedouble)
        return refuse_value(call, key, least > 0 ? "a whole number from 1 on" : "a whole number");
    *count_out = (uint64_t)item->valuedouble;
    return 0;
}

static int read_canary(struct call *call, struct reload_order *order, struct canary_rules *rules)
{
    const cJSON *canary = item_of(call, "canary");

    order->canary = cJSON_GetStringValue(canary);
    order->rules = rules;
    if (canary != NULL && order->canary == NULL)
        return refuse_value(call, "canary", "a text: \"1\" or \"25%\"");
    if (canary == NULL &&
        (item_of(call, "for") != NULL || item_of(call, "max_errors") != NULL ||
         item_of(call, "max_latency") != NULL || item_of(call, "min_requests") != NULL))
        return refuse_value(call, "canary", "there when \"for\" or a limit is");
    if (read_period(call, rules) != 0 || read_limit(call, &errors_form, &rules->max_errors) != 0 ||
        read_limit(call, &latency_form, &rules->max_latency) != 0)
        return -1;
    return read_count(call, "min_requests", 0, &rules->min_requests);
}

static int read_apps(struct call *call, const char *names[APPS_MAX], size_t *count_out)
{
    const cJSON *apps = item_of(call, "apps"), *name;

    if (apps == NULL)
        return 0;
    if (!cJSON_IsArray(apps) || cJSON_GetArraySize(apps) < 1 || cJSON_GetArraySize(apps) > APPS_MAX)
        return refuse_value(call, "apps", "a list of names");
    cJSON_ArrayForEach (name, apps) {
        if (!cJSON_IsString(name))
            return refuse_value(call, "apps", "a list of names");
        names[(*count_out)++] = name->valuestring;
    }
    return 0;
}

static void reload(struct call *call, struct reload_order *order)
{
    struct action_listener listener = listener_of(call);
    struct canary_rules rules = JUDGE_DEFAULT_RULES;
    const char *detail = NULL;

    enum action_start start;

    if (read_canary(call, order, &rules) != 0)
        return;
    start = action_reload(call->master, order, &listener, &detail);
    follow(call, start, detail);
}

void orders_reload_all(struct call *call)
{
    const char *names[APPS_MAX];
    struct reload_order order = {.apps = names};

    if (read_apps(call, names, &order.app_count) == 0)
        reload(call, &order);
}

void orders_reload(struct call *call)
{
    const char *name = call->argument;
    struct reload_order order = {.apps = &name, .app_count = 1};

    reload(call, &order);
}

void orders_rollback(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const char *detail = NULL;
    uint64_t generation = 0;
    enum action_start start;

    if (read_count(call, "generation", 1, &generation) != 0)
        return;
    start = action_rollback(call->master, call->argument, generation, &listener, &detail);
    follow(call, start, detail);
}

/* ---- the other actions ---- */

void orders_reconfigure(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const char *detail = NULL;
    enum action_start start = action_reconfigure(call->master, &listener, &detail);

    follow(call, start, detail);
}

void orders_upgrade(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const cJSON *binary = item_of(call, "binary");
    const char *detail = NULL;
    enum action_start start;

    if (binary != NULL && (!cJSON_IsString(binary) || binary->valuestring[0] != '/')) {
        refuse_value(call, "binary", "an absolute path");
        return;
    }
    start = action_upgrade(call->master, cJSON_GetStringValue(binary), &listener, &detail);
    follow(call, start, detail);
}

void orders_restart(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const char *detail = NULL;
    uint64_t at_once = 0;
    enum action_start start;

    if (read_count(call, "max_unavailable", 1, &at_once) != 0)
        return;
    if (at_once > call->master->board->max_workers)
        at_once = call->master->board->max_workers;
    start = action_restart(call->master, (unsigned)at_once, &listener, &detail);
    follow(call, start, detail);
}

void orders_drain(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const char *detail = NULL;
    enum action_start start = action_drain(call->master, &listener, &detail);

    follow(call, start, detail);
}

void orders_resume(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const char *detail = NULL;
    enum action_start start = action_resume(call->master, &listener, &detail);

    follow(call, start, detail);
}

void orders_restart_worker(struct call *call)
{
    struct action_listener listener = listener_of(call);
    const struct worker *worker = orders_find_worker(call);
    char name[POOL_NAME_MAX];
    const char *detail = NULL;
    enum action_start start;

    if (worker == NULL)
        return;
    if (!pool_is_staying(worker)) {
        call_refuse(call, 409, "draining", "%s drains already", pool_name(worker, name));
        return;
    }
    if (worker->is_extra) {
        call_refuse(call, 409, "starting", "%s is about to take another one's place",
                    pool_name(worker, name));
        return;
    }
    start = action_restart_worker(call->master, worker, &listener, &detail);
    follow(call, start, detail);
}

void orders_cancel(struct call *call)
{
    const char *detail = NULL;
    const struct receipt *receipt = call->master->action.receipt;
    uint64_t number = receipt != NULL ? receipt->deploy : 0;
    cJSON *json;

    if (!action_cancel(call->master, &detail)) {
        call_refuse(call, 409, "nothing to give up", "%s", detail);
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "cancelled", (double)number);
    call_answer(call, HTTP_OK, json);
}

/* ---- at once ---- */

/* True when nothing may be changed any more; it was refused then. */
static bool refuse_when_stopping(struct call *call)
{
    if (call->master->is_stopping)
        refuse_action(call, ACTION_STOPPING, NULL);
    return call->master->is_stopping;
}

/* A whole number of either sign and nothing around it: true. */
static bool number_of(const char *text, int *number_out)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (end == text || *end != '\0' || number < INT_MIN || number > INT_MAX)
        return false;
    *number_out = (int)number;
    return true;
}

/* The number under `key` in the body, or else in the query. */
static bool find_number(const struct call *call, const char *key, int *number_out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, key);
    char *query = item == NULL ? call_query(call, key) : NULL;
    bool is_found = query != NULL && number_of(query, number_out);

    if (cJSON_IsNumber(item) && item->valuedouble == (double)item->valueint) {
        *number_out = item->valueint;
        is_found = true;
    }
    free(query);
    return is_found;
}

void orders_scale(struct call *call)
{
    struct pool *pool = call->master->pool;
    unsigned before = pool_target(pool), most = call->master->board->max_workers;
    int wanted = 0, by = 0;
    cJSON *json;

    if (refuse_when_stopping(call))
        return;
    if (before == 0) {
        call_refuse(call, 409, "busy", "the server is starting; try again when it is ready");
        return;
    }
    if (find_number(call, "by", &by) == find_number(call, "workers", &wanted)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request",
                    "either \"workers\" or \"by\" has to be a whole number");
        return;
    }
    if (by != 0 && __builtin_add_overflow((int)before, by, &wanted))
        wanted = 0;
    if (wanted < 1 || !pool_set_target(pool, (unsigned)wanted)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request", "workers can be 1 to %u, not %d", most,
                    wanted);
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "workers", pool_target(pool));
    cJSON_AddNumberToObject(json, "before", before);
    call_answer(call, HTTP_OK, json);
}

void orders_reopen(struct call *call)
{
    cJSON *json;

    if (master_reopen_logs(call->master) != 0) {
        call_refuse(call, HTTP_INTERNAL, "failed",
                    "the master's log file cannot be opened; it goes on with the old one");
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "reopened");
    call_answer(call, HTTP_OK, json);
}

static void stop_gracefully(evutil_socket_t fd, short what, void *master)
{
    (void)fd;
    (void)what;
    master_stop(master, true);
}

static void stop_at_once(evutil_socket_t fd, short what, void *master)
{
    (void)fd;
    (void)what;
    master_stop(master, false);
}

void orders_shutdown(struct call *call)
{
    const cJSON *graceful = cJSON_GetObjectItemCaseSensitive(call->body, "graceful");
    cJSON *json;

    if (graceful != NULL && !cJSON_IsBool(graceful)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request", "\"graceful\" has to be true or false");
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "stopping");
    cJSON_AddBoolToObject(json, "graceful", !cJSON_IsFalse(graceful));
    cJSON_AddNumberToObject(json, "pid", getpid());
    call->after = cJSON_IsFalse(graceful) ? stop_at_once : stop_gracefully;
    call_answer(call, HTTP_OK, json);
}
