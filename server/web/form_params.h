/* form_params.h: the parameters behind a media type or a disposition (RFC 9110 section 5.6.6): the
 * grammar that Content-Type and Content-Disposition share. */
#ifndef WEB_FORM_PARAMS_H
#define WEB_FORM_PARAMS_H

#include <stdbool.h>
#include <sys/types.h>

#include "http/head.h"

struct param {
    struct span name;  /* a token */
    struct span value; /* raw: a token, or a quoted string with its quotes */
};

/* The next one of *at, the text behind the type or the last parameter, which is moved on. 1, 0 at
 * the end, -1 when it is malformed. */
int param_next(const char **at, struct param *param_out);

/* In any case. */
bool param_is(const struct param *param, const char *lower);

/* Writes the value and a NUL to out, which has room for its raw length + 1, and returns its length.
 * Of quoted pairs only \" and \\ are taken for one if `is_literal`, as browsers mean it in a file's
 * name: "C:\new". */
size_t param_value(const struct param *param, bool is_literal, char *out);

/* Likewise an extended value (RFC 8187): UTF-8''%e2%82%ac. -1 for another charset, a bad escape, a
 * control byte, or what is not UTF-8. */
ssize_t param_extended(const struct param *param, char *out);

#endif
