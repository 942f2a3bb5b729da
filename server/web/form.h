/* form.h: a form in the making, and how its reading fails. Everything of it belongs to the request:
 * what is not the request's memory goes at its end. */
#ifndef WEB_FORM_H
#define WEB_FORM_H

#include <reeve/form.h>

#include "web/form_part.h"

STAILQ_HEAD(form_parts, reeve_part);

struct reeve_form {
    reeve_environ *environ;
    struct form_parts parts;
    size_t count, files;
    size_t memory; /* bytes that count for memory_all */
};

/* One without parts, or NULL with ENOMEM. */
struct reeve_form *form_new(reeve_environ *environ);
/* Closes and frees what the parts have; none is left. */
void form_clear(struct reeve_form *form);
void form_add(struct reeve_form *form, struct reeve_part *part);

/* The limits with the defaults filled in; NULL: all of them. */
reeve_form_limits form_limits(const reeve_form_limits *limits);

/* Notes the sentence for reeve_form_error and returns the status. `error` is static, and not a
 * module's. */
int form_fail(reeve_environ *environ, int status, const char *error);
/* The same for an errno of reeve_read, or of writing a file. */
int form_fail_read(reeve_environ *environ, int error);
int form_fail_write(reeve_environ *environ, int error);
/* For ENOMEM. */
int form_fail_memory(reeve_environ *environ);

/* Whether as much as is declared may come. 0 or 413. */
int form_check_length(reeve_environ *environ, uint64_t max_size);

#endif
