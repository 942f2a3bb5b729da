/* listening.c: see listening.h. A Unix socket's file is removed only while it is the very file that
 * was made here: a successor may have put its own in the place. */
#include "master/listening.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "master/sentence.h"

static bool is_unix(const struct listening *socket)
{
    return socket->address.addr.any.sa_family == AF_UNIX;
}

static bool is_file_there(const struct listening *socket)
{
    struct stat st;

    return lstat(socket->address.addr.un.sun_path, &st) == 0 && st.st_dev == socket->file.st_dev &&
           st.st_ino == socket->file.st_ino;
}

bool listening_is_reachable(const struct listening *socket)
{
    return !is_unix(socket) || !socket->is_ours || is_file_there(socket);
}

static struct listening *listening_new(const char *name)
{
    struct listening *socket = calloc(1, sizeof(*socket));

    if (socket == NULL)
        return NULL;
    socket->fd = -1;
    socket->reserved = -1;
    socket->backlog = -1;
    socket->name = name == NULL ? NULL : strdup(name);
    if (name != NULL && socket->name == NULL) {
        free(socket);
        return NULL;
    }
    return socket;
}

/* The workers still hold it, and take what waits in its queue. Nobody new shall come into that queue
 * between their last look and their close, to be reset: his SYN is dropped, and when he tries again
 * he is refused. */
static void turn_away(const struct listening *socket)
{
    enum { TCP_FLAGS = 13, SYN = 0x02, ACK = 0x10 }; /* of the TCP header: RFC 9293 */
    struct sock_filter drop[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), /* who has begun already may end his handshake */
    };
    const struct sock_fprog program = {.len = sizeof(drop) / sizeof(drop[0]), .filter = drop};

    if (!is_unix(socket) && socket->is_ours) /* another one's owner goes on with it */
        setsockopt(socket->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void listening_shut(struct listening *socket)
{
    if (socket->fd == -1)
        return;
    if (is_unix(socket) && socket->is_ours && is_file_there(socket))
        unlink(socket->address.addr.un.sun_path);
    turn_away(socket);
    close(socket->fd);
    socket->fd = -1;
}

void listening_reserve(struct listening *socket)
{
    if (socket->fd == -1 && socket->reserved == -1)
        socket->reserved = sock_reserve(&socket->address);
}

static void end_reservation(struct listening *socket)
{
    if (socket->reserved != -1)
        close(socket->reserved);
    socket->reserved = -1;
}

void listening_free(struct listening *socket)
{
    listening_shut(socket);
    end_reservation(socket);
    free(socket->name);
    free(socket->wanted);
    free(socket);
}

struct listening *listening_open(const struct config_listen *listen, bool is_shared)
{
    struct listening *socket = listening_new(listen->name);

    if (socket == NULL)
        return NULL;
    socket->wanted = strdup(listen->address.text);
    socket->address = listen->address;
    socket->is_ours = true;
    socket->backlog = listen->backlog;
    socket->mode = listen->mode;
    if (socket->wanted != NULL)
        socket->fd = is_shared ? sock_listen_shared(&socket->address, listen->backlog)
                               : sock_listen(&socket->address, listen->backlog, listen->mode);
    if (socket->fd == -1) {
        int error = socket->wanted == NULL ? ENOMEM : errno;

        listening_free(socket);
        errno = error;
        return NULL;
    }
    if (is_unix(socket))
        lstat(socket->address.addr.un.sun_path, &socket->file);
    return socket;
}

int listening_open_again(struct listening *socket)
{
    socket->fd = sock_listen(&socket->address, socket->backlog, socket->mode);
    if (socket->fd == -1)
        return -1;
    end_reservation(socket);
    if (is_unix(socket))
        lstat(socket->address.addr.un.sun_path, &socket->file);
    return 0;
}

static void swap_texts(char **a, char **b)
{
    char *text = *a;

    *a = *b;
    *b = text;
}

void listening_adjust(struct listening *socket, struct wish *wish)
{
    swap_texts(&socket->name, &wish->name);
    swap_texts(&socket->wanted, &wish->address);
    if (!socket->is_ours)
        return; /* systemd's unit says the rest */
    if (socket->backlog != wish->backlog && listen(socket->fd, wish->backlog) != 0)
        log_warn("backlog of %s", socket->address.text);
    if (is_unix(socket) && (socket->mode != wish->mode || socket->backlog == -1) &&
        is_file_there(socket) && chmod(socket->address.addr.un.sun_path, wish->mode) != 0)
        log_warn("mode of %s", socket->address.text);
    socket->backlog = wish->backlog;
    socket->mode = wish->mode;
}

static bool is_listening(int fd)
{
    int type = 0, is_on = 0;
    socklen_t size = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_on, &size) == 0 && is_on != 0;
}

struct listening *listening_inherit(const struct listeners_inherited *from, char **error_out)
{
    const char *name = from->name == NULL ? "no name" : from->name;
    struct listening *socket;
    int on = 1;

    if (!is_listening(from->fd)) {
        sentence_set(error_out,
                     "descriptor %d (%s) was passed to be listened on, but it is no listening "
                     "stream socket",
                     from->fd, name);
        return NULL;
    }
    socket = listening_new(from->name);
    if (socket != NULL && from->address != NULL)
        socket->wanted = strdup(from->address);
    if (socket == NULL || (from->address != NULL && socket->wanted == NULL)) {
        sentence_set(error_out, "memory has run out");
        goto fail;
    }
    if (sock_name(from->fd, &socket->address) != 0 || sock_set_nonblocking(from->fd) != 0 ||
        sock_set_cloexec(from->fd, true) != 0) {
        sentence_set(error_out, "descriptor %d (%s) was passed, but cannot be listened on: %s",
                     from->fd, name, strerror(errno));
        goto fail;
    }
    socket->is_ours = from->is_ours;
    if (!is_unix(socket)) /* accepted sockets inherit it */
        setsockopt(from->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    else if (socket->is_ours)
        lstat(socket->address.addr.un.sun_path, &socket->file);
    socket->fd = from->fd;
    return socket;

fail:
    if (socket != NULL)
        listening_free(socket);
    return NULL;
}
