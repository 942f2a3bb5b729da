/* template.c: sets of templates: from texts, from the files of a folder, by name. */
#include "web/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX        ".mustache"
#define SUFFIX_LENGTH (sizeof SUFFIX - 1)
#define COUNT_MOST    1024u

struct reeve_templates {
    struct reeve_template **pages; /* by name */
    size_t count;
};

static int fail(char *error, int number, const char *sentence)
{
    snprintf(error, REEVE_TEMPLATE_ERROR, "%s", sentence);
    errno = number;
    return -1;
}

static void page_free(struct reeve_template *page)
{
    if (!page)
        return;
    free(page->name);
    free(page->text);
    free(page->nodes);
    free(page);
}

reeve_templates *reeve_templates_new(void)
{
    return calloc(1, sizeof(struct reeve_templates));
}

void reeve_templates_free(reeve_templates *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        page_free(set->pages[i]);
    free(set->pages);
    free(set);
}

/* ---- by name ---- */

static int compare(const char *name, size_t length, const char *with)
{
    int order = strncmp(name, with, length);

    return order ? order : -(with[length] != '\0');
}

/* The first place whose name is not before this one. */
static size_t place_of(const struct reeve_templates *set, const char *name, size_t length)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(name, length, set->pages[middle]->name) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct reeve_template *template_find(const struct reeve_templates *set, const char *name,
                                           size_t length)
{
    size_t place = place_of(set, name, length);

    if (place == set->count || compare(name, length, set->pages[place]->name) != 0)
        return NULL;
    return set->pages[place];
}

const reeve_template *reeve_templates_find(const reeve_templates *set, const char *name)
{
    return template_find(set, name, strlen(name));
}

/* ---- adding ---- */

static int insert(struct reeve_templates *set, struct reeve_template *page)
{
    size_t place = place_of(set, page->name, strlen(page->name));
    struct reeve_template **grown;

    grown = reallocarray(set->pages, set->count + 1, sizeof(struct reeve_template *));
    if (!grown)
        return -1;
    memmove(grown + place + 1, grown + place, (set->count - place) * sizeof *grown);
    grown[place] = page;
    set->pages = grown;
    set->count++;
    return 0;
}

static struct reeve_template *page_new(const struct reeve_templates *set, const char *name,
                                       const char *text, size_t length)
{
    struct reeve_template *page = calloc(1, sizeof *page);

    if (!page)
        return NULL;
    page->set = set;
    page->name = strdup(name);
    page->text = malloc(length + 1);
    if (!page->name || !page->text) {
        page_free(page);
        return NULL;
    }
    memcpy(page->text, text, length);
    page->text[length] = '\0';
    return page;
}

int reeve_templates_add(reeve_templates *set, const char *name, const char *text, size_t length,
                        char error[REEVE_TEMPLATE_ERROR])
{
    struct reeve_template *page;
    int reason;

    error[0] = '\0';
    if (length > TEMPLATE_TEXT_MOST)
        return fail(error, EFBIG, "a template has at most 1 MiB");
    if (strlen(name) > TEMPLATE_NAME_MOST)
        return fail(error, EINVAL, "the name of a template has at most 255 bytes");
    if (reeve_templates_find(set, name))
        return fail(error, EEXIST, "there is a template of that name already");
    page = page_new(set, name, length > 0 ? text : "", length);
    if (!page)
        return fail(error, ENOMEM, "memory has run out");
    if (template_compile(page, length, error, REEVE_TEMPLATE_ERROR) == 0) {
        if (insert(set, page) == 0)
            return 0;
        fail(error, ENOMEM, "memory has run out");
    }
    reason = errno;
    page_free(page);
    errno = reason;
    return -1;
}

/* ---- a folder ---- */

/* What went wrong with one file; keeps errno. */
static int blame(const char *folder, const char *file, const char *sentence,
                 char error[REEVE_TEMPLATE_ERROR])
{
    int reason = errno;

    snprintf(error, REEVE_TEMPLATE_ERROR, "%.150s/%.80s:%s%.270s", folder, file,
             sentence[0] >= '0' && sentence[0] <= '9' ? "" : " ", sentence);
    errno = reason;
    return -1;
}

/* All of a file that is no longer than a template may be, and one byte more when it is. */
static char *read_all(int fd, size_t *length_out)
{
    size_t size = TEMPLATE_TEXT_MOST + 1, length = 0;
    struct stat status;
    char *text;
    ssize_t n = 1;

    if (fstat(fd, &status) == -1)
        return NULL;
    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return NULL;
    }
    if (status.st_size < (off_t)size)
        size = (size_t)status.st_size + 1;
    text = malloc(size);
    while (text && length < size && (n = read(fd, text + length, size - length)) != 0) {
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1) {
            free(text);
            return NULL;
        }
        length += (size_t)n;
    }
    *length_out = length;
    return text;
}

static int add_file(struct reeve_templates *set, int dir, const char *folder, const char *file,
                    char error[REEVE_TEMPLATE_ERROR])
{
    char name[NAME_MAX + 1], sentence[REEVE_TEMPLATE_ERROR];
    size_t length = 0;
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;
    char *text = fd == -1 ? NULL : read_all(fd, &length);

    if (!text)
        blame(folder, file, strerror(errno), error);
    if (fd != -1)
        close(fd);
    if (!text)
        return -1;
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - SUFFIX_LENGTH), file);
    result = reeve_templates_add(set, name, text, length, sentence);
    if (result == -1)
        blame(folder, file, sentence, error);
    free(text);
    return result;
}

static bool is_template(const char *file)
{
    size_t length = strlen(file);

    return file[0] != '.' && length > SUFFIX_LENGTH &&
           strcmp(file + length - SUFFIX_LENGTH, SUFFIX) == 0;
}

static int add_files(struct reeve_templates *set, DIR *dir, const char *folder,
                     char error[REEVE_TEMPLATE_ERROR])
{
    struct dirent *entry;
    unsigned count = 0;

    while ((entry = readdir(dir))) {
        if (!is_template(entry->d_name))
            continue;
        if (++count > COUNT_MOST)
            return fail(error, EFBIG, "a folder has at most 1,024 templates");
        if (add_file(set, dirfd(dir), folder, entry->d_name, error) == -1)
            return -1;
    }
    return 0;
}

/* A misspelt name would be an empty place on a page that somebody else discovers. */
static int check_names(const struct reeve_templates *set, const char *folder,
                       char error[REEVE_TEMPLATE_ERROR])
{
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t n = 0; n < set->pages[i]->count; n++) {
            const struct reeve_template *page = set->pages[i];
            const struct template_node *node = &page->nodes[n];
            unsigned line, column;

            if ((node->kind != TEMPLATE_PARTIAL && node->kind != TEMPLATE_PARENT) ||
                template_find(set, template_name(page, node), node->length))
                continue;
            template_place(page->text, node->at, &line, &column);
            snprintf(error, REEVE_TEMPLATE_ERROR,
                     "%.150s/%.80s" SUFFIX ":%u:%u: there is no template \"%.*s\"", folder,
                     page->name, line, column, (int)node->length, template_name(page, node));
            errno = EINVAL;
            return -1;
        }
    return 0;
}

int reeve_templates_load(reeve_templates *set, const char *folder, char error[REEVE_TEMPLATE_ERROR])
{
    DIR *dir;
    int result;

    error[0] = '\0';
    if (!folder)
        return fail(error, EINVAL, "no folder of templates is given");
    dir = opendir(folder);
    if (!dir) {
        int reason = errno;

        snprintf(error, REEVE_TEMPLATE_ERROR, "%s: %s", folder, strerror(reason));
        errno = reason;
        return -1;
    }
    result = add_files(set, dir, folder, error);
    closedir(dir);
    return result == 0 ? check_names(set, folder, error) : -1;
}
