/* ws_extensions.c: see ws_extensions.h. The list is read from left to right, once, and without
 * memory. */
#include "wire/ws_extensions.h"

#include <stdio.h>
#include <string.h>

#include "http/chars.h"
#include "wire/ws_deflate.h"

#define VALUE_MAX 3 /* of a parameter: what is longer is none that is known */

/* A run of bytes in the header; data NULL: there is none. */
struct word {
    const char *data;
    size_t length;
};

/* The value of a parameter without its quotes. */
struct value {
    char text[VALUE_MAX + 1]; /* the begin of it */
    bool is_there;
};

/* permessage-deflate as a client offers it. */
struct deflate_offer {
    bool is_bad; /* it is declined */
    bool no_server_context, no_client_context;
    bool has_client_bits;
    unsigned server_bits, client_bits; /* 0: not said */
};

static bool is_word(struct word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.data, text, word.length) == 0;
}

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

/* ---- reading ---- */

static int read_token(const char **at, struct word *token_out)
{
    const char *end = *at;

    while (char_is(*end, CHAR_TOKEN))
        end++;
    *token_out = (struct word){*at, (size_t)(end - *at)};
    *at = end;
    return token_out->length > 0 ? 0 : -1;
}

static void put_value(struct value *value, size_t *length, char c)
{
    if (*length < VALUE_MAX)
        value->text[*length] = c;
    ++*length;
}

/* A quoted string has to be a token once it is unquoted. */
static int read_quoted(const char **at, struct value *value, size_t *length)
{
    const char *c = *at + 1;

    for (; *c != '"'; c++) {
        if (*c == '\\')
            c++;
        if (!char_is(*c, CHAR_TOKEN))
            return -1;
        put_value(value, length, *c);
    }
    *at = c + 1;
    return *length > 0 ? 0 : -1;
}

/* What follows the name of a parameter: nothing, or "=" and a value. */
static int read_value(const char **at, struct value *value_out)
{
    struct word token;
    size_t length = 0;

    *value_out = (struct value){.is_there = false};
    skip_space(at);
    if (**at != '=')
        return 0;
    ++*at;
    skip_space(at);
    value_out->is_there = true;
    if (**at == '"') {
        if (read_quoted(at, value_out, &length) == -1)
            return -1;
    } else {
        if (read_token(at, &token) == -1)
            return -1;
        while (length < token.length)
            put_value(value_out, &length, token.data[length]);
    }
    return 0;
}

/* ---- permessage-deflate ---- */

/* 8 to 15, without a zero before it; or 0. */
static unsigned bits_of(const struct value *value)
{
    const char *text = value->text;

    if ((text[0] == '8' || text[0] == '9') && text[1] == '\0')
        return (unsigned)(text[0] - '0');
    if (text[0] == '1' && text[1] >= '0' && text[1] <= '5' && text[2] == '\0')
        return 10u + (unsigned)(text[1] - '0');
    return 0;
}

/* Sets it, unless it was set before or its value is not the right one. */
static void set_flag(struct deflate_offer *said, bool *flag, const struct value *value)
{
    if (*flag || value->is_there)
        said->is_bad = true;
    *flag = true;
}

static void set_bits(struct deflate_offer *said, unsigned *bits, const struct value *value)
{
    unsigned number = bits_of(value);

    if (*bits != 0 || number == 0)
        said->is_bad = true;
    *bits = number;
}

static void take_parameter(struct deflate_offer *said, struct word name, const struct value *value)
{
    if (is_word(name, "server_no_context_takeover")) {
        set_flag(said, &said->no_server_context, value);
    } else if (is_word(name, "client_no_context_takeover")) {
        set_flag(said, &said->no_client_context, value);
    } else if (is_word(name, "server_max_window_bits")) {
        set_bits(said, &said->server_bits, value);
    } else if (is_word(name, "client_max_window_bits")) {
        if (said->has_client_bits)
            said->is_bad = true;
        said->has_client_bits = true;
        if (value->is_there)
            set_bits(said, &said->client_bits, value);
    } else {
        said->is_bad = true;
    }
}

/* One extension with its parameters. */
static int read_extension(const char **at, struct word *name_out, struct deflate_offer *said)
{
    struct value value;
    struct word name;

    *said = (struct deflate_offer){.is_bad = false};
    if (read_token(at, name_out) == -1)
        return -1;
    skip_space(at);
    while (**at == ';') {
        ++*at;
        skip_space(at);
        if (read_token(at, &name) == -1 || read_value(at, &value) == -1)
            return -1;
        skip_space(at);
        take_parameter(said, name, &value);
    }
    return **at == ',' || **at == '\0' ? 0 : -1;
}

static unsigned smaller(unsigned said, unsigned own)
{
    said = said != 0 ? said : WS_WINDOW_MAX;
    own = own != 0 ? own : WS_WINDOW_MAX;
    return said < own ? said : own;
}

/* What a good offer becomes. A window of the client's matters where it has to be remembered. */
static struct ws_deflate_terms settle(const struct deflate_offer *said,
                                      const struct ws_offer *offer)
{
    struct ws_deflate_terms terms = {.is_on = true, .in_bits = WS_WINDOW_MAX};

    terms.keeps_out = offer->keeps_context && !said->no_server_context;
    terms.keeps_in = offer->keeps_context && !said->no_client_context;
    terms.out_bits = (uint8_t)smaller(said->server_bits, offer->out_bits);
    if (terms.keeps_in && said->has_client_bits)
        terms.in_bits = (uint8_t)smaller(said->client_bits, offer->in_bits);
    return terms;
}

static void write_answer(const struct deflate_offer *said, const struct ws_deflate_terms *terms,
                         char *out)
{
    char *at = out + sprintf(out, "permessage-deflate");

    if (!terms->keeps_out)
        at += sprintf(at, "; server_no_context_takeover");
    if (!terms->keeps_in)
        at += sprintf(at, "; client_no_context_takeover");
    if (said->server_bits != 0)
        at += sprintf(at, "; server_max_window_bits=%u", terms->out_bits);
    if (terms->in_bits < WS_WINDOW_MAX)
        sprintf(at, "; client_max_window_bits=%u", terms->in_bits);
}

static bool can_be_met(const struct deflate_offer *said)
{
    return !said->is_bad && (said->server_bits == 0 || said->server_bits >= WS_WINDOW_MIN);
}

int ws_extensions_agree(const char *list, const struct ws_offer *offer,
                        struct ws_deflate_terms *terms_out, char answer_out[WS_EXTENSIONS_MAX])
{
    struct deflate_offer said, taken = {.is_bad = true};
    struct word name;
    bool is_empty = true;

    for (;;) {
        list += strspn(list, ", \t");
        if (*list == '\0')
            break;
        is_empty = false;
        if (read_extension(&list, &name, &said) == -1)
            return -1;
        if (taken.is_bad && offer->has_deflate && is_word(name, "permessage-deflate") &&
            can_be_met(&said))
            taken = said;
    }
    *answer_out = '\0';
    *terms_out = (struct ws_deflate_terms){.is_on = false};
    if (!taken.is_bad) {
        *terms_out = settle(&taken, offer);
        write_answer(&taken, terms_out, answer_out);
    }
    return is_empty ? -1 : 0;
}
