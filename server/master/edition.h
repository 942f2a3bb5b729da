/* edition.h: what a worker is made with at its fork: a configuration and the listening sockets that
 * belong to it. A reload of the configuration makes a new edition; workers of the former one live
 * on until they are replaced, and keep it alive. */
#ifndef MASTER_EDITION_H
#define MASTER_EDITION_H

#include "base/config.h"

struct edition {
    struct config *config; /* owned */
    const int *listeners;  /* one for each of config->listens, owned by listeners.c; -1 once shut */
    unsigned refs;
};

/* Takes over the configuration; the first reference is the caller's. NULL with ENOMEM: the
 * configuration is still the caller's then. */
struct edition *edition_new(struct config *config, const int *listeners);
struct edition *edition_ref(struct edition *edition);
void edition_unref(struct edition *edition); /* NULL is fine */

/* The app of a column, or NULL: this edition has none there. */
const struct config_app *edition_app(const struct edition *edition, unsigned column);

#endif
