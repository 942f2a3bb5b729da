/* symbols.h: names for places in code, by what the file says of itself (libdw).
 *
 * A process of its own looks them up: a large file takes its time, and what is odd about a file
 * that somebody deployed shall not trouble the master. */
#ifndef MASTER_SYMBOLS_H
#define MASTER_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct master;
struct symbols_question;

LIST_HEAD(symbols_question_list, symbols_question);

struct symbol_place {
    const char *path;  /* of the file; "": the program that this master is of */
    uint64_t offset;   /* from its load address; of a call: within it, not behind it */
    uint64_t function; /* where the function begins, by its unwind information; 0: not known */
};

/* A function at a place. */
struct symbol {
    char *function; /* NULL: not known */
    char *file;     /* of the source, without its folder; NULL: not known */
    int line;
    bool is_inlined; /* into the next one */
};

/* All at one place, the innermost first. Count 0: nothing is known. */
struct symbols {
    struct symbol *items;
    size_t count;
};

/* `named` has `count` members, one for each place that was asked for, and is good until the callback
 * returns; when the lookup failed they are empty. */
typedef void symbols_on_named(const struct symbols *named, size_t count, void *arg);

/* Asks; the places are read before it returns, the files soon after, by a child that was forked
 * meanwhile. on_named is called once, from the loop, within a few seconds whatever happens. NULL
 * with errno: it will not be called. A worker of a former binary (before an upgrade) has another
 * program than "": leave such places out. */
struct symbols_question *symbols_ask(struct master *master, const struct symbol_place *places,
                                     size_t count, symbols_on_named *on_named, void *arg);
/* on_named will not be called. */
void symbols_forget(struct symbols_question *question);
/* For the master's reaping: true when `pid` was one of those children. */
bool symbols_reap(struct master *master, int pid);
/* Forgets all questions: for the master's end. */
void symbols_free(struct master *master);

#endif
