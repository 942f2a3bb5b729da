/* spawn.c: fork as one sequence: signals blocked; fork; in the child everything that is not in the
 * heritage closed, signals as a program expects them, a process group of its own; then worker_main.
 *
 * The master's event base is never touched in the child. event_base_free would delete the master's
 * events from the epoll set that both share, unless event_reinit came first, and that re-registers
 * every event of the master in a set of the child's own, only for them to be deleted again. Closing
 * the descriptors underneath is enough: the epoll set and libevent's pipe stay alive in the master,
 * and the base's memory here is never looked at again. */
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/trace.h"
#include "master/signals.h"

static int compare_numbers(const void *left, const void *right)
{
    int l = *(const int *)left, r = *(const int *)right;

    return (l > r) - (l < r);
}

/* The heritage's descriptors in order; those that it has not got are negative. NULL: memory has run
 * out. */
static int *list_kept(const struct heritage *heritage, size_t *count_out)
{
    size_t bells = heritage->bells != NULL ? heritage->board->max_workers : 0;
    size_t listeners = heritage->listeners != NULL ? heritage->config->listen_count : 0;
    int *kept = calloc(2 + bells + listeners, sizeof(kept[0]));

    if (kept == NULL)
        return NULL;
    kept[0] = log_fd();
    kept[1] = heritage->link;
    for (size_t i = 0; i < bells; i++)
        kept[2 + i] = heritage->bells[i];
    for (size_t i = 0; i < listeners; i++)
        kept[2 + bells + i] = heritage->listeners[i];
    *count_out = 2 + bells + listeners;
    qsort(kept, *count_out, sizeof(kept[0]), compare_numbers);
    return kept;
}

static void close_span(int first, int last)
{
    struct rlimit limit;

    if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
        return;
    /* An old kernel, or a container that forbids the call. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max <= (rlim_t)last)
        last = (int)limit.rlim_max - 1;
    for (int fd = first; fd <= last; fd++)
        close(fd);
}

/* CLOEXEC does nothing on fork. Closing all but what is kept, rather than what is known, stays
 * right when a library opens something of its own. */
static void close_others(const struct heritage *heritage)
{
    int from = STDERR_FILENO + 1;
    size_t count;
    int *kept = list_kept(heritage, &count);

    if (kept == NULL) {
        log_warn("the worker could not start");
        _exit(1);
    }
    for (size_t i = 0; i < count; i++)
        if (kept[i] >= from) {
            close_span(from, kept[i] - 1);
            from = kept[i] + 1;
        }
    close_span(from, INT_MAX);
    free(kept);
}

/* stdin is the terminal's, whose foreground group the child has just left: reading would stop
 * it. */
static void settle_stdio(int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null != -1) {
        dup2(null, STDIN_FILENO);
        if (null != STDIN_FILENO)
            close(null);
    }
    if (output != -1) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        log_open(NULL, log_is_on(LOG_LEVEL_DEBUG) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    }
}

/* While a configuration is rolled out the master's own log is still the former one's. */
static void settle_log(const struct spawn *spawn)
{
    const struct config *config = spawn->heritage.config;

    if (spawn->output == -1 && !log_is_as(config->log_file, config->log_level) &&
        log_open(config->log_file, config->log_level) != 0)
        log_warn("log_file %s; this worker goes on with the former one", config->log_file);
}

static void be_child(const void *arg) __attribute__((noreturn));
static void be_child(const void *arg)
{
    const struct spawn *spawn = arg;
    int status = 0;

    setpgid(0, 0); /* Ctrl-C in a terminal is for the master */
    settle_stdio(spawn->output);
    close_others(&spawn->heritage);
    prctl(PR_SET_NAME, spawn->title);
    log_set_role(spawn->role);
    settle_log(spawn);
    signal(TRACE_SIGNAL, SIG_IGN); /* until the worker can answer: it would kill */
    signals_reset();
    if (spawn->first != NULL)
        status = spawn->first(spawn->arg);
    if (status == 0)
        status = worker_main(&spawn->heritage);
    /* exit, not _exit: a leak checker and a profiler do their work at exit; the master registers
     * nothing there, and stdio was flushed before the fork. */
    exit(status);
}

struct start { /* of a program */
    const struct program *program;
    pid_t master;
};

/* What is the master's closes itself: all of it is close-on-exec. */
static void be_program(const void *arg) __attribute__((noreturn));
static void be_program(const void *arg)
{
    const struct start *start = arg;
    const struct program *program = start->program;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != start->master)
        _exit(1); /* it was gone before the call */
    if (null != -1)
        dup2(null, STDIN_FILENO);
    dup2(program->output, STDOUT_FILENO);
    dup2(program->errors, STDERR_FILENO);
    for (size_t i = 0; i < program->kept_count; i++)
        fcntl(program->kept[i], F_SETFD, 0);
    signals_reset();
    execv(program->argv[0], program->argv);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(SPAWN_NOT_EXECUTED);
}

static pid_t fork_child(void (*be)(const void *arg), const void *arg)
{
    sigset_t before;
    pid_t pid;
    int error;

    fflush(NULL); /* or what lies in a buffer would be written by both */
    signals_block_all(&before);
    pid = fork();
    if (pid == 0)
        be(arg);
    error = errno;
    signals_restore(&before);
    if (pid > 0)
        setpgid(pid, pid); /* by both: whoever comes first, a kill of the group finds it */
    errno = error;
    return pid;
}

pid_t spawn_child(const struct spawn *spawn)
{
    return fork_child(be_child, spawn);
}

pid_t spawn_program(const struct program *program)
{
    const struct start start = {program, getpid()};

    return fork_child(be_program, &start);
}
