/* main.c: reads the command line by the tables of commands.h and options.h, and runs the verb.
 * Whatever is wrong with it is said before anything is asked. */
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
    help_usage(stderr, command);
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

/* ---- reading words ---- */

struct line { /* the command line, being read */
    struct ctl ctl;
    bool is_all_words;
    char **words; /* those that are no options: the verb and its arguments */
    int count;
};

static const struct command *command_of(const struct line *line)
{
    return line->count > 0 ? command_find(line->words[0]) : NULL;
}

/* A word that begins with '-' and is no option but an argument: "-" and "-1". */
static bool is_argument(const struct line *line, const char *word)
{
    return line->is_all_words || word[0] != '-' || word[1] == '\0' ||
           (word[1] >= '0' && word[1] <= '9');
}

static enum exit_status unknown_option(const struct line *line, const char *word)
{
    const struct command *command = command_of(line);
    enum option_id nearest =
        option_nearest(word, TAKES_ALWAYS | (command == NULL ? 0 : command->options));

    if (nearest == OPTION_NONE)
        return wrong(command, "there is no option", word);
    fputs("reevectl: there is no option \"", stderr);
    human_print(stderr, word);
    fprintf(stderr, "\"; did you mean \"--%s\"?\n", options[nearest].name);
    return EXIT_USAGE;
}

static enum exit_status wrong_value(const struct line *line, enum option_id id, const char *value)
{
    char what[128];

    snprintf(what, sizeof what, "--%s takes %s, not", options[id].name, option_expected(id));
    return wrong(command_of(line), what, value);
}

/* EXIT_DONE, or what was wrong has been said. */
static enum exit_status read_option(struct line *line, char **argv, int *i)
{
    const char *value;
    enum option_id id = option_find(argv[*i], &value);
    const struct option *option = &options[id];

    if (id == OPTION_NONE || (option->kind == KIND_FLAG && value != NULL))
        return unknown_option(line, argv[*i]);
    if (option->kind != KIND_FLAG && value == NULL) {
        if (argv[*i + 1] == NULL)
            return wrong(command_of(line), "there is nothing behind", argv[*i]);
        value = argv[++*i];
    }
    if (!option_set(id, value, &line->ctl.options[id]))
        return wrong_value(line, id, value);
    return EXIT_DONE;
}

static enum exit_status read_word(struct line *line, char **argv, int *i)
{
    if (is_argument(line, argv[*i])) {
        line->words[line->count++] = argv[*i];
        return EXIT_DONE;
    }
    if (strcmp(argv[*i], "--") == 0) {
        line->is_all_words = true;
        return EXIT_DONE;
    }
    return read_option(line, argv, i);
}

/* ---- whether they fit together ---- */

static enum exit_status check_excluded(const struct ctl *ctl, const struct option *option)
{
    char what[96];

    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        if (!ctl->options[id].is_given || (option->excludes & TAKES(id)) == 0)
            continue;
        snprintf(what, sizeof what, "--%s cannot stand beside --%s", option->name,
                 options[id].name);
        return wrong(ctl->command, what, NULL);
    }
    return EXIT_DONE;
}

static enum exit_status check_option(const struct ctl *ctl, enum option_id id)
{
    const struct option *option = &options[id];
    char what[96];

    if (((TAKES_ALWAYS | ctl->command->options) & TAKES(id)) == 0) {
        snprintf(what, sizeof what, "%s takes no option --%s", ctl->command->name, option->name);
        return wrong(ctl->command, what, NULL);
    }
    if (option->needs != OPTION_NONE && !ctl->options[option->needs].is_given) {
        snprintf(what, sizeof what, "--%s says nothing without --%s", option->name,
                 options[option->needs].name);
        return wrong(ctl->command, what, NULL);
    }
    if (option->is_instead && ctl->argc > 0) {
        snprintf(what, sizeof what, "with --%s there is nothing to name, not", option->name);
        return wrong(ctl->command, what, ctl->argv[0]);
    }
    return check_excluded(ctl, option);
}

static enum exit_status check_line(const struct ctl *ctl)
{
    const struct command *command = ctl->command;
    enum exit_status status = EXIT_DONE;

    for (int id = OPTION_NONE + 1; id < OPTION_COUNT && status == EXIT_DONE; id++) {
        if (ctl->options[id].is_given)
            status = check_option(ctl, (enum option_id)id);
    }
    if (status != EXIT_DONE)
        return status;
    if (ctl->argc < command->min)
        return wrong(command, "an argument is missing", NULL);
    if (command->max >= 0 && ctl->argc > command->max)
        return wrong(command, "that is one argument too many:", ctl->argv[command->max]);
    return EXIT_DONE;
}

/* ---- running ---- */

static enum exit_status run(struct line *line)
{
    struct ctl *ctl = &line->ctl;
    enum exit_status status;

    ctl->out = ctl->options[OPTION_JSON].is_given ? &output_json : &output_text;
    ctl->socket = ctl->options[OPTION_SOCKET].text;
    if (ctl->options[OPTION_VERSION].is_given)
        return printf("reevectl %s\n", REEVE_VERSION) > 0 ? EXIT_DONE : EXIT_FAILED;
    if (ctl->options[OPTION_HELP].is_given) { /* `reevectl reload -h` is `reevectl help reload` */
        ctl->argc = line->count > 0;
        ctl->argv = line->words;
        return run_help(ctl);
    }
    if (line->count == 0)
        return wrong(NULL, "a verb is missing", NULL);
    ctl->command = command_find(line->words[0]);
    if (ctl->command == NULL)
        return unknown_verb(line->words[0]);
    ctl->argc = line->count - 1;
    ctl->argv = line->words + 1;
    status = check_line(ctl);
    return status == EXIT_DONE ? ctl->command->run(ctl) : status;
}

int main(int argc, char **argv)
{
    struct line line = {.count = 0};
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
    free(line.ctl.found);
    option_fini(line.ctl.options);
    if (fflush(stdout) != 0 && status == EXIT_DONE)
        status = EXIT_FAILED;
    return (int)status;
}
