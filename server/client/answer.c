/* answer.c: see answer.h. http-parser takes the head apart; framing is decided here. */
#include "client/answer.h"

#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "http/chars.h"

#define VERSION        "HTTP/1."
#define VERSION_LENGTH 7
#define STATUS_AT      9  /* behind "HTTP/1.1 " */
#define REASON_AT      12 /* behind "HTTP/1.1 200" */

enum { MORE = 0, LINE = 1, DONE = 200 };

static int refuse(int error)
{
    errno = error;
    return -1;
}

/* ---- finding the end ---- */

/* status-line; the space before an empty reason is often forgotten, and nobody misses it. */
static bool is_status_line(const char *line, size_t length)
{
    if (length < REASON_AT || !char_is_digit(line[VERSION_LENGTH]) || line[STATUS_AT - 1] != ' ')
        return false;
    if (line[STATUS_AT] < '1' || line[STATUS_AT] > '5' || !char_is_digit(line[STATUS_AT + 1]) ||
        !char_is_digit(line[STATUS_AT + 2]))
        return false;
    return length == REASON_AT || line[REASON_AT] == ' ';
}

static bool fits_status_line(char c, size_t at)
{
    return at < VERSION_LENGTH ? c == VERSION[at] : char_is(c, CHAR_TEXT);
}

static int scan_status_line(struct head_scan *scan, const char *data, size_t end)
{
    size_t at = scan->seen;

    while (at < end && fits_status_line(data[at], at))
        at++;
    scan->seen = at;
    if (at == end)
        return MORE;
    if (data[at] != '\r')
        return refuse(EBADMSG);
    if (at + 1 == end)
        return MORE;
    if (data[at + 1] != '\n' || !is_status_line(data, at))
        return refuse(EBADMSG);
    scan->has_line = true;
    scan->next = at + 2;
    scan->seen = 0;
    return LINE;
}

int answer_scan(struct head_scan *scan, const char *data, size_t length, size_t max_head)
{
    const struct head_limits limits = {.max_head = max_head, .max_headers = ANSWER_LINES};
    size_t end = length < max_head ? length : max_head;
    int result = LINE;

    if (!scan->has_line)
        result = scan_status_line(scan, data, end);
    if (result == MORE)
        return end == max_head ? refuse(EMSGSIZE) : MORE;
    if (result == -1)
        return -1;
    result = head_scan(scan, data, length, &limits);
    if (result == MORE || result == DONE)
        return result;
    return refuse(result == 431 ? EMSGSIZE : EBADMSG);
}

/* ---- the lines that framing depends on ---- */

struct parse {
    struct reeve_client_response *answer;
    unsigned room;
    bool has_coding;
    bool says_close, says_keep_alive;
};

static bool equals(struct span span, const char *lower)
{
    size_t length = strlen(lower);

    return span.length == length && char_equals_lower(span.data, lower, length);
}

/* The next member of a list, without white space around it; false at the end. */
static bool next_member(struct span *list, struct span *member_out)
{
    const char *at = list->data, *end, *stop;

    if (!at)
        return false;
    end = at + list->length;
    stop = memchr(at, ',', list->length);
    *list = stop ? (struct span){stop + 1, (size_t)(end - stop - 1)} : (struct span){0};
    stop = stop ? stop : end;
    while (at < stop && (*at == ' ' || *at == '\t'))
        at++;
    while (at < stop && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    *member_out = (struct span){at, (size_t)(stop - at)};
    return true;
}

static bool take_number(struct span digits, uint64_t *number_out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits.length; i++)
        if (!char_is_digit(digits.data[i]) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (unsigned)(digits.data[i] - '0'), &number))
            return false;
    *number_out = number;
    return digits.length > 0;
}

static int take_connection(struct parse *parse, struct span value)
{
    struct span option;

    while (next_member(&value, &option)) {
        parse->says_close |= equals(option, "close");
        parse->says_keep_alive |= equals(option, "keep-alive");
    }
    return 0;
}

/* Once (RFC 9110, section 8.6), and small enough to be an off_t. */
static int take_content_length(struct parse *parse, struct span value)
{
    struct head *head = &parse->answer->head;

    if (head->has_length || !take_number(value, &head->content_length) ||
        head->content_length > INT64_MAX)
        return -1;
    head->has_length = true;
    return 0;
}

/* No other coding was asked for. */
static int take_transfer_encoding(struct parse *parse, struct span value)
{
    if (parse->has_coding || !equals(value, "chunked"))
        return -1;
    parse->has_coding = true;
    return 0;
}

/* "timeout=5, max=100": what is not understood says nothing. */
static int take_keep_alive(struct parse *parse, struct span value)
{
    struct reeve_client_response *answer = parse->answer;
    struct span member;
    uint64_t seconds;

    while (next_member(&value, &member)) {
        if (member.length <= 8 || !char_equals_lower(member.data, "timeout=", 8) ||
            !take_number((struct span){member.data + 8, member.length - 8}, &seconds))
            continue;
        answer->has_keep_alive = true;
        answer->keep_alive = seconds < 3600 ? (unsigned)seconds : 3600;
    }
    return 0;
}

static const struct {
    const char *name;
    int (*take)(struct parse *parse, struct span value);
} known_lines[] = {
    {"connection", take_connection},
    {"content-length", take_content_length},
    {"transfer-encoding", take_transfer_encoding},
    {"keep-alive", take_keep_alive},
};

static int take_if_known(struct parse *parse, const struct head_field *field)
{
    for (size_t i = 0; i < sizeof known_lines / sizeof known_lines[0]; i++)
        if (equals(field->name, known_lines[i].name))
            return known_lines[i].take(parse, field->value);
    return 0;
}

/* ---- http-parser's callbacks: each span comes whole, and once ---- */

/* Writes the NUL that a span is promised, over a delimiter that http-parser has passed. */
static struct span terminated(const struct parse *parse, const char *at, size_t length)
{
    char *text = parse->answer->text;

    if (length == 0)
        return (struct span){"", 0}; /* what follows it may be a byte still to be parsed */
    text[(size_t)(at - text) + length] = '\0';
    return (struct span){at, length};
}

static int on_header_field(http_parser *parser, const char *at, size_t length)
{
    const struct parse *parse = parser->data;
    struct head *head = &parse->answer->head;

    if (head->field_count == parse->room || !char_is_token(at, length))
        return -1;
    head->fields[head->field_count].name = terminated(parse, at, length);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t length)
{
    struct parse *parse = parser->data;
    struct head *head = &parse->answer->head;
    struct head_field *field = &head->fields[head->field_count++];

    while (length && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    field->value = terminated(parse, at, length);
    return take_if_known(parse, field);
}

static const http_parser_settings callbacks = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
};

/* ---- the whole ---- */

static bool parse_text(struct parse *parse, size_t length)
{
    struct reeve_client_response *answer = parse->answer;
    http_parser parser;

    if (length >= HTTP_MAX_HEADER_SIZE) /* its own limit is one for the process; ours was applied */
        http_parser_set_max_header_size(INT32_MAX);
    http_parser_init(&parser, HTTP_RESPONSE);
    parser.data = parse;
    answer->status = (answer->text[STATUS_AT] - '0') * 100 +
                     (answer->text[STATUS_AT + 1] - '0') * 10 + (answer->text[STATUS_AT + 2] - '0');
    answer->head.minor = answer->text[VERSION_LENGTH] > '0';
    return http_parser_execute(&parser, &callbacks, answer->text, length) == length &&
           HTTP_PARSER_ERRNO(&parser) == HPE_OK;
}

/* Where the body ends has to be beyond doubt. */
static bool check_framing(const struct parse *parse)
{
    struct head *head = &parse->answer->head;

    head->is_keep_alive = !parse->says_close && (head->minor > 0 || parse->says_keep_alive);
    head->is_chunked = parse->has_coding;
    return !parse->has_coding || (head->minor > 0 && !head->has_length);
}

struct reeve_client_response *answer_parse(const struct head_scan *scan, const char *data)
{
    size_t fields = scan->lines * sizeof(struct head_field);
    struct reeve_client_response *answer = malloc(sizeof *answer + fields + scan->length + 1);
    struct parse parse = {.answer = answer, .room = scan->lines};

    if (!answer) {
        errno = ENOMEM;
        return NULL;
    }
    memset(answer, 0, sizeof *answer);
    answer->head.fields = answer->fields;
    answer->text = (char *)answer->fields + fields;
    memcpy(answer->text, data, scan->length);
    answer->text[scan->length] = '\0';
    if (parse_text(&parse, scan->length) && check_framing(&parse))
        return answer;
    free(answer);
    errno = EBADMSG;
    return NULL;
}

void answer_free(struct reeve_client_response *answer)
{
    if (answer)
        free(answer->body);
    free(answer);
}
