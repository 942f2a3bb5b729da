/* main.c: reads the command line by the tables of commands.c, and runs the verb. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "commands.h"
#include "human.h"

static enum exit_status wrong(const struct command *command, const char *what, const char *word)
{
    fputs("reevectl: ", stderr);
    fprintf(stderr, "%s", what);
    if (word != NULL) {
        fputs(" \"", stderr);
        human_print(stderr, word);
        fputc('"', stderr);
    }
    fputc('\n', stderr);
    help_usage(command);
    return EXIT_USAGE;
}

static enum exit_status unknown_verb(const char *name)
{
    const struct command *nearest = command_nearest(name);

    fputs("reevectl: there is no verb \"", stderr);
    human_print(stderr, name);
    if (nearest != NULL)
        fprintf(stderr, "\"; did you mean \"%s\"?\n", nearest->name);
    else
        fputs("\"; `reevectl help` lists them\n", stderr);
    return EXIT_USAGE;
}

/* ---- options ---- */

/* The option that `word` is, and its value if it stands in the same word ("-sPATH",
 * "--socket=PATH"). */
static const struct option_row *find_option(const char *word, const char **value_out)
{
    *value_out = NULL;
    for (const struct option_row *row = option_rows; row->letter != 0; row++) {
        size_t length = strlen(row->name);

        if (word[1] == row->letter) {
            *value_out = word[2] == '\0' ? NULL : word + 2;
            return row;
        }
        if (word[1] != '-' || strncmp(word + 2, row->name, length) != 0)
            continue;
        if (word[2 + length] == '\0')
            return row;
        if (word[2 + length] == '=') {
            *value_out = word + 3 + length;
            return row;
        }
    }
    return NULL;
}

static bool set_timeout(struct ctl *ctl, const char *value)
{
    char *end;

    ctl->timeout = strtod(value, &end);
    return end != value && *end == '\0' && ctl->timeout > 0 && ctl->timeout < 1e8;
}

struct line { /* the command line, being read */
    struct ctl ctl;
    bool wants_help, wants_version, is_all_words;
    char **words; /* those that are no options: the verb and its arguments */
    int count;
};

/* EXIT_DONE, or what was wrong has been said. */
static enum exit_status apply_option(struct line *line, const struct option_row *row,
                                     const char *value)
{
    switch (row->letter) {
    case 's':
        line->ctl.socket = value;
        break;
    case 'j':
        line->ctl.out = &output_json;
        break;
    case 't':
        if (!set_timeout(&line->ctl, value))
            return wrong(NULL, "--timeout takes a number of seconds, not", value);
        break;
    case 'h':
        line->wants_help = true;
        break;
    case 'V':
        line->wants_version = true;
        break;
    }
    return EXIT_DONE;
}

/* A word that begins with '-' and is no option but an argument: "-" and "-1". */
static bool is_argument(const struct line *line, const char *word)
{
    return line->is_all_words || word[0] != '-' || word[1] == '\0' ||
           (word[1] >= '0' && word[1] <= '9');
}

/* The verb's own flag: known only once the verb is. */
static bool take_flag(struct line *line, const char *word)
{
    const struct command *command = line->count > 0 ? command_find(line->words[0]) : NULL;

    if (command == NULL || command->flag == NULL || strcmp(command->flag, word) != 0)
        return false;
    line->ctl.has_flag = true;
    return true;
}

static enum exit_status read_word(struct line *line, char **argv, int *i)
{
    const struct option_row *row;
    const char *value;
    char *word = argv[*i];

    if (is_argument(line, word)) {
        line->words[line->count++] = word;
        return EXIT_DONE;
    }
    if (strcmp(word, "--") == 0) {
        line->is_all_words = true;
        return EXIT_DONE;
    }
    if (take_flag(line, word))
        return EXIT_DONE;
    row = find_option(word, &value);
    if (row == NULL || (row->argument == NULL && value != NULL))
        return wrong(line->count > 0 ? command_find(line->words[0]) : NULL, "there is no option",
                     word);
    if (row->argument != NULL && value == NULL) {
        if (argv[*i + 1] == NULL)
            return wrong(NULL, "there is nothing behind", word);
        value = argv[++*i];
    }
    return apply_option(line, row, value);
}

/* ---- running ---- */

static enum exit_status run(struct line *line)
{
    const struct command *command;
    struct ctl *ctl = &line->ctl;

    if (line->wants_version)
        return printf("reevectl %s\n", REEVE_VERSION) > 0 ? EXIT_DONE : EXIT_FAILED;
    if (line->count == 0 && !line->wants_help)
        return wrong(NULL, "a verb is missing", NULL);
    if (line->wants_help) { /* `reevectl reload -h` is `reevectl help reload` */
        ctl->argc = line->count > 0;
        ctl->argv = line->words;
        return run_help(ctl);
    }
    command = command_find(line->words[0]);
    if (command == NULL)
        return unknown_verb(line->words[0]);
    ctl->command = command;
    ctl->argc = line->count - 1;
    ctl->argv = line->words + 1;
    if (ctl->argc < command->min)
        return wrong(command, "an argument is missing", NULL);
    if (command->max >= 0 && ctl->argc > command->max)
        return wrong(command, "that is one argument too many:", ctl->argv[command->max]);
    return command->run(ctl);
}

int main(int argc, char **argv)
{
    struct line line = {.ctl = {.out = &output_text}};
    enum exit_status status = EXIT_DONE;

    signal(SIGPIPE, SIG_DFL); /* `reevectl stats | head` ends quietly */
    line.words = calloc((size_t)argc + 1, sizeof *line.words);
    if (line.words == NULL)
        return EXIT_FAILED;
    for (int i = 1; i < argc && status == EXIT_DONE; i++)
        status = read_word(&line, argv, &i);
    if (status == EXIT_DONE)
        status = run(&line);
    free(line.words);
    if (fflush(stdout) != 0 && status == EXIT_DONE)
        status = EXIT_FAILED;
    return (int)status;
}
