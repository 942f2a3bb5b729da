/* signals.c: one signalfd, read by the loop like a socket. What a signal means is decided by
 * whoever opened it. */
#include "master/signals.h"

#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    int fd;
    struct event readable;
    signals_on_signal *on_signal;
    void *arg;
};

static const int handled[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                              SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD};
#define HANDLED (sizeof(handled) / sizeof(handled[0]))

/* An ignored signal never reaches a signalfd, and SIGCHLD ignored would lose every wait status. */
static void set_defaults(void)
{
    for (size_t i = 0; i < HANDLED; i++)
        signal(handled[i], SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct signals *signals = arg;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof(info)) == sizeof(info))
        signals->on_signal((int)info.ssi_signo, signals->arg);
}

struct signals *signals_open(struct event_base *base, signals_on_signal *on_signal, void *arg)
{
    struct signals *signals = calloc(1, sizeof(*signals));
    sigset_t mask;

    if (signals == NULL)
        return NULL;
    set_defaults();
    sigemptyset(&mask);
    for (size_t i = 0; i < HANDLED; i++)
        sigaddset(&mask, handled[i]);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signals->fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd == -1) {
        free(signals);
        return NULL;
    }
    signals->on_signal = on_signal;
    signals->arg = arg;
    event_assign(&signals->readable, base, signals->fd, EV_READ | EV_PERSIST, on_readable, signals);
    event_add(&signals->readable, NULL);
    return signals;
}

void signals_close(struct signals *signals)
{
    if (signals == NULL)
        return;
    /* The mask stays: a second TERM during the last steps of a stop must not cut them short. */
    event_del(&signals->readable);
    close(signals->fd);
    free(signals);
}

void signals_reset(void)
{
    sigset_t none;

    /* Only what signals_open changed: a sanitizer's own handlers are to stay. */
    set_defaults();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_block_all(sigset_t *before_out)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before_out);
}

void signals_restore(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}
