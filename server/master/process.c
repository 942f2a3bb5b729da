/* process.c: see process.h. Reads a file that the kernel makes up, which never waits. */
#include "master/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stands behind "Name:\t" at the beginning of a line; "": there is no such line. A process's
 * own name, in the first line, has its line ends escaped. */
static const char *value_of(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, "\t ");
    }
    return "";
}

void process_parse(const char *text, struct process *process_out)
{
    char state = value_of(text, "State")[0];

    *process_out = (struct process){
        .state = state != '\0' ? state : '?',
        .tracer = (pid_t)strtol(value_of(text, "TracerPid"), NULL, 10),
        .is_dumping = value_of(text, "CoreDumping")[0] == '1',
        .caught = strtoull(value_of(text, "SigCgt"), NULL, 16),
    };
}

void process_read(pid_t pid, struct process *process_out)
{
    char path[40], text[8192] = "";
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd != -1 ? read(fd, text, sizeof(text) - 1) : -1;
    text[length > 0 ? length : 0] = '\0';
    if (fd != -1)
        close(fd);
    process_parse(text, process_out);
}

bool process_catches(const struct process *process, int signal)
{
    return signal >= 1 && signal <= 64 && (process->caught >> (signal - 1) & 1) != 0;
}
