/* service.h: what a service manager (systemd, or whoever speaks its protocol) gives the master, and
 * is told by it: sockets, readiness, a line of status, signs of life.
 *
 * Its environment variables are read once and taken away, so that no child sees them. Where they
 * are not set, everything here does nothing; nothing here ever waits for the manager. */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/stats.h"
#include "master/listeners.h"

struct service;

/* Reads and unsets NOTIFY_SOCKET, WATCHDOG_USEC and LISTEN_FDS with theirs. NULL with ENOMEM. */
struct service *service_open(void);

/* From now on the loop of `base` shows that it is alive, as often as the manager asked for, and
 * asks for more time while a start, a reload or the end takes long. */
void service_watch(struct service *service, struct event_base *base);
void service_close(struct service *service);

/* The sockets that were handed in (listeners_inherit); the caller's from now on, but for the array
 * and the names. */
size_t service_sockets(struct service *service, const struct listeners_inherited **out);

/* ---- what the manager is told ---- */

/* Somebody listens. */
bool service_is_heard(const struct service *service);

/* The start, or a reload, has come to its end. */
void service_ready(struct service *service);
/* A change of the configuration, or of the program itself, has begun; service_ready ends it. */
void service_reloading(struct service *service);
void service_stopping(struct service *service);

/* One line for people (`systemctl status`); said again only when it is another one. */
void service_status(struct service *service, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The usual line: "2 workers, hello 3, echo 1; 1 deployment running". */
void service_describe(struct service *service, const struct stats *stats, unsigned deployments);

/* ---- over an exec in place ---- */

/* Puts the environment back, so that service_open in the next image finds what this one found; but
 * for the sockets, which go with all others. 0, or -1 with errno. */
int service_restore_environment(const struct service *service);
/* The exec has failed: children see nothing again. */
void service_clear_environment(void);

#endif
