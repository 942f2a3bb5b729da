/* form_read.c: reads a request's body as a form, into memory and files within its limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "web/form.h"
#include "web/form_fields.h"
#include "web/form_file.h"
#include "web/form_type.h"
#include "web/multipart_read.h"

#define FIRST_ROOM 256u  /* bytes of a growing buffer */
#define BODY_PIECE 4096u /* the least room that a read is worth */

/* A buffer of `length` bytes that is to hold `more`, up to `max`, and a NUL. */
static int make_room(char **data, size_t *room, size_t length, size_t more, size_t max)
{
    size_t size = *room > 0 ? *room : FIRST_ROOM;
    char *grown;

    while (size < length + more + 1)
        size *= 2;
    if (size > max + 1 && length + more <= max)
        size = max + 1;
    if (size <= *room)
        return 0;
    grown = realloc(*data, size);
    if (!grown)
        return -1;
    *data = grown;
    *room = size;
    return 0;
}

/* ---- application/x-www-form-urlencoded ---- */

/* The whole body, where the fields are decoded. */
struct body {
    char *data;
    size_t room, length;
};

static void free_body(void *arg)
{
    struct body *body = arg;

    free(body->data);
    body->data = NULL;
}

static int read_body(struct reeve_form *form, struct body *body, size_t max)
{
    for (;;) {
        size_t left = max - body->length, more = left < BODY_PIECE ? left : BODY_PIECE;
        char beyond[1];
        ssize_t n;

        if (make_room(&body->data, &body->room, body->length, more, max) == -1)
            return form_fail_memory(form->environ);
        n = left > 0 ? reeve_read(form->environ, body->data + body->length,
                                  body->room - 1 - body->length)
                     : reeve_read(form->environ, beyond, sizeof beyond);
        if (n == -1)
            return form_fail_read(form->environ, errno);
        if (n > 0 && left == 0)
            return form_fail(form->environ, 413, "The form is too large.");
        if (n == 0)
            return 0;
        body->length += (size_t)n;
    }
}

static int read_urlencoded(struct reeve_form *form, const reeve_form_limits *limits)
{
    uint64_t max = limits->max_size < limits->memory_all ? limits->max_size : limits->memory_all;
    struct body *body = reeve_alloc(form->environ, sizeof *body);
    int status = form_check_length(form->environ, max);

    if (status != 0)
        return status;
    if (!body)
        return form_fail_memory(form->environ);
    *body = (struct body){.data = NULL};
    if (reeve_on_close(form->environ, free_body, body) == -1)
        return form_fail_memory(form->environ);
    status = read_body(form, body, (size_t)max);
    if (status == 0) {
        body->data[body->length] = '\0';
        status = fields_add(form, body->data, body->length, limits->max_fields);
    }
    if (status != 0)
        free_body(body);
    return status;
}

/* ---- multipart/form-data ---- */

/* What one part is read with. */
struct reader {
    struct reeve_form *form;
    struct reeve_multipart *multipart;
    struct reeve_part *part;
    const reeve_form_limits *limits;
};

/* Takes `size` of what may be in memory; false when that much is not left. */
static bool charge(const struct reader *reader, size_t size)
{
    if (size > reader->limits->memory_all - reader->form->memory)
        return false;
    reader->form->memory += size;
    return true;
}

static int write_file(const struct reader *reader, const char *data, size_t size)
{
    if (file_write(reader->part->fd, data, size) == -1)
        return form_fail_write(reader->form->environ, errno);
    return 0;
}

/* The part goes on in a file, with what is in memory of it. */
static int begin_file(const struct reader *reader)
{
    struct reeve_part *part = reader->part;
    int status = 0;

    if (reader->form->files >= reader->limits->max_files)
        return form_fail(reader->form->environ, 413, "The form has too many files.");
    part->fd = file_create(reader->limits->folder);
    if (part->fd == -1)
        return form_fail_write(reader->form->environ, errno);
    reader->form->files++;
    if (part->data)
        status = write_file(reader, part->data, (size_t)part->size);
    reader->form->memory -= part->data ? (size_t)part->size : 0;
    free(part->data);
    part->data = NULL;
    part->room = 0;
    return status;
}

static bool fits_in_memory(const struct reader *reader, size_t more)
{
    const struct reeve_part *part = reader->part;

    return !part->filename && part->fd == -1 && part->size + more <= reader->limits->memory_each &&
           charge(reader, more);
}

static int keep_piece(const struct reader *reader, const struct span *piece)
{
    struct reeve_part *part = reader->part;
    int status = 0;

    if (!fits_in_memory(reader, piece->length)) {
        if (part->fd == -1)
            status = begin_file(reader);
        if (status == 0)
            status = write_file(reader, piece->data, piece->length);
    } else if (make_room(&part->data, &part->room, (size_t)part->size, piece->length,
                         reader->limits->memory_each) == -1) {
        status = form_fail_memory(reader->form->environ);
    } else {
        memcpy(part->data + part->size, piece->data, piece->length);
        part->data[part->size + piece->length] = '\0';
    }
    part->size += piece->length;
    return status;
}

/* The part whose headers the parser has just read, in the request's memory. */
static int begin_part(struct reader *reader)
{
    const struct multipart *parser = &reader->multipart->parser;
    reeve_environ *environ = reader->form->environ;
    size_t size = sizeof *reader->part + part_room(parser->head_length);
    const char *error;
    int status;

    if (!charge(reader, size))
        return form_fail(environ, 413, "The form is too large.");
    reader->part = reeve_alloc(environ, size);
    if (!reader->part)
        return form_fail_memory(environ);
    status = part_describe(reader->part, parser->head, parser->head_length,
                           (char *)(reader->part + 1), &error);
    if (status != 0)
        return form_fail(environ, status, error);
    form_add(reader->form, reader->part);
    return 0;
}

/* What was taken beforehand, and not needed, goes back. */
static void trim_part(struct reeve_part *part)
{
    char *data = part->data ? realloc(part->data, (size_t)part->size + 1) : NULL;

    if (data) {
        part->data = data;
        part->room = (size_t)part->size + 1;
    }
}

static int read_part(struct reader *reader)
{
    struct span piece;
    int status = begin_part(reader);

    while (status == 0 && (status = multipart_pull(reader->multipart, &piece)) == 0) {
        if (piece.length == 0) {
            trim_part(reader->part);
            return 0;
        }
        status = keep_piece(reader, &piece);
    }
    return status;
}

static int read_multipart(struct reeve_form *form, const struct form_type *type,
                          const reeve_form_limits *limits)
{
    struct reader reader = {.form = form, .limits = limits};
    int status = form_check_length(form->environ, limits->max_size);

    if (status == 0)
        status = multipart_begin(form->environ, type->boundary, limits, &reader.multipart);
    if (status != 0)
        return status;
    while ((status = multipart_advance(reader.multipart)) == 0 && reader.multipart->is_within)
        if ((status = read_part(&reader)) != 0)
            break;
    multipart_close(reader.multipart);
    return status;
}

/* ---- the whole ---- */

int reeve_form_read(reeve_environ *environ, const reeve_form_limits *given, reeve_form **form_out)
{
    const reeve_form_limits limits = form_limits(given);
    struct reeve_form *form;
    struct form_type type;
    const char *error;
    int status = form_type_read(reeve_environ_get(environ, "CONTENT_TYPE"), &type, &error);

    *form_out = NULL;
    if (status != 0)
        return form_fail(environ, status, error);
    form = form_new(environ);
    if (!form)
        return form_fail_memory(environ);
    status = type.kind == FORM_MULTIPART ? read_multipart(form, &type, &limits)
                                         : read_urlencoded(form, &limits);
    if (status == 0)
        *form_out = form;
    else
        form_clear(form);
    return status;
}
