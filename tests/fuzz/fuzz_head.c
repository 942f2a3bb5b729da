/* fuzz_head.c: any bytes as a head. The first byte of the input says where it is cut in two reads.
 *
 * Aborts when the verdict depends on the cut, when http-parser and the raw bytes disagree, or when
 * an accepted head breaks what head.h promises. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/chars.h"
#include "http/head.h"
#include "http/uri.h"

#define MAX_LINES 16

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static const struct head_limits limits = {1024, 256, MAX_LINES};

struct result {
    int status;
    struct head_scan scan;
    struct head head;
    struct head_field fields[MAX_LINES];
    char *data;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a buffer just as long, so that the sanitizer sees a look beyond it. */
static char *copy_of(const char *bytes, size_t length)
{
    char *copy = malloc(length ? length : 1);

    REQUIRE(copy);
    memcpy(copy, bytes, length);
    return copy;
}

static int scan_copy(struct head_scan *scan, const char *bytes, size_t length)
{
    char *copy = copy_of(bytes, length);
    int status = head_scan(scan, copy, length, &limits);

    free(copy);
    return status;
}

static void take(struct result *result, const char *bytes, size_t length, size_t split)
{
    *result = (struct result){0};
    result->status = scan_copy(&result->scan, bytes, split);
    if (!result->status)
        result->status = scan_copy(&result->scan, bytes, length);
    if (result->status != 200)
        return;
    result->data = copy_of(bytes, result->scan.length);
    int status = head_parse(&result->head, &result->scan, result->data, result->fields, &limits);
    result->status = status ? status : 200;
}

static void require_terminated(struct span span)
{
    REQUIRE(span.data && strlen(span.data) == span.length);
}

static void require_fields(const struct result *result)
{
    REQUIRE(result->head.field_count == result->scan.lines);
    for (unsigned i = 0; i < result->head.field_count; i++) {
        const struct head_field *field = &result->fields[i];
        require_terminated(field->name);
        require_terminated(field->value);
        REQUIRE(char_is_token(field->name.data, field->name.length));
        for (size_t k = 0; k < field->value.length; k++)
            REQUIRE(char_is(field->value.data[k], CHAR_TEXT));
    }
}

/* Against the raw bytes, in which the line is METHOD SP target SP HTTP/1.x CRLF. */
static void require_line(const struct head *head, const char *line)
{
    const char *method = http_method_str(head->method);
    size_t length = strlen(method);

    REQUIRE(strncmp(line, method, length) == 0 && line[length] == ' ');
    line += length + 1;
    REQUIRE(strncmp(line, head->target.data, head->target.length) == 0);
    REQUIRE(strncmp(line + head->target.length, " HTTP/1.", 8) == 0);
    REQUIRE((line[head->target.length + 8] != '0') == head->minor);
}

static void require_target(const struct head *head)
{
    require_terminated(head->target);
    require_terminated(head->query);
    REQUIRE(head->target.length <= limits.max_target);
    REQUIRE(head->path.length > 0);
    REQUIRE(uri_is_target(head->path.data, head->path.length));
    REQUIRE(uri_is_target(head->query.data, head->query.length));
    REQUIRE(head->form == TARGET_ASTERISK || *head->path.data == '/');
    REQUIRE(head->host.length ? uri_is_authority(head->host.data, head->host.length)
                              : head->minor == 0);
}

static void require_framing(const struct head *head)
{
    const struct head_field *coding = head_find(head, "Transfer-Encoding", 0);
    const struct head_field *length = head_find(head, "Content-Length", 0);

    REQUIRE(!(coding && length));
    REQUIRE(head->is_chunked == (coding != NULL));
    REQUIRE(head->has_length == (length != NULL));
    REQUIRE(!coding || strcasecmp(coding->value.data, "chunked") == 0);
    REQUIRE(head->content_length == (length ? strtoull(length->value.data, NULL, 10) : 0));
}

static void require_promises(const struct result *result, const char *bytes)
{
    REQUIRE(result->scan.length <= limits.max_head);
    REQUIRE(memcmp(bytes + result->scan.length - 4, "\r\n\r\n", 4) == 0);
    require_fields(result);
    require_line(&result->head, bytes + result->scan.begin);
    require_target(&result->head);
    require_framing(&result->head);
}

static void decode_parts(const struct head *head)
{
    char path[1024], query[1024];
    ssize_t length = uri_decode_path(head->path.data, head->path.length, path);

    REQUIRE(length <= (ssize_t)head->path.length);
    REQUIRE(length == -1 || strlen(path) == (size_t)length);
    length = uri_decode_component(head->query.data, head->query.length, query);
    REQUIRE(length == -1 || strlen(query) == (size_t)length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;

    if (size < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t length = size - 1;
    take(&whole, bytes, length, length);
    take(&cut, bytes, length, length ? *data % length : 0);
    REQUIRE(whole.status == cut.status);
    REQUIRE(whole.status != 200 || whole.scan.length == cut.scan.length);
    if (whole.status == 200) {
        require_promises(&whole, bytes);
        require_promises(&cut, bytes);
        decode_parts(&whole.head);
    }
    free(whole.data);
    free(cut.data);
    return 0;
}
