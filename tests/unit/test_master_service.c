/* test_master_service.c: what the service manager is told, with this test as the manager; that no
 * child sees its variables, and that a manager who does not read never holds the master up. */
#include "master/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

struct manager {
    int fd; /* where the words arrive */
    char folder[64], address[96];
    char heard[4096];
    struct event_base *base;
    struct service *service;
};

static int bind_to(const char *address)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address));

    memcpy(peer.sun_path, address, strlen(address) + 1);
    if (address[0] == '@')
        peer.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&peer, address[0] == '@' ? size : size + 1), 0);
    return fd;
}

static const char *hear(struct manager *m)
{
    ssize_t n = recv(m->fd, m->heard, sizeof(m->heard) - 1, 0);

    m->heard[n > 0 ? n : 0] = '\0';
    return m->heard;
}

/* Turns the loop until the next word has come. */
static const char *await(struct manager *m)
{
    while (*hear(m) == '\0')
        event_base_loop(m->base, EVLOOP_ONCE);
    return m->heard;
}

static int setup(void **state)
{
    struct manager *m = calloc(1, sizeof(*m));

    strcpy(m->folder, "/tmp/reeve-test-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    snprintf(m->address, sizeof(m->address), "%s/notify", m->folder);
    m->fd = bind_to(m->address);
    m->base = event_base_new();
    setenv("NOTIFY_SOCKET", m->address, 1);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct manager *m = *state;

    service_close(m->service);
    event_base_free(m->base);
    libevent_global_shutdown();
    close(m->fd);
    unlink(m->address);
    rmdir(m->folder);
    free(m);
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

static void open_service(struct manager *m)
{
    m->service = service_open();
    assert_non_null(m->service);
    service_watch(m->service, m->base);
}

static void it_hears_the_phases_and_the_status(void **state)
{
    struct manager *m = *state;
    uint64_t before = clock_ns() / 1000, said;

    open_service(m);
    service_status(m->service, "%s", "starting");
    assert_string_equal(hear(m), "STATUS=starting");
    service_ready(m->service);
    assert_string_equal(hear(m), "READY=1\nSTATUS=starting");
    service_reloading(m->service);
    assert_int_equal(sscanf(hear(m), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "\n", &said), 1);
    assert_in_range(said, before, clock_ns() / 1000);
    service_status(m->service, "two\nlines");
    assert_string_equal(hear(m), "STATUS=two lines");
    service_status(m->service, "two lines");
    assert_string_equal(hear(m), "");
    service_stopping(m->service);
    assert_string_equal(hear(m), "STOPPING=1\nSTATUS=two lines");
    service_ready(m->service); /* a reload that ends meanwhile */
    assert_string_equal(hear(m), "");
}

static void it_hears_signs_of_life_from_the_loop_only(void **state)
{
    struct manager *m = *state;

    setenv("WATCHDOG_USEC", "100000", 1);
    open_service(m);
    assert_string_equal(hear(m), "");
    assert_string_equal(await(m), "WATCHDOG=1");
    assert_string_equal(hear(m), "");
    assert_string_equal(await(m), "WATCHDOG=1");
}

static void a_watchdog_of_another_process_is_not_ours(void **state)
{
    struct manager *m = *state;

    setenv("WATCHDOG_USEC", "1000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    open_service(m);
    event_base_loop(m->base, EVLOOP_NONBLOCK);
    assert_string_equal(hear(m), "");
    assert_null(getenv("WATCHDOG_PID"));
}

static void its_variables_are_gone_until_they_are_put_back(void **state)
{
    struct manager *m = *state;

    setenv("WATCHDOG_USEC", "5000000", 1);
    open_service(m);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_int_equal(service_restore_environment(m->service), 0);
    assert_string_equal(getenv("NOTIFY_SOCKET"), m->address);
    assert_string_equal(getenv("WATCHDOG_USEC"), "5000000");
    assert_int_equal(atoi(getenv("WATCHDOG_PID")), getpid());
    service_clear_environment();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
}

static void an_abstract_address_will_do(void **state)
{
    struct manager *m = *state;
    char name[64];

    snprintf(name, sizeof(name), "@reeve-test-%d", (int)getpid());
    close(m->fd);
    m->fd = bind_to(name);
    setenv("NOTIFY_SOCKET", name, 1);
    open_service(m);
    service_ready(m->service);
    assert_string_equal(hear(m), "READY=1\nSTATUS=");
}

static void who_does_not_read_holds_nobody_up_and_learns_it_later(void **state)
{
    struct manager *m = *state;
    char last[4096] = "";

    open_service(m);
    for (int i = 0; i < 10000; i++) /* more than any queue takes; waits for ever if it waits */
        service_status(m->service, "%d", i);
    service_ready(m->service);
    while (*hear(m) != '\0')
        memcpy(last, m->heard, sizeof(last));
    assert_null(strstr(last, "READY=1"));
    assert_string_equal(await(m), "READY=1\nSTATUS=9999");
}

static void who_is_not_there_is_no_harm(void **state)
{
    struct manager *m = *state;

    unlink(m->address);
    open_service(m);
    service_ready(m->service);
    service_status(m->service, "x");
    assert_string_equal(hear(m), "");
}

static void without_a_manager_nothing_happens(void **state)
{
    struct manager *m = *state;
    const char *const strange[] = {"", "/", "vsock:2:1234", "relative"};

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        setenv("NOTIFY_SOCKET", strange[i], 1);
        setenv("WATCHDOG_USEC", "1000", 1);
        m->service = service_open();
        assert_non_null(m->service);
        service_watch(m->service, m->base);
        service_ready(m->service);
        service_reloading(m->service);
        service_status(m->service, "x");
        service_stopping(m->service);
        assert_int_equal(service_restore_environment(m->service), 0);
        assert_null(getenv("NOTIFY_SOCKET"));
        assert_int_equal(event_base_loop(m->base, EVLOOP_NONBLOCK), 1); /* no event at all */
        service_close(m->service);
    }
    m->service = NULL;
}

static void the_usual_line_names_workers_apps_and_deployments(void **state)
{
    struct manager *m = *state;
    struct stats_worker workers[3] = {{.is_accepting = true}, {.is_accepting = true}};
    struct stats_app apps[200] = {{.name = "hello", .generation = 3},
                                  {.name = "echo", .generation = 1}};
    struct stats stats = {.workers = workers, .worker_count = 3, .apps = apps, .app_count = 2};

    open_service(m);
    service_describe(m->service, &stats, 1);
    assert_string_equal(hear(m), "STATUS=2 workers, hello 3, echo 1; 1 deployment running");
    stats.worker_count = stats.app_count = 1;
    service_describe(m->service, &stats, 0);
    assert_string_equal(hear(m), "STATUS=1 worker, hello 3");
    for (size_t i = 0; i < 200; i++)
        apps[i] = (struct stats_app){.name = "somewhat-long-a-name", .generation = 123456789};
    stats.app_count = 200;
    service_describe(m->service, &stats, 2);
    assert_non_null(strstr(hear(m), " more; 2 deployments running"));
}

/* ---- sockets ---- */

/* libsystemd counts from 3, so it needs a process where 3 and 4 are free to be taken. */
static int receive_sockets(const char *pid, const char *names)
{
    const struct listeners_inherited *sockets;
    struct service *service;
    int pair[2], taken = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || fcntl(pair[0], F_DUPFD, 10) != 10 ||
        fcntl(pair[1], F_DUPFD, 11) != 11 || dup2(10, 3) != 3 || dup2(11, 4) != 4)
        return 1;
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    service = service_open();
    if (service == NULL || getenv("LISTEN_FDS") != NULL || getenv("LISTEN_FDNAMES") != NULL)
        return 2;
    if (service_sockets(service, &sockets) == 2 && sockets[0].fd == 3 && sockets[1].fd == 4 &&
        strcmp(sockets[0].name, "http") == 0 && strcmp(sockets[1].name, "admin") == 0 &&
        fcntl(3, F_GETFD) == FD_CLOEXEC)
        taken = 0;
    service_close(service);
    return taken == 0 && fcntl(4, F_GETFD) != -1 ? 0 : 3;
}

static int receive_in_child(const char *pid, const char *names)
{
    int status;

    fflush(NULL);
    if (fork() == 0) {
        char text[16];

        unsetenv("NOTIFY_SOCKET");
        snprintf(text, sizeof(text), "%d", (int)getpid());
        close_range(3, 100, 0);
        _exit(receive_sockets(pid == NULL ? text : pid, names));
    }
    wait(&status);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void sockets_come_with_their_names(void **state)
{
    (void)state;
    assert_int_equal(receive_in_child(NULL, "http:admin"), 0);
    assert_int_equal(receive_in_child("1", "http:admin"), 3); /* meant for another process */
    assert_int_equal(receive_in_child(NULL, "http"), 3); /* as many names as sockets, or none */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_hears_the_phases_and_the_status),
        TEST(it_hears_signs_of_life_from_the_loop_only),
        TEST(a_watchdog_of_another_process_is_not_ours),
        TEST(its_variables_are_gone_until_they_are_put_back),
        TEST(an_abstract_address_will_do),
        TEST(who_does_not_read_holds_nobody_up_and_learns_it_later),
        TEST(who_is_not_there_is_no_harm),
        TEST(without_a_manager_nothing_happens),
        TEST(the_usual_line_names_workers_apps_and_deployments),
        cmocka_unit_test(sockets_come_with_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
