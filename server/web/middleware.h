/* middleware.h: what the bundled middleware have in common. */
#ifndef WEB_MIDDLEWARE_H
#define WEB_MIDDLEWARE_H

#include <reeve/middleware.h>
#include <stdbool.h>
#include <stddef.h>

/* The first member of each one's state, which is malloc's and lives from its constructor to
 * reeve_middleware_free. */
struct middleware {
    void (*free)(void *state);
};

/* What is done to the headers of a response whose body stays as it is. In the request's memory. */
struct header_changes {
    const reeve_header *set; /* in place of others; a NULL value only takes them out; ends with a
                                NULL name */
    const char *vary;        /* NULL: depends on nothing more */
};

/* Says why an option is wrong. -1 with EINVAL. */
int middleware_refuse(reeve_module *module, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* -1 with ENOMEM, said as well. */
int middleware_out_of_memory(reeve_module *module);

/* A list that ends with NULL, copied with its strings; freed with one free(). NULL: ENOMEM. */
char **middleware_copy_list(const char *const *list);
/* "one, two"; malloc's. NULL: ENOMEM, or the list is NULL or empty. */
char *middleware_join_list(const char *const *list);
/* Whether every item is a token of RFC 9110 section 5.6.2. */
bool middleware_is_token_list(const char *const *list);

/* Answers in text/plain with the status for a body, and `headers` besides. */
int middleware_answer(reeve_environ *environ, reeve_start_response *start_response,
                      const char *status, const reeve_header *headers);

/* Changes the headers of the response to come. 0 or -1: ENOMEM, EALREADY. */
int middleware_change_headers(reeve_environ *environ, const struct header_changes *changes);

#endif
