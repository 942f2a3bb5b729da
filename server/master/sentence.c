/* sentence.c: see sentence.h. */
#include "master/sentence.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int sentence_set(char **out, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    free(*out); /* only now: it may be one of the arguments */
    *out = text;
    return -1;
}

const char *sentence_or(const char *sentence)
{
    return sentence != NULL ? sentence : "memory has run out";
}
