/* wsload.c: a client of long-lived connections: WebSockets, or a line protocol that echoes.
 *
 *   echo, chat   each connection has `depth` messages (chat: lines) under way, and sends the next one
 *                when one has come back
 *   broadcast    the connections only listen; one more at PUBLISH sends a message, and the next one
 *                when all have got it: how long did the last one take?
 *
 * All that comes is compared with what must come, byte by byte. It refuses to go on when anything is
 * lost or wrong. WebSocket pings are skipped, not answered.
 *
 * usage: wsload [-c CONNECTIONS] [-s SIZE] [-d DEPTH] [-t SECONDS] [-p PUBLISH] MODE PORT [PATH]
 * It prints "ready" when all are connected, begins at the next line of its input (or its end), prints
 * one object of JSON, and hangs up at the end of its input: so that its parent can take the server's
 * times in between. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define SECOND    1000000000ull
#define PATIENCE  (10 * SECOND) /* without anything that comes */
#define ADDRESSES 8             /* that connections come from: one has too few ports */
#define AT_ONCE   128           /* handshakes under way */
#define HEAD      1024          /* bytes of an answer to a handshake, at most */
#define MASK      "\x37\xfa\x21\x3d"
#define KEY       "dGhlIHNhbXBsZSBub25jZQ==" /* of RFC 6455, and what it makes of it */
#define ACCEPT    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum state { CONNECTING, SHAKING, OPEN };

struct connection {
    int fd;
    enum state state;
    bool is_publisher;
    char *head;      /* while it shakes hands */
    size_t got;      /* bytes of that; later, of the answer that is coming */
    size_t owed;     /* bytes to be sent */
    size_t sent;     /* bytes of the question that is being sent */
    size_t ping;     /* bytes of a ping still to skip */
    bool has_opcode; /* ... whose length comes next */
};

static struct {
    enum { ECHO, CHAT, BROADCAST } mode;
    struct sockaddr_in server;
    const char *path, *publish;
    size_t connections, size, depth;
    double seconds;
} wanted = {.mode = ECHO,
            .server = {.sin_family = AF_INET},
            .path = "/",
            .publish = "/publish",
            .connections = 64,
            .size = 64,
            .depth = 1,
            .seconds = 1};

static char *question; /* `depth` times what is sent */
static char *answer;   /* what must come */
static size_t question_size, answer_size;

static int loop;
static struct connection *all;
static size_t opening, opened, under_way;
static bool is_running;
static uint64_t messages, rounds, progress, round_began;
static double *latencies; /* of rounds, in us */
static size_t latencies_room;
static char input[1 << 18];

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fputs("wsload: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

static void *memory(void *old, size_t size)
{
    void *new = realloc(old, size);

    if (!new)
        die("no memory");
    return new;
}

/* ---- what is sent and what must come ---- */

/* A frame's header, without the mask: its length. */
static size_t frame_head(unsigned char *out, size_t size, unsigned mask)
{
    size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;

    out[0] = 0x81; /* the only frame of a text */
    out[1] = (unsigned char)(mask | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    for (size_t i = 0; i < bytes; i++)
        out[2 + i] = (unsigned char)((uint64_t)size >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

static void make_frames(const char *text)
{
    size_t head = frame_head((unsigned char *)answer, wanted.size, 0);

    memcpy(answer + head, text, wanted.size);
    answer_size = head + wanted.size;
    head = frame_head((unsigned char *)question, wanted.size, 0x80);
    memcpy(question + head, MASK, 4);
    for (size_t i = 0; i < wanted.size; i++)
        question[head + 4 + i] = (char)(text[i] ^ MASK[i % 4]);
    question_size = head + 4 + wanted.size;
}

static void make_messages(void)
{
    char *text = memory(NULL, wanted.size);

    for (size_t i = 0; i < wanted.size; i++)
        text[i] = (char)('a' + i % 26);
    question = memory(NULL, (wanted.size + 14) * wanted.depth);
    answer = memory(NULL, wanted.size + 10);
    if (wanted.mode == CHAT) {
        text[wanted.size - 1] = '\n';
        question_size = answer_size = wanted.size;
        memcpy(question, text, wanted.size);
        memcpy(answer, text, wanted.size);
    } else {
        make_frames(text);
    }
    for (size_t i = 1; i < wanted.depth; i++)
        memcpy(question + i * question_size, question, question_size);
    free(text);
}

/* ---- sending ---- */

static void flush(struct connection *c)
{
    while (c->owed > 0) {
        size_t most = question_size * wanted.depth - c->sent;
        ssize_t n = send(c->fd, question + c->sent, c->owed < most ? c->owed : most, MSG_NOSIGNAL);

        if (n == -1 && errno == EAGAIN)
            return;
        if (n == -1)
            die("sending: %s", strerror(errno));
        c->owed -= (size_t)n;
        c->sent = (c->sent + (size_t)n) % question_size;
    }
}

/* It is written at the next flush. */
static void ask(struct connection *c)
{
    c->owed += question_size;
    under_way++;
}

static void begin_round(void)
{
    struct connection *publisher = &all[wanted.connections];

    under_way = wanted.connections;
    round_began = now_ns();
    publisher->owed += question_size;
    flush(publisher);
}

static void end_round(void)
{
    if (rounds == latencies_room) {
        latencies_room = latencies_room ? latencies_room * 2 : 1024;
        latencies = memory(latencies, latencies_room * sizeof *latencies);
    }
    latencies[rounds++] = (double)(now_ns() - round_began) / 1e3;
    if (is_running)
        begin_round();
}

/* ---- receiving ---- */

static void on_message(struct connection *c)
{
    if (under_way == 0)
        die("more messages came than were sent");
    messages++;
    under_way--;
    if (wanted.mode == BROADCAST && under_way == 0)
        end_round();
    else if (wanted.mode != BROADCAST && is_running)
        ask(c);
}

/* How many of the bytes are a ping's. */
static size_t skip_ping(struct connection *c, const char *data, size_t size)
{
    size_t n = c->ping < size ? c->ping : size;

    if (wanted.mode == CHAT || c->got > 0)
        return 0;
    if (n > 0) {
        c->ping -= n;
        return n;
    }
    if (c->has_opcode) {
        c->has_opcode = false;
        c->ping = (unsigned char)*data;
        return 1;
    }
    c->has_opcode = *data == '\x89';
    return c->has_opcode;
}

static void on_bytes(struct connection *c, const char *data, size_t size)
{
    while (size > 0) {
        size_t n = skip_ping(c, data, size);

        if (n == 0) {
            n = answer_size - c->got < size ? answer_size - c->got : size;
            if (memcmp(answer + c->got, data, n) != 0)
                die("something else came than was expected");
            c->got += n;
            if (c->got == answer_size) {
                c->got = 0;
                on_message(c);
            }
        }
        data += n;
        size -= n;
    }
}

static void become_open(struct connection *c)
{
    c->state = OPEN;
    c->got = 0;
    opening--;
    opened++;
}

static void on_head(struct connection *c, const char *data, size_t size)
{
    char *end;
    size_t rest;

    if (c->got + size >= HEAD)
        die("the answer to the handshake is too long");
    memcpy(c->head + c->got, data, size);
    c->got += size;
    c->head[c->got] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (!end)
        return;
    if (strncmp(c->head, "HTTP/1.1 101 ", 13) != 0 || !strstr(c->head, ACCEPT))
        die("the handshake was answered with %.*s", (int)strcspn(c->head, "\r"), c->head);
    rest = (size_t)(c->head + c->got - end - 4);
    free(c->head);
    c->head = NULL;
    become_open(c);
    if (rest > 0)
        on_bytes(c, data + size - rest, rest);
}

/* What one read brings is answered in one write. */
static void on_readable(struct connection *c)
{
    ssize_t n;

    do {
        n = recv(c->fd, input, sizeof input, 0);
        if (n == -1 && errno == EAGAIN)
            break;
        if (n == -1)
            die("receiving: %s", strerror(errno));
        if (n == 0)
            die("the server hung up");
        progress++;
        if (c->state == OPEN)
            on_bytes(c, input, (size_t)n);
        else
            on_head(c, input, (size_t)n);
    } while (n == sizeof input);
    flush(c);
}

/* ---- connections ---- */

static void open_connection(struct connection *c)
{
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    struct sockaddr_in own = {.sin_family = AF_INET};
    int on = 1;

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (unsigned)((c - all) % ADDRESSES));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1)
        die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(c->fd, (struct sockaddr *)&own, sizeof own) == -1)
        die("bind: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&wanted.server, sizeof wanted.server) == -1 &&
        errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &want) == -1)
        die("epoll_ctl: %s", strerror(errno));
    opening++;
}

static void on_connected(struct connection *c)
{
    char request[512];
    int size;

    if (wanted.mode == CHAT) {
        become_open(c);
        return;
    }
    size = snprintf(request, sizeof request,
                    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n",
                    c->is_publisher ? wanted.publish : wanted.path, ntohs(wanted.server.sin_port));
    if (size >= (int)sizeof request || send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("the handshake was not sent");
    c->head = memory(NULL, HEAD);
    c->state = SHAKING;
}

static void on_event(struct connection *c, unsigned events)
{
    if (events & (EPOLLERR | EPOLLHUP))
        die("a connection was %s", c->state == CONNECTING ? "refused" : "lost");
    if (c->state == CONNECTING && (events & EPOLLOUT))
        on_connected(c);
    else if (c->state == OPEN && (events & EPOLLOUT))
        flush(c);
    if (events & (EPOLLIN | EPOLLRDHUP))
        on_readable(c);
}

/* ---- the run ---- */

static void turn(void)
{
    struct epoll_event ready[256];
    uint64_t before = progress;
    int n = epoll_wait(loop, ready, 256, (int)(PATIENCE / 1000000));

    if (n == -1 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        on_event(ready[i].data.ptr, ready[i].events);
    if (n == 0 && progress == before)
        die("nothing comes any more: %zu connections open, %zu messages under way", opened,
            under_way);
}

static void open_all(size_t count)
{
    size_t next = 0;

    all = memory(NULL, count * sizeof *all);
    memset(all, 0, count * sizeof *all);
    while (opened < count) {
        while (next < count && opening < AT_ONCE) {
            all[next].is_publisher = next == wanted.connections;
            open_connection(&all[next++]);
        }
        turn();
    }
}

static double run(void)
{
    uint64_t begin = now_ns(), end = begin + (uint64_t)(wanted.seconds * SECOND);

    is_running = true;
    if (wanted.mode == BROADCAST)
        begin_round();
    for (size_t i = 0; i < wanted.connections && wanted.mode != BROADCAST; i++) {
        for (size_t k = 0; k < wanted.depth; k++)
            ask(&all[i]);
        flush(&all[i]);
    }
    while (is_running || under_way > 0) {
        turn();
        is_running = is_running && now_ns() < end;
    }
    return (double)(now_ns() - begin) / SECOND;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(double seconds)
{
    printf("{\"messages\": %llu, \"seconds\": %.6f", (unsigned long long)messages, seconds);
    if (rounds > 0) {
        qsort(latencies, rounds, sizeof *latencies, compare);
        printf(", \"rounds\": %llu, \"median_us\": %.1f, \"p99_us\": %.1f",
               (unsigned long long)rounds, latencies[rounds / 2], latencies[rounds * 99 / 100]);
    }
    puts("}");
    fflush(stdout);
}

static int parse_mode(const char *name)
{
    static const char *const modes[] = {"echo", "chat", "broadcast"};

    for (int i = 0; i < 3; i++)
        if (strcmp(name, modes[i]) == 0)
            return i;
    return -1;
}

static bool parse_arguments(int argc, char **argv)
{
    int mode, option;

    while ((option = getopt(argc, argv, "c:s:d:t:p:")) != -1) {
        if (option == 'c')
            wanted.connections = strtoul(optarg, NULL, 10);
        else if (option == 's')
            wanted.size = strtoul(optarg, NULL, 10);
        else if (option == 'd')
            wanted.depth = strtoul(optarg, NULL, 10);
        else if (option == 't')
            wanted.seconds = atof(optarg);
        else if (option == 'p')
            wanted.publish = optarg;
        else
            return false;
    }
    if (argc - optind < 2 || argc - optind > 3 || (mode = parse_mode(argv[optind])) == -1)
        return false;
    wanted.mode = mode;
    wanted.server.sin_port = htons((unsigned short)atoi(argv[optind + 1]));
    wanted.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc - optind == 3)
        wanted.path = argv[optind + 2];
    return wanted.connections > 0 && wanted.size > 0 && wanted.depth > 0;
}

int main(int argc, char **argv)
{
    char line[16];

    if (!parse_arguments(argc, argv)) {
        fputs("usage: wsload [-c CONNECTIONS] [-s SIZE] [-d DEPTH] [-t SECONDS] [-p PUBLISH]"
              " echo|chat|broadcast PORT [PATH]\n",
              stderr);
        return 2;
    }
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop == -1)
        die("epoll_create1: %s", strerror(errno));
    make_messages();
    open_all(wanted.connections + (wanted.mode == BROADCAST));
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        line[0] = '\0';
    report(run());
    while (line[0] && fgets(line, sizeof line, stdin))
        ;
    return 0;
}
