/* multipart.c: the boundaries of a multipart body, and the lines of a part's headers.
 *
 * A line ends in CR LF and nothing else. What no later byte can mend is refused at once, and what
 * would let two readers see different parts is refused altogether: a boundary with something behind
 * it on its line, a folded header, a bare CR or LF in the headers. */
#include "web/multipart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/chars.h"

enum step {
    BEFORE, /* the first boundary */
    MARK,   /* behind a boundary: "--", or the end of its line */
    DASH,   /* behind its first dash */
    PADDING,
    PADDING_LF, /* a CR has come */
    HEAD,
    HEAD_LF,
    DATA,
    CLOSED, /* behind the last boundary */
    CLOSED_LF,
    AFTER,
    BAD
};

bool multipart_is_boundary(const char *boundary, size_t length)
{
    if (length < 1 || length > MULTIPART_BOUNDARY_MAX || boundary[length - 1] == ' ')
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = boundary[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_alnum && (c == '\0' || !strchr("'()+_,-./:=? ", c)))
            return false;
    }
    return true;
}

int multipart_init(struct multipart *parser, const char *boundary,
                   const struct multipart_limits *limits)
{
    size_t length = strlen(boundary);

    *parser = (struct multipart){.limits = *limits, .step = BEFORE};
    memcpy(parser->delimiter, "\r\n--", 4);
    memcpy(parser->delimiter + 4, boundary, length);
    parser->delimiter_length = 4 + length;
    parser->matched = 2; /* the body's beginning is that of a line */
    parser->head = malloc(limits->max_head + 2);
    if (!parser->head) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

void multipart_fini(struct multipart *parser)
{
    free(parser->head);
    parser->head = NULL;
}

static enum multipart_event refuse(struct multipart *parser, int status, const char *error)
{
    parser->step = BAD;
    parser->status = status;
    parser->error = error;
    return MULTIPART_BAD;
}

/* ---- boundaries ---- */

/* How much of the delimiter from `matched` on is at data[0..size). */
static size_t match(struct multipart *parser, const char *data, size_t size)
{
    size_t matched = parser->matched, n = 0;

    while (n < size && matched + n < parser->delimiter_length &&
           data[n] == parser->delimiter[matched + n])
        n++;
    parser->compared += n + 1;
    return n;
}

/* Data up to the next delimiter, or what may be one. A CR is the delimiter's first byte and nowhere
 * else in it: so a match that fails can begin anew only behind what did match. On return
 * parser->matched says how much of one was found at the end; *used_out counts that, too. */
static size_t scan(struct multipart *parser, const char *data, size_t size, size_t *used_out)
{
    size_t at = 0;

    while (at < size) {
        const char *cr = memchr(data + at, '\r', size - at);
        size_t begin = cr ? (size_t)(cr - data) : size, n;

        if (!cr)
            break;
        n = match(parser, cr, size - begin);
        if (begin + n == size || n == parser->delimiter_length) {
            parser->matched = n;
            *used_out = begin + n;
            return begin;
        }
        at = begin + n;
    }
    *used_out = size;
    return size;
}

/* A delimiter that began in earlier bytes: true when it goes on here, to its end or that of data;
 * false when what was held back is data after all. */
static bool goes_on(struct multipart *parser, const char *data, size_t size, size_t *used_out)
{
    size_t n = match(parser, data, size);

    *used_out = n;
    parser->matched += n;
    return n == size || parser->matched == parser->delimiter_length;
}

static bool is_delimiter(const struct multipart *parser)
{
    return parser->matched == parser->delimiter_length;
}

/* What was held back turns out to be data, but for the end of the line before. */
static enum multipart_event give_held(struct multipart *parser, struct span *data_out)
{
    size_t skip = parser->borrowed, length = parser->matched - skip;

    *data_out = (struct span){parser->delimiter + skip, length};
    parser->matched = parser->borrowed = 0;
    return length > 0 ? MULTIPART_DATA : MULTIPART_MORE;
}

static enum multipart_event end_part(struct multipart *parser)
{
    parser->matched = parser->borrowed = 0;
    parser->step = MARK;
    parser->outside = 0;
    return MULTIPART_ENDS;
}

static enum multipart_event step_data(struct multipart *parser, const char *data, size_t size,
                                      size_t *used_out, struct span *data_out)
{
    size_t length;

    if (is_delimiter(parser))
        return end_part(parser);
    if (parser->matched > 0) {
        if (!goes_on(parser, data, size, used_out))
            return give_held(parser, data_out);
        return is_delimiter(parser) ? end_part(parser) : MULTIPART_MORE;
    }
    length = scan(parser, data, size, used_out);
    if (length > 0) {
        *data_out = (struct span){data, length};
        return MULTIPART_DATA;
    }
    return is_delimiter(parser) ? end_part(parser) : MULTIPART_MORE;
}

static enum multipart_event count_outside(struct multipart *parser, size_t n)
{
    parser->outside += n;
    return parser->outside > parser->limits.max_head
               ? refuse(parser, 400, "There is too much around the parts of the form.")
               : MULTIPART_MORE;
}

static enum multipart_event step_before(struct multipart *parser, const char *data, size_t size,
                                        size_t *used_out)
{
    if (parser->matched > 0 && !goes_on(parser, data, size, used_out))
        parser->matched = 0;
    else if (parser->matched == 0)
        scan(parser, data, size, used_out);
    if (count_outside(parser, *used_out) == MULTIPART_BAD)
        return MULTIPART_BAD;
    if (is_delimiter(parser))
        end_part(parser);
    return MULTIPART_MORE;
}

/* ---- the rest of a boundary's line ---- */

static enum multipart_event begin_part(struct multipart *parser)
{
    if (++parser->parts > parser->limits.max_parts)
        return refuse(parser, 413, "The form has too many parts.");
    parser->step = HEAD;
    parser->head_length = parser->line = parser->headers = 0;
    return MULTIPART_MORE;
}

/* One byte behind a boundary. Transport padding is something that senders do not make (RFC 2046
 * section 5.1.1), but white space is. */
static enum multipart_event step_mark(struct multipart *parser, char c)
{
    bool is_space = c == ' ' || c == '\t';

    switch (parser->step) {
    case MARK:
        parser->step = c == '-' ? DASH : c == '\r' ? PADDING_LF : PADDING;
        if (c == '-' || c == '\r' || is_space)
            return MULTIPART_MORE;
        break;
    case DASH:
        parser->step = CLOSED;
        if (c == '-')
            return MULTIPART_MORE;
        break;
    case PADDING_LF:
        if (c == '\n')
            return begin_part(parser);
        break;
    case CLOSED_LF:
        parser->step = AFTER;
        if (c == '\n')
            return MULTIPART_MORE;
        break;
    default: /* PADDING, CLOSED */
        if (is_space)
            return count_outside(parser, 1);
        if (c == '\r') {
            parser->step = parser->step == PADDING ? PADDING_LF : CLOSED_LF;
            return MULTIPART_MORE;
        }
    }
    return refuse(parser, 400, "A boundary of the form has something behind it on its line.");
}

/* ---- headers ---- */

/* A boundary among the headers: to some readers the part ends there. */
static bool is_boundary_line(const struct multipart *parser, const char *line)
{
    return strncmp(line, parser->delimiter + 2, parser->delimiter_length - 2) == 0;
}

/* The line head[line..head_length) is complete. */
static enum multipart_event end_line(struct multipart *parser)
{
    const char *line = parser->head + parser->line;
    size_t length = parser->head_length - parser->line;
    const char *colon = memchr(line, ':', length);

    parser->head[parser->head_length] = '\0';
    if (length == 0) {
        parser->step = DATA;
        parser->matched = parser->borrowed = 2; /* a boundary may follow: the part is empty */
        return MULTIPART_PART;
    }
    if (!colon || !char_is_token(line, (size_t)(colon - line)) || is_boundary_line(parser, line))
        return refuse(parser, 400, "A part of the form has a malformed header.");
    if (++parser->headers > parser->limits.max_headers)
        return refuse(parser, 413, "A part of the form has too many headers.");
    parser->line = ++parser->head_length;
    parser->step = HEAD;
    return MULTIPART_MORE;
}

/* Bytes of a header line up to its CR, or to the end of data. */
static enum multipart_event step_head(struct multipart *parser, const char *data, size_t size,
                                      size_t *used_out)
{
    size_t n = 0, max = parser->limits.max_head, length = parser->head_length;
    size_t room = length < max ? max - length : 0; /* the last NUL may be beyond */

    while (n < size && n < room && char_is(data[n], CHAR_TEXT))
        n++;
    memcpy(parser->head + length, data, n);
    parser->head_length += n;
    *used_out = n;
    if (n == size)
        return MULTIPART_MORE;
    if (data[n] == '\r') {
        *used_out = n + 1;
        parser->step = HEAD_LF;
        return MULTIPART_MORE;
    }
    if (n == room)
        return refuse(parser, 413, "The headers of a part of the form are too large.");
    return refuse(parser, 400, "A part of the form has a malformed header.");
}

/* ---- the whole ---- */

static enum multipart_event step_byte(struct multipart *parser, char c)
{
    if (parser->step != HEAD_LF)
        return step_mark(parser, c);
    return c == '\n' ? end_line(parser)
                     : refuse(parser, 400, "A part of the form has a malformed header.");
}

static enum multipart_event step_once(struct multipart *parser, const char *data, size_t size,
                                      size_t *used_out, struct span *data_out)
{
    switch (parser->step) {
    case BEFORE:
        return step_before(parser, data, size, used_out);
    case HEAD:
        return step_head(parser, data, size, used_out);
    case DATA:
        return step_data(parser, data, size, used_out, data_out);
    case AFTER:
        *used_out = size;
        return count_outside(parser, size);
    case BAD:
        return MULTIPART_BAD;
    default:
        *used_out = 1;
        return step_byte(parser, *data);
    }
}

enum multipart_event multipart_step(struct multipart *parser, const char *data, size_t size,
                                    size_t *used_out, struct span *data_out)
{
    enum multipart_event event = MULTIPART_MORE;
    size_t at = 0;

    /* The end of a part is told even if its boundary is the last that has come. */
    while (event == MULTIPART_MORE &&
           (at < size || (parser->step == DATA && is_delimiter(parser)))) {
        size_t used = 0;

        event = step_once(parser, data + at, size - at, &used, data_out);
        at += used;
    }
    *used_out = at;
    return event;
}

int multipart_finish(struct multipart *parser)
{
    if (parser->step == CLOSED || parser->step == AFTER)
        return 0;
    if (parser->step != BAD)
        refuse(parser, 400, "The form ends before its last boundary.");
    return -1;
}
