/* redis.c: publish/subscribe through a Redis server, for comparison with pubsub.c: the same figures,
 * of a publisher and a subscriber that do no more than they must, and are processes of their own.
 *
 * usage: redis SOCKET SERVER_PID */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE   104 /* bytes of a publication */
#define BURST  100
#define BURSTS 200
#define PINGS  2000
#define PAUSE  500 /* us */

#define COMMAND "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$104\r\n"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$104\r\n"
#define REPLY   ":1\r\n"
#define EACH    (sizeof MESSAGE - 1 + SIZE + 2)

/* What the subscriber tells the publisher. */
static struct seen {
    double times[BURST * BURSTS], cost;
    int count;
} * seen;

static double clock_of(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "redis: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    if (fd == -1 || connect(fd, (struct sockaddr *)&addr, sizeof addr) == -1)
        die(path);
    return fd;
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n <= 0)
            die("write");
        data += n;
        size -= (size_t)n;
    }
}

static void expect(int fd, size_t size)
{
    char data[4096];

    while (size > 0) {
        ssize_t n = read(fd, data, size < sizeof data ? size : sizeof data);

        if (n <= 0)
            die("read");
        size -= (size_t)n;
    }
}

/* ---- the subscriber ---- */

static void subscribe(int fd)
{
    static const char command[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n";

    send_all(fd, command, sizeof command - 1);
    expect(fd, strlen("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"));
}

static void hear(int fd, int count)
{
    static char data[1 << 16];
    double begin = 0;
    size_t had = 0;

    seen->count = 0;
    while (seen->count < count) {
        ssize_t n = read(fd, data + had, sizeof data - had);
        size_t at = 0;

        if (n <= 0)
            die("read");
        if (begin == 0)
            begin = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        for (had += (size_t)n; had - at >= EACH; at += EACH) {
            double sent;

            memcpy(&sent, data + at + sizeof MESSAGE - 1, sizeof sent);
            seen->times[seen->count++] = clock_of(CLOCK_MONOTONIC) - sent;
        }
        had -= at;
        memmove(data, data + at, had);
    }
    seen->cost = (clock_of(CLOCK_PROCESS_CPUTIME_ID) - begin) / count;
}

/* ---- the publisher ---- */

static void publish(int fd, int count)
{
    static char commands[BURST][sizeof COMMAND - 1 + SIZE + 2];
    double now = clock_of(CLOCK_MONOTONIC);

    for (int i = 0; i < count; i++) {
        memcpy(commands[i], COMMAND, sizeof COMMAND - 1);
        memset(commands[i] + sizeof COMMAND - 1, 'x', SIZE);
        memcpy(commands[i] + sizeof COMMAND - 1, &now, sizeof now);
        memcpy(commands[i] + sizeof COMMAND - 1 + SIZE, "\r\n", 2);
    }
    send_all(fd, *commands, (size_t)count * sizeof *commands);
    expect(fd, (size_t)count * (sizeof REPLY - 1));
}

/* As schedstat has it, in ns. */
static double cpu_of(const char *pid)
{
    char path[64];
    double spent = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    file = fopen(path, "re");
    if (!file || fscanf(file, "%lf", &spent) != 1)
        die(path);
    fclose(file);
    return spent;
}

static void in_turns(const char *socket_path, int bursts, int burst)
{
    int listener = connect_to(socket_path), publisher = connect_to(socket_path);
    pid_t child;

    subscribe(listener);
    child = fork();
    if (child == 0) {
        hear(listener, bursts * burst);
        _exit(0);
    }
    for (int i = 0; i < bursts; i++) {
        publish(publisher, burst);
        usleep(PAUSE);
    }
    waitpid(child, NULL, 0);
    close(listener);
    close(publisher);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double own, server;

    if (argc != 3) {
        fputs("usage: redis SOCKET SERVER_PID\n", stderr);
        return 2;
    }
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        die("mmap");
    in_turns(argv[1], PINGS, 1);
    qsort(seen->times, PINGS, sizeof *seen->times, compare);
    printf("from process to process: median\t%.1f\tus\nfrom process to process: p99\t%.1f\tus\n",
           seen->times[PINGS / 2] / 1e3, seen->times[PINGS * 99 / 100] / 1e3);
    own = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    server = cpu_of(argv[2]);
    in_turns(argv[1], BURSTS, BURST);
    printf("in bursts of %d: CPU a publication of the process that publishes\t%.0f\tns\n"
           "in bursts of %d: CPU a publication of the one that listens\t%.0f\tns\n"
           "in bursts of %d: CPU a publication of the Redis server\t%.0f\tns\n",
           BURST, (clock_of(CLOCK_PROCESS_CPUTIME_ID) - own) / BURST / BURSTS, BURST, seen->cost,
           BURST, (cpu_of(argv[2]) - server) / BURST / BURSTS);
    return 0;
}
