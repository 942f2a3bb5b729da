/* report_config.c: the configuration in force as JSON, under the names of the configuration file.
 *
 * The keys' meaning stands in etc/reeve.conf. A test holds this table against the one that
 * reads. */
#include "master/report.h"

#include <stdio.h>

#include "base/clock.h"

enum kind { COUNT, SIZE, BYTES, SECONDS, SWITCH, TEXT, LEVEL, FORMAT, FALLBACK };

static const struct key {
    const char *name;
    enum kind kind;
    size_t offset;
} keys[] = {
/* clang-format off */
#define KEY(kind, name) {#name, kind, offsetof(struct config, name)}
    KEY(COUNT, workers),          KEY(COUNT, max_workers),      KEY(COUNT, max_apps),
    KEY(TEXT, control),           KEY(TEXT, state_dir),         KEY(TEXT, pid_file),
    KEY(TEXT, log_file),          KEY(LEVEL, log_level),        KEY(TEXT, access_log),
    KEY(FORMAT, access_format),   KEY(SECONDS, boot_timeout),   KEY(SECONDS, prepare_timeout),
    KEY(SECONDS, drain_timeout),  KEY(SECONDS, unload_wait),    KEY(SECONDS, hang_timeout),
    KEY(SECONDS, unload_timeout), KEY(SECONDS, upgrade_timeout), KEY(COUNT, max_unavailable),
    KEY(COUNT, keep),             KEY(COUNT, keep_receipts),    KEY(FALLBACK, fallback),
    KEY(SECONDS, head_timeout),   KEY(SECONDS, body_timeout),   KEY(SECONDS, keep_alive),
    KEY(SECONDS, write_timeout),  KEY(SIZE, max_head),          KEY(SIZE, max_target),
    KEY(COUNT, max_headers),      KEY(BYTES, max_body),         KEY(COUNT, max_connections),
    KEY(SIZE, stack_size),        KEY(SWITCH, server_header),
    KEY(SECONDS, request_timeout), KEY(COUNT, quarantine_after), KEY(SECONDS, quarantine_time),
    KEY(COUNT, max_requests),     KEY(BYTES, max_memory),       KEY(COUNT, recycle_jitter),
    KEY(SWITCH, record_queries),  KEY(COUNT, offload_threads),  KEY(SIZE, pubsub_ring),
#undef KEY
    /* clang-format on */
};

/* In the order of their enums. */
static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"combined", "json"};
static const char *const fallback_names[] = {"none", "last-good"};

static void put_text(cJSON *object, const char *name, const char *text)
{
    if (text == NULL)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddStringToObject(object, name, text);
}

static void put_key(cJSON *object, const struct key *key, const struct config *config)
{
    const void *field = (const char *)config + key->offset;

    switch (key->kind) {
    case COUNT:
        cJSON_AddNumberToObject(object, key->name, *(const unsigned *)field);
        break;
    case SIZE:
        cJSON_AddNumberToObject(object, key->name, (double)*(const size_t *)field);
        break;
    case BYTES:
        cJSON_AddNumberToObject(object, key->name, (double)*(const uint64_t *)field);
        break;
    case SECONDS:
        cJSON_AddNumberToObject(object, key->name,
                                (double)*(const uint64_t *)field / (double)NS_PER_SEC);
        break;
    case SWITCH:
        cJSON_AddBoolToObject(object, key->name, *(const bool *)field);
        break;
    case TEXT:
        put_text(object, key->name, *(char *const *)field);
        break;
    case LEVEL:
        put_text(object, key->name, level_names[*(const enum log_level *)field]);
        break;
    case FORMAT:
        put_text(object, key->name, format_names[*(const enum access_format *)field]);
        break;
    case FALLBACK:
        put_text(object, key->name, fallback_names[*(const enum fallback *)field]);
        break;
    }
}

static cJSON *listen_object(const struct config_listen *listen)
{
    cJSON *object = cJSON_CreateObject();
    char mode[8];

    put_text(object, "name", listen->name);
    put_text(object, "address", listen->address.text);
    put_text(object, "protocol", config_protocol_name(listen->protocol));
    if (listen->app != NULL)
        put_text(object, "app", listen->app);
    cJSON_AddNumberToObject(object, "backlog", listen->backlog);
    snprintf(mode, sizeof mode, "%04o", listen->mode & 07777u);
    if (listen->address.addr.any.sa_family == AF_UNIX)
        put_text(object, "mode", mode);
    return object;
}

static const char *const client_gone_names[] = {
    [CLIENT_GONE_RESET] = "reset",
    [CLIENT_GONE_CLOSE] = "close",
    [CLIENT_GONE_IGNORE] = "ignore",
};

static cJSON *app_object(const struct config_app *app)
{
    cJSON *object = cJSON_CreateObject(), *listens, *options;

    put_text(object, "module", app->module);
    put_text(object, "mount", app->mount);
    cJSON_AddNumberToObject(object, "request_timeout",
                            (double)app->request_timeout / (double)NS_PER_SEC);
    put_text(object, "client_gone", client_gone_names[app->client_gone]);
    listens = cJSON_AddArrayToObject(object, "listen");
    for (size_t i = 0; i < app->listen_count; i++)
        cJSON_AddItemToArray(listens, cJSON_CreateString(app->listens[i]));
    options = cJSON_AddObjectToObject(object, "option");
    for (size_t i = 0; i < app->option_count; i++)
        put_text(options, app->options[i].key, app->options[i].value);
    return object;
}

cJSON *report_config(const struct report_source *from)
{
    const struct config *config = from->config;
    cJSON *report = cJSON_CreateObject(), *listens, *apps;

    put_text(report, "path", config->path);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        put_key(report, &keys[i], config);
    listens = cJSON_AddArrayToObject(report, "listen");
    for (size_t i = 0; i < config->listen_count; i++)
        cJSON_AddItemToArray(listens, listen_object(&config->listens[i]));
    apps = cJSON_AddObjectToObject(report, "app");
    for (size_t i = 0; i < config->app_count; i++)
        cJSON_AddItemToObject(apps, config->apps[i].name, app_object(&config->apps[i]));
    return report;
}
