/* response.c: answers as applications see them, and how long they live.
 *
 * A request has one keeper, however much it fetches: who asks a service again and again in one
 * request, and gives the answers back, takes no more and more memory. */
#include "client/response.h"

#include <errno.h>
#include <reeve/async.h>
#include <reeve/client.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/answer.h"

#define BUCKETS 256

/* Lifetime: the request's. */
struct keeper {
    LIST_ENTRY(keeper) entry;
    const reeve_environ *environ;
    LIST_HEAD(, reeve_client_response) responses;
};

/* Of the process, by the address of the request. */
static LIST_HEAD(, keeper) keepers[BUCKETS];

static size_t bucket_of(const reeve_environ *environ)
{
    return (uintptr_t)environ / 64 % BUCKETS;
}

static void on_request_end(void *arg)
{
    struct keeper *keeper = arg;
    reeve_client_response *response;

    while ((response = LIST_FIRST(&keeper->responses)))
        reeve_client_response_free(response);
    LIST_REMOVE(keeper, entry);
}

static struct keeper *find_keeper(reeve_environ *environ)
{
    struct keeper *keeper;

    LIST_FOREACH (keeper, &keepers[bucket_of(environ)], entry)
        if (keeper->environ == environ)
            return keeper;
    keeper = reeve_alloc(environ, sizeof *keeper);
    if (!keeper || reeve_on_close(environ, on_request_end, keeper) == -1)
        return NULL;
    keeper->environ = environ;
    LIST_INIT(&keeper->responses);
    LIST_INSERT_HEAD(&keepers[bucket_of(environ)], keeper, entry);
    return keeper;
}

int client_keep_response(reeve_client_response *response)
{
    reeve_environ *environ = reeve_current_environ();

    if (!environ)
        return 0;
    response->keeper = find_keeper(environ);
    if (!response->keeper)
        return ENOMEM;
    LIST_INSERT_HEAD(&response->keeper->responses, response, entry);
    return 0;
}

void reeve_client_response_free(reeve_client_response *response)
{
    if (!response)
        return;
    if (response->keeper)
        LIST_REMOVE(response, entry);
    answer_free(response);
}

int reeve_client_status(const reeve_client_response *response)
{
    return response->status;
}

const char *reeve_client_header(const reeve_client_response *response, const char *name)
{
    const struct head_field *field = head_find(&response->head, name, 0);

    return field ? field->value.data : NULL;
}

int reeve_client_header_each(const reeve_client_response *response,
                             int (*each)(const char *name, const char *value, void *arg), void *arg)
{
    const struct head *head = &response->head;
    int result = 0;

    for (unsigned i = 0; i < head->field_count && result == 0; i++)
        result = each(head->fields[i].name.data, head->fields[i].value.data, arg);
    return result;
}

const char *reeve_client_body(const reeve_client_response *response, size_t *size_out)
{
    if (size_out)
        *size_out = response->body_size;
    return response->body ? response->body : "";
}
