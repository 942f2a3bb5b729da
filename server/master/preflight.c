/* preflight.c: the throwaway process, seen from the master: what it answers, what it writes, how it
 * ends. What is tried in it is the worker's business (its side of MESSAGE_PREPARE). */
#include "master/preflight.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/board.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "master/sentence.h"
#include "master/spawn.h"
#include "master/stage.h"
#include "master/timer.h"

#define FILE_SIZE_MAX   (64u << 20)
#define NICENESS        10
#define DESCRIPTORS_MAX 1024u
#define LINK_GRACE_MS   20 /* for a link that a grandchild still holds open */

/* Memory that the child writes. */
struct shared {
    struct stage_result staged;
    char step[512]; /* what it tried last: "in init" */
};

struct preflight {
    struct preflight_order order;
    preflight_on_end *on_end;
    void *arg;

    pid_t master_pid;
    pid_t pid;
    int status;     /* of waitpid, once is_reaped */
    bool is_reaped; /* with is_cut the end: a last message may be read after the process is gone */
    bool is_cut;
    bool is_prepared;
    bool is_late;  /* killed, since prepare_timeout was over */
    char *refusal; /* the first reason that came up */
    char version[64];

    struct channel *link;
    struct shared *shared;
    struct board *board; /* the child's own scoreboard */
    int board_fd;
    struct event timer;
    struct event readable; /* its stdout and stderr; assigned once output_fd is there */
    int output_fd;
    char *output;
    size_t output_size;
};

/* ---- in the child ---- */

static void limit(int resource, rlim_t value)
{
    struct rlimit old, new;

    if (getrlimit((__rlimit_resource_t)resource, &old) != 0 || old.rlim_max <= value)
        return;
    /* One more for the hard limit: of CPU time that one kills without saying why. */
    new = (struct rlimit){.rlim_cur = value, .rlim_max = value + 1};
    setrlimit((__rlimit_resource_t)resource, &new);
}

/* Stages first, since the limit on file sizes is for the app, not for us. */
static int stage_and_limit(void *arg)
{
    const struct preflight *preflight = arg;
    const struct preflight_order *order = &preflight->order;
    rlim_t seconds = (rlim_t)(order->config->prepare_timeout / NS_PER_SEC) + 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* of no use without its master */
    if (getppid() != preflight->master_pid)
        return 1;                           /* which was gone before the call */
    setpriority(PRIO_PROCESS, 0, NICENESS); /* who serves comes first */
    if (stage_copy(order->module, order->path, &preflight->shared->staged) != 0)
        return 1;
    limit(RLIMIT_CPU, seconds);
    limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
    limit(RLIMIT_FSIZE, FILE_SIZE_MAX);
    return 0;
}

/* ---- what it writes ---- */

/* Past the limit it is read and dropped, so that the child never waits for us. False: no more
 * now. */
static bool read_output(struct preflight *preflight)
{
    char rest[4096];
    size_t room = PREFLIGHT_OUTPUT_MAX - preflight->output_size;
    ssize_t n;

    if (room == 0)
        return read(preflight->output_fd, rest, sizeof(rest)) > 0;
    n = read(preflight->output_fd, preflight->output + preflight->output_size, room);
    if (n <= 0) {
        if (n == 0)
            event_del(&preflight->readable);
        return false;
    }
    preflight->output_size += (size_t)n;
    return true;
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    read_output(arg); /* once a wake: a child that floods us must not have the master to itself */
}

/* ---- how it ends ---- */

static void preflight_free(struct preflight *preflight)
{
    event_del(&preflight->timer);
    if (preflight->output_fd != -1) {
        event_del(&preflight->readable);
        close(preflight->output_fd);
    }
    channel_free(preflight->link);
    if (preflight->board != NULL) {
        board_detach(preflight->board);
        close(preflight->board_fd);
    }
    if (preflight->shared != NULL)
        munmap(preflight->shared, sizeof(*preflight->shared));
    free(preflight->output);
    free(preflight->refusal);
    free(preflight);
}

static const char *limit_passed(int signal_number)
{
    switch (signal_number) {
    case SIGXCPU:
        return "used up its CPU time";
    case SIGXFSZ:
        return "wrote too large a file";
    default:
        return NULL;
    }
}

/* The child ended in a way that is a refusal by itself. */
static void refuse_by_status(struct preflight *preflight, int status)
{
    const char *step = preflight->shared->step;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (preflight->is_late)
        sentence_set(&preflight->refusal, "did not finish its preflight within %g s: it was %s",
                     (double)preflight->order.config->prepare_timeout / (double)NS_PER_SEC, step);
    else if (limit_passed(number) != NULL)
        sentence_set(&preflight->refusal, "%s %s", limit_passed(number), step);
    else if (number != 0)
        sentence_set(&preflight->refusal, "crashed with signal %d (%s) %s", number,
                     strsignal(number), step);
    else
        sentence_set(&preflight->refusal, "ended with exit status %d %s", WEXITSTATUS(status),
                     step);
}

#define TERMINATE(text) ((text)[sizeof(text) - 1] = '\0')

/* The child may have been ended, or have gone mad, at any point. */
static void terminate_texts(struct shared *shared)
{
    TERMINATE(shared->staged.problem);
    TERMINATE(shared->staged.build_id);
    TERMINATE(shared->staged.sha256);
    TERMINATE(shared->staged.warnings);
    TERMINATE(shared->step);
}

/* The first of these that holds is the reason. */
static void judge(struct preflight *preflight)
{
    const struct stage_result *staged = &preflight->shared->staged;
    int status = preflight->status;

    if (staged->problem[0] != '\0') {
        sentence_set(&preflight->refusal, "%s", staged->problem);
    } else if (preflight->refusal == NULL && (!preflight->is_prepared || status != 0)) {
        refuse_by_status(preflight, status);
    }
}

static void finish(struct preflight *preflight)
{
    const struct stage_result *staged = &preflight->shared->staged;
    struct preflight_result result;

    for (int i = 0; i < PREFLIGHT_OUTPUT_MAX / 4096 && read_output(preflight); i++)
        ;
    preflight->output[preflight->output_size] = '\0';
    terminate_texts(preflight->shared);
    judge(preflight);
    result = (struct preflight_result){
        .refusal = preflight->refusal,
        .output = preflight->output,
        .version = preflight->version,
        .build_id = staged->build_id,
        .sha256 = staged->sha256,
        .warnings = staged->warnings,
        .size = staged->size,
    };
    preflight->on_end(&result, preflight->arg);
    preflight_free(preflight);
}

static void kill_group(const struct preflight *preflight)
{
    kill(-preflight->pid, SIGKILL); /* with whatever the app has forked */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct preflight *preflight = arg;

    (void)fd;
    (void)what;
    if (preflight->is_reaped && channel_has_input(preflight->link)) {
        timer_arm(&preflight->timer, LINK_GRACE_MS * NS_PER_MS); /* its last words are being read */
        return;
    }
    if (preflight->is_reaped) {
        finish(preflight);
        return;
    }
    preflight->is_late = true;
    kill_group(preflight);
}

bool preflight_reap(struct preflight *preflight, pid_t pid, int status)
{
    if (preflight == NULL || preflight->is_reaped || preflight->pid != pid)
        return false;
    preflight->is_reaped = true;
    preflight->status = status;
    if (preflight->is_cut)
        finish(preflight);
    else
        timer_arm(&preflight->timer, LINK_GRACE_MS * NS_PER_MS);
    return true;
}

void preflight_cancel(struct preflight *preflight)
{
    if (preflight->refusal == NULL)
        sentence_set(&preflight->refusal, "was cancelled");
    if (!preflight->is_reaped)
        kill_group(preflight);
}

/* ---- what it answers ---- */

static void on_message(struct channel *link, const struct message *message, void *arg)
{
    struct preflight *preflight = arg;

    if (message == NULL) {
        preflight->is_cut = true;
        if (preflight->is_reaped)
            finish(preflight);
        return;
    }
    if (message->type == MESSAGE_PREPARED) {
        preflight->is_prepared = true;
        snprintf(preflight->version, sizeof(preflight->version), "%s", message->text);
    } else if (message->type == MESSAGE_REFUSED && preflight->refusal == NULL) {
        sentence_set(&preflight->refusal, "%s", message->text);
    } else {
        return;
    }
    channel_send(link, &(struct message){.type = MESSAGE_STOP});
}

/* ---- the start ---- */

/* Both ends of what connects us with the child, and what it shares with us. */
static int open_all(struct preflight *preflight, int *link_out, int *output_out)
{
    int link[2], output[2];

    preflight->output = malloc(PREFLIGHT_OUTPUT_MAX + 1);
    preflight->shared = mmap(NULL, sizeof(*preflight->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (preflight->shared == MAP_FAILED)
        preflight->shared = NULL;
    preflight->board =
        board_create_with(1, preflight->order.config->max_apps,
                          preflight->order.config->pubsub_ring, &preflight->board_fd);
    if (preflight->output == NULL || preflight->shared == NULL || preflight->board == NULL)
        return -1;
    if (channel_pair(link) != 0)
        return -1;
    preflight->link = channel_new(preflight->order.base, link[0], on_message, preflight);
    if (preflight->link == NULL) {
        close(link[0]);
        close(link[1]);
        return -1;
    }
    if (pipe2(output, O_CLOEXEC) != 0) {
        close(link[1]);
        return -1;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK); /* our end only: the child's is an ordinary stderr */
    preflight->output_fd = output[0];
    event_assign(&preflight->readable, preflight->order.base, output[0], EV_READ | EV_PERSIST,
                 on_output, preflight);
    event_add(&preflight->readable, NULL);
    *link_out = link[1];
    *output_out = output[1];
    return 0;
}

static int start_process(struct preflight *preflight)
{
    struct spawn spawn = {
        .heritage = {.config = preflight->order.config, .is_preflight = true},
        .role = "preflight",
        .title = "reeve preflight",
        .first = stage_and_limit,
        .arg = preflight,
    };

    if (open_all(preflight, &spawn.heritage.link, &spawn.output) != 0)
        return -1;
    spawn.heritage.board = preflight->board;
    spawn.heritage.step = preflight->shared->step;
    spawn.heritage.step_size = sizeof(preflight->shared->step);
    snprintf(preflight->shared->step, sizeof(preflight->shared->step), "in staging");
    preflight->pid = spawn_child(&spawn);
    close(spawn.heritage.link);
    close(spawn.output);
    return preflight->pid == -1 ? -1 : 0;
}

struct preflight *preflight_start(const struct preflight_order *order, preflight_on_end *on_end,
                                  void *arg)
{
    struct preflight *preflight = calloc(1, sizeof(*preflight));

    if (preflight == NULL)
        return NULL;
    preflight->order = *order;
    preflight->on_end = on_end;
    preflight->arg = arg;
    preflight->output_fd = -1;
    preflight->master_pid = getpid();
    evtimer_assign(&preflight->timer, order->base, on_timer, preflight);
    if (start_process(preflight) != 0) {
        int error = errno;

        preflight_free(preflight);
        errno = error;
        return NULL;
    }
    timer_arm(&preflight->timer, order->config->prepare_timeout);
    channel_send(preflight->link, &(struct message){.type = MESSAGE_PREPARE,
                                                    .app = order->config->apps[order->app].column,
                                                    .generation = order->generation,
                                                    .text = order->path});
    return preflight;
}
