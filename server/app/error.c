/* error.c: answers in the server's own name. They say the status and the request's id, nothing of
 * the inside, and go past the filters: what those hold back is not sent any more. */
#include <stdio.h>
#include <string.h>

#include "app/request.h"
#include "base/buf.h"
#include "http/response.h"
#include "http/status.h"
#include "net/conn.h"

static int write_body(char *body, size_t size, int status, uint64_t id)
{
    return snprintf(body, size, "%s\nrequest id %016llx\n", status_line(status),
                    (unsigned long long)id);
}

/* Where the next request begins is not certain after these (RFC 9112 sections 3 and 6.3). */
static bool ends_connection(int status)
{
    return status == 400 || status == 408 || status == 413 || status == 414 || status == 431 ||
           status == 501 || status == 505;
}

void error_answer(struct reeve_environ *request, int status)
{
    char body[128], seconds[24];
    int size = write_body(body, sizeof body, status, request->id);
    const bool has_retry = request->retry_after > 0;
    const reeve_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                    {has_retry ? "Retry-After" : NULL, seconds},
                                    {NULL, NULL}};
    const struct iovec piece = {.iov_base = body, .iov_len = (size_t)size};

    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)request->retry_after);
    if (ends_connection(status))
        request->must_close = true;
    if (!response_retract(request) || response_begin(request, status_line(status), headers) == -1 ||
        response_put(request, &piece, 1, NULL) == -1) {
        conn_cut(request->conn);
        return;
    }
    response_end(request);
}
