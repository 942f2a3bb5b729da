/* form.c: what a form is made of, its limits, and the words for what went wrong with it. It reads
 * nothing. */
#include "web/form.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/status.h"

#define ERROR_VARIABLE "reeve.form_error"

/* ---- its life ---- */

static void part_clear(struct reeve_part *part)
{
    if (part->room > 0)
        free(part->data);
    if (part->fd != -1)
        close(part->fd);
    *part = (struct reeve_part){.fd = -1};
}

void form_clear(struct reeve_form *form)
{
    while (!STAILQ_EMPTY(&form->parts)) {
        struct reeve_part *part = STAILQ_FIRST(&form->parts);

        STAILQ_REMOVE_HEAD(&form->parts, entry);
        part_clear(part);
    }
    form->count = form->files = form->memory = 0;
}

static void on_close(void *arg)
{
    form_clear(arg);
}

struct reeve_form *form_new(reeve_environ *request)
{
    struct reeve_form *form = reeve_alloc(request, sizeof *form);

    if (!form)
        return NULL;
    *form = (struct reeve_form){.environ = request};
    STAILQ_INIT(&form->parts);
    return reeve_on_close(request, on_close, form) == 0 ? form : NULL;
}

void form_add(struct reeve_form *form, struct reeve_part *part)
{
    STAILQ_INSERT_TAIL(&form->parts, part, entry);
    form->count++;
}

/* ---- limits ---- */

static void set_default(size_t *limit, size_t value)
{
    if (*limit == 0)
        *limit = value;
}

static void set_at_most(size_t *limit, size_t value)
{
    if (*limit > value)
        *limit = value;
}

static const char *temporary_folder(void)
{
    const char *folder = secure_getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

reeve_form_limits form_limits(const reeve_form_limits *given)
{
    reeve_form_limits limits = {.size = sizeof limits};

    if (given) /* an older build's is shorter */
        memcpy(&limits, given, given->size < sizeof limits ? given->size : sizeof limits);
    if (limits.max_size == 0)
        limits.max_size = 32u << 20;
    set_default(&limits.max_fields, 1000);
    set_default(&limits.max_files, 64);
    set_default(&limits.max_head, 8192);
    set_default(&limits.max_headers, 16);
    set_default(&limits.memory_each, 64u << 10);
    set_default(&limits.memory_all, 1u << 20);
    set_at_most(&limits.max_head, 64u << 10);
    set_at_most(&limits.memory_each, SIZE_MAX / 4); /* what is doubled does not overflow */
    set_at_most(&limits.memory_all, SIZE_MAX / 4);
    if (!limits.folder)
        limits.folder = temporary_folder();
    return limits;
}

/* ---- errors ---- */

int form_fail(reeve_environ *request, int status, const char *error)
{
    reeve_environ_set(request, ERROR_VARIABLE, error); /* without memory: no sentence */
    return status;
}

int form_fail_memory(reeve_environ *request)
{
    return form_fail(request, 503, "The server is out of memory.");
}

int form_fail_read(reeve_environ *request, int error)
{
    int status;

    switch (error) {
    case ETIMEDOUT:
        status = form_fail(request, 408, "The body did not come in time.");
        break;
    case EBADMSG:
        status = form_fail(request, 400, "The body's framing is broken.");
        break;
    case ECONNRESET:
        status = form_fail(request, 400, "The body broke off.");
        break;
    case EFBIG:
        status = form_fail(request, 413, "The body is too large.");
        break;
    case ECANCELED:
        status = form_fail(request, 504, "The request took too long.");
        break;
    case ENOMEM:
        status = form_fail_memory(request);
        break;
    default:
        status = form_fail(request, 500, "The body cannot be read.");
    }
    errno = error;
    return status;
}

int form_fail_write(reeve_environ *request, int error)
{
    int status;

    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        status = form_fail(request, 507, "There is no room left for the file.");
        break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        status = form_fail(request, 503, "The server has no room for one more file.");
        break;
    default:
        status = form_fail(request, 500, "The file cannot be kept.");
    }
    reeve_log(request, REEVE_LOG_ERROR, "a form's file: %s", strerror(error));
    errno = error;
    return status;
}

const char *reeve_form_error(const reeve_environ *request)
{
    const char *error = reeve_environ_get(request, ERROR_VARIABLE);

    return error ? error : "";
}

int reeve_form_refuse(reeve_environ *request, reeve_start_response *start_response, int status)
{
    const char *error = reeve_form_error(request);

    if (start_response(request, status_line(status),
                       REEVE_HEADERS({"Content-Type", "text/plain; charset=utf-8"})) != 0 ||
        reeve_write(request, error, strlen(error)) != 0)
        return -1;
    return reeve_write(request, "\n", 1);
}

int form_check_length(reeve_environ *request, uint64_t max_size)
{
    int64_t length = reeve_content_length(request);

    if (length > 0 && (uint64_t)length > max_size)
        return form_fail(request, 413, "The form is too large.");
    return 0;
}

/* ---- looking up ---- */

const reeve_part *reeve_form_next(const reeve_form *form, const reeve_part *after)
{
    return after ? STAILQ_NEXT(after, entry) : STAILQ_FIRST(&form->parts);
}

const reeve_part *reeve_form_find(const reeve_form *form, const char *name, const reeve_part *after)
{
    do
        after = reeve_form_next(form, after);
    while (after && strcmp(after->name, name) != 0);
    return after;
}

const char *reeve_form_get(const reeve_form *form, const char *name)
{
    const reeve_part *part = NULL;

    while ((part = reeve_form_find(form, name, part)))
        if (!part->filename && reeve_part_data(part))
            return reeve_part_data(part);
    return NULL;
}

size_t reeve_form_count(const reeve_form *form)
{
    return form->count;
}
