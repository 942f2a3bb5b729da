/* output.h: how reevectl shows what it was told: as text for people, or as JSON for programs. Both
 * are an instance of one struct; a verb says what to show and never how. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <cjson/cJSON.h>

struct report {
    const cJSON *json;
    const char *text; /* the same as it came */
};

struct output {
    void (*status)(const struct report *report);
    void (*stats)(const struct report *report);
    void (*workers)(const struct report *report);
    void (*apps)(const struct report *report);
    void (*app)(const struct report *report);
    void (*config)(const struct report *report);
    /* A line of an action that runs, and its last one. */
    void (*progress)(const struct report *line);
    void (*verdict)(const struct report *line);
    /* Something was done, told by a sentence; its answer says it to programs. */
    void (*done)(const struct report *report, const char *sentence);
    /* It was not: {"error","detail"}, or one sentence. */
    void (*failure)(const char *error, const char *detail);
};

extern const struct output output_text, output_json;

#endif
