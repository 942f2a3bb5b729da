/* log.c: writes the log. One line, one write(2), no buffer in between, so a line is on its way
 * before the call returns and lines of several processes never mix. It does not rotate: log_reopen
 * follows whoever does. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A pipe takes this much in one piece (PIPE_BUF), so longer lines are cut. */
#define LINE_MAX_BYTES 4096

static struct {
    int fd;
    enum log_level level;
    char *path; /* NULL: stderr */
    char role[32];
} state = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .role = "reeve"};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

/* From here on the log goes to `fd`; the former descriptor is closed unless it is stderr. */
static void switch_to(int fd)
{
    if (state.fd != STDERR_FILENO)
        close(state.fd);
    state.fd = fd;
}

int log_open(const char *path, enum log_level level)
{
    int fd = STDERR_FILENO;
    char *copy = NULL;

    if (path != NULL) {
        copy = strdup(path);
        if (copy == NULL)
            return -1;
        fd = open_path(path);
        if (fd < 0) {
            free(copy);
            return -1;
        }
    }
    switch_to(fd);
    free(state.path);
    state.path = copy;
    state.level = level;
    return 0;
}

bool log_is_as(const char *path, enum log_level level)
{
    if (state.level != level || (path == NULL) != (state.path == NULL))
        return false;
    return path == NULL || strcmp(path, state.path) == 0;
}

int log_reopen(void)
{
    int fd;

    if (state.path == NULL)
        return 0;
    fd = open_path(state.path);
    if (fd < 0)
        return -1;
    /* Its number stays, since a thread may be writing a line. */
    dup3(fd, state.fd, O_CLOEXEC);
    close(fd);
    return 0;
}

void log_set_role(const char *role)
{
    snprintf(state.role, sizeof state.role, "%s", role);
}

bool log_is_on(enum log_level level)
{
    return level >= state.level;
}

int log_fd(void)
{
    return state.fd;
}

int log_level_of(const char *name, enum log_level *level_out)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

/* "2026-01-31T09:05:00.123+01:00 info worker 2.1[4711]: ": local time, since people read it. */
static size_t put_prefix(char *line, size_t size, enum log_level level)
{
    char when[32], zone[8];
    struct timespec now;
    struct tm tm;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    strftime(zone, sizeof zone, "%z", &tm); /* +0100 */
    n = snprintf(line, size, "%s.%03ld%.3s:%s %s %s[%d]: ", when, now.tv_nsec / 1000000, zone,
                 zone + 3, level_names[level], state.role, (int)getpid());
    return (size_t)n;
}

/* Copies `text`, control bytes as \n, \t or \xNN: nothing a client sends can forge a line or steer
 * a terminal. Returns the length; stops, with "..." at the end, where `size` does. */
static size_t put_escaped(char *out, size_t size, const char *text)
{
    size_t n = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        char shown[8];
        int length;

        if (*c == '\n')
            length = snprintf(shown, sizeof shown, "\\n");
        else if (*c == '\t')
            length = snprintf(shown, sizeof shown, "\\t");
        else if (*c < 0x20 || *c == 0x7f)
            length = snprintf(shown, sizeof shown, "\\x%02x", *c);
        else
            length = snprintf(shown, sizeof shown, "%c", *c);
        if (n + (size_t)length + 3 > size) {
            memcpy(out + n, "...", 3);
            return n + 3;
        }
        memcpy(out + n, shown, (size_t)length);
        n += (size_t)length;
    }
    return n;
}

static void write_line(const char *line, size_t length)
{
    ssize_t n;

    do
        n = write(state.fd, line, length);
    while (n < 0 && errno == EINTR);
    /* A log that cannot be written has nobody to tell. */
}

/* `error` is appended when it is not 0. */
static void say(enum log_level level, int error, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void say(enum log_level level, int error, const char *format, va_list args)
{
    char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    int saved = errno, n;
    size_t length;

    if (!log_is_on(level))
        return;
    n = vsnprintf(text, sizeof text, format, args);
    if (error != 0 && n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", strerror(error));
    length = put_prefix(line, sizeof line, level);
    length += put_escaped(line + length, sizeof line - length - 1, n < 0 ? format : text);
    line[length++] = '\n';
    write_line(line, length);
    errno = saved;
}

void log_text(enum log_level level, const char *format, va_list args)
{
    say(level, 0, format, args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_DEBUG, 0, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_INFO, 0, format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_WARN, errno, format, args);
    va_end(args);
}

void log_warnx(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_WARN, 0, format, args);
    va_end(args);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_ERROR, 0, format, args);
    va_end(args);
}

void fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_ERROR, errno, format, args);
    va_end(args);
    exit(1);
}

void fatalx(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_LEVEL_ERROR, 0, format, args);
    va_end(args);
    exit(1);
}
