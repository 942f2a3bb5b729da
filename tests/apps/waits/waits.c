/* waits: requests that wait for everything there is to wait for, by descriptors, threads and turns.
 * The answer is what came of it, one line each, as "ok" or the name of an error. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <reeve/async.h>

typedef int serve(reeve_environ *env);

static reeve_semaphore none;      /* nobody ever releases it */
static reeve_mutex mutex, locked; /* `locked` is locked by the first who comes, and stays so */
static reeve_condition condition;
static reeve_queue *empty, *full;

static int say(reeve_environ *env, const char *text)
{
    return reeve_write(env, text, strlen(text));
}

static int tell(reeve_environ *env, const char *what, int result)
{
    return say(env,
               reeve_printf(env, "%s: %s\n", what, result == -1 ? strerrorname_np(errno) : "ok"));
}

static double limit_of(reeve_environ *env)
{
    const char *seconds = reeve_query_get(env, "limit");

    return seconds == NULL ? REEVE_FOREVER : strtod(seconds, NULL);
}

/* ---- other servers ---- */

/* ?host=HOST&port=PORT&path=PATH&limit=SECONDS: all that the server there answers. */
static int get(reeve_environ *env)
{
    const char *path = reeve_query_get(env, "path");
    char *question = reeve_printf(env, "GET %s HTTP/1.0\r\n\r\n", path == NULL ? "/" : path);
    int fd =
        reeve_connect(reeve_query_get(env, "host"), reeve_query_get(env, "port"), limit_of(env));
    char bytes[4096];
    ssize_t n;

    if (fd == -1)
        return tell(env, "connect", -1);
    if (reeve_fd_write(fd, question, strlen(question), limit_of(env)) == -1)
        tell(env, "write", -1);
    while ((n = reeve_fd_read(fd, bytes, sizeof(bytes), limit_of(env))) > 0)
        reeve_write(env, bytes, (size_t)n);
    close(fd);
    return n == -1 ? tell(env, "read", -1) : 0;
}

static int listen_somewhere(in_port_t *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1 || bind(fd, (struct sockaddr *)&address, length) == -1 || listen(fd, 8) == -1 ||
        getsockname(fd, (struct sockaddr *)&address, &length) == -1)
        return -1;
    *port_out = ntohs(address.sin_port);
    return fd;
}

static int echo(void *arg, void **value_out)
{
    int fd = *(int *)arg;
    char bytes[4096];
    ssize_t n;

    (void)value_out;
    while ((n = reeve_fd_read(fd, bytes, sizeof(bytes), REEVE_FOREVER)) > 0)
        if (reeve_fd_write(fd, bytes, (size_t)n, REEVE_FOREVER) == -1)
            break;
    close(fd);
    return (int)n;
}

/* Says at which port it listens, and echoes what two clients have to say. */
static int accept_two(reeve_environ *env)
{
    reeve_future *echoes[2];
    int fds[2];
    in_port_t port;
    int listener = listen_somewhere(&port);

    say(env, reeve_printf(env, "%u\n", port));
    reeve_flush(env);
    for (int i = 0; i < 2; i++) {
        fds[i] = reeve_fd_accept(listener, NULL, NULL, REEVE_FOREVER);
        echoes[i] = reeve_spawn(echo, &fds[i]);
    }
    close(listener);
    return tell(env, "echoes", reeve_await_all(echoes, 2, REEVE_FOREVER));
}

/* ---- threads ---- */

/* In a thread. */
static void wait_for_file(void *arg)
{
    reeve_log(NULL, REEVE_LOG_INFO, "a thread waits for %s", (const char *)arg);
    while (access(arg, F_OK) == -1)
        usleep(1000);
}

/* ?until=FILE */
static int offload(reeve_environ *env)
{
    char *file = reeve_strdup(env, reeve_query_get(env, "until"));

    return tell(env, "offload", reeve_offload(wait_for_file, file));
}

/* After which it is cancelled, when it has run. */
static int offload_and_sleep(reeve_environ *env)
{
    offload(env);
    return tell(env, "sleep", reeve_sleep(60));
}

static void crash(void *arg)
{
    *(volatile int *)arg = 1;
}

static int offload_crash(reeve_environ *env)
{
    return tell(env, "crash", reeve_offload(crash, (void *)0x20));
}

/* Without end, as far as the compiler can see; what it touches is in another page each time. */
static unsigned recurse(unsigned depth)
{
    volatile char page[4096];

    page[depth % sizeof(page)] = (char)depth;
    return depth == 0 ? 0 : recurse(depth + 1) + (unsigned)page[0];
}

static void overflow(void *arg)
{
    *(unsigned *)arg = recurse(1);
}

static int offload_overflow(reeve_environ *env)
{
    unsigned depth;

    return tell(env, "overflow", reeve_offload(overflow, &depth));
}

/* ---- waiting in vain, each in another way ---- */

static int in_semaphore(reeve_environ *env)
{
    return reeve_semaphore_acquire(&none, limit_of(env));
}

static int in_mutex(reeve_environ *env)
{
    return reeve_mutex_lock(&locked, limit_of(env));
}

static int in_condition(reeve_environ *env)
{
    int result = reeve_mutex_lock(&mutex, 0), saved;

    if (result == 0)
        result = reeve_condition_wait(&condition, &mutex, limit_of(env));
    saved = errno;
    if (reeve_mutex_unlock(&mutex) == -1)
        return -1;
    errno = saved;
    return result;
}

static int in_queue_get(reeve_environ *env)
{
    void *item;

    return reeve_queue_get(empty, &item, limit_of(env));
}

static int in_queue_put(reeve_environ *env)
{
    return reeve_queue_put(full, env, limit_of(env));
}

static int with_pipe(reeve_environ *env, int (*wait)(int reader, int writer, double limit))
{
    int fds[2], result, saved;

    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
        return -1;
    result = wait(fds[0], fds[1], limit_of(env));
    saved = errno;
    close(fds[0]);
    close(fds[1]);
    errno = saved;
    return result;
}

static int wait_on(int reader, int writer, double limit)
{
    (void)writer;
    return reeve_wait_fd(reader, REEVE_READABLE, limit);
}

static int read_from(int reader, int writer, double limit)
{
    char byte;

    (void)writer;
    return (int)reeve_fd_read(reader, &byte, 1, limit);
}

static int write_to(int reader, int writer, double limit)
{
    static const char bytes[1 << 20];

    (void)reader;
    return reeve_fd_write(writer, bytes, sizeof(bytes), limit);
}

static int in_wait_fd(reeve_environ *env)
{
    return with_pipe(env, wait_on);
}

static int in_read(reeve_environ *env)
{
    return with_pipe(env, read_from);
}

static int in_write(reeve_environ *env)
{
    return with_pipe(env, write_to);
}

static int in_accept(reeve_environ *env)
{
    in_port_t port;
    int fd = listen_somewhere(&port), result, saved;

    result = reeve_fd_accept(fd, NULL, NULL, limit_of(env));
    saved = errno;
    close(fd);
    errno = saved;
    return result;
}

static const struct {
    const char *name;
    serve *wait;
} vain[] = {
    {"semaphore", in_semaphore}, {"mutex", in_mutex},   {"condition", in_condition},
    {"get", in_queue_get},       {"put", in_queue_put}, {"fd", in_wait_fd},
    {"read", in_read},           {"write", in_write},   {"accept", in_accept},
};

/* ?in=NAME&limit=SECONDS */
static int wait_in_vain(reeve_environ *env)
{
    const char *name = reeve_query_get(env, "in");

    for (size_t i = 0; i < sizeof(vain) / sizeof(vain[0]); i++)
        if (strcmp(vain[i].name, name) == 0)
            return tell(env, name, vain[i].wait(env));
    return say(env, "no such wait\n");
}

/* ---- turns ---- */

static int working, most_working;

static int work(void *arg, void **value_out)
{
    reeve_semaphore *two = arg;

    (void)value_out;
    if (reeve_semaphore_acquire(two, REEVE_FOREVER) == -1)
        return -1;
    if (++working > most_working)
        most_working = working;
    reeve_sleep(0.001);
    working--;
    reeve_semaphore_release(two);
    return 0;
}

/* Twenty tasks, of which two work at a time. */
static int take_turns(reeve_environ *env)
{
    reeve_future *all[20];
    reeve_semaphore two;
    int result;

    reeve_semaphore_init(&two, 2);
    for (int i = 0; i < 20; i++)
        all[i] = reeve_spawn(work, &two);
    result = reeve_await_all(all, 20, REEVE_FOREVER);
    return tell(env, reeve_printf(env, "most at a time %d", most_working), result);
}

/* ---- which ---- */

static int at_once(reeve_environ *env)
{
    return say(env, "at once\n");
}

static const struct {
    const char *path;
    serve *serve;
} paths[] = {
    {"/", at_once},
    {"/get", get},
    {"/accept", accept_two},
    {"/offload", offload},
    {"/offload-and-sleep", offload_and_sleep},
    {"/crash", offload_crash},
    {"/overflow", offload_overflow},
    {"/vain", wait_in_vain},
    {"/turns", take_turns},
};

static int waits(reeve_environ *env, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(paths[i].path, reeve_path(env)) == 0) {
            start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
            return paths[i].serve(env);
        }
    start_response(env, "404 Not Found", REEVE_NO_HEADERS);
    return say(env, "no such path\n");
}

static int init(reeve_module *module)
{
    (void)module;
    reeve_semaphore_init(&none, 0);
    reeve_mutex_init(&mutex);
    reeve_mutex_init(&locked);
    reeve_condition_init(&condition);
    empty = reeve_queue_new(1);
    full = reeve_queue_new(1);
    if (empty == NULL || full == NULL)
        return -1;
    reeve_queue_put(full, NULL, 0);
    return reeve_mutex_lock(&locked, 0);
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_queue_free(empty);
    reeve_queue_free(full);
}

REEVE_APP(.name = "waits", .version = "1.0.0", .init = init, .fini = fini, .application = waits);
