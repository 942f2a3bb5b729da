/* process.h: what the kernel says of a process that does not speak for itself. */
#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    char state;      /* 'R', 'S', 'D', 'T', 't', 'Z' ... of its main thread; '?': not known */
    pid_t tracer;    /* who debugs it; 0: nobody */
    bool is_dumping; /* its memory is being written into a core file */
    uint64_t caught; /* the signals that it has a handler for: bit N - 1 is signal N */
};

/* From the text of /proc/PID/status; what is not in it stays unknown, or 0. */
void process_parse(const char *text, struct process *process_out);
/* The same of a process; without /proc nothing is known. */
void process_read(pid_t pid, struct process *process_out);

bool process_catches(const struct process *process, int signal);

#endif
