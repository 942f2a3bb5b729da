/* config_places.c: whether the folders that a server makes could be made. Only looks: the answer is
 * for whoever asks before a start. */
#include "base/config_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Cuts the last name off: "/a/b" becomes "/a", and "/a" "/". */
static void climb(char *path)
{
    char *slash = strrchr(path, '/');

    while (slash > path && slash[-1] == '/')
        slash--;
    slash[slash == path] = '\0';
}

/* 0, or what is in the way of making something in this folder. */
static int fault_of_folder(const char *folder)
{
    struct stat st;

    if (stat(folder, &st) != 0)
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    return eaccess(folder, W_OK | X_OK) == 0 ? 0 : errno;
}

/* From `path` upward, the first that is there, in place. Returns how many are missing. */
static unsigned climb_to_what_is_there(char *path)
{
    struct stat st;
    unsigned missing = 0;

    while (strcmp(path, "/") != 0 && stat(path, &st) != 0 && errno == ENOENT) {
        climb(path);
        missing++;
    }
    return missing;
}

/* The server makes the socket's folder, but not what is above. */
static int check_control(const struct config *config, char *folder, char **error_out)
{
    const char *path = config->control;
    struct stat st;
    int fault;

    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return config_refuse(config, "control", error_out,
                             "control: \"%s\" is there already, and is no socket", path);
    climb(folder);
    if (climb_to_what_is_there(folder) > 1)
        return config_refuse(config, "control", error_out,
                             "control: the folder of \"%s\" cannot be made: there is nothing "
                             "below \"%s\" yet",
                             path, folder);
    fault = fault_of_folder(folder);
    if (fault == 0)
        return 0;
    return config_refuse(config, "control", error_out, "control: \"%s\" cannot be made: %s: %s",
                         path, folder, strerror(fault));
}

static int check_state_dir(const struct config *config, char *folder, char **error_out)
{
    struct statvfs vfs;
    int fault;

    climb_to_what_is_there(folder);
    fault = fault_of_folder(folder);
    if (fault != 0)
        return config_refuse(config, "state_dir", error_out,
                             "state_dir: nothing can be kept in \"%s\": %s: %s", config->state_dir,
                             folder, strerror(fault));
    if (statvfs(folder, &vfs) == 0 && (vfs.f_flag & ST_NOEXEC) != 0)
        return config_refuse(config, "state_dir", error_out,
                             "state_dir: \"%s\" is on a file system mounted noexec, modules cannot "
                             "be loaded from there",
                             config->state_dir);
    return 0;
}

typedef int check_place(const struct config *config, char *folder, char **error_out);

/* `path` is for the check to cut. */
static int check(const struct config *config, const char *path, check_place *look, char **error_out)
{
    char *copy = strdup(path);
    int status;

    *error_out = NULL;
    if (copy == NULL)
        return -1;
    status = look(config, copy, error_out);
    free(copy);
    return status;
}

int config_check_places(const struct config *config, char **error_out)
{
    if (!config->is_control_auto && check(config, config->control, check_control, error_out) != 0)
        return -1;
    if (!config->is_state_dir_auto && config->state_dir != NULL)
        return check(config, config->state_dir, check_state_dir, error_out);
    return 0;
}
