/* paths.c: the default places, by environment variable and then by custom. Looks, but creates
 * nothing. */
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    const char *variable; /* NULL: `below` is the whole path */
    const char *below;
};

static const struct place control_places[] = {
    {"RUNTIME_DIRECTORY", "/control.sock"},
    {"XDG_RUNTIME_DIR", "/reeve/control.sock"},
    {NULL, "/run/reeve/control.sock"},
};

static const struct place state_places[] = {
    {"STATE_DIRECTORY", ""},
    {"XDG_STATE_HOME", "/reeve"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The path of a place, or NULL: ENOENT when its variable is unset, empty or not absolute (which the
 * XDG specification says to ignore). systemd joins several folders with ':'; the first is meant. */
static char *place_path(const struct place *place)
{
    const char *folder = place->variable == NULL ? "" : getenv(place->variable);
    char *path;

    if (folder == NULL || (place->variable != NULL && folder[0] != '/')) {
        errno = ENOENT;
        return NULL;
    }
    if (asprintf(&path, "%.*s%s", (int)strcspn(folder, ":"), folder, place->below) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return path;
}

char *paths_control(void)
{
    char *path = NULL;

    for (size_t i = 0; i < COUNT(control_places) && path == NULL; i++)
        path = place_path(&control_places[i]);
    return path;
}

char *paths_control_find(void)
{
    for (size_t i = 0; i < COUNT(control_places); i++) {
        char *path = place_path(&control_places[i]);
        struct stat st;

        if (path != NULL && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
            return path;
        free(path);
    }
    return paths_control();
}

char *paths_state_dir(void)
{
    static const char customary[] = "/var/lib/reeve";
    char *path = NULL;
    struct stat st;

    for (size_t i = 0; i < COUNT(state_places) && path == NULL; i++)
        path = place_path(&state_places[i]);
    if (path != NULL)
        return path;
    if (stat(customary, &st) == 0 && S_ISDIR(st.st_mode) && access(customary, W_OK | X_OK) == 0)
        return strdup(customary);
    errno = ENOENT;
    return NULL;
}

char *paths_absolute(const char *path)
{
    char *folder, *whole;

    if (path[0] == '/')
        return strdup(path);
    while (path[0] == '.' && path[1] == '/')
        path += 2 + strspn(path + 2, "/");
    folder = getcwd(NULL, 0);
    if (folder == NULL)
        return NULL;
    if (asprintf(&whole, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path) < 0) {
        whole = NULL;
        errno = ENOMEM;
    }
    free(folder);
    return whole;
}
