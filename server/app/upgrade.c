/* upgrade.c: a request whose connection becomes something else than HTTP: it has its answer (101),
 * its socket goes to a stream, and what runs on of it writes nothing more. */
#include <errno.h>

#include "app/overdue.h"
#include "app/request.h"
#include "net/conn.h"
#include "net/stream.h"

int request_upgrade(struct reeve_environ *request, struct stream *stream)
{
    struct response *response = &request->response;

    if (request->has_returned || !response_retract(request)) {
        errno = EALREADY;
        return -1;
    }
    if (stream_take(stream, request->conn) == -1)
        return -1;
    overdue_forget(request);
    request->filters = NULL;
    request->is_upgraded = true;
    response->status = 101;
    response->state = RESPONSE_ENDED;
    response->framing = FRAMING_NONE;
    return 0;
}
