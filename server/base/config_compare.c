/* config_compare.c: whether one configuration can take the place of another while the server runs.
 *
 * What sizes the scoreboard cannot, nor what others find the server by. Everything else can:
 * workers are forked anew with it. */
#include "base/config_parts.h"

#include <stdlib.h>
#include <string.h>

#define ADVICE "stop the server and start it again"

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---- sizes ---- */

static int compare_number(const struct config *next, const char *key, unsigned is, unsigned wished,
                          char **error_out)
{
    if (is == wished)
        return 0;
    return config_refuse(next, key, error_out,
                         "%s cannot change while the server runs (it is %u): " ADVICE, key, is);
}

/* A power of two, of at least 64k. */
static int compare_ring(const struct config *now, const struct config *next, char **error_out)
{
    if (now->pubsub_ring == next->pubsub_ring)
        return 0;
    return config_refuse(next, "pubsub_ring", error_out,
                         "pubsub_ring cannot change while the server runs (it is %zuk): " ADVICE,
                         now->pubsub_ring >> 10);
}

/* The whole once more, since `auto` is what it was at the start. */
static int check_room(const struct config *next, char **error_out)
{
    if (next->workers >= next->max_workers)
        return config_refuse(
            next, "workers", error_out,
            "workers = %u is too many: max_workers is %u and cannot change while the "
            "server runs: " ADVICE,
            next->workers, next->max_workers);
    if (next->max_unavailable >= next->max_workers)
        return config_refuse(
            next, "max_unavailable", error_out,
            "max_unavailable = %u must be less than max_workers, which is %u and cannot "
            "change while the server runs",
            next->max_unavailable, next->max_workers);
    return 0;
}

static int compare_sizes(const struct config *now, struct config *next, char **error_out)
{
    if (now->is_max_workers_auto && next->is_max_workers_auto)
        next->max_workers = now->max_workers;
    if (compare_number(next, "max_workers", now->max_workers, next->max_workers, error_out) != 0 ||
        compare_number(next, "max_apps", now->max_apps, next->max_apps, error_out) != 0 ||
        compare_ring(now, next, error_out) != 0)
        return -1;
    return check_room(next, error_out);
}

/* ---- places ---- */

static int compare_place(const struct config *next, const char *key, const char *is,
                         const char *wished, char **error_out)
{
    if (is_same_text(is, wished))
        return 0;
    if (is == NULL)
        return config_refuse(
            next, key, error_out,
            "%s cannot change while the server runs (it was started without): " ADVICE, key);
    return config_refuse(next, key, error_out,
                         "%s cannot change while the server runs (it is \"%s\"): " ADVICE, key, is);
}

/* 0, or -1 without memory. */
static int adopt(char **place, const char *from, char **error_out)
{
    char *copy = from == NULL ? NULL : strdup(from);

    if (from != NULL && copy == NULL) {
        *error_out = NULL;
        return -1;
    }
    free(*place);
    *place = copy;
    return 0;
}

static int compare_places(const struct config *now, struct config *next, char **error_out)
{
    if (now->is_control_auto && next->is_control_auto &&
        adopt(&next->control, now->control, error_out) != 0)
        return -1;
    if (now->is_state_dir_auto && next->is_state_dir_auto &&
        adopt(&next->state_dir, now->state_dir, error_out) != 0)
        return -1;
    if (compare_place(next, "control", now->control, next->control, error_out) != 0 ||
        compare_place(next, "state_dir", now->state_dir, next->state_dir, error_out) != 0)
        return -1;
    return compare_place(next, "pid_file", now->pid_file, next->pid_file, error_out);
}

int config_compare(const struct config *now, struct config *next, char **error_out)
{
    if (compare_sizes(now, next, error_out) != 0)
        return -1;
    return compare_places(now, next, error_out);
}

/* ---- apps ---- */

/* Whether whatever `a` asks of its options, `b` is told the same. */
static bool has_options_of(const struct config_app *a, const struct config_app *b)
{
    for (size_t i = 0; i < a->option_count; i++) {
        const char *key = a->options[i].key;

        if (!is_same_text(config_app_option(a, key), config_app_option(b, key)))
            return false;
    }
    return true;
}

bool config_app_equal(const struct config_app *a, const struct config_app *b)
{
    return strcmp(a->module, b->module) == 0 && strcmp(a->mount, b->mount) == 0 &&
           has_options_of(a, b) && has_options_of(b, a);
}
