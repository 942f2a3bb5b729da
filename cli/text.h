/* text.h: the parts of output_text, by what they show. Nothing here trusts the server's JSON. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "human.h"
#include "json.h"
#include "output.h"

/* ---- what they share: text.c ---- */

/* "asked by    ", in the colour of labels. */
void text_label(const char *label);
/* A label with text of the server's behind it, as a line; nothing where the text is "". */
void text_line(const char *label, const char *value);
/* Text of the server's in a colour, within its line. */
void text_coloured(enum colour colour, const char *value);
/* "hello generation 2 (1.0.1)", of what a receipt or a step says of an app. */
void text_print_app(const cJSON *app);

const char *text_count(const cJSON *json, const char *path, char text[32]);
void text_cell(struct table *table, const cJSON *json, const char *path);
void text_cell_number(struct table *table, const cJSON *json, const char *path);
/* In a colour unless it is 0, with separators. */
void text_cell_count(struct table *table, const cJSON *json, const char *path, enum colour colour);
void text_cell_seconds(struct table *table, const cJSON *json, const char *path);
void text_cell_bytes(struct table *table, const cJSON *json, const char *path);

/* ---- parts of receipts: text_parts.c ---- */

/* What the old code is held by, as a table of a receipt's "held"; nothing when that is empty. */
void text_print_held(const cJSON *held);
/* The same for every generation before the current one, of "applications" in /v1/apps. */
void text_print_apps_held(const cJSON *apps);
/* The same of one application. */
void text_print_app_held(const char *name, const cJSON *app);
/* A canary's figures, the old code's beside the new code's. */
void text_print_canary(const cJSON *canary);
/* What an app's build said while it was tried, and what was noticed of it. */
void text_print_output(const cJSON *app);
/* "root", "SIGHUP", or "-": the server itself. */
const char *text_requester(const cJSON *receipt, char *text, size_t size);

/* Functions, the innermost first, a line each: text_incident.c. `last_object`: the file that the
 * frame before was in, or "". */
void text_print_backtrace(const cJSON *backtrace);
void text_print_frame(const cJSON *frame, const char *last_object);

/* ---- what is quarantined: text_quarantine.c ---- */

/* "quarantine" of /v1/status as a table; nothing when it is empty. */
void text_print_quarantine(const cJSON *quarantine);

/* ---- the members of output_text ---- */

void text_status(const struct report *report); /* text_tables.c */
void text_stats(const struct report *report);
void text_workers(const struct report *report);
void text_apps(const struct report *report);
void text_app(const struct report *report);
void text_history(const struct report *report);   /* text_history.c */
void text_incidents(const struct report *report); /* text_incident.c */
void text_incident(const struct report *report);
void text_worker(const struct report *report);
void text_stacks(const struct report *report);                        /* text_stacks.c */
void text_receipt(const struct report *report);                       /* text_receipt.c */
void text_verdict(const struct report *line, struct screen *screen);  /* text_verdict.c */
void text_progress(const struct report *line, struct screen *screen); /* text_progress.c */
void text_leave(struct screen *screen);

#endif
