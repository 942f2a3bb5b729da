/* middleware_gzip.c: compresses responses for clients that ask for it. It decides once for each
 * response, and holds back no more than min_size bytes until it can; it never compresses what says
 * that it is encoded already. */
#include <errno.h>
#include <reeve/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web/encoder.h"
#include "web/middleware.h"
#include "web/negotiation.h"

#define MIN_SIZE      1024
#define MIN_SIZE_MOST (64u << 10)
#define LEVEL         5
#define MOST          256
/* Deflating takes the processor: after so many bytes of input the others have their turn. */
#define TURN (256u << 10)

struct gzip {
    struct middleware common;
    size_t min_size;
    char **types;
    struct encoder_pool *encoders;
};

/* Of one response, in the request's memory. */
struct coding {
    struct gzip *gzip;
    enum negotiation_gzip wish;
    bool is_head;
    bool is_compressed; /* decided: so it goes on. Undecided as long as status is not NULL */
    const char *status; /* held back */
    reeve_header *headers;
    char *held; /* malloc's, min_size long; NULL: nothing */
    size_t held_size;
    struct encoder *encoder; /* NULL: for HEAD there is none */
    size_t since_turn;
};

/* ---- what is worth while ---- */

/* A media type, by the list. `length` is without its parameters. */
static bool is_listed(char **types, const char *type, size_t length)
{
    for (; *types; types++) {
        size_t size = strlen(*types);
        bool is_kind = size > 0 && (*types)[size - 1] == '/';

        if ((is_kind ? length > size : length == size) && strncasecmp(*types, type, size) == 0)
            return true;
    }
    return false;
}

static bool ends_with(const char *type, size_t length, const char *end)
{
    size_t size = strlen(end);

    return length > size && strncasecmp(type + length - size, end, size) == 0;
}

/* Event streams are worth compressing only with a flush after each event, and those who write them
 * count on the server, which sends what there is when they wait. */
static bool is_usual(const char *type, size_t length)
{
    static const char *const usual[] = {"application/json",
                                        "application/javascript",
                                        "application/xml",
                                        "application/wasm",
                                        "application/x-ndjson",
                                        "application/manifest+json",
                                        "application/ld+json",
                                        "image/svg+xml",
                                        "image/bmp",
                                        "font/ttf",
                                        "application/vnd.ms-fontobject",
                                        NULL};

    if (ends_with(type, length, "+json") || ends_with(type, length, "+xml"))
        return true;
    if (strncasecmp(type, "text/", 5) == 0)
        return true;
    for (const char *const *each = usual; *each; each++)
        if (strlen(*each) == length && strncasecmp(*each, type, length) == 0)
            return true;
    return false;
}

/* Its events are to arrive one by one, not when there are enough of them. */
static bool is_stream(const char *type, size_t length)
{
    return length == 17 && strncasecmp(type, "text/event-stream", length) == 0;
}

static bool is_compressible(const struct coding *coding, const char *type)
{
    size_t length = type ? strcspn(type, "; \t") : 0;

    if (is_stream(type, length))
        return false;
    if (coding->wish == NEGOTIATION_REFUSED)
        return true;
    if (length == 0)
        return false;
    return coding->gzip->types[0] ? is_listed(coding->gzip->types, type, length)
                                  : is_usual(type, length);
}

/* Whether one of the words in a header's values is this one. */
static bool says(const reeve_header *headers, const char *name, const char *word)
{
    for (; headers->name; headers++)
        for (const char *at = headers->value; strcasecmp(headers->name, name) == 0 && *at;) {
            size_t length = strcspn(at, ", \t=");

            if (length == strlen(word) && strncasecmp(at, word, length) == 0)
                return true;
            at += length + strspn(at + length, ", \t=");
        }
    return false;
}

static bool is_code(const char *status, const char *code)
{
    return strncmp(status, code, 3) == 0;
}

/* Another client could get it compressed, so that Vary has to say so. */
static bool is_eligible(const struct coding *coding, const char *status,
                        const reeve_header *headers)
{
    const char *encoding = reeve_headers_find(headers, "Content-Encoding");
    bool has_range = reeve_headers_find(headers, "Content-Range"), is_part = is_code(status, "206");

    if (is_code(status, "204") || (has_range && !is_part))
        return false;
    if ((encoding && strcasecmp(encoding, "identity") != 0) ||
        says(headers, "Cache-Control", "no-transform"))
        return false;
    /* 304, and 206 of several ranges, stand for a response whose type they do not tell. */
    return is_code(status, "304") || (is_part && !has_range) ||
           is_compressible(coding, reeve_headers_find(headers, "Content-Type"));
}

/* ---- deciding ---- */

static int weaken_tag(reeve_environ *request, reeve_header *headers)
{
    const char *tag = reeve_headers_find(headers, "ETag");

    if (!tag || strncmp(tag, "W/", 2) == 0)
        return 0;
    tag = reeve_printf(request, "W/%s", tag);
    if (!tag) {
        errno = ENOMEM;
        return -1;
    }
    reeve_headers_set(headers, "ETag", tag);
    return 0;
}

static void drop_held(struct coding *coding)
{
    free(coding->held);
    coding->held = NULL;
    coding->held_size = 0;
}

static int pass_held(reeve_beneath *beneath, struct coding *coding,
                     int (*pass)(reeve_beneath *beneath, struct coding *coding, const void *data,
                                 size_t size))
{
    int result = coding->held_size > 0 ? pass(beneath, coding, coding->held, coding->held_size) : 0;

    drop_held(coding);
    return result;
}

static int pass_plain(reeve_beneath *beneath, struct coding *coding, const void *data, size_t size)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

    (void)coding;
    return reeve_filter_write(beneath, &piece, 1);
}

/* Passes on what was held back, as it is, and gets out of the way. */
static int leave_plain(reeve_beneath *beneath, struct coding *coding)
{
    const char *status = coding->status;

    coding->status = NULL;
    reeve_filter_remove(beneath);
    if (reeve_filter_start(beneath, status, coding->headers) == -1)
        return -1;
    return pass_held(beneath, coding, pass_plain);
}

static int pass_output(struct encoder *encoder, void *arg)
{
    const struct iovec piece = {.iov_base = encoder->out, .iov_len = encoder->out_size};

    return reeve_filter_write(arg, &piece, 1);
}

/* To HEAD it goes on as it is, which says that there is a body, and is dropped at the end of the
 * way. */
static int compress_piece(reeve_beneath *beneath, struct coding *coding, const void *data,
                          size_t size)
{
    if (coding->is_head)
        return size > 0 ? pass_plain(beneath, coding, data, size) : 0;
    while (size > 0) {
        size_t part = size < TURN ? size : TURN;

        if (encoder_put(coding->encoder, data, part, pass_output, beneath) == -1)
            return -1;
        data = (const char *)data + part;
        size -= part;
        coding->since_turn += part;
        if (coding->since_turn >= TURN) {
            coding->since_turn = 0;
            reeve_sleep(0); /* a cancellation is for the next write to notice */
        }
    }
    return 0;
}

/* From here on it is compressed, unless too many are. */
static int begin_compressed(reeve_beneath *beneath, struct coding *coding)
{
    const char *status = coding->status;

    if (!coding->is_head) {
        coding->encoder = encoder_take(coding->gzip->encoders);
        if (!coding->encoder)
            return leave_plain(beneath, coding);
    }
    if (weaken_tag(reeve_filter_environ(beneath), coding->headers) == -1)
        return -1;
    reeve_headers_remove(coding->headers, "Content-Length");
    reeve_headers_remove(coding->headers, "Accept-Ranges");
    reeve_headers_set(coding->headers, "Content-Encoding", "gzip");
    coding->status = NULL;
    coding->is_compressed = true;
    if (reeve_filter_start(beneath, status, coding->headers) == -1)
        return -1;
    return pass_held(beneath, coding, compress_piece);
}

static void forget(struct coding *coding)
{
    drop_held(coding);
    if (coding->encoder)
        encoder_give(coding->gzip->encoders, coding->encoder);
    coding->encoder = NULL;
    coding->is_compressed = false;
    coding->status = NULL;
}

static bool is_wanted(const struct coding *coding, const char *status)
{
    return coding->wish != NEGOTIATION_PLAIN && !is_code(status, "304") && !is_code(status, "206");
}

static size_t least(const struct coding *coding)
{
    return coding->wish == NEGOTIATION_REFUSED ? 1 : coding->gzip->min_size;
}

/* ---- the filter ---- */

static int on_start(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                    void *state)
{
    struct coding *coding = state;
    reeve_environ *request = reeve_filter_environ(beneath);
    const char *length;

    forget(coding);
    if (!is_eligible(coding, status, headers)) {
        reeve_filter_remove(beneath);
        return reeve_filter_start(beneath, status, headers);
    }
    coding->headers = reeve_headers_copy(request, headers, 2);
    if (!coding->headers || reeve_headers_vary(request, coding->headers, "Accept-Encoding") == -1)
        return -1;
    coding->status = reeve_strdup(request, status);
    if (!coding->status)
        return -1;
    /* A 304's tag has to be the one that the client has. */
    if (coding->wish != NEGOTIATION_PLAIN && is_code(status, "304") &&
        weaken_tag(request, coding->headers) == -1)
        return -1;
    if (!is_wanted(coding, status))
        return leave_plain(beneath, coding);
    length = reeve_headers_find(headers, "Content-Length");
    if (!length)
        return 0;
    return strtoull(length, NULL, 10) < least(coding) ? leave_plain(beneath, coding)
                                                      : begin_compressed(beneath, coding);
}

/* Without a body that is long enough yet. False when it is now. */
static bool hold(struct coding *coding, const struct iovec *pieces, int count)
{
    size_t size = coding->held_size;

    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size >= least(coding))
        return false;
    if (!coding->held)
        coding->held = malloc(coding->gzip->min_size);
    if (!coding->held)
        return false; /* and so it is not held */
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len > 0)
            memcpy(coding->held + coding->held_size, pieces[i].iov_base, pieces[i].iov_len);
        coding->held_size += pieces[i].iov_len;
    }
    return true;
}

static int on_write(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    struct coding *coding = state;

    if (coding->status) {
        if (hold(coding, pieces, count))
            return 0;
        if (begin_compressed(beneath, coding) == -1)
            return -1;
        if (!coding->is_compressed)
            return reeve_filter_write(beneath, pieces, count);
    }
    for (int i = 0; i < count; i++)
        if (compress_piece(beneath, coding, pieces[i].iov_base, pieces[i].iov_len) == -1)
            return -1;
    return 0;
}

/* To HEAD: nobody has to read a file to drop it. */
static int on_head_file(reeve_beneath *beneath, int fd, off_t offset, size_t size, void *state)
{
    struct coding *coding = state;
    int result = 0;

    if (coding->status)
        result = coding->held_size + size < least(coding) ? leave_plain(beneath, coding)
                                                          : begin_compressed(beneath, coding);
    return result == -1 ? -1 : reeve_filter_send_file(beneath, fd, offset, size);
}

static int on_flush(reeve_beneath *beneath, void *state)
{
    struct coding *coding = state;

    if (coding->status && begin_compressed(beneath, coding) == -1)
        return -1;
    if (coding->encoder && encoder_flush(coding->encoder, pass_output, beneath) == -1)
        return -1;
    return reeve_filter_flush(beneath);
}

static int on_end(reeve_beneath *beneath, void *state)
{
    struct coding *coding = state;

    if (coding->status)
        return leave_plain(beneath, coding);
    if (coding->encoder)
        return encoder_end(coding->encoder, pass_output, beneath);
    /* To HEAD: how long the body would be is not known, and must not be guessed. */
    return reeve_filter_flush(beneath);
}

static void on_close(void *state)
{
    forget(state);
}

static const reeve_filter compressing = {.on_start = on_start,
                                         .on_write = on_write,
                                         .on_flush = on_flush,
                                         .on_end = on_end,
                                         .on_close = on_close};
static const reeve_filter compressing_head = {.on_start = on_start,
                                              .on_write = on_write,
                                              .on_file = on_head_file,
                                              .on_flush = on_flush,
                                              .on_end = on_end,
                                              .on_close = on_close};

/* ---- the middleware ---- */

static int call(reeve_environ *request, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    struct coding *coding = reeve_alloc(request, sizeof *coding);

    if (!coding)
        return -1;
    *coding = (struct coding){
        .gzip = state,
        .wish = negotiation_gzip(reeve_request_header(request, "Accept-Encoding")),
        .is_head = strcmp(reeve_method(request), "HEAD") == 0,
    };
    if (reeve_filter_push(request, coding->is_head ? &compressing_head : &compressing, coding) ==
        -1)
        return -1;
    return reeve_next_call(next, request, start_response);
}

static void free_gzip(void *state)
{
    struct gzip *gzip = state;

    if (gzip->encoders)
        encoder_pool_free(gzip->encoders);
    free(gzip->types);
    free(gzip);
}

static int check(reeve_module *module, const reeve_gzip *options)
{
    if (options->min_size > MIN_SIZE_MOST)
        return middleware_refuse(module, "gzip: min_size is at most %u", MIN_SIZE_MOST);
    if (options->level > 9)
        return middleware_refuse(module, "gzip: level is from 1 to 9");
    for (const char *const *type = options->types; type && *type; type++)
        if (!strchr(*type, '/') || strpbrk(*type, " \t;,*"))
            return middleware_refuse(
                module, "gzip: \"%s\" is no type: \"text/html\", or \"text/\" for all of a kind",
                *type);
    return 0;
}

int reeve_gzip_new(reeve_module *module, const reeve_gzip *options,
                   reeve_middleware *middleware_out)
{
    static const char *const none[] = {NULL};
    struct gzip *gzip;

    if (check(module, options) == -1)
        return -1;
    gzip = calloc(1, sizeof *gzip);
    if (!gzip)
        return middleware_out_of_memory(module);
    gzip->common.free = free_gzip;
    gzip->min_size = options->min_size ? options->min_size : MIN_SIZE;
    gzip->types = middleware_copy_list(options->types ? options->types : none);
    gzip->encoders = encoder_pool_new((int)(options->level ? options->level : LEVEL),
                                      options->most ? options->most : MOST);
    if (!gzip->types || !gzip->encoders) {
        free_gzip(gzip);
        return middleware_out_of_memory(module);
    }
    *middleware_out = (reeve_middleware){.call = call, .state = gzip};
    return 0;
}
