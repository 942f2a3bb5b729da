/* words.c: see words.h. */
#include "words.h"

#include <limits.h>
#include <string.h>

#define WORD_MAX 16

static int least(int a, int b, int c)
{
    int least_of_two = a < b ? a : b;

    return least_of_two < c ? least_of_two : c;
}

/* Levenshtein's. */
static int edits(const char *a, const char *b)
{
    int row[WORD_MAX + 1], length = (int)strlen(b);

    for (int j = 0; j <= length; j++)
        row[j] = j;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

int words_distance(const char *written, const char *meant)
{
    size_t length = strlen(written);
    int distance;

    if (length > WORD_MAX || strlen(meant) > WORD_MAX)
        return INT_MAX;
    /* "rest" is the beginning of "restart", though three letters off. */
    if (length > 1 && strncmp(written, meant, length) == 0)
        return 1;
    distance = edits(written, meant);
    return distance < (int)strlen(meant) ? distance : WORDS_APART;
}
