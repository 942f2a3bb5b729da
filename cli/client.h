/* client.h: requests to the control socket, blocking, with a time limit; an answer comes as a whole
 * or line by line. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum client_end {
    CLIENT_DONE,        /* there is a whole answer, whatever its status */
    CLIENT_NOT_RUNNING, /* client->reason says "no socket" or "nobody listens" */
    CLIENT_DENIED,      /* by the file's permissions; the server's own refusal is status 403 */
    CLIENT_LOST,        /* the server hung up before its answer was complete */
    CLIENT_TIMED_OUT,
    CLIENT_INTERRUPTED, /* Ctrl-C */
    CLIENT_FAILED,      /* client->reason says what is wrong */
};

struct client {
    int fd;            /* -1: not connected */
    pid_t server;      /* the master's process id; 0: in a pid namespace that is not ours */
    uint64_t deadline; /* clock_ns(); 0: none */
    bool is_sent;      /* the whole request: the server may act on it, answered or not */
    char reason[160];
};

struct client_answer {
    int status;
    bool is_stream; /* its lines went to on_line, and `text` is "" */
    char *text;     /* NUL-terminated; to be freed by client_answer_free */
    size_t length;
};

/* A line of a streamed answer, NUL-terminated, without its end. false: the caller has heard enough,
 * and the call ends as done. */
typedef bool client_on_line(char *line, void *arg);

/* Connects. `seconds` limit everything until client_close; 0: no limit. */
enum client_end client_open(struct client *client, const char *path, double seconds);
/* The same with a deadline of clock_ns(); 0: no limit. */
enum client_end client_open_until(struct client *client, const char *path, uint64_t deadline);
/* `body` is JSON, or NULL. One call a connection. */
enum client_end client_call(struct client *client, const char *method, const char *path,
                            const char *body, client_on_line *on_line, void *arg,
                            struct client_answer *answer_out);
/* Waits until the server's process has ended (or, when it cannot be seen, until it hangs up).
 * `pidfd` is from client_watch, before the call. */
enum client_end client_wait_end(struct client *client, int pidfd);
/* A descriptor that becomes readable when the server's process ends, or -1. */
int client_watch(const struct client *client);
/* CLIENT_DONE when so much time has gone by, or CLIENT_INTERRUPTED. */
enum client_end client_pause(double seconds);
void client_close(struct client *client);
void client_answer_free(struct client_answer *answer);

/* From now on Ctrl-C ends the waiting with CLIENT_INTERRUPTED and not the process. */
void client_catch_interrupt(void);

#endif
