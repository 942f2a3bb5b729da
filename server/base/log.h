/* log.h: the four words of the log, and info and debug beside them.
 *
 * A line is "TIME LEVEL role[pid]: text", TIME being local as 2026-01-31T09:05:00.123+01:00.
 * log_warn and fatal append strerror(errno); all keep errno. Every line is one write(2) of at most
 * 4096 bytes, longer ones are cut ("..."), so lines of several processes do not mix. Control bytes
 * in the text are escaped. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Opens the log: `path` NULL is stderr. Returns 0 or -1 with errno; the former log stays then. */
int log_open(const char *path, enum log_level level);
/* It is open as log_open with these would open it. */
bool log_is_as(const char *path, enum log_level level);
/* Opens the same path again, after a rotation. On failure goes on with the old descriptor and
 * returns -1. */
int log_reopen(void);
/* Who speaks: "master", "worker 2.1". Copied. */
void log_set_role(const char *role);
bool log_is_on(enum log_level level);
int log_fd(void);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* With strerror(errno). */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Without errno: something was lost. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_text(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Say it and exit(1): for start-up only. */
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A level by its name in the configuration (debug info warn error): 0 or -1. */
int log_level_of(const char *name, enum log_level *level_out);

#endif
