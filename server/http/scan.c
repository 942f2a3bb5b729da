/* scan.c: finds the end of a head that is still arriving, and refuses what no later byte can mend.
 *
 * Bytes are judged strictly in their order, so the verdict is the same however a head is cut into
 * reads. The request line is checked whole here, since http-parser would let its variants through;
 * of header lines only what http-parser hides: bare CR and LF, control bytes, folding. */
#include <string.h>

#include "http/chars.h"
#include "http/head.h"
#include "http/uri.h"

#define METHOD_MAX     32 /* longer than any that is implemented: 501 (RFC 9112 section 3) */
#define EMPTY_LINES    8  /* before the request line, which is more than any client sends */
#define VERSION_LENGTH 9  /* " HTTP/1.1" */

enum { MORE = 0, LINE = 1, DONE = 200 }; /* beside the statuses to refuse with */

/* Every byte of a word that is a control byte gets its top bit set; those above the first one may
 * get it too, by the borrow. (Hacker's Delight 6-1) */
static uint64_t control_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t below_space = (word - ones * 0x20) & ~word;
    uint64_t del = word ^ ones * 0x7f;
    return (below_space | ((del - ones) & ~del)) & tops;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* The first control byte in data[at..end), or end. Eight bytes at a step: every byte of a head
 * passes here once. */
static size_t find_control(const char *data, size_t at, size_t end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        if (control_bytes(word))
            break; /* within the next eight, and the bytewise loop knows no byte order */
    }
    while (at < end && !is_control(data[at]))
        at++;
    return at;
}

/* LINE when the line at scan->next ends in CRLF, of which scan->seen is then the offset; else that
 * is how far it was looked at, and the result is MORE or 400. */
static int find_line_end(struct head_scan *scan, const char *data, size_t end)
{
    size_t at = find_control(data, scan->next + scan->seen, end);

    while (at < end && data[at] == '\t')
        at = find_control(data, at + 1, end);
    scan->seen = at - scan->next;
    if (at == end)
        return MORE;
    if (data[at] != '\r')
        return 400;
    if (at + 1 == end)
        return MORE;
    return data[at + 1] == '\n' ? LINE : 400;
}

static void next_line(struct head_scan *scan)
{
    scan->next += scan->seen + 2;
    scan->seen = 0;
}

/* An empty line before the request line is what is left of a sloppy client's last body. */
static int skip_empty_line(struct head_scan *scan)
{
    next_line(scan);
    scan->begin = scan->next;
    return scan->begin > 2 * EMPTY_LINES ? 400 : LINE;
}

/* The method's length once its SP has come, 0 before; then *status_out may become a refusal. */
static size_t measure_method(const char *line, size_t seen, int *status_out)
{
    for (size_t i = 0; i < seen; i++) {
        if (line[i] == ' ' && i > 0)
            return i;
        if (!char_is(line[i], CHAR_TOKEN))
            return *status_out = 400, 0;
        if (i == METHOD_MAX)
            return *status_out = 501, 0;
    }
    return 0;
}

static bool has_space(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)data[i] <= ' ')
            return true;
    return false;
}

/* Forms other than the usual one are taken apart by head_parse. */
static bool is_plausible_target(const char *target, size_t length)
{
    return *target == '/' ? uri_is_target(target, length) : !has_space(target, length);
}

/* What follows the method: exactly SP target SP HTTP-version (RFC 9112 section 3). */
static int check_target_and_version(const char *rest, size_t length)
{
    if (length < 2 + VERSION_LENGTH)
        return 400;
    const char *version = rest + length - VERSION_LENGTH;
    if (memcmp(version, " HTTP/", 6) != 0 || !char_is_digit(version[6]) || version[7] != '.' ||
        !char_is_digit(version[8]))
        return 400;
    if (!is_plausible_target(rest + 1, length - 1 - VERSION_LENGTH))
        return 400;
    return version[6] == '1' ? LINE : 505;
}

static int scan_request_line(struct head_scan *scan, const char *data, size_t end,
                             const struct head_limits *limits)
{
    const char *line = data + scan->next;
    int found = find_line_end(scan, data, end);
    int status = found;

    if (scan->seen == 0)
        return found == LINE ? skip_empty_line(scan) : found;
    size_t method = measure_method(line, scan->seen, &status);
    if (method == 0)
        return status == LINE ? 400 : status;
    if (scan->seen - method > 1 + limits->max_target + VERSION_LENGTH)
        return 414;
    if (found != LINE)
        return found;
    status = check_target_and_version(line + method, scan->seen - method);
    scan->has_line = true;
    next_line(scan);
    return status;
}

static int scan_header_line(struct head_scan *scan, const char *data, size_t end,
                            const struct head_limits *limits)
{
    if (scan->next == end)
        return MORE;
    char first = data[scan->next];
    if (first == ' ' || first == '\t') /* obs-fold (RFC 9112 section 5.2) */
        return 400;
    if (first != '\r' && scan->lines == limits->max_headers)
        return 431;

    int found = find_line_end(scan, data, end);
    if (found != LINE)
        return found;
    bool is_empty = scan->seen == 0;
    next_line(scan);
    if (is_empty) {
        scan->length = scan->next;
        return DONE;
    }
    scan->lines++;
    return LINE;
}

int head_scan(struct head_scan *scan, const char *data, size_t length,
              const struct head_limits *limits)
{
    /* Whatever lies beyond max_head is as if it had not come: no verdict depends on it. */
    size_t end = length < limits->max_head ? length : limits->max_head;
    int status;

    do {
        status = scan->has_line ? scan_header_line(scan, data, end, limits)
                                : scan_request_line(scan, data, end, limits);
    } while (status == LINE);
    if (status == MORE && end == limits->max_head)
        return scan->has_line ? 431 : 414;
    return status;
}
