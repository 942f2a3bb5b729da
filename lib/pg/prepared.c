/* prepared.c: which statements a link has prepared: a table of their texts. What is in it stays as
 * long as the link; when it is full, what is new is not prepared. */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void prepared_open(struct prepared *prepared, size_t most)
{
    size_t places = 2;

    while (places < 2 * most)
        places *= 2;
    *prepared = (struct prepared){0};
    prepared->texts = most > 0 ? calloc(places, sizeof prepared->texts[0]) : NULL;
    if (prepared->texts)
        prepared->places = places;
}

void prepared_close(struct prepared *prepared)
{
    for (size_t i = 0; i < prepared->places; i++)
        free(prepared->texts[i]);
    free(prepared->texts);
    *prepared = (struct prepared){0};
}

/* FNV-1a. */
static size_t hash(const char *text)
{
    uint64_t value = 0xcbf29ce484222325u;

    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 0x100000001b3u;
    return (size_t)(value ^ value >> 32);
}

/* Where it is, or would be. */
static size_t look_up(const struct prepared *prepared, const char *text)
{
    size_t i = hash(text) & (prepared->places - 1);

    while (prepared->texts[i] && strcmp(prepared->texts[i], text) != 0)
        i = (i + 1) & (prepared->places - 1);
    return i;
}

size_t prepared_find(const struct prepared *prepared, const char *text)
{
    size_t i;

    if (prepared->places == 0)
        return 0;
    i = look_up(prepared, text);
    return prepared->texts[i] ? i + 1 : 0;
}

size_t prepared_place(const struct prepared *prepared, const char *text, size_t most)
{
    if (prepared->places == 0 || prepared->count >= most)
        return 0;
    return look_up(prepared, text) + 1;
}

int prepared_keep(struct prepared *prepared, size_t number, const char *text)
{
    prepared->texts[number - 1] = strdup(text);
    if (!prepared->texts[number - 1])
        return -1;
    prepared->count++;
    return 0;
}
