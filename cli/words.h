/* words.h: how far one word is from another, so that a typo gets a suggestion. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#define WORDS_APART 3 /* so many letters off, and it is another word */

/* How many letters have to be put in, taken out or changed to make `meant` of `written`; 1 when
 * that is its beginning, and at least WORDS_APART when nearly every letter would have to. */
int words_distance(const char *written, const char *meant);

#endif
