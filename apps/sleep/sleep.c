/* sleep: waits and then answers: "?ms=250" gives "slept 250 ms". Copy it for the query string, for
 * refusing a bad value, and to see that a waiting request holds up nobody: the worker serves others
 * meanwhile. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/app.h>

#define DEFAULT_MS "1000"
#define LONGEST_MS 60000

/* Digits only: strtol alone would take a sign, a space before and rubbish behind. */
static bool parse_ms(const char *text, long *ms_out)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || text[digits] != '\0')
        return false;
    *ms_out = strtol(text, NULL, 10); /* too large a number gives LONG_MAX */
    return *ms_out <= LONGEST_MS;
}

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *status,
                  const char *text)
{
    if (text == NULL) /* reeve_printf found no memory */
        return -1;
    if (start_response(environ, status, REEVE_HEADERS({"Content-Type", "text/plain"})) != 0)
        return -1;
    return reeve_write(environ, text, strlen(text));
}

static int sleep_then_answer(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *wanted = reeve_query_get(environ, "ms");
    long ms;

    if (!parse_ms(wanted == NULL ? DEFAULT_MS : wanted, &ms))
        return answer(environ, start_response, "400 Bad Request",
                      "ms is a whole number of milliseconds from 0 to 60000\n");

    if (reeve_sleep((double)ms / 1000) != 0) /* the request was cancelled */
        return -1;
    return answer(environ, start_response, "200 OK", reeve_printf(environ, "slept %ld ms\n", ms));
}

REEVE_APP(.name = "sleep", .version = "1.0.0", .application = sleep_then_answer);
