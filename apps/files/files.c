/* files: serves the files of a folder. Copy it for options, for state that requests share, and for
 * answers that depend on the request's headers.
 *
 *     option { root = "/srv/www"       the folder; required
 *              index = "index.html"    what stands for a folder
 *              listing = "off"         on: a folder without that file answers with its contents
 *              dotfiles = "off" }      on: names that begin with a dot are served, too
 *
 * This file decides what to answer. What leads out of the folder is the kernel's to refuse
 * (beneath.c); the logic of the If-* headers and of Range is in conditions.c and range.c, and
 * cache.c keeps files open. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <reeve/app.h>

#include "cache.h"
#include "conditions.h"
#include "escape.h"
#include "listing.h"
#include "range.h"
#include "site.h"

/* What every function below needs. Lives on the stack of the request's coroutine. */
struct exchange {
    reeve_environ *environ;
    reeve_start_response *start_response;
    const struct site *site;
    const char *path; /* PATH_INFO without its first slash: relative to the root */
};

static const reeve_header no_header = {NULL, NULL};

/* ---- short answers ---- */

static int answer(const struct exchange *x, const char *status, reeve_header header)
{
    const reeve_header type = {"Content-Type", "text/plain; charset=utf-8"};

    if (x->start_response(x->environ, status, REEVE_HEADERS(type, header)) != 0)
        return -1;
    if (reeve_write(x->environ, status, strlen(status)) != 0)
        return -1;
    return reeve_write(x->environ, "\n", 1);
}

/* What is no file to serve and what leads out of the root are alike to a client. */
static const char *status_of_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EXDEV:
    case ENXIO:
    case ENODEV:
        return "404 Not Found";
    case EACCES:
    case EPERM:
        return "403 Forbidden";
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return "503 Service Unavailable";
    default:
        return NULL;
    }
}

static int answer_error(const struct exchange *x, int error)
{
    const char *status = status_of_error(error);

    if (status != NULL)
        return answer(x, status, no_header);
    reeve_log(x->environ, REEVE_LOG_ERROR, "%s: %s", x->path, strerror(error));
    return -1;
}

/* The slash makes relative links on the folder's page work. One slash only begins the location, or
 * it would name another host. */
static int redirect_to_folder(const struct exchange *x)
{
    const char *script_name = reeve_environ_get(x->environ, "SCRIPT_NAME");
    const char *query = reeve_query(x->environ);
    const char *folder = reeve_printf(x->environ, "%s/%s%s", script_name == NULL ? "" : script_name,
                                      x->path, x->path[0] == '\0' ? "" : "/");
    const char *url = folder == NULL ? NULL : escape_url(x->environ, folder);
    const char *location =
        url == NULL ? NULL
                    : reeve_printf(x->environ, "%s%s%s", url, query[0] == '\0' ? "" : "?", query);

    if (location == NULL)
        return -1;
    return answer(x, "301 Moved Permanently", (reeve_header){"Location", location});
}

/* ---- a file ---- */

struct head {
    const char *status;
    const char *type;
    const char *length;
    const char *range; /* Content-Range, or NULL */
};

static int begin(const struct exchange *x, const struct file *file, const struct head *head)
{
    if (head->type == NULL || head->length == NULL) /* reeve_printf found no memory */
        return -1;
    return x->start_response(
        x->environ, head->status,
        REEVE_HEADERS({"Content-Type", head->type}, {"Content-Length", head->length},
                      {"Last-Modified", file->last_modified}, {"ETag", file->etag},
                      {"Accept-Ranges", "bytes"},
                      {head->range == NULL ? NULL : "Content-Range", head->range}));
}

static const char *number_text(const struct exchange *x, int64_t number)
{
    return reeve_printf(x->environ, "%" PRId64, number);
}

static int send_span(const struct exchange *x, const struct file *file, const struct range *span)
{
    size_t size = (size_t)range_size(span);

    if (file->contents != NULL)
        return reeve_write(x->environ, file->contents + span->first, size);
    return reeve_send_file(x->environ, file->fd, span->first, size);
}

static int answer_whole(const struct exchange *x, const struct file *file)
{
    struct head head = {"200 OK", file->type, file->length, NULL};
    struct range whole = {0, file->size - 1};

    if (begin(x, file, &head) != 0)
        return -1;
    return file->size == 0 ? 0 : send_span(x, file, &whole);
}

static const char *content_range(const struct exchange *x, const struct file *file,
                                 const struct range *range)
{
    return reeve_printf(x->environ, "bytes %" PRId64 "-%" PRId64 "/%s", range->first, range->last,
                        file->length);
}

static int answer_range(const struct exchange *x, const struct file *file,
                        const struct range *range)
{
    struct head head = {"206 Partial Content", file->type, number_text(x, range_size(range)),
                        content_range(x, file, range)};

    if (head.range == NULL || begin(x, file, &head) != 0)
        return -1;
    return send_span(x, file, range);
}

static int answer_unsatisfiable(const struct exchange *x, const struct file *file)
{
    const char *where = reeve_printf(x->environ, "bytes */%s", file->length);

    if (where == NULL)
        return -1;
    return answer(x, "416 Range Not Satisfiable", (reeve_header){"Content-Range", where});
}

/* ---- several ranges: multipart/byteranges, RFC 9110 section 14.6 ---- */

struct multipart {
    char boundary[33]; /* random, so that no file can hold it on purpose */
    const char *heads[RANGE_LIMIT];
    const char *tail;
    int64_t size; /* of the whole body */
};

static int make_boundary(char boundary_out[33])
{
    uint64_t random[2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -1;
    snprintf(boundary_out, 33, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    return 0;
}

static const char *part_head(const struct exchange *x, const struct file *file,
                             const struct multipart *body, const struct range *range)
{
    const char *where = content_range(x, file, range);

    if (where == NULL)
        return NULL;
    return reeve_printf(x->environ, "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
                        body->boundary, file->type, where);
}

/* All but the file's bytes is made first: Content-Length goes before it. */
static int prepare_parts(const struct exchange *x, const struct file *file,
                         const struct range_set *set, struct multipart *body_out)
{
    if (make_boundary(body_out->boundary) != 0)
        return -1;
    body_out->tail = reeve_printf(x->environ, "\r\n--%s--\r\n", body_out->boundary);
    if (body_out->tail == NULL)
        return -1;
    body_out->size = (int64_t)strlen(body_out->tail);
    for (size_t i = 0; i < set->count; i++) {
        const char *head = part_head(x, file, body_out, &set->items[i]);

        if (head == NULL)
            return -1;
        body_out->heads[i] = head;
        body_out->size += (int64_t)strlen(head) + range_size(&set->items[i]);
    }
    return 0;
}

static int send_parts(const struct exchange *x, const struct file *file,
                      const struct range_set *set, const struct multipart *body)
{
    for (size_t i = 0; i < set->count; i++)
        if (reeve_write(x->environ, body->heads[i], strlen(body->heads[i])) != 0 ||
            send_span(x, file, &set->items[i]) != 0)
            return -1;
    return reeve_write(x->environ, body->tail, strlen(body->tail));
}

static int answer_parts(const struct exchange *x, const struct file *file,
                        const struct range_set *set)
{
    struct multipart body;
    struct head head = {.status = "206 Partial Content"};

    if (prepare_parts(x, file, set, &body) != 0)
        return -1;
    head.type = reeve_printf(x->environ, "multipart/byteranges; boundary=%s", body.boundary);
    head.length = number_text(x, body.size);
    if (begin(x, file, &head) != 0)
        return -1;
    return send_parts(x, file, set, &body);
}

/* ---- which answer ---- */

/* Range is for GET alone (section 14.2), and If-Range may take it away. */
static enum range_verdict wanted_range(const struct exchange *x, const struct file *file,
                                       const struct validators *validators,
                                       struct range_set *set_out)
{
    const char *range = reeve_request_header(x->environ, "Range");
    const char *if_range;

    if (range == NULL || strcmp(reeve_method(x->environ), "GET") != 0)
        return RANGE_WHOLE;
    if_range = reeve_request_header(x->environ, "If-Range");
    if (if_range != NULL && !if_range_holds(if_range, validators, time(NULL)))
        return RANGE_WHOLE;
    return range_parse(range, file->size, set_out);
}

static int answer_file(const struct exchange *x, const struct file *file)
{
    struct validators validators = {file->etag, file->modified};
    struct conditions conditions = {
        .if_match = reeve_request_header(x->environ, "If-Match"),
        .if_unmodified_since = reeve_request_header(x->environ, "If-Unmodified-Since"),
        .if_none_match = reeve_request_header(x->environ, "If-None-Match"),
        .if_modified_since = reeve_request_header(x->environ, "If-Modified-Since"),
        .now = time(NULL),
    };
    struct range_set set;

    switch (conditions_check(&conditions, &validators)) {
    case CONDITION_FAILED:
        return answer(x, "412 Precondition Failed", no_header);
    case CONDITION_NOT_MODIFIED:
        return x->start_response(x->environ, "304 Not Modified",
                                 REEVE_HEADERS({"ETag", file->etag}));
    case CONDITION_HOLDS:
        break;
    }

    switch (wanted_range(x, file, &validators, &set)) {
    case RANGE_UNSATISFIABLE:
        return answer_unsatisfiable(x, file);
    case RANGE_PARTS:
        return set.count == 1 ? answer_range(x, file, &set.items[0]) : answer_parts(x, file, &set);
    case RANGE_WHOLE:
        break;
    }
    return answer_whole(x, file);
}

static int answer_and_release(const struct exchange *x, struct file *file)
{
    int result = answer_file(x, file);

    file_release(file);
    return result;
}

static int serve_file(const struct exchange *x)
{
    struct file *file = cache_open(x->site->cache, x->path);

    if (file != NULL)
        return answer_and_release(x, file);
    return errno == EISDIR ? redirect_to_folder(x) : answer_error(x, errno);
}

static int list_folder(const struct exchange *x)
{
    struct listing listing;
    int result;

    if (listing_read(&listing, x->site->root, x->path, x->site->has_dotfiles) != 0)
        return answer_error(x, errno);
    result = x->start_response(x->environ, "200 OK",
                               REEVE_HEADERS({"Content-Type", "text/html; charset=utf-8"}));
    if (result == 0)
        result = listing_write(&listing, x->environ);
    listing_fini(&listing);
    return result;
}

static int serve_folder(const struct exchange *x)
{
    const char *path = reeve_printf(x->environ, "%s%s", x->path, x->site->index);
    struct file *file = path == NULL ? NULL : cache_open(x->site->cache, path);

    if (file != NULL)
        return answer_and_release(x, file);
    return errno == ENOENT && x->site->has_listing ? list_folder(x) : answer_error(x, errno);
}

static bool is_method_served(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static int serve(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ);
    size_t length = strlen(path);
    struct exchange x = {.environ = environ,
                         .start_response = start_response,
                         .site = reeve_module_data(reeve_environ_module(environ)),
                         .path = path + strspn(path, "/")};

    if (!is_method_served(reeve_method(environ)))
        return answer(&x, "405 Method Not Allowed", (reeve_header){"Allow", "GET, HEAD"});
    if (strstr(path, "/.") != NULL && !x.site->has_dotfiles)
        return answer(&x, "404 Not Found", no_header);
    if (length == 0) /* the mount itself, without a slash */
        return redirect_to_folder(&x);
    return path[length - 1] == '/' ? serve_folder(&x) : serve_file(&x);
}

static int init(reeve_module *module)
{
    struct site *site = site_new(module);

    reeve_module_set_data(module, site);
    return site == NULL ? -1 : 0;
}

static void fini(reeve_module *module)
{
    site_free(reeve_module_data(module));
}

REEVE_APP(.name = "files", .version = "1.0.0", .init = init, .fini = fini, .application = serve);
