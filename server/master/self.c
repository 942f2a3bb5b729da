/* self.c: see self.h. The name that the program was called by is preferred to what the kernel says
 * it is: a link that a package manager points to the next version stays a link. */
#include "master/self.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The same file as the one that runs. */
static bool is_me(const char *path)
{
    struct stat file, me;

    return stat(path, &file) == 0 && stat("/proc/self/exe", &me) == 0 && file.st_dev == me.st_dev &&
           file.st_ino == me.st_ino;
}

/* FOLDER/NAME, made absolute; NULL when that is not this program. */
static char *try_at(const char *folder, size_t length, const char *name)
{
    char path[PATH_MAX], here[PATH_MAX] = "";
    int size;

    if ((length == 0 || folder[0] != '/') && name[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        return NULL;
    size = snprintf(path, sizeof(path), "%s%s%.*s%s%s", here, here[0] != '\0' ? "/" : "",
                    (int)length, folder, length > 0 ? "/" : "", name);
    return size < (int)sizeof(path) && is_me(path) ? strdup(path) : NULL;
}

static char *search(const char *name)
{
    const char *path = getenv("PATH"), *end;
    char *found = NULL;

    for (; path != NULL && found == NULL; path = *end == ':' ? end + 1 : NULL) {
        end = strchrnul(path, ':');
        found = try_at(path, (size_t)(end - path), name);
    }
    return found;
}

/* What the kernel calls it. */
static char *read_link(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length <= 0)
        return NULL;
    path[length] = '\0';
    return is_me(path) ? strdup(path) : NULL;
}

int self_init(struct self *self, char *const *argv)
{
    size_t count = 0;

    while (argv[count] != NULL)
        count++;
    *self = (struct self){.argv = calloc(count + 1, sizeof(*self->argv))};
    if (self->argv == NULL)
        return -1;
    memcpy(self->argv, argv, count * sizeof(*self->argv));
    if (count > 0)
        self->binary = strchr(argv[0], '/') != NULL ? try_at("", 0, argv[0]) : search(argv[0]);
    if (self->binary == NULL)
        self->binary = read_link();
    return 0;
}

void self_fini(struct self *self)
{
    free(self->argv);
    free(self->binary);
}
