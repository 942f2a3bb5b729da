/* kills.c: see kills.h: a ring of kills, and the two rules: a route that kills again and again, and
 * a folder in which one route after the other does. */
#include "master/kills.h"

#include <string.h>

#include "http/uri.h"

/* A prefix without a whole segment below the mount has to be so much longer than it. */
#define LONG_ENOUGH 32

/* ---- routes ---- */

/* What was recorded of the path; *is_cut_out: it may have been longer. A '?' begins the query, for
 * which there is room only behind a whole path. */
static size_t path_length(const char *recorded, bool *is_cut_out)
{
    size_t length = strnlen(recorded, FLIGHT_PATH - 1);
    const char *query = memchr(recorded, '?', length);

    *is_cut_out = query == NULL && length == FLIGHT_PATH - 1;
    return query != NULL ? (size_t)(query - recorded) : length;
}

/* The length without an escape that was cut in its middle. */
static size_t without_half_escape(const char *path, size_t length)
{
    for (size_t back = 1; back <= 2 && back <= length; back++)
        if (path[length - back] == '%')
            return length - back;
    return length;
}

int kills_route(struct quarantine_route *route_out, uint64_t app, uint64_t generation,
                const char *recorded)
{
    char raw[FLIGHT_PATH + 1], decoded[FLIGHT_PATH + 1];
    bool is_cut;
    size_t length = path_length(recorded, &is_cut);
    ssize_t count;

    memcpy(raw, recorded, length);
    if (is_cut) {
        /* "/a/.." may have been "/a/..b": a letter behind it keeps it from being a dot segment. */
        length = without_half_escape(raw, length);
        raw[length++] = 'x';
    }
    count = uri_decode_path(raw, length, decoded);
    if (count < 0)
        return -1;
    *route_out =
        (struct quarantine_route){.app = app, .generation = generation, .is_prefix = is_cut};
    memcpy(route_out->path, decoded, (size_t)count - is_cut);
    return 0;
}

bool kills_is_narrow(const struct quarantine_route *route, size_t mount_length)
{
    size_t length = strlen(route->path);
    const char *below;

    if (!route->is_prefix)
        return true;
    if (length <= mount_length)
        return false;
    below = route->path + mount_length;
    below += strspn(below, "/");
    return strchr(below, '/') != NULL || strlen(below) >= LONG_ENOUGH;
}

/* Up to the last '/', as a prefix. */
static struct quarantine_route folder_of(const struct quarantine_route *route)
{
    struct quarantine_route folder = *route;
    char *slash = strrchr(folder.path, '/');

    folder.is_prefix = true;
    if (slash != NULL)
        memset(slash + 1, 0, sizeof(folder.path) - (size_t)(slash + 1 - folder.path));
    return folder;
}

static bool is_same(const struct quarantine_route *a, const struct quarantine_route *b)
{
    return a->app == b->app && a->generation == b->generation && a->is_prefix == b->is_prefix &&
           strcmp(a->path, b->path) == 0;
}

/* ---- the rules ---- */

typedef bool counts(const struct kills *kills, size_t i, const struct quarantine_route *route);

static bool is_of_route(const struct kills *kills, size_t i, const struct quarantine_route *route)
{
    return is_same(&kills->items[i].route, route);
}

static bool is_in_folder(const struct kills *kills, size_t i, const struct quarantine_route *folder)
{
    struct quarantine_route own = folder_of(&kills->items[i].route);

    return is_same(&own, folder);
}

/* ... and the latest kill of its route: so each route counts once. */
static bool is_last_in_folder(const struct kills *kills, size_t i,
                              const struct quarantine_route *folder)
{
    if (!is_in_folder(kills, i, folder))
        return false;
    for (size_t k = (i + 1) % KILLS_KEPT; k != kills->next; k = (k + 1) % KILLS_KEPT)
        if (kills->items[k].at != 0 && is_same(&kills->items[k].route, &kills->items[i].route))
            return false;
    return true;
}

/* Since `from`. */
static unsigned count(const struct kills *kills, counts *is_counted,
                      const struct quarantine_route *route, uint64_t from, uint64_t *first_at_out)
{
    unsigned number = 0;

    *first_at_out = UINT64_MAX;
    for (size_t i = 0; i < KILLS_KEPT; i++) {
        uint64_t at = kills->items[i].at;

        if (at == 0 || at < from || !is_counted(kills, i, route))
            continue;
        number++;
        if (at < *first_at_out)
            *first_at_out = at;
    }
    return number;
}

static bool is_route_bad(const struct kills *kills, const struct kills_rules *rules, uint64_t from,
                         struct kills_verdict *verdict)
{
    verdict->kills = count(kills, is_of_route, &verdict->route, from, &verdict->first_at);
    return verdict->kills >= rules->after && kills_is_narrow(&verdict->route, rules->mount_length);
}

static bool is_folder_bad(const struct kills *kills, const struct kills_rules *rules, uint64_t from,
                          struct kills_verdict *verdict)
{
    uint64_t first_at;

    if (!kills_is_narrow(&verdict->route, rules->mount_length))
        return false;
    verdict->kills = count(kills, is_in_folder, &verdict->route, from, &verdict->first_at);
    if (verdict->kills < 2 * rules->after)
        return false;
    verdict->routes = count(kills, is_last_in_folder, &verdict->route, from, &first_at);
    return verdict->routes >= 2 * rules->after;
}

bool kills_add(struct kills *kills, const struct kill *kill, const struct kills_rules *rules,
               struct kills_verdict *verdict_out)
{
    uint64_t from = kill->at > rules->within ? kill->at - rules->within : 0;

    kills->items[kills->next] = *kill;
    kills->next = (kills->next + 1) % KILLS_KEPT;
    if (rules->after == 0)
        return false;
    *verdict_out = (struct kills_verdict){.route = folder_of(&kill->route)};
    if (is_folder_bad(kills, rules, from, verdict_out))
        return true;
    *verdict_out = (struct kills_verdict){.route = kill->route, .routes = 1};
    return is_route_bad(kills, rules, from, verdict_out);
}

void kills_forget(struct kills *kills, const struct quarantine_route *route)
{
    for (size_t i = 0; i < KILLS_KEPT; i++) {
        const struct quarantine_route *of = &kills->items[i].route;
        size_t length = route->is_prefix ? strlen(route->path) : sizeof(route->path);

        if (of->app == route->app && of->generation == route->generation &&
            strncmp(of->path, route->path, length) == 0)
            kills->items[i].at = 0;
    }
}
