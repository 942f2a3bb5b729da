/* environ.c: the CGI variables of a request (PEP 3333, RFC 3875): found when they are asked for,
 * not made beforehand. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/generation.h"
#include "app/request.h"
#include "base/sock.h"
#include "base/version.h"
#include "http/uri.h"
#include "net/conn.h"
#include "net/listener.h"

/* An arena is a cache behind a const request: what is looked up twice is made once or twice,
 * invisibly. */
static struct arena *memory_of(const struct reeve_environ *request)
{
    return &((struct reeve_environ *)(uintptr_t)request)->arena;
}

static const char *copy(const struct reeve_environ *request, struct span text)
{
    return arena_copy(memory_of(request), text.data, text.length);
}

static const char *number(const struct reeve_environ *request, unsigned long long n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", n);

    return arena_copy(memory_of(request), digits, (size_t)length);
}

/* ---- headers ---- */

/* All values of fields from `first` on that have its name, joined (RFC 9110 section 5.3). */
static const char *join(const struct reeve_environ *request, const struct head_field *first)
{
    const struct head *head = &request->head;
    bool is_cookie = strcasecmp(first->name.data, "Cookie") == 0;
    const struct head_field *field = first;
    size_t size = 0;
    char *text, *p;

    while ((field = head_find(head, first->name.data, (unsigned)(field - head->fields) + 1)))
        size += field->value.length + 2;
    if (size == 0)
        return first->value.data;
    text = p = arena_alloc(memory_of(request), size + first->value.length + 1);
    if (!text)
        return NULL;
    for (field = first; field;
         field = head_find(head, first->name.data, (unsigned)(field - head->fields) + 1)) {
        if (field != first)
            p = stpcpy(p, is_cookie ? "; " : ", ");
        p = stpcpy(p, field->value.data);
    }
    return text;
}

const char *reeve_request_header(const reeve_environ *request, const char *name)
{
    const struct head_field *field = head_find(&request->head, name, 0);

    return field ? join(request, field) : NULL;
}

/* "ACCEPT_LANGUAGE" is "Accept-Language". A name with an underscore of its own is not shown: it
 * could pass for another's. */
static bool is_variable_of(const char *variable, const struct span *name)
{
    size_t i;

    for (i = 0; i < name->length && variable[i]; i++) {
        char c = name->data[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c == '_' || variable[i] != (c == '-' ? '_' : c))
            return false;
    }
    return !variable[i] && i == name->length;
}

static const char *header_variable(const struct reeve_environ *request, const char *variable)
{
    if (strcmp(variable, "CONTENT_TYPE") == 0 || strcmp(variable, "CONTENT_LENGTH") == 0)
        return NULL; /* these stand without HTTP_ (RFC 3875 section 4.1.18) */
    for (unsigned i = 0; i < request->head.field_count; i++)
        if (is_variable_of(variable, &request->head.fields[i].name))
            return join(request, &request->head.fields[i]);
    return NULL;
}

/* ---- the other variables, a function each ---- */

static const char *request_method(const struct reeve_environ *request)
{
    return http_method_str(request->head.method);
}

static const char *script_name(const struct reeve_environ *request)
{
    return copy(request, (struct span){request->path, request->mount_length});
}

static const char *path_info(const struct reeve_environ *request)
{
    return request->path + request->mount_length;
}

static const char *query_string(const struct reeve_environ *request)
{
    return request->head.query.data;
}

static const char *request_uri(const struct reeve_environ *request)
{
    return request->head.target.data;
}

static const char *content_type(const struct reeve_environ *request)
{
    return reeve_request_header(request, "Content-Type");
}

static const char *content_length(const struct reeve_environ *request)
{
    return request->head.has_length ? number(request, request->head.content_length) : NULL;
}

static const char *server_protocol(const struct reeve_environ *request)
{
    return request->head.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

static const char *server_software(const struct reeve_environ *request)
{
    (void)request;
    return "reeve/" REEVE_VERSION;
}

/* The length of the host in host[:port]; an IPv6 address has its brackets. */
static size_t host_length(const struct span *host)
{
    for (size_t i = host->length; i > 0; i--) {
        if (host->data[i - 1] == ':')
            return i - 1;
        if (host->data[i - 1] == ']')
            break;
    }
    return host->length;
}

static const char *server_name(const struct reeve_environ *request)
{
    const struct span *host = &request->head.host;

    return host->length ? copy(request, (struct span){host->data, host_length(host)}) : "localhost";
}

static const char *server_port(const struct reeve_environ *request)
{
    unsigned port = listener_port(conn_listener(request->conn));

    return port ? number(request, port) : "80"; /* a Unix socket has none */
}

static const char *remote_addr(const struct reeve_environ *request)
{
    char host[64];
    unsigned port;

    sock_peer_text(conn_peer(request->conn), host, sizeof host, &port);
    return arena_copy(memory_of(request), host, strlen(host));
}

static const char *remote_port(const struct reeve_environ *request)
{
    char host[64];
    unsigned port;

    sock_peer_text(conn_peer(request->conn), host, sizeof host, &port);
    return number(request, port);
}

const char *request_id_text(const struct reeve_environ *request)
{
    char text[17];

    snprintf(text, sizeof text, "%016llx", (unsigned long long)request->id);
    return arena_copy(memory_of(request), text, 16);
}

static const char *yes(const struct reeve_environ *request)
{
    (void)request;
    return "true";
}

static const char *no(const struct reeve_environ *request)
{
    (void)request;
    return "false";
}

static const char *http(const struct reeve_environ *request)
{
    (void)request;
    return "http";
}

static const struct variable {
    const char *name;
    const char *(*value)(const struct reeve_environ *request);
} variables[] = {
    {"REQUEST_METHOD", request_method},
    {"SCRIPT_NAME", script_name},
    {"PATH_INFO", path_info},
    {"QUERY_STRING", query_string},
    {"REQUEST_URI", request_uri},
    {"CONTENT_TYPE", content_type},
    {"CONTENT_LENGTH", content_length},
    {"SERVER_NAME", server_name},
    {"SERVER_PORT", server_port},
    {"SERVER_PROTOCOL", server_protocol},
    {"SERVER_SOFTWARE", server_software},
    {"GATEWAY_INTERFACE", NULL},
    {"REMOTE_ADDR", remote_addr},
    {"REMOTE_PORT", remote_port},
    {"REQUEST_ID", request_id_text},
    {"wsgi.url_scheme", http},
    {"wsgi.multiprocess", yes},
    {"wsgi.multithread", no},
    {"wsgi.run_once", no},
};

static const char *value_of(const struct variable *variable, const struct reeve_environ *request)
{
    return variable->value ? variable->value(request) : "CGI/1.1";
}

/* ---- looking up ---- */

static const struct override *find_override(const struct reeve_environ *request, const char *name)
{
    const struct override *override;

    SLIST_FOREACH (override, &request->overrides, entry)
        if (strcmp(override->name, name) == 0)
            return override;
    return NULL;
}

static const char *own_value(const struct reeve_environ *request, const char *name)
{
    if (strncmp(name, "HTTP_", 5) == 0)
        return header_variable(request, name + 5);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (strcmp(variables[i].name, name) == 0)
            return value_of(&variables[i], request);
    return NULL;
}

const char *reeve_environ_get(const reeve_environ *request, const char *name)
{
    const struct override *override = find_override(request, name);

    return override ? override->value : own_value(request, name);
}

int reeve_environ_set(reeve_environ *request, const char *name, const char *value)
{
    struct override *override = arena_alloc(&request->arena, sizeof *override);

    if (override)
        *override = (struct override){.name = reeve_strdup(request, name),
                                      .value = value ? reeve_strdup(request, value) : NULL};
    if (!override || !override->name || (value && !override->value)) {
        errno = ENOMEM;
        return -1;
    }
    SLIST_INSERT_HEAD(&request->overrides, override, entry); /* hides those before it */
    return 0;
}

/* "Accept-Language" as "HTTP_ACCEPT_LANGUAGE"; NULL for one that is not shown. */
static const char *variable_of(const struct reeve_environ *request, const struct span *name)
{
    char *text;

    if (memchr(name->data, '_', name->length) || strcasecmp(name->data, "Content-Type") == 0 ||
        strcasecmp(name->data, "Content-Length") == 0)
        return NULL;
    text = arena_alloc(memory_of(request), name->length + 6);
    if (!text)
        return NULL;
    memcpy(text, "HTTP_", 5);
    for (size_t i = 0; i < name->length; i++) {
        char c = name->data[i];

        text[5 + i] = c == '-' ? '_' : (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    text[5 + name->length] = '\0';
    return text;
}

typedef int each_variable(const char *name, const char *value, void *arg);

static int each_header(const struct reeve_environ *request, each_variable *each, void *arg)
{
    const struct head *head = &request->head;
    int result = 0;

    for (unsigned i = 0; i < head->field_count && !result; i++) {
        const struct head_field *field = &head->fields[i];
        const char *name = variable_of(request, &field->name);

        if (name && head_find(head, field->name.data, 0) == field && !find_override(request, name))
            result = each(name, join(request, field), arg);
    }
    return result;
}

static int each_override(const struct reeve_environ *request, each_variable *each, void *arg)
{
    const struct override *override;
    int result;

    SLIST_FOREACH (override, &request->overrides, entry)
        if (override->value && find_override(request, override->name) == override &&
            (result = each(override->name, override->value, arg)))
            return result;
    return 0;
}

int reeve_environ_each(const reeve_environ *request, each_variable *each, void *arg)
{
    int result;

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *name = variables[i].name, *value;

        value = find_override(request, name) ? NULL : value_of(&variables[i], request);
        if (value && (result = each(name, value, arg)))
            return result;
    }
    result = each_header(request, each, arg);
    return result ? result : each_override(request, each, arg);
}

static const char *get_or_empty(const struct reeve_environ *request, const char *name)
{
    const char *value = reeve_environ_get(request, name);

    return value ? value : "";
}

const char *reeve_method(const reeve_environ *request)
{
    return get_or_empty(request, "REQUEST_METHOD");
}

const char *reeve_path(const reeve_environ *request)
{
    return get_or_empty(request, "PATH_INFO");
}

const char *reeve_query(const reeve_environ *request)
{
    return get_or_empty(request, "QUERY_STRING");
}

const char *reeve_request_id(const reeve_environ *request)
{
    return get_or_empty(request, "REQUEST_ID");
}

int64_t reeve_content_length(const reeve_environ *request)
{
    if (request->head.is_chunked)
        return -1;
    return request->head.has_length ? (int64_t)request->head.content_length : 0;
}

/* ---- the query ---- */

/* Decodes [at, at + length) into the request's memory; NULL when it is badly escaped. */
static const char *decode(struct reeve_environ *request, const char *at, size_t length)
{
    char *text = arena_alloc(&request->arena, length + 1);

    return text && uri_decode_component(at, length, text) != -1 ? text : NULL;
}

const char *reeve_query_get(reeve_environ *request, const char *name)
{
    for (const char *at = reeve_query(request); *at; at += *at == '&') {
        size_t length = strcspn(at, "&"), name_length = strcspn(at, "=&");
        const char *key = decode(request, at, name_length);

        if (key && strcmp(key, name) == 0) {
            size_t skip = name_length + (name_length < length);

            return decode(request, at + skip, length - skip);
        }
        at += length;
    }
    return NULL;
}
