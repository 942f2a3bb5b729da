/* chatloop.c: the physical limit of a line protocol that echoes, as limit.c is that of HTTP.
 *
 * A bare epoll loop that reads, and writes back what it has read up to the last newline; the rest of a
 * line waits for more. It looks at nothing else, has no limits and no timers.
 *
 * usage: chatloop PORT */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DESCRIPTORS 20000
#define LONGEST     65536

static struct rest {
    char *data;
    size_t size;
} rests[DESCRIPTORS];

static int open_door(const char *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((unsigned short)atoi(port))};
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(door, (struct sockaddr *)&addr, sizeof addr) == -1 || listen(door, 4096) == -1) {
        perror("chatloop");
        exit(1);
    }
    return door;
}

static void watch(int loop, int fd)
{
    struct epoll_event want = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &want);
}

static void accept_all(int loop, int door)
{
    int fd, on = 1;

    while ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= DESCRIPTORS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(loop, fd);
    }
}

static void hang_up(int fd)
{
    free(rests[fd].data);
    rests[fd] = (struct rest){0};
    close(fd);
}

static void serve(int fd)
{
    static char in[2 * LONGEST];
    struct rest *rest = &rests[fd];
    const char *end;
    ssize_t got;
    size_t size, length;

    memcpy(in, rest->data ? rest->data : "", rest->size);
    got = read(fd, in + rest->size, LONGEST);
    if (got <= 0) {
        hang_up(fd);
        return;
    }
    size = rest->size + (size_t)got;
    end = memrchr(in, '\n', size);
    length = end ? (size_t)(end + 1 - in) : 0;
    rest->size = size - length;
    if (rest->size > 0) {
        rest->data = realloc(rest->data, LONGEST);
        if (rest->size > LONGEST || !rest->data) {
            hang_up(fd);
            return;
        }
        memcpy(rest->data, in + length, rest->size);
    }
    if (length > 0 && write(fd, in, length) != (ssize_t)length)
        hang_up(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[256];
    int loop, door;

    if (argc < 2) {
        fputs("usage: chatloop PORT\n", stderr);
        return 2;
    }
    loop = epoll_create1(0);
    door = open_door(argv[1]);
    watch(loop, door);
    for (;;) {
        int n = epoll_wait(loop, ready, 256, -1);

        for (int i = 0; i < n; i++)
            if (ready[i].data.fd == door)
                accept_all(loop, door);
            else
                serve(ready[i].data.fd);
    }
}
