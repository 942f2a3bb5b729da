/* reeve/form.h: what a client sends in: query, forms, files and cookies.
 *
 *     static int save(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         reeve_form *form;
 *         int status = reeve_form_read(environ, NULL, &form);
 *
 *         if (status != 0)
 *             return reeve_form_refuse(environ, start_response, status);
 *         const char *title = reeve_form_get(form, "title");
 *         ...
 *     }
 *
 * Everything read here comes from a stranger: names, file names, types and values are what the
 * client says, and nothing is trimmed to what would be harmless. Values are bytes; nobody has
 * looked whether they are UTF-8. Memory, descriptors and temporary files are bounded
 * (reeve_form_limits), and go with the request, however it ends; so does every string that these
 * calls give.
 *
 * A call that reads returns 0, or the HTTP status to answer with:
 *   400  malformed, or the client has ended its side in the middle
 *   408  the client sent nothing for body_timeout
 *   413  larger, or more of something, than a limit allows; or than max_body
 *   414  more fields in the query than max_fields
 *   415  a body, or a part of it, of a type that is not read here
 *   500  files cannot be written there; or an on_loop module, which cannot wait (see errno)
 *   503  memory or descriptors have run out
 *   504  the request was cancelled
 *   507  the disk is full, or a limit on the size of files is reached
 * and reeve_form_error says in a sentence what it was. Since 1.2, all of it. */
#ifndef REEVE_FORM_H
#define REEVE_FORM_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ---- */

#define REEVE_UNLIMITED UINT64_MAX

/* 0 stands for the default. Sizes in bytes. */
typedef struct reeve_form_limits {
    size_t size;        /* of this struct: filled in by REEVE_FORM_LIMITS */
    uint64_t max_size;  /* of the whole body: 32 MiB. REEVE_UNLIMITED: any */
    size_t max_fields;  /* fields of a query or a form, files among them: 1,000 */
    size_t max_files;   /* parts that are kept in files, a descriptor each: 64 */
    size_t max_head;    /* of one part's headers: 8 KiB, at most 64 KiB. As much may stand before
                            the first boundary, and behind the last */
    size_t max_headers; /* of one part: 16 */
    size_t memory_each; /* a field up to here is kept in memory: 64 KiB */
    size_t memory_all;  /* all of a form that is kept in memory, names and headers too: 1 MiB */
    const char *folder; /* of temporary files: $TMPDIR, else /tmp */
} reeve_form_limits;

/* reeve_form_read(environ, REEVE_FORM_LIMITS(.max_size = REEVE_UNLIMITED), &form) */
#define REEVE_FORM_LIMITS(...) \
    (&(const reeve_form_limits){.size = sizeof(reeve_form_limits), __VA_ARGS__})

/* ---- forms ---- */

/* The fields of a query or a form, in their order. */
typedef struct reeve_form reeve_form;

/* One of them; what is sent as a file is one, too. */
typedef struct reeve_part reeve_part;

/* All fields of the query string, decoded: "+" is a space, a field without "=" has the value "". An
 * empty one ("a=1&&b=2") is none. limits may be NULL; of them max_fields counts. 0, or 400, 414 and
 * 503 as above. Does not suspend. */
REEVE_API int reeve_query_read(reeve_environ *environ, const reeve_form_limits *limits,
                               reeve_form **form_out);

/* Reads the request's body, a form: application/x-www-form-urlencoded or multipart/form-data, by
 * its Content-Type (a charset other than utf-8 is 415). Once a request, and nobody else reads it.
 *
 * The first is kept in memory, and 413 when it is larger than memory_all. Of the second a part with
 * a file name, and one that is larger than memory_each or that memory_all has no room for, is
 * written to a temporary file without a name, in pieces and as it comes: the body is never held as
 * a whole. limits may be NULL; they are used until the call returns. 0 or a status.
 * [suspends] */
REEVE_API int reeve_form_read(reeve_environ *environ, const reeve_form_limits *limits,
                              reeve_form **form_out);

/* What the last call that returned a status for this request has to say about it: one sentence that
 * may be shown to the client. "" without one. */
REEVE_API const char *reeve_form_error(const reeve_environ *environ);

/* Answers with that status, and the sentence as text. Returns what the callable should return.
 * [suspends] */
REEVE_API int reeve_form_refuse(reeve_environ *environ, reeve_start_response *start_response,
                                int status);

/* The value of the first field of that name which is kept in memory and is not a file, or NULL.
 * Names are compared byte by byte. A value from a multipart form may have NULs: see
 * reeve_part_data. */
REEVE_API const char *reeve_form_get(const reeve_form *form, const char *name);

/* The next part after that one, NULL: the first. NULL at the end. */
REEVE_API const reeve_part *reeve_form_next(const reeve_form *form, const reeve_part *after);
/* The same, of those with that name. */
REEVE_API const reeve_part *reeve_form_find(const reeve_form *form, const char *name,
                                            const reeve_part *after);
REEVE_API size_t reeve_form_count(const reeve_form *form);

/* ---- parts ---- */

REEVE_API const char *reeve_part_name(const reeve_part *part);

/* The file's name as the client gave it, which may be "", "..", or a path: for display, or through
 * reeve_part_safe_name. NULL: not a file. In `name` and `filename` \" and \\ are quoted pairs, any
 * other backslash stands for itself, and %22 stays what it is. Where there is a filename* as well
 * (RFC 8187), that is the name. */
REEVE_API const char *reeve_part_filename(const reeve_part *part);

/* The same made fit to be a file's name: what is behind the last slash or backslash, of it letters,
 * digits, ".", "-" and "_", anything else as "_"; no "." at its beginning; at most 100 bytes, with
 * the ending kept. "file" if nothing is left. NULL when memory has run out. */
REEVE_API const char *reeve_part_safe_name(reeve_environ *environ, const reeve_part *part);

/* Its Content-Type, or what stands for it without one: "text/plain" (RFC 7578 section 4.4). */
REEVE_API const char *reeve_part_type(const reeve_part *part);

/* A header of it by its name, in any case, or NULL. */
REEVE_API const char *reeve_part_header(const reeve_part *part, const char *name);

/* In bytes. 0 while it is still to be read, by reeve_multipart_read. */
REEVE_API uint64_t reeve_part_size(const reeve_part *part);

/* Its bytes, with a NUL behind them, or NULL: they are in a file. */
REEVE_API const char *reeve_part_data(const reeve_part *part);

/* The temporary file, at no particular offset, or -1: it is in memory, as an empty file is. The
 * descriptor is the form's: it is closed with the request. */
REEVE_API int reeve_part_fd(const reeve_part *part);

#define REEVE_SAVE_REPLACE 1u /* put it in the place of a file that has this path; else EEXIST */
#define REEVE_SAVE_SYNC    2u /* return when the disk has it: fsync of the file and its folder */

/* Keeps it as a file, mode 0600, which appears at `path` whole or not at all: a temporary file in
 * the same file system gets the name, else a copy is made beside it first. Each save makes a file
 * of its own. What takes long is done off the loop. 0, or -1 as open(2), write(2), link(2) and
 * rename(2); ENOSPC, EDQUOT and EFBIG when the disk is full, and then nothing is left there.
 * EAGAIN: too much is to be done off the loop already.
 * [suspends] */
REEVE_API int reeve_part_save(const reeve_part *part, const char *path, unsigned flags);

/* ---- a multipart body as it comes ---- */

/* For who wants each part at once, and none of them kept. */
typedef struct reeve_multipart reeve_multipart;

/* Begins: 0, or 400, 413, 415 or 503 before anything of the body is read. Of the limits max_size,
 * max_fields, max_head and max_headers count. Does not suspend. */
REEVE_API int reeve_multipart_open(reeve_environ *environ, const reeve_form_limits *limits,
                                   reeve_multipart **multipart_out);

/* The next part: its name, file name, type and headers, until the next call. What is left of the
 * one before is skipped. *part_out is NULL at the end of the body, when all of it was well-formed.
 * 0 or a status, which is final. [suspends] */
REEVE_API int reeve_multipart_next(reeve_multipart *multipart, const reeve_part **part_out);

/* Up to `size` bytes of that part, as soon as any are there; *got_out is 0 at its end. 0 or a
 * status, which is final. [suspends] */
REEVE_API int reeve_multipart_read(reeve_multipart *multipart, void *buffer, size_t size,
                                   size_t *got_out);

/* ---- cookies ---- */

/* Looked at are the first REEVE_COOKIES_MAX pairs of the Cookie header. One without "=", whose name
 * is not a token, whose value has control bytes, or that is longer than REEVE_COOKIE_SIZE_MAX is
 * passed over: a browser sends what others of its host have set, too, and no request fails for
 * it. */
#define REEVE_COOKIES_MAX     100
#define REEVE_COOKIE_SIZE_MAX 4096 /* bytes of name and value */

/* The value of the first cookie of that name, without quotes around it, or NULL. Of several the
 * first is the one with the most specific path (RFC 6265 section 5.4). Does not suspend. */
REEVE_API const char *reeve_cookie_get(reeve_environ *environ, const char *name);

/* Calls `each` for every cookie until it returns non-zero; returns what it returned last, 0 without
 * any, or -1 with ENOMEM. Does not suspend. */
REEVE_API int reeve_cookie_each(reeve_environ *environ,
                                int (*each)(const char *name, const char *value, void *arg),
                                void *arg);

/* A value whose %XX are decoded, as reeve_cookie.encode makes them; NULL with EINVAL for an escape
 * that is not whole or is of a NUL, or ENOMEM. Does not suspend. */
REEVE_API const char *reeve_cookie_decode(reeve_environ *environ, const char *value);

typedef enum reeve_same_site {
    REEVE_SAME_SITE_UNSET, /* the browser's default, nowadays Lax */
    REEVE_SAME_SITE_LAX,
    REEVE_SAME_SITE_STRICT,
    REEVE_SAME_SITE_NONE /* secure only */
} reeve_same_site;

/* What is zero or NULL is left out. */
typedef struct reeve_cookie {
    size_t size;      /* of this struct: filled in by REEVE_COOKIE */
    const char *name; /* a token */
    const char *value;
    bool encode;        /* write what a value may not have, and "%", as %XX; else it is EINVAL */
    const char *path;   /* begins with "/" */
    const char *domain; /* letters, digits, "-" and "." */
    int64_t max_age;    /* seconds from now; below 0: the browser forgets it at once */
    int64_t expires;    /* seconds since 1970 */
    bool secure, http_only;
    reeve_same_site same_site;
    bool partitioned; /* secure only */
} reeve_cookie;

#define REEVE_COOKIE(...) (&(const reeve_cookie){.size = sizeof(reeve_cookie), __VA_ARGS__})

/* The value of a Set-Cookie header:
 *     {"Set-Cookie", reeve_cookie_format(environ, REEVE_COOKIE(.name = "id", .value = id,
 *                                                              .path = "/", .http_only = true))}
 * NULL with ENOMEM, or with EINVAL for what would not arrive as it is meant: bytes that a name, a
 * value or an attribute may not have, name and value of more than REEVE_COOKIE_SIZE_MAX bytes or an
 * attribute of more than 1,024, which browsers ignore; __Secure- without secure; __Host- without
 * secure and "/" as its path, or with a domain. Does not suspend. */
REEVE_API const char *reeve_cookie_format(reeve_environ *environ, const reeve_cookie *cookie);

#ifdef __cplusplus
}
#endif
#endif
