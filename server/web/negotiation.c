/* negotiation.c: weighs what a client lists in Accept and Accept-Encoding. An element that is not
 * well formed is passed over. */
#include "web/negotiation.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"

struct element {
    const char *name; /* not terminated */
    size_t length;
    unsigned quality;
    bool has_parameters; /* besides q */
};

/* Behind a quoted string, a run of other bytes, or the text's end. */
static const char *skip_value(const char *at)
{
    if (*at != '"')
        return at + strcspn(at, ",; \t");
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t");
}

/* "0.25" is 250, and 2000 is no quality. */
static unsigned read_quality(const char *at, const char *end)
{
    unsigned value, digit = 100;

    if (at == end || (*at != '0' && *at != '1'))
        return 2000;
    value = *at++ == '1' ? 1000 : 0;
    if (at == end)
        return value;
    if (*at++ != '.' || end - at > 3)
        return 2000;
    for (; at < end; at++, digit /= 10) {
        if (!char_is_digit(*at))
            return 2000;
        value += (unsigned)(*at - '0') * digit;
    }
    return value <= 1000 ? value : 2000;
}

/* Reads the parameters of an element; behind them, or NULL: they are malformed. */
static const char *read_parameters(const char *at, struct element *element)
{
    for (at = skip_blank(at); *at == ';'; at = skip_blank(at)) {
        const char *name = skip_blank(at + 1), *value;

        at = name + strcspn(name, "=,; \t");
        if (at == name && *at != '=')
            continue; /* RFC 9110 section 5.6.6: one may be empty */
        if (*at != '=')
            return NULL;
        value = at + 1;
        at = skip_value(value);
        if (value - name == 2 && (*name == 'q' || *name == 'Q'))
            element->quality = read_quality(value, at);
        else
            element->has_parameters = true;
    }
    return *at == ',' || !*at ? at : NULL;
}

/* The next element that is well formed; *at moves behind it. */
static bool next_element(const char **at, struct element *element)
{
    while (**at) {
        const char *name = *at + strspn(*at, " \t,"), *end;

        *element =
            (struct element){.name = name, .length = strcspn(name, ",; \t\""), .quality = 1000};
        end = read_parameters(name + element->length, element);
        if (end) {
            *at = end;
            if (element->length > 0 && element->quality <= 1000)
                return true;
            continue;
        }
        for (*at = name; **at && **at != ',';)
            *at = **at == '"' ? skip_value(*at) : *at + 1;
    }
    return false;
}

static bool is_name(const struct element *element, const char *name)
{
    return element->length == strlen(name) &&
           strncasecmp(element->name, name, element->length) == 0;
}

/* ---- Accept ---- */

static int specificity_of(const struct element *range, const char *type)
{
    size_t kind = strcspn(type, "/") + 1;

    if (range->has_parameters)
        return 0;
    if (is_name(range, type))
        return 3;
    if (range->length == kind + 1 && range->name[kind] == '*' &&
        strncasecmp(range->name, type, kind) == 0)
        return 2;
    return is_name(range, "*/*") ? 1 : 0;
}

unsigned negotiation_type_quality(const char *accept, const char *type, int *specificity_out)
{
    struct element range;
    unsigned quality = 0;

    *specificity_out = 0;
    if (!accept)
        return 1000;
    while (next_element(&accept, &range)) {
        int specificity = specificity_of(&range, type);

        if (specificity <= *specificity_out)
            continue;
        *specificity_out = specificity;
        quality = range.quality;
    }
    return quality;
}

unsigned negotiation_best_type(const char *accept, const char *const *types)
{
    unsigned best = 0, best_quality = 0;
    int best_specificity = 0;

    for (unsigned i = 0; types[i]; i++) {
        int specificity;
        unsigned quality = negotiation_type_quality(accept, types[i], &specificity);

        if (quality < best_quality ||
            (quality == best_quality && (quality == 0 || specificity <= best_specificity) && i > 0))
            continue;
        best = i;
        best_quality = quality;
        best_specificity = specificity;
    }
    return best;
}

/* ---- Accept-Encoding ---- */

#define UNKNOWN 2000u /* not mentioned */

enum negotiation_gzip negotiation_gzip(const char *accept_encoding)
{
    unsigned gzip = UNKNOWN, identity = UNKNOWN, rest = UNKNOWN;
    struct element coding;

    while (accept_encoding && next_element(&accept_encoding, &coding)) {
        if (is_name(&coding, "gzip") || is_name(&coding, "x-gzip"))
            gzip = coding.quality;
        else if (is_name(&coding, "identity"))
            identity = coding.quality;
        else if (is_name(&coding, "*"))
            rest = coding.quality;
    }
    if (gzip == UNKNOWN)
        gzip = rest == UNKNOWN ? 0 : rest;
    if (identity == UNKNOWN && rest == 0)
        identity = 0; /* "*;q=0" is for it, too (RFC 9110 section 12.5.3) */
    if (gzip == 0)
        return NEGOTIATION_PLAIN;
    if (identity == 0)
        return NEGOTIATION_REFUSED;
    return identity == UNKNOWN || gzip >= identity ? NEGOTIATION_GZIP : NEGOTIATION_PLAIN;
}
