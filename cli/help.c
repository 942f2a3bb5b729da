/* help.c: prints the tables: of verbs, of options, of exit statuses, of the statistics' fields. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "base/stats.h"
#include "human.h"

static const struct {
    enum exit_status status;
    const char *meaning;
} exit_meanings[] = {
    {EXIT_DONE, "done"},
    {EXIT_FAILED, "failed, nothing was changed"},
    {EXIT_USAGE, "wrong usage"},
    {EXIT_NOT_RUNNING, "reeve is not running"},
    {EXIT_REJECTED, "what is new was rejected; what was before goes on serving"},
    {EXIT_ROLLED_BACK, "taken back after it was live in some workers"},
    {EXIT_PARTIAL, "timed out, or done in part"},
    {EXIT_DENIED, "no permission"},
    {EXIT_INTERRUPTED, "interrupted; what has begun goes on in the server"},
};

/* "-t, --timeout TIME"; verbs' own have no letter. */
static void print_option(const struct option *option)
{
    const char *summary = option->summary;
    char letter[8] = "    ", form[48];

    if (option->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(form, sizeof form, "--%s%s%s", option->name, option->argument == NULL ? "" : " ",
             option->argument == NULL ? "" : option->argument);
    for (size_t length; *summary != '\0'; summary += length + (summary[length] == '\n')) {
        bool is_first = summary == option->summary;

        length = strcspn(summary, "\n");
        printf("  %s%-19s  %.*s\n", is_first ? letter : "    ", is_first ? form : "", (int)length,
               summary);
    }
}

static void print_options(unsigned set)
{
    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        if ((set & TAKES(id)) != 0)
            print_option(&options[id]);
    }
}

static void print_exit_statuses(void)
{
    printf("\nExit status:\n");
    for (size_t i = 0; i < sizeof exit_meanings / sizeof exit_meanings[0]; i++)
        printf("  %3d  %s\n", exit_meanings[i].status, exit_meanings[i].meaning);
}

static void print_overview(void)
{
    printf("usage: reevectl [OPTION...] VERB [ARGUMENT...]\n\n"
           "Asks and commands a running reeve, over its control socket.\n\nVerbs:\n");
    for (const struct command *c = commands; c->name != NULL; c++) {
        char form[48];

        if (c->summary == NULL)
            continue;
        snprintf(form, sizeof form, "%s %s", c->name, c->arguments);
        printf("  %-22s %s\n", form, c->summary);
    }
    printf("\nOptions:\n");
    print_options(TAKES_ALWAYS);
    print_exit_statuses();
}

#define WIDTH 80

/* "usage: reevectl reload [--all] [--canary N|P%] ... [APP...]", in lines that fit. */
static void print_usage(FILE *to, const struct command *command)
{
    int column = fprintf(to, "usage: reevectl %s", command->name), indent = column;

    for (int id = OPTION_NONE + 1; id <= OPTION_COUNT; id++) {
        char word[64];

        if (id == OPTION_COUNT) /* the arguments come last */
            snprintf(word, sizeof word, "%s", command->arguments);
        else if ((command->options & TAKES(id)) != 0)
            snprintf(word, sizeof word, "[--%s%s%s]", options[id].name,
                     options[id].argument == NULL ? "" : " ",
                     options[id].argument == NULL ? "" : options[id].argument);
        else
            continue;
        if (word[0] == '\0')
            continue;
        if (column + 1 + (int)strlen(word) >= WIDTH)
            column = fprintf(to, "\n%*s", indent, "") - 1;
        column += fprintf(to, " %s", word);
    }
    fputc('\n', to);
}

void help_usage(FILE *to, const struct command *command)
{
    if (command == NULL)
        fprintf(to, "usage: reevectl [OPTION...] VERB [ARGUMENT...]\n"
                    "`reevectl help` lists the verbs.\n");
    else
        print_usage(to, command);
}

static void print_command(const struct command *command)
{
    print_usage(stdout, command);
    printf("\n%s\n", command->summary);
    if (command->details != NULL)
        printf("\n%s\n", command->details);
    if (command->options != 0)
        printf("\nOptions:\n");
    print_options(command->options);
    printf("\nOptions of every verb:\n");
    print_options(TAKES_ALWAYS);
    print_exit_statuses();
}

/* What each figure means, from the table that makes them. */
static void print_fields(void)
{
    for (size_t i = 0; stats_tables[i] != NULL; i++) {
        const struct stats_table *table = stats_tables[i];
        struct table *out = table_new("FIELD|UNIT|MEANING");

        printf("\n%s%s%s\n", table->name, table->name[0] == '\0' ? "" : ": ", table->title);
        for (size_t k = 0; k < table->count; k++) {
            table_cell(out, COLOUR_NONE, "%s", table->fields[k].name);
            table_cell(out, COLOUR_NONE, "%s", table->fields[k].unit);
            table_cell(out, COLOUR_NONE, "%s", table->fields[k].help);
        }
        table_print(out, stdout);
    }
}

enum exit_status run_help(struct ctl *ctl)
{
    const struct command *command;

    if (ctl->argc == 0) {
        print_overview();
        return EXIT_DONE;
    }
    command = command_find(ctl->argv[0]);
    if (command == NULL || command->summary == NULL) {
        ctl->out->failure("usage", "there is no such verb; `reevectl help` lists them");
        return EXIT_USAGE;
    }
    print_command(command);
    if (strcmp(command->name, "stats") == 0)
        print_fields();
    return EXIT_DONE;
}
