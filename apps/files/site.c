/* site.c: reads the options, and refuses what cannot be served before the first request comes. */
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"

static int read_flag(reeve_module *module, const char *key, bool *flag_out)
{
    const char *value = reeve_option(module, key);

    *flag_out = value != NULL && strcmp(value, "on") == 0;
    if (value == NULL || *flag_out || strcmp(value, "off") == 0)
        return 0;
    return reeve_refuse(module, "option %s is on or off, not \"%s\"", key, value);
}

static int read_index(reeve_module *module, const char **index_out)
{
    const char *value = reeve_option(module, "index");

    *index_out = value == NULL ? "index.html" : value;
    if ((*index_out)[0] != '\0' && strchr(*index_out, '/') == NULL)
        return 0;
    return reeve_refuse(module, "option index is the name of a file, not \"%s\"", *index_out);
}

/* A descriptor of the folder: should it be renamed later, it is still this one that is served. */
static int open_root(reeve_module *module)
{
    const char *path = reeve_option(module, "root");
    int root, probe;

    if (path == NULL)
        return reeve_refuse(module, "option root is missing: the folder to serve");
    root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root == -1)
        return reeve_refuse(module, "option root: no folder %s: %s", path, strerror(errno));
    probe = open_beneath(root, ".", O_DIRECTORY);
    if (probe == -1) {
        int error = errno;

        close(root);
        return reeve_refuse(module, "option root: cannot open files in %s: %s", path,
                            error == ENOSYS ? "the kernel is older than 5.6" : strerror(error));
    }
    close(probe);
    return root;
}

void site_free(struct site *site)
{
    if (site->cache != NULL)
        cache_free(site->cache);
    if (site->root != -1)
        close(site->root);
    free(site);
}

static int site_init(struct site *site, reeve_module *module)
{
    if (read_index(module, &site->index) != 0 ||
        read_flag(module, "listing", &site->has_listing) != 0 ||
        read_flag(module, "dotfiles", &site->has_dotfiles) != 0)
        return -1;
    site->root = open_root(module);
    if (site->root == -1)
        return -1;
    site->cache = cache_new(site->root);
    return site->cache == NULL ? reeve_refuse(module, "out of memory") : 0;
}

struct site *site_new(reeve_module *module)
{
    struct site *site = malloc(sizeof(*site));

    if (site == NULL) {
        reeve_refuse(module, "out of memory");
        return NULL;
    }
    *site = (struct site){.root = -1};
    if (site_init(site, module) != 0) {
        site_free(site);
        return NULL;
    }
    return site;
}
