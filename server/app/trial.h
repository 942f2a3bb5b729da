/* trial.h: what only the preflight process does with a build: it says which step it tries, and asks
 * for the app's selftest_paths as a client would.
 *
 * The step lies in memory that the master shares: it is what is known of a process that crashed. */
#ifndef APP_TRIAL_H
#define APP_TRIAL_H

struct generation;
struct room;

/* Says what is tried from now on, as the end of a sentence: "in init". Nothing in a worker. */
void trial_step(const struct room *room, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Requests each of the descriptor's selftest_paths, one after the other, over a connection like any
 * other. The generation must be live. on_end is called once, within the call or later, with NULL or
 * with the sentence why the build is refused. */
void trial_run(struct generation *generation, void (*on_end)(const char *refusal, void *arg),
               void *arg);

#endif
