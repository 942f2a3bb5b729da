/* form_type.h: which kind of form a body is, by its Content-Type (RFC 9110 section 8.3). */
#ifndef WEB_FORM_TYPE_H
#define WEB_FORM_TYPE_H

#include "web/multipart.h"

enum form_kind { FORM_URLENCODED, FORM_MULTIPART };

struct form_type {
    enum form_kind kind;
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
};

/* NULL stands for a missing one. 0, or the status to refuse with, 400 or 415, and a sentence. */
int form_type_read(const char *text, struct form_type *type_out, const char **error_out);

#endif
