/* human.h: numbers as people read them, and the look of a terminal. */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* All write into `text` and return it. */
char *human_count(double count, char *text, size_t size);     /* "1,234,567" */
char *human_bytes(double bytes, char *text, size_t size);     /* "2.9 MiB" */
char *human_seconds(double seconds, char *text, size_t size); /* "0.51 ms", "12 s" */
char *human_age(double seconds, char *text, size_t size);     /* "3 h 12 min" */

/* A moment since 1970 by the local clock: "Nov 21 15:04:05", or with the year when it is not this
 * year's. */
char *human_when(double at, char *text, size_t size);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };

/* What switches a colour on, or off again; "" unless `to` is a terminal that has colours. */
const char *human_colour(FILE *to, enum colour colour);

/* Can a line be written over there? */
bool human_is_terminal(FILE *to);
/* Columns of the terminal; INT_MAX when it is none. */
int human_width(FILE *to);

/* Prints text that came from elsewhere: control bytes, which could command the terminal, become
 * '?'. */
void human_print(FILE *to, const char *text);
/* The same within one line: a newline is a control byte there. */
void human_print_line(FILE *to, const char *text);

/* A table: headings separated by '|'. A '>' before one aligns its column to the right; a '?' before
 * that lets it be left out, the last such first, where the terminal is too narrow for all. Cells
 * are added row by row; columns become as wide as their widest cell. */
struct table;
struct table *table_new(const char *headings); /* NULL without memory, which the rest tolerates */
void table_cell(struct table *table, enum colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints and frees it; without rows nothing is printed. */
void table_print(struct table *table, FILE *to);

#endif
