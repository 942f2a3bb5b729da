/* worker.c: one process: its loop, its listeners, its life from boot over serving and draining to
 * the end. */
#include "worker/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/access.h"
#include "app/background.h"
#include "app/member.h"
#include "app/overdue.h"
#include "app/request.h"
#include "app/room.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/client.h"
#include "live/live.h"
#include "net/listener.h"
#include "net/net.h"
#include "runtime/coro.h"
#include "runtime/soon.h"
#include "runtime/threads.h"
#include "worker/balance.h"
#include "worker/farewell.h"
#include "worker/fault.h"
#include "worker/handoff.h"
#include "worker/heartbeat.h"
#include "worker/inspect.h"
#include "worker/link.h"
#include "worker/orphan.h"

#define STACKS_KEPT 1024

/* After so many callbacks the loop looks for new events: what makes itself ready again and again
 * starves nobody. */
#define CALLBACKS_A_ROUND 256

/* Requests that are cancelled at the end have so many rounds to unwind in. */
#define UNWIND_ROUNDS 16

struct worker_process {
    const struct heritage *heritage;
    struct event_base *base;
    struct room room;
    struct link *link;
    struct listener **listeners;
    struct handoff handoff;
    struct heartbeat heartbeat;
    struct inspect *inspect;
    struct farewell farewell;
    struct event *signals;
    int signal_fd;
    struct soon look; /* whether it may leave */
    bool is_draining;
    bool is_orphaned;
};

/* True in a preflight process: the applications ask for it. */
static bool is_preflight;

bool reeve_is_preflight(void)
{
    return is_preflight;
}

/* ---- serving ---- */

static void start_accepting(void *arg)
{
    struct worker_process *worker = arg;
    struct board_slot *slot = worker->room.slot;

    for (size_t i = 0; worker->listeners && i < worker->heritage->config->listen_count; i++)
        listener_start(worker->listeners[i]);
    heartbeat_on_ready(&worker->heartbeat);
    board_set(&slot->booted_at, clock_ns());
    board_set(&slot->is_accepting, worker->listeners != NULL);
    link_say_ready(worker->link);
}

static void stop_accepting(struct worker_process *worker)
{
    for (size_t i = 0; worker->listeners && i < worker->heritage->config->listen_count; i++)
        listener_stop(worker->listeners[i]);
    board_set(&worker->room.slot->is_accepting, 0);
}

/* Connections in the queue of a socket that nobody listens on any more would be reset; and nobody
 * is left to hand those on to that are open. */
static void on_last_call(void *arg)
{
    struct worker_process *worker = arg;

    if (worker->is_draining)
        net_drain(&worker->room.net, false);
    for (size_t i = 0; worker->listeners && i < worker->heritage->config->listen_count; i++)
        listener_take_queued(worker->listeners[i]);
}

/* A process that still holds the socket keeps clients waiting in a queue that it will not serve. */
static void close_sockets(struct worker_process *worker)
{
    for (size_t i = 0; worker->listeners && i < worker->heritage->config->listen_count; i++)
        close(worker->heritage->listeners[i]);
}

/* ---- ending ---- */

static void leave(void *arg)
{
    struct worker_process *worker = arg;

    event_base_loopexit(worker->base, NULL);
}

/* When the last connection has gone, and every application was told of the drain, their background
 * work ends, too. */
static void on_look(void *arg)
{
    struct worker_process *worker = arg;
    struct room *room = &worker->room;

    if (room->net.conn_count > room->net.made_count || members_accepted(room) > 0 ||
        background_is_told(room))
        return;
    members_farewell(room); /* what is left are connections that the applications have made */
    if (room->net.conn_count > 0)
        return;
    room_retire(room);
    if (background_count(room) == 0 && link_is_flushed(worker->link))
        leave(worker);
}

/* Not from within what has just ended: its code may go. */
static void leave_when_empty(struct worker_process *worker)
{
    if (worker->is_draining)
        soon_call(&worker->look, on_look, worker);
}

static void on_empty(void *arg)
{
    leave_when_empty(arg);
}

static void drain(uint64_t ns, const char *identities, void *arg)
{
    struct worker_process *worker = arg;

    if (!worker->is_draining) {
        worker->is_draining = true;
        stop_accepting(worker);
        close_sockets(worker);
        board_set(&worker->room.slot->is_draining, 1);
        link_say_leaving(worker->link);
        background_drain_all(&worker->room);
        client_drain();
    }
    net_drain(&worker->room.net, handoff_set_takers(&worker->handoff, identities));
    farewell_begin_in(&worker->farewell, ns); /* asked again, the later word counts */
    leave_when_empty(worker);
}

static bool hand_on(int *fd, const struct listener *listener, bool has_asked, void *arg)
{
    struct worker_process *worker = arg;

    return handoff_give(&worker->handoff, fd, listener, has_asked);
}

static bool can_hand_on(const struct listener *listener, void *arg)
{
    struct worker_process *worker = arg;

    return handoff_has_taker(&worker->handoff, listener);
}

static void on_connection(const struct message *message, void *arg)
{
    struct worker_process *worker = arg;

    handoff_take(&worker->handoff, message);
}

static unsigned share(void *arg)
{
    const struct worker_process *worker = arg;

    return balance_share(worker->heritage->board, worker->heritage->id, worker->room.net.now);
}

static void on_stacks(uint64_t question, void *arg)
{
    struct worker_process *worker = arg;

    inspect_ask(worker->inspect, question);
}

/* The link has room again for connections that had to stay. */
static void on_flushed(void *arg)
{
    struct worker_process *worker = arg;

    net_hand_on(&worker->room.net);
    leave_when_empty(worker);
}

/* Nobody looks after this worker any more: what is begun is finished, nothing new is taken. */
static void on_orphaned(void *arg)
{
    struct worker_process *worker = arg;

    worker->is_orphaned = true;
    if (worker->heritage->is_preflight) {
        leave(worker);
        return;
    }
    log_warnx("the master has gone; this worker drains and ends");
    on_last_call(worker);
    drain(worker->heritage->config->drain_timeout, NULL, worker);
}

static void reopen(void *arg)
{
    struct worker_process *worker = arg;

    if (log_reopen() == -1)
        log_warn("the log could not be opened anew");
    if (worker->room.access && access_log_reopen(worker->room.access) == -1)
        log_warn("the access log could not be opened anew");
}

/* Commands come over the link; these are for whoever knows only kill(1). */
static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct worker_process *worker = arg;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM)
            drain(worker->heritage->config->drain_timeout, NULL, worker);
        else if (info.ssi_signo == SIGUSR1)
            reopen(worker);
        else
            leave(worker);
    }
}

/* ---- setting up ---- */

static int open_net(struct worker_process *worker)
{
    const struct config *config = worker->heritage->config;
    struct net *net = &worker->room.net;

    net->base = worker->base;
    net->slot = worker->room.slot;
    net->head_limits = (struct head_limits){.max_head = config->max_head,
                                            .max_target = config->max_target,
                                            .max_headers = config->max_headers};
    net->durations = (struct net_durations){.head = config->head_timeout,
                                            .body = config->body_timeout,
                                            .keep_alive = config->keep_alive,
                                            .write = config->write_timeout};
    net->max_body = config->max_body;
    net->max_connections = config->max_connections;
    net->app = &worker->room;
    net->on_request = call_on_request;
    net->on_refused = call_on_refused;
    net->on_gone = call_on_gone;
    net->on_stream = live_on_stream;
    net->hand_on = hand_on;
    net->can_hand_on = can_hand_on;
    net->on_empty = on_empty;
    net->share = worker->heritage->listeners ? share : NULL;
    net->arg = worker;
    return net_open(net);
}

static unsigned port_of(const struct sock_address *address)
{
    if (address->addr.any.sa_family == AF_INET)
        return ntohs(address->addr.in.sin_port);
    return address->addr.any.sa_family == AF_INET6 ? ntohs(address->addr.in6.sin6_port) : 0;
}

static int open_listeners(struct worker_process *worker)
{
    const struct heritage *heritage = worker->heritage;
    size_t count = heritage->config->listen_count;

    if (!heritage->listeners)
        return 0;
    worker->listeners = calloc(count, sizeof worker->listeners[0]);
    if (!worker->listeners)
        return -1;
    for (size_t i = 0; i < count; i++) {
        worker->listeners[i] = listener_new(&worker->room.net, heritage->listeners[i], (unsigned)i,
                                            port_of(&heritage->config->listens[i].address));
        if (!worker->listeners[i])
            return -1;
        if (heritage->config->listens[i].protocol != LISTEN_HTTP)
            listener_set_stream(worker->listeners[i]);
    }
    return 0;
}

static int open_signals(struct worker_process *worker)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN); /* sendfile has no flag against it */
    if (!worker->heritage->is_preflight)
        signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit is EFBIG for one request */
    /* A preflight process is killed at once: preflight.c has seen to it. */
    if (!worker->heritage->is_preflight)
        orphan_watch(worker->heritage);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    worker->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (worker->signal_fd == -1)
        return -1;
    worker->signals =
        event_new(worker->base, worker->signal_fd, EV_READ | EV_PERSIST, on_signal, worker);
    return worker->signals ? event_add(worker->signals, NULL) : -1;
}

static int open_timers(struct worker_process *worker)
{
    farewell_init(&worker->farewell, &worker->room, leave, worker);
    return heartbeat_start(&worker->heartbeat, &worker->room);
}

static void open_access_log(struct worker_process *worker)
{
    const struct config *config = worker->heritage->config;

    if (!config->access_log || worker->heritage->is_preflight)
        return;
    worker->room.access = access_log_open(worker->base, config->access_log, config->access_format);
    if (!worker->room.access)
        log_warn("access log %s; requests are served without it", config->access_log);
}

static int open_link(struct worker_process *worker)
{
    const struct link_orders orders = {.start = start_accepting,
                                       .last_call = on_last_call,
                                       .drain = drain,
                                       .connection = on_connection,
                                       .stacks = on_stacks,
                                       .flushed = on_flushed,
                                       .stop = leave,
                                       .reopen = reopen,
                                       .orphaned = on_orphaned,
                                       .background_ended = on_empty,
                                       .arg = worker};

    worker->link = worker->farewell.link =
        link_open(&worker->room, worker->heritage->link, &orders);
    worker->handoff = (struct handoff){.config = worker->heritage->config,
                                       .net = &worker->room.net,
                                       .link = worker->link,
                                       .listeners = worker->listeners};
    worker->inspect = worker->link ? inspect_new(&worker->room, worker->link) : NULL;
    return worker->inspect ? 0 : -1;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_A_ROUND, 0);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void take_slot(struct worker_process *worker)
{
    const struct heritage *heritage = worker->heritage;
    struct board_slot *slot = board_slot(heritage->board, heritage->id);

    board_set(&slot->booted_at, 0);
    board_set(&slot->is_draining, 0);
    board_set(&slot->requests_at_boot, board_get(&slot->requests));
    board_set(&slot->incarnation, heritage->incarnation);
    board_set(&slot->pid, (uint64_t)getpid());
}

static int worker_open(struct worker_process *worker, uintptr_t outermost)
{
    const struct heritage *heritage = worker->heritage;
    const struct config *config = heritage->config;

    /* Before it is said to be this process's slot: the trace there is its predecessor's. */
    if (fault_open(&board_slot(heritage->board, heritage->id)->trace, outermost) == -1)
        return -1;
    take_slot(worker);
    worker->base = new_base();
    if (!worker->base || coro_pool_open(worker->base, config->stack_size, STACKS_KEPT) == -1 ||
        soon_open(worker->base) == -1 || client_open(worker->base) == -1)
        return -1;
    worker->room.is_preflight = heritage->is_preflight;
    worker->room.bells = heritage->bells;
    worker->room.step = heritage->step;
    worker->room.step_size = heritage->step_size;
    if (room_open(&worker->room, config, heritage->board, heritage->id) == -1 ||
        open_net(worker) == -1 || overdue_open(&worker->room) == -1 ||
        open_listeners(worker) == -1 || open_signals(worker) == -1 || open_timers(worker) == -1 ||
        open_link(worker) == -1)
        return -1;
    if (live_open(&worker->room) == -1)
        return -1;
    open_access_log(worker);
    return 0;
}

/* ---- winding down ---- */

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

static void close_listeners(struct worker_process *worker)
{
    for (size_t i = 0; worker->listeners && i < worker->heritage->config->listen_count; i++)
        if (worker->listeners[i])
            listener_free(worker->listeners[i]);
    free(worker->listeners);
}

/* Bodies are closed and hooks run, as after any other request; long-lived connections are told. */
static void unwind_requests(struct worker_process *worker)
{
    const struct net *net = &worker->room.net;

    for (int i = 0; i < UNWIND_ROUNDS && (coro_alive() > 0 || !TAILQ_EMPTY(&net->streams)); i++) {
        coro_cancel_all();
        event_base_loop(worker->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
}

static void worker_close(struct worker_process *worker)
{
    stop_accepting(worker);
    net_cut_all(&worker->room.net);
    background_skip_drain(&worker->room);
    room_retire(&worker->room);
    unwind_requests(worker);
    inspect_free(worker->inspect);
    link_close(worker->link);
    handoff_fini(&worker->handoff);
    close_listeners(worker);
    heartbeat_stop(&worker->heartbeat);
    farewell_stop(&worker->farewell);
    free_event(worker->signals);
    close(worker->signal_fd);
    if (worker->room.access)
        access_log_close(worker->room.access);
    /* What a thread runs may use what an orderly exit would take apart. */
    if (!threads_close())
        _exit(0);
    if (coro_alive() > 0 || worker->room.net.conn_count > 0)
        return; /* a request that would not be cancelled: the process takes it along */
    client_close();
    live_close();
    net_close(&worker->room.net);
    room_close(&worker->room);
    soon_close();
    coro_pool_close();
    event_base_free(worker->base);
    libevent_global_shutdown();
}

int worker_main(const struct heritage *heritage)
{
    struct worker_process worker = {.heritage = heritage, .signal_fd = -1};

    is_preflight = heritage->is_preflight;
    if (worker_open(&worker, (uintptr_t)__builtin_dwarf_cfa()) == -1) {
        log_warn("the worker could not start");
        return 1;
    }
    if (event_base_dispatch(worker.base) == -1)
        log_warnx("the event loop failed");
    worker_close(&worker);
    return 0;
}
