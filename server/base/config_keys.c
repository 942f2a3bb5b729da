/* config_keys.c: every key of the configuration with its default, bounds and type, and how each
 * type is read. What a value means together with others is config_check.c's concern. */
#include "base/config_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* `text` is digits and one of the units, the first being for digits alone. */
static int parse_with_unit(const char *text, const struct unit *units, uint64_t *value_out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long long number;

    errno = 0;
    number = strtoull(text, NULL, 10);
    if (digits == 0 || errno != 0)
        return -1;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(text + digits, unit->name) == 0)
            return __builtin_mul_overflow(number, unit->factor, value_out) ? -1 : 0;
    }
    return -1;
}

int config_duration(const char *text, uint64_t *ns_out)
{
    static const struct unit units[] = {
        {"", NS_PER_SEC},
        {"ms", NS_PER_MS},
        {"s", NS_PER_SEC},
        {"m", 60 * NS_PER_SEC},
        {"h", 3600 * NS_PER_SEC},
        {"d", 86400 * NS_PER_SEC},
        {NULL, 0},
    };

    return parse_with_unit(text, units, ns_out);
}

int config_size(const char *text, uint64_t *bytes_out)
{
    static const struct unit units[] = {
        {"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
        {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}, {NULL, 0},
    };

    return parse_with_unit(text, units, bytes_out);
}

static int parse_count(const char *text, uint64_t *value_out)
{
    static const struct unit units[] = {{"", 1}, {NULL, 0}};

    return parse_with_unit(text, units, value_out);
}

/* ---- complaints ---- */

/* What the operator calls the key: "state_dir" in a file, "--state-dir" on the command line. */
static const char *shown_name(const struct config_reading *reading, const struct config_key *key,
                              char *name, size_t size)
{
    if (reading->path != NULL)
        return key->name;
    snprintf(name, size, "--%s", key->name);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '_')
            *c = '-';
    }
    return name;
}

/* "NAME must be WHAT, not "TEXT"" */
static void complain_value(struct config_reading *reading, const struct config_key *key,
                           const char *text, int line, const char *what)
{
    char name[64];

    config_complain(reading, line, "%s must be %s, not \"%s\"",
                    shown_name(reading, key, name, sizeof name), what, text);
}

typedef int parse_number(const char *text, uint64_t *value_out);

/* Reads a number between the key's bounds, or complains: "NAME must be NOUN from MIN to MAX UNITS,
 * not ...". */
static bool read_number(struct config_reading *reading, const struct config_key *key,
                        const char *text, int line, parse_number *parse, uint64_t *value_out)
{
    uint64_t min, max;
    const char *noun = "a number", *units = "";
    char what[128];

    if (parse(key->min, &min) == 0 && parse(key->max, &max) == 0 && parse(text, value_out) == 0 &&
        *value_out >= min && *value_out <= max)
        return true;
    if (parse == config_duration) {
        noun = "a duration";
        units = " (seconds, or with ms, s, m, h or d)";
    } else if (parse == config_size) {
        noun = "a size";
        units = " (bytes, or with k, m or g)";
    }
    snprintf(what, sizeof what, "%s from %s to %s%s", noun, key->min, key->max, units);
    complain_value(reading, key, text, line, what);
    return false;
}

/* ---- types ---- */

static void set_duration(struct config_reading *reading, const struct config_key *key, void *field,
                         const char *text, int line)
{
    uint64_t value;

    if (read_number(reading, key, text, line, config_duration, &value))
        *(uint64_t *)field = value;
}

static void set_duration_or_auto(struct config_reading *reading, const struct config_key *key,
                                 void *field, const char *text, int line)
{
    if (strcmp(text, "auto") == 0)
        *(uint64_t *)field = CONFIG_AUTO;
    else
        set_duration(reading, key, field, text, line);
}

static void set_bytes(struct config_reading *reading, const struct config_key *key, void *field,
                      const char *text, int line)
{
    uint64_t value;

    if (read_number(reading, key, text, line, config_size, &value))
        *(uint64_t *)field = value;
}

static void set_size(struct config_reading *reading, const struct config_key *key, void *field,
                     const char *text, int line)
{
    uint64_t value;

    if (read_number(reading, key, text, line, config_size, &value))
        *(size_t *)field = (size_t)value;
}

static void set_count(struct config_reading *reading, const struct config_key *key, void *field,
                      const char *text, int line)
{
    uint64_t value;

    if (read_number(reading, key, text, line, parse_count, &value))
        *(unsigned *)field = (unsigned)value;
}

static void set_backlog(struct config_reading *reading, const struct config_key *key, void *field,
                        const char *text, int line)
{
    uint64_t value;

    if (read_number(reading, key, text, line, parse_count, &value))
        *(int *)field = (int)value;
}

/* `auto` is kept as 0 until config_check knows the rest. */
static void set_count_or_auto(struct config_reading *reading, const struct config_key *key,
                              void *field, const char *text, int line)
{
    uint64_t value, min = 0, max = 0;
    char what[64];

    parse_count(key->min, &min);
    parse_count(key->max, &max);
    if (strcmp(text, "auto") == 0) {
        *(unsigned *)field = 0;
    } else if (parse_count(text, &value) == 0 && value >= min && value <= max) {
        *(unsigned *)field = (unsigned)value;
    } else {
        snprintf(what, sizeof what, "auto or a number from %s to %s", key->min, key->max);
        complain_value(reading, key, text, line, what);
    }
}

static void set_mode(struct config_reading *reading, const struct config_key *key, void *field,
                     const char *text, int line)
{
    size_t digits = strspn(text, "01234567");
    unsigned long value = strtoul(text, NULL, 8);

    if (digits == 0 || digits > 4 || text[digits] != '\0' || value > 0777)
        complain_value(reading, key, text, line, "an octal mode from 0 to 0777");
    else
        *(unsigned *)field = (unsigned)value;
}

static void set_switch(struct config_reading *reading, const struct config_key *key, void *field,
                       const char *text, int line)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true"};

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *(bool *)field = i % 2 == 1;
            return;
        }
    }
    complain_value(reading, key, text, line, "on or off");
}

static void set_level(struct config_reading *reading, const struct config_key *key, void *field,
                      const char *text, int line)
{
    if (log_level_of(text, field) != 0)
        complain_value(reading, key, text, line, "debug, info, warn or error");
}

static void set_client_gone(struct config_reading *reading, const struct config_key *key,
                            void *field, const char *text, int line)
{
    enum client_gone *when = field;

    if (strcmp(text, "reset") == 0)
        *when = CLIENT_GONE_RESET;
    else if (strcmp(text, "close") == 0)
        *when = CLIENT_GONE_CLOSE;
    else if (strcmp(text, "ignore") == 0)
        *when = CLIENT_GONE_IGNORE;
    else
        complain_value(reading, key, text, line, "reset, close or ignore");
}

const char *config_protocol_name(enum listen_protocol protocol)
{
    return protocol == LISTEN_CHAT ? "chat" : "http";
}

static void set_protocol(struct config_reading *reading, const struct config_key *key, void *field,
                         const char *text, int line)
{
    enum listen_protocol *protocol = field;

    if (strcmp(text, config_protocol_name(LISTEN_HTTP)) == 0)
        *protocol = LISTEN_HTTP;
    else if (strcmp(text, config_protocol_name(LISTEN_CHAT)) == 0)
        *protocol = LISTEN_CHAT;
    else
        complain_value(reading, key, text, line, "http or chat");
}

static void set_format(struct config_reading *reading, const struct config_key *key, void *field,
                       const char *text, int line)
{
    enum access_format *format = field;

    if (strcmp(text, "combined") == 0)
        *format = ACCESS_COMBINED;
    else if (strcmp(text, "json") == 0)
        *format = ACCESS_JSON;
    else
        complain_value(reading, key, text, line, "combined or json");
}

static void set_fallback(struct config_reading *reading, const struct config_key *key, void *field,
                         const char *text, int line)
{
    enum fallback *fallback = field;

    if (strcmp(text, "none") == 0)
        *fallback = FALLBACK_NONE;
    else if (strcmp(text, "last-good") == 0)
        *fallback = FALLBACK_LAST_GOOD;
    else
        complain_value(reading, key, text, line, "none or last-good");
}

/* Takes `text` over. */
static void put_text(struct config_reading *reading, void *field, char *text)
{
    if (text == NULL) {
        config_complain(reading, 0, "out of memory");
        return;
    }
    free(*(char **)field);
    *(char **)field = text;
}

/* An absolute path of what need not be there yet. The default's word ("auto", "off") stands for
 * NULL. */
static void set_path(struct config_reading *reading, const struct config_key *key, void *field,
                     const char *text, int line)
{
    char *path;

    if (text[0] == '\0') {
        complain_value(reading, key, text, line, "a path");
        return;
    }
    if (key->value != NULL && strcmp(text, key->value) == 0) {
        free(*(char **)field);
        *(char **)field = NULL;
        return;
    }
    path = paths_absolute(text);
    if (path == NULL && errno != ENOMEM)
        config_complain(reading, line, "the current folder cannot be told: %s", strerror(errno));
    else
        put_text(reading, field, path);
}

/* A file that reeve will write: its folder must be there. */
static void set_file(struct config_reading *reading, const struct config_key *key, void *field,
                     const char *text, int line)
{
    const char *path;
    char name[64], *folder;
    struct stat st;

    set_path(reading, key, field, text, line);
    path = *(char **)field;
    if (reading->has_failed || path == NULL)
        return;
    folder = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    if (folder == NULL || stat(folder, &st) != 0)
        config_complain(reading, line, "%s: there is no folder \"%s\"",
                        shown_name(reading, key, name, sizeof name), folder);
    else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        config_complain(reading, line, "%s: \"%s\" is a folder",
                        shown_name(reading, key, name, sizeof name), text);
    free(folder);
}

/* Whether there is such a file, and one that can be read. Whether it is an app is for preflight to
 * say. */
static void set_module(struct config_reading *reading, const struct config_key *key, void *field,
                       const char *text, int line)
{
    const char *why = NULL;
    struct stat st;
    int fd;

    set_path(reading, key, field, text, line);
    if (reading->has_failed)
        return;
    fd = open(text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        why = strerror(errno);
    else if (S_ISDIR(st.st_mode))
        why = "it is a folder";
    else if (!S_ISREG(st.st_mode))
        why = "it is not a regular file";
    if (fd >= 0)
        close(fd);
    if (why == NULL || reading->module_problem != NULL)
        return;
    if (asprintf(&reading->module_problem, "module \"%s\" cannot be read: %s", text, why) < 0)
        reading->module_problem = NULL;
    reading->module_line = line;
}

/* Whether there is such an app is for config_check to say: it may stand further down. */
static void set_app(struct config_reading *reading, const struct config_key *key, void *field,
                    const char *text, int line)
{
    if (text[0] == '\0')
        complain_value(reading, key, text, line, "the name of an app");
    else
        put_text(reading, field, strdup(text));
}

static void set_name(struct config_reading *reading, const struct config_key *key, void *field,
                     const char *text, int line)
{
    size_t length = 0;

    while (isgraph((unsigned char)text[length]))
        length++;
    if (length == 0 || length > 63 || text[length] != '\0')
        complain_value(reading, key, text, line, "1 to 63 ASCII characters without spaces");
    else
        put_text(reading, field, strdup(text));
}

/* What is wrong with a mount, or NULL. It is compared with the decoded path, so an escape in it
 * would never match. */
static const char *mount_fault(const char *mount)
{
    const char *segment = mount;

    if (mount[0] != '/')
        return "begin with \"/\"";
    if (strlen(mount) > 255)
        return "have at most 255 bytes";
    for (const char *c = mount; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || strchr("%?#\x7f", *c) != NULL)
            return "have no spaces, control characters, \"%\", \"?\" or \"#\"";
    }
    if (mount[1] == '\0')
        return NULL;
    if (mount[strlen(mount) - 1] == '/')
        return "not end with \"/\"";
    while (*segment != '\0') {
        size_t length = strcspn(segment + 1, "/");

        if (length <= 2 && strspn(segment + 1, ".") >= length)
            return "have no segment that is empty, \".\" or \"..\"";
        segment += 1 + length;
    }
    return NULL;
}

static void set_mount(struct config_reading *reading, const struct config_key *key, void *field,
                      const char *text, int line)
{
    const char *fault = mount_fault(text);

    if (fault != NULL)
        config_complain(reading, line, "%s \"%s\" must %s", key->name, text, fault);
    else
        put_text(reading, field, strdup(text));
}

/* ---- the tables: every default and bound stands here, and in etc/reeve.conf for people ---- */

#define FIELD(name) offsetof(struct config, name)

/* clang-format off */
const struct config_key config_server_keys[] = {
    {"workers",         "auto",   "1",   "1000",     set_count_or_auto, FIELD(workers)},
    {"max_workers",     "auto",   "2",   "4096",     set_count_or_auto, FIELD(max_workers)},
    {"max_apps",        "32",     "1",   "1000",     set_count,         FIELD(max_apps)},
    {"control",         "auto",   NULL,  NULL,       set_path,          FIELD(control)},
    {"state_dir",       "auto",   NULL,  NULL,       set_path,          FIELD(state_dir)},
    {"pid_file",        "off",    NULL,  NULL,       set_file,          FIELD(pid_file)},
    {"log_file",        "stderr", NULL,  NULL,       set_file,          FIELD(log_file)},
    {"log_level",       "info",   NULL,  NULL,       set_level,         FIELD(log_level)},
    {"access_log",      "off",    NULL,  NULL,       set_file,          FIELD(access_log)},
    {"access_format",   "combined", NULL, NULL,      set_format,        FIELD(access_format)},
    {"boot_timeout",    "30s",    "1ms", "1d",       set_duration,      FIELD(boot_timeout)},
    {"prepare_timeout", "30s",    "1ms", "1d",       set_duration,      FIELD(prepare_timeout)},
    {"drain_timeout",   "30s",    "1ms", "1d",       set_duration,      FIELD(drain_timeout)},
    {"unload_wait",     "5s",     "0",   "1h",       set_duration,      FIELD(unload_wait)},
    {"hang_timeout",    "30s",    "1s",  "1d",       set_duration,      FIELD(hang_timeout)},
    {"unload_timeout",  "0",      "0",   "1d",       set_duration,      FIELD(unload_timeout)},
    {"upgrade_timeout", "30s",    "1ms", "1d",       set_duration,      FIELD(upgrade_timeout)},
    {"max_unavailable", "1",      "1",   "4095",     set_count,         FIELD(max_unavailable)},
    {"request_timeout", "0",      "0",   "1d",       set_duration,      FIELD(request_timeout)},
    {"quarantine_after", "3",     "0",   "1000",     set_count,         FIELD(quarantine_after)},
    {"quarantine_time", "60s",    "1s",  "1d",       set_duration,      FIELD(quarantine_time)},
    {"max_requests",    "0",      "0",   "4000000000", set_count,       FIELD(max_requests)},
    {"max_memory",      "0",      "0",   "1048576g", set_bytes,         FIELD(max_memory)},
    {"recycle_jitter",  "20",     "0",   "90",       set_count,         FIELD(recycle_jitter)},
    {"record_queries",  "off",    NULL,  NULL,       set_switch,        FIELD(record_queries)},
    {"keep",            "10",     "1",   "1000",     set_count,         FIELD(keep)},
    {"keep_receipts",   "200",    "10",  "10000",    set_count,         FIELD(keep_receipts)},
    {"fallback",        "none",   NULL,  NULL,       set_fallback,      FIELD(fallback)},
    {"head_timeout",    "30s",    "1ms", "1d",       set_duration,      FIELD(head_timeout)},
    {"body_timeout",    "60s",    "1ms", "1d",       set_duration,      FIELD(body_timeout)},
    {"keep_alive",      "75s",    "0",   "1d",       set_duration,      FIELD(keep_alive)},
    {"write_timeout",   "60s",    "1ms", "1d",       set_duration,      FIELD(write_timeout)},
    {"max_head",        "32k",    "1k",  "1m",       set_size,          FIELD(max_head)},
    {"max_target",      "8k",     "64",  "1m",       set_size,          FIELD(max_target)},
    {"max_headers",     "100",    "1",   "1000",     set_count,         FIELD(max_headers)},
    {"max_body",        "0",      "0",   "1048576g", set_bytes,         FIELD(max_body)},
    {"max_connections", "0",      "0",   "10000000", set_count,         FIELD(max_connections)},
    {"stack_size",      "256k",   "32k", "64m",      set_size,          FIELD(stack_size)},
    {"offload_threads", "4",      "1",   "64",       set_count,         FIELD(offload_threads)},
    {"pubsub_ring",     "1m",     "64k", "256m",     set_size,          FIELD(pubsub_ring)},
    {"server_header",   "on",     NULL,  NULL,       set_switch,        FIELD(server_header)},
    {0},
};

const struct config_key config_listen_keys[] = {
    {"name",     NULL,   NULL, NULL,    set_name,     offsetof(struct config_listen, name)},
    {"protocol", "http", NULL, NULL,    set_protocol, offsetof(struct config_listen, protocol)},
    {"app",      NULL,   NULL, NULL,    set_app,      offsetof(struct config_listen, app)},
    {"backlog",  "511",  "1",  "65535", set_backlog,  offsetof(struct config_listen, backlog)},
    {"mode",     "0660", NULL, NULL,    set_mode,     offsetof(struct config_listen, mode)},
    {0},
};

const struct config_key config_app_keys[] = {
    {"module", NULL, NULL, NULL, set_module, offsetof(struct config_app, module)},
    {"mount",  "/",  NULL, NULL, set_mount,  offsetof(struct config_app, mount)},
    {"request_timeout", "auto", "0", "1d", set_duration_or_auto,
     offsetof(struct config_app, request_timeout)},
    {"client_gone", "reset", NULL, NULL, set_client_gone, offsetof(struct config_app, client_gone)},
    {0},
};
/* clang-format on */

/* A server's keys, its two kinds of section and the end: config.c needs that much room. */
_Static_assert(sizeof config_server_keys / sizeof config_server_keys[0] + 2 <= CONFIG_KEYS_MAX,
               "CONFIG_KEYS_MAX is too small for the table of keys");

static void store(struct config_reading *reading, const struct config_key *key, void *object,
                  const char *text, int line)
{
    key->set(reading, key, (char *)object + key->offset, text, line);
}

void config_set_key(struct config_reading *reading, const struct config_key *keys, void *object,
                    int *lines, const char *name, const char *text, int line)
{
    const struct config_key *key = keys;

    while (key->name != NULL && strcmp(key->name, name) != 0)
        key++;
    if (key->name == NULL) {
        config_complain(reading, line, "unknown key \"%s\"", name);
        return;
    }
    if (lines[key - keys] != 0) {
        config_complain(reading, line, "\"%s\" was already set in line %d", name,
                        lines[key - keys]);
        return;
    }
    lines[key - keys] = line;
    store(reading, key, object, text, line);
}

void config_set_defaults(struct config_reading *reading, const struct config_key *keys,
                         void *object)
{
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        if (key->value != NULL)
            store(reading, key, object, key->value, 0);
    }
}

int config_line_of(const struct config_reading *reading, const char *name)
{
    for (size_t i = 0; config_server_keys[i].name != NULL; i++) {
        if (strcmp(config_server_keys[i].name, name) == 0)
            return reading->server_lines[i];
    }
    return 0;
}
