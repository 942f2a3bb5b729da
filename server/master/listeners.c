/* listeners.c: the sockets that are open, the set of them that is in force, and the one that a new
 * configuration prepares. */
#include "master/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/log.h"
#include "master/listening.h"
#include "master/sentence.h"

/* What one configuration listens on, in its order. */
struct set {
    struct listening **sockets;
    struct wish *wishes;
    int *fds;
    bool *is_kept;
    size_t count;
};

struct listeners {
    TAILQ_HEAD(, listening) sockets;
    struct set in_force, prepared; /* `prepared` is empty but between prepare and its end */
};

/* ---- sockets that are there already ---- */

int listeners_inherit(struct listeners *listeners, const struct listeners_inherited *sockets,
                      size_t count, char **error_out)
{
    for (size_t i = 0; i < count; i++) {
        struct listening *socket = listening_inherit(&sockets[i], error_out);

        if (socket == NULL) {
            for (; i < count; i++)
                close(sockets[i].fd);
            listeners_shut(listeners);
            return -1;
        }
        TAILQ_INSERT_TAIL(&listeners->sockets, socket, entry);
    }
    return 0;
}

/* ---- sets ---- */

static void set_free(struct set *set)
{
    for (size_t i = 0; set->wishes != NULL && i < set->count; i++) {
        free(set->wishes[i].name);
        free(set->wishes[i].address);
    }
    free(set->sockets);
    free(set->wishes);
    free(set->fds);
    free(set->is_kept);
    *set = (struct set){.count = 0};
}

static int set_wishes(struct set *set, const struct config *config)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct config_listen *listen = &config->listens[i];

        set->wishes[i] = (struct wish){.name = strdup(listen->name),
                                       .address = strdup(listen->address.text),
                                       .backlog = listen->backlog,
                                       .mode = listen->mode};
        if (set->wishes[i].name == NULL || set->wishes[i].address == NULL)
            return -1;
    }
    return 0;
}

static int set_make(struct set *set, const struct config *config)
{
    *set = (struct set){.count = config->listen_count};
    set->sockets = calloc(set->count, sizeof(struct listening *));
    set->wishes = calloc(set->count, sizeof(*set->wishes));
    set->fds = calloc(set->count, sizeof(*set->fds));
    set->is_kept = calloc(set->count, sizeof(*set->is_kept));
    if (set->sockets != NULL && set->wishes != NULL && set->fds != NULL && set->is_kept != NULL &&
        set_wishes(set, config) == 0)
        return 0;
    set_free(set);
    return -1;
}

/* How a `listen` finds its socket, the surest way first. */
static bool is_same_listen(const struct listening *socket, const struct config_listen *listen)
{
    return socket->wanted != NULL && strcmp(socket->wanted, listen->address.text) == 0 &&
           socket->name != NULL && strcmp(socket->name, listen->name) == 0;
}

static bool is_same_wish(const struct listening *socket, const struct config_listen *listen)
{
    return socket->wanted != NULL && strcmp(socket->wanted, listen->address.text) == 0;
}

static bool is_same_place(const struct listening *socket, const struct config_listen *listen)
{
    return strcmp(socket->address.text, listen->address.text) == 0;
}

static bool is_meant_by_name(const struct listening *socket, const struct config_listen *listen)
{
    return socket->wanted == NULL && socket->name != NULL &&
           strcmp(socket->name, listen->name) == 0;
}

typedef bool match(const struct listening *socket, const struct config_listen *listen);
static match *const matches[] = {is_same_listen, is_same_wish, is_same_place, is_meant_by_name};

static bool is_free(const struct listening *socket)
{
    return !socket->is_prepared && listening_is_reachable(socket);
}

static void find_open(struct listeners *listeners, const struct config *config, match *is_match)
{
    struct set *set = &listeners->prepared;
    struct listening *socket;

    for (size_t i = 0; i < set->count; i++) {
        if (set->sockets[i] != NULL)
            continue;
        TAILQ_FOREACH (socket, &listeners->sockets, entry) {
            if (is_free(socket) && is_match(socket, &config->listens[i])) {
                socket->is_prepared = true;
                set->sockets[i] = socket;
                set->is_kept[i] = true;
                break;
            }
        }
    }
}

static unsigned port_of(const struct sock_address *address)
{
    switch (address->addr.any.sa_family) {
    case AF_INET:
        return ntohs(address->addr.in.sin_port);
    case AF_INET6:
        return ntohs(address->addr.in6.sin6_port);
    default:
        return 0;
    }
}

/* Whether sockets that are to go allow another one at this port. How many there are. */
static size_t share_port(struct listeners *listeners, unsigned port, bool is_on)
{
    struct listening *socket;
    size_t count = 0;

    TAILQ_FOREACH (socket, &listeners->sockets, entry)
        if (!socket->is_prepared && port != 0 && port_of(&socket->address) == port)
            count += sock_share_port(socket->fd, is_on) == 0;
    return count;
}

/* "*:80" in the place of "127.0.0.1:80": both are open until the commit, so that nobody is refused
 * meanwhile, nor for good when it does not come to that. NULL with errno. */
static struct listening *open_one(struct listeners *listeners, const struct config_listen *listen)
{
    struct listening *socket = listening_open(listen, false);
    unsigned port = port_of(&listen->address);
    int error = errno;

    if (socket != NULL || error != EADDRINUSE || share_port(listeners, port, true) == 0) {
        errno = error;
        return socket;
    }
    socket = listening_open(listen, true);
    error = errno;
    share_port(listeners, port, false);
    errno = error;
    return socket;
}

static int open_missing(struct listeners *listeners, const struct config *config, char **error_out)
{
    struct set *set = &listeners->prepared;

    for (size_t i = 0; i < set->count; i++) {
        const struct config_listen *listen = &config->listens[i];

        if (set->sockets[i] != NULL)
            continue;
        set->sockets[i] = open_one(listeners, listen);
        if (set->sockets[i] == NULL)
            return sentence_set(error_out, "cannot listen on %s: %s", listen->address.text,
                                strerror(errno));
        set->sockets[i]->is_prepared = true;
        TAILQ_INSERT_TAIL(&listeners->sockets, set->sockets[i], entry);
    }
    return 0;
}

const int *listeners_prepare(struct listeners *listeners, struct config *config, char **error_out)
{
    struct set *set = &listeners->prepared;

    listeners_abandon(listeners);
    if (set_make(set, config) != 0) {
        sentence_set(error_out, "memory has run out");
        return NULL;
    }
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
        find_open(listeners, config, matches[i]);
    if (open_missing(listeners, config, error_out) != 0) {
        listeners_abandon(listeners);
        return NULL;
    }
    for (size_t i = 0; i < set->count; i++) {
        set->fds[i] = set->sockets[i]->fd;
        config->listens[i].address = set->sockets[i]->address;
    }
    return set->fds;
}

/* ---- the end of a preparation ---- */

void listeners_abandon(struct listeners *listeners)
{
    struct set *set = &listeners->prepared;

    for (size_t i = 0; i < set->count; i++) {
        struct listening *socket = set->sockets[i];

        if (socket == NULL)
            continue;
        socket->is_prepared = false;
        if (!set->is_kept[i]) {
            TAILQ_REMOVE(&listeners->sockets, socket, entry);
            listening_free(socket);
        }
    }
    set_free(set);
}

static void close_others(struct listeners *listeners)
{
    struct listening *socket = TAILQ_FIRST(&listeners->sockets), *next;

    for (; socket != NULL; socket = next) {
        next = TAILQ_NEXT(socket, entry);
        if (socket->is_prepared)
            continue;
        if (!socket->is_in_force) /* inherited, then */
            log_warnx("a socket at %s (%s) was passed, but no listener wants it: it is closed",
                      socket->address.text, socket->name == NULL ? "no name" : socket->name);
        TAILQ_REMOVE(&listeners->sockets, socket, entry);
        listening_free(socket);
    }
}

/* Taken by its name: its address may be another one than the operator thinks. */
static void warn_of_address(const struct listening *socket, const struct wish *wish)
{
    const char *port = strrchr(wish->address, ':');

    if (socket->wanted == NULL && strcmp(socket->address.text, wish->address) != 0 &&
        strcmp(port, ":0") != 0)
        log_warnx("the listener \"%s\" is at %s, where the socket of this name is that was passed, "
                  "not at %s",
                  wish->name, socket->address.text, wish->address);
}

void listeners_commit(struct listeners *listeners)
{
    struct set *set = &listeners->prepared;

    if (set->count == 0)
        return;
    close_others(listeners);
    for (size_t i = 0; i < set->count; i++) {
        struct listening *socket = set->sockets[i];

        if (socket == NULL)
            continue; /* shut meanwhile */
        warn_of_address(socket, &set->wishes[i]);
        listening_adjust(socket, &set->wishes[i]);
        socket->is_in_force = true;
        socket->is_prepared = false;
    }
    set_free(&listeners->in_force);
    listeners->in_force = *set;
    *set = (struct set){.count = 0};
}

/* ---- a rest ---- */

void listeners_rest(struct listeners *listeners)
{
    struct set *set = &listeners->in_force;

    for (size_t i = 0; i < set->count; i++) {
        if (set->sockets[i] != NULL)
            listening_shut(set->sockets[i]);
        set->fds[i] = -1;
    }
}

void listeners_reserve(struct listeners *listeners)
{
    struct set *set = &listeners->in_force;

    for (size_t i = 0; i < set->count; i++)
        if (set->sockets[i] != NULL)
            listening_reserve(set->sockets[i]);
}

int listeners_reopen(struct listeners *listeners, char **error_out)
{
    struct set *set = &listeners->in_force;

    for (size_t i = 0; i < set->count; i++) {
        struct listening *socket = set->sockets[i];

        if (listening_open_again(socket) != 0) {
            sentence_set(error_out, "cannot listen on %s: %s", socket->address.text,
                         strerror(errno));
            listeners_rest(listeners);
            return -1;
        }
        set->fds[i] = socket->fd;
    }
    return 0;
}

const char *listeners_passed(const struct listeners *listeners)
{
    const struct set *set = &listeners->in_force;

    for (size_t i = 0; i < set->count; i++)
        if (set->sockets[i] != NULL && !set->sockets[i]->is_ours)
            return set->sockets[i]->address.text;
    return NULL;
}

/* ---- asked ---- */

const int *listeners_fds(const struct listeners *listeners)
{
    return listeners->in_force.fds;
}

const char *listeners_change(const struct listeners *listeners, size_t i)
{
    const struct set *set =
        listeners->prepared.count > 0 ? &listeners->prepared : &listeners->in_force;

    return set->is_kept[i] ? "kept" : "added";
}

const char *listeners_removed(const struct listeners *listeners, size_t i)
{
    const struct listening *socket;

    if (listeners->prepared.count == 0)
        return NULL;
    TAILQ_FOREACH (socket, &listeners->sockets, entry)
        if (!socket->is_prepared && i-- == 0)
            return socket->address.text;
    return NULL;
}

size_t listeners_count(const struct listeners *listeners)
{
    const struct listening *socket;
    size_t count = 0;

    TAILQ_FOREACH (socket, &listeners->sockets, entry)
        count++;
    return count;
}

struct listeners_inherited listeners_socket(const struct listeners *listeners, size_t i)
{
    const struct listening *socket = TAILQ_FIRST(&listeners->sockets);

    while (i-- > 0)
        socket = TAILQ_NEXT(socket, entry);
    return (struct listeners_inherited){socket->fd, socket->name, socket->wanted, socket->is_ours};
}

/* ---- life ---- */

struct listeners *listeners_new(void)
{
    struct listeners *listeners = calloc(1, sizeof(*listeners));

    if (listeners != NULL)
        TAILQ_INIT(&listeners->sockets);
    return listeners;
}

static void forget_sockets(struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        set->sockets[i] = NULL;
        set->fds[i] = -1;
    }
}

void listeners_shut(struct listeners *listeners)
{
    struct listening *socket;

    while ((socket = TAILQ_FIRST(&listeners->sockets)) != NULL) {
        TAILQ_REMOVE(&listeners->sockets, socket, entry);
        listening_free(socket);
    }
    forget_sockets(&listeners->in_force);
    forget_sockets(&listeners->prepared); /* who prepared it still has its descriptors */
}

void listeners_free(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    listeners_shut(listeners);
    set_free(&listeners->in_force);
    set_free(&listeners->prepared);
    free(listeners);
}
