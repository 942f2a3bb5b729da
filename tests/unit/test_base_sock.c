/* test_base_sock.c: how addresses are written, and what a listening socket made from one is like.
 * Ports are the kernel's choice (0), files are in a temporary folder, so tests may run side by
 * side. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char room[] = "/tmp/reeve-test-XXXXXX";
static char socket_path[64];
static char socket_text[80];

static int enter_room(void **state)
{
    (void)state;
    if (mkdtemp(room) == NULL)
        return -1;
    snprintf(socket_path, sizeof socket_path, "%s/s.sock", room);
    snprintf(socket_text, sizeof socket_text, "unix:%s", socket_path);
    return 0;
}

static int leave_room(void **state)
{
    (void)state;
    return rmdir(room);
}

static int remove_socket(void **state)
{
    (void)state;
    unlink(socket_path);
    return 0;
}

static struct sock_address parsed(const char *text)
{
    struct sock_address address;
    const char *wrong = sock_parse(text, &address);

    if (wrong != NULL)
        fail_msg("%s: %s", text, wrong);
    return address;
}

/* A client's blocking connection, or -1. */
static int connect_to(const struct sock_address *address)
{
    int fd = socket(address->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, &address->addr.any, address->length) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses_are_normalised(void **state)
{
    static const struct {
        const char *text, *normal;
        int family;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", AF_INET},
        {"0.0.0.0:080", "0.0.0.0:80", AF_INET},
        {"127.0.0.1:0", "127.0.0.1:0", AF_INET},
        {"127.0.0.1:65535", "127.0.0.1:65535", AF_INET},
        {"[::1]:8080", "[::1]:8080", AF_INET6},
        {"[0:0::0001]:8080", "[::1]:8080", AF_INET6},
        {"[::]:80", "[::]:80", AF_INET6},
        {"[fe80::1%lo]:80", "[fe80::1%lo]:80", AF_INET6},
        {":8080", "*:8080", AF_INET6},
        {"*:8080", "*:8080", AF_INET6},
        {"unix:/run/x.sock", "unix:/run/x.sock", AF_UNIX},
        {"unix:/run/a:80", "unix:/run/a:80", AF_UNIX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sock_address address = parsed(rows[i].text);

        assert_string_equal(address.text, rows[i].normal);
        assert_int_equal(address.addr.any.sa_family, rows[i].family);
    }
}

static void what_is_no_address_is_explained(void **state)
{
    static const char form[] =
        "an address is IPV4:PORT, [IPV6]:PORT, *:PORT for all, or unix:/PATH",
                      port[] = "the port must be 0 to 65535 (0: the kernel chooses)",
                      host[] =
                          "the host must be a numeric IPv4 address, an IPv6 address in [ ], or *",
                      ipv6[] = "what is in [ ] must be a numeric IPv6 address";
    static const struct {
        const char *text, *wrong;
    } rows[] = {
        {"", form},
        {"8080", form},
        {"localhost", form},
        {"[::1", form},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890:80",
         form},
        {"127.0.0.1:", port},
        {"127.0.0.1:65536", port},
        {"127.0.0.1:000080", port},
        {"127.0.0.1:-1", port},
        {"127.0.0.1: 80", port},
        {"127.0.0.1:80 ", port},
        {"127.0.0.1:http", port},
        {"[::1]", form},
        {"localhost:80", host},
        {"127.1:80", host},
        {"127.0.0.256:80", host},
        {"::1:80", host},
        {"**:80", host},
        {" 127.0.0.1:80", host},
        {"[:80", form},
        {"http://127.0.0.1:80", host},
        {"[]:80", ipv6},
        {"[127.0.0.1]:80", ipv6},
        {"[fe80::1%nosuch]:80", ipv6},
        {"unix:", "the path behind unix: is missing"},
        {"unix:@x", "abstract Unix sockets have no permissions and are not supported"},
    };
    struct sock_address address;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *wrong = sock_parse(rows[i].text, &address);

        if (wrong == NULL)
            fail_msg("accepted: \"%s\"", rows[i].text);
        if (strcmp(wrong, rows[i].wrong) != 0)
            fail_msg("\"%s\": %s, not: %s", rows[i].text, wrong, rows[i].wrong);
    }
}

static void a_unix_path_may_have_107_bytes(void **state)
{
    char text[5 + 109];
    struct sock_address address;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    text[5 + 107] = '\0';
    assert_null(sock_parse(text, &address));
    assert_string_equal(address.text, text);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    assert_string_equal(sock_parse(text, &address), "the path of a Unix socket may have 107 bytes");
}

static void a_relative_unix_path_becomes_absolute(void **state)
{
    char before[4096], expected[96];
    struct sock_address address;
    const char *wrong;

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(room), 0);
    wrong = sock_parse("unix:x.sock", &address);
    assert_int_equal(chdir(before), 0);
    assert_null(wrong);
    snprintf(expected, sizeof expected, "unix:%s/x.sock", room);
    assert_string_equal(address.text, expected);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static void assert_option(int fd, int level, int option, int wanted)
{
    socklen_t length = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    assert_int_equal(value != 0, wanted);
}

static void a_port_that_was_0_is_filled_in(void **state)
{
    struct sock_address address = parsed("127.0.0.1:0");
    char expected[32];
    int fd = sock_listen(&address, 5, 0), client;

    (void)state;
    assert_true(fd >= 0);
    assert_int_not_equal(address.addr.in.sin_port, 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(address.addr.in.sin_port));
    assert_string_equal(address.text, expected);
    client = connect_to(&address);
    assert_true(client >= 0);
    close(client);
    close(fd);
}

static void a_listener_is_nonblocking_and_not_inherited(void **state)
{
    struct sock_address address = parsed("127.0.0.1:0");
    int fd = sock_listen(&address, 5, 0), client, accepted;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_option(fd, SOL_SOCKET, SO_ACCEPTCONN, 1);
    client = connect_to(&address);
    assert_true(client >= 0);
    accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    assert_option(accepted, IPPROTO_TCP, TCP_NODELAY, 1);
    close(accepted);
    close(client);
    close(fd);
}

static void an_address_in_use_is_refused(void **state)
{
    struct sock_address address = parsed("127.0.0.1:0"), again;
    int fd = sock_listen(&address, 5, 0);

    (void)state;
    assert_true(fd >= 0);
    again = address;
    assert_int_equal(sock_listen(&again, 5, 0), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
}

static void a_star_takes_ipv4_clients_and_names_them_so(void **state)
{
    struct sock_address address = parsed("*:0"), client_address = {.length = 0};
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    char text[40], host[INET6_ADDRSTRLEN];
    int fd = sock_listen(&address, 5, 0), client, accepted;
    unsigned port;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(strncmp(address.text, "*:", 2), 0);
    assert_string_not_equal(address.text, "*:0");
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.addr.in6.sin6_port));
    client_address = parsed(text);
    client = connect_to(&client_address);
    assert_true(client >= 0);
    accepted = accept(fd, (struct sockaddr *)&peer, &length);
    assert_true(accepted >= 0);
    sock_peer_text((struct sockaddr *)&peer, host, sizeof host, &port);
    assert_string_equal(host, "127.0.0.1");
    assert_in_range(port, 1, 65535);
    close(accepted);
    close(client);
    close(fd);
}

static void all_of_ipv6_leaves_ipv4_alone(void **state)
{
    struct sock_address six = parsed("[::]:0"), four;
    char text[40];
    int fd = sock_listen(&six, 5, 0), other;

    (void)state;
    if (fd < 0 && errno == EAFNOSUPPORT)
        skip(); /* a kernel without IPv6 */
    assert_true(fd >= 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(six.addr.in6.sin6_port));
    four = parsed(text);
    other = sock_listen(&four, 5, 0);
    assert_true(other >= 0);
    close(other);
    close(fd);
}

static void a_foreign_address_cannot_be_bound(void **state)
{
    struct sock_address address = parsed("192.0.2.1:0");

    (void)state;
    assert_int_equal(sock_listen(&address, 5, 0), -1);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

/* ---- Unix ------------------------------------------------------------------------------------ */

static void a_unix_socket_has_its_mode(void **state)
{
    static const unsigned modes[] = {0600, 0660, 0666, 0777};
    struct sock_address address = parsed(socket_text);
    struct stat st;

    (void)state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        mode_t mask = umask(077);
        int fd = sock_listen(&address, 5, modes[i]), client;

        umask(mask);
        assert_true(fd >= 0);
        assert_int_equal(stat(socket_path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_true(S_ISSOCK(st.st_mode));
        client = connect_to(&address);
        assert_true(client >= 0);
        close(client);
        close(fd); /* and leaves a file that nobody listens on, for the next round to replace */
    }
}

/* Also when its queue is full, so that a connection to it is neither taken nor refused. */
static void a_unix_socket_in_use_is_kept(void **state)
{
    struct sock_address address = parsed(socket_text);
    int fd = sock_listen(&address, 0, 0600), waiting[2];

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < COUNT(waiting); i++) {
        assert_int_equal(sock_listen(&address, 5, 0600), -1);
        assert_int_equal(errno, EADDRINUSE);
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(waiting[i], &address.addr.any, address.length);
    }
    assert_int_equal(sock_listen(&address, 5, 0600), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(socket_path, F_OK), 0);
    for (size_t i = 0; i < COUNT(waiting); i++)
        close(waiting[i]);
    close(fd);
}

static void a_file_in_the_way_is_kept(void **state)
{
    struct sock_address address = parsed(socket_text);
    struct stat st;
    int fd = open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(sock_listen(&address, 5, 0600), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(stat(socket_path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void a_missing_folder_is_an_error(void **state)
{
    struct sock_address address = parsed("unix:/no/such/folder/x.sock");

    (void)state;
    assert_int_equal(sock_listen(&address, 5, 0600), -1);
    assert_int_equal(errno, ENOENT);
}

/* ---- peers and descriptors ------------------------------------------------------------------- */

static void peers_are_shown_as_numbers(void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.1:80", "192.0.2.1"},
        {"[2001:db8::1]:80", "2001:db8::1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
    };
    struct sock_address address;
    char host[INET6_ADDRSTRLEN];
    unsigned port = 7;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        address = parsed(rows[i][0]);
        sock_peer_text(&address.addr.any, host, sizeof host, &port);
        assert_string_equal(host, rows[i][1]);
        assert_int_equal(port, 80);
    }
    address = parsed("unix:/x");
    sock_peer_text(&address.addr.any, host, sizeof host, &port);
    assert_string_equal(host, "");
    assert_int_equal(port, 0);
    address = parsed("[2001:db8::1]:80");
    sock_peer_text(&address.addr.any, host, 4, &port); /* no room: nothing rather than a part */
    assert_string_equal(host, "");
}

static void flags_are_set_and_cleared(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(sock_set_nonblocking(fds[0]), 0);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(sock_set_cloexec(fds[0], true), 0);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(sock_set_cloexec(fds[0], false), 0);
    assert_false(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(sock_set_nonblocking(-1), -1);
    assert_int_equal(sock_set_cloexec(-1, true), -1);
}

static void the_descriptor_limit_goes_to_the_hard_one(void **state)
{
    struct rlimit before, lowered, after;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    lowered = before;
    lowered.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    assert_true(sock_raise_descriptor_limit() == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur == before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_normalised),
        cmocka_unit_test(what_is_no_address_is_explained),
        cmocka_unit_test(a_unix_path_may_have_107_bytes),
        cmocka_unit_test(a_relative_unix_path_becomes_absolute),
        cmocka_unit_test(a_port_that_was_0_is_filled_in),
        cmocka_unit_test(a_listener_is_nonblocking_and_not_inherited),
        cmocka_unit_test(an_address_in_use_is_refused),
        cmocka_unit_test(a_star_takes_ipv4_clients_and_names_them_so),
        cmocka_unit_test(all_of_ipv6_leaves_ipv4_alone),
        cmocka_unit_test(a_foreign_address_cannot_be_bound),
        cmocka_unit_test_teardown(a_unix_socket_has_its_mode, remove_socket),
        cmocka_unit_test_teardown(a_unix_socket_in_use_is_kept, remove_socket),
        cmocka_unit_test_teardown(a_file_in_the_way_is_kept, remove_socket),
        cmocka_unit_test(a_missing_folder_is_an_error),
        cmocka_unit_test(peers_are_shown_as_numbers),
        cmocka_unit_test(flags_are_set_and_cleared),
        cmocka_unit_test(the_descriptor_limit_goes_to_the_hard_one),
    };

    return cmocka_run_group_tests(tests, enter_room, leave_room);
}
