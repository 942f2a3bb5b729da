/* url.h: where a request goes: a URL taken apart and checked (RFC 3986), and a redirection's made
 * whole. Looks nothing up. */
#ifndef CLIENT_URL_H
#define CLIENT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "http/head.h"

#define URL_LONGEST 65536
#define URL_HOST    256 /* a name's longest is 253 */

struct url {
    bool is_unix;
    char host[URL_HOST]; /* in lower case, an IPv6 address without brackets; "localhost" of a Unix
                            socket */
    char port[6];        /* of a Unix socket "" */
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* of a Unix socket, else "" */
    char origin[URL_HOST + 16]; /* "host:port" or "unix:path": who has the same is the same place */
    struct span target;         /* path and query, in the text; may lack its first '/' */
};

/* 0, or EINVAL, EPROTONOSUPPORT. The url points into the text. */
int url_parse(const char *text, struct url *url_out);

/* What a Location means in an answer from `base`, a URL that is well-formed (section 5.2): in
 * memory of its own. It may lead to http and https only. NULL with errno: EBADMSG, ENOMEM. */
char *url_resolve(const char *base, const char *location);

#endif
