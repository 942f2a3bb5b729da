/* top_cells.h: the columns of top's tables, and what stands in them. For top_view.c. */
#ifndef CLI_TOP_CELLS_H
#define CLI_TOP_CELLS_H

#include "human.h"
#include "top_view.h"

struct top_column {
    const char *title;
    int width, widest; /* it grows where there is room; one of a table's does */
    bool is_right;
    int rank; /* where there is no room the highest goes first; 0: never */
    int key;  /* the order that it is sorted by; -1: none */
};

#define TOP_COLUMNS 12
#define TOP_LUXURY  7 /* ranks from here on: only where the others have all that they may */

struct top_columns {
    size_t count;
    struct top_column columns[TOP_COLUMNS];
};

struct top_cell {
    char text[272];
    enum colour colour;
};

const struct top_columns *top_columns(enum top_table table);
size_t top_rows(const struct top_model *model, enum top_table table);
void top_cell(const struct top_model *model, const struct top_view *view, enum top_table table,
              size_t row, size_t column, struct top_cell *cell_out);
/* The key in force; -1: the table has but one order. */
int top_key(const struct top_view *view, enum top_table table);

/* "12,345", "8.3", "-" for what is not known yet. */
char *top_rate(double rate, char *text, size_t size);
/* "0.51 ms", "-" for nothing. */
char *top_seconds(double seconds, char *text, size_t size);

#endif
