/* examination.h: a binary is asked, in a child of the master, whether it can go on in its place.
 * Only what answers as a reeve does can: everything else that the child may do is a refusal. */
#ifndef MASTER_EXAMINATION_H
#define MASTER_EXAMINATION_H

#include <stdbool.h>
#include <sys/types.h>

struct examination;
struct master;

/* Called once, when the child has been reaped; the examination is freed right after. `version` is
 * the binary's; NULL: it is refused, with a sentence. */
typedef void examination_on_end(const char *version, const char *refusal, void *arg);

/* Of the running action; `binary` is borrowed until the end. Takes config->upgrade_timeout at most.
 * NULL with errno when no process could be made. */
struct examination *examination_start(const struct master *master, const char *binary,
                                      examination_on_end *on_end, void *arg);
/* Ends it now; on_end still comes. */
void examination_cancel(struct examination *examination);
/* True when `pid` is its process. NULL is fine. */
bool examination_reap(struct examination *examination, pid_t pid, int status);

#endif
