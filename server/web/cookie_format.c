/* cookie_format.c: writes a Set-Cookie value, and refuses whatever a browser would cut short, read
 * otherwise, or throw away (RFC 6265 section 4.1.1 and its successor's prefixes and limits). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"
#include "http/status.h"
#include "web/cookie.h"

#define ATTRIBUTE_MAX 1024
#define LAST_SECOND   253402300799 /* of the year 9999 */

/* ---- what may be in it ---- */

/* cookie-octet: visible ASCII but for the double quote, comma, semicolon and backslash. */
static bool is_octet(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\",;\\", c);
}

static bool is_whole(const char *text, bool (*is_good)(char c))
{
    while (*text && is_good(*text))
        text++;
    return !*text;
}

static bool is_path_byte(char c)
{
    return c >= ' ' && c < 0x7f && c != ';';
}

static bool is_domain_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || char_is_digit(c) || c == '-' ||
           c == '.';
}

static bool is_path(const char *path)
{
    return path[0] == '/' && strlen(path) <= ATTRIBUTE_MAX && is_whole(path, is_path_byte);
}

static bool is_domain(const char *domain)
{
    return *domain && strlen(domain) <= ATTRIBUTE_MAX && is_whole(domain, is_domain_byte);
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

static bool keeps_prefix(const reeve_cookie *cookie)
{
    if (has_prefix(cookie->name, "__Secure-"))
        return cookie->secure;
    if (has_prefix(cookie->name, "__Host-"))
        return cookie->secure && !cookie->domain && cookie->path && strcmp(cookie->path, "/") == 0;
    return true;
}

static bool is_good(const reeve_cookie *cookie)
{
    bool needs_secure = cookie->partitioned || cookie->same_site == REEVE_SAME_SITE_NONE;

    return cookie->name && char_is_token(cookie->name, strlen(cookie->name)) &&
           (cookie->encode || !cookie->value || is_whole(cookie->value, is_octet)) &&
           (!cookie->path || is_path(cookie->path)) &&
           (!cookie->domain || is_domain(cookie->domain)) && cookie->expires >= 0 &&
           cookie->expires <= LAST_SECOND && (unsigned)cookie->same_site <= REEVE_SAME_SITE_NONE &&
           (cookie->secure || !needs_secure) && keeps_prefix(cookie);
}

/* ---- writing ---- */

struct writer {
    char *out;
    size_t size, length; /* of out; of the text, whether it fits or not */
};

static void put_byte(struct writer *writer, char c)
{
    if (writer->length + 1 < writer->size)
        writer->out[writer->length] = c;
    writer->length++;
}

static void put(struct writer *writer, const char *text)
{
    while (*text)
        put_byte(writer, *text++);
}

static void put_attribute(struct writer *writer, const char *name, const char *value)
{
    put(writer, "; ");
    put(writer, name);
    if (value) {
        put_byte(writer, '=');
        put(writer, value);
    }
}

static void put_value(struct writer *writer, const char *value, bool is_encoded)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;

        if (!is_encoded || (is_octet(*value) && c != '%')) {
            put_byte(writer, *value);
        } else {
            put_byte(writer, '%');
            put_byte(writer, hex[c >> 4]);
            put_byte(writer, hex[c & 15]);
        }
    }
}

static void put_lifetime(struct writer *writer, const reeve_cookie *cookie)
{
    char date[HTTP_DATE_LENGTH + 1], seconds[24];

    snprintf(seconds, sizeof seconds, "%" PRId64, cookie->max_age < 0 ? 0 : cookie->max_age);
    if (cookie->max_age != 0)
        put_attribute(writer, "Max-Age", seconds);
    if (cookie->expires == 0)
        return;
    http_date((time_t)cookie->expires, date);
    put_attribute(writer, "Expires", date);
}

static void put_attributes(struct writer *writer, const reeve_cookie *cookie)
{
    static const char *const same_site[] = {NULL, "Lax", "Strict", "None"};

    if (cookie->path)
        put_attribute(writer, "Path", cookie->path);
    if (cookie->domain)
        put_attribute(writer, "Domain", cookie->domain);
    put_lifetime(writer, cookie);
    if (cookie->secure)
        put_attribute(writer, "Secure", NULL);
    if (cookie->http_only)
        put_attribute(writer, "HttpOnly", NULL);
    if (cookie->same_site != REEVE_SAME_SITE_UNSET)
        put_attribute(writer, "SameSite", same_site[cookie->same_site]);
    if (cookie->partitioned)
        put_attribute(writer, "Partitioned", NULL);
}

ssize_t cookie_write(const reeve_cookie *cookie, char *out, size_t size)
{
    struct writer writer = {out, size, 0};

    if (is_good(cookie)) {
        put(&writer, cookie->name);
        put_byte(&writer, '=');
        if (cookie->value)
            put_value(&writer, cookie->value, cookie->encode);
    }
    if (writer.length == 0 || writer.length - 1 > REEVE_COOKIE_SIZE_MAX) {
        errno = EINVAL;
        return -1;
    }
    put_attributes(&writer, cookie);
    if (size > 0)
        out[writer.length < size ? writer.length : size - 1] = '\0';
    return (ssize_t)writer.length;
}

const char *reeve_cookie_format(reeve_environ *environ, const reeve_cookie *given)
{
    reeve_cookie cookie = {.size = sizeof cookie};
    ssize_t length;
    char *text;

    /* An older build's is shorter. */
    memcpy(&cookie, given, given->size < sizeof cookie ? given->size : sizeof cookie);
    length = cookie_write(&cookie, NULL, 0);
    if (length == -1)
        return NULL;
    text = reeve_alloc(environ, (size_t)length + 1);
    if (!text) {
        errno = ENOMEM;
        return NULL;
    }
    cookie_write(&cookie, text, (size_t)length + 1);
    return text;
}
