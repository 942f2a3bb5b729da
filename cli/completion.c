/* completion.c: writes the script that completes reevectl's words in bash, from the same tables as
 * the parser and the help. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

static void print_verbs(void)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->summary != NULL)
            printf("%s ", c->name);
    }
}

static void print_option_words(unsigned set)
{
    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        if ((set & TAKES(id)) == 0)
            continue;
        if (options[id].letter != 0)
            printf("-%c ", options[id].letter);
        printf("--%s ", options[id].name);
    }
}

/* Those that are followed by a value: by a path, or by another one. */
static unsigned with_value(bool is_path)
{
    unsigned set = 0;

    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        enum option_kind kind = options[id].kind;

        if (kind != KIND_FLAG && (kind == KIND_TEXT || kind == KIND_PATH) == is_path)
            set |= TAKES(id);
    }
    return set;
}

/* "-s | --socket | --for": a pattern of bash. */
static void print_pattern(unsigned set)
{
    const char *separator = "";

    for (int id = OPTION_NONE + 1; id < OPTION_COUNT; id++) {
        if ((set & TAKES(id)) == 0)
            continue;
        if (options[id].letter != 0)
            printf("%s-%c | --%s", separator, options[id].letter, options[id].name);
        else
            printf("%s--%s", separator, options[id].name);
        separator = " | ";
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

static void print_cases(void)
{
    printf("    case $verb in\n"
           "        '') words=$verbs ;;\n");
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->summary != NULL && completion_of(c->completes) != NULL)
            printf("        %s) %s ;;\n", c->name, completion_of(c->completes));
    }
    printf("    esac\n"
           "    case $verb in\n");
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->options == 0)
            continue;
        printf("        %s) options+='", c->name);
        print_option_words(c->options);
        printf("' ;;\n");
    }
    printf("    esac\n");
}

/* Which verb and which socket stand on the line so far; and what the word before asks for. bash
 * makes three words of "--for=30s". */
static void print_reading(void)
{
    printf("    case ${COMP_WORDS[COMP_CWORD - 1]} in\n        ");
    print_pattern(with_value(true));
    printf(" | =) compopt -o default; return ;;\n        ");
    print_pattern(with_value(false));
    printf(") return ;;\n"
           "    esac\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n            ");
    print_pattern(with_value(true) | with_value(false));
    printf(")\n"
           "                previous=${COMP_WORDS[i]}\n"
           "                i=$((i + 1))\n"
           "                [[ ${COMP_WORDS[i]} == = ]] && i=$((i + 1))\n"
           "                [[ $previous == -s || $previous == --socket ]] && "
           "socket=${COMP_WORDS[i]}\n"
           "                ;;\n"
           "            -*) ;;\n"
           "            *) verb=${verb:-${COMP_WORDS[i]}} ;;\n"
           "        esac\n"
           "    done\n");
}

enum exit_status run_completion(struct ctl *ctl)
{
    if (strcmp(ctl->argv[0], "bash") != 0) {
        ctl->out->failure("usage", "there is a completion for bash only");
        return EXIT_USAGE;
    }
    printf("# Completion of reevectl's words, written by `reevectl completion bash`.\n"
           "_reevectl() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} verb='' socket='' words='' previous i\n"
           "    local verbs='");
    print_verbs();
    printf("' options='");
    print_option_words(TAKES_ALWAYS);
    printf("'\n"
           "    COMPREPLY=()\n");
    print_reading();
    print_cases();
    printf("    [[ $word == -* ]] && words=$options\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -F _reevectl reevectl\n");
    return EXIT_DONE;
}
