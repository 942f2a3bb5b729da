/* fuzz_client.c: any bytes as what a service answers, over a real socket. Of the input the first
 * byte says how the request is made, the second one how the answer is cut into pieces.
 *
 * Aborts when what becomes of the request depends on the cuts, or when an answer breaks what
 * reeve/client.h promises. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <reeve/client.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/origin.h"
#include "http/chars.h"
#include "runtime/coro.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define MAX_BODY 3000
#define MAX_HEAD 1000

enum { IS_HEAD = 1, IS_POST = 2 };

/* What became of a request. */
struct outcome {
    bool is_done;
    int error, status;
    size_t size;
    char body[MAX_BODY + 1];
    unsigned kept;
};

struct call {
    reeve_client_request request;
    struct outcome *outcome;
};

static struct event_base *base;
static int listener;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char url[256];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the service ---- */

static void escape(const char *path)
{
    size_t at = (size_t)snprintf(url, sizeof url, "http+unix://");

    for (; *path; path++)
        at += (size_t)snprintf(url + at, sizeof url - at, *path == '/' ? "%%2F" : "%c", *path);
    snprintf(url + at, sizeof url - at, "/");
}

static void clean_up(void)
{
    unlink(address.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/reeve-fuzz-client-%d", getpid());
    unlink(address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(listen(listener, 8) == 0);
    atexit(clean_up);
    escape(address.sun_path);
    base = event_base_new();
    REQUIRE(base && coro_pool_open(base, 256u << 10, 4) == 0 && origin_open(base) == 0);
    return 0;
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

/* In pieces that the seed makes; 0: all at once. */
static void answer(int fd, const char *bytes, size_t size, unsigned seed,
                   const struct outcome *outcome)
{
    bool is_whole = seed == 0;
    size_t at = 0, n;

    while (at < size && !outcome->is_done) {
        seed = seed * 1103515245 + 12345;
        n = !is_whole ? 1 + (seed >> 16) % (1u << (seed >> 8) % 10) : size;
        n = n < size - at ? n : size - at;
        n = (size_t)send(fd, bytes + at, n, MSG_NOSIGNAL);
        if (n != (size_t)-1)
            at += n;
        else if (errno != EAGAIN)
            break;
        turn();
    }
    shutdown(fd, SHUT_WR);
}

/* ---- the client ---- */

static int check_header(const char *name, const char *value, void *arg)
{
    (void)arg;
    REQUIRE(char_is_token(name, strlen(name)));
    for (; *value; value++)
        REQUIRE(char_is(*value, CHAR_TEXT));
    return 0;
}

static void take(const reeve_client_response *response, struct outcome *outcome)
{
    const char *body = reeve_client_body(response, &outcome->size);

    outcome->status = reeve_client_status(response);
    REQUIRE(outcome->status >= 200 && outcome->status < 600);
    REQUIRE(outcome->size <= MAX_BODY && body[outcome->size] == '\0');
    memcpy(outcome->body, body, outcome->size);
    reeve_client_header_each(response, check_header, NULL);
}

static void call(void *arg)
{
    struct call *one = arg;
    reeve_client_response *response;

    if (reeve_client_fetch(&one->request, &response) == -1) {
        one->outcome->error = errno;
    } else {
        take(response, one->outcome);
        reeve_client_response_free(response);
    }
    one->outcome->is_done = true;
}

static void fetch(struct outcome *outcome, const uint8_t *data, size_t size, unsigned seed)
{
    unsigned how = data[0];
    struct call one = {
        .request = {.url = url,
                    .method = how & IS_HEAD ? "HEAD" : NULL,
                    .body = how & IS_POST ? "text" : NULL,
                    .body_size = how & IS_POST ? 4 : 0,
                    .max_body = MAX_BODY,
                    .max_head = MAX_HEAD},
        .outcome = outcome,
    };
    int fd;

    memset(outcome, 0, sizeof *outcome);
    REQUIRE(coro_run(call, NULL, &one, 0) == 0);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    REQUIRE(fd != -1);
    answer(fd, (const char *)data + 2, size - 2, seed, outcome);
    while (!outcome->is_done)
        event_base_loop(base, EVLOOP_ONCE);
    while (origin_spare_one())
        outcome->kept++;
    close(fd);
    REQUIRE(coro_alive() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;

    if (size < 2)
        return 0;
    fetch(&whole, data, size, 0);
    fetch(&cut, data, size, data[1] + 1u);
    REQUIRE(whole.error == cut.error && whole.status == cut.status && whole.size == cut.size);
    REQUIRE(memcmp(whole.body, cut.body, whole.size) == 0);
    REQUIRE(whole.error == 0 || whole.kept == 0);
    return 0;
}
