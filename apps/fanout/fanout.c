/* fanout: calls several services at once, and tells what came of each: as long as the slowest takes,
 * not as long as all together, and never longer than the limit. Copy it for tasks that fetch, for
 * waiting for many with a time limit, and for an answer that is made of what has come by then.
 *
 *     app "fanout" { module = "build/apps/fanout.so"  mount = "/fanout"
 *         option { services = "http://127.0.0.1:9001/ http://127.0.0.1:9002/stock?id=7"  seconds = 2 } }
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <reeve/async.h>
#include <reeve/client.h>
#include <reeve/view.h>

#define MOST 100 /* services */

static struct {
    char *urls[MOST];
    size_t count;
    double seconds;
    char *text; /* that the URLs are parts of */
} services;

/* What a task runs. The answer belongs to the request, so it is still there when the task has
 * ended. */
static int call_service(void *arg, void **value_out)
{
    const reeve_client_request request = {.url = arg, .max_body = 1u << 20};
    reeve_client_response *response;

    if (reeve_client_fetch(&request, &response) == -1)
        return -1; /* errno is what the future fails with */
    *value_out = response;
    return 0;
}

/* One that is not done yet is told as such: EINPROGRESS. */
static cJSON *describe(const char *url, reeve_future *future)
{
    cJSON *json = cJSON_CreateObject();
    void *response;
    size_t size;

    cJSON_AddStringToObject(json, "url", url);
    if (reeve_future_result(future, &response) == -1) {
        cJSON_AddStringToObject(json, "error",
                                errno == EINPROGRESS ? "no answer in time" : strerror(errno));
        return json;
    }
    reeve_client_body(response, &size);
    cJSON_AddNumberToObject(json, "status", reeve_client_status(response));
    cJSON_AddNumberToObject(json, "bytes", (double)size);
    return json;
}

/* -1 with errno: a task could not be begun, or the request was cancelled. */
static int call_all(cJSON *list)
{
    reeve_future *futures[MOST];

    for (size_t i = 0; i < services.count; i++)
        if ((futures[i] = reeve_spawn(call_service, services.urls[i])) == NULL)
            return -1;
    /* That one has failed, or that the time is over, shows in the futures one by one. */
    if (reeve_await_all(futures, services.count, services.seconds) == -1 && reeve_is_cancelled())
        return -1;
    for (size_t i = 0; i < services.count; i++)
        cJSON_AddItemToArray(list, describe(services.urls[i], futures[i]));
    return 0;
}

static int fan_out(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *json = reeve_json_own(environ, cJSON_CreateObject());
    reeve_scope scope;
    int result;

    /* At its end the calls that still run are cancelled, and their connections closed. */
    if (reeve_scope_begin(&scope, REEVE_FOREVER) == -1)
        return -1;
    result = call_all(cJSON_AddArrayToObject(json, "services"));
    if (reeve_scope_end(&scope) == -1 || result == -1)
        return -1;
    return reeve_view_json(environ, start_response, 200, json);
}

/* ---- options ---- */

static int init(reeve_module *module)
{
    const char *urls = reeve_option(module, "services"), *seconds = reeve_option(module, "seconds");
    char *rest, *url;

    if (urls == NULL)
        return reeve_refuse(module, "option services: which URLs to call, with spaces between");
    services.seconds = seconds ? strtod(seconds, NULL) : 1;
    if (!(services.seconds > 0))
        return reeve_refuse(module, "option seconds: how long to wait at most, more than 0");
    services.text = rest = strdup(urls);
    while (rest != NULL && (url = strsep(&rest, " ")) != NULL)
        if (url[0] != '\0' && services.count++ < MOST)
            services.urls[services.count - 1] = url;
    if (services.text != NULL && services.count <= MOST)
        return 0;
    free(services.text); /* there is no fini after an init that failed */
    return reeve_refuse(module, "option services: more than %d URLs, or memory has run out", MOST);
}

static void fini(reeve_module *module)
{
    (void)module;
    free(services.text);
}

REEVE_APP(.name = "fanout", .version = "1.0.0", .application = fan_out, .init = init, .fini = fini);
