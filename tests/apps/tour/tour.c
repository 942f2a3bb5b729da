/* tour.c: everything that waits, a path each. With ?cancel=N whoever is the N-th to wait is cancelled there (in a build
 * with a sanitizer, which exports the way to do so); the answer says how many waits were missing to that. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <reeve/async.h>
#include <reeve/client.h>
#include <reeve/form.h>
#include <reeve/pool.h>
#include <reeve/view.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

static reeve_pool *pool;
static const char *upstream;

/* ---- futures, tasks, scopes ---- */

static int nap(void *arg, void **value_out)
{
    (void)value_out;
    if (arg)
        reeve_future_resolve(arg, NULL);
    return reeve_sleep(0.0005);
}

static int nested(void *arg, void **value_out)
{
    reeve_future *tasks[3];

    (void)arg, (void)value_out;
    for (int i = 0; i < 3; i++)
        if (!(tasks[i] = reeve_spawn(nap, NULL)))
            return -1;
    return reeve_await_all(tasks, 3, 1);
}

static void tasks(reeve_environ *environ)
{
    reeve_future *future = reeve_future_new(), *two[2];
    reeve_scope scope;

    (void)environ;
    reeve_scope_begin(&scope, 0.5);
    two[0] = reeve_spawn(nap, future);
    two[1] = reeve_spawn(nested, NULL);
    reeve_await(future, 1, NULL);
    reeve_await_any(two, 2, 1);
    reeve_await_all(two, 2, 1);
    reeve_scope_end(&scope);
    reeve_await(reeve_after(0.0005), 1, NULL);
    reeve_scope_begin(&scope, 0.001);
    reeve_spawn(nested, NULL);
    reeve_sleep(1);
    reeve_scope_end(&scope);
    reeve_sleep(0);
}

/* ---- taking turns ---- */

static struct {
    reeve_semaphore semaphore;
    reeve_mutex mutex;
    reeve_condition condition;
    int value;
} shared;

static int takes(void *arg, void **value_out)
{
    (void)value_out;
    if (reeve_semaphore_acquire(&shared.semaphore, 1) == 0) {
        reeve_sleep(0.0005);
        reeve_semaphore_release(&shared.semaphore);
    }
    if (reeve_mutex_lock(&shared.mutex, 1) == 0) {
        while (shared.value == 0)
            if (reeve_condition_wait(&shared.condition, &shared.mutex, 0.01) == -1)
                break;
        reeve_mutex_unlock(&shared.mutex);
    }
    return reeve_queue_put(arg, arg, 0.01);
}

static void turns(reeve_environ *environ)
{
    reeve_queue *queue = reeve_queue_new(1);
    reeve_scope scope;
    void *item;

    (void)environ;
    shared.value = 0;
    reeve_scope_begin(&scope, 1);
    for (int i = 0; i < 3; i++)
        reeve_spawn(takes, queue);
    reeve_sleep(0.002);
    if (reeve_mutex_lock(&shared.mutex, 1) == 0) {
        shared.value = 1;
        reeve_condition_broadcast(&shared.condition);
        reeve_mutex_unlock(&shared.mutex);
    }
    for (int i = 0; i < 3; i++)
        reeve_queue_get(queue, &item, 0.01);
    reeve_scope_end(&scope);
    reeve_queue_free(queue);
}

/* ---- descriptors, threads ---- */

static int answers(void *arg, void **value_out)
{
    char bytes[8];
    int fd = reeve_fd_accept(*(int *)arg, NULL, NULL, 1);
    ssize_t n;

    (void)value_out;
    if (fd == -1)
        return -1;
    n = reeve_fd_read(fd, bytes, sizeof bytes, 1);
    if (n > 0)
        reeve_fd_write(fd, bytes, (size_t)n, 1);
    close(fd);
    return 0;
}

static void descriptors(reeve_environ *environ)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(sa_family_t); /* the kernel finds a name */
    int door = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), fd;
    reeve_scope scope;
    char bytes[8];

    (void)environ;
    if (bind(door, (struct sockaddr *)&address, length) == 0 && listen(door, 1) == 0) {
        length = sizeof address;
        getsockname(door, (struct sockaddr *)&address, &length);
        reeve_scope_begin(&scope, 1);
        reeve_spawn(answers, &door);
        reeve_sleep(0);
        fd = reeve_fd_connect((struct sockaddr *)&address, length, 1);
        if (fd != -1) {
            reeve_fd_write(fd, "hello", 5, 1);
            reeve_wait_fd(fd, REEVE_READABLE, 1);
            reeve_fd_read(fd, bytes, sizeof bytes, 1);
            close(fd);
        }
        reeve_scope_end(&scope);
    }
    close(door);
}

static void compute(void *arg)
{
    usleep(500);
    *(int *)arg = 1;
}

static void threads(reeve_environ *environ)
{
    struct addrinfo *found = NULL;
    int done = 0;

    (void)environ;
    reeve_offload(compute, &done);
    if (reeve_getaddrinfo("127.0.0.1", "80", NULL, &found, 1) == 0)
        freeaddrinfo(found);
    reeve_offload(compute, &done);
}

/* ---- the pool, the client ---- */

static int opens(void *state, void **item_out)
{
    (void)state;
    if (reeve_sleep(0.0005) == -1)
        return -1;
    *item_out = malloc(16);
    return *item_out ? 0 : -1;
}

static void closes(void *state, void *item)
{
    (void)state;
    free(item);
}

static int uses(void *arg, void **value_out)
{
    void *item;

    (void)value_out;
    if (reeve_pool_take(pool, 1, &item) == -1)
        return -1;
    reeve_sleep(0.0005);
    if (arg)
        reeve_pool_discard(pool, item);
    else
        reeve_pool_give(pool, item);
    return 0;
}

static void pools(reeve_environ *environ)
{
    reeve_future *users[4];

    for (int i = 0; i < 4; i++)
        users[i] = reeve_spawn(uses, i == 0 ? environ : NULL);
    reeve_await_all(users, 4, 1);
}

static int fetch(void *arg, void **value_out)
{
    const reeve_client_request request = {
        .url = upstream, .body = "some text", .body_size = arg ? 9 : 0};
    reeve_client_response *response;

    (void)value_out;
    return reeve_client_fetch(&request, &response);
}

static void client(reeve_environ *environ)
{
    const reeve_client_request request = {.url = upstream, .is_chunked = true};
    reeve_client_exchange *exchange;
    reeve_future *two[] = {reeve_spawn(fetch, NULL), reeve_spawn(fetch, environ)};
    char bytes[4];

    reeve_await_all(two, 2, 1);
    if (reeve_client_open(&request, &exchange) == -1)
        return;
    reeve_client_write(exchange, "piece", 5);
    reeve_sleep(0);
    reeve_client_finish(exchange);
    reeve_client_head(exchange, NULL);
    while (reeve_client_read(exchange, bytes, sizeof bytes) > 0)
        continue;
    reeve_client_close(exchange);
}

/* ---- the request's body ---- */

static void json(reeve_environ *environ)
{
    struct cJSON *read;

    reeve_json_read(environ, NULL, &read, NULL);
}

static void form(reeve_environ *environ)
{
    const char *path = reeve_environ_get(environ, "HTTP_X_SAVE");
    const reeve_part *part;
    reeve_form *read;

    if (reeve_form_read(environ, NULL, &read) != 0)
        return;
    part = reeve_form_find(read, "file", NULL);
    if (part && path && reeve_part_save(part, path, REEVE_SAVE_REPLACE | REEVE_SAVE_SYNC) == 0)
        unlink(path);
}

/* ---- the guide ---- */

static const struct {
    const char *path;
    void (*visit)(reeve_environ *environ);
} sights[] = {
    {"/tasks", tasks},     {"/turns", turns}, {"/descriptors", descriptors},
    {"/threads", threads}, {"/pools", pools}, {"/client", client},
    {"/json", json},       {"/form", form},
};

/* Where the server has no such way, no wait counts: as many are left as were asked for. */
static unsigned cancel_nth(unsigned n)
{
    static unsigned left;
    unsigned (*nth)(unsigned), before = left;

    *(void **)&nth = dlsym(RTLD_DEFAULT, "reeve_test_cancel_nth");
    left = n;
    return nth ? nth(n) : before;
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *n = reeve_query_get(environ, "cancel");
    unsigned left;

    for (size_t i = 0; i < sizeof sights / sizeof sights[0]; i++) {
        if (strcmp(reeve_path(environ), sights[i].path) != 0)
            continue;
        cancel_nth(n ? (unsigned)atoi(n) : 0);
        sights[i].visit(environ);
        left = cancel_nth(0);
        return reeve_view_text(environ, start_response, 200,
                               reeve_printf(environ, "left %u\n", left));
    }
    return reeve_view_text(environ, start_response, 404, "no such sight\n");
}

static int init(reeve_module *module)
{
    const reeve_pool_options options = {
        .name = "things", .size = 2, .open = opens, .close = closes};

    upstream = reeve_option(module, "upstream");
    reeve_semaphore_init(&shared.semaphore, 1);
    reeve_mutex_init(&shared.mutex);
    reeve_condition_init(&shared.condition);
    pool = reeve_pool_new(module, &options);
    return pool ? 0 : reeve_refuse(module, "no memory for a pool");
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_pool_free(pool);
}

REEVE_APP(.name = "tour", .version = "1.0.0", .init = init, .fini = fini,
          .application = application);
