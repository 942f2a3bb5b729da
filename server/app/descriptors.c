/* descriptors.c: what applications do with descriptors of their own: waiting, reading, writing,
 * accepting, connecting to an address.
 *
 * Each call first tries, and waits only when there is nothing to be had: one that need not wait
 * works in a cancelled coroutine, too. */
#include "app/descriptors.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <reeve/async.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/generation.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/holder.h"
#include "runtime/coro.h"
#include "runtime/fdwait.h"

_Static_assert(REEVE_READABLE == FD_READABLE && REEVE_WRITABLE == FD_WRITABLE, "they are the same");

/* A Unix socket whose queue is full is tried again; nothing would tell when there is room. */
#define FULL_PAUSE_LEAST (NS_PER_MS)
#define FULL_PAUSE_MOST  (50 * NS_PER_MS)

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- time ---- */

uint64_t deadline_after(double seconds)
{
    uint64_t ns = strand_limit(seconds);

    return ns == CORO_FOREVER ? CORO_FOREVER : clock_ns() + ns;
}

uint64_t deadline_left(uint64_t deadline)
{
    uint64_t now;

    if (deadline == CORO_FOREVER)
        return CORO_FOREVER;
    now = clock_ns();
    return now < deadline ? deadline - now : 0;
}

/* ---- waiting ---- */

static struct event_base *base_of(const struct strand *strand)
{
    return strand->generation->app->room->net.base;
}

/* A call that may wait begins: NULL with errno. */
static const struct strand *enter(unsigned call, const void *site)
{
    const struct strand *strand = strand_current();

    if (strand)
        coro_note(call, site);
    return strand;
}

static int wait_until(const struct strand *strand, int fd, unsigned events, uint64_t deadline)
{
    int reason = fd_wait(base_of(strand), fd, events, deadline_left(deadline), NULL);

    return reason ? fail(reason) : 0;
}

/* After a step that has failed: 0 when it is to be tried again, once fd is ready. */
static int try_again(const struct strand *strand, int fd, unsigned events, uint64_t deadline)
{
    if (errno == EINTR)
        return 0;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return -1;
    return wait_until(strand, fd, events, deadline);
}

static int take_turns(void)
{
    int reason = fd_take_turns();

    return reason ? fail(reason) : 0;
}

/* epoll takes none of these. */
static bool is_always_ready(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

int reeve_wait_fd(int fd, unsigned events, double seconds)
{
    const struct strand *strand = enter(CALL_FD, __builtin_return_address(0));
    unsigned ready = 0;
    int now, reason;

    if (!strand || take_turns() == -1)
        return -1;
    if (events == 0 || events & ~(REEVE_READABLE | REEVE_WRITABLE))
        return fail(EINVAL);
    now = fd_poll(fd, events);
    if (now > 0 && is_always_ready(fd))
        return fail(EPERM);
    if (now != 0)
        return now;
    reason = fd_wait(base_of(strand), fd, events, strand_limit(seconds), &ready);
    return reason ? fail(reason) : (int)ready;
}

/* ---- reading and writing ---- */

ssize_t reeve_fd_read(int fd, void *buffer, size_t size, double seconds)
{
    const struct strand *strand = enter(CALL_FD, __builtin_return_address(0));
    uint64_t deadline = deadline_after(seconds);
    ssize_t n;

    if (!strand || take_turns() == -1)
        return -1;
    while ((n = read(fd, buffer, size)) == -1)
        if (try_again(strand, fd, FD_READABLE, deadline) == -1)
            return -1;
    return n;
}

int reeve_fd_write(int fd, const void *data, size_t size, double seconds)
{
    const struct strand *strand = enter(CALL_FD, __builtin_return_address(0));
    uint64_t deadline = deadline_after(seconds);
    const char *bytes = data;
    ssize_t n;

    if (!strand)
        return -1;
    while (size > 0) {
        if (take_turns() == -1)
            return -1;
        n = write(fd, bytes, size);
        if (n == -1 && try_again(strand, fd, FD_WRITABLE, deadline) == -1)
            return -1;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* ---- connections ---- */

/* Small messages leave at once; what is no TCP socket takes no notice. */
static int prepare(int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int reeve_fd_accept(int fd, struct sockaddr *address, socklen_t *length, double seconds)
{
    const struct strand *strand = enter(CALL_FD, __builtin_return_address(0));
    uint64_t deadline = deadline_after(seconds);
    int connection, saved;

    if (!strand || take_turns() == -1)
        return -1;
    while ((connection = accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
        if (errno != ECONNABORTED && try_again(strand, fd, FD_READABLE, deadline) == -1)
            return -1;
    saved = errno;
    prepare(connection);
    errno = saved;
    return connection;
}

static int error_of(int fd)
{
    socklen_t length = sizeof(int);
    int error = 0;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1 ? errno : error;
}

static int finish_connecting(const struct strand *strand, int fd, uint64_t deadline)
{
    int error;

    if (wait_until(strand, fd, FD_WRITABLE, deadline) == -1)
        return -1;
    error = error_of(fd);
    return error ? fail(error) : 0;
}

/* Once more while a Unix socket's queue is full. */
static int begin_connecting(int fd, const struct sockaddr *address, socklen_t length,
                            uint64_t deadline)
{
    uint64_t pause = FULL_PAUSE_LEAST, left;
    int reason;

    while (connect(fd, address, length) == -1) {
        if (errno != EAGAIN || address->sa_family != AF_UNIX)
            return -1;
        left = deadline_left(deadline);
        if (left == 0)
            return fail(ETIMEDOUT);
        reason = coro_sleep(pause < left ? pause : left);
        if (reason)
            return fail(reason);
        if (pause < FULL_PAUSE_MOST)
            pause *= 2;
    }
    return 0;
}

static int connect_socket(const struct strand *strand, int fd, const struct sockaddr *address,
                          socklen_t length, uint64_t deadline)
{
    if (begin_connecting(fd, address, length, deadline) == 0)
        return 0;
    /* An interrupted one goes on as well. */
    if (errno != EINPROGRESS && errno != EINTR)
        return -1;
    return finish_connecting(strand, fd, deadline);
}

int descriptor_connect(const struct strand *strand, const struct sockaddr *address,
                       socklen_t length, uint64_t deadline)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

    if (fd == -1)
        return -1;
    saved = errno;
    prepare(fd);
    if (connect_socket(strand, fd, address, length, deadline) == 0) {
        errno = saved;
        return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int reeve_fd_connect(const struct sockaddr *address, socklen_t length, double seconds)
{
    const struct strand *strand = enter(CALL_CONNECT, __builtin_return_address(0));

    if (!strand || take_turns() == -1)
        return -1;
    if (length < sizeof address->sa_family)
        return fail(EINVAL);
    return descriptor_connect(strand, address, length, deadline_after(seconds));
}
