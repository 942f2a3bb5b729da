/* config_text.c: reads a configuration file and looks over its text, token by token as libconfuse's
 * lexer would cut it. It knows strings, comments, variables and braces, but no key and no value. */
#include "base/config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX  (1024 * 1024)
#define DEPTH_MAX 8

struct scan {
    struct config_text *text;
    const char *path;
    char **error_out;
    char *at; /* the byte to look at next; the text's NUL ends it */
    int line;
    int statement_line; /* of the word or string read last: where a section that opens now begins */
    int open_lines[DEPTH_MAX]; /* of the braces that are open */
    unsigned depth;
};

static int fail(struct scan *scan, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct scan *scan, int line, const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (asprintf(scan->error_out, "%s:%d: %s", scan->path, line, why) < 0)
        *scan->error_out = NULL;
    return -1;
}

/* ---- the file's bytes ---- */

/* All of it, or -1 with errno; EFBIG when it is larger than any configuration. */
static int read_all(struct config_text *text, int fd)
{
    size_t room = 4096;
    ssize_t n;

    do {
        if (text->bytes == NULL || text->length + 1 == room) {
            char *larger;

            if (text->length >= FILE_MAX) {
                errno = EFBIG;
                return -1;
            }
            room *= 2;
            larger = realloc(text->bytes, room);
            if (larger == NULL)
                return -1;
            text->bytes = larger;
        }
        n = read(fd, text->bytes + text->length, room - text->length - 1);
        if (n > 0)
            text->length += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    text->bytes[text->length] = '\0';
    return n < 0 ? -1 : 0;
}

static int read_file(struct scan *scan)
{
    const char *why = NULL;
    int fd = open(scan->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || read_all(scan->text, fd) != 0)
        why = errno == EISDIR ? "it is a folder" : strerror(errno);
    if (fd >= 0)
        close(fd);
    if (why == NULL)
        return 0;
    if (asprintf(scan->error_out, "%s: the configuration cannot be read: %s", scan->path, why) < 0)
        *scan->error_out = NULL;
    return -1;
}

/* A binary is refused before anything of it could end up in a message. */
static int check_bytes(struct scan *scan)
{
    const struct config_text *text = scan->text;
    int line = 1;

    for (size_t i = 0; i < text->length; i++) {
        unsigned char c = (unsigned char)text->bytes[i];

        if (c == '\n')
            line++;
        else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
            return fail(scan, line, "this is no text: there is a byte 0x%02x in it", c);
    }
    return 0;
}

/* ---- tokens ---- */

/* `open` is the line where something began whose end is looked for in vain. */
static int fail_unclosed(struct scan *scan, int open, const char *what)
{
    return fail(scan, open, "the %s that begins here is never closed", what);
}

static void blank_line_comment(struct scan *scan)
{
    while (*scan->at != '\0' && *scan->at != '\n')
        *scan->at++ = ' ';
}

static int blank_block_comment(struct scan *scan)
{
    const char *end = strstr(scan->at + 2, "*/");
    int open = scan->line;

    if (end == NULL)
        return fail_unclosed(scan, open, "comment");
    for (end += 2; scan->at < end; scan->at++) {
        if (*scan->at == '\n')
            scan->line++;
        else
            *scan->at = ' ';
    }
    return 0;
}

/* "${NAME}" or "${NAME:-default}": it is libconfuse that puts the value in; here it is made sure
 * that there is one. */
static int check_variable(struct scan *scan)
{
    const char *name = scan->at + 2, *end = name + strcspn(name, "}\"'\n");
    size_t length = (size_t)(end - name), name_length = strcspn(name, ":}");
    char *copy;
    bool is_set;

    if (*end != '}')
        return fail(scan, scan->line, "the \"}\" of a variable ${...} is missing");
    scan->at += 2 + length + 1;
    if (name_length < length && name[name_length + 1] == '-')
        return 0;
    copy = strndup(name, length);
    if (copy == NULL)
        return -1;
    is_set = getenv(copy) != NULL;
    if (!is_set)
        fail(scan, scan->line, "the environment variable \"%s\" is not set", copy);
    free(copy);
    return is_set ? 0 : -1;
}

static int skip_string(struct scan *scan)
{
    char quote = *scan->at++;

    while (*scan->at != quote) {
        if (*scan->at == '\\' && scan->at[1] != '\0' && scan->at[1] != '\n') {
            scan->at += 2;
        } else if (*scan->at == '\0' || *scan->at == '\n') {
            return fail(scan, scan->line, "the string is not closed on its line");
        } else if (quote == '"' && strncmp(scan->at, "${", 2) == 0) {
            if (check_variable(scan) != 0)
                return -1;
        } else {
            scan->at++;
        }
    }
    scan->at++;
    return 0;
}

static int note_section(struct scan *scan)
{
    struct config_text *text = scan->text;
    int *larger =
        realloc(text->section_lines, (text->section_count + 1) * sizeof *text->section_lines);

    if (larger == NULL)
        return -1;
    text->section_lines = larger;
    text->section_lines[text->section_count++] = scan->statement_line;
    return 0;
}

static int open_brace(struct scan *scan)
{
    if (scan->depth == DEPTH_MAX)
        return fail(scan, scan->line, "too many braces are open");
    if (scan->depth == 0 && note_section(scan) != 0)
        return -1;
    scan->open_lines[scan->depth++] = scan->line;
    scan->at++;
    return 0;
}

static int close_brace(struct scan *scan)
{
    if (scan->depth == 0)
        return fail(scan, scan->line, "unexpected \"}\"");
    scan->depth--;
    scan->at++;
    return 0;
}

/* One token, or one byte of white space or punctuation. */
static int scan_token(struct scan *scan)
{
    const char *at = scan->at;
    size_t word = strcspn(at, " #\"'\t\n\r={}()+,*");

    if (*at == '\n')
        scan->line++;
    if (*at == '#' || strncmp(at, "//", 2) == 0) {
        blank_line_comment(scan);
        return 0;
    }
    if (strncmp(at, "/*", 2) == 0)
        return blank_block_comment(scan);
    if (*at == '{')
        return open_brace(scan);
    if (*at == '}')
        return close_brace(scan);
    if (*at == '"' || *at == '\'') {
        scan->statement_line = scan->line;
        return skip_string(scan);
    }
    if (strncmp(at, "${", 2) == 0)
        return check_variable(scan);
    if (word > 0)
        scan->statement_line = scan->line;
    scan->at += word > 0 ? word : 1;
    return 0;
}

static int scan_text(struct scan *scan)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    scan->at = scan->text->bytes;
    if (strncmp(scan->at, byte_order_mark, 3) == 0)
        memset(scan->at, ' ', 3);
    while (*scan->at != '\0') {
        if (scan_token(scan) != 0)
            return -1;
    }
    if (scan->depth > 0)
        return fail_unclosed(scan, scan->open_lines[scan->depth - 1], "\"{\"");
    return 0;
}

int config_text_read(struct config_text *text, const char *path, char **error_out)
{
    struct scan scan = {.text = text, .path = path, .error_out = error_out, .line = 1};

    *text = (struct config_text){0};
    *error_out = NULL;
    if (read_file(&scan) == 0 && check_bytes(&scan) == 0 && scan_text(&scan) == 0)
        return 0;
    config_text_fini(text);
    if (*error_out == NULL)
        *error_out = strdup("out of memory");
    return -1;
}

void config_text_fini(struct config_text *text)
{
    free(text->bytes);
    free(text->section_lines);
    *text = (struct config_text){0};
}
