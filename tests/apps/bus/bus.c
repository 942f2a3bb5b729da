/* bus: publishes and subscribes in each worker, checks what arrives, and keeps a journal of it.
 *     option { journal = "/path/of/a/file" }  needed
 *     GET /go?count=N&size=S&pause=SECONDS    each worker publishes N messages of S bytes, with a pause
 *                                             after every ten
 *     GET /report?as=NAME                     each worker writes what it has got so far:
 *                                             NAME BUILD PID from PUBLISHER COUNT DISORDERED BROKEN
 *                                             NAME BUILD PID missed N
 *     GET /say?text=T&times=N&size=S          publishes it N times, filled up to S bytes, to "bus:said"
 *     GET /stream?capacity=N&slow=drop        streams that, by Server-Sent Events
 *     GET /poll                               answers with the next of it
 *     GET /pid
 * Compiled with -DBUILD=N it is build N. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/async.h>
#include <reeve/events.h>
#include <reeve/pubsub.h>

#ifndef BUILD
#define BUILD 1
#endif

#define PUBLISHERS 64

struct head {
    int pid;
    unsigned number; /* of the publisher's messages, from 1 */
};

static struct publisher {
    int pid;
    unsigned last, count, disordered, broken;
} publishers[PUBLISHERS];
static unsigned long long missed;
static const char *journal;
static reeve_module *self;

static void write_line(const char *line)
{
    int fd = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd == -1 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        abort();
    close(fd);
}

/* ---- what arrives ---- */

static struct publisher *publisher(int pid)
{
    struct publisher *p = publishers;

    while (p->pid && p->pid != pid)
        p++;
    p->pid = pid;
    return p;
}

/* Each byte behind the head says which message it is of. */
static bool is_whole(const char *bytes, size_t size, unsigned number)
{
    for (size_t i = sizeof(struct head); i < size; i++)
        if (bytes[i] != (char)number)
            return false;
    return bytes[size] == '\0';
}

static void on_message(reeve_subscription *subscription, const reeve_publication *publication,
                       void *arg)
{
    struct publisher *p;
    struct head head;

    (void)subscription, (void)arg;
    missed += publication->missed;
    if (!publication->data)
        return;
    memcpy(&head, publication->data, sizeof(head));
    p = publisher(head.pid);
    p->disordered += head.number != p->last + 1 && p->last > 0;
    p->broken += !is_whole(publication->data, publication->size, head.number);
    p->last = head.number;
    p->count++;
}

static void on_report(reeve_subscription *subscription, const reeve_publication *publication,
                      void *arg)
{
    char text[8192];
    int length = 0;

    (void)subscription, (void)arg;
    if (!publication->data)
        return;
    for (const struct publisher *p = publishers; p->pid; p++)
        length += snprintf(text + length, sizeof(text) - (size_t)length,
                           "%s %d %d from %d %u %u %u\n", (const char *)publication->data, BUILD,
                           (int)getpid(), p->pid, p->count, p->disordered, p->broken);
    snprintf(text + length, sizeof(text) - (size_t)length, "%s %d %d missed %llu\n",
             (const char *)publication->data, BUILD, (int)getpid(), missed);
    write_line(text);
}

/* ---- what is sent ---- */

struct order {
    unsigned count;
    size_t size;
    double pause;
};

static int publish_all(void *arg, void **value_out)
{
    static unsigned number;
    const struct order order = *(struct order *)arg;
    size_t size = order.size < sizeof(struct head) ? sizeof(struct head) : order.size;
    char *bytes = malloc(size);

    (void)value_out;
    free(arg);
    for (unsigned i = 0; i < order.count && bytes; i++) {
        const struct head head = {.pid = (int)getpid(), .number = ++number};

        memset(bytes, (char)number, size);
        memcpy(bytes, &head, sizeof(head));
        if (reeve_publish("bus", bytes, size) == -1)
            break;
        if (i % 10 == 9 && order.pause > 0 && reeve_sleep(order.pause) == -1)
            break;
    }
    free(bytes);
    return 0;
}

static void on_go(reeve_subscription *subscription, const reeve_publication *publication, void *arg)
{
    struct order *order = malloc(sizeof(*order));

    (void)subscription, (void)arg;
    if (publication->data &&
        sscanf(publication->data, "%u %zu %lf", &order->count, &order->size, &order->pause) == 3)
        reeve_spawn_background(self, publish_all, order, NULL);
    else
        free(order);
}

/* ---- requests ---- */

static const char *query(reeve_environ *environ, const char *name, const char *otherwise)
{
    const char *value = reeve_query_get(environ, name);

    return value ? value : otherwise;
}

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *text)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, text, strlen(text));
}

static int say(reeve_environ *environ, const char *text)
{
    size_t size = strtoul(query(environ, "size", "0"), NULL, 10), length = strlen(text);
    unsigned times = (unsigned)atoi(query(environ, "times", "1"));
    char *bytes = reeve_alloc(environ, size + length);

    memset(bytes, '.', size + length);
    memcpy(bytes, text, length);
    while (times-- > 0)
        if (reeve_publish("bus:said", bytes, size > length ? size : length) == -1)
            return -1;
    return 0;
}

static void note_end(const char *what, int error)
{
    char line[128];

    snprintf(line, sizeof(line), "%s %s\n", what, error ? strerrorname_np(error) : "0");
    write_line(line);
}

static int stream(reeve_environ *environ, reeve_start_response *start_response)
{
    bool is_dropping = strcmp(query(environ, "slow", "cut"), "drop") == 0;
    reeve_subscription *said =
        reeve_subscription_new("bus:said", strtoul(query(environ, "capacity", "0"), NULL, 10),
                               is_dropping ? REEVE_SLOW_DROP_OLDEST : REEVE_SLOW_CUT_OFF);
    int result;

    if (!said || reeve_events_begin(environ, start_response) == -1)
        return -1;
    result = reeve_events_follow(environ, said, 0.05);
    note_end("stream", result == -1 ? errno : 0);
    return result;
}

static int poll_once(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_subscription *said = reeve_subscription_new("bus:said", 0, REEVE_SLOW_CUT_OFF);
    reeve_publication next;

    reeve_cancel_when_gone(environ);
    if (reeve_subscription_next(said, &next, REEVE_FOREVER) == -1) {
        note_end("poll", errno);
        return -1;
    }
    return answer(environ, start_response, next.data);
}

static int bus(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ), *text = "ok\n";
    int result = 0;

    if (strcmp(path, "/stream") == 0)
        return stream(environ, start_response);
    if (strcmp(path, "/poll") == 0)
        return poll_once(environ, start_response);
    if (strcmp(path, "/go") == 0) {
        text = reeve_printf(environ, "%s %s %s", query(environ, "count", "1"),
                            query(environ, "size", "8"), query(environ, "pause", "0"));
        result = reeve_publish("bus:go", text, strlen(text));
    } else if (strcmp(path, "/report") == 0) {
        text = query(environ, "as", "report");
        result = reeve_publish("bus:report", text, strlen(text));
    } else if (strcmp(path, "/say") == 0) {
        result = say(environ, query(environ, "text", ""));
    } else {
        text = reeve_printf(environ, "%d\n", (int)getpid());
    }
    return answer(environ, start_response, result == -1 ? strerrorname_np(errno) : text);
}

static int on_start(reeve_module *module)
{
    self = module;
    return reeve_subscribe(module, "bus", on_message, NULL) &&
                   reeve_subscribe(module, "bus:go", on_go, NULL) &&
                   reeve_subscribe(module, "bus:report", on_report, NULL)
               ? 0
               : -1;
}

static int init(reeve_module *module)
{
    journal = reeve_option(module, "journal");
    return journal ? 0 : reeve_refuse(module, "it needs the option journal");
}

REEVE_APP(.name = "bus", .version = "1", .application = bus, .init = init, .on_start = on_start);
