/* form_part.c: understands a part's headers strictly, and shows them to the application. */
#include "web/form_part.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"
#include "web/form_params.h"

#define SAFE_NAME_MAX 100

static const char malformed[] = "A part of the form has a malformed Content-Disposition.";

/* ---- headers ---- */

/* The value of a line if it has that name, else NULL. */
static const char *line_value(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    line += length + 1;
    return line + strspn(line, " \t");
}

static const char *find_line(const char *line, const char *name)
{
    for (; *line; line += strlen(line) + 1)
        if (line_value(line, name))
            return line;
    return NULL;
}

const char *reeve_part_header(const reeve_part *part, const char *name)
{
    const char *line = part->head ? find_line(part->head, name) : NULL;

    return line ? line_value(line, name) : NULL;
}

/* Of all lines; NULL also when more than one has that name, which is noted. */
static const char *only_value(const char *head, const char *name, bool *is_twice)
{
    const char *line = find_line(head, name);

    if (!line)
        return NULL;
    *is_twice |= find_line(line + strlen(line) + 1, name) != NULL;
    return line_value(line, name);
}

/* The lines without white space at their ends. Returns what is behind them. */
static char *copy_lines(const char *head, size_t head_length, char *out)
{
    for (const char *line = head, *end = head + head_length; line < end; line += strlen(line) + 1) {
        size_t length = strlen(line);

        while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
            length--;
        memcpy(out, line, length);
        out[length] = '\0';
        out += length + 1;
    }
    *out = '\0';
    return out + 1;
}

/* ---- Content-Disposition ---- */

/* The parameters that count, in memory that has room for all of them. */
struct disposition {
    const char *name, *filename, *extended;
    char *room;
};

static bool take_text(const struct param *param, const char **text, struct disposition *to)
{
    size_t length = param_value(param, true, to->room);

    if (*text)
        return false; /* twice */
    *text = to->room;
    to->room += length + 1;
    return true;
}

static bool take_extended(const struct param *param, struct disposition *to)
{
    ssize_t length = param_extended(param, to->room);

    if (to->extended || length == -1)
        return false;
    to->extended = to->room;
    to->room += length + 1;
    return true;
}

static bool take_param(const struct param *param, struct disposition *to)
{
    if (param_is(param, "name"))
        return take_text(param, &to->name, to);
    if (param_is(param, "filename"))
        return take_text(param, &to->filename, to);
    return !param_is(param, "filename*") || take_extended(param, to);
}

static bool read_disposition(const char *text, struct disposition *to)
{
    static const char kind[] = "form-data";
    struct param param;
    int got;

    if (!text || strncasecmp(text, kind, sizeof kind - 1) != 0)
        return false;
    text += sizeof kind - 1;
    while ((got = param_next(&text, &param)) == 1)
        if (!take_param(&param, to))
            return false;
    return got == 0;
}

/* ---- the whole ---- */

static bool is_encoded(const char *encoding)
{
    return encoding && strcasecmp(encoding, "binary") != 0 && strcasecmp(encoding, "8bit") != 0 &&
           strcasecmp(encoding, "7bit") != 0;
}

static int refuse(int status, const char *error, const char **error_out)
{
    *error_out = error;
    return status;
}

int part_describe(struct reeve_part *part, const char *head, size_t head_length, char *memory,
                  const char **error_out)
{
    struct disposition found = {.room = copy_lines(head, head_length, memory)};
    bool is_twice = false;
    const char *disposition = only_value(memory, "Content-Disposition", &is_twice);
    const char *type = only_value(memory, "Content-Type", &is_twice);
    const char *encoding = only_value(memory, "Content-Transfer-Encoding", &is_twice);

    if (is_twice)
        return refuse(400, "A part of the form has a header twice.", error_out);
    if (!read_disposition(disposition, &found))
        return refuse(400, malformed, error_out);
    if (!found.name)
        return refuse(400, "A part of the form has no name.", error_out);
    if (type && strncasecmp(type, "multipart/", 10) == 0)
        return refuse(415, "A part of the form has parts of its own.", error_out);
    if (is_encoded(encoding))
        return refuse(415, "A part of the form has a transfer encoding.", error_out);
    *part = (struct reeve_part){.name = found.name,
                                .filename = found.extended ? found.extended : found.filename,
                                .type = type && *type ? type : "text/plain",
                                .head = memory,
                                .fd = -1};
    return 0;
}

/* ---- for the application ---- */

const char *reeve_part_name(const reeve_part *part)
{
    return part->name;
}

const char *reeve_part_filename(const reeve_part *part)
{
    return part->filename;
}

const char *reeve_part_type(const reeve_part *part)
{
    return part->type;
}

uint64_t reeve_part_size(const reeve_part *part)
{
    return part->size;
}

const char *reeve_part_data(const reeve_part *part)
{
    return part->data ? part->data : part->fd == -1 ? "" : NULL;
}

int reeve_part_fd(const reeve_part *part)
{
    return part->fd;
}

static bool is_safe(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

/* Behind the last slash of either kind, and behind dots. */
static const char *last_name(const char *path)
{
    for (const char *p = path; *p; p++)
        if (*p == '/' || *p == '\\')
            path = p + 1;
    return path + strspn(path, ".");
}

/* What is cut out of a name that is too long is in its middle, so that its ending stays. */
static void shorten(char *name)
{
    size_t length = strlen(name);
    const char *dot = strrchr(name, '.');
    size_t ending = dot ? strlen(dot) : 0;

    if (length <= SAFE_NAME_MAX)
        return;
    if (ending > 16)
        ending = 0;
    memmove(name + SAFE_NAME_MAX - ending, name + length - ending, ending + 1);
}

const char *reeve_part_safe_name(reeve_environ *environ, const reeve_part *part)
{
    const char *last = last_name(part->filename ? part->filename : part->name);
    char *name = reeve_strdup(environ, *last ? last : "file");

    if (!name)
        return NULL;
    for (char *p = name; *p; p++)
        if (!is_safe(*p))
            *p = '_';
    shorten(name);
    return name;
}
