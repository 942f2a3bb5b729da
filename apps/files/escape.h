/* escape.h: names of files as parts of a URL and of a page. Both texts live as long as the request;
 * NULL: no memory. */
#ifndef FILES_ESCAPE_H
#define FILES_ESCAPE_H

#include <reeve/app.h>

/* Percent-encodes what cannot stand in a path; slashes stay. */
char *escape_url(reeve_environ *environ, const char *path);

/* Makes `text` stand for itself in HTML, also inside quotes. */
char *escape_html(reeve_environ *environ, const char *text);

#endif
