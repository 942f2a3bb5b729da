/* quarantines.c: see quarantines.h. Which route it shall be is decided in kills.c, what a worker
 * does about it in base/quarantine.c; here it is put into force, told, and ended. */
#include "master/quarantines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/chars.h"
#include "master/kills.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/timer.h"

#define REVIEW_PERIOD (1 * NS_PER_SEC) /* while there are entries: another build may be live */

struct quarantines {
    struct master *master;
    struct event timer;
    struct kills kills;
};

static struct quarantine *board_of(const struct quarantines *quarantines)
{
    return &quarantines->master->board->quarantine;
}

/* ---- in words ---- */

#define PATH_TEXT (3 * FLIGHT_PATH)

/* As in a request, and fit to stand between quotation marks in a shell. */
static const char *write_path(const char *path, char text[PATH_TEXT])
{
    size_t length = 0;

    for (size_t i = 0; i < FLIGHT_PATH - 1 && path[i] != '\0'; i++) {
        if (char_is(path[i], CHAR_TARGET) && path[i] != '?' && path[i] != '\'')
            text[length++] = path[i];
        else
            length += (size_t)snprintf(text + length, 4, "%%%02X", (unsigned char)path[i]);
    }
    text[length] = '\0';
    return text;
}

static const char *app_name(const struct quarantines *quarantines, uint64_t column)
{
    const char *name = catalog_name(&quarantines->master->catalog, (unsigned)column);

    return name != NULL ? name : "?";
}

#define NAME_TEXT (PATH_TEXT + 128)

/* "trouble 3: /null"; a prefix has a star behind it. */
static const char *name_of(const struct quarantines *quarantines,
                           const struct quarantine_entry *entry, char text[NAME_TEXT])
{
    char path[PATH_TEXT];

    snprintf(text, NAME_TEXT, "%s %" PRIu64 ": %s%s", app_name(quarantines, entry->app),
             (uint64_t)entry->generation, write_path(entry->path, path),
             entry->is_prefix ? "*" : "");
    return text;
}

/* "12 s", "1.5 s" */
static const char *write_seconds(uint64_t ns, char text[24])
{
    uint64_t tenths = (ns + NS_PER_SEC / 20) / (NS_PER_SEC / 10);

    if (tenths >= 100 || tenths % 10 == 0)
        snprintf(text, 24, "%" PRIu64 " s", (tenths + 5) / 10);
    else
        snprintf(text, 24, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
    return text;
}

static void say_begin(const struct quarantines *quarantines, const struct quarantine_entry *entry,
                      const struct kills_verdict *verdict, uint64_t now)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/_.-+,:@%";
    char name[NAME_TEXT], path[PATH_TEXT], period[24], span[24], who[64] = "it has";
    const char *quote;

    write_path(entry->path, path);
    quote = path[strspn(path, plain)] == '\0' ? "" : "'";
    if (verdict->routes > 1)
        snprintf(who, sizeof(who), "%u routes in it have", verdict->routes);
    log_warnx("%s is answered 503 for %s: %s killed %u worker%s within %s; "
              "`reevectl lift %s %s%s%s` lifts it",
              name_of(quarantines, entry, name), write_seconds(entry->until - now, period), who,
              verdict->kills, verdict->kills == 1 ? "" : "s",
              write_seconds(now - verdict->first_at, span), app_name(quarantines, entry->app),
              quote, path, quote);
}

/* ---- what ends by itself ---- */

static bool is_held(const struct pool *pool, unsigned app, uint64_t generation)
{
    for (const struct worker *w = pool_first(pool); w != NULL; w = pool_next(w))
        if (hold_find(&w->holds, app, generation) != NULL)
            return true;
    return false;
}

/* New requests go to it: it is the current one, or a canary, or that of an edition to come. */
static bool is_live(const struct master *master, uint64_t app, uint64_t generation)
{
    uint64_t current;

    if (app >= board_get(&master->board->app_count))
        return false;
    current = board_get(&board_app(master->board, (unsigned)app)->generation);
    return generation == current ||
           (generation > current && is_held(master->pool, (unsigned)app, generation));
}

/* Why it is over, or NULL: it is in force. */
static const char *end_of(const struct quarantines *quarantines,
                          const struct quarantine_entry *entry, uint64_t now)
{
    if (entry->until <= now)
        return "is served again";
    if (!is_live(quarantines->master, entry->app, entry->generation))
        return "was quarantined, and another build is asked now";
    if (quarantines->master->config->quarantine_after == 0)
        return "is served again, since quarantine_after is 0 now";
    return NULL;
}

static void review(struct quarantines *quarantines)
{
    uint64_t now = clock_ns(), wait = REVIEW_PERIOD;
    struct quarantine_entry *entry = NULL;
    char name[NAME_TEXT];

    while ((entry = quarantine_each(board_of(quarantines), entry)) != NULL) {
        const char *end = end_of(quarantines, entry, now);

        if (end != NULL) {
            log_info("%s %s", name_of(quarantines, entry, name), end);
            quarantine_clear(board_of(quarantines), entry);
        } else if (entry->until - now < wait) {
            wait = entry->until - now;
        }
    }
    if (quarantine_is_empty(board_of(quarantines)))
        event_del(&quarantines->timer);
    else
        timer_arm(&quarantines->timer, wait + NS_PER_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    review(arg);
}

/* ---- a kill ---- */

/* The entry that refuses the whole of a route; NULL: none. */
static struct quarantine_entry *find(const struct quarantines *quarantines,
                                     const struct quarantine_route *route)
{
    struct quarantine_entry *entry = NULL;

    while ((entry = quarantine_each(board_of(quarantines), entry)) != NULL)
        if (entry->app == route->app && entry->generation == route->generation &&
            (entry->is_prefix || !route->is_prefix) && quarantine_covers(entry, route->path))
            return entry;
    return NULL;
}

/* Its routes that are quarantined by themselves need it no more. */
static void clear_within(const struct quarantines *quarantines,
                         const struct quarantine_route *folder)
{
    struct quarantine_entry *entry = NULL;

    while ((entry = quarantine_each(board_of(quarantines), entry)) != NULL)
        if (entry->app == folder->app && entry->generation == folder->generation &&
            strncmp(entry->path, folder->path, strlen(folder->path)) == 0)
            quarantine_clear(board_of(quarantines), entry);
}

static void begin(struct quarantines *quarantines, const struct kills_verdict *verdict,
                  uint64_t now)
{
    struct quarantine *quarantine = board_of(quarantines);
    struct quarantine_entry *entry;
    char name[NAME_TEXT];

    if (verdict->route.is_prefix)
        clear_within(quarantines, &verdict->route);
    entry = quarantine_next(quarantine);
    if (entry->until != 0)
        log_warnx("%s is served again: there are %u routes answered 503, and another one is worse",
                  name_of(quarantines, entry, name), QUARANTINE_MOST);
    quarantine_put(quarantine, &verdict->route, verdict->kills, now,
                   now + quarantines->master->config->quarantine_time);
    say_begin(quarantines, entry, verdict, now);
    review(quarantines);
}

/* Of the app's mount, as the workers compare it. One that is not configured any more gets nothing
 * new to do: whatever is said of it is too long. */
static size_t mount_length(const struct master *master, unsigned app)
{
    const char *name = catalog_name(&master->catalog, app);
    const struct config_app *config = name != NULL ? config_find_app(master->config, name) : NULL;

    if (config == NULL)
        return SIZE_MAX;
    return strcmp(config->mount, "/") == 0 ? 0 : strlen(config->mount);
}

static void judge(struct quarantines *quarantines, const struct kill *kill)
{
    const struct master *master = quarantines->master;
    const struct kills_rules rules = {.after = master->config->quarantine_after,
                                      .within = master->config->quarantine_time,
                                      .mount_length = mount_length(master, kill->route.app)};
    struct quarantine_entry *entry = find(quarantines, &kill->route);
    struct kills_verdict verdict;

    if (entry != NULL) /* it ran already */
        entry->kills++;
    if (kills_add(&quarantines->kills, kill, &rules, &verdict) &&
        find(quarantines, &verdict.route) == NULL)
        begin(quarantines, &verdict, kill->at);
}

void quarantines_on_kill(struct master *master, const struct flight *culprit)
{
    struct kill kill = {.at = clock_ns()};

    if (!is_live(master, culprit->app, culprit->generation) ||
        kills_route(&kill.route, culprit->app, culprit->generation, culprit->path) != 0)
        return;
    review(master->quarantines);
    judge(master->quarantines, &kill);
}

/* ---- for operators ---- */

static cJSON *entry_object(const struct quarantines *quarantines,
                           const struct quarantine_entry *entry, uint64_t now)
{
    uint64_t since = clock_wall_ns() - (now - entry->since);
    cJSON *object = cJSON_CreateObject();
    char path[PATH_TEXT];

    cJSON_AddStringToObject(object, "app", app_name(quarantines, entry->app));
    cJSON_AddNumberToObject(object, "generation", (double)entry->generation);
    cJSON_AddStringToObject(object, "path", write_path(entry->path, path));
    if (entry->is_prefix)
        cJSON_AddTrueToObject(object, "is_prefix");
    cJSON_AddNumberToObject(object, "kills", (double)entry->kills);
    cJSON_AddNumberToObject(object, "since", (double)(since / NS_PER_MS) / 1e3);
    cJSON_AddNumberToObject(object, "remaining", (double)((entry->until - now) / NS_PER_MS) / 1e3);
    cJSON_AddNumberToObject(object, "refused", (double)entry->refused);
    return object;
}

cJSON *quarantines_list(const struct quarantines *quarantines)
{
    struct quarantine_entry *entry = NULL;
    cJSON *list = cJSON_CreateArray();
    uint64_t now = clock_ns();

    while ((entry = quarantine_each(board_of(quarantines), entry)) != NULL)
        if (end_of(quarantines, entry, now) == NULL)
            cJSON_AddItemToArray(list, entry_object(quarantines, entry, now));
    return list;
}

static void lift(struct quarantines *quarantines, struct quarantine_entry *entry)
{
    struct quarantine_route route = {
        .app = entry->app, .generation = entry->generation, .is_prefix = entry->is_prefix};
    char name[NAME_TEXT];

    memcpy(route.path, entry->path, sizeof(route.path));
    kills_forget(&quarantines->kills, &route);
    log_info("%s is served again: the quarantine was lifted", name_of(quarantines, entry, name));
    quarantine_clear(board_of(quarantines), entry);
}

cJSON *quarantines_lift(struct quarantines *quarantines, const char *app, const char *path)
{
    struct quarantine_entry *entry = NULL;
    cJSON *list = cJSON_CreateArray();
    uint64_t now = clock_ns();

    review(quarantines);
    while ((entry = quarantine_each(board_of(quarantines), entry)) != NULL) {
        if ((app != NULL && strcmp(app, app_name(quarantines, entry->app)) != 0) ||
            (path != NULL && !quarantine_covers(entry, path)) || entry->until <= now)
            continue;
        cJSON_AddItemToArray(list, entry_object(quarantines, entry, now));
        lift(quarantines, entry);
    }
    return list;
}

/* ---- the part ---- */

struct quarantines *quarantines_new(struct master *master)
{
    struct quarantines *quarantines = calloc(1, sizeof(*quarantines));

    if (quarantines == NULL)
        return NULL;
    quarantines->master = master;
    evtimer_assign(&quarantines->timer, master->base, on_timer, quarantines);
    if (!quarantine_is_empty(&master->board->quarantine))
        timer_arm(&quarantines->timer, REVIEW_PERIOD);
    return quarantines;
}

void quarantines_free(struct quarantines *quarantines)
{
    if (quarantines == NULL)
        return;
    event_del(&quarantines->timer);
    free(quarantines);
}
