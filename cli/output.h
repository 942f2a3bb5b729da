/* output.h: how reevectl shows what it was told: as text for people, or as JSON for programs. Both
 * are an instance of one struct; a verb says what to show and never how. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
    const cJSON *json; /* may be odd: an older or newer server has other members */
    const char *text;  /* the same as it came */
};

/* Where the screen stands while an action is followed; all zeros at its begin. */
struct screen {
    uint64_t canary_at; /* clock_ns() of the last line about the canary */
    bool is_open;       /* that line may be written over: no newline was sent */
};

struct output {
    void (*status)(const struct report *report);
    void (*stats)(const struct report *report);
    void (*workers)(const struct report *report);
    void (*apps)(const struct report *report);
    void (*app)(const struct report *report);
    void (*config)(const struct report *report);
    void (*history)(const struct report *report);
    void (*incidents)(const struct report *report);
    void (*incident)(const struct report *report);
    void (*worker)(const struct report *report);
    void (*stacks)(const struct report *report);
    void (*receipt)(const struct report *report);
    /* A line of an action that runs, its last one, and that no more will come. */
    void (*progress)(const struct report *line, struct screen *screen);
    void (*verdict)(const struct report *line, struct screen *screen);
    void (*leave)(struct screen *screen);
    /* Something was done, told by a sentence; its answer says it to programs. */
    void (*done)(const struct report *report, const char *sentence);
    /* It was not: {"error","detail"}, or one sentence. */
    void (*failure)(const char *error, const char *detail);
};

extern const struct output output_text, output_json;

#endif
