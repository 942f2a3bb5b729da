/* reeve/filter.h: seeing and changing a response on its way from the application to the client.
 *
 * The application answers by calls that take the environ, so what wraps it cannot stand between by
 * calling it. It pushes a filter instead, before it calls what it wraps, and from there on the
 * filter gets what the application gives: the status and the headers, the pieces of the body, its
 * wishes to flush, and the end. What the filter makes of it goes on to what lies beneath: the filter
 * pushed before it and at last the server. So whoever wraps closest sees the response first.
 *
 * All of it runs where the application's calls run: on the request's coroutine, inside of
 * start_response, reeve_write, reeve_flush and reeve_send_file, or, at the end, after the
 * application has returned and an iterable it has handed over has ended. Calls that wait may be
 * made. Not from another task of the request.
 *
 * What the server takes care of, so that no filter has to:
 *   - The rules of reeve/app.h hold for the application as without a filter: the status and the
 *     headers are checked before a filter sees them; a Content-Length that it declares is enforced
 *     on what it writes, whatever a filter makes of it; to write first is EPROTO, to write to a
 *     client that has gone EPIPE.
 *   - start_response again replaces what was not sent. on_start is then called again, and has to
 *     forget what was before; what was passed on is taken back. Once bytes were sent it is EALREADY,
 *     and no filter sees it.
 *   - A call of a filter that fails fails the application's, and makes the response one that is not
 *     whole: it is replaced by 500, or cut off when bytes were sent, unless start_response is called
 *     again.
 *   - When the application fails, the server answers in its own name: such an answer replaces what
 *     filters hold back and passes none of them. Neither on_write nor on_end is called again.
 *   - on_close is called exactly once for every filter that was pushed, however the request ends.
 *
 * What a filter has to take care of:
 *   - A filter that changes the body's length passes on no Content-Length, or a right one: the
 *     server enforces what is passed on as if it were the application's.
 *   - The body of an answer to HEAD, 204 and 304 is seen if the application gives one, and dropped
 *     at the end of the way. A filter that would change the length has to leave Content-Length away
 *     for HEAD, too.
 *   - Memory is bounded: whoever holds back a body holds back so much and no more. reeve_alloc is
 *     for what is taken once a response, not for what is taken with every piece.
 *
 * Since 1.2, all of it. */
#ifndef REEVE_FILTER_H
#define REEVE_FILTER_H

#include <reeve/app.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What lies beneath a filter in one request. Lives as long as the request. */
typedef struct reeve_beneath reeve_beneath;

/* What a filter does; any of it may be NULL, which passes on. `state` is what reeve_filter_push was
 * given. Each returns 0, or -1 with errno, which the application's call then returns. [suspends] */
typedef struct reeve_filter {
    /* The application begins its response, or begins it anew: passes it on, changed or not, with
     * reeve_filter_start, now or later, when enough is known. `status` and `headers` live during the
     * call; see reeve_headers_copy. It may take itself out with reeve_filter_remove. */
    int (*on_start)(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                    void *state);
    /* A part of the body. The pieces live during the call. */
    int (*on_write)(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state);
    /* A part of the body as a file's content. NULL with an on_write: the file is read, 64 KiB at a
     * time, and goes through on_write (also in an on_loop module, where it cannot be sent). */
    int (*on_file)(reeve_beneath *beneath, int fd, off_t offset, size_t size, void *state);
    /* The client shall get what there is: passes on what is held back, and reeve_filter_flush. */
    int (*on_flush)(reeve_beneath *beneath, void *state);
    /* The application has returned 0, and its response is complete: passes on what is held back.
     * What lies beneath is told by the server, after this. */
    int (*on_end)(reeve_beneath *beneath, void *state);
    /* The last call, always: frees what it has. Among the callbacks of reeve_on_close, in whose
     * order it takes the place of the push. Passes on nothing, and must not suspend. */
    void (*on_close)(void *state);
    void (*reserved[4])(void); /* for later: left out, or NULL */
} reeve_filter;

/* Puts a filter over the response; `filter` has to live as long as the request, as a constant does.
 * Returns 0, or -1: EALREADY when the response has begun, ENOMEM; on_close is not called then. Does
 * not suspend. */
REEVE_API int reeve_filter_push(reeve_environ *environ, const reeve_filter *filter, void *state);

/* ---- for the filter's callbacks ---- */

/* The request. Within a filter's callback reeve_write and the like of this environ would begin at
 * the first filter again: what is meant for the client goes to `beneath`. */
REEVE_API reeve_environ *reeve_filter_environ(const reeve_beneath *beneath);

/* As start_response, reeve_writev, reeve_send_file and reeve_flush, with their errors. EPROTO as
 * well for what comes before reeve_filter_start since the last on_start. */
REEVE_API int reeve_filter_start(reeve_beneath *beneath, const char *status,
                                 const reeve_header *headers);
REEVE_API int reeve_filter_write(reeve_beneath *beneath, const struct iovec *pieces, int count);
REEVE_API int reeve_filter_send_file(reeve_beneath *beneath, int fd, off_t offset, size_t size);
REEVE_API int reeve_filter_flush(reeve_beneath *beneath);

/* Takes the filter out of the way for the rest of the response, until a start_response that
 * replaces it: everything goes past it, but on_start then and on_close. From on_start it is followed
 * by reeve_filter_start, and later by passing on what was held back. */
REEVE_API void reeve_filter_remove(reeve_beneath *beneath);

/* ---- for middleware in general ---- */

/* Whether the status and the headers are settled, so that start_response would fail with EALREADY.
 * False while they are held back by the server or by a filter. */
REEVE_API bool reeve_response_is_sent(const reeve_environ *environ);

/* Lists of headers. A copy in the request's memory, strings included, with room for `more` further
 * ones: NULL: ENOMEM. It ends with a NULL name, and so does the room behind it. */
REEVE_API reeve_header *reeve_headers_copy(reeve_environ *environ, const reeve_header *headers,
                                           size_t more);
/* The value of the first header of that name, in any case, or NULL. */
REEVE_API const char *reeve_headers_find(const reeve_header *headers, const char *name);
/* Takes out all of that name. */
REEVE_API void reeve_headers_remove(reeve_header *headers, const char *name);
/* Puts one in place of all of its name, or at the end, where room has to be. The strings are not
 * copied. */
REEVE_API void reeve_headers_set(reeve_header *headers, const char *name, const char *value);
/* Says that the response depends on that header of the request, unless Vary says so already or is
 * "*". Needs room as reeve_headers_set. 0, or -1: ENOMEM. */
REEVE_API int reeve_headers_vary(reeve_environ *environ, reeve_header *headers, const char *name);

#ifdef __cplusplus
}
#endif
#endif
