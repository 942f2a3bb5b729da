/* head.c: a complete head, from bytes to a checked struct head.
 *
 * http-parser takes the head apart; what it lets through is checked as its callbacks name the
 * parts, and what concerns the whole afterwards. Framing is decided here, strictly, and never by
 * http-parser. Nothing is copied and no memory taken. */
#include "http/head.h"

#include <string.h>
#include <strings.h>

#include "http/chars.h"
#include "http/uri.h"

/* One parse, as the callbacks see it. */
struct parse {
    struct head *head;
    char *data;             /* of the head; spans from http-parser point into it */
    unsigned room;          /* in head->fields */
    int status;             /* what to refuse it with, once that is known */
    struct span host;       /* of the Host line; data is NULL before one came */
    bool has_coding;        /* a Transfer-Encoding */
    bool is_coding_unknown; /* of tokens other than a last `chunked` */
    bool says_close, says_keep_alive, says_upgrade; /* Connection options */
    bool has_upgrade, has_expect;
};

static int refuse(struct parse *parse, int status)
{
    parse->status = status;
    return -1;
}

/* Writes the NUL that a span is promised, over a delimiter that http-parser has passed. */
static struct span terminated(struct parse *parse, const char *at, size_t length)
{
    if (length == 0)
        return (struct span){"", 0}; /* what follows it may be a byte still to be parsed */
    parse->data[(size_t)(at - parse->data) + length] = '\0';
    return (struct span){at, length};
}

static bool equals(struct span span, const char *lower, size_t length)
{
    return span.length == length && char_equals_lower(span.data, lower, length);
}
#define EQUALS(span, literal) equals(span, literal, sizeof literal - 1)

/* Lists */

/* Takes the next member off a comma-separated list, without white space around it (RFC 9110
 * section 5.6.1); empty members are returned too. False at the end. */
static bool next_member(struct span *list, struct span *member_out)
{
    if (!list->data)
        return false;
    const char *at = list->data, *end = at + list->length;
    const char *comma = memchr(at, ',', list->length);
    const char *stop = comma ? comma : end;

    *list = comma ? (struct span){comma + 1, (size_t)(end - comma - 1)} : (struct span){0};
    while (at < stop && (*at == ' ' || *at == '\t'))
        at++;
    while (at < stop && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    *member_out = (struct span){at, (size_t)(stop - at)};
    return true;
}

/* The lines that the server itself understands */

static int take_host(struct parse *parse, struct span value)
{
    /* RFC 9112 section 3.2: two, or one that is no host, must be refused. */
    if (parse->host.data || !uri_is_authority(value.data, value.length))
        return refuse(parse, 400);
    parse->host = value;
    return 0;
}

static int take_expect(struct parse *parse, struct span value)
{
    if (parse->head->minor == 0) /* RFC 9110 section 10.1.1 */
        return 0;
    if (!EQUALS(value, "100-continue"))
        return refuse(parse, 417);
    parse->has_expect = true;
    return 0;
}

static int take_upgrade(struct parse *parse, struct span value)
{
    if (value.length > 0)
        parse->has_upgrade = true;
    return 0;
}

static int take_connection(struct parse *parse, struct span value)
{
    struct span option;

    while (next_member(&value, &option)) {
        if (EQUALS(option, "close"))
            parse->says_close = true;
        else if (EQUALS(option, "keep-alive"))
            parse->says_keep_alive = true;
        else if (EQUALS(option, "upgrade"))
            parse->says_upgrade = true;
    }
    return 0;
}

static int take_content_length(struct parse *parse, struct span value)
{
    uint64_t length = 0;

    /* Twice the same is allowed to be taken as one (RFC 9110 section 8.6); no client sends that. */
    if (parse->head->has_length || value.length == 0)
        return refuse(parse, 400);
    for (size_t i = 0; i < value.length; i++) {
        unsigned digit = (unsigned)(unsigned char)value.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, digit, &length))
            return refuse(parse, 400);
    }
    parse->head->has_length = true;
    parse->head->content_length = length;
    return 0;
}

/* Codings that are not known before at most one last `chunked`; anything less is malformed. */
static bool is_coding_list(struct span list)
{
    struct span coding;
    bool is_chunked = false;

    while (next_member(&list, &coding)) {
        if (is_chunked || !char_is_token(coding.data, coding.length))
            return false;
        is_chunked = EQUALS(coding, "chunked");
    }
    return true;
}

static int take_transfer_encoding(struct parse *parse, struct span value)
{
    /* One line that says `chunked` and nothing else: every variation is somebody's smuggling. */
    if (parse->has_coding || !is_coding_list(value))
        return refuse(parse, 400);
    parse->has_coding = true;
    parse->is_coding_unknown = !EQUALS(value, "chunked");
    return 0;
}

/* Their lengths are all different, so a name's length is its place here. */
static const struct {
    const char *name;
    int (*take)(struct parse *parse, struct span value);
} known_lines[] = {
    [4] = {"host", take_host},
    [6] = {"expect", take_expect},
    [7] = {"upgrade", take_upgrade},
    [10] = {"connection", take_connection},
    [14] = {"content-length", take_content_length},
    [17] = {"transfer-encoding", take_transfer_encoding},
};

static int take_if_known(struct parse *parse, const struct head_field *field)
{
    size_t length = field->name.length;

    if (length >= sizeof known_lines / sizeof *known_lines || !known_lines[length].name ||
        !char_equals_lower(field->name.data, known_lines[length].name, length))
        return 0;
    return known_lines[length].take(parse, field->value);
}

/* The target */

/* Path and query; of an absolute target what follows its authority. */
static bool split_path(struct head *head, struct span rest)
{
    const char *mark = memchr(rest.data, '?', rest.length);
    const char *end = rest.data + rest.length;

    head->path = (struct span){rest.data, mark ? (size_t)(mark - rest.data) : rest.length};
    head->query = mark ? (struct span){mark + 1, (size_t)(end - mark - 1)} : (struct span){"", 0};
    if (head->path.length == 0) /* RFC 9110 section 4.2.3: the same as "/" */
        head->path = (struct span){"/", 1};
    return true;
}

static size_t scheme_length(struct span target)
{
    if (target.length > 7 && char_equals_lower(target.data, "http://", 7))
        return 7;
    if (target.length > 8 && char_equals_lower(target.data, "https://", 8))
        return 8;
    return 0;
}

/* RFC 9112 section 3.2.2. Userinfo is refused with all else that is no host and port. */
static bool split_absolute(struct head *head)
{
    size_t scheme = scheme_length(head->target);
    if (scheme == 0)
        return false;
    const char *host = head->target.data + scheme;
    const char *end = head->target.data + head->target.length, *path = host;

    while (path < end && *path != '/' && *path != '?')
        path++;
    head->form = TARGET_ABSOLUTE;
    head->host = (struct span){host, (size_t)(path - host)};
    return uri_is_authority(host, head->host.length) && uri_is_target(path, (size_t)(end - path)) &&
           split_path(head, (struct span){path, (size_t)(end - path)});
}

/* Finds the form and checks what head_scan left unchecked. */
static bool split_target(struct head *head)
{
    struct span target = head->target;

    if (target.data[0] == '/') {
        head->form = TARGET_ORIGIN;
        return split_path(head, target);
    }
    if (target.length == 1 && target.data[0] == '*') {
        head->form = TARGET_ASTERISK;
        head->path = target;
        return head->method == HTTP_OPTIONS; /* RFC 9112 section 3.2.4 */
    }
    return split_absolute(head);
}

/* http-parser's callbacks. It gets each head in one piece and without folded lines, so each span
 * comes whole, and once. */

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct parse *parse = parser->data;
    struct head *head = parse->head;

    head->method = (enum http_method)parser->method;
    if (head->method == HTTP_CONNECT) /* whose target has a form of its own; this is no proxy */
        return refuse(parse, 501);
    head->target = terminated(parse, at, length);
    return split_target(head) ? 0 : refuse(parse, 400);
}

static int on_header_field(http_parser *parser, const char *at, size_t length)
{
    struct parse *parse = parser->data;
    struct head *head = parse->head;

    /* White space in or behind a name is for http-parser a matter of taste (RFC 9112 5.1). */
    if (head->field_count == parse->room || !char_is_token(at, length))
        return refuse(parse, 400);
    head->minor = parser->http_minor > 0;
    head->fields[head->field_count].name = terminated(parse, at, length);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t length)
{
    struct parse *parse = parser->data;
    struct head_field *field = &parse->head->fields[parse->head->field_count++];

    while (length && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    field->value = terminated(parse, at, length);
    return take_if_known(parse, field);
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
};

/* http-parser's own limit counts all bytes since its initialisation, is one for the process and
 * cannot tell 414 from 431. head_scan has applied the real ones, so it is moved out of the way. */
static void raise_parser_limit(size_t length)
{
    if (length >= HTTP_MAX_HEADER_SIZE)
        http_parser_set_max_header_size(INT32_MAX);
}

/* What http-parser's verdict means for a head of which no callback complained. */
static int parser_status(const http_parser *parser, size_t taken, size_t length)
{
    switch (HTTP_PARSER_ERRNO(parser)) {
    case HPE_OK:
        return taken == length ? 0 : 400;
    case HPE_INVALID_METHOD:
        return 501; /* head_scan has found the request line well-formed */
    case HPE_INVALID_TRANSFER_ENCODING:
        return 0; /* raised when all lines have been seen: check_framing says which status */
    default:
        return 400;
    }
}

/* Where the body ends must be beyond doubt (RFC 9112 section 6.3). */
static int check_framing(const struct parse *parse)
{
    struct head *head = parse->head;

    if (!parse->has_coding)
        return 0;
    if (head->minor == 0 || head->has_length)
        return 400;
    if (parse->is_coding_unknown)
        return 501;
    head->is_chunked = true;
    return 0;
}

static int check_host(const struct parse *parse)
{
    struct head *head = parse->head;

    if (!parse->host.data)
        return head->minor > 0 ? 400 : 0;
    if (head->form != TARGET_ABSOLUTE)
        head->host = parse->host;
    return 0;
}

static void conclude(const struct parse *parse)
{
    struct head *head = parse->head;
    bool has_body = head->is_chunked || head->content_length > 0;

    head->is_keep_alive = !parse->says_close && (head->minor > 0 || parse->says_keep_alive);
    head->expects_continue = parse->has_expect && has_body;
    /* An HTTP/1.0 client's Upgrade must be ignored (RFC 9110 section 7.8). */
    head->is_upgrade = head->minor > 0 && parse->has_upgrade && parse->says_upgrade;
}

int head_parse(struct head *head, const struct head_scan *scan, char *data,
               struct head_field *fields, const struct head_limits *limits)
{
    size_t length = scan->length - scan->begin;
    struct parse parse = {.head = head, .data = data + scan->begin, .room = scan->lines};
    http_parser parser;
    int status;

    (void)limits; /* all of them were applied as the bytes came */
    *head = (struct head){.fields = fields, .query = {"", 0}, .host = {"", 0}};
    parser.data = &parse;
    http_parser_init(&parser, HTTP_REQUEST);
    raise_parser_limit(length);
    size_t taken = http_parser_execute(&parser, &callbacks, parse.data, length);
    head->minor = parser.http_minor > 0;

    status = parse.status ? parse.status : parser_status(&parser, taken, length);
    if (!status)
        status = check_framing(&parse);
    if (!status)
        status = check_host(&parse);
    if (!status)
        conclude(&parse);
    return status;
}

const struct head_field *head_find(const struct head *head, const char *name, unsigned from)
{
    size_t length = strlen(name);

    for (unsigned i = from; i < head->field_count; i++) {
        const struct head_field *field = &head->fields[i];
        if (field->name.length == length && strncasecmp(field->name.data, name, length) == 0)
            return field;
    }
    return NULL;
}
