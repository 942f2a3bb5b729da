/* url.c: see url.h. */
#include "client/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"
#include "http/uri.h"

#define HTTP_PORT "80"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- host and port ---- */

/* Digits, the last five of which make a port; none are the scheme's own. */
static bool take_port(struct url *url, struct span digits)
{
    unsigned long port;
    char text[6];

    while (digits.length > 1 && *digits.data == '0')
        digits = (struct span){digits.data + 1, digits.length - 1};
    if (digits.length >= sizeof text)
        return false;
    memcpy(text, digits.data, digits.length);
    text[digits.length] = '\0';
    port = strtoul(digits.length ? text : HTTP_PORT, NULL, 10);
    if (port == 0 || port > 65535)
        return false;
    snprintf(url->port, sizeof url->port, "%lu", port);
    return true;
}

static bool take_host(struct url *url, struct span host)
{
    struct in6_addr address;
    bool is_address = host.length > 2 && host.data[0] == '[';

    if (is_address)
        host = (struct span){host.data + 1, host.length - 2};
    if (host.length >= sizeof url->host || memchr(host.data, '%', host.length))
        return false;
    for (size_t i = 0; i < host.length; i++)
        url->host[i] = lower(host.data[i]);
    url->host[host.length] = '\0';
    return !is_address || inet_pton(AF_INET6, url->host, &address) == 1;
}

static bool take_authority(struct url *url, struct span authority)
{
    const char *end = authority.data + authority.length, *colon = end;
    const char *bracket = memchr(authority.data, ']', authority.length);
    const char *from = bracket ? bracket : authority.data;

    if (!uri_is_authority(authority.data, authority.length))
        return false;
    while (from < end && *from != ':')
        from++;
    colon = from;
    if (colon < end)
        from++;
    if (!take_host(url, (struct span){authority.data, (size_t)(colon - authority.data)}) ||
        !take_port(url, (struct span){from, (size_t)(end - from)}))
        return false;
    snprintf(url->origin, sizeof url->origin, bracket ? "[%s]:%s" : "%s:%s", url->host, url->port);
    return true;
}

/* ---- a Unix socket's path ---- */

/* The next byte, escaped or not; -1: it is not one that a path may have. */
static int next_byte(struct span *text)
{
    const char *at = text->data;
    size_t taken = *at == '%' ? 3 : 1;
    int byte;

    if (text->length < taken)
        return -1;
    if (taken == 3 && (!char_is(at[1], CHAR_HEX) || !char_is(at[2], CHAR_HEX)))
        return -1;
    byte =
        taken == 3 ? (int)(char_hex_value(at[1]) << 4 | char_hex_value(at[2])) : (unsigned char)*at;
    *text = (struct span){at + taken, text->length - taken};
    return byte >= ' ' && byte != 0x7f ? byte : -1;
}

static bool take_path(struct url *url, struct span text)
{
    size_t length = 0;
    int byte;

    while (text.length > 0) {
        byte = next_byte(&text);
        if (byte == -1 || length + 1 >= sizeof url->path)
            return false;
        url->path[length++] = (char)byte;
    }
    url->path[length] = '\0';
    url->is_unix = true;
    strcpy(url->host, "localhost");
    snprintf(url->origin, sizeof url->origin, "unix:%s", url->path);
    return url->path[0] == '/';
}

/* ---- the whole ---- */

static size_t authority_length(const char *at)
{
    return strcspn(at, "/?#");
}

int url_parse(const char *text, struct url *url)
{
    bool is_unix = begins_with(text, "http+unix://");
    struct span authority;

    *url = (struct url){.is_unix = is_unix};
    if (strnlen(text, URL_LONGEST + 1) > URL_LONGEST)
        return EINVAL;
    if (!is_unix && !begins_with(text, "http://"))
        return strstr(text, "://") ? EPROTONOSUPPORT : EINVAL;
    authority.data = text + (is_unix ? strlen("http+unix://") : strlen("http://"));
    authority.length = authority_length(authority.data);
    url->target.data = authority.data + authority.length;
    url->target.length = strcspn(url->target.data, "#");
    if (!uri_is_target(url->target.data, url->target.length))
        return EINVAL;
    return (is_unix ? take_path : take_authority)(url, authority) ? 0 : EINVAL;
}

/* ---- redirections ---- */

static bool has_scheme(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789+-.");

    return length > 0 && text[length] == ':';
}

/* Section 5.2.4, in place: the path is that of `text` from `at` up to '?' or '#'. */
static void remove_dots(char *at)
{
    size_t length = strcspn(at, "?#"), used = 0, next;

    for (size_t i = 0; i < length; i = next) { /* at[i] is a '/' */
        size_t end = i + 1 + strcspn(at + i + 1, "/?#");
        bool is_last = end == length;
        size_t n = end - i - 1;

        next = end;
        if (n == 1 && at[i + 1] == '.') {
            /* goes */
        } else if (n == 2 && at[i + 1] == '.' && at[i + 2] == '.') {
            while (used > 0 && at[--used] != '/')
                ;
        } else {
            memmove(at + used, at + i, end - i);
            used += end - i;
            continue;
        }
        if (is_last)
            at[used++] = '/'; /* a folder, without its last name */
    }
    memmove(at + used, at + length, strlen(at + length) + 1);
}

/* The part of `base` that stays, for a relative reference. */
static size_t kept_length(const char *base, const char *location)
{
    const char *authority = strstr(base, "://") + 3;
    const char *path = authority + authority_length(authority);
    size_t length = strcspn(path, "?#");

    switch (*location) {
    case '/':
        return (size_t)(path - base);
    case '?':
        return (size_t)(path - base) + length;
    case '#':
    case '\0':
        return (size_t)(path - base) + strcspn(path, "#");
    default:
        while (length > 0 && path[length - 1] != '/')
            length--;
        return (size_t)(path - base) + length;
    }
}

static char *join(const char *base, const char *location)
{
    size_t kept = kept_length(base, location), size = kept + strlen(location) + 2;
    const char *authority = strstr(base, "://") + 3;
    size_t path = (size_t)(authority - base) + authority_length(authority);
    bool lacks_slash = kept == path && *location != '/' && *location != '\0';
    char *whole = malloc(size);

    if (!whole)
        return NULL;
    snprintf(whole, size, "%.*s%s%s", (int)kept, base, lacks_slash ? "/" : "", location);
    if (whole[path] == '/')
        remove_dots(whole + path);
    return whole;
}

char *url_resolve(const char *base, const char *location)
{
    char *whole;

    errno = EBADMSG;
    if (strnlen(location, URL_LONGEST + 1) > URL_LONGEST)
        return NULL;
    if (location[0] == '/' && location[1] == '/') {
        if (!begins_with(base, "http://") || asprintf(&whole, "http:%s", location) == -1)
            return NULL;
    } else if (!has_scheme(location)) {
        whole = join(base, location);
    } else if (begins_with(location, "http://") || begins_with(location, "https://")) {
        whole = strdup(location);
    } else {
        return NULL;
    }
    if (!whole)
        errno = ENOMEM;
    return whole;
}
