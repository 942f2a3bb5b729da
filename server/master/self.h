/* self.h: what this process was started as: its arguments, and the file that it is an image of.
 * Seen to at the very start, before getopt reorders the arguments and a package replaces the file.
 */
#ifndef MASTER_SELF_H
#define MASTER_SELF_H

struct self {
    char **argv;  /* as main got it, NULL-ended: a copy of the array */
    char *binary; /* absolute, links in it as they are; NULL: not known */
};

/* 0, or -1 with ENOMEM. */
int self_init(struct self *self, char *const *argv);
void self_fini(struct self *self);

#endif
