/* verdict.c: see verdict.h. */
#include "master/verdict.h"

bool verdict_is_held(const struct process *process)
{
    return process->tracer != 0 || process->is_dumping;
}

char verdict_state(const struct process *process, bool has_answered)
{
    switch (process->state) {
    case 'T':
    case 't':
        return process->state;
    case 'D':
        return has_answered ? '\0' : 'D';
    default:
        return '\0';
    }
}

static bool is_time_over(const struct suspicion *of)
{
    return of->waited >= (of->has_answered ? VERDICT_AFTER_ANSWER : VERDICT_ANSWER_WAIT);
}

enum verdict verdict_of(const struct suspicion *of, const struct process *process)
{
    bool is_late = of->reason == WATCHDOG_LATE && !of->is_serving;

    if (of->has_beaten && !is_late)
        return VERDICT_GOES_ON;
    if (!is_time_over(of)) /* one that is late and goes on may get ready yet */
        return VERDICT_WAIT;
    if (of->has_beaten)
        return VERDICT_LATE;
    if (!of->is_stopping && verdict_is_held(process))
        return VERDICT_SPARED;
    return VERDICT_HANGS;
}
