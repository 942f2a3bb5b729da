/* head.h: a request's head, from bytes to a checked struct.
 *
 * In two steps. head_scan looks at the bytes as they arrive, line by line, so that rubbish is
 * refused at its first line and not at a time-out; it finds the end. head_parse feeds the complete
 * head to http-parser and checks what http-parser lets through (RFC 9110, RFC 9112). No sockets, no
 * memory of its own: spans point into the caller's buffer, which head_parse makes into
 * NUL-terminated strings in place. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct head_limits {
    size_t max_head;      /* bytes of request line and headers: beyond it 431 */
    size_t max_target;    /* bytes of the target: beyond it 414 */
    unsigned max_headers; /* lines: beyond it 431 */
};

/* What head_scan remembers between two looks at a growing buffer. All zero when a head begins. */
struct head_scan {
    size_t next;    /* offset of the line that is not complete yet */
    size_t seen;    /* bytes of it already looked at */
    size_t begin;   /* offset of the request line: empty lines before it are skipped
                       (RFC 9112 section 2.2) */
    unsigned lines; /* header lines so far */
    bool has_line;  /* the request line is complete */
    size_t length;  /* set when it is done: bytes up to and including the empty line, skipped ones
                       too */
};

/* Looks at data[0..length), which begins where it began before. Returns 0 when more is needed, 200
 * when the head is complete, else the status to refuse it with (400, 414, 431, 501 for a method of
 * absurd length, 505). The result depends on the bytes alone, never on how they were cut into
 * calls. 0 is never returned once max_head bytes are there; a request line that fills all of them
 * is 414. After a refusal the scan is over. */
int head_scan(struct head_scan *scan, const char *data, size_t length,
              const struct head_limits *limits);

/* A run of bytes; in a parsed head data[length] is NUL. */
struct span {
    const char *data;
    size_t length;
};

struct head_field {
    struct span name;
    struct span value; /* without white space around it */
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_ASTERISK };

struct head {
    enum http_method method;
    unsigned minor; /* HTTP/1.minor; 1 for later ones too (RFC 9110 section 2.5) */
    enum target_form form;
    struct span target;        /* as it came */
    struct span path;          /* raw, not terminated: of the target, without the query; "/" when an
                                  absolute target has none; "*" */
    struct span query;         /* behind the '?'; data is "" without one */
    struct span host;          /* host[:port] of the Host line, or of an absolute target (not
                                  terminated), which overrides it (RFC 9112 section 3.2.2);
                                  length 0: HTTP/1.0 without one */
    struct head_field *fields; /* the caller's array of scan.lines entries */
    unsigned field_count;
    bool is_keep_alive; /* by version and Connection (RFC 9112 section 9.3) */
    bool is_chunked;
    bool has_length;
    bool expects_continue;   /* HTTP/1.1 and a body to come (RFC 9110 section 10.1.1) */
    bool is_upgrade;         /* asks for another protocol: HTTP/1.1, Upgrade, and
                                  Connection: upgrade */
    uint64_t content_length; /* when has_length, else 0 */
};

/* Parses the head that head_scan found: data[scan->begin..scan->length). `fields` has room for
 * scan->lines. Returns 0 or the status to refuse it with: 400, 417 (an Expect other than
 * 100-continue), 501 (method or transfer coding not known; CONNECT). The buffer is changed in both
 * cases; of a refused head only method, minor and target are of any use, and those may be empty. */
int head_parse(struct head *head, const struct head_scan *scan, char *data,
               struct head_field *fields, const struct head_limits *limits);

/* The first field of that name, in any case, at or after `from`; NULL. */
const struct head_field *head_find(const struct head *head, const char *name, unsigned from);

#endif
