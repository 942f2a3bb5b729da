/* chat_connect.c: chats that an application makes: as a client of some other server. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/descriptors.h"
#include "app/generation.h"
#include "app/resolve.h"
#include "app/strand.h"
#include "base/holder.h"
#include "live/chat_private.h"
#include "runtime/coro.h"

static void *fail(int error)
{
    errno = error;
    return NULL;
}

static bool is_sound(const reeve_chat_protocol *protocol)
{
    return protocol->size >= offsetof(reeve_chat_protocol, high_water) &&
           protocol->size <= sizeof *protocol && protocol->name && *protocol->name &&
           (protocol->serve || protocol->found_terminator);
}

/* What was sent still leaves, as after serve. */
static void on_scope_end(void *arg)
{
    struct reeve_chat *chat = arg;

    chat_let_go(chat);
}

/* Takes fd over. */
static struct reeve_chat *open_chat(const struct strand *strand, int fd)
{
    struct net *net = &strand->generation->app->room->net;
    struct reeve_chat *chat = chat_new();
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    socklen_t length = sizeof peer;

    if (!chat) {
        close(fd);
        return fail(ENOMEM);
    }
    getpeername(fd, (struct sockaddr *)&peer, &length);
    if (stream_open(&chat->session.stream, net, fd, NULL, (struct sockaddr *)&peer) == -1) {
        free(chat);
        return fail(ENOMEM);
    }
    return chat;
}

/* The hook comes first: it is what can fail. */
static int tie_to_scope(struct reeve_chat *chat)
{
    chat->hook = reeve_scope_on_end(on_scope_end, chat);
    if (chat->hook)
        return 0;
    stream_free(&chat->session.stream);
    free(chat);
    errno = ENOMEM;
    return -1;
}

reeve_chat *reeve_chat_connect(const char *host, const char *service,
                               const reeve_chat_protocol *protocol, void *data, double seconds)
{
    const struct strand *strand = strand_current();
    struct reeve_chat *chat;
    int fd;

    if (!strand)
        return NULL;
    coro_note(CALL_CONNECT, __builtin_return_address(0));
    if (protocol && !is_sound(protocol))
        return fail(EINVAL);
    fd = resolve_and_connect(strand, host, service, deadline_after(seconds));
    if (fd == -1)
        return NULL;
    if (protocol && strand->generation->background.is_over) {
        close(fd); /* nobody would end it any more */
        return fail(ECANCELED);
    }
    chat = open_chat(strand, fd);
    if (!chat || (!protocol && tie_to_scope(chat) == -1))
        return NULL;
    chat_begin(chat, strand->generation, protocol ? protocol : &chat_plain);
    chat->session.data = data;
    return chat;
}
