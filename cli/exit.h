/* exit.h: what reevectl's exit status says. Scripts rely on it: a number never changes its
 * meaning. */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* nothing was changed */
    EXIT_USAGE = 2,
    EXIT_NOT_RUNNING = 3,
    EXIT_REJECTED = 4,    /* the new build is no good; the old one goes on serving */
    EXIT_ROLLED_BACK = 5, /* it was live and was taken back */
    EXIT_PARTIAL = 6,     /* timed out, or done in part */
    EXIT_DENIED = 7,
    EXIT_INTERRUPTED = 130,
};

#endif
