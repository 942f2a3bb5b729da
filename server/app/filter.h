/* filter.h: the filters over a response (reeve/filter.h), from the server's side.
 *
 * A request without any has request->filters NULL, and that is all it ever looks at. */
#ifndef APP_FILTER_H
#define APP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <reeve/app.h>

/* What the application's calls become when there are filters. `site` is where in the application's
 * code it was called. */
int filter_start(reeve_environ *request, const char *status, const reeve_header *headers);
int filter_write(reeve_environ *request, const struct iovec *pieces, int count, const void *site);
int filter_flush(reeve_environ *request, const void *site);
int filter_send_file(reeve_environ *request, int fd, off_t offset, size_t size, const void *site);

/* The application has returned 0, its iterable has ended: filters put out what they hold back. 0,
 * or -1: one of them failed. [suspends] */
int filter_end(reeve_environ *request);

/* start_response was called. */
bool filter_has_started(const reeve_environ *request);

/* The application declared a length, and gave less. */
bool filter_is_short(const reeve_environ *request);

#endif
