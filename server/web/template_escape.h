/* template_escape.h: text for HTML, as long as it stands in text or in a quoted attribute. */
#ifndef WEB_TEMPLATE_ESCAPE_H
#define WEB_TEMPLATE_ESCAPE_H

#include <stddef.h>

/* The next stretch of a text, escaped, to be called until `length` is 0: sets *data_out and returns
 * its length, and moves on in the text. What is not UTF-8 becomes U+FFFD. */
size_t template_escape(const char **text, size_t *length, const char **data_out);

#endif
