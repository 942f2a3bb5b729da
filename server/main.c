/* main.c: the command line. It makes a configuration of it, or reads the file it names, and hands
 * it to the master; nothing is served from here. */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/version.h"
#include "master/check.h"
#include "master/heir.h"
#include "master/master.h"
#include "master/self.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2 };

enum { /* long options without a letter */
       OPTION_LISTEN = 256,
       OPTION_WORKERS,
       OPTION_CONTROL,
       OPTION_STATE_DIR,
       OPTION_LOG_LEVEL,
       OPTION_ACCESS_LOG,
       OPTION_PID_FILE,
       OPTION_CHECK_UPGRADE,
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
    {"pid-file", required_argument, NULL, OPTION_PID_FILE},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {HEIR_OPTION, required_argument, NULL, OPTION_CHECK_UPGRADE}, /* of the server to itself */
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: reeve -c FILE                 serve what the configuration says\n"
    "       reeve -t -c FILE              check it, load each module in a process of its own\n"
    "       reeve [OPTIONS] MODULE.so...  serve the first at /, the others at /NAME\n"
    "\n"
    "Without a configuration file:\n"
    "  --listen ADDRESS     127.0.0.1:8080 (the default), [::1]:8080, *:8080, unix:/PATH;\n"
    "                       may be given several times\n"
    "  --workers N|auto     processes; auto: one a CPU (the default)\n"
    "  --control PATH       the control socket for reevectl\n"
    "  --state-dir FOLDER   where copies of the modules are kept\n"
    "  --log-level LEVEL    debug, info, warn or error\n"
    "  --access-log FILE    one line a request\n"
    "  --pid-file FILE\n"
    "\n"
    "  -t, --test     check only; exit status 0 or 2\n"
    "  -v, --version\n"
    "  -h, --help\n"
    "\n"
    "reeve stays in the foreground and logs to stderr. Signals: TERM stops when all requests are\n"
    "done, INT and QUIT at once, HUP reads the configuration again, USR1 opens log files again,\n"
    "USR2 upgrades to the binary that is there now, TTIN and TTOU start and end a worker.\n";

struct arguments {
    const char *file; /* -c; NULL: none */
    bool is_test;
    int checked; /* descriptor of the state that an upgrade would take over; -1: no such check */
    const char *line_option; /* one that is of no use beside -c; NULL: none was given */
    const char **listens;    /* line.listens points here */
    struct config_line line;
};

enum reading { READING_DONE, READING_EXIT, READING_WRONG };

/* What is wrong, as one sentence. */
static enum reading wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static enum reading wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("reeve: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (see reeve --help)\n", stderr);
    va_end(args);
    return READING_WRONG;
}

static void take_line_option(struct arguments *arguments, int option, const char *value)
{
    struct config_line *line = &arguments->line;

    for (const struct option *o = options; o->name != NULL; o++)
        if (o->val == option)
            arguments->line_option = o->name;
    switch (option) {
    case OPTION_LISTEN:
        arguments->listens[line->listen_count++] = value;
        break;
    case OPTION_WORKERS:
        line->workers = value;
        break;
    case OPTION_CONTROL:
        line->control = value;
        break;
    case OPTION_STATE_DIR:
        line->state_dir = value;
        break;
    case OPTION_LOG_LEVEL:
        line->log_level = value;
        break;
    case OPTION_ACCESS_LOG:
        line->access_log = value;
        break;
    default:
        line->pid_file = value;
        break;
    }
}

/* `argument` is the one that getopt has just stepped over. */
static enum reading wrong_option(int option, const char *argument)
{
    char letter[3] = {'-', (char)optopt, '\0'};

    if (option == ':')
        return wrong("%s needs a value", optopt == 'c' ? "-c" : argument);
    return wrong("there is no option %s", optopt > 0 && optopt < 256 ? letter : argument);
}

static enum reading check_together(const struct arguments *arguments)
{
    if (arguments->file != NULL && arguments->line_option != NULL)
        return wrong("--%s is of no use beside -c: the file says it", arguments->line_option);
    if (arguments->file != NULL && arguments->line.module_count > 0)
        return wrong("%s is of no use beside -c: the file names the modules",
                     arguments->line.modules[0]);
    if (arguments->file == NULL && arguments->line.module_count == 0)
        return wrong("a configuration file (-c FILE) or a module is missing");
    return READING_DONE;
}

static enum reading read_arguments(int argc, char **argv, struct arguments *arguments)
{
    opterr = 0; /* the sentences are ours */
    for (;;) {
        int option = getopt_long(argc, argv, ":c:tvVh", options, NULL);

        switch (option) {
        case -1:
            arguments->line.modules = (const char *const *)argv + optind;
            arguments->line.module_count = (size_t)(argc - optind);
            return check_together(arguments);
        case 'c':
            arguments->file = optarg;
            break;
        case 't':
            arguments->is_test = true;
            break;
        case 'v':
        case 'V':
            puts("reeve " REEVE_VERSION);
            return READING_EXIT;
        case 'h':
            fputs(help, stdout);
            return READING_EXIT;
        case OPTION_CHECK_UPGRADE:
            arguments->checked = atoi(optarg);
            break;
        case '?':
        case ':':
            return wrong_option(option, argv[optind - 1]);
        default:
            take_line_option(arguments, option, optarg);
            break;
        }
    }
}

static struct config *make_config(const struct arguments *arguments, char **error_out)
{
    struct config *config = arguments->file != NULL ? config_load(arguments->file, error_out)
                                                    : config_from_line(&arguments->line, error_out);

    if (config == NULL && *error_out == NULL)
        *error_out = strdup("memory has run out");
    return config;
}

static int test(const struct config *config, const struct arguments *arguments)
{
    char *error = NULL;

    if (config_check_places(config, &error) != 0 || check_modules(config, &error) != 0) {
        fprintf(stderr, "%s\n", error != NULL ? error : "memory has run out");
        free(error);
        return EXIT_USAGE;
    }
    printf("%s: ok\n", arguments->file != NULL ? arguments->file : "command line");
    return EXIT_DONE;
}

static int check_upgrade(const struct arguments *arguments)
{
    char *error = NULL;
    struct config *config = make_config(arguments, &error);
    int status = heir_answer(config, error, arguments->checked);

    free(error);
    if (config != NULL)
        config_free(config);
    return status;
}

/* `document`: what a former image of this process has left; -1: there was none. */
static int run(const struct arguments *arguments, const struct self *self, int document)
{
    char *error = NULL;
    struct config *config = make_config(arguments, &error);
    int status;

    if (config == NULL) {
        fprintf(stderr, "%s%s\n", arguments->file != NULL ? "" : "reeve: ", error);
        free(error);
        return EXIT_USAGE;
    }
    if (document != -1)
        return master_resume(config, self, document);
    if (!arguments->is_test)
        return master_main(config, self); /* which may have another one by then */
    status = test(config, arguments);
    config_free(config);
    return status;
}

static int read_and_run(int argc, char **argv, struct arguments *arguments, const struct self *self)
{
    int document = heir_document();

    switch (read_arguments(argc, argv, arguments)) {
    case READING_DONE:
        return arguments->checked != -1 ? check_upgrade(arguments) : run(arguments, self, document);
    case READING_EXIT:
        return EXIT_DONE;
    case READING_WRONG:
        break;
    }
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.file = NULL, .checked = -1};
    struct self self;
    int status = EXIT_FAILURE;

    arguments.listens = calloc((size_t)argc, sizeof(*arguments.listens)); /* more than enough */
    if (self_init(&self, argv) == 0 && arguments.listens != NULL) {
        arguments.line.listens = arguments.listens;
        status = read_and_run(argc, argv, &arguments, &self);
    }
    free(arguments.listens);
    self_fini(&self);
    return status;
}
