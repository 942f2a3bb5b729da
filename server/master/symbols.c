/* symbols.c: see symbols.h. The child writes a line for each function that it has found, and ends;
 * what it was asked it has from the fork. */
#include "master/symbols.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/dwarf_names.h"
#include "master/master.h"
#include "master/spawn.h"
#include "master/timer.h"

#define TIME_MAX   (5 * NS_PER_SEC)
#define ANSWER_MAX ((size_t)16 << 20)
#define WORD_MAX   200 /* bytes that are shown of a function's name, or a file's */

#define OWN_PROGRAM "/proc/self/exe"

struct symbols_question {
    LIST_ENTRY(symbols_question) link;
    symbols_on_named *on_named; /* NULL: it was called, or nobody wants to know any more */
    void *arg;
    size_t count; /* of places */

    /* For the child; the places are borrowed, and there when it is forked. */
    const struct symbol_place *places;
    pid_t master_pid;
    int output;

    pid_t pid;
    bool is_reaped;
    int input; /* -1: closed */
    struct event readable, deadline;
    char *text; /* what was read */
    size_t size, room;
};

/* ---- in the child ---- */

static int by_path(const void *one, const void *two)
{
    const struct symbol_place *const *a = one, *const *b = two;
    int order = strcmp((*a)->path, (*b)->path);

    return order != 0 ? order : *a < *b ? -1 : *a > *b;
}

/* What the file says may be anything: only its printable part goes on. */
static void write_word(char *out, const char *word)
{
    size_t length = 0;

    for (; word != NULL && word[length] != '\0' && length < WORD_MAX; length++)
        out[length] = (unsigned char)word[length] < ' ' || word[length] == 127 ? '?' : word[length];
    out[length] = '\0';
}

static void write_name(FILE *out, size_t index, const struct dwarf_name *name)
{
    char function[WORD_MAX + 1], file[WORD_MAX + 1];

    write_word(function, name->function);
    write_word(file, name->file);
    fprintf(out, "%zu\t%d\t%d\t%s\t%s\n", index, name->is_inlined, name->line, file, function);
}

static void write_names(FILE *out, const struct symbols_question *question,
                        const struct symbol_place *place, struct dwarf_file *file)
{
    struct dwarf_name names[DWARF_NAMES_MAX];
    size_t count = dwarf_names_at(file, place->offset, place->function, names);

    for (size_t i = 0; i < count; i++)
        write_name(out, (size_t)(place - question->places), &names[i]);
}

/* File by file, each opened once. */
static void write_all(FILE *out, const struct symbols_question *question,
                      const struct symbol_place **sorted)
{
    struct dwarf_file *file = NULL;
    const char *path = NULL;

    for (size_t i = 0; i < question->count; i++) {
        if (path == NULL || strcmp(path, sorted[i]->path) != 0) {
            path = sorted[i]->path;
            dwarf_file_close(file);
            file = dwarf_file_open(path[0] != '\0' ? path : OWN_PROGRAM);
            fflush(out); /* what is known is known, if the next one should be fatal */
        }
        if (file != NULL)
            write_names(out, question, sorted[i], file);
    }
    dwarf_file_close(file);
}

/* A file that needs too much memory costs this process, and leaves no core behind. */
static void be_expendable(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (fd == -1)
        return;
    if (write(fd, "1000", 4) == -1)
        errno = 0; /* as good without */
    close(fd);
}

static int look_up_and_end(void *arg)
{
    struct symbols_question *question = arg;
    const struct symbol_place **sorted = calloc(question->count, sizeof(const void *));
    FILE *out = fdopen(question->output, "w");

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != question->master_pid || sorted == NULL || out == NULL)
        _exit(1);
    be_expendable();
    for (size_t i = 0; i < question->count; i++)
        sorted[i] = &question->places[i];
    qsort(sorted, question->count, sizeof(sorted[0]), by_path);
    write_all(out, question, sorted);
    fflush(out);
    _exit(0); /* nothing of the master's that is in this process is to be ended by it */
}

/* ---- the answer ---- */

static char *word_or_null(char *word)
{
    return word[0] != '\0' ? word : NULL;
}

/* Cuts "INDEX\tINLINED\tLINE\tFILE\tFUNCTION" up, in place. False: it is none of that. */
static bool read_line(char *line, size_t *index_out, struct symbol *symbol_out)
{
    char *words[5], *end;

    for (size_t i = 0; i < 5; i++) {
        words[i] = line != NULL ? strsep(&line, "\t") : NULL;
        if (words[i] == NULL)
            return false;
    }
    *index_out = strtoul(words[0], &end, 10);
    *symbol_out = (struct symbol){.function = word_or_null(words[4]),
                                  .file = word_or_null(words[3]),
                                  .line = (int)strtol(words[2], NULL, 10),
                                  .is_inlined = words[1][0] == '1'};
    return end != words[0];
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* All of one place follow each other. A line that was cut off is left out. */
static void read_answer(char *text, struct symbols *named, size_t count, struct symbol *symbols)
{
    for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        size_t index;

        *end = '\0';
        if (!read_line(text, &index, symbols) || index >= count)
            continue;
        if (named[index].count == 0)
            named[index].items = symbols;
        else if (named[index].items + named[index].count != symbols)
            continue;
        named[index].count++;
        symbols++;
    }
}

static void close_input(struct symbols_question *question)
{
    if (question->input == -1)
        return;
    event_del(&question->readable);
    close(question->input);
    question->input = -1;
}

static void question_free(struct symbols_question *question)
{
    LIST_REMOVE(question, link);
    close_input(question);
    event_del(&question->deadline);
    free(question->text);
    free(question);
}

static void tell(symbols_on_named *on_named, void *arg, size_t count, char *text)
{
    struct symbols *named = calloc(count + 1, sizeof(*named));
    struct symbol *symbols = calloc(count_lines(text) + 1, sizeof(*symbols));
    struct symbols nothing = {.count = 0};

    if (named != NULL && symbols != NULL)
        read_answer(text, named, count, symbols);
    if (named != NULL)
        on_named(named, count, arg);
    else
        on_named(&nothing, 0, arg);
    free(symbols);
    free(named);
}

/* Nothing more will be read. The child is still to be reaped. */
static void answer(struct symbols_question *question)
{
    symbols_on_named *on_named = question->on_named;
    void *arg = question->arg;
    char *text = question->text, empty[1] = "";
    size_t count = question->count;

    question->on_named = NULL;
    question->text = NULL;
    close_input(question);
    if (question->is_reaped)
        question_free(question);
    if (on_named != NULL)
        tell(on_named, arg, count, text != NULL ? text : empty);
    free(text);
}

static void give_up(struct symbols_question *question)
{
    if (!question->is_reaped)
        kill(question->pid, SIGKILL);
    answer(question);
}

static bool make_room(struct symbols_question *question)
{
    size_t room = question->room * 2 + 4096;
    char *text;

    if (question->room - question->size > 1024)
        return true;
    text = room <= ANSWER_MAX ? realloc(question->text, room) : NULL;
    if (text == NULL)
        return false;
    question->text = text;
    question->room = room;
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct symbols_question *question = arg;
    ssize_t n;

    (void)what;
    if (!make_room(question)) {
        give_up(question); /* with what is there */
        return;
    }
    n = read(fd, question->text + question->size, question->room - question->size - 1);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    question->size += n > 0 ? (size_t)n : 0;
    question->text[question->size] = '\0';
    if (n <= 0)
        answer(question);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    give_up(arg);
}

bool symbols_reap(struct master *master, int pid)
{
    struct symbols_question *question;

    LIST_FOREACH (question, &master->questions, link)
        if (question->pid == pid && !question->is_reaped)
            break;
    if (question == NULL)
        return false;
    question->is_reaped = true;
    if (question->input == -1)
        question_free(question);
    return true;
}

/* ---- the question ---- */

static int start_process(struct symbols_question *question, struct master *master)
{
    struct spawn spawn = {.heritage = {.config = master->config},
                          .role = "names",
                          .title = "reeve names",
                          .output = -1,
                          .first = look_up_and_end,
                          .arg = question};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    question->input = ends[0];
    question->output = spawn.heritage.link = ends[1];
    question->master_pid = getpid();
    question->pid = spawn_child(&spawn);
    close(ends[1]);
    return question->pid == -1 ? -1 : 0;
}

struct symbols_question *symbols_ask(struct master *master, const struct symbol_place *places,
                                     size_t count, symbols_on_named *on_named, void *arg)
{
    struct symbols_question *question = calloc(1, sizeof(*question));

    if (question == NULL)
        return NULL;
    *question = (struct symbols_question){
        .on_named = on_named, .arg = arg, .count = count, .places = places, .input = -1};
    if (start_process(question, master) != 0) {
        int error = errno;

        if (question->input != -1)
            close(question->input);
        free(question);
        errno = error;
        return NULL;
    }
    question->places = NULL;
    LIST_INSERT_HEAD(&master->questions, question, link);
    event_assign(&question->readable, master->base, question->input, EV_READ | EV_PERSIST,
                 on_readable, question);
    event_add(&question->readable, NULL);
    evtimer_assign(&question->deadline, master->base, on_deadline, question);
    timer_arm(&question->deadline, TIME_MAX);
    return question;
}

void symbols_forget(struct symbols_question *question)
{
    question->on_named = NULL;
    give_up(question);
}

void symbols_free(struct master *master)
{
    struct symbols_question *question;

    while ((question = LIST_FIRST(&master->questions)) != NULL) {
        if (!question->is_reaped)
            kill(question->pid, SIGKILL);
        question_free(question);
    }
}
