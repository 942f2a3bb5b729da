/* splitter.c: the search for a terminator, by Knuth, Morris and Pratt: its state between two bytes
 * is one number, how many of the terminator's bytes the last ones are. So the bytes may be cut
 * anywhere, and nothing that a client sends makes it look back further. Never takes a byte. */
#include "wire/splitter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_NONE, KIND_LENGTH, KIND_BYTES };

/* A terminator that has no room in the struct lies in mark.far, behind its borders: borders[i] is
 * how many bytes at the end of its first i + 1 are also its beginning, less than all of them. */

_Static_assert(sizeof(struct splitter) <= 48, "there is one for each connection");

static bool is_far(const struct splitter *s)
{
    return s->kind == KIND_BYTES && s->length > sizeof s->mark.near;
}

static size_t borders_size(size_t length)
{
    return length * sizeof(uint16_t);
}

static const char *mark_of(const struct splitter *s)
{
    return is_far(s) ? (const char *)(s->mark.far + s->length) : s->mark.near;
}

/* ---- what the terminator is ---- */

static void set(struct splitter *s, uint8_t kind)
{
    if (is_far(s))
        free(s->mark.far);
    s->kind = kind;
    s->seen = 0;
    s->matched = 0;
}

void splitter_init(struct splitter *s)
{
    *s = (struct splitter){.kind = KIND_NONE};
}

void splitter_fini(struct splitter *s)
{
    set(s, KIND_NONE);
}

void splitter_set_none(struct splitter *s)
{
    set(s, KIND_NONE);
}

void splitter_set_length(struct splitter *s, uint64_t length)
{
    set(s, KIND_LENGTH);
    s->left = length;
}

static void find_borders(uint16_t *borders, const char *mark, size_t length)
{
    uint16_t border = 0;

    borders[0] = 0;
    for (size_t i = 1; i < length; i++) {
        while (border > 0 && mark[border] != mark[i])
            border = borders[border - 1];
        border += mark[border] == mark[i];
        borders[i] = border;
    }
}

static uint16_t *far_new(const char *bytes, size_t length)
{
    uint16_t *far = malloc(borders_size(length) + length);

    if (far != NULL) {
        find_borders(far, bytes, length);
        memcpy(far + length, bytes, length);
    }
    return far;
}

int splitter_set_bytes(struct splitter *s, const char *bytes, size_t length)
{
    uint16_t *far = NULL;

    if (length == 0 || length > SPLITTER_MAX) {
        errno = EINVAL;
        return -1;
    }
    /* Many set the same one again after each line: what was looked at stays so. */
    if (s->kind == KIND_BYTES && s->length == length && memcmp(mark_of(s), bytes, length) == 0)
        return 0;
    if (length > sizeof s->mark.near) {
        far = far_new(bytes, length);
        if (far == NULL)
            return -1;
    }
    set(s, KIND_BYTES);
    s->length = (uint16_t)length;
    if (far != NULL)
        s->mark.far = far;
    else
        memcpy(s->mark.near, bytes, length);
    return 0;
}

/* ---- the search ---- */

/* After `matched` bytes of it: the longest shorter match that the same bytes end with. */
static uint16_t shorter_match(const struct splitter *s, uint16_t matched)
{
    const char *mark = s->mark.near;
    uint16_t border = (uint16_t)(matched - 1);

    if (is_far(s))
        return s->mark.far[matched - 1];
    while (border > 0 && memcmp(mark, mark + matched - border, border) != 0)
        border--;
    return border;
}

static uint16_t match_next(const struct splitter *s, const char *mark, uint16_t matched, char byte)
{
    while (matched > 0 && mark[matched] != byte)
        matched = shorter_match(s, matched);
    return (uint16_t)(matched + (mark[matched] == byte));
}

/* Sets `seen` and `matched`. */
static void search(struct splitter *s, const char *bytes, size_t length)
{
    const char *mark = mark_of(s);
    uint16_t matched = s->matched;
    size_t at = s->seen;

    while (at < length && matched < s->length) {
        if (matched == 0) {
            const char *first = memchr(bytes + at, mark[0], length - at);

            at = first != NULL ? (size_t)(first - bytes) + 1 : length;
            matched = first != NULL;
        } else {
            matched = match_next(s, mark, matched, bytes[at++]);
        }
    }
    s->seen = at;
    s->matched = matched;
}

bool splitter_look(struct splitter *s, const char *bytes, size_t length, size_t *data_out,
                   size_t *mark_out)
{
    bool is_found = false;

    *data_out = length;
    *mark_out = 0;
    if (s->kind == KIND_LENGTH) {
        is_found = s->left <= length;
        if (is_found)
            *data_out = (size_t)s->left;
    } else if (s->kind == KIND_BYTES) {
        search(s, bytes, length);
        is_found = s->matched == s->length;
        *data_out = s->seen - s->matched;
        *mark_out = is_found ? s->length : 0;
    }
    return is_found;
}

void splitter_took(struct splitter *s, size_t n)
{
    if (s->kind == KIND_LENGTH) {
        s->left -= n < s->left ? n : s->left;
    } else if (n > s->seen - s->matched) {
        splitter_forget(s);
    } else {
        s->seen -= n;
    }
}

void splitter_passed(struct splitter *s, size_t n)
{
    splitter_took(s, n);
    if (s->kind == KIND_LENGTH)
        s->kind = KIND_NONE;
}

void splitter_forget(struct splitter *s)
{
    s->seen = 0;
    s->matched = 0;
}
