/* examination.c: see examination.h. What it writes goes to files in memory that take so much and no
 * more, so that nobody waits for anybody. */
#include "master/examination.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/bequest.h"
#include "master/heir.h"
#include "master/master.h"
#include "master/policy.h"
#include "master/self.h"
#include "master/sentence.h"
#include "master/spawn.h"
#include "master/timer.h"

#define OUTPUT_MAX (64 * 1024)

struct examination {
    const struct master *master;
    const char *binary; /* borrowed */
    examination_on_end *on_end;
    void *arg;
    pid_t pid;
    int answer, output; /* its stdout and stderr; -1: not yet */
    char nonce[40];     /* what makes an answer one to this question */
    bool is_late;
    struct event deadline;
};

static void examination_free(struct examination *examination)
{
    event_del(&examination->deadline);
    if (examination->answer != -1)
        close(examination->answer);
    if (examination->output != -1)
        close(examination->output);
    free(examination);
}

/* ---- its answer ---- */

/* The text in a memfd, to be freed. */
static char *text_in(int fd)
{
    char *text = calloc(1, OUTPUT_MAX + 1);

    if (text != NULL && pread(fd, text, OUTPUT_MAX, 0) == -1)
        text[0] = '\0';
    return text;
}

/* The first line of what it wrote on stderr, cut; "" when it wrote nothing. */
static void first_line(const struct examination *examination, char *line, size_t size)
{
    char *text = text_in(examination->output);
    const char *begin = text != NULL ? text + strspn(text, "\r\n ") : "";

    snprintf(line, size, "%.*s", (int)strcspn(begin, "\r\n"), begin);
    free(text);
}

/* Without an answer: what its end says. */
static int refuse_by_end(const struct examination *examination, int status, char **reason_out)
{
    char line[512], how[160];

    first_line(examination, line, sizeof(line));
    policy_describe_end(status, how, sizeof(how));
    if (examination->is_late)
        return sentence_set(
            reason_out, "%s did not answer its check within %g s%s%s", examination->binary,
            (double)examination->master->config->upgrade_timeout / (double)NS_PER_SEC,
            line[0] != '\0' ? ": " : "", line);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SPAWN_NOT_EXECUTED)
        return sentence_set(reason_out, "%s cannot be executed: %s", examination->binary, line);
    return sentence_set(reason_out, "%s did not answer its check as a reeve does: it %s%s%s",
                        examination->binary, how, line[0] != '\0' ? ": " : "", line);
}

/* 0 and its version, to be freed; or -1 with a sentence. */
static int judge(const struct examination *examination, int status, char **version_out,
                 char **reason_out)
{
    char *text = text_in(examination->answer);
    cJSON *answer = text != NULL ? cJSON_Parse(text) : NULL;
    const char *nonce = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "nonce"));
    const char *version = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "version"));
    const char *refusal = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "refusal"));
    int result = -1;

    if (examination->is_late || nonce == NULL || strcmp(nonce, examination->nonce) != 0)
        refuse_by_end(examination, status, reason_out);
    else if (refusal != NULL)
        sentence_set(reason_out, "%s", refusal);
    else if (version == NULL || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        refuse_by_end(examination, status, reason_out);
    else if ((*version_out = strdup(version)) != NULL)
        result = 0;
    cJSON_Delete(answer);
    free(text);
    return result;
}

bool examination_reap(struct examination *examination, pid_t pid, int status)
{
    char *version = NULL, *reason = NULL;

    if (examination == NULL || examination->pid != pid)
        return false;
    kill(-pid, SIGKILL); /* whatever it has left behind */
    if (judge(examination, status, &version, &reason) == 0)
        examination->on_end(version, NULL, examination->arg);
    else
        examination->on_end(NULL, sentence_or(reason), examination->arg);
    free(version);
    free(reason);
    examination_free(examination);
    return true;
}

void examination_cancel(struct examination *examination)
{
    kill(-examination->pid, SIGKILL);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct examination *examination = arg;

    (void)fd;
    (void)what;
    examination->is_late = true;
    examination_cancel(examination);
}

/* ---- the start ---- */

/* A file in memory that takes so much and no more. */
static int open_memory(void)
{
    int fd = memfd_create("reeve-check", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd != -1 && (ftruncate(fd, OUTPUT_MAX) != 0 ||
                     fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* BINARY --check-upgrade=N, then what this process was started with. */
static int spawn_it(struct examination *examination, int document)
{
    const struct self *self = examination->master->self;
    const int kept[] = {document, examination->master->board_fd};
    struct program program = {.output = examination->answer,
                              .errors = examination->output,
                              .kept = kept,
                              .kept_count = sizeof(kept) / sizeof(kept[0])};
    char option[64];
    size_t count = 0;
    char **argv;

    while (self->argv[count] != NULL)
        count++;
    argv = calloc(count + 3, sizeof(*argv));
    if (argv == NULL)
        return -1;
    snprintf(option, sizeof(option), "--" HEIR_OPTION "=%d", document);
    argv[0] = (char *)(uintptr_t)examination->binary;
    argv[1] = option;
    for (size_t i = 1; i < count; i++)
        argv[i + 1] = self->argv[i];
    program.argv = argv;
    examination->pid = spawn_program(&program);
    free(argv);
    return examination->pid != -1 ? 0 : -1;
}

static int start(struct examination *examination)
{
    int document, status;

    examination->answer = open_memory();
    examination->output = open_memory();
    if (examination->answer == -1 || examination->output == -1)
        return -1;
    document = bequest_write(examination->master, examination->nonce);
    if (document == -1)
        return -1;
    status = spawn_it(examination, document);
    close(document);
    return status;
}

struct examination *examination_start(const struct master *master, const char *binary,
                                      examination_on_end *on_end, void *arg)
{
    struct examination *examination = calloc(1, sizeof(*examination));

    if (examination == NULL)
        return NULL;
    examination->master = master;
    examination->binary = binary;
    examination->on_end = on_end;
    examination->arg = arg;
    examination->answer = examination->output = -1;
    snprintf(examination->nonce, sizeof(examination->nonce), "%" PRIx64 "-%" PRIx64,
             master->action.receipt->deploy, clock_wall_ns());
    evtimer_assign(&examination->deadline, master->base, on_deadline, examination);
    if (start(examination) != 0) {
        int error = errno;

        examination_free(examination);
        errno = error;
        return NULL;
    }
    timer_arm(&examination->deadline, master->config->upgrade_timeout);
    return examination;
}
