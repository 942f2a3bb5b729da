/* form_params.c: reads parameters strictly: no white space around "=", no open quotes, nothing
 * behind a value but ";". */
#include "web/form_params.h"

#include <string.h>
#include <strings.h>

#include "http/chars.h"

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

static const char *skip_token(const char *at)
{
    while (char_is(*at, CHAR_TOKEN))
        at++;
    return at;
}

/* Behind the closing quote, or NULL. */
static const char *skip_quoted(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        if (!char_is(*at, CHAR_TEXT)) /* the end, too */
            return NULL;
    }
    return at + 1;
}

int param_next(const char **at, struct param *param_out)
{
    const char *p = skip_space(*at), *begin;

    while (*p == ';')
        p = skip_space(p + 1);
    if (!*p)
        return 0;
    if (p == *at || !memchr(*at, ';', (size_t)(p - *at)))
        return -1;
    begin = p;
    p = skip_token(p);
    param_out->name = (struct span){begin, (size_t)(p - begin)};
    if (p == begin || *p != '=')
        return -1;
    begin = ++p;
    p = *p == '"' ? skip_quoted(p) : skip_token(p);
    if (!p || p == begin)
        return -1;
    param_out->value = (struct span){begin, (size_t)(p - begin)};
    *at = p;
    return 1;
}

bool param_is(const struct param *param, const char *lower)
{
    size_t length = strlen(lower);

    return param->name.length == length && char_equals_lower(param->name.data, lower, length);
}

size_t param_value(const struct param *param, bool is_literal, char *out)
{
    const char *at = param->value.data, *end = at + param->value.length;
    size_t n = 0;

    if (*at == '"') {
        at++;
        end--;
    }
    while (at < end) {
        if (*at == '\\' && (!is_literal || at[1] == '"' || at[1] == '\\'))
            at++;
        out[n++] = *at++;
    }
    out[n] = '\0';
    return n;
}

/* ---- extended values ---- */

/* The length of the character at `at`, 0 if it is none (RFC 3629): no surrogates, nothing longer
 * than it has to be. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (at[0] > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

static bool is_plain_utf8(const char *text, size_t length)
{
    for (size_t at = 0, step; at < length; at += step) {
        step = utf8_length((const unsigned char *)text + at, length - at);
        if (step == 0 || !char_is(text[at], CHAR_TEXT))
            return false;
    }
    return true;
}

/* attr-char: a token's bytes without "*", "'" and "%". */
static bool is_attr_char(char c)
{
    return char_is(c, CHAR_TOKEN) && c != '*' && c != '\'' && c != '%';
}

ssize_t param_extended(const struct param *param, char *out)
{
    static const char charset[] = "utf-8'";
    const char *at = param->value.data, *end = at + param->value.length;
    size_t n = 0;

    if (param->value.length < sizeof charset - 1 ||
        !char_equals_lower(at, charset, sizeof charset - 1))
        return -1;
    at = memchr(at + sizeof charset - 1, '\'', (size_t)(end - at) - (sizeof charset - 1));
    if (!at)
        return -1;
    for (at++; at < end; n++) {
        if (is_attr_char(*at)) {
            out[n] = *at++;
            continue;
        }
        if (end - at < 3 || *at != '%' || !char_is(at[1], CHAR_HEX) || !char_is(at[2], CHAR_HEX))
            return -1;
        out[n] = (char)(char_hex_value(at[1]) << 4 | char_hex_value(at[2]));
        at += 3;
    }
    out[n] = '\0';
    return is_plain_utf8(out, n) ? (ssize_t)n : -1;
}
