/* orphan.c: see orphan.h. */
#include "worker/orphan.h"

#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/worker.h"

/* Seconds beyond the drain's deadline. */
#define ORPHAN_GRACE 5

/* The link tells that the master has gone, but only to a loop that turns. One that hangs would keep
 * the listening sockets for ever: the kernel's word reaches it anyhow, and the alarm that follows
 * kills. */
static volatile sig_atomic_t orphan_seconds;

static void on_master_died(int signal_number)
{
    (void)signal_number;
    alarm((unsigned)orphan_seconds);
}

void orphan_watch(const struct heritage *heritage)
{
    const struct sigaction action = {.sa_handler = on_master_died, .sa_flags = SA_RESTART};

    signal(SIGALRM, SIG_DFL); /* who started the master may have had it ignored */
    orphan_seconds = (sig_atomic_t)(heritage->config->drain_timeout / NS_PER_SEC + ORPHAN_GRACE);
    sigaction(SIGUSR2, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    if (getppid() != heritage->master) /* it had gone before the call */
        on_master_died(SIGUSR2);
}
