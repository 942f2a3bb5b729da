/* result.c: what came back, as applications read it. */
#include "private.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- rows ---- */

static int reserve(void **memory, size_t *room, size_t wanted, size_t each)
{
    size_t more = *room ? *room : 64;
    void *grown;

    while (more < wanted)
        more *= 2;
    if (more == *room)
        return 0;
    grown = realloc(*memory, more * each);
    if (!grown)
        return fail(ENOMEM);
    *memory = grown;
    *room = more;
    return 0;
}

static int add_text(struct table *table, const char *text, size_t length)
{
    void *bytes = table->bytes;
    int result = reserve(&bytes, &table->room, table->size + length + 1, 1);

    table->bytes = bytes;
    if (result == -1)
        return -1;
    table->cells[table->cell_count++] = table->size;
    memcpy(table->bytes + table->size, text, length);
    table->bytes[table->size + length] = '\0';
    table->size += length + 1;
    return 0;
}

int table_add(struct table *table, const PGresult *from)
{
    int columns = PQnfields(from), result;
    void *cells = table->cells;

    result = reserve(&cells, &table->cell_room, table->cell_count + (size_t)columns,
                     sizeof table->cells[0]);
    table->cells = cells;
    for (int i = 0; i < columns && result == 0; i++) {
        if (PQgetisnull(from, 0, i))
            table->cells[table->cell_count++] = NO_TEXT;
        else
            result = add_text(table, PQgetvalue(from, 0, i), (size_t)PQgetlength(from, 0, i));
    }
    table->columns = (size_t)columns;
    table->rows += result == 0;
    return result;
}

size_t table_size(const struct table *table)
{
    return table->size + table->cell_count * sizeof table->cells[0];
}

void table_empty(struct table *table)
{
    table->size = table->cell_count = table->rows = 0;
}

void table_free(struct table *table)
{
    PQclear(table->last);
    free(table->bytes);
    free(table->cells);
    *table = (struct table){0};
}

/* ---- its life ---- */

static void on_scope_end(void *arg)
{
    reeve_pg_result *result = arg;

    result->hook = NULL; /* it was called */
    reeve_pg_clear(result);
}

reeve_pg_result *result_new(struct table *table)
{
    reeve_pg_result *result = malloc(sizeof *result);

    if (result) {
        result->table = *table;
        result->hook = reeve_scope_on_end(on_scope_end, result);
        if (result->hook)
            return result;
        free(result);
    }
    table_free(table);
    errno = ENOMEM;
    return NULL;
}

void reeve_pg_clear(reeve_pg_result *result)
{
    if (!result)
        return;
    if (result->hook)
        reeve_scope_forget(result->hook);
    table_free(&result->table);
    free(result);
}

/* ---- as a whole ---- */

size_t reeve_pg_rows(const reeve_pg_result *result)
{
    return result->table.rows;
}

size_t reeve_pg_columns(const reeve_pg_result *result)
{
    return result->table.last ? (size_t)PQnfields(result->table.last) : 0;
}

uint64_t reeve_pg_affected(const reeve_pg_result *result)
{
    if (!result->table.last)
        return 0;
    return strtoull(PQcmdTuples(result->table.last), NULL, 10);
}

const char *reeve_pg_name(const reeve_pg_result *result, size_t column)
{
    return column < reeve_pg_columns(result) ? PQfname(result->table.last, (int)column) : NULL;
}

/* PQfnumber would fold the name's case. */
int reeve_pg_column(const reeve_pg_result *result, const char *name)
{
    int count = (int)reeve_pg_columns(result);

    for (int i = 0; i < count; i++)
        if (strcmp(PQfname(result->table.last, i), name) == 0)
            return i;
    return -1;
}

/* ---- one value ---- */

const char *reeve_pg_text(const reeve_pg_result *result, size_t row, int column)
{
    const struct table *table = &result->table;
    size_t at;

    if (row >= table->rows || column < 0 || (size_t)column >= table->columns)
        return NULL;
    at = table->cells[row * table->columns + (size_t)column];
    return at == NO_TEXT ? NULL : table->bytes + at;
}

bool reeve_pg_is_null(const reeve_pg_result *result, size_t row, int column)
{
    return reeve_pg_text(result, row, column) == NULL;
}

/* A text of the database has no NUL in it. */
size_t reeve_pg_length(const reeve_pg_result *result, size_t row, int column)
{
    const char *text = reeve_pg_text(result, row, column);

    return text ? strlen(text) : 0;
}

int reeve_pg_int(const reeve_pg_result *result, size_t row, int column, int64_t *value_out)
{
    const char *text = reeve_pg_text(result, row, column);
    char *end;
    long long value;

    if (!text || text[0] == '\0')
        return fail(EINVAL);
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno)
        return -1; /* ERANGE */
    if (*end != '\0')
        return fail(EINVAL);
    *value_out = value;
    return 0;
}

int reeve_pg_double(const reeve_pg_result *result, size_t row, int column, double *value_out)
{
    const char *text = reeve_pg_text(result, row, column);
    char *end;
    double value;

    if (!text || text[0] == '\0')
        return fail(EINVAL);
    errno = 0;
    value = strtod(text, &end);
    if (*end != '\0')
        return fail(EINVAL);
    if (errno == ERANGE && fabs(value) > 1) /* too small a number is nearly 0 */
        return -1;
    *value_out = value;
    return 0;
}

int reeve_pg_bool(const reeve_pg_result *result, size_t row, int column, bool *value_out)
{
    const char *text = reeve_pg_text(result, row, column);

    if (!text || (strcmp(text, "t") != 0 && strcmp(text, "f") != 0))
        return fail(EINVAL);
    *value_out = text[0] == 't';
    return 0;
}

/* ---- parameters ---- */

const char *reeve_pg_put_int(char text[24], int64_t number)
{
    snprintf(text, 24, "%" PRId64, number);
    return text;
}

/* All its digits. */
const char *reeve_pg_put_double(char text[32], double number)
{
    snprintf(text, 32, "%.17g", number);
    return text;
}
