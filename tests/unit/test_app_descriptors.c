/* test_app_descriptors.c: waiting for descriptors, connections, names and threads, as an
 * application sees it: what it is told, that others go on meanwhile, and that each wait can be the
 * one that is cancelled or runs out of time.
 *
 * Names are looked up by this test itself: "hangs" waits until it is let go. */
#include <reeve/async.h>

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "app_case.h"
#include "runtime/threads.h"

#define GET   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define SHORT 0.01 /* seconds, of a limit that is to pass */
#define HOUR  3600.0

/* What an application notes: assertions belong on the loop's stack. */
static struct {
    long results[64];
    unsigned count;
    struct coro *coro;
    int error_line; /* of the first thing that was not as it should be; 0: none */
    int error;
} seen;

static struct app_case c;
static int (*script)(void); /* what the application does */

static void note(long result)
{
    if (seen.count < sizeof seen.results / sizeof seen.results[0])
        seen.results[seen.count++] = result;
}

/* A result, or the error in the negative. */
static void note_result(long result)
{
    note(result == -1 ? -errno : result);
}

static void expect(bool is_true, int line)
{
    if (is_true || seen.error_line)
        return;
    seen.error = errno;
    seen.error_line = line;
}
#define EXPECT(condition) expect((condition), __LINE__)

static int run_script(reeve_environ *environ, reeve_start_response *start_response)
{
    int result;

    seen.coro = coro_current();
    result = script();
    start_response(environ, result == 0 ? "200 OK" : "500 Not So", REEVE_NO_HEADERS);
    return 0;
}

static void begin(int (*fn)(void))
{
    memset(&seen, 0, sizeof seen);
    script = fn;
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
    shutdown(c.client, SHUT_WR);
    app_case_turn(&c);
}

static void end(void)
{
    app_case_turn_until_closed(&c);
    app_case_hang_up(&c);
    if (seen.error_line)
        fail_msg("line %d: errno %d", seen.error_line, seen.error);
    assert_non_null(strstr(c.wire, "HTTP/1.1 200 "));
    assert_int_equal(c.generation->holds, 0);
    assert_int_equal(coro_alive(), 0);
}

static void run(int (*fn)(void))
{
    begin(fn);
    end();
}

static void assert_seen(unsigned count, const long *results)
{
    assert_int_equal(seen.count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(seen.results[i], results[i]);
}
#define ASSERT_SEEN(...)                                                  \
    assert_seen(sizeof((const long[]){__VA_ARGS__}) / sizeof(const long), \
                (const long[]){__VA_ARGS__})

static int setup(void **state)
{
    (void)state;
    c.config.offload_threads = 0;
    if (app_case_open(&c, run_script) != 0)
        return -1;
    c.config.offload_threads = 2; /* so one lookup at a time */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    threads_close();
    app_case_close(&c);
    return 0;
}

/* ---- names ---- */

static sem_t resolver;           /* "hangs" waits for it */
static _Atomic unsigned hanging; /* lookups that do */
static _Atomic unsigned lookups; /* that were made */

/* A list of `count` addresses of this host: each at `port` but for the first, where nobody is. */
static struct addrinfo *make_list(unsigned count, const char *port)
{
    struct addrinfo *list = NULL;

    while (count-- > 0) {
        struct addrinfo *item = calloc(1, sizeof *item);
        struct sockaddr_in *address = calloc(1, sizeof *address);

        address->sin_family = AF_INET;
        address->sin_port = htons((uint16_t)(count == 0 ? 1 : strtol(port, NULL, 10)));
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        item->ai_family = AF_INET;
        item->ai_addr = (struct sockaddr *)address;
        item->ai_addrlen = sizeof *address;
        item->ai_next = list;
        list = item;
    }
    return list;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result_out)
{
    lookups++;
    if (strcmp(node, "hangs") == 0) {
        hanging++;
        while (sem_wait(&resolver) == -1)
            ;
        hanging--;
    }
    if (strcmp(node, "unknown") == 0)
        return EAI_NONAME;
    if (strcmp(node, "broken") == 0) {
        errno = EMFILE;
        return EAI_SYSTEM;
    }
    *result_out = make_list(hints->ai_socktype == SOCK_STREAM ? 2 : 1, service ? service : "0");
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    struct addrinfo *next;

    for (; list; list = next) {
        next = list->ai_next;
        free(list->ai_addr);
        free(list);
    }
}

static void wait_until_hanging(unsigned count)
{
    while (hanging != count)
        usleep(100);
}

/* ---- waiting for a descriptor ---- */

static int pipes[2];

static void open_pipe(int fds[2])
{
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
        abort();
}

static void close_pipe(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int waits_for_a_pipe(void)
{
    open_pipe(pipes);
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, 0));
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, SHORT));
    note_result(reeve_wait_fd(pipes[1], REEVE_READABLE | REEVE_WRITABLE, HOUR));
    note(-1);
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE | REEVE_WRITABLE, HOUR)); /* waits */
    close(pipes[1]);
    (void)!read(pipes[0], &(char){0}, 1);
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, HOUR)); /* its end */
    close(pipes[0]);
    return 0;
}

static void a_descriptor_is_waited_for(void **state)
{
    (void)state;
    begin(waits_for_a_pipe);
    while (seen.count < 4)
        app_case_turn(&c);
    assert_string_equal(coro_waits_for(seen.coro), "descriptor");
    assert_int_equal(write(pipes[1], "x", 1), 1);
    end();
    ASSERT_SEEN(-ETIMEDOUT, -ETIMEDOUT, REEVE_WRITABLE, -1, REEVE_READABLE, REEVE_READABLE);
}

static int waits_twice_for_a_pipe(void)
{
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, HOUR));
    (void)!read(pipes[0], &(char){0}, 1);
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, HOUR));
    return 0;
}

static void cancel(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    coro_cancel(seen.coro, ECANCELED);
}

/* In one round of the loop: it is cancelled, and before it can run its descriptor is ready. */
static void what_has_come_counts_in_spite_of_a_cancellation(void **state)
{
    struct event event;

    (void)state;
    open_pipe(pipes);
    begin(waits_twice_for_a_pipe);
    event_assign(&event, c.base, -1, 0, cancel, NULL);
    event_active(&event, 0, 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    end();
    close_pipe(pipes);
    ASSERT_SEEN(REEVE_READABLE, -ECANCELED);
}

static int waits_for_what_cannot_be_waited_for(void)
{
    char path[] = "/tmp/reeve-test-fd-XXXXXX";
    int file = mkstemp(path), folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    unlink(path);
    note_result(reeve_wait_fd(file, REEVE_READABLE, HOUR));
    note_result(reeve_wait_fd(folder, REEVE_READABLE, HOUR));
    close(file);
    close(folder);
    note_result(reeve_wait_fd(file, REEVE_READABLE, HOUR));
    note_result(reeve_wait_fd(-1, REEVE_READABLE, HOUR));
    note_result(reeve_wait_fd(0, 0, HOUR));
    note_result(reeve_wait_fd(0, 4, HOUR));
    return 0;
}

static void what_cannot_be_waited_for_is_refused(void **state)
{
    (void)state;
    run(waits_for_what_cannot_be_waited_for);
    ASSERT_SEEN(-EPERM, -EPERM, -EBADF, -EBADF, -EINVAL, -EINVAL);
}

static int reads_one(void *arg, void **value_out)
{
    char byte;

    (void)value_out;
    EXPECT(reeve_fd_read(*(int *)arg, &byte, 1, HOUR) == 1);
    note(byte);
    return 0;
}

static int writes_all(void *arg, void **value_out)
{
    static const char bytes[1 << 20] = {'w'};

    (void)value_out;
    EXPECT(reeve_fd_write(*(int *)arg, bytes, sizeof bytes, HOUR) == 0);
    note('w');
    return 0;
}

/* One end is read from and written to at the same time; the other end is ours. */
static int has_a_reader_and_a_writer(void)
{
    static char bytes[1 << 20];
    size_t got = 0;
    reeve_future *both[2];
    int ends[2];

    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    both[0] = reeve_spawn(reads_one, &ends[0]);
    both[1] = reeve_spawn(writes_all, &ends[0]);
    EXPECT(reeve_sleep(SHORT) == 0); /* both wait now */
    EXPECT(coro_alive() == 3);
    while (got < sizeof bytes) {
        ssize_t n = reeve_fd_read(ends[1], bytes, sizeof bytes, HOUR);

        EXPECT(n > 0);
        got += n > 0 ? (size_t)n : sizeof bytes;
    }
    EXPECT(reeve_fd_write(ends[1], "r", 1, 0) == 0);
    EXPECT(reeve_await_all(both, 2, HOUR) == 0);
    close(ends[1]);
    note_result(reeve_fd_read(ends[0], bytes, 1, HOUR));
    note_result(reeve_fd_write(ends[0], bytes, 1, HOUR));
    close(ends[0]);
    return 0;
}

static void one_may_read_while_another_writes(void **state)
{
    (void)state;
    run(has_a_reader_and_a_writer);
    ASSERT_SEEN('w', 'r', 0, -EPIPE);
}

/* Two of the same kind are let go together, and only one of them finds something. */
static int has_two_readers(void)
{
    reeve_future *both[2];

    open_pipe(pipes);
    both[0] = reeve_spawn(reads_one, &pipes[0]);
    both[1] = reeve_spawn(reads_one, &pipes[0]);
    EXPECT(reeve_sleep(SHORT) == 0);
    EXPECT(write(pipes[1], "1", 1) == 1);
    EXPECT(reeve_await_any(both, 2, HOUR) >= 0);
    EXPECT(seen.count == 1);
    EXPECT(write(pipes[1], "2", 1) == 1);
    EXPECT(reeve_await_all(both, 2, HOUR) == 0);
    close_pipe(pipes);
    return 0;
}

static void two_may_wait_to_read(void **state)
{
    (void)state;
    run(has_two_readers);
    ASSERT_SEEN('1', '2');
}

static int runs_out_of_time(void)
{
    char bytes[4096] = {0};

    open_pipe(pipes);
    note_result(reeve_fd_read(pipes[0], bytes, sizeof bytes, SHORT));
    note_result(reeve_fd_write(pipes[1], bytes, 1, 0));
    note_result(reeve_fd_read(pipes[0], bytes, sizeof bytes, 0));
    while (reeve_fd_write(pipes[1], bytes, sizeof bytes, SHORT) == 0)
        ;
    note_result(-1);
    close_pipe(pipes);
    note_result(reeve_fd_read(pipes[0], bytes, 1, HOUR));
    note_result(reeve_fd_write(pipes[0], bytes, 1, HOUR));
    return 0;
}

static void reading_and_writing_have_limits(void **state)
{
    (void)state;
    run(runs_out_of_time);
    ASSERT_SEEN(-ETIMEDOUT, 0, 1, -ETIMEDOUT, -EBADF, -EBADF);
}

/* ---- descriptors that are closed while somebody waits ---- */

static int waits_shortly(void *arg, void **value_out)
{
    (void)value_out;
    note_result(reeve_wait_fd(*(int *)arg, REEVE_READABLE, 10 * SHORT));
    return 0;
}

/* An error of the application: nobody is told, and nobody comes to harm. */
static int closes_what_is_waited_for(void)
{
    reeve_future *waiter;
    int number;

    open_pipe(pipes);
    waiter = reeve_spawn(waits_shortly, &pipes[0]);
    EXPECT(reeve_sleep(SHORT) == 0);
    number = pipes[0];
    close_pipe(pipes);
    EXPECT(reeve_await(waiter, HOUR, NULL) == 0);

    open_pipe(pipes);
    EXPECT(pipes[0] == number);
    EXPECT(write(pipes[1], "x", 1) == 1);
    note_result(reeve_wait_fd(pipes[0], REEVE_READABLE, HOUR));
    (void)!read(pipes[0], &(char){0}, 1);
    waiter = reeve_spawn(waits_shortly, &pipes[0]);
    EXPECT(reeve_sleep(SHORT) == 0);
    EXPECT(write(pipes[1], "x", 1) == 1);
    EXPECT(reeve_await(waiter, HOUR, NULL) == 0);
    close_pipe(pipes);
    return 0;
}

static void a_descriptor_that_is_closed_meanwhile_is_waited_for_in_vain(void **state)
{
    (void)state;
    run(closes_what_is_waited_for);
    ASSERT_SEEN(-ETIMEDOUT, REEVE_READABLE, REEVE_READABLE);
}

/* The number is another file's now, which its owner waits to write to. */
static int closes_and_opens_again(void)
{
    reeve_future *waiter;
    int number, ends[2];

    open_pipe(pipes);
    waiter = reeve_spawn(waits_shortly, &pipes[0]);
    EXPECT(reeve_sleep(SHORT) == 0);
    number = pipes[0];
    close_pipe(pipes);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    EXPECT(ends[0] == number);
    EXPECT(reeve_await(reeve_spawn(writes_all, &ends[0]), SHORT, NULL) == -1);
    while (read(ends[1], &(char[65536]){0}, 65536) > 0)
        reeve_sleep(0);
    EXPECT(reeve_await(waiter, HOUR, NULL) == 0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void the_next_owner_of_its_number_is_not_harmed(void **state)
{
    (void)state;
    run(closes_and_opens_again);
    ASSERT_SEEN('w', -ETIMEDOUT);
}

/* ---- turns ---- */

static unsigned steps, naps;

static int naps_thrice(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    while (naps < 3 && reeve_sleep(0) == 0)
        naps++;
    note(steps);
    return 0;
}

/* A source that never ends is always ready. */
static int reads_without_end(void)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char byte;

    steps = naps = 0;
    reeve_spawn(naps_thrice, NULL);
    while (reeve_fd_read(zero, &byte, 1, HOUR) == 1)
        if (++steps == 2000)
            coro_cancel(coro_current(), ECANCELED);
    note_result(-1);
    note(steps);
    close(zero);
    return 0;
}

static void one_who_need_not_wait_lets_others_have_their_turns(void **state)
{
    (void)state;
    run(reads_without_end);
    assert_int_equal(seen.count, 3);
    assert_in_range(seen.results[0], 1, 1000);
    assert_int_equal(seen.results[1], -ECANCELED);
    assert_in_range(seen.results[2], 2001, 2200);
}

/* ---- connections ---- */

static char folder[] = "/tmp/reeve-test-fds-XXXXXX", socket_path[64], unix_name[80];

static int listen_at(const struct sockaddr *address, socklen_t length, int backlog)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    EXPECT(bind(fd, address, length) == 0);
    EXPECT(listen(fd, backlog) == 0);
    return fd;
}

static int listen_at_port(char port_out[6])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = listen_at((struct sockaddr *)&address, length, 8);

    EXPECT(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    snprintf(port_out, 6, "%u", ntohs(address.sin_port));
    return fd;
}

static int listen_at_path(int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    EXPECT(mkdtemp(folder) != NULL);
    snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
    snprintf(unix_name, sizeof unix_name, "unix:%s", socket_path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    return listen_at((struct sockaddr *)&address, sizeof address, backlog);
}

static void remove_path(void)
{
    unlink(socket_path);
    rmdir(folder);
}

static bool is_as_promised(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static int listener; /* of those below */

static int accepts(void *arg, void **value_out)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd = reeve_fd_accept(*(int *)arg, (struct sockaddr *)&peer, &length, HOUR);

    (void)value_out;
    EXPECT(fd >= 0 && is_as_promised(fd));
    EXPECT(reeve_fd_write(fd, "hi", 2, HOUR) == 0);
    close(fd);
    return 0;
}

static bool says_hi(int fd)
{
    char bytes[2];
    bool is_well = fd >= 0 && is_as_promised(fd) && reeve_fd_read(fd, bytes, 2, HOUR) == 2 &&
                   memcmp(bytes, "hi", 2) == 0;

    close(fd);
    return is_well;
}

static int connects_by_all_names(void)
{
    static const char *const hosts[] = {"127.0.0.1", "name", "::ffff:127.0.0.1"};
    int on = 0, path;
    socklen_t length = sizeof on;
    char port[6];

    listener = listen_at_port(port);
    for (int i = 0; i < 3; i++) {
        reeve_future *server = reeve_spawn(accepts, &listener);
        int fd = reeve_connect(hosts[i], port, HOUR);

        EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length) == 0 && on);
        EXPECT(says_hi(fd));
        EXPECT(reeve_await(server, HOUR, NULL) == 0);
    }
    close(listener);
    path = listen_at_path(1);
    reeve_spawn(accepts, &path);
    EXPECT(says_hi(reeve_connect(unix_name, NULL, HOUR)));
    close(path);
    note(lookups);
    note_result(reeve_connect("127.0.0.1", port, HOUR));
    note_result(reeve_connect("name", port, HOUR));
    note_result(reeve_connect("unknown", port, HOUR));
    note_result(reeve_connect("broken", port, HOUR));
    note_result(reeve_connect(unix_name, NULL, HOUR));
    remove_path();
    note_result(reeve_connect(unix_name, NULL, HOUR));
    note_result(reeve_connect("unix:", NULL, HOUR));
    note_result(reeve_connect("unix:/a/path/that/is/longer/than/what/the/kernel/has/room/for/in/an/"
                              "address/of/a/unix/socket/which/is/not/very/much",
                              NULL, HOUR));
    note_result(reeve_fd_connect((const struct sockaddr *)&on, 0, HOUR));
    return 0;
}

static void connections_are_made_by_address_name_and_path(void **state)
{
    (void)state;
    lookups = 0;
    run(connects_by_all_names);
    ASSERT_SEEN(1, -ECONNREFUSED, -ECONNREFUSED, -EHOSTUNREACH, -EMFILE, -ECONNREFUSED, -ENOENT,
                -EINVAL, -ENAMETOOLONG, -EINVAL);
}

/* Takes all that is in the queue, after a while. */
static int accepts_late(void *arg, void **value_out)
{
    (void)value_out;
    EXPECT(reeve_sleep(2 * SHORT) == 0);
    for (int fd; (fd = reeve_fd_accept(*(int *)arg, NULL, NULL, 0)) != -1;)
        close(fd);
    EXPECT(errno == ETIMEDOUT);
    return 0;
}

static int connects_to_a_full_queue(void)
{
    int path = listen_at_path(0), fds[8], count = 0;

    while (count < 8 && (fds[count] = reeve_connect(unix_name, NULL, SHORT)) != -1)
        count++;
    note_result(-1);
    EXPECT(count > 0 && count < 8);
    reeve_spawn(accepts_late, &path);
    EXPECT((fds[count] = reeve_connect(unix_name, NULL, HOUR)) != -1);
    while (count >= 0)
        close(fds[count--]);
    close(path);
    remove_path();
    return 0;
}

static void a_full_queue_of_a_unix_socket_is_waited_for(void **state)
{
    (void)state;
    run(connects_to_a_full_queue);
    ASSERT_SEEN(-ETIMEDOUT);
}

/* ---- looking up ---- */

static int looks_up(void)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    char *long_name = malloc(2000);

    memset(long_name, 'n', 1999);
    long_name[1999] = '\0';
    EXPECT(reeve_getaddrinfo("name", "7", &hints, &list, HOUR) == 0);
    EXPECT(list && ((struct sockaddr_in *)list->ai_addr)->sin_port == htons(1) && !list->ai_next);
    freeaddrinfo(list);
    note(reeve_getaddrinfo("unknown", "7", NULL, &list, HOUR));
    note(reeve_getaddrinfo(long_name, "7", NULL, &list, HOUR));
    note(reeve_getaddrinfo("broken", "7", NULL, &list, HOUR));
    note_result(-1);
    note(reeve_getaddrinfo("name", "7", NULL, &list, 0));
    note_result(-1);
    free(long_name);
    return 0;
}

static void a_name_is_looked_up_in_a_thread(void **state)
{
    (void)state;
    run(looks_up);
    ASSERT_SEEN(EAI_NONAME, EAI_NONAME, EAI_SYSTEM, -EMFILE, EAI_SYSTEM, -ETIMEDOUT);
}

static void does_nothing(void *arg)
{
    *(bool *)arg = true;
}

/* The name's memory is the application's, and gone when the resolver comes back. */
static int gives_up_looking_up(void)
{
    char *name = strdup("hangs"), *second = strdup("hangs");
    struct addrinfo *list;
    bool has_run = false;

    note(reeve_getaddrinfo(name, "7", NULL, &list, SHORT));
    note_result(-1);
    free(name);
    wait_until_hanging(1);
    note(reeve_getaddrinfo(second, "7", NULL, &list, SHORT)); /* is queued behind it */
    note_result(-1);
    free(second);
    note_result(reeve_connect("hangs", "7", SHORT));
    note_result(reeve_offload(does_nothing, &has_run)); /* there is another thread for that */
    EXPECT(has_run);
    return 0;
}

static void a_lookup_that_hangs_is_left_alone(void **state)
{
    (void)state;
    lookups = 0;
    run(gives_up_looking_up);
    ASSERT_SEEN(EAI_SYSTEM, -ETIMEDOUT, EAI_SYSTEM, -ETIMEDOUT, -ETIMEDOUT, 0);
    assert_int_equal(hanging, 1);
    assert_int_equal(lookups, 1); /* those that were queued are not made any more */
    sem_post(&resolver);
    wait_until_hanging(0);
}

/* ---- offloading ---- */

static sem_t gate; /* holds what runs until it is let go */
static _Atomic unsigned at_gate;

static void waits_at_gate(void *arg)
{
    at_gate++;
    while (sem_wait(&gate) == -1)
        ;
    at_gate--;
    *(int *)arg = 1;
}

static void wait_until_at_gate(unsigned count)
{
    while (at_gate != count)
        usleep(100);
}

static int offloads(void)
{
    int has_run = 0;

    note_result(reeve_offload(waits_at_gate, &has_run));
    note(has_run);
    note_result(reeve_sleep(0));
    return 0;
}

static void the_loop_goes_on_while_a_thread_works(void **state)
{
    (void)state;
    begin(offloads);
    wait_until_at_gate(1);
    assert_string_equal(coro_waits_for(seen.coro), "offload");
    event_base_loop(c.base, EVLOOP_NONBLOCK);
    assert_int_equal(seen.count, 0);
    sem_post(&gate);
    end();
    ASSERT_SEEN(0, 1, 0);
}

static void what_runs_is_waited_for_in_spite_of_a_cancellation(void **state)
{
    (void)state;
    begin(offloads);
    wait_until_at_gate(1);
    coro_cancel(seen.coro, ECANCELED);
    event_base_loop(c.base, EVLOOP_NONBLOCK);
    coro_cancel_all(); /* as at the worker's end */
    event_base_loop(c.base, EVLOOP_NONBLOCK);
    assert_int_equal(coro_alive(), 1);
    sem_post(&gate);
    end();
    ASSERT_SEEN(0, 1, -ECANCELED);
}

static int occupies_a_thread(void *arg, void **value_out)
{
    (void)value_out;
    return reeve_offload(waits_at_gate, arg);
}

static int is_queued(void)
{
    int has_run[3] = {0};
    reeve_future *busy[2] = {reeve_spawn(occupies_a_thread, &has_run[0]),
                             reeve_spawn(occupies_a_thread, &has_run[1])};
    reeve_scope scope;

    EXPECT(reeve_sleep(SHORT) == 0);
    EXPECT(reeve_scope_begin(&scope, SHORT) == 0);
    note_result(reeve_offload(waits_at_gate, &has_run[2]));
    EXPECT(reeve_scope_end(&scope) == -1 && errno == ETIMEDOUT);
    sem_post(&gate);
    sem_post(&gate);
    EXPECT(reeve_await_all(busy, 2, HOUR) == 0);
    note(has_run[0] + has_run[1]);
    note(has_run[2]);
    return 0;
}

static void what_is_only_queued_is_not_begun_any_more(void **state)
{
    (void)state;
    run(is_queued);
    ASSERT_SEEN(-ETIMEDOUT, 2, 0);
}

/* ---- where there is no coroutine ---- */

static void without_a_coroutine_nothing_waits(void **state)
{
    struct addrinfo *list;
    char byte;

    (void)state;
#define ASSERT_DEADLOCK(call)             \
    do {                                  \
        errno = 0;                        \
        assert_int_equal((call), -1);     \
        assert_int_equal(errno, EDEADLK); \
    } while (0)
    ASSERT_DEADLOCK(reeve_wait_fd(0, REEVE_READABLE, 0));
    ASSERT_DEADLOCK(reeve_fd_read(0, &byte, 1, 0));
    ASSERT_DEADLOCK(reeve_fd_write(0, &byte, 1, 0));
    ASSERT_DEADLOCK(reeve_fd_accept(0, NULL, NULL, 0));
    ASSERT_DEADLOCK(reeve_fd_connect((const struct sockaddr *)"", 0, 0));
    ASSERT_DEADLOCK(reeve_connect("name", "1", 0));
    ASSERT_DEADLOCK(reeve_offload(does_nothing, NULL));
    errno = 0;
    assert_int_equal(reeve_getaddrinfo("name", "1", NULL, &list, 0), EAI_SYSTEM);
    assert_int_equal(errno, EDEADLK);
}

/* ---- cancelling at each wait in turn ---- */

static int walk_listener, walk_pipe[2], walk_full;
static char walk_port[6];

/* Each call in it has to wait. */
static int walks(void)
{
    static char big[1 << 20];
    struct addrinfo *list = NULL;
    int has_run;
    char byte;
    int fd;

    note_result(reeve_wait_fd(walk_pipe[0], REEVE_READABLE, HOUR));
    note_result(reeve_fd_read(walk_pipe[0], &byte, 1, HOUR));
    note_result(reeve_fd_read(walk_pipe[0], &byte, 1, HOUR));
    note_result(reeve_fd_write(walk_full, big, sizeof big, HOUR));
    fd = reeve_fd_accept(walk_listener, NULL, NULL, HOUR);
    note_result(fd < 0 ? -1 : 1);
    close(fd);
    fd = reeve_connect("hangs", walk_port, HOUR);
    note_result(fd < 0 ? -1 : 1);
    close(fd);
    if (reeve_getaddrinfo("hangs", "1", NULL, &list, HOUR) == 0) {
        note(1);
        freeaddrinfo(list);
    } else {
        note_result(-1);
    }
    note_result(reeve_offload(waits_at_gate, &has_run));
    return 0;
}

/* Until it waits in its (n + 1)th call, or at another point of the same one. */
static void turn_until_it_waits(unsigned count)
{
    while (seen.count <= count && !coro_waits_for(seen.coro))
        app_case_turn(&c);
}

static void connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtol(port, NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* Ends the present wait the way it is meant to, and waits for the next call. */
static void pass(unsigned step, int reader)
{
    static char bytes[65536];

    if (step == 0 || step == 2)
        assert_int_equal(write(walk_pipe[1], "x", 1), 1);
    else if (step == 4)
        connect_to(walk_port);
    else if (step == 5 || step == 6)
        sem_post(&resolver);
    else if (step == 7)
        sem_post(&gate);
    while (seen.count <= step) {
        while (step == 3 && read(reader, bytes, sizeof bytes) > 0)
            ;
        app_case_turn(&c);
    }
    turn_until_it_waits(step + 1);
}

static void every_wait_can_be_the_one_that_is_cancelled(void **state)
{
    /* The second finds what the first has waited for. */
    static const unsigned waiting[] = {0, 2, 3, 4, 5, 6, 7};
    int ends[2];

    (void)state;
    for (size_t nth = 0; nth < sizeof waiting / sizeof waiting[0]; nth++) {
        walk_listener = listen_at_port(walk_port);
        open_pipe(walk_pipe);
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
        walk_full = ends[0];
        begin(walks);
        for (unsigned step = 0; step < waiting[nth]; step += step == 0 ? 2 : 1)
            pass(step, ends[1]);
        assert_int_equal(seen.count, waiting[nth]);
        if (waiting[nth] == 7)
            wait_until_at_gate(1);
        assert_true(coro_cancel(seen.coro, ECANCELED));
        sem_post(&gate); /* the last of all is waited for */
        end();
        assert_int_equal(seen.count, 8);
        for (unsigned i = 0; i < 8; i++)
            if (i >= waiting[nth])
                assert_int_equal(seen.results[i], i == 7 && waiting[nth] == 7 ? 0 : -ECANCELED);
            else
                assert_in_range(seen.results[i], 0, 1);
        for (unsigned left = hanging; left > 0; left--)
            sem_post(&resolver);
        wait_until_hanging(0);
        while (sem_trywait(&gate) == 0)
            ;
        close(walk_listener);
        close_pipe(walk_pipe);
        close_pipe(ends);
    }
}

static void open_semaphores(void)
{
    sem_init(&resolver, 0, 0);
    sem_init(&gate, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        T(a_descriptor_is_waited_for),
        T(what_has_come_counts_in_spite_of_a_cancellation),
        T(what_cannot_be_waited_for_is_refused),
        T(one_may_read_while_another_writes),
        T(two_may_wait_to_read),
        T(reading_and_writing_have_limits),
        T(a_descriptor_that_is_closed_meanwhile_is_waited_for_in_vain),
        T(the_next_owner_of_its_number_is_not_harmed),
        T(one_who_need_not_wait_lets_others_have_their_turns),
        T(connections_are_made_by_address_name_and_path),
        T(a_full_queue_of_a_unix_socket_is_waited_for),
        T(a_name_is_looked_up_in_a_thread),
        T(a_lookup_that_hangs_is_left_alone),
        T(the_loop_goes_on_while_a_thread_works),
        T(what_runs_is_waited_for_in_spite_of_a_cancellation),
        T(what_is_only_queued_is_not_begun_any_more),
        T(without_a_coroutine_nothing_waits),
        T(every_wait_can_be_the_one_that_is_cancelled),
#undef T
    };

    open_semaphores();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
