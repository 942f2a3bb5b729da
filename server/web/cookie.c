/* cookie.c: reads what browsers send, leniently: what makes no sense is passed over, since whoever
 * sent it mostly has not set it. */
#include "web/cookie.h"

#include <errno.h>
#include <string.h>

#include "http/chars.h"

static struct span trim(const char *data, size_t length)
{
    while (length > 0 && (*data == ' ' || *data == '\t'))
        data++, length--;
    while (length > 0 && (data[length - 1] == ' ' || data[length - 1] == '\t'))
        length--;
    return (struct span){data, length};
}

static struct span unquote(struct span value)
{
    if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"')
        return (struct span){value.data + 1, value.length - 2};
    return value;
}

static bool is_value(const struct span *value)
{
    for (size_t i = 0; i < value->length; i++)
        if (!char_is(value->data[i], CHAR_TEXT))
            return false;
    return true;
}

static bool read_pair(const char *at, size_t length, struct span *name_out, struct span *value_out)
{
    const char *equals = memchr(at, '=', length);
    size_t name_length = equals ? (size_t)(equals - at) : 0;

    if (!equals)
        return false;
    *name_out = trim(at, name_length);
    *value_out = unquote(trim(equals + 1, length - name_length - 1));
    return name_out->length + value_out->length <= REEVE_COOKIE_SIZE_MAX &&
           char_is_token(name_out->data, name_out->length) && is_value(value_out);
}

bool cookie_next(struct cookie_walk *walk, struct span *name_out, struct span *value_out)
{
    bool is_found = false;

    while (!is_found && *walk->at && walk->count < REEVE_COOKIES_MAX) {
        size_t length = strcspn(walk->at, ";");

        walk->count++;
        is_found = read_pair(walk->at, length, name_out, value_out);
        walk->at += length + (walk->at[length] == ';');
    }
    return is_found;
}

/* ---- for the application ---- */

static const char *copy(reeve_environ *environ, const struct span *text)
{
    char *out = reeve_alloc(environ, text->length + 1);

    if (!out)
        return NULL;
    memcpy(out, text->data, text->length);
    out[text->length] = '\0';
    return out;
}

static struct cookie_walk begin(const reeve_environ *environ)
{
    const char *header = reeve_environ_get(environ, "HTTP_COOKIE");

    return (struct cookie_walk){.at = header ? header : ""};
}

const char *reeve_cookie_get(reeve_environ *environ, const char *name)
{
    struct cookie_walk walk = begin(environ);
    size_t length = strlen(name);
    struct span key, value;

    while (cookie_next(&walk, &key, &value))
        if (key.length == length && memcmp(key.data, name, length) == 0)
            return copy(environ, &value);
    return NULL;
}

int reeve_cookie_each(reeve_environ *environ,
                      int (*each)(const char *name, const char *value, void *arg), void *arg)
{
    struct cookie_walk walk = begin(environ);
    struct span key, value;
    int result = 0;

    while (result == 0 && cookie_next(&walk, &key, &value)) {
        const char *name = copy(environ, &key), *text = copy(environ, &value);

        if (!name || !text) {
            errno = ENOMEM;
            return -1;
        }
        result = each(name, text, arg);
    }
    return result;
}

/* The byte that %XX at `at` stands for; '\0' if it is no escape. */
static char escaped(const char *at)
{
    if (!char_is(at[1], CHAR_HEX) || !char_is(at[2], CHAR_HEX))
        return '\0';
    return (char)(char_hex_value(at[1]) << 4 | char_hex_value(at[2]));
}

const char *reeve_cookie_decode(reeve_environ *environ, const char *value)
{
    char *text = reeve_alloc(environ, strlen(value) + 1), *out = text;

    if (!text) {
        errno = ENOMEM;
        return NULL;
    }
    for (const char *at = value; *at; at += *at == '%' ? 3 : 1) {
        *out = *at == '%' ? escaped(at) : *at;
        if (!*out++) {
            errno = EINVAL;
            return NULL;
        }
    }
    *out = '\0';
    return text;
}
