/* signals.h: the master's signals as ordinary read events, through a signalfd: libevent's own
 * signal pipe, which fork would share, is never used. */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

#include <event2/event.h>
#include <signal.h>

struct signals;
typedef void signals_on_signal(int number, void *arg);

/* Takes over HUP INT QUIT TERM USR1 USR2 TTIN TTOU and CHLD, whatever the parent had done with them
 * (nohup ignores HUP); ignores PIPE. NULL with errno. */
struct signals *signals_open(struct event_base *base, signals_on_signal *on_signal, void *arg);
void signals_close(struct signals *signals);

/* In a fresh child: every handler and the mask as a program expects them. PIPE stays ignored, since
 * in a server a write to a peer that has gone is an error like any other. */
void signals_reset(void);

/* Blocks every signal around a fork and puts the mask back. */
void signals_block_all(sigset_t *before_out);
void signals_restore(const sigset_t *before);

#endif
