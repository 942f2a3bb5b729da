/* policy.c: the master's rules of thumb. Pure: no clock is read, no process touched here. */
#include "master/policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* POLICY_DELAY_MIN for the first, doubled for each further one. */
static uint64_t nth_delay(unsigned n)
{
    uint64_t delay = POLICY_DELAY_MIN;

    while (n-- > 1 && delay < POLICY_DELAY_MAX)
        delay *= 2;
    return delay < POLICY_DELAY_MAX ? delay : POLICY_DELAY_MAX;
}

static uint64_t delay_after(struct backoff *backoff, const struct unasked_end *end)
{
    if (!end->was_ready)
        return nth_delay(++backoff->failures);
    if (end->up >= POLICY_BRIEF) {
        backoff->brief = 0;
        return 0;
    }
    /* A module that crashes a moment after every start must not turn the master into a fork bomb;
     * but a longer delay would be a weapon for whoever has found a request that crashes it. */
    return ++backoff->brief <= POLICY_BRIEF_FREE ? 0 : POLICY_BRIEF_DELAY;
}

uint64_t policy_respawn_delay(struct backoff *backoff, const struct unasked_end *end, uint64_t now)
{
    uint64_t delay;

    if ((end->was_ready && end->up >= POLICY_STEADY) || now >= backoff->until + POLICY_STEADY)
        *backoff = (struct backoff){.failures = 0};
    delay = delay_after(backoff, end);
    backoff->until = now + delay;
    return delay;
}

bool policy_is_hopeless(const struct backoff *backoff)
{
    return backoff->failures >= POLICY_START_TRIES;
}

void policy_describe_end(int status, char *text, size_t size)
{
    if (WIFEXITED(status))
        snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(text, size, "ended with wait status 0x%x", (unsigned)status);
}
