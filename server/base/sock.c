/* sock.c: addresses as operators write them, and listening sockets made from them. Names are never
 * looked up: a server that waits for DNS before it listens is a server that does not start after a
 * power cut. */
#include "base/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char wrong_form[] =
    "an address is IPV4:PORT, [IPV6]:PORT, *:PORT for all, or unix:/PATH";

/* The address "*": every IPv6 and IPv4 address through one socket. Its sockaddr is that of [::], so
 * the text tells. */
static bool is_wildcard(const struct sock_address *address)
{
    return address->text[0] == '*';
}

/* Writes the text anew from the sockaddr: one spelling for one address. */
static void normalise_text(struct sock_address *address, bool is_any)
{
    char host[72] = "";
    const struct sockaddr_in *in = &address->addr.in;
    const struct sockaddr_in6 *in6 = &address->addr.in6;
    size_t size = sizeof address->text;

    if (address->addr.any.sa_family == AF_UNIX) {
        snprintf(address->text, size, "unix:%s", address->addr.un.sun_path);
        return;
    }
    getnameinfo(&address->addr.any, address->length, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    if (address->addr.any.sa_family == AF_INET)
        snprintf(address->text, size, "%s:%u", is_any ? "*" : host, ntohs(in->sin_port));
    else if (is_any)
        snprintf(address->text, size, "*:%u", ntohs(in6->sin6_port));
    else
        snprintf(address->text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
}

static const char *parse_unix(const char *path, struct sock_address *address)
{
    struct sockaddr_un *un = &address->addr.un;
    char folder[sizeof un->sun_path] = "";
    int n;

    if (path[0] == '\0')
        return "the path behind unix: is missing";
    if (path[0] == '@')
        return "abstract Unix sockets have no permissions and are not supported";
    if (path[0] != '/') {
        if (getcwd(folder, sizeof folder - 1) == NULL)
            return "the path of the Unix socket, made absolute, is longer than 107 bytes";
        if (strcmp(folder, "/") != 0)
            strcat(folder, "/");
    }
    n = snprintf(un->sun_path, sizeof un->sun_path, "%s%s", folder, path);
    if (n < 0 || (size_t)n >= sizeof un->sun_path)
        return "the path of a Unix socket may have 107 bytes";
    un->sun_family = AF_UNIX;
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
    normalise_text(address, false);
    return NULL;
}

/* 0 to 65535 in decimal, nothing around it; else -1. */
static int parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port;

    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return -1;
    port = strtol(text, NULL, 10);
    return port <= 65535 ? (int)port : -1;
}

static const char *parse_ipv4(const char *host, struct sock_address *address, int port)
{
    struct sockaddr_in *in = &address->addr.in;

    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return "the host must be a numeric IPv4 address, an IPv6 address in [ ], or *";
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    address->length = sizeof *in;
    return NULL;
}

/* By getaddrinfo, which also knows a zone: fe80::1%eth0. */
static const char *parse_ipv6(const char *host, struct sock_address *address, int port)
{
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST}, *found;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return "what is in [ ] must be a numeric IPv6 address";
    memcpy(&address->addr.in6, found->ai_addr, sizeof address->addr.in6);
    freeaddrinfo(found);
    address->addr.in6.sin6_port = htons((uint16_t)port);
    address->length = sizeof address->addr.in6;
    return NULL;
}

const char *sock_parse(const char *text, struct sock_address *address_out)
{
    struct sock_address address = {.length = 0};
    const char *colon = strrchr(text, ':'), *wrong = NULL;
    char host[72] = ""; /* an IPv6 address with its zone and brackets */
    bool is_any;
    int port;

    if (strncmp(text, "unix:", 5) == 0) {
        wrong = parse_unix(text + 5, &address);
        if (wrong == NULL)
            *address_out = address;
        return wrong;
    }
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return wrong_form;
    memcpy(host, text, (size_t)(colon - text));
    if (host[0] == '[' && host[strlen(host) - 1] != ']')
        return wrong_form; /* the colon was one of the IPv6 address's own */
    port = parse_port(colon + 1);
    if (port < 0)
        return "the port must be 0 to 65535 (0: the kernel chooses)";
    is_any = host[0] == '\0' || strcmp(host, "*") == 0;
    if (is_any) {
        wrong = parse_ipv6("::", &address, port);
    } else if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        wrong = parse_ipv6(host + 1, &address, port);
    } else {
        wrong = parse_ipv4(host, &address, port);
    }
    if (wrong != NULL)
        return wrong;
    normalise_text(&address, is_any);
    *address_out = address;
    return NULL;
}

/* Nobody listens on this file any more: 1. Somebody does, or it is no socket: 0, with errno for the
 * caller of bind. */
static int is_stale(const struct sock_address *address)
{
    struct stat st;
    int fd, failed, error;

    if (lstat(address->addr.un.sun_path, &st) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return 0;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    failed = connect(fd, &address->addr.any, address->length);
    error = errno;
    close(fd);
    if (failed && error == ECONNREFUSED)
        return 1;
    errno = failed && error == EACCES ? EACCES : EADDRINUSE;
    return 0;
}

static int bind_unix(int fd, const struct sock_address *address, unsigned mode)
{
    const char *path = address->addr.un.sun_path;
    int error;

    if (bind(fd, &address->addr.any, address->length) != 0) {
        if (errno != EADDRINUSE || !is_stale(address))
            return -1;
        if (unlink(path) != 0 && errno != ENOENT)
            return -1;
        if (bind(fd, &address->addr.any, address->length) != 0)
            return -1;
    }
    /* Nobody gets in before listen(2), so setting the mode afterwards leaves no gap. */
    if (chmod(path, mode) == 0)
        return 0;
    error = errno;
    unlink(path);
    errno = error;
    return -1;
}

static int bind_tcp(int fd, const struct sock_address *address)
{
    int on = 1, is_v6_only = !is_wildcard(address);

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return -1;
    if (address->addr.any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only, sizeof is_v6_only) != 0)
        return -1;
    return bind(fd, &address->addr.any, address->length);
}

/* A socket of the address's family. A kernel without IPv6 still has all its IPv4 addresses. */
static int open_socket(struct sock_address *address)
{
    int fd = socket(address->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 && errno == EAFNOSUPPORT && is_wildcard(address)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = address->addr.in6.sin6_port};

        address->addr.in = in;
        address->length = sizeof in;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    return fd;
}

static int learn_port(int fd, struct sock_address *address)
{
    bool is_any = is_wildcard(address);

    if (getsockname(fd, &address->addr.any, &address->length) != 0)
        return -1;
    normalise_text(address, is_any);
    return 0;
}

static int open_listener(struct sock_address *address, int backlog, unsigned mode, bool is_shared)
{
    int fd = open_socket(address), error;
    bool is_unix = address->addr.any.sa_family == AF_UNIX, is_bound = false;

    if (fd < 0)
        return -1;
    if (is_shared && sock_share_port(fd, true) != 0)
        goto fail;
    if ((is_unix ? bind_unix(fd, address, mode) : bind_tcp(fd, address)) != 0)
        goto fail;
    is_bound = true;
    if (listen(fd, backlog) != 0)
        goto fail;
    if (!is_unix && learn_port(fd, address) != 0)
        goto fail;
    return fd;

fail:
    error = errno;
    close(fd);
    if (is_unix && is_bound)
        unlink(address->addr.un.sun_path);
    errno = error;
    return -1;
}

int sock_listen(struct sock_address *address, int backlog, unsigned mode)
{
    return open_listener(address, backlog, mode, false);
}

int sock_reserve(const struct sock_address *address)
{
    struct sock_address copy = *address;
    int fd = address->addr.any.sa_family == AF_UNIX ? -1 : open_socket(&copy);

    if (fd < 0 || bind_tcp(fd, &copy) == 0)
        return fd;
    close(fd);
    return -1;
}

int sock_share_port(int fd, bool is_on)
{
    int on = is_on;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

int sock_listen_shared(struct sock_address *address, int backlog)
{
    int fd = open_listener(address, backlog, 0, true);

    if (fd >= 0)
        sock_share_port(fd, false);
    return fd;
}

int sock_name(int fd, struct sock_address *address_out)
{
    struct sock_address address = {.length = sizeof address.addr};
    int is_v6_only = 1;
    socklen_t size = sizeof is_v6_only;
    bool is_any = false;

    if (getsockname(fd, &address.addr.any, &address.length) != 0)
        return -1;
    switch (address.addr.any.sa_family) {
    case AF_INET6:
        getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only, &size);
        is_any = !is_v6_only && IN6_IS_ADDR_UNSPECIFIED(&address.addr.in6.sin6_addr);
        break;
    case AF_UNIX:
        if (memchr(address.addr.un.sun_path, '\0', sizeof address.addr.un.sun_path) == NULL) {
            errno = ENAMETOOLONG;
            return -1;
        }
        break;
    case AF_INET:
        break;
    default:
        errno = EAFNOSUPPORT;
        return -1;
    }
    normalise_text(&address, is_any);
    *address_out = address;
    return 0;
}

void sock_peer_text(const struct sockaddr *peer, char *host, size_t host_size, unsigned *port_out)
{
    /* Through void: the sockaddr was written by the kernel as what its family says. */
    const struct sockaddr_in *in = (const void *)peer;
    const struct sockaddr_in6 *in6 = (const void *)peer;
    const char *shown = NULL;

    host[0] = '\0';
    *port_out = 0;
    if (peer->sa_family == AF_INET) {
        shown = inet_ntop(AF_INET, &in->sin_addr, host, (socklen_t)host_size);
        *port_out = ntohs(in->sin_port);
    } else if (peer->sa_family == AF_INET6) {
        /* An IPv4 client of a "*" listener is shown as what it is, not as ::ffff:192.0.2.1. */
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            shown = inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, (socklen_t)host_size);
        else
            shown = inet_ntop(AF_INET6, &in6->sin6_addr, host, (socklen_t)host_size);
        *port_out = ntohs(in6->sin6_port);
    }
    if (shown == NULL)
        host[0] = '\0';
}

int sock_unacknowledged(int fd)
{
    int n = 0;

    return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : 0;
}

int sock_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int sock_set_cloexec(int fd, bool is_on)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0)
        return -1;
    return fcntl(fd, F_SETFD, is_on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC);
}

size_t sock_raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit wanted = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
            limit = wanted;
    }
    return (size_t)limit.rlim_cur;
}
