/* view_json.h: JSON as text, within limits, and the settings that reading and printing share. */
#ifndef WEB_VIEW_JSON_H
#define WEB_VIEW_JSON_H

#include <cjson/cJSON.h>
#include <reeve/view.h>

/* The limits with nothing left to default; `given` may be NULL. */
reeve_json_limits view_json_limits(const reeve_json_limits *given, size_t max_bytes,
                                   size_t max_values);

/* A new text, to be freed; NULL with the errno of reeve_view_json. */
char *view_json_text(const cJSON *json, const reeve_json_limits *given, size_t *length_out);

#endif
