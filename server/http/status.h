/* status.h: status codes and dates as text. */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include <time.h>

/* "404 Not Found". A code from 100 to 599 that is not known gives "NNN Unknown", which clients take
 * for x00 of its class (RFC 9110 section 15); any other number gives 500's line. Static. */
const char *status_line(int code);

/* IMF-fixdate (RFC 9110 section 5.6.7): "Fri, 20 Nov 2026 18:43:04 GMT". Without strftime's locale.
 * Times before 1970 or after the year 9999 become the nearest that can be said. */
#define HTTP_DATE_LENGTH 29
void http_date(time_t when, char out[HTTP_DATE_LENGTH + 1]);

#endif
