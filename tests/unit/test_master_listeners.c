/* test_master_listeners.c: listening sockets outlive a configuration: what is open and still wanted
 * is not touched, what cannot be opened leaves everything as it was, and nothing is left behind. */
#include "master/listeners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define LISTENS 4

struct room {
    char folder[64], log[96];
    struct listeners *listeners;
    size_t open; /* descriptors, before there was any socket */
};

/* A configuration of listeners alone. */
struct wishes {
    struct config config;
    struct config_listen listens[LISTENS];
    char names[LISTENS][160];
};

static size_t count_open(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static int setup(void **state)
{
    static struct room room;

    *state = &room;
    snprintf(room.folder, sizeof room.folder, "/tmp/reeve-test-XXXXXX");
    if (mkdtemp(room.folder) == NULL)
        return -1;
    snprintf(room.log, sizeof room.log, "%s/log", room.folder);
    if (log_open(room.log, LOG_LEVEL_INFO) != 0)
        return -1;
    room.open = count_open();
    room.listeners = listeners_new();
    return room.listeners == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct room *room = *state;
    size_t open;

    listeners_free(room->listeners);
    open = count_open();
    unlink(room->log);
    if (open != room->open) {
        print_error("%zu descriptors were open at first, %zu at last\n", room->open, open);
        return -1;
    }
    return rmdir(room->folder); /* no file of a socket is left */
}

/* Another `listen` of the configuration, in the room's folder when it is "unix:NAME". */
static struct config_listen *wish(struct room *room, struct wishes *wishes, const char *address)
{
    struct config_listen *listen = &wishes->listens[wishes->config.listen_count];
    char *name = wishes->names[wishes->config.listen_count++];
    char text[160];

    if (strncmp(address, "unix:", 5) == 0)
        snprintf(text, sizeof text, "unix:%s/%s", room->folder, address + 5);
    else
        snprintf(text, sizeof text, "%s", address);
    assert_null(sock_parse(text, &listen->address));
    strcpy(name, listen->address.text);
    listen->name = name;
    listen->backlog = 16;
    listen->mode = 0600;
    wishes->config.listens = wishes->listens;
    return listen;
}

static const int *prepare(struct room *room, struct wishes *wishes)
{
    char *error = NULL;
    const int *fds = listeners_prepare(room->listeners, &wishes->config, &error);

    if (fds == NULL)
        fail_msg("%s", error);
    return fds;
}

static void commit(struct room *room, struct wishes *wishes)
{
    prepare(room, wishes);
    listeners_commit(room->listeners);
}

static void assert_refused(struct room *room, struct wishes *wishes, const char *part)
{
    char *error = NULL;

    assert_null(listeners_prepare(room->listeners, &wishes->config, &error));
    assert_non_null(error);
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    free(error);
}

static void assert_logged(const struct room *room, const char *part, bool is_there)
{
    char text[4096] = "";
    FILE *file = fopen(room->log, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    if ((strstr(text, part) != NULL) != is_there)
        fail_msg("the log has%s \"%s\":\n%s", is_there ? " no" : "", part, text);
}

/* A client in the queue of the listener; -1: nobody listens there. */
static int call_at(const struct config_listen *listen)
{
    int fd = socket(listen->address.addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, &listen->address.addr.any, listen->address.length) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_reachable(const struct config_listen *listen)
{
    int fd = call_at(listen);

    if (fd != -1)
        close(fd);
    return fd != -1;
}

static bool is_there(const struct room *room, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", room->folder, name);
    return access(path, F_OK) == 0;
}

static unsigned mode_of(const struct room *room, const char *name)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", room->folder, name);
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 0777;
}

static unsigned backlog_of(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_sacked;
}

/* ---- a first set ------------------------------------------------------------------------------
 */

static void what_is_wished_is_opened_in_its_order(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    const int *fds;

    wish(room, &wishes, "127.0.0.1:0");
    wish(room, &wishes, "unix:s");
    assert_null(listeners_fds(room->listeners));
    fds = prepare(room, &wishes);
    assert_string_equal(listeners_change(room->listeners, 0), "added");
    assert_null(listeners_removed(room->listeners, 0));
    listeners_commit(room->listeners);
    assert_ptr_equal(listeners_fds(room->listeners), fds);
    assert_string_not_equal(wishes.listens[0].address.text, "127.0.0.1:0");
    assert_true(is_reachable(&wishes.listens[0]));
    assert_true(is_reachable(&wishes.listens[1]));
    assert_int_equal(mode_of(room, "s"), 0600);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
}

static void shut_closes_all_and_removes_files(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};

    wish(room, &wishes, "127.0.0.1:0");
    wish(room, &wishes, "unix:s");
    commit(room, &wishes);
    listeners_shut(room->listeners);
    listeners_shut(room->listeners);
    assert_false(is_reachable(&wishes.listens[0]));
    assert_false(is_there(room, "s"));
    assert_int_equal(listeners_fds(room->listeners)[0], -1);
    assert_int_equal(listeners_fds(room->listeners)[1], -1);
    assert_int_equal(listeners_count(room->listeners), 0);
}

/* A server is stopped in the middle of a reload. */
static void shut_closes_what_was_prepared_too(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    const int *fds;

    wish(room, &first, "unix:s");
    commit(room, &first);
    wish(room, &second, "unix:s");
    wish(room, &second, "unix:new");
    fds = prepare(room, &second);
    listeners_shut(room->listeners);
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
    assert_int_equal(listeners_fds(room->listeners)[0], -1);
    assert_false(is_there(room, "s"));
    assert_false(is_there(room, "new"));
    listeners_commit(room->listeners); /* whoever comes late does no harm */
    assert_int_equal(listeners_fds(room->listeners)[1], -1);
    listeners_abandon(room->listeners);
}

/* ---- from one set to the next -----------------------------------------------------------------
 */

static void what_is_kept_keeps_its_socket_and_its_queue(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    int kept_tcp, kept_unix, client, taken;
    char *address;

    wish(room, &first, "127.0.0.1:0");
    wish(room, &first, "unix:s");
    commit(room, &first);
    kept_tcp = listeners_fds(room->listeners)[0];
    kept_unix = listeners_fds(room->listeners)[1];
    client = call_at(&first.listens[0]);
    address = strdup(first.listens[0].address.text);

    wish(room, &second, "unix:new");
    wish(room, &second, "unix:s");
    wish(room, &second, "127.0.0.1:0"); /* the port that it got */
    prepare(room, &second);
    assert_string_equal(listeners_change(room->listeners, 0), "added");
    assert_string_equal(listeners_change(room->listeners, 1), "kept");
    assert_string_equal(listeners_change(room->listeners, 2), "kept");
    assert_null(listeners_removed(room->listeners, 0));
    listeners_commit(room->listeners);
    assert_int_equal(listeners_fds(room->listeners)[1], kept_unix);
    assert_int_equal(listeners_fds(room->listeners)[2], kept_tcp);
    assert_string_equal(second.listens[2].address.text, address);
    assert_true(is_there(room, "s"));
    taken = accept(kept_tcp, NULL, NULL);
    assert_true(taken >= 0);
    close(taken);
    close(client);
    free(address);
}

static void the_port_that_was_chosen_may_be_written_down(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    int fd;

    wish(room, &first, "127.0.0.1:0");
    commit(room, &first);
    fd = listeners_fds(room->listeners)[0];
    wish(room, &second, first.listens[0].address.text);
    commit(room, &second);
    assert_int_equal(listeners_fds(room->listeners)[0], fd);
}

static void two_with_a_chosen_port_are_told_apart_by_name(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    char a[] = "a", b[] = "b", c[] = "c";
    int fd;

    wish(room, &first, "127.0.0.1:0")->name = b;
    wish(room, &first, "127.0.0.1:0")->name = a;
    commit(room, &first);
    fd = listeners_fds(room->listeners)[0];
    wish(room, &second, "127.0.0.1:0")->name = c; /* comes first, but "b" is b's */
    wish(room, &second, "127.0.0.1:0")->name = b;
    commit(room, &second);
    assert_int_equal(listeners_fds(room->listeners)[1], fd);
}

static void what_is_not_wished_any_more_is_open_until_the_commit(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};

    wish(room, &first, "127.0.0.1:0");
    wish(room, &first, "unix:s");
    wish(room, &first, "unix:kept");
    commit(room, &first);
    wish(room, &second, "unix:kept");
    prepare(room, &second);
    assert_string_equal(listeners_removed(room->listeners, 0), first.listens[0].address.text);
    assert_string_equal(listeners_removed(room->listeners, 1), first.listens[1].address.text);
    assert_null(listeners_removed(room->listeners, 2));
    assert_true(is_reachable(&first.listens[0]));
    assert_true(is_reachable(&first.listens[1]));
    listeners_commit(room->listeners);
    assert_false(is_reachable(&first.listens[0]));
    assert_false(is_there(room, "s"));
    assert_true(is_reachable(&first.listens[2]));
    assert_null(listeners_removed(room->listeners, 0));
}

static void abandoning_closes_what_was_opened_and_nothing_else(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    const int *fds;
    int fd;

    wish(room, &first, "unix:s");
    commit(room, &first);
    fds = listeners_fds(room->listeners);
    fd = fds[0];
    wish(room, &second, "unix:new")->backlog = 5;
    wish(room, &second, "unix:s")->mode = 0666;
    prepare(room, &second);
    assert_ptr_equal(listeners_fds(room->listeners), fds);
    assert_int_equal(mode_of(room, "s"), 0600); /* not before the commit */
    listeners_abandon(room->listeners);
    assert_false(is_there(room, "new"));
    assert_ptr_equal(listeners_fds(room->listeners), fds);
    assert_int_equal(fds[0], fd);
    assert_true(is_reachable(&first.listens[0]));
    assert_int_equal(listeners_count(room->listeners), 1);
    listeners_abandon(room->listeners);
    listeners_commit(room->listeners); /* of nothing */
    assert_true(is_reachable(&first.listens[0]));
}

static void one_that_cannot_be_opened_leaves_everything_as_it_was(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0}, strange = {0};
    struct listeners *stranger = listeners_new();
    char *error = NULL;

    wish(room, &strange, "127.0.0.1:0");
    assert_non_null(listeners_prepare(stranger, &strange.config, &error));
    listeners_commit(stranger);
    wish(room, &first, "unix:s");
    commit(room, &first);
    wish(room, &second, "unix:new");
    wish(room, &second, strange.listens[0].address.text);
    assert_refused(room, &second, strange.listens[0].address.text);
    assert_refused(room, &second, "Address already in use");
    assert_false(is_there(room, "new"));
    assert_true(is_reachable(&first.listens[0]));
    assert_int_equal(listeners_count(room->listeners), 1);
    listeners_free(stranger);
    commit(room, &second); /* now it can */
    assert_false(is_there(room, "s"));
}

static void without_descriptors_nothing_changes(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    struct rlimit before, none;

    wish(room, &first, "unix:s");
    commit(room, &first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)listeners_fds(room->listeners)[0] + 1;
    wish(room, &second, "unix:s");
    wish(room, &second, "127.0.0.1:0");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_refused(room, &second, "Too many open files");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(is_reachable(&first.listens[0]));
}

static void backlog_and_mode_of_a_kept_one_are_set_anew(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};

    wish(room, &first, "unix:s");
    wish(room, &first, "127.0.0.1:0");
    commit(room, &first);
    assert_int_equal(backlog_of(listeners_fds(room->listeners)[1]), 16);
    wish(room, &second, "unix:s")->mode = 0666;
    wish(room, &second, "127.0.0.1:0")->backlog = 7;
    commit(room, &second);
    assert_int_equal(mode_of(room, "s"), 0666);
    assert_int_equal(backlog_of(listeners_fds(room->listeners)[1]), 7);
}

/* Open, but nobody can find it. */
static void a_socket_whose_file_was_removed_is_opened_anew(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};

    wish(room, &first, "unix:s");
    commit(room, &first);
    assert_int_equal(unlink(first.listens[0].address.addr.un.sun_path), 0);
    wish(room, &second, "unix:s");
    prepare(room, &second);
    assert_string_equal(listeners_change(room->listeners, 0), "added");
    listeners_commit(room->listeners);
    assert_true(is_reachable(&second.listens[0])); /* the old one did not take the file along */
    assert_int_equal(listeners_count(room->listeners), 1);
}

static void a_file_that_is_another_ones_stays(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    struct config_listen *listen = wish(room, &wishes, "unix:s");
    const char *path = listen->address.addr.un.sun_path;

    commit(room, &wishes);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    listeners_shut(room->listeners);
    assert_true(is_there(room, "s"));
    unlink(path);
}

static bool is_port_shared(int fd)
{
    int is_on = 0;
    socklen_t size = sizeof is_on;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &is_on, &size), 0);
    return is_on != 0;
}

/* From "127.0.0.1:P" to "*:P" and back: nobody is refused at any moment. */
static void a_port_may_go_to_a_wider_or_narrower_address(void **state)
{
    static const char *const hosts[] = {"*", "127.0.0.1", "0.0.0.0"};
    struct room *room = *state;
    struct wishes first = {0};
    struct config_listen *listen = wish(room, &first, "127.0.0.1:0");
    unsigned port;

    commit(room, &first);
    port = ntohs(listen->address.addr.in.sin_port);
    for (size_t i = 0; i < 3; i++) {
        struct wishes next = {0};
        char text[32];
        int client;

        snprintf(text, sizeof text, "%s:%u", hosts[i], port);
        wish(room, &next, text);
        assert_false(is_port_shared(prepare(room, &next)[0]));
        assert_false(is_port_shared(listeners_fds(room->listeners)[0]));
        assert_true(is_reachable(listen));
        assert_string_equal(listeners_change(room->listeners, 0), "added");
        listeners_commit(room->listeners);
        client = call_at(listen);
        assert_true(client >= 0);
        close(client);
        assert_int_equal(listeners_count(room->listeners), 1);
    }
}

/* A stranger's socket is not shared with, and neither are two of one configuration. */
static void a_port_that_is_in_use_stays_refused(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, both = {0}, strange = {0};
    char text[32];

    wish(room, &first, "127.0.0.1:0");
    commit(room, &first);
    snprintf(text, sizeof text, "*:%u", ntohs(first.listens[0].address.addr.in.sin_port));
    wish(room, &both, first.listens[0].address.text);
    wish(room, &both, text);
    assert_refused(room, &both, "Address already in use");
    wish(room, &strange, text);
    assert_int_equal(sock_listen(&strange.listens[0].address, 1, 0), -1);
    assert_true(is_reachable(&first.listens[0]));
}

/* ---- sockets that others opened ----------------------------------------------------------------
 */

/* As systemd opens one. */
static int open_as_systemd(struct room *room, const char *address, struct sock_address *address_out)
{
    struct wishes wishes = {0};
    struct config_listen *listen = wish(room, &wishes, address);
    int fd = sock_listen(&listen->address, 100, 0644);

    assert_true(fd >= 0);
    *address_out = listen->address;
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
    return fd;
}

static void inherit(struct room *room, const struct listeners_inherited *sockets, size_t count)
{
    char *error = NULL;

    if (listeners_inherit(room->listeners, sockets, count, &error) != 0)
        fail_msg("%s", error);
}

static void a_passed_socket_is_found_by_its_address(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    struct sock_address tcp, file;
    const struct listeners_inherited sockets[] = {
        {.fd = open_as_systemd(room, "127.0.0.1:0", &tcp), .name = "reeve.socket"},
        {.fd = open_as_systemd(room, "unix:s", &file)},
    };

    inherit(room, sockets, 2);
    wish(room, &wishes, "unix:s")->mode = 0600;
    wish(room, &wishes, tcp.text);
    commit(room, &wishes);
    assert_int_equal(listeners_fds(room->listeners)[0], sockets[1].fd);
    assert_int_equal(listeners_fds(room->listeners)[1], sockets[0].fd);
    assert_string_equal(listeners_change(room->listeners, 0), "kept");
    assert_true(fcntl(sockets[0].fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(sockets[0].fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(backlog_of(sockets[0].fd), 100); /* the unit's */
    assert_int_equal(mode_of(room, "s"), 0644);
    assert_logged(room, "passed", false);
    listeners_shut(room->listeners);
    assert_true(is_there(room, "s")); /* systemd made it and goes on listening */
    unlink(file.addr.un.sun_path);
}

static void a_passed_wildcard_is_the_star(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    struct sock_address address;
    struct listeners_inherited passed = {.fd = open_as_systemd(room, "*:0", &address)};

    inherit(room, &passed, 1);
    assert_int_equal(strncmp(address.text, "*:", 2), 0);
    wish(room, &wishes, address.text);
    commit(room, &wishes);
    assert_int_equal(listeners_fds(room->listeners)[0], passed.fd);
}

static void a_passed_socket_is_found_by_its_name(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    struct sock_address address;
    struct listeners_inherited passed = {.name = "web"};
    char name[] = "web";

    passed.fd = open_as_systemd(room, "127.0.0.1:0", &address);
    inherit(room, &passed, 1);
    wish(room, &wishes, "127.0.0.1:9")->name = name;
    commit(room, &wishes);
    assert_int_equal(listeners_fds(room->listeners)[0], passed.fd);
    assert_string_equal(wishes.listens[0].address.text, address.text); /* what is true */
    assert_logged(room, "the listener \"web\" is at 127.0.0.1:", true);
}

/* Port 0 is a wish for any free port, not for the first socket that is there. */
static void a_passed_socket_is_not_taken_for_a_chosen_port(void **state)
{
    struct room *room = *state;
    struct wishes wishes = {0};
    struct sock_address address;
    struct listeners_inherited passed = {.name = "web"};

    passed.fd = open_as_systemd(room, "127.0.0.1:0", &address);
    inherit(room, &passed, 1);
    wish(room, &wishes, "127.0.0.1:0");
    prepare(room, &wishes);
    assert_string_equal(listeners_change(room->listeners, 0), "added");
    assert_string_equal(listeners_removed(room->listeners, 0), address.text);
    listeners_commit(room->listeners);
    assert_logged(room, "(web) was passed, but no listener wants it: it is closed", true);
    assert_int_equal(fcntl(passed.fd, F_GETFD), -1);
}

static void a_passed_descriptor_must_be_a_listening_stream_socket(void **state)
{
    struct room *room = *state;
    struct sock_address address;
    int strange[] = {
        open("/dev/null", O_RDONLY | O_CLOEXEC),
        socket(AF_INET, SOCK_STREAM, 0),
        socket(AF_INET, SOCK_DGRAM, 0),
        socket(AF_UNIX, SOCK_SEQPACKET, 0),
        400,
    };

    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        const struct listeners_inherited sockets[] = {
            {.fd = open_as_systemd(room, "127.0.0.1:0", &address), .name = "good"},
            {.fd = strange[i], .name = "odd"},
            {.fd = open_as_systemd(room, "127.0.0.1:0", &address)},
        };
        char *error = NULL;

        assert_int_equal(listeners_inherit(room->listeners, sockets, 3, &error), -1);
        assert_non_null(strstr(error, "(odd) was passed to be listened on, but it is no listening "
                                      "stream socket"));
        free(error);
        assert_int_equal(fcntl(sockets[0].fd, F_GETFD), -1); /* none is left open */
        assert_int_equal(fcntl(sockets[2].fd, F_GETFD), -1);
    }
}

/* As an exec of another binary does it: the descriptors and what is known of them go on. */
static void sockets_go_from_one_image_to_the_next(void **state)
{
    struct room *room = *state;
    struct wishes first = {0}, second = {0};
    struct listeners *former = room->listeners;
    struct listeners_inherited sockets[LISTENS];
    char texts[2 * LISTENS][160], *address;
    size_t count;

    wish(room, &first, "127.0.0.1:0");
    wish(room, &first, "unix:s");
    commit(room, &first);
    count = listeners_count(former);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        sockets[i] = listeners_socket(former, i);
        sockets[i].name = strcpy(texts[2 * i], sockets[i].name);
        sockets[i].address = strcpy(texts[2 * i + 1], sockets[i].address);
        sockets[i].fd = dup(sockets[i].fd);
        assert_true(sockets[i].fd >= 0);
    }
    assert_string_equal(sockets[0].address, "127.0.0.1:0");
    address = strdup(first.listens[0].address.text);

    room->listeners = listeners_new();
    inherit(room, sockets, count);
    wish(room, &second, "unix:s")->mode = 0640;
    wish(room, &second, "127.0.0.1:0")->backlog = 9;
    commit(room, &second);
    assert_string_equal(second.listens[1].address.text, address);
    assert_int_equal(backlog_of(listeners_fds(room->listeners)[1]), 9);
    assert_int_equal(mode_of(room, "s"), 0640);
    assert_logged(room, "passed", false);
    listeners_shut(room->listeners);
    assert_false(is_there(room, "s"));
    listeners_free(former);
    free(address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_is_wished_is_opened_in_its_order),
        TEST(shut_closes_all_and_removes_files),
        TEST(shut_closes_what_was_prepared_too),
        TEST(what_is_kept_keeps_its_socket_and_its_queue),
        TEST(the_port_that_was_chosen_may_be_written_down),
        TEST(two_with_a_chosen_port_are_told_apart_by_name),
        TEST(what_is_not_wished_any_more_is_open_until_the_commit),
        TEST(abandoning_closes_what_was_opened_and_nothing_else),
        TEST(one_that_cannot_be_opened_leaves_everything_as_it_was),
        TEST(without_descriptors_nothing_changes),
        TEST(backlog_and_mode_of_a_kept_one_are_set_anew),
        TEST(a_socket_whose_file_was_removed_is_opened_anew),
        TEST(a_file_that_is_another_ones_stays),
        TEST(a_port_may_go_to_a_wider_or_narrower_address),
        TEST(a_port_that_is_in_use_stays_refused),
        TEST(a_passed_socket_is_found_by_its_address),
        TEST(a_passed_wildcard_is_the_star),
        TEST(a_passed_socket_is_found_by_its_name),
        TEST(a_passed_socket_is_not_taken_for_a_chosen_port),
        TEST(a_passed_descriptor_must_be_a_listening_stream_socket),
        TEST(sockets_go_from_one_image_to_the_next),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
