/* middleware_time.c: a time limit for what it wraps, kept by a scope. It stops nothing that does not
 * wait. */
#include <errno.h>
#include <reeve/async.h>
#include <reeve/filter.h>
#include <stdlib.h>

#include "web/middleware.h"

struct time_limit {
    struct middleware common;
    double seconds;
};

static int call(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    const struct time_limit *limit = state;
    reeve_scope scope;
    int result, error;
    bool is_over;

    if (reeve_scope_begin(&scope, limit->seconds) == -1)
        return -1;
    result = reeve_next_call(next, environ, start_response);
    error = errno;
    is_over = reeve_scope_end(&scope) == -1 && errno == ETIMEDOUT;
    errno = error;
    /* The request itself may be over, which is the server's to answer. */
    if (result == 0 || !is_over || reeve_is_cancelled() || reeve_response_is_sent(environ))
        return result;
    reeve_log(environ, REEVE_LOG_WARNING, "the time limit of %g s has passed", limit->seconds);
    return middleware_answer(environ, start_response, "504 Gateway Timeout", REEVE_NO_HEADERS);
}

int reeve_time_limit_new(reeve_module *module, const reeve_time_limit *options,
                         reeve_middleware *middleware_out)
{
    struct time_limit *limit;

    if (!(options->seconds > 0)) /* NaN too */
        return middleware_refuse(module, "time limit: seconds has to be more than 0");
    limit = calloc(1, sizeof *limit);
    if (!limit)
        return middleware_out_of_memory(module);
    *limit = (struct time_limit){.common = {free}, .seconds = options->seconds};
    *middleware_out = (reeve_middleware){.call = call, .state = limit};
    return 0;
}
