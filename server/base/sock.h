/* sock.h: addresses and descriptors of stream sockets. */
#ifndef BASE_SOCK_H
#define BASE_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* "127.0.0.1:8080", "[::1]:8080", ":8080" and "*:8080" (all IPv6 and IPv4 addresses; "[::]:8080" is
 * IPv6 alone), "unix:/path", a relative path being made absolute. Names are not looked up. */
struct sock_address {
    char text[160]; /* as reports show it, normalised */
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } addr;
};

/* Returns NULL when it is well-formed, else what is wrong with it: "the port must be 1 to 65535".
 * Port 0 is allowed: the kernel chooses. */
const char *sock_parse(const char *text, struct sock_address *address_out);

/* Binds and listens: non-blocking, close-on-exec, SO_REUSEADDR, TCP_NODELAY (accepted sockets
 * inherit it). A Unix socket's file that nobody listens on any more is replaced, one in use is not
 * (EADDRINUSE), nor is what is no socket (EEXIST); it gets `mode`. Returns the descriptor or -1.
 * Fills in a port that was 0. */
int sock_listen(struct sock_address *address, int backlog, unsigned mode);

/* Keeps a TCP address from being given to an outgoing connection, as the kernel does with any port
 * that nobody listens at; clients are refused, and whoever listens there with SO_REUSEADDR may. Until
 * it is closed. The descriptor or -1. */
int sock_reserve(const struct sock_address *address);

/* sock_listen for TCP at a port where other sockets of this user listen, at addresses that overlap:
 * "*:80" beside "127.0.0.1:80". Those must allow it meanwhile, by sock_share_port. */
int sock_listen_shared(struct sock_address *address, int backlog);
int sock_share_port(int fd, bool is_on);

/* Where an open socket is; "unix:" for a Unix socket without a file. 0 or -1 with errno. */
int sock_name(int fd, struct sock_address *address_out);

/* The numeric host and port of a peer: "::1", 8080; an IPv4 client of a "*" listener as
 * "192.0.2.1". For a Unix peer "" and 0. */
void sock_peer_text(const struct sockaddr *peer, char *host, size_t host_size, unsigned *port_out);

/* Bytes sent that the peer has not acknowledged; 0 when that is not known. */
int sock_unacknowledged(int fd);

int sock_set_nonblocking(int fd);
int sock_set_cloexec(int fd, bool is_on);
/* Raises RLIMIT_NOFILE to its hard limit; returns the number of descriptors now allowed. */
size_t sock_raise_descriptor_limit(void);

#endif
