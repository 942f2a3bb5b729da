/* steady.c: a client that asks at a constant rate, whatever the answers take.
 *
 * wrk asks again when it has been answered, so a server that stands still is asked less just then,
 * and its worst moments are hardly measured. Here request k is due at a fixed moment, and its
 * latency counts from then: what must wait because all connections are waiting has waited. It takes
 * a higher priority where it may, so that what else runs on its CPU is not measured as well.
 *
 * usage: steady PORT PATH RATE SECONDS CONNECTIONS
 * prints: requests, errors (not sent, not answered, other than 200), then of the answered ones the
 * p50, p99, p99.9 and the longest, and the p99 of how late all were sent; in us */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND   1000000000ull
#define PATIENCE (5 * SECOND) /* for the last answers */

struct connection {
    int fd;
    bool is_ready;   /* its handshake is over */
    bool is_waiting; /* for an answer */
    uint64_t due;    /* when its request was to be sent */
    size_t got;      /* bytes of the answer, so far */
    char answer[8192];
    struct connection *next; /* of those that are free */
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static char request[1024];
static size_t request_size;
static int loop;
static struct connection *free_first; /* the last one used comes first */
static size_t unanswered;

static uint64_t *latencies, *lateness;
static size_t answered, sent, errors;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "steady: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- connections ---- */

static void become_free(struct connection *c)
{
    c->is_waiting = false;
    c->got = 0;
    c->next = free_first;
    free_first = c;
}

static void become_taken(struct connection *c)
{
    for (struct connection **link = &free_first; *link; link = &(*link)->next)
        if (*link == c) {
            *link = c->next;
            return;
        }
}

static void open_connection(struct connection *c)
{
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1)
        die("socket");
    c->is_ready = false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) == -1 && errno != EINPROGRESS)
        die("connect");
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &want) == -1)
        die("epoll_ctl");
}

/* The server has closed it, or it is of no more use. What it was waiting for is lost. */
static void open_again(struct connection *c)
{
    if (c->is_waiting) {
        errors++;
        unanswered--;
        c->is_waiting = false;
    } else {
        become_taken(c);
    }
    close(c->fd);
    c->got = 0;
    open_connection(c);
}

/* ---- requests and answers ---- */

static void ask(struct connection *c, uint64_t due, uint64_t now)
{
    become_taken(c);
    c->is_waiting = true;
    c->due = due;
    unanswered++;
    lateness[sent++] = now - due;
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        open_again(c);
}

/* How long the whole answer is; 0 while its head is not complete. */
static size_t answer_size(const struct connection *c)
{
    const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4), *length;

    if (!end)
        return 0;
    length = strcasestr(c->answer, "\r\nContent-Length:");
    return (size_t)(end + 4 - c->answer) +
           (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void take_answer(struct connection *c, uint64_t now)
{
    bool is_last = strcasestr(c->answer, "\r\nConnection: close") != NULL;

    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) == 0)
        latencies[answered++] = now - c->due;
    else
        errors++;
    unanswered--;
    become_free(c);
    if (is_last)
        open_again(c);
}

static void on_readable(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, sizeof c->answer - 1 - c->got, 0);
    size_t size;

    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0 || !c->is_waiting) {
        open_again(c);
        return;
    }
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    size = answer_size(c);
    if (size > 0 && c->got >= size)
        take_answer(c, now_ns());
    else if (c->got == sizeof c->answer - 1)
        open_again(c);
}

static void on_event(struct connection *c, unsigned events)
{
    if (!c->is_ready && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP))) {
        c->is_ready = true;
        become_free(c);
    }
    if (events & EPOLLIN)
        on_readable(c);
    if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) /* what was to come has been read */
        open_again(c);
}

/* ---- the run ---- */

static void wait_until(uint64_t when)
{
    struct epoll_event ready[128];
    uint64_t now = now_ns(), ns = when > now ? when - now : 0;
    struct timespec most = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
    int n = epoll_pwait2(loop, ready, 128, &most, NULL);

    if (n == -1 && errno != EINTR)
        die("epoll_pwait2");
    for (int i = 0; i < n; i++)
        on_event(ready[i].data.ptr, ready[i].events);
}

static void run(double rate, size_t count)
{
    uint64_t begin = now_ns() + SECOND / 5; /* time for the handshakes */
    uint64_t end = begin + (uint64_t)((double)count / rate * SECOND) + PATIENCE;
    size_t next = 0;

    while ((next < count || unanswered > 0) && now_ns() < end) {
        uint64_t due = begin + (uint64_t)((double)next / rate * SECOND), now = now_ns();

        while (next < count && due <= now && free_first) {
            ask(free_first, due, now);
            due = begin + (uint64_t)((double)++next / rate * SECOND);
        }
        /* Without a free connection or anything left to send, an answer is what it waits for. */
        wait_until(next < count && (free_first || due > now) ? due : now + SECOND / 10);
    }
    errors += count - next + unanswered;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double quantile_us(const uint64_t *sorted, size_t count, double q)
{
    size_t i = (size_t)((double)count * q);

    return count == 0 ? 0 : (double)sorted[i < count ? i : count - 1] / 1e3;
}

static void report(size_t count)
{
    qsort(latencies, answered, sizeof *latencies, compare);
    qsort(lateness, sent, sizeof *lateness, compare);
    printf("%zu %zu %.1f %.1f %.1f %.1f %.1f\n", count, errors,
           quantile_us(latencies, answered, 0.5), quantile_us(latencies, answered, 0.99),
           quantile_us(latencies, answered, 0.999), quantile_us(latencies, answered, 1),
           quantile_us(lateness, sent, 0.99));
}

int main(int argc, char **argv)
{
    double rate = argc == 6 ? atof(argv[3]) : 0;
    size_t count = argc == 6 ? (size_t)(rate * atof(argv[4])) : 0;
    size_t connections = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;
    struct connection *all;

    if (count == 0 || connections == 0) {
        fputs("usage: steady PORT PATH RATE SECONDS CONNECTIONS\n", stderr);
        return 2;
    }
    server.sin_port = htons((unsigned short)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    request_size = (size_t)snprintf(
        request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[2], argv[1]);
    all = calloc(connections, sizeof *all);
    latencies = calloc(count, sizeof *latencies);
    lateness = calloc(count, sizeof *lateness);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (!all || !latencies || !lateness || request_size >= sizeof request || loop == -1)
        die("start");
    memset(latencies, 0xff, count * sizeof *latencies); /* touched before, not during the run */
    memset(lateness, 0xff, count * sizeof *lateness);
    prctl(PR_SET_TIMERSLACK, 1);
    setpriority(PRIO_PROCESS, 0, -20); /* or not */
    for (size_t i = 0; i < connections; i++)
        open_connection(&all[i]);
    run(rate, count);
    report(count);
    return 0;
}
