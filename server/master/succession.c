/* succession.c: the document's form. Each field is named once, in a table that both writing and
 * reading follow. Numbers of 64 bits are written as texts: JSON's have 53. */
#include "master/succession.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/channel.h"
#include "master/build.h"
#include "master/sentence.h"

enum kind { INT, BIG, BOOL, TEXT }; /* int, uint64_t, bool, char * */

struct field {
    const char *name; /* NULL: the end */
    enum kind kind;
    size_t at;
};

#define F(type, kind, member)                        \
    {                                                \
#member, kind, offsetof(struct type, member) \
    }

static const struct field head_fields[] = {
    F(succession, INT, format),
    F(succession, INT, protocol),
    F(succession, INT, pid),
    F(succession, TEXT, version),
    F(succession, TEXT, nonce),
    F(succession, BOOL, is_max_workers_auto),
    F(succession, BOOL, is_control_auto),
    F(succession, BOOL, is_state_dir_auto),
    F(succession, INT, workers),
    F(succession, INT, max_workers),
    F(succession, INT, max_apps),
    F(succession, INT, pubsub_ring),
    F(succession, TEXT, control),
    F(succession, TEXT, state_dir),
    F(succession, TEXT, pid_file),
    F(succession, TEXT, folder),
    F(succession, INT, lock),
    F(succession, BOOL, is_private),
    F(succession, BOOL, has_pid_file),
    F(succession, INT, board_fd),
    F(succession, INT, control_fd),
    F(succession, BIG, control_device),
    F(succession, BIG, control_inode),
    F(succession, BIG, deploy),
    F(succession, BIG, began_wall),
    F(succession, BIG, began_at),
    F(succession, TEXT, action),
    F(succession, BOOL, is_peer),
    F(succession, BIG, peer_uid),
    F(succession, BIG, peer_pid),
    F(succession, TEXT, signal),
    F(succession, INT, target),
    F(succession, INT, held_back),
    F(succession, INT, owed),
    F(succession, INT, failures),
    F(succession, INT, brief),
    F(succession, BIG, retry_in),
    F(succession, BIG, until),
    F(succession, BOOL, was_ready),
    F(succession, INT, start_failures),
    F(succession, TEXT, last_failure),
    {NULL, INT, 0},
};

static const struct field listener_fields[] = {
    F(succession_listener, INT, fd),
    F(succession_listener, TEXT, name),
    F(succession_listener, TEXT, address),
    F(succession_listener, BOOL, is_ours),
    {NULL, INT, 0},
};

static const struct field bell_fields[] = {
    F(succession_bell, INT, fd),
    {NULL, INT, 0},
};

static const struct field app_fields[] = {
    F(succession_app, TEXT, name),
    F(succession_app, TEXT, module),
    F(succession_app, INT, current),
    F(succession_app, BIG, last),
    {NULL, INT, 0},
};

static const struct field build_fields[] = {
    F(succession_build, INT, app),       F(succession_build, BIG, generation),
    F(succession_build, TEXT, path),     F(succession_build, TEXT, version),
    F(succession_build, TEXT, build_id), {NULL, INT, 0},
};

static const struct field worker_fields[] = {
    F(succession_worker, INT, id),           F(succession_worker, INT, pid),
    F(succession_worker, INT, state),        F(succession_worker, INT, link),
    F(succession_worker, INT, status),       F(succession_worker, BIG, incarnation),
    F(succession_worker, BIG, spawned_at),   F(succession_worker, BIG, ready_at),
    F(succession_worker, BIG, drained_at),   F(succession_worker, BIG, drain_limit),
    F(succession_worker, BIG, suspected_at), F(succession_worker, BIG, due_in),
    F(succession_worker, BOOL, is_extra),    F(succession_worker, BOOL, is_current),
    F(succession_worker, BOOL, was_ready),   F(succession_worker, BOOL, is_asked),
    F(succession_worker, BOOL, is_replaced), F(succession_worker, BOOL, has_lost_connections),
    F(succession_worker, BOOL, is_reaped),   F(succession_worker, BOOL, is_late),
    F(succession_worker, BOOL, is_hung),     F(succession_worker, BOOL, has_answered),
    F(succession_worker, INT, hang_state),   F(succession_worker, TEXT, refusal),
    F(succession_worker, TEXT, hang),        {NULL, INT, 0},
};

static const struct field hold_fields[] = {
    F(succession_hold, INT, worker),
    F(succession_hold, INT, build),
    F(succession_hold, INT, state),
    F(succession_hold, BIG, asked_at),
    {NULL, INT, 0},
};

struct list {
    const char *name;
    const struct field *fields;
    size_t size;                 /* of an entry */
    size_t entries_at, count_at; /* in struct succession */
};

#define L(name, entries, count, fields, type)                                    \
    {                                                                            \
        name, fields, sizeof(struct type), offsetof(struct succession, entries), \
            offsetof(struct succession, count)                                   \
    }

static const struct list lists[] = {
    L("listeners", listeners, listener_count, listener_fields, succession_listener),
    L("bells", bells, bell_count, bell_fields, succession_bell),
    L("apps", apps, app_count, app_fields, succession_app),
    L("builds", builds, build_count, build_fields, succession_build),
    L("crew", crew, worker_count, worker_fields, succession_worker),
    L("holds", holds, hold_count, hold_fields, succession_hold),
};
#define LISTS (sizeof(lists) / sizeof(lists[0]))

/* Where a field is; what kind of object lies there says the table. */
static void *at(const void *entry, size_t offset)
{
    return (char *)(uintptr_t)entry + offset;
}

static void *entries_of(const struct succession *succession, const struct list *list)
{
    void *entries;

    memcpy(&entries, at(succession, list->entries_at), sizeof(entries));
    return entries;
}

static size_t *count_of(const struct succession *succession, const struct list *list)
{
    return at(succession, list->count_at);
}

/* ---- writing ---- */

static cJSON *write_field(cJSON *object, const struct field *field, const void *value)
{
    char digits[32];

    switch (field->kind) {
    case INT:
        return cJSON_AddNumberToObject(object, field->name, *(const int *)value);
    case BIG:
        snprintf(digits, sizeof(digits), "%" PRIu64, *(const uint64_t *)value);
        return cJSON_AddStringToObject(object, field->name, digits);
    case BOOL:
        return cJSON_AddBoolToObject(object, field->name, *(const bool *)value);
    case TEXT:
        break;
    }
    return *(char *const *)value == NULL
               ? object
               : cJSON_AddStringToObject(object, field->name, *(char *const *)value);
}

/* 0, or -1 without memory. */
static int write_fields(cJSON *object, const struct field *fields, const void *entry)
{
    for (const struct field *f = fields; f->name != NULL; f++)
        if (write_field(object, f, at(entry, f->at)) == NULL)
            return -1;
    return 0;
}

static int write_list(cJSON *json, const struct list *list, const struct succession *succession)
{
    cJSON *array = cJSON_AddArrayToObject(json, list->name), *object;
    size_t count = *count_of(succession, list);

    if (array == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        object = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, object)) {
            cJSON_Delete(object);
            return -1;
        }
        if (write_fields(object, list->fields, at(entries_of(succession, list), i * list->size)) !=
            0)
            return -1;
    }
    return 0;
}

static int write_receipts(cJSON *json, const cJSON *receipts)
{
    cJSON *copy = receipts != NULL ? cJSON_Duplicate(receipts, true) : cJSON_CreateArray();

    if (cJSON_AddItemToObject(json, "receipts", copy))
        return 0;
    cJSON_Delete(copy);
    return -1;
}

static char *print(const struct succession *succession)
{
    cJSON *json = cJSON_CreateObject();
    char *text = NULL;
    int status = json == NULL ? -1 : write_fields(json, head_fields, succession);

    for (size_t i = 0; status == 0 && i < LISTS; i++)
        status = write_list(json, &lists[i], succession);
    if (status == 0 && write_receipts(json, succession->receipts) == 0)
        text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n == -1 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int succession_write(const struct succession *succession)
{
    char *text = print(succession);
    int fd, error;

    if (text == NULL) {
        errno = ENOMEM;
        return -1;
    }
    fd = memfd_create("reeve-succession", MFD_CLOEXEC);
    if (fd != -1 && write_all(fd, text, strlen(text)) != 0) {
        error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    free(text);
    return fd;
}

/* ---- reading ---- */

static int read_int(const cJSON *item, int *value)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : (double)INT_MAX + 1;

    if (number > INT_MAX || number < INT_MIN)
        return -1;
    *value = (int)number;
    return 0;
}

static int read_big(const cJSON *item, uint64_t *value)
{
    const char *text = cJSON_GetStringValue(item);
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? 0 : -1;
}

static int read_text(const cJSON *item, char **value)
{
    const char *text = cJSON_GetStringValue(item);

    *value = text != NULL ? strdup(text) : NULL;
    return *value != NULL ? 0 : -1;
}

static int read_field(const cJSON *item, const struct field *field, void *value)
{
    switch (field->kind) {
    case INT:
        return read_int(item, value);
    case BIG:
        return read_big(item, value);
    case BOOL:
        *(bool *)value = cJSON_IsTrue(item);
        return cJSON_IsBool(item) ? 0 : -1;
    case TEXT:
        break;
    }
    return read_text(item, value);
}

static int read_fields(const cJSON *object, const struct field *fields, void *entry,
                       char **error_out)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, f->name);

        if (item != NULL && read_field(item, f, at(entry, f->at)) != 0)
            return sentence_set(error_out, "the state has a \"%s\" that is not understood",
                                f->name);
    }
    return 0;
}

static int read_list(const cJSON *json, const struct list *list, struct succession *succession,
                     char **error_out)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(json, list->name), *object;
    size_t count = (size_t)cJSON_GetArraySize(array), *done = count_of(succession, list);
    void *entries = calloc(count + 1, list->size);

    if (entries == NULL)
        return sentence_set(error_out, "memory has run out");
    memcpy(at(succession, list->entries_at), &entries, sizeof(entries));
    cJSON_ArrayForEach (object, array) {
        void *entry = at(entries, (*done)++ * list->size);

        if (read_fields(object, list->fields, entry, error_out) != 0)
            return -1;
    }
    return 0;
}

static bool is_index(int index, size_t count)
{
    return index >= 0 && (size_t)index < count;
}

static bool are_indexes_good(const struct succession *s)
{
    for (size_t i = 0; i < s->app_count; i++)
        if (s->apps[i].name == NULL ||
            (s->apps[i].current != -1 && !is_index(s->apps[i].current, s->build_count)))
            return false;
    for (size_t i = 0; i < s->build_count; i++)
        if (s->builds[i].path == NULL || !is_index(s->builds[i].app, s->app_count))
            return false;
    for (size_t i = 0; i < s->hold_count; i++)
        if (!is_index(s->holds[i].worker, s->worker_count) ||
            !is_index(s->holds[i].build, s->build_count) || s->holds[i].state < HOLD_ASKED ||
            s->holds[i].state > HOLD_STUCK)
            return false;
    return s->nonce != NULL && s->control != NULL && s->action != NULL;
}

static int check(const struct succession *s, char **error_out)
{
    static const char advice[] = "stop the server and start the new one";

    if (s->format != SUCCESSION_FORMAT)
        return sentence_set(error_out,
                            "it does not take over from this version (its form of the "
                            "state is %d, here it is %d): %s",
                            SUCCESSION_FORMAT, s->format, advice);
    if (s->protocol != CHANNEL_PROTOCOL)
        return sentence_set(error_out,
                            "it does not understand the workers of this version (its "
                            "protocol is %d, theirs is %d): %s",
                            CHANNEL_PROTOCOL, s->protocol, advice);
    if (!are_indexes_good(s))
        return sentence_set(error_out, "the state contradicts itself");
    return 0;
}

static char *read_all(int fd)
{
    struct stat st;
    char *text;
    ssize_t n;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > INT_MAX)
        return NULL;
    text = calloc(1, (size_t)st.st_size + 1);
    for (off_t at_byte = 0; text != NULL && at_byte < st.st_size; at_byte += n) {
        n = pread(fd, text + at_byte, (size_t)(st.st_size - at_byte), at_byte);
        if (n <= 0) {
            free(text);
            return NULL;
        }
    }
    return text;
}

int succession_read(int fd, struct succession *succession, char **error_out)
{
    char *text = read_all(fd);
    cJSON *json = text != NULL ? cJSON_Parse(text) : NULL;
    int status = 0;

    free(text);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return sentence_set(error_out, "the state of the server cannot be read");
    }
    status = read_fields(json, head_fields, succession, error_out);
    for (size_t i = 0; status == 0 && i < LISTS; i++)
        status = read_list(json, &lists[i], succession, error_out);
    succession->receipts = cJSON_DetachItemFromObjectCaseSensitive(json, "receipts");
    cJSON_Delete(json);
    return status == 0 ? check(succession, error_out) : -1;
}

/* ---- the end ---- */

static void free_texts(const struct field *fields, const void *entry)
{
    for (const struct field *f = fields; f->name != NULL; f++)
        if (f->kind == TEXT)
            free(*(char **)at(entry, f->at));
}

void succession_fini(struct succession *succession)
{
    free_texts(head_fields, succession);
    for (size_t i = 0; i < LISTS; i++) {
        char *entries = entries_of(succession, &lists[i]);

        for (size_t j = 0; j < *count_of(succession, &lists[i]); j++)
            free_texts(lists[i].fields, entries + j * lists[i].size);
        free(entries);
    }
    cJSON_Delete(succession->receipts);
    *succession = (struct succession){.format = 0};
}
