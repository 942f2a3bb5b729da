/* options.c: see options.h. An option is added here, with its id there, and to its verbs' rows in
 * commands.c. */
#include "options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "words.h"

/* clang-format off */
const struct option options[OPTION_COUNT] = {
    [OPTION_SOCKET]  = {"socket",  's', KIND_TEXT,     "PATH", NULL, 0, 0, false,
                        "the control socket (by default where reeve puts it)"},
    [OPTION_JSON]    = {"json",    'j', KIND_FLAG,     NULL,   NULL, 0, 0, false,
                        "answer in JSON, for programs"},
    [OPTION_TIMEOUT] = {"timeout", 't', KIND_DURATION, "TIME", NULL, 0, 0, false,
                        "give up waiting after so long (by default 30s for\n"
                        "questions, never for actions)"},
    [OPTION_HELP]    = {"help",    'h', KIND_FLAG,     NULL,   NULL, 0, 0, false, "this page"},
    [OPTION_VERSION] = {"version", 'V', KIND_FLAG,     NULL,   NULL, 0, 0, false, "the version"},

    [OPTION_ALL]    = {"all",    0, KIND_FLAG, NULL, NULL, 0, 0, true,
                       "every application"},
    [OPTION_CONFIG] = {"config", 0, KIND_FLAG, NULL, NULL, 0, TAKES(OPTION_ALL) | TAKES(OPTION_CANARY), true,
                       "the configuration instead: read anew and checked\n"
                       "whole, then the workers roll onto it"},
    [OPTION_CANARY] = {"canary", 0, KIND_SHARE, "N|P%", "canary", 0, 0, false,
                       "first in N workers, or in P% of them, only; judged\n"
                       "there, then everywhere or nowhere"},
    [OPTION_FOR]          = {"for",          0, KIND_DURATION, "TIME", "for", OPTION_CANARY, 0, false,
                             "how long it is watched, such as 30s or 5m"},
    [OPTION_MAX_ERRORS]   = {"max-errors",   0, KIND_FRACTION, "P%",   "max_errors", OPTION_CANARY, 0, false,
                             "of its requests may fail, such as 1%"},
    [OPTION_MAX_LATENCY]  = {"max-latency",  0, KIND_FACTOR,   "Fx",   "max_latency", OPTION_CANARY, 0, false,
                             "so much slower than the old code it may be: 2x"},
    [OPTION_MIN_REQUESTS] = {"min-requests", 0, KIND_COUNT,    "N",    "min_requests", OPTION_CANARY, 0, false,
                             "it is not judged by fewer"},
    [OPTION_MAX_UNAVAILABLE] = {"max-unavailable", 0, KIND_NUMBER, "N", "max_unavailable", 0, 0, false,
                                "so many workers are replaced at a time"},
    [OPTION_BINARY]  = {"binary",  0, KIND_PATH,   "PATH", "binary", 0, 0, false,
                        "the new one (by default what lies where the running\n"
                        "one was started from)"},
    [OPTION_LIMIT]   = {"limit",   0, KIND_NUMBER, "N",    NULL, 0, 0, false, "only the latest N"},
    [OPTION_NO_WAIT] = {"no-wait", 0, KIND_FLAG,   NULL,   NULL, 0, 0, false,
                        "return as soon as it has begun"},
    [OPTION_NOW]     = {"now",     0, KIND_FLAG,   NULL,   NULL, 0, 0, false,
                        "cut running requests off"},
    [OPTION_INTERVAL] = {"interval", 0, KIND_DURATION, "TIME", NULL, 0, 0, false,
                         "between two looks, from 100ms on (by default 1s)"},
};
/* clang-format on */

static const char *const expected[] = {
    [KIND_FLAG] = "no value",
    [KIND_TEXT] = "a path",
    [KIND_PATH] = "the path of a file",
    [KIND_SHARE] = "a number of workers from 1 on, or a percentage such as 25%",
    [KIND_DURATION] = "a time such as 30s, 500ms or 5m, or a number of seconds",
    [KIND_FRACTION] = "a percentage such as 1%, or a fraction below 1 such as 0.01",
    [KIND_FACTOR] = "a factor from 1 on, such as 2x or 1.5x",
    [KIND_NUMBER] = "a whole number from 1 on",
    [KIND_COUNT] = "a whole number",
};

const char *option_expected(enum option_id id)
{
    return expected[options[id].kind];
}

/* ---- finding ---- */

enum option_id option_find(const char *word, const char **value_out)
{
    *value_out = NULL;
    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        const struct option *option = &options[id];
        size_t length = strlen(option->name);

        if (option->letter != 0 && word[1] == option->letter) {
            *value_out = word[2] == '\0' ? NULL : word + 2;
            return (enum option_id)id;
        }
        if (word[1] != '-' || strncmp(word + 2, option->name, length) != 0)
            continue;
        if (word[2 + length] == '=')
            *value_out = word + 3 + length;
        if (word[2 + length] == '\0' || word[2 + length] == '=')
            return (enum option_id)id;
    }
    return OPTION_NONE;
}

enum option_id option_nearest(const char *word, unsigned among)
{
    enum option_id nearest = OPTION_NONE;
    int best = WORDS_APART;
    char name[32];

    if (strncmp(word, "--", 2) != 0)
        return OPTION_NONE;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        int distance = words_distance(name, options[id].name);

        if ((among & TAKES(id)) != 0 && distance < best) {
            best = distance;
            nearest = (enum option_id)id;
        }
    }
    return nearest;
}

/* ---- values ---- */

/* Digits with at most one point among them, as a whole up to *end_out: strtod alone would take
 * "inf", "1e9", "0x10" and signs as well. */
static bool read_decimal(const char *text, double *number_out, const char **end_out)
{
    size_t length = strspn(text, "0123456789."), digits = strspn(text, "0123456789");
    const char *point = memchr(text, '.', length);
    char plain[32];

    if (length == 0 || length >= sizeof plain || digits == 0 ||
        (point != NULL && memchr(point + 1, '.', length - (size_t)(point + 1 - text)) != NULL))
        return false;
    memcpy(plain, text, length);
    plain[length] = '\0';
    *number_out = strtod(plain, NULL);
    *end_out = text + length;
    return true;
}

static bool read_count(const char *text, double *number_out)
{
    size_t length = strspn(text, "0123456789");

    if (length == 0 || length > 9 || text[length] != '\0')
        return false;
    *number_out = strtod(text, NULL);
    return true;
}

bool option_number(const char *text, double *number_out)
{
    return read_count(text, number_out) && *number_out >= 1;
}

static bool read_duration(const char *text, double *seconds_out)
{
    const char *end;
    uint64_t ns;

    if (config_duration(text, &ns) == 0)
        *seconds_out = (double)ns / (double)NS_PER_SEC;
    else if (!read_decimal(text, seconds_out, &end) || (*end != '\0' && strcmp(end, "s") != 0))
        return false;
    return *seconds_out > 0 && *seconds_out < 1e8;
}

static bool read_fraction(const char *text, double *fraction_out)
{
    const char *end;

    if (!read_decimal(text, fraction_out, &end))
        return false;
    if (strcmp(end, "%") == 0) {
        *fraction_out /= 100;
        return *fraction_out <= 1;
    }
    return *end == '\0' && *fraction_out < 1; /* a bare 1 is likely meant to be 1% */
}

static bool read_factor(const char *text, double *factor_out)
{
    const char *end;

    return read_decimal(text, factor_out, &end) && (*end == '\0' || strcmp(end, "x") == 0) &&
           *factor_out >= 1 && *factor_out < 1e6;
}

static bool read_share(const char *text, double *number_out)
{
    char digits[8];
    size_t length = strcspn(text, "%");

    if (text[length] == '\0')
        return option_number(text, number_out);
    if (length >= sizeof digits || text[length + 1] != '\0')
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)length, text);
    return option_number(digits, number_out) && *number_out <= 100;
}

static bool read_path(const char *text, struct option_value *value)
{
    char folder[PATH_MAX];

    if (text[0] == '/' || text[0] == '\0')
        return text[0] != '\0';
    if (getcwd(folder, sizeof folder) == NULL || asprintf(&value->owned, "%s/%s", folder, text) < 0)
        return false;
    value->text = value->owned;
    return true;
}

bool option_set(enum option_id id, const char *text, struct option_value *value_out)
{
    struct option_value value = {.is_given = true, .text = text};
    bool is_right = true;

    switch (options[id].kind) {
    case KIND_FLAG:
        break;
    case KIND_TEXT:
        is_right = text[0] != '\0';
        break;
    case KIND_PATH:
        is_right = read_path(text, &value);
        break;
    case KIND_SHARE:
        is_right = read_share(text, &value.number);
        break;
    case KIND_DURATION:
        is_right = read_duration(text, &value.number);
        break;
    case KIND_FRACTION:
        is_right = read_fraction(text, &value.number);
        break;
    case KIND_FACTOR:
        is_right = read_factor(text, &value.number);
        break;
    case KIND_NUMBER:
        is_right = option_number(text, &value.number);
        break;
    case KIND_COUNT:
        is_right = read_count(text, &value.number);
        break;
    }
    if (is_right) {
        free(value_out->owned); /* it was given twice: the last counts */
        *value_out = value;
    }
    return is_right;
}

void option_fini(struct option_value values[OPTION_COUNT])
{
    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++)
        free(values[id].owned);
}

cJSON *option_body(const struct option_value values[OPTION_COUNT])
{
    cJSON *body = cJSON_CreateObject();

    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        const struct option *option = &options[id];

        if (!values[id].is_given || option->key == NULL)
            continue;
        if (option->kind == KIND_SHARE || option->kind == KIND_PATH)
            cJSON_AddStringToObject(body, option->key, values[id].text);
        else
            cJSON_AddNumberToObject(body, option->key, values[id].number);
    }
    return body;
}
