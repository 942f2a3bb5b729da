/* service.c: see service.h. The environment is read by libsystemd. What goes to the manager is sent
 * here, since sd_notify waits for a manager that does not read: ours may lose a word and says it
 * again at the next tick, but never stands still. */
#include "master/service.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/timer.h"

#define EXTEND_EVERY (5 * NS_PER_SEC)
#define EXTEND_BY_US UINT64_C(20000000)
#define AGAIN_AFTER  (1 * NS_PER_SEC) /* what could not be sent */
#define STATUS_MAX   512
#define NS_PER_US    1000

enum phase { PHASE_STARTING, PHASE_READY, PHASE_RELOADING, PHASE_STOPPING };

struct service {
    char *address; /* NOTIFY_SOCKET; NULL: nobody listens, and nothing below matters */
    struct sockaddr_un peer;
    socklen_t peer_size;
    int socket;
    uint64_t watchdog; /* between two signs of life that the manager allows; 0: it wants none */
    struct listeners_inherited *sockets;
    size_t socket_count;
    bool are_taken; /* the sockets have another owner */

    enum phase phase;
    uint64_t phase_at; /* microseconds; of PHASE_RELOADING */
    char status[STATUS_MAX];
    bool is_behind;  /* the manager has not got the phase or the status */
    bool has_failed; /* and the log has said so */
    struct event_base *base;
    struct event alive, extend, again;
};

/* ---- sending ---- */

/* One datagram; 0, or -1 with errno. */
static int send_text(struct service *service, const char *text)
{
    ssize_t sent;

    do {
        sent = sendto(service->socket, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                      (struct sockaddr *)&service->peer, service->peer_size);
    } while (sent == -1 && errno == EINTR);
    if (sent != -1) {
        service->has_failed = false;
        return 0;
    }
    if (!service->has_failed)
        log_info("the service manager at %s does not listen: %s", service->address,
                 strerror(errno));
    service->has_failed = true;
    return -1;
}

static size_t phase_text(const struct service *service, char *text, size_t size)
{
    switch (service->phase) {
    case PHASE_READY:
        return (size_t)snprintf(text, size, "READY=1\n");
    case PHASE_STOPPING:
        return (size_t)snprintf(text, size, "STOPPING=1\n");
    case PHASE_RELOADING:
        return (size_t)snprintf(text, size, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
                                service->phase_at);
    default:
        return 0;
    }
}

/* The status, with the phase if that is new or was lost. */
static void send_state(struct service *service, bool is_new_phase)
{
    char text[STATUS_MAX + 128];
    size_t length = 0;

    if (service->address == NULL)
        return;
    if (is_new_phase || service->is_behind)
        length = phase_text(service, text, sizeof(text));
    snprintf(text + length, sizeof(text) - length, "STATUS=%s", service->status);
    service->is_behind = send_text(service, text) != 0;
    if (service->is_behind && service->base != NULL)
        timer_arm(&service->again, AGAIN_AFTER);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct service *service = arg;

    (void)fd;
    (void)what;
    if (service->is_behind)
        send_state(service, true);
}

static void on_alive(evutil_socket_t fd, short what, void *arg)
{
    struct service *service = arg;

    (void)fd;
    (void)what;
    send_text(service, "WATCHDOG=1");
    timer_arm(&service->alive, service->watchdog / 2);
}

/* Everything that can take long has a time limit of its own; while the loop turns, the manager need
 * not guess a second one. */
static void on_extend(evutil_socket_t fd, short what, void *arg)
{
    struct service *service = arg;
    char text[64];

    (void)fd;
    (void)what;
    if (service->phase == PHASE_READY)
        return;
    snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRIu64, EXTEND_BY_US);
    send_text(service, text);
    timer_arm(&service->extend, EXTEND_EVERY);
}

static void enter(struct service *service, enum phase phase)
{
    /* The end stays the end: who finishes a reload meanwhile is not ready any more. */
    if (service->phase == PHASE_STOPPING)
        return;
    service->phase = phase;
    service->phase_at = clock_ns() / NS_PER_US;
    send_state(service, true);
    if (service->address != NULL && service->base != NULL)
        timer_arm(&service->extend, EXTEND_EVERY);
}

/* ---- what the master says ---- */

bool service_is_heard(const struct service *service)
{
    return service != NULL && service->address != NULL;
}

void service_ready(struct service *service)
{
    enter(service, PHASE_READY);
}

void service_reloading(struct service *service)
{
    enter(service, PHASE_RELOADING);
}

void service_stopping(struct service *service)
{
    enter(service, PHASE_STOPPING);
}

/* A line break would begin another assignment. */
void service_status(struct service *service, const char *format, ...)
{
    char text[STATUS_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    if (strcmp(text, service->status) == 0)
        return;
    memcpy(service->status, text, sizeof(text));
    send_state(service, false);
}

void service_describe(struct service *service, const struct stats *stats, unsigned deployments)
{
    char text[STATUS_MAX - 64], running[48] = "";
    unsigned workers = 0;
    size_t length;

    for (size_t i = 0; i < stats->worker_count; i++)
        if (stats->workers[i].is_accepting)
            workers++;
    length = (size_t)snprintf(text, sizeof(text), "%s%u worker%s",
                              stats->server.is_drained ? "drained: takes no connections; " : "",
                              workers, workers == 1 ? "" : "s");
    for (size_t i = 0; i < stats->app_count; i++) {
        size_t room = sizeof(text) - length;
        size_t more = (size_t)snprintf(text + length, room, ", %s %" PRIu64, stats->apps[i].name,
                                       stats->apps[i].generation);

        if (more + sizeof(", 1000 more") > room) {
            snprintf(text + length, room, ", %zu more", stats->app_count - i);
            break;
        }
        length += more;
    }
    if (deployments > 0)
        snprintf(running, sizeof(running), "; %u deployment%s running", deployments,
                 deployments == 1 ? "" : "s");
    service_status(service, "%s%s", text, running);
}

/* ---- what the manager gives ---- */

/* A path, or "@NAME" for the abstract namespace. Others (vsock) are nothing that we know. */
static void read_address(struct service *service)
{
    const char *text = getenv("NOTIFY_SOCKET");
    size_t length = text == NULL ? 0 : strlen(text);

    service->socket = -1;
    if (length < 2 || (text[0] != '/' && text[0] != '@') ||
        length >= sizeof(service->peer.sun_path))
        return;
    service->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (service->socket == -1)
        return;
    service->address = strdup(text);
    service->peer.sun_family = AF_UNIX;
    memcpy(service->peer.sun_path, text, length + 1);
    service->peer_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (text[0] == '@')
        service->peer.sun_path[0] = '\0';
    else
        service->peer_size++;
}

/* The names are the service's from here on. */
static int take_sockets(struct service *service, char **names, size_t count)
{
    service->sockets = calloc(count, sizeof(*service->sockets));
    if (service->sockets == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        service->sockets[i] =
            (struct listeners_inherited){.fd = SD_LISTEN_FDS_START + (int)i, .name = names[i]};
    service->socket_count = count;
    return 0;
}

/* They are marked CLOEXEC by libsystemd. */
static int read_sockets(struct service *service)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(true, &names);

    if (count == -ENOMEM || (count > 0 && take_sockets(service, names, (size_t)count) != 0)) {
        for (int i = 0; i < count; i++)
            free(names[i]);
        free(names);
        return -1;
    }
    if (count < 0)
        log_warnx("the sockets that LISTEN_FDS tells of cannot be used: %s", strerror(-count));
    free(names);
    return 0;
}

struct service *service_open(void)
{
    struct service *service = calloc(1, sizeof(*service));
    uint64_t watchdog = 0;

    if (service == NULL)
        return NULL;
    read_address(service);
    if (sd_watchdog_enabled(true, &watchdog) > 0 && service->address != NULL)
        service->watchdog = watchdog * NS_PER_US;
    if (read_sockets(service) != 0) {
        service_close(service);
        errno = ENOMEM;
        return NULL;
    }
    service_clear_environment();
    return service;
}

void service_clear_environment(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

static int put_back(const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return setenv(name, text, 1);
}

int service_restore_environment(const struct service *service)
{
    if (service->address != NULL && setenv("NOTIFY_SOCKET", service->address, 1) != 0)
        return -1;
    if (service->watchdog > 0 && (put_back("WATCHDOG_USEC", service->watchdog / NS_PER_US) != 0 ||
                                  put_back("WATCHDOG_PID", (uint64_t)getpid()) != 0))
        return -1;
    return 0;
}

void service_watch(struct service *service, struct event_base *base)
{
    if (service->address == NULL)
        return;
    service->base = base;
    evtimer_assign(&service->alive, base, on_alive, service);
    evtimer_assign(&service->extend, base, on_extend, service);
    evtimer_assign(&service->again, base, on_again, service);
    timer_arm(&service->extend, EXTEND_EVERY);
    if (service->watchdog > 0)
        timer_arm(&service->alive, 0);
}

size_t service_sockets(struct service *service, const struct listeners_inherited **out)
{
    service->are_taken = true;
    *out = service->sockets;
    return service->socket_count;
}

void service_close(struct service *service)
{
    if (service == NULL)
        return;
    if (service->base != NULL) {
        event_del(&service->alive);
        event_del(&service->extend);
        event_del(&service->again);
    }
    if (service->socket != -1)
        close(service->socket);
    for (size_t i = 0; i < service->socket_count; i++) {
        if (!service->are_taken)
            close(service->sockets[i].fd);
        free((char *)(uintptr_t)service->sockets[i].name);
    }
    free(service->sockets);
    free(service->address);
    free(service);
}
