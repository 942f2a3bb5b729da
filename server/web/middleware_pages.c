/* middleware_pages.c: a page for errors that the application answers without one, in the kind that
 * the client prefers. It leaves alone what has begun to be sent. */
#include <errno.h>
#include <reeve/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/middleware.h"
#include "web/negotiation.h"

struct pages {
    struct middleware common;
    bool is_for_all;
    const char *(*render)(reeve_environ *environ, const reeve_error_page *page, void *arg);
    void *arg;
};

/* Of one response. In the request's memory, as what it points to. */
struct pending {
    const struct pages *pages;
    const char *status; /* held back; NULL: it has been passed on */
    reeve_header *headers;
};

static const char *const types[] = {"text/plain", "text/html", "application/json", NULL};
static const char *const content_types[] = {"text/plain; charset=utf-8", "text/html; charset=utf-8",
                                            "application/json"};

/* ---- the page ---- */

/* A reason may have any byte but control ones: what means something stands as a reference. */
static char *escape(reeve_environ *environ, const char *text, bool is_html)
{
    char *escaped = reeve_alloc(environ, strlen(text) * 6 + 1), *to = escaped;

    for (; escaped && *text; text++) {
        unsigned c = (unsigned char)*text;

        if (is_html && strchr("<>&\"'", *text))
            to += sprintf(to, "&#%u;", c);
        else if (!is_html && (c == '"' || c == '\\' || c < 0x20))
            to += sprintf(to, "\\u%04x", c);
        else
            *to++ = *text;
    }
    if (escaped)
        *to = '\0';
    return escaped;
}

static const char *page_of(reeve_environ *environ, const reeve_error_page *page)
{
    const char *status;

    switch (page->kind) {
    case REEVE_PAGE_HTML:
        status = escape(environ, page->status, true);
        return status ? reeve_printf(environ,
                                     "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                                     "charset=\"utf-8\"><title>%s</title></head>\n<body><h1>%s"
                                     "</h1><p>request id %s</p></body></html>\n",
                                     status, status, page->id)
                      : NULL;
    case REEVE_PAGE_JSON:
        status = escape(environ, page->status + 4, false);
        return status ? reeve_printf(environ,
                                     "{\"status\":%d,\"error\":\"%s\",\"request_id\":\"%s\"}\n",
                                     page->code, status, page->id)
                      : NULL;
    case REEVE_PAGE_TEXT:
        break;
    }
    return reeve_printf(environ, "%s\nrequest id %s\n", page->status, page->id);
}

static const char *render(reeve_environ *environ, const struct pending *pending,
                          reeve_page_kind kind)
{
    const struct pages *pages = pending->pages;
    const reeve_error_page page = {
        .code = atoi(pending->status),
        .status = pending->status,
        .id = reeve_request_id(environ),
        .kind = kind,
    };
    const char *body = pages->render ? pages->render(environ, &page, pages->arg) : NULL;

    return body ? body : page_of(environ, &page);
}

/* In place of what there would be. */
static int send_page(reeve_beneath *beneath, struct pending *pending)
{
    static const char *const replaced[] = {
        "Content-Length", "Content-Encoding", "Content-Language", "Content-Range",
        "ETag",           "Last-Modified"};
    reeve_environ *environ = reeve_filter_environ(beneath);
    unsigned kind = negotiation_best_type(reeve_request_header(environ, "Accept"), types);
    const char *body = render(environ, pending, (reeve_page_kind)kind);
    struct iovec piece = {.iov_base = (void *)(uintptr_t)body};

    if (!body) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
        reeve_headers_remove(pending->headers, replaced[i]);
    reeve_headers_set(pending->headers, "Content-Type", content_types[kind]);
    if (reeve_headers_vary(environ, pending->headers, "Accept") == -1 ||
        reeve_filter_start(beneath, pending->status, pending->headers) == -1)
        return -1;
    pending->status = NULL;
    piece.iov_len = strlen(body);
    return reeve_filter_write(beneath, &piece, 1);
}

/* ---- the filter ---- */

/* Also of the answer to HEAD, where none comes. */
static bool says_body(const reeve_header *headers)
{
    const char *length = reeve_headers_find(headers, "Content-Length");

    return reeve_headers_find(headers, "Content-Encoding") ||
           (length && strtoull(length, NULL, 10) > 0);
}

static int on_start(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                    void *state)
{
    struct pending *pending = state;
    reeve_environ *environ = reeve_filter_environ(beneath);

    pending->status = NULL;
    if (status[0] < '4' || (!pending->pages->is_for_all && says_body(headers))) {
        reeve_filter_remove(beneath);
        return reeve_filter_start(beneath, status, headers);
    }
    pending->headers = reeve_headers_copy(environ, headers, 2);
    if (!pending->headers)
        return -1;
    pending->status = reeve_strdup(environ, status);
    if (!pending->status)
        errno = ENOMEM;
    return pending->status ? 0 : -1;
}

/* There is a body, and it may stay. */
static int stay_out(reeve_beneath *beneath, struct pending *pending)
{
    const char *status = pending->status;

    reeve_filter_remove(beneath);
    pending->status = NULL;
    return reeve_filter_start(beneath, status, pending->headers);
}

static int on_write(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    struct pending *pending = state;

    if (pending->pages->is_for_all)
        return 0;
    return stay_out(beneath, pending) == -1 ? -1 : reeve_filter_write(beneath, pieces, count);
}

static int on_file(reeve_beneath *beneath, int fd, off_t offset, size_t size, void *state)
{
    struct pending *pending = state;

    if (pending->pages->is_for_all)
        return 0;
    return stay_out(beneath, pending) == -1 ? -1
                                            : reeve_filter_send_file(beneath, fd, offset, size);
}

/* What there is to be sent is not known before the body begins, or does not. */
static int on_flush(reeve_beneath *beneath, void *state)
{
    (void)beneath;
    (void)state;
    return 0;
}

static int on_end(reeve_beneath *beneath, void *state)
{
    struct pending *pending = state;

    return pending->status ? send_page(beneath, pending) : 0;
}

static const reeve_filter paging = {.on_start = on_start,
                                    .on_write = on_write,
                                    .on_file = on_file,
                                    .on_flush = on_flush,
                                    .on_end = on_end};

/* ---- the middleware ---- */

static int call(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    struct pending *pending = reeve_alloc(environ, sizeof *pending);

    if (!pending)
        return -1;
    *pending = (struct pending){.pages = state};
    if (reeve_filter_push(environ, &paging, pending) == -1)
        return -1;
    return reeve_next_call(next, environ, start_response);
}

int reeve_error_pages_new(reeve_module *module, const reeve_error_pages *options,
                          reeve_middleware *middleware_out)
{
    struct pages *pages = calloc(1, sizeof *pages);

    if (!pages)
        return middleware_out_of_memory(module);
    *pages = (struct pages){.common = {free},
                            .is_for_all = options->all,
                            .render = options->render,
                            .arg = options->arg};
    *middleware_out = (reeve_middleware){.call = call, .state = pages};
    return 0;
}
