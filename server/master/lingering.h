/* lingering.h: workers that hold old code for longer than unload_timeout are replaced. */
#ifndef MASTER_LINGERING_H
#define MASTER_LINGERING_H

struct lingering;
struct master;

/* NULL with ENOMEM. */
struct lingering *lingering_new(struct master *master);
void lingering_free(struct lingering *lingering); /* NULL is fine */

#endif
