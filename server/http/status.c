/* status.c: the texts of RFC 9110 section 15 and the IANA registry, and dates without a locale. */
#include "http/status.h"

#include <string.h>

static const char *const known[] = {
    [100] = "100 Continue",
    [101] = "101 Switching Protocols",
    [102] = "102 Processing",
    [103] = "103 Early Hints",
    [200] = "200 OK",
    [201] = "201 Created",
    [202] = "202 Accepted",
    [203] = "203 Non-Authoritative Information",
    [204] = "204 No Content",
    [205] = "205 Reset Content",
    [206] = "206 Partial Content",
    [207] = "207 Multi-Status",
    [208] = "208 Already Reported",
    [226] = "226 IM Used",
    [300] = "300 Multiple Choices",
    [301] = "301 Moved Permanently",
    [302] = "302 Found",
    [303] = "303 See Other",
    [304] = "304 Not Modified",
    [305] = "305 Use Proxy",
    [307] = "307 Temporary Redirect",
    [308] = "308 Permanent Redirect",
    [400] = "400 Bad Request",
    [401] = "401 Unauthorized",
    [402] = "402 Payment Required",
    [403] = "403 Forbidden",
    [404] = "404 Not Found",
    [405] = "405 Method Not Allowed",
    [406] = "406 Not Acceptable",
    [407] = "407 Proxy Authentication Required",
    [408] = "408 Request Timeout",
    [409] = "409 Conflict",
    [410] = "410 Gone",
    [411] = "411 Length Required",
    [412] = "412 Precondition Failed",
    [413] = "413 Content Too Large",
    [414] = "414 URI Too Long",
    [415] = "415 Unsupported Media Type",
    [416] = "416 Range Not Satisfiable",
    [417] = "417 Expectation Failed",
    [421] = "421 Misdirected Request",
    [422] = "422 Unprocessable Content",
    [423] = "423 Locked",
    [424] = "424 Failed Dependency",
    [425] = "425 Too Early",
    [426] = "426 Upgrade Required",
    [428] = "428 Precondition Required",
    [429] = "429 Too Many Requests",
    [431] = "431 Request Header Fields Too Large",
    [451] = "451 Unavailable For Legal Reasons",
    [500] = "500 Internal Server Error",
    [501] = "501 Not Implemented",
    [502] = "502 Bad Gateway",
    [503] = "503 Service Unavailable",
    [504] = "504 Gateway Timeout",
    [505] = "505 HTTP Version Not Supported",
    [506] = "506 Variant Also Negotiates",
    [507] = "507 Insufficient Storage",
    [508] = "508 Loop Detected",
    [510] = "510 Not Extended",
    [511] = "511 Network Authentication Required",
    [599] = NULL,
};

/* "100 Unknown" to "599 Unknown": even these are constants that can be borrowed for ever. */
#define ONE(digits) digits " Unknown"
#define TEN(d)                                                                          \
    ONE(d "0"), ONE(d "1"), ONE(d "2"), ONE(d "3"), ONE(d "4"), ONE(d "5"), ONE(d "6"), \
        ONE(d "7"), ONE(d "8"), ONE(d "9")
#define HUNDRED(d)                                                                      \
    TEN(d "0"), TEN(d "1"), TEN(d "2"), TEN(d "3"), TEN(d "4"), TEN(d "5"), TEN(d "6"), \
        TEN(d "7"), TEN(d "8"), TEN(d "9")
static const char unknown[500][sizeof "NNN Unknown"] = {
    HUNDRED("1"), HUNDRED("2"), HUNDRED("3"), HUNDRED("4"), HUNDRED("5"),
};

const char *status_line(int code)
{
    if (code < 100 || code > 599)
        return known[500];
    return known[code] ? known[code] : unknown[code - 100];
}

static char *put_number(char *at, int number, int digits)
{
    for (int i = digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + digits;
}

static char *put_text(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

void http_date(time_t when, char out[HTTP_DATE_LENGTH + 1])
{
    static const char days[] = "Sun, Mon, Tue, Wed, Thu, Fri, Sat, ";
    static const char months[] = " Jan  Feb  Mar  Apr  May  Jun  Jul  Aug  Sep  Oct  Nov  Dec ";
    const time_t last = 253402300799; /* 9999-12-31 23:59:59, the last with four digits */
    struct tm tm;

    when = when < 0 ? 0 : when > last ? last : when;
    gmtime_r(&when, &tm);
    out = put_text(out, days + 5 * tm.tm_wday, 5);
    out = put_number(out, tm.tm_mday, 2);
    out = put_text(out, months + 5 * tm.tm_mon, 5);
    out = put_number(out, tm.tm_year + 1900, 4);
    *out++ = ' ';
    out = put_number(out, tm.tm_hour, 2);
    *out++ = ':';
    out = put_number(out, tm.tm_min, 2);
    *out++ = ':';
    out = put_number(out, tm.tm_sec, 2);
    put_text(out, " GMT", sizeof " GMT");
}
