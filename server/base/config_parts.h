/* config_parts.h: what the files of the configuration share: the tables of keys, and the reading of
 * one configuration.
 *
 * config.c reads a file and config_line.c a command line into the same struct, key by key through
 * config_keys.c; config_check.c then looks at the whole. Included by these files (and their test)
 * alone. */
#ifndef BASE_CONFIG_PARTS_H
#define BASE_CONFIG_PARTS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

#define CONFIG_KEYS_MAX 48

/* `auto` for a duration, until config_check. */
#define CONFIG_AUTO UINT64_MAX

/* 0: not written, the default holds. */
struct config_app_lines {
    int mount, listens;
};
struct config_listen_lines {
    int app;
};

/* A configuration that is being read. After the first complaint the rest does not matter. */
struct config_reading {
    const char *path; /* of the file, as the operator wrote it; NULL: the command line */
    struct config *config;
    bool has_failed;
    char *error;                        /* the first complaint; NULL: memory ran out */
    int server_lines[CONFIG_KEYS_MAX];  /* where each of config_server_keys was set; 0: not yet */
    int section_lines[CONFIG_KEYS_MAX]; /* the same for the keys of the section that is being
                                            read */
    struct config_app_lines *app_lines; /* one for each of config->apps */
    struct config_listen_lines *listen_lines; /* one for each of config->listens */
    char *module_problem; /* of the first that cannot be read; a complaint unless there is a
                             fallback */
    int module_line;
};

struct config_key;
/* Checks `text` and stores it in *field, or complains. */
typedef void config_set(struct config_reading *reading, const struct config_key *key, void *field,
                        const char *text, int line);

/* A key, in the words of the configuration file. A table ends with a name of NULL. */
struct config_key {
    const char *name;
    const char *value;     /* default; NULL: none */
    const char *min, *max; /* bounds, both included; NULL: none */
    config_set *set;
    size_t offset; /* of the field in its struct */
};

extern const struct config_key config_server_keys[]; /* in struct config */
extern const struct config_key config_listen_keys[]; /* in struct config_listen */
extern const struct config_key config_app_keys[];    /* in struct config_app */

/* Keeps the first: "FILE:LINE: ...", without the line where it is 0, without both for the command
 * line. */
void config_complain(struct config_reading *reading, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A copy, or NULL after complaining. */
char *config_keep(struct config_reading *reading, const char *text);

/* Sets the key `name` in `object`, whose keys are `keys`; `lines` are theirs and refuse a key that
 * is set twice. */
void config_set_key(struct config_reading *reading, const struct config_key *keys, void *object,
                    int *lines, const char *name, const char *text, int line);
void config_set_defaults(struct config_reading *reading, const struct config_key *keys,
                         void *object);
/* The line where a key of the server was set, 0 for a default. */
int config_line_of(const struct config_reading *reading, const char *name);

/* With every key at its default. */
void config_reading_init(struct config_reading *reading, const char *path);
/* Checks the whole; NULL with *error_out set when it, or anything before, is wrong. Takes the
 * reading's memory. */
struct config *config_reading_end(struct config_reading *reading, char **error_out);

/* A new listener or app at the end of its array, with every key at its default; NULL after
 * complaining. */
struct config_listen *config_add_listen(struct config_reading *reading, const char *text, int line);
struct config_app *config_add_app(struct config_reading *reading, const char *name, int line);

/* The same sentence about a configuration that was read whole, for the server key `key`: -1 with it
 * in *error_out, which is NULL when memory has run out. */
int config_refuse(const struct config *config, const char *key, char **error_out,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What only the whole can tell: needed things that are missing, names and mounts used twice, values
 * that do not go together. Resolves what is `auto`. */
void config_check(struct config_reading *reading);

#endif
