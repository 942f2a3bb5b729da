/* sentence.h: the reason for a failure, as one sentence that travels up to whoever decides, and is
 * said once, there. */
#ifndef MASTER_SENTENCE_H
#define MASTER_SENTENCE_H

/* Allocates the sentence into *out; the former one is freed. Without memory it becomes NULL, so
 * show it with sentence_or. Returns -1, so that `return sentence_set(...)` reads well. */
int sentence_set(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *sentence_or(const char *sentence);

#endif
