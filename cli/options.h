/* options.h: every option of reevectl and of its verbs, as one table that feeds the parser, the
 * help, the completion and the bodies of requests. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum option_id {
    OPTION_NONE,
    OPTION_SOCKET, /* of reevectl itself: up to and including OPTION_VERSION */
    OPTION_JSON,
    OPTION_TIMEOUT,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_ALL, /* of verbs */
    OPTION_CONFIG,
    OPTION_CANARY,
    OPTION_FOR,
    OPTION_MAX_ERRORS,
    OPTION_MAX_LATENCY,
    OPTION_MIN_REQUESTS,
    OPTION_MAX_UNAVAILABLE,
    OPTION_BINARY,
    OPTION_LIMIT,
    OPTION_NO_WAIT,
    OPTION_NOW,
    OPTION_INTERVAL,
    OPTION_COUNT
};

/* A set of options. */
#define TAKES(id) (1u << (id))
#define TAKES_ALWAYS                                                                          \
    (TAKES(OPTION_SOCKET) | TAKES(OPTION_JSON) | TAKES(OPTION_TIMEOUT) | TAKES(OPTION_HELP) | \
     TAKES(OPTION_VERSION))

enum option_kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_PATH,     /* of a file; made absolute: the server may be elsewhere */
    KIND_SHARE,    /* "3", or "25%" */
    KIND_DURATION, /* "30s", "500ms", a number of seconds */
    KIND_FRACTION, /* "1%", or 0.01 */
    KIND_FACTOR,   /* "2x" */
    KIND_NUMBER,   /* from 1 on */
    KIND_COUNT,    /* from 0 on */
};

struct option {
    const char *name; /* "socket", without its dashes */
    char letter;      /* 0: it has none */
    enum option_kind kind;
    const char *argument; /* as the help shows it; NULL: a flag */
    const char *key;      /* its name in the request's body; NULL: it does not go there */
    enum option_id needs; /* is nothing without this one */
    unsigned excludes;    /* a set: those it cannot stand beside */
    bool is_instead;      /* of the verb's arguments */
    const char *summary;
};

extern const struct option options[OPTION_COUNT]; /* by id; [OPTION_NONE] is empty */

struct option_value {
    bool is_given;
    const char *text; /* as it was given; a KIND_PATH made absolute */
    char *owned;      /* what `text` is, where it was made here; NULL: it is the command line's */
    double number;    /* of the kinds that are one, in seconds, as a fraction */
};

/* The option that `word` is, OPTION_NONE if there is none such. *value_out: what stands in the same
 * word ("-sPATH", "--socket=PATH"), or NULL. */
enum option_id option_find(const char *word, const char **value_out);
/* The one that `word`, which is none, was most likely meant to be, of the set `among`, or
 * OPTION_NONE. */
enum option_id option_nearest(const char *word, unsigned among);
/* False: `text` is no value of this option, and option_expected says what one is. */
bool option_set(enum option_id id, const char *text, struct option_value *value_out);
void option_fini(struct option_value values[OPTION_COUNT]);
/* "a number of workers, or a percentage such as 25%" */
const char *option_expected(enum option_id id);
/* A whole number from 1 on, written in digits. */
bool option_number(const char *text, double *number_out);

/* The members of a request's body that the options given ask for. NULL when memory has run out. */
cJSON *option_body(const struct option_value values[OPTION_COUNT]);

#endif
