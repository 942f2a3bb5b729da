/* access.h: the access log: one line a request, gathered, written whole. */
#ifndef APP_ACCESS_H
#define APP_ACCESS_H

#include <stdint.h>

#include "base/config.h"

struct access_log;
struct event_base;
struct reeve_environ;

/* Opens `path` for appending ("-" is stdout). NULL with errno. */
struct access_log *access_log_open(struct event_base *base, const char *path,
                                   enum access_format format);
/* Writes what was gathered. */
void access_log_close(struct access_log *log);
/* Opens the path anew, after a rotation; on failure goes on with the old file and returns -1. */
int access_log_reopen(struct access_log *log);

/* `now` is clock_ns(). Lines leave when enough have come together, at the latest after a second. */
void access_log_request(struct access_log *log, const struct reeve_environ *request, uint64_t now);

#endif
