/* form_fields.h: application/x-www-form-urlencoded, of a query or a body (WHATWG URL section 5). */
#ifndef WEB_FORM_FIELDS_H
#define WEB_FORM_FIELDS_H

#include "web/form.h"

/* Adds the fields in text[0..length], which they are decoded in place of, and which has to live as
 * long as the form; text[length] is NUL. 0, or 400, 413 (more than max) or 503. */
int fields_add(struct reeve_form *form, char *text, size_t length, size_t max);

#endif
