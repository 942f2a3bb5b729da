/* upload: a form in the browser, and files that come by it into a folder. Copy it for whatever
 * takes files: a body of any size passes in constant memory, and a file appears in the folder whole
 * or not at all, also when the client goes away or the disk gets full.
 *
 *     app "upload" { module = "build/apps/upload.so"  mount = "/upload"
 *                    option { folder = "/srv/incoming"  max_size = "100000000" } }
 *
 * max_size is that of one request, in bytes; "unlimited" is none, 32 MiB the default. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>
#include <reeve/form.h>

static const char *folder; /* the configuration's: lives as long as the module */
static uint64_t max_size;

static const char page[] =
    "<!DOCTYPE html>\n"
    "<title>Upload</title>\n"
    "<form method=\"post\" enctype=\"multipart/form-data\">\n"
    "<input type=\"file\" name=\"file\" multiple required> <button>Upload</button>\n"
    "</form>\n";

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *status,
                  const char *type, const char *body)
{
    if (start_response(environ, status,
                       REEVE_HEADERS({"Content-Type", type}, {"Cache-Control", "no-store"})) != 0)
        return -1;
    return reeve_write(environ, body, strlen(body));
}

static int answer_text(reeve_environ *environ, reeve_start_response *start_response,
                       const char *status, const char *text)
{
    return answer(environ, start_response, status, "text/plain; charset=utf-8", text);
}

/* What went wrong with a file that was there in whole: the client's matter, the disk's, or ours. */
static int answer_error(reeve_environ *environ, reeve_start_response *start_response, int error)
{
    switch (error) {
    case EEXIST:
        return answer_text(environ, start_response, "409 Conflict",
                           "There is a file of that name already.\n");
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return answer_text(environ, start_response, "507 Insufficient Storage",
                           "There is no room left for the file.\n");
    default:
        reeve_log(environ, REEVE_LOG_ERROR, "%s: %s", folder, strerror(error));
        return -1; /* 500: why is for the log, not for strangers */
    }
}

/* The client's own name for it could be "../../etc/passwd": what is used of it is only what is fit
 * for a name, and no quotes either, so that it can stand in JSON as it is. */
static int save(reeve_environ *environ, const reeve_part *part, const char **json)
{
    const char *name = reeve_part_safe_name(environ, part);
    const char *path = name ? reeve_printf(environ, "%s/%s", folder, name) : NULL;

    if (path == NULL) {
        errno = ENOMEM;
        return -1;
    }
    if (reeve_part_save(part, path, 0) != 0)
        return -1;
    *json = reeve_printf(environ, "%s%s{\"name\":\"%s\",\"size\":%" PRIu64 "}", *json,
                         **json ? "," : "", name, reeve_part_size(part));
    return *json == NULL ? -1 : 0;
}

static int receive(reeve_environ *environ, reeve_start_response *start_response)
{
    /* Where the files are to stay: then each has only to get its name in the end. */
    const reeve_form_limits *limits = REEVE_FORM_LIMITS(.folder = folder, .max_size = max_size);
    const reeve_part *part = NULL;
    const char *json = "";
    reeve_form *form;
    int status = reeve_form_read(environ, limits, &form);

    if (status != 0)
        return reeve_form_refuse(environ, start_response, status);
    while ((part = reeve_form_next(form, part)) != NULL) {
        const char *name = reeve_part_filename(part);

        if (name == NULL || *name == '\0') /* another field; or no file was chosen */
            continue;
        if (save(environ, part, &json) != 0)
            return answer_error(environ, start_response, errno);
    }
    json = reeve_printf(environ, "{\"files\":[%s]}\n", json);
    return json == NULL ? -1
                        : answer(environ, start_response, "201 Created", "application/json", json);
}

static int upload(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *method = reeve_method(environ);

    if (strcmp(method, "POST") == 0)
        return receive(environ, start_response);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return answer(environ, start_response, "200 OK", "text/html; charset=utf-8", page);
    if (start_response(environ, "405 Method Not Allowed",
                       REEVE_HEADERS({"Allow", "GET, HEAD, POST"})) != 0)
        return -1;
    return 0;
}

static int init(reeve_module *module)
{
    const char *size = reeve_option(module, "max_size");
    char *end = NULL;

    folder = reeve_option(module, "folder");
    if (folder == NULL)
        return reeve_refuse(module, "option { folder = \"...\" } is missing: where do files go?");
    if (access(folder, W_OK | X_OK) != 0)
        return reeve_refuse(module, "folder = \"%s\": %s", folder, strerror(errno));
    if (size != NULL && strcmp(size, "unlimited") == 0)
        max_size = REEVE_UNLIMITED;
    else if (size != NULL &&
             (*size == '-' || (max_size = strtoull(size, &end, 10)) == 0 || *end != '\0'))
        return reeve_refuse(module, "max_size = \"%s\" is neither a size nor \"unlimited\"", size);
    return 0;
}

REEVE_APP(.name = "upload", .version = "1.0.0", .application = upload, .init = init);
