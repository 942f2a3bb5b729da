/* limit.c: the physical limit for one worker on this machine.
 *
 * A bare epoll loop that answers every complete request head (found by its blank line) with one canned
 * response: no parsing, no timers, no headers looked at: about what the kernel alone costs. A server's ratio
 * to it says how much its own code adds; identical copies of it differ by up to 3%.
 *
 * usage: limit PORT [close]   (close: it ends each connection after its first answer) */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HEAD                                                                      \
    "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Fri, 20 Nov 2026 18:43:04 GMT\r\n" \
    "Content-Type: text/plain\r\nContent-Length: 14\r\n"
#define BODY "\r\nHello, World!\n"

static const char keep_answer[] = HEAD BODY;
static const char close_answer[] = HEAD "Connection: close\r\n" BODY;

static char in[65536], out[65536 * 8];

static int open_door(const char *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((unsigned short)atoi(port))};
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(door, (struct sockaddr *)&addr, sizeof addr) == -1 || listen(door, 4096) == -1) {
        perror("limit");
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
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(loop, fd);
    }
}

/* One answer for each blank line in the input. */
static size_t gather(size_t got, const char *answer, size_t size)
{
    size_t length = 0;

    for (char *p = in; (p = memmem(p, (size_t)(in + got - p), "\r\n\r\n", 4)); p += 4) {
        memcpy(out + length, answer, size);
        length += size;
    }
    return length;
}

static void serve(int fd, bool is_close)
{
    ssize_t got = read(fd, in, sizeof in);
    size_t length;

    if (got <= 0) {
        close(fd);
        return;
    }
    length = is_close ? gather((size_t)got, close_answer, sizeof close_answer - 1)
                      : gather((size_t)got, keep_answer, sizeof keep_answer - 1);
    if (length > 0 && (write(fd, out, length) < 0 || is_close))
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[256];
    bool is_close = argc > 2 && strcmp(argv[2], "close") == 0;
    int loop, door;

    if (argc < 2) {
        fputs("usage: limit PORT [close]\n", stderr);
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
                serve(ready[i].data.fd, is_close);
    }
}
