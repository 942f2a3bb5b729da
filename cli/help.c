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
    {EXIT_REJECTED, "the new build was rejected; the old one goes on serving"},
    {EXIT_ROLLED_BACK, "rolled back after it was live"},
    {EXIT_PARTIAL, "timed out, or done in part"},
    {EXIT_DENIED, "no permission"},
    {EXIT_INTERRUPTED, "interrupted; the action goes on in the server"},
};

static void print_options(void)
{
    printf("\nOptions:\n");
    for (const struct option_row *row = option_rows; row->letter != 0; row++) {
        char long_form[32];

        snprintf(long_form, sizeof long_form, "--%s%s%s", row->name,
                 row->argument == NULL ? "" : " ", row->argument == NULL ? "" : row->argument);
        printf("  -%c, %-18s %s\n", row->letter, long_form, row->summary);
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
        char form[32];

        if (c->summary == NULL)
            continue;
        snprintf(form, sizeof form, "%s %s", c->name, c->arguments);
        printf("  %-20s %s\n", form, c->summary);
    }
    print_options();
    print_exit_statuses();
}

static void print_usage(FILE *to, const struct command *command)
{
    fprintf(to, "usage: reevectl %s%s%s%s%s%s\n", command->name, command->flag == NULL ? "" : " [",
            command->flag == NULL ? "" : command->flag, command->flag == NULL ? "" : "]",
            command->arguments[0] == '\0' ? "" : " ", command->arguments);
}

void help_usage(const struct command *command)
{
    if (command == NULL)
        fprintf(stderr, "usage: reevectl [OPTION...] VERB [ARGUMENT...]\n"
                        "`reevectl help` lists the verbs.\n");
    else
        print_usage(stderr, command);
}

static void print_command(const struct command *command)
{
    print_usage(stdout, command);
    printf("\n%s\n", command->summary);
    if (command->flag != NULL)
        printf("\n  %-12s %s\n", command->flag, command->flag_summary);
    if (command->details != NULL)
        printf("\n%s\n", command->details);
    print_options();
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

/* ---- completion ---- */

static void print_words_of(enum completes completes)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->summary != NULL && (completes == COMPLETES_VERBS || c->completes == completes))
            printf("%s ", c->name);
    }
}

static void print_flags_case(void)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->flag != NULL)
            printf("        %s) options+=\" %s\" ;;\n", c->name, c->flag);
    }
}

static const char *completion_of(enum completes completes)
{
    switch (completes) {
    case COMPLETES_APPS:
        return "words=$(reevectl ${socket:+-s \"$socket\"} _apps 2>/dev/null)";
    case COMPLETES_FILES:
        return "compopt -o default";
    case COMPLETES_VERBS:
        return "words=$verbs";
    case COMPLETES_BASH:
        return "words=bash";
    case COMPLETES_NOTHING:
        break;
    }
    return NULL;
}

static void print_arguments_case(void)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->summary != NULL && completion_of(c->completes) != NULL)
            printf("        %s) %s ;;\n", c->name, completion_of(c->completes));
    }
}

enum exit_status run_completion(struct ctl *ctl)
{
    if (strcmp(ctl->argv[0], "bash") != 0) {
        ctl->out->failure("usage", "there is a completion for bash only");
        return EXIT_USAGE;
    }
    printf("# Completion of reevectl's words, written by `reevectl completion bash`.\n"
           "_reevectl() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} verb='' socket='' words='' i\n"
           "    local verbs='");
    print_words_of(COMPLETES_VERBS);
    printf("' options='");
    for (const struct option_row *row = option_rows; row->letter != 0; row++)
        printf("-%c --%s ", row->letter, row->name);
    printf("'\n"
           "    COMPREPLY=()\n"
           "    case ${COMP_WORDS[COMP_CWORD - 1]} in\n"
           "        -s | --socket) compopt -o default; return ;;\n"
           "        -t | --timeout) return ;;\n"
           "    esac\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "            -s | --socket) i=$((i + 1)); socket=${COMP_WORDS[i]} ;;\n"
           "            -t | --timeout) i=$((i + 1)) ;;\n"
           "            -*) ;;\n"
           "            *) verb=${verb:-${COMP_WORDS[i]}} ;;\n"
           "        esac\n"
           "    done\n"
           "    case $verb in\n"
           "        '') words=$verbs ;;\n");
    print_arguments_case();
    printf("    esac\n"
           "    case $verb in\n");
    print_flags_case();
    printf("    esac\n"
           "    [[ $word == -* ]] && words=$options\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -F _reevectl reevectl\n");
    return EXIT_DONE;
}
