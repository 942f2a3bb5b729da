/* control.c: the control socket. Requests go on to routes.c once a peer may ask at all.
 *
 * evhttp reads and writes; what it lacks is added here: who the peer is, a limit on connections,
 * and one time limit from a connection's begin, or its last answer, to the end of its next request.
 * For these each connection needs an entry from its first moment, which evhttp offers for requests
 * only: on_accept, where it asks for a bufferevent, therefore leaves a note, and on_greet, which
 * runs before any byte is read, learns from that bufferevent which connection it was for. */
#include "master/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "master/call.h"
#include "master/master.h"
#include "master/routes.h"

#define VISITORS_MAX 64
#define HEAD_MAX     (8 * 1024)
#define INPUT_MAX    (HEAD_MAX + CALL_BODY_MAX + 4096) /* unread bytes a connection may pile up */
#define BACKLOG      128

static const struct timeval time_limit = {30, 0};
static const struct timeval pause_time = {0, 100000};

struct visitor { /* one connection; lives as long */
    LIST_ENTRY(visitor) link;
    struct control *control;
    struct bufferevent *bev;              /* NULL once greeted: evhttp's alone then */
    struct evhttp_connection *connection; /* NULL until greeted */
    struct event *deadline;               /* of the next request */
    bool is_denied;
    struct call call;
};

struct control {
    struct master *master;
    struct evhttp *http;
    struct evconnlistener *listener; /* evhttp's; NULL while everything is torn down */
    struct event *greeting, *pause;
    LIST_HEAD(, visitor) visitors;
    unsigned count;
    bool is_paused;  /* nobody is let in */
    bool has_warned; /* of descriptors that ran out, since it last went well */
    char *path;
    struct stat file; /* the socket's, as it was made */
};

#define METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* ---- a connection's life ---- */

static void let_in(struct control *control)
{
    if (control->listener != NULL && !control->is_paused && control->count < VISITORS_MAX &&
        !evtimer_pending(control->pause, NULL))
        evconnlistener_enable(control->listener);
}

static void visitor_free(struct visitor *visitor)
{
    struct control *control = visitor->control;

    LIST_REMOVE(visitor, link);
    if (visitor->deadline != NULL)
        event_free(visitor->deadline);
    if (visitor->bev != NULL)
        bufferevent_decref(visitor->bev);
    free(visitor);
    control->count--;
    let_in(control);
}

static void on_gone(struct evhttp_connection *connection, void *arg)
{
    struct visitor *visitor = arg;

    (void)connection;
    call_gone(&visitor->call);
    visitor_free(visitor);
}

/* No request came in time, or not all of it. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct visitor *visitor = arg;

    (void)fd;
    (void)what;
    /* Whoever asked the server to stop waits for its end, which this connection's end tells. */
    if (!visitor->control->master->is_stopping)
        evhttp_connection_free(visitor->connection); /* on_gone does the rest */
}

static bool is_allowed(int fd, struct requester *peer_out)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        log_warn("control: a peer without credentials was refused");
        return false;
    }
    *peer_out = (struct requester){.is_peer = true, .uid = peer.uid, .pid = peer.pid};
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    log_warnx("control: user %u (process %d) was refused", (unsigned)peer.uid, (int)peer.pid);
    return false;
}

/* evhttp has made its connection around the bufferevent by now, and is what the callbacks get. */
static void greet(struct visitor *visitor)
{
    bufferevent_event_cb on_event = NULL;
    void *connection = NULL;

    bufferevent_getcb(visitor->bev, NULL, NULL, &on_event, &connection);
    if (on_event == NULL) { /* it failed and was given up at once */
        visitor_free(visitor);
        return;
    }
    visitor->connection = connection;
    visitor->is_denied = !is_allowed(bufferevent_getfd(visitor->bev), &visitor->call.peer);
    evhttp_connection_set_closecb(visitor->connection, on_gone, visitor);
    event_add(visitor->deadline, &time_limit);
    bufferevent_decref(visitor->bev);
    visitor->bev = NULL;
}

static void on_greet(evutil_socket_t fd, short what, void *arg)
{
    struct control *control = arg;
    struct visitor *visitor = LIST_FIRST(&control->visitors), *next;

    (void)fd;
    (void)what;
    for (; visitor != NULL; visitor = next) {
        next = LIST_NEXT(visitor, link);
        if (visitor->connection == NULL)
            greet(visitor);
    }
}

/* evhttp has accepted somebody and asks for the bufferevent to read with. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct control *control = arg;
    struct visitor *visitor = calloc(1, sizeof *visitor);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

    if (visitor == NULL || bev == NULL)
        goto no_memory;
    visitor->deadline = evtimer_new(base, on_deadline, visitor);
    if (visitor->deadline == NULL)
        goto no_memory;
    bufferevent_set_timeouts(bev, NULL, &time_limit); /* a client that does not read its answer */
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
    bufferevent_incref(bev);
    visitor->bev = bev;
    visitor->control = control;
    visitor->call.master = control->master;
    LIST_INSERT_HEAD(&control->visitors, visitor, link);
    control->has_warned = false;
    if (++control->count == VISITORS_MAX)
        evconnlistener_disable(control->listener); /* the others wait in the kernel's queue */
    event_active(control->greeting, EV_TIMEOUT, 0);
    return bev;

no_memory: /* evhttp makes one of its own; without an entry it is refused */
    free(visitor);
    if (bev != NULL)
        bufferevent_free(bev);
    return NULL;
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct control *control = arg;

    (void)fd;
    (void)what;
    let_in(control);
}

/* The one of this process. Its listener tells of errors with evhttp's own argument, which leads
 * nowhere. */
static struct control *serving;

/* Out of descriptors, most likely: trying again at once would spin. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct control *control = serving;

    (void)arg;
    if (!control->has_warned)
        log_warn("control: cannot accept");
    control->has_warned = true;
    evconnlistener_disable(listener);
    event_add(control->pause, &pause_time);
}

/* ---- a request's life ---- */

static struct visitor *find_visitor(const struct control *control, struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    struct visitor *visitor;

    LIST_FOREACH (visitor, &control->visitors, link) {
        if (visitor->connection == connection)
            return visitor;
    }
    return NULL;
}

/* The whole answer has gone to the kernel; the connection may be used again. */
static void on_answered(struct evhttp_request *request, void *arg)
{
    struct visitor *visitor = arg;

    (void)request;
    call_done(&visitor->call);
    event_add(visitor->deadline, &time_limit);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct visitor *visitor = find_visitor(arg, request);

    if (visitor == NULL) {
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    event_del(visitor->deadline);
    call_begin(&visitor->call, request);
    evhttp_request_set_on_complete_cb(request, on_answered, visitor);
    if (!visitor->is_denied) {
        routes_serve(&visitor->call);
        return;
    }
    evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    call_refuse(&visitor->call, 403, "permission denied",
                "only root and the user that the server runs as may control it");
}

/* ---- the socket ---- */

static const char going_on[] = "going on without a control socket";

/* Makes the folder of `path` when only itself is missing. 0, or -1 with errno. */
static int make_folder(const char *path)
{
    char *copy = strdup(path), *folder;
    struct stat st;
    int result = -1;

    if (copy == NULL)
        return -1;
    folder = dirname(copy);
    if (stat(folder, &st) == 0)
        result = 0; /* whatever it is: listening will tell */
    else if (errno == ENOENT)
        result = mkdir(folder, 0755);
    free(copy);
    return result;
}

/* The listening descriptor, or -1 after the warning. */
static int open_socket(struct control *control)
{
    struct sock_address address;
    const char *wrong = "memory has run out";
    char *text = NULL;
    int fd;

    if (asprintf(&text, "unix:%s", control->path) >= 0) {
        wrong = sock_parse(text, &address);
        free(text);
    }
    if (wrong != NULL) {
        log_warnx("control: %s: %s; %s", control->path, wrong, going_on);
        return -1;
    }
    if (make_folder(control->path) != 0) {
        log_warnx("control: cannot make the folder of %s (%s); %s", control->path, strerror(errno),
                  going_on);
        return -1;
    }
    fd = sock_listen(&address, BACKLOG, 0600);
    if (fd == -1)
        log_warnx("control: cannot listen at %s (%s); %s", control->path, strerror(errno),
                  going_on);
    else
        lstat(control->path, &control->file);
    return fd;
}

bool control_is_taken(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_answered;

    if (fd == -1 || strlen(path) >= sizeof address.sun_path) {
        if (fd != -1)
            close(fd);
        return false; /* to listen there will say what is wrong */
    }
    strcpy(address.sun_path, path);
    is_answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
    close(fd);
    return is_answered;
}

static int serve(struct control *control, int fd)
{
    struct event_base *base = control->master->base;

    control->http = evhttp_new(base);
    control->greeting = event_new(base, -1, 0, on_greet, control);
    control->pause = evtimer_new(base, on_pause_over, control);
    control->listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (control->listener == NULL) {
        close(fd);
        return -1;
    }
    if (control->http == NULL || control->greeting == NULL || control->pause == NULL ||
        evhttp_bind_listener(control->http, control->listener) == NULL) {
        evconnlistener_free(control->listener);
        control->listener = NULL;
        return -1;
    }
    serving = control;
    evconnlistener_set_error_cb(control->listener, on_accept_error);
    evhttp_set_bevcb(control->http, on_accept, control);
    evhttp_set_gencb(control->http, on_request, control);
    evhttp_set_max_headers_size(control->http, HEAD_MAX);
    evhttp_set_max_body_size(control->http, CALL_BODY_MAX);
    evhttp_set_allowed_methods(control->http, METHODS); /* routes.c answers with 405 and Allow */
    return 0;
}

/* Without a socket. NULL after a warning. */
static struct control *make(struct master *master)
{
    struct control *control = calloc(1, sizeof *control);

    if (control == NULL || (control->path = strdup(master->config->control)) == NULL) {
        log_warnx("control: memory has run out; %s", going_on);
        free(control);
        return NULL;
    }
    control->master = master;
    LIST_INIT(&control->visitors);
    return control;
}

static struct control *serve_or_free(struct control *control, int fd)
{
    if (serve(control, fd) == 0)
        return control;
    log_warnx("control: memory has run out; %s", going_on);
    control_free(control);
    return NULL;
}

struct control *control_new(struct master *master)
{
    struct control *control = make(master);
    int fd = control != NULL ? open_socket(control) : -1;

    if (fd == -1) {
        control_free(control);
        return NULL;
    }
    return serve_or_free(control, fd);
}

bool control_is_flushed(const struct control *control)
{
    const struct visitor *visitor;

    if (control == NULL)
        return true;
    LIST_FOREACH (visitor, &control->visitors, link) {
        struct bufferevent *bev = visitor->connection != NULL
                                      ? evhttp_connection_get_bufferevent(visitor->connection)
                                      : visitor->bev;

        if (bev != NULL && evbuffer_get_length(bufferevent_get_output(bev)) > 0)
            return false;
    }
    return true;
}

/* ---- over an exec in place ---- */

void control_pause(struct control *control, bool is_paused)
{
    control->is_paused = is_paused;
    if (is_paused)
        evconnlistener_disable(control->listener);
    else
        let_in(control);
}

bool control_is_quiet(const struct control *control)
{
    const struct visitor *visitor;

    LIST_FOREACH (visitor, &control->visitors, link)
        if (visitor->connection == NULL || !visitor->call.is_answered)
            return false; /* has come to ask something */
    return control_is_flushed(control);
}

struct control_place control_place(const struct control *control)
{
    return (struct control_place){
        .fd = evconnlistener_get_fd(control->listener),
        .device = control->file.st_dev,
        .inode = control->file.st_ino,
    };
}

struct control *control_adopt(struct master *master, const struct control_place *place)
{
    struct control *control = make(master);

    if (control == NULL || sock_set_cloexec(place->fd, true) != 0) {
        close(place->fd);
        control_free(control);
        return NULL;
    }
    control->file.st_dev = (dev_t)place->device;
    control->file.st_ino = (ino_t)place->inode;
    return serve_or_free(control, place->fd);
}

/* Its successor may have put a socket of its own in the place. */
static void remove_file(const struct control *control)
{
    struct stat now;

    if (control->file.st_ino != 0 && lstat(control->path, &now) == 0 &&
        now.st_ino == control->file.st_ino && now.st_dev == control->file.st_dev)
        unlink(control->path);
}

void control_free(struct control *control)
{
    struct visitor *visitor;

    if (control == NULL)
        return;
    remove_file(control);
    control->listener = NULL; /* evhttp frees it first, then the connections */
    if (control->http != NULL)
        evhttp_free(control->http);
    while ((visitor = LIST_FIRST(&control->visitors)) != NULL) /* never greeted */
        visitor_free(visitor);
    if (control->greeting != NULL)
        event_free(control->greeting);
    if (control->pause != NULL)
        event_free(control->pause);
    free(control->path);
    free(control);
}
