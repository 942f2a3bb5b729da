/* multipart_read.c: feeds the parser from the request's body, one buffer at a time, and stops for
 * good at the first thing that is wrong. */
#include "web/multipart_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "web/form.h"
#include "web/form_type.h"

/* ---- its life ---- */

void multipart_close(struct reeve_multipart *multipart)
{
    multipart_fini(&multipart->parser);
    free(multipart->buffer);
    free(multipart->memory);
    multipart->buffer = multipart->memory = NULL;
}

static void on_close(void *arg)
{
    multipart_close(arg);
}

static bool take_memory(struct reeve_multipart *multipart, const char *boundary,
                        const struct multipart_limits *limits)
{
    if (multipart_init(&multipart->parser, boundary, limits) == -1)
        return false;
    multipart->buffer = malloc(MULTIPART_PIECE);
    multipart->memory = malloc(part_room(limits->max_head));
    if (multipart->buffer && multipart->memory &&
        reeve_on_close(multipart->environ, on_close, multipart) == 0)
        return true;
    multipart_close(multipart);
    return false;
}

int multipart_begin(reeve_environ *environ, const char *boundary, const reeve_form_limits *limits,
                    struct reeve_multipart **multipart_out)
{
    const struct multipart_limits own = {limits->max_fields, limits->max_head, limits->max_headers};
    struct reeve_multipart *multipart = reeve_alloc(environ, sizeof *multipart);

    *multipart_out = NULL;
    if (!multipart)
        return form_fail_memory(environ);
    *multipart = (struct reeve_multipart){
        .environ = environ, .max_size = limits->max_size, .part = {.fd = -1}};
    if (!take_memory(multipart, boundary, &own))
        return form_fail_memory(environ);
    *multipart_out = multipart;
    return 0;
}

/* ---- reading ---- */

static int fail(struct reeve_multipart *multipart, int status, const char *error)
{
    multipart->status = form_fail(multipart->environ, status, error);
    return multipart->status;
}

/* More of the body into the buffer, which is empty. */
static int fill(struct reeve_multipart *multipart)
{
    ssize_t n = reeve_read(multipart->environ, multipart->buffer, MULTIPART_PIECE);

    if (n == -1)
        return multipart->status = form_fail_read(multipart->environ, errno);
    multipart->at = 0;
    multipart->end = (size_t)n;
    multipart->size += (uint64_t)n;
    multipart->is_over = n == 0;
    if (multipart->size > multipart->max_size)
        return fail(multipart, 413, "The form is too large.");
    if (n == 0 && multipart_finish(&multipart->parser) == -1)
        return fail(multipart, multipart->parser.status, multipart->parser.error);
    return 0;
}

/* The parser's next event, MULTIPART_MORE at the end of the body. 0 or a status. */
static int next_event(struct reeve_multipart *multipart, enum multipart_event *event_out,
                      struct span *data_out)
{
    size_t used;

    *event_out = MULTIPART_MORE;
    while (multipart->status == 0 && *event_out == MULTIPART_MORE && !multipart->is_over) {
        if (multipart->at == multipart->end && fill(multipart) != 0)
            break;
        *event_out = multipart_step(&multipart->parser, multipart->buffer + multipart->at,
                                    multipart->end - multipart->at, &used, data_out);
        multipart->at += used;
        if (*event_out == MULTIPART_BAD)
            fail(multipart, multipart->parser.status, multipart->parser.error);
        if (*event_out == MULTIPART_ENDS)
            multipart->is_within = false;
    }
    return multipart->status;
}

int multipart_advance(struct reeve_multipart *multipart)
{
    enum multipart_event event = MULTIPART_DATA;
    struct span skipped;

    while (event == MULTIPART_DATA || event == MULTIPART_ENDS)
        if (next_event(multipart, &event, &skipped) != 0)
            return multipart->status;
    multipart->is_within = event == MULTIPART_PART;
    return 0;
}

int multipart_pull(struct reeve_multipart *multipart, struct span *piece_out)
{
    enum multipart_event event = MULTIPART_ENDS;

    *piece_out = (struct span){NULL, 0};
    if (multipart->is_within)
        next_event(multipart, &event, piece_out);
    if (event != MULTIPART_DATA)
        piece_out->length = 0;
    return multipart->status;
}

/* ---- for the application ---- */

int reeve_multipart_open(reeve_environ *environ, const reeve_form_limits *given,
                         reeve_multipart **multipart_out)
{
    const reeve_form_limits limits = form_limits(given);
    struct form_type type;
    const char *error;
    int status = form_type_read(reeve_environ_get(environ, "CONTENT_TYPE"), &type, &error);

    *multipart_out = NULL;
    if (status != 0)
        return form_fail(environ, status, error);
    if (type.kind != FORM_MULTIPART)
        return form_fail(environ, 415, "The body is no multipart/form-data.");
    status = form_check_length(environ, limits.max_size);
    return status != 0 ? status : multipart_begin(environ, type.boundary, &limits, multipart_out);
}

int reeve_multipart_next(reeve_multipart *multipart, const reeve_part **part_out)
{
    const char *error;
    int status = multipart_advance(multipart);

    *part_out = NULL;
    multipart->piece.length = 0;
    if (status != 0 || !multipart->is_within)
        return status;
    status = part_describe(&multipart->part, multipart->parser.head, multipart->parser.head_length,
                           multipart->memory, &error);
    if (status != 0)
        return fail(multipart, status, error);
    *part_out = &multipart->part;
    return 0;
}

int reeve_multipart_read(reeve_multipart *multipart, void *buffer, size_t size, size_t *got_out)
{
    struct span *piece = &multipart->piece;
    size_t n;

    *got_out = 0;
    if (piece->length == 0 && multipart_pull(multipart, piece) != 0)
        return multipart->status;
    n = piece->length < size ? piece->length : size;
    if (n > 0)
        memcpy(buffer, piece->data, n);
    piece->data += n;
    piece->length -= n;
    *got_out = n;
    return 0;
}
