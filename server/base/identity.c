/* identity.c: two lines of text, or two for each of several; see identity.h. */
#include "base/identity.h"

#include <stdio.h>
#include <string.h>

bool identity_write(const struct config_listen *listen, char text[IDENTITY_MOST])
{
    int length = snprintf(text, IDENTITY_MOST, "%s\n%s\n", listen->address.text, listen->name);

    return length >= 0 && length < IDENTITY_MOST;
}

/* The line that text begins with is `line`. */
static bool is_line(const char *text, const char *line)
{
    size_t length = strcspn(text, "\n");

    return strlen(line) == length && memcmp(text, line, length) == 0;
}

static const char *next_line(const char *text)
{
    text += strcspn(text, "\n");
    return text + (*text == '\n');
}

static bool is_http(const struct config_listen *listen)
{
    return listen->protocol == LISTEN_HTTP;
}

/* Its place in config, or -1 where that speaks something else. */
static int found(const struct config *config, size_t i)
{
    return is_http(&config->listens[i]) ? (int)i : -1;
}

int identity_find(const struct config *config, const char *text)
{
    const char *name = next_line(text);

    for (size_t i = 0; i < config->listen_count; i++)
        if (is_line(text, config->listens[i].address.text))
            return found(config, i);
    for (size_t i = 0; i < config->listen_count; i++)
        if (is_line(name, config->listens[i].name))
            return found(config, i);
    return -1;
}

void identity_write_all(const struct config *config, char *text, size_t size)
{
    char one[IDENTITY_MOST];
    size_t used = 0, length;

    text[0] = '\0';
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!is_http(&config->listens[i]) || !identity_write(&config->listens[i], one))
            continue;
        length = strlen(one);
        if (used + length >= size)
            continue;
        memcpy(text + used, one, length + 1);
        used += length;
    }
}

bool identity_is_among(const struct config_listen *listen, const char *texts)
{
    if (!is_http(listen))
        return false;
    for (const char *address = texts, *name; *address != '\0'; address = next_line(name)) {
        name = next_line(address);
        if (is_line(address, listen->address.text) || is_line(name, listen->name))
            return true;
    }
    return false;
}
