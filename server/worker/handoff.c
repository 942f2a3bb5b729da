/* handoff.c: a connection leaves with its descriptor and with the name of its listener. Nothing
 * else is to be said of an idle one: what its client has sent meanwhile lies in the socket. */
#include "worker/handoff.h"

#include <stdlib.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/identity.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/net.h"
#include "worker/link.h"

#define COMPLAIN_EVERY (10 * NS_PER_SEC)

void handoff_fini(struct handoff *handoff)
{
    free(handoff->has_taker);
}

bool handoff_set_takers(struct handoff *handoff, const char *identities)
{
    size_t count = handoff->config->listen_count;

    free(handoff->has_taker);
    handoff->has_taker = identities ? calloc(count, sizeof(bool)) : NULL;
    for (size_t i = 0; handoff->has_taker && i < count; i++)
        handoff->has_taker[i] = identity_is_among(&handoff->config->listens[i], identities);
    return handoff->has_taker;
}

bool handoff_has_taker(const struct handoff *handoff, const struct listener *listener)
{
    return handoff->has_taker && handoff->has_taker[listener_index(listener)];
}

bool handoff_give(struct handoff *handoff, int *fd, const struct listener *listener, bool has_asked)
{
    const struct config_listen *listen = &handoff->config->listens[listener_index(listener)];
    char identity[IDENTITY_MOST];

    if (!identity_write(listen, identity))
        return false;
    return link_give_connection(handoff->link, &(struct message){.type = MESSAGE_CONNECTION,
                                                                 .generation = has_asked,
                                                                 .text = identity,
                                                                 .fd = fd});
}

static const struct listener *find_listener(const struct handoff *handoff, const char *identity)
{
    int index = handoff->listeners ? identity_find(handoff->config, identity) : -1;

    return index == -1 ? NULL : handoff->listeners[index];
}

static void complain(struct handoff *handoff, const char *why)
{
    uint64_t now = clock_ns();

    if (handoff->complained_at && now < handoff->complained_at + COMPLAIN_EVERY)
        return;
    handoff->complained_at = now;
    log_warnx("idle connections of another worker could not be taken over and are closed: %s", why);
}

void handoff_take(struct handoff *handoff, const struct message *message)
{
    const struct listener *listener = find_listener(handoff, message->text);
    int fd;

    if (message->fd && listener) {
        fd = *message->fd;
        *message->fd = -1;
        conn_adopt(handoff->net, fd, listener, message->generation == 1,
                   message->value == CONNECTION_KEEP);
        return;
    }
    board_add(&handoff->net->slot->closed, 1);
    complain(handoff, message->fd ? "they are of a listener that is not configured any more"
                                  : "descriptors have run out");
}
