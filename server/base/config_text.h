/* config_text.h: a configuration file's text, made fit for libconfuse. Included by config.c alone.
 *
 * libconfuse 3.3 counts three lines for each comment, takes a file that ends inside a section for
 * whole, lets a string run to the next quote wherever that is, and reads an unset variable as "".
 * So the text is looked over first: comments are blanked out, and what never ends is reported with
 * the line where it begins. */
#ifndef BASE_CONFIG_TEXT_H
#define BASE_CONFIG_TEXT_H

#include <stddef.h>

struct config_text {
    char *bytes; /* NUL-terminated, without comments, line by line as in the file */
    size_t length;
    int *
        section_lines; /* of each top-level section the line where it begins, in the file's order */
    size_t section_count;
};

/* Reads and looks over a file: 0, or -1 with the sentence for the operator in *error_out (to be
 * freed). */
int config_text_read(struct config_text *text, const char *path, char **error_out);
void config_text_fini(struct config_text *text);

#endif
