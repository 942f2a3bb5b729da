/* config.c: reads a configuration file with libconfuse, and frees configurations.
 *
 * To libconfuse every value is a string, so that config_keys.c decides what a number, a size or a
 * switch is: its own integers are octal after a 0 and fail on an errno left over from elsewhere.
 * Its callbacks say no more than where they are in the tree, hence `reading`. */
#include "base/config.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_parts.h"
#include "base/config_text.h"
#include "base/paths.h"

/* While libconfuse runs: what its callbacks work for. It is not reentrant either. */
static struct {
    struct config_reading *reading;
    const struct config_text *text;
    const cfg_t *section; /* the one that was begun last */
    size_t section_count;
} parse;

/* ---- sections ---- */

static bool is_section(const cfg_t *cfg, const char *name)
{
    return strcmp(cfg->name, name) == 0;
}

/* libconfuse tells only when a section ends: it begins with its first value, or with its end. */
static void begin_section(cfg_t *cfg)
{
    int line = cfg->line;

    if (parse.section == cfg || parse.reading->has_failed)
        return;
    parse.section = cfg;
    if (parse.section_count < parse.text->section_count)
        line = parse.text->section_lines[parse.section_count];
    parse.section_count++;
    if (is_section(cfg, "listen"))
        config_add_listen(parse.reading, cfg->title, line);
    else
        config_add_app(parse.reading, cfg->title, line);
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct config_reading *reading = parse.reading;
    struct config *config = reading->config;
    const char *text = cfg_opt_getnstr(opt, 0);

    if (!is_section(cfg, "listen") && !is_section(cfg, "app")) {
        config_set_key(reading, config_server_keys, config, reading->server_lines, opt->name, text,
                       cfg->line);
        return reading->has_failed;
    }
    begin_section(cfg);
    if (reading->has_failed)
        return -1;
    if (is_section(cfg, "listen"))
        config_set_key(reading, config_listen_keys, &config->listens[config->listen_count - 1],
                       reading->section_lines, opt->name, text, cfg->line);
    else
        config_set_key(reading, config_app_keys, &config->apps[config->app_count - 1],
                       reading->section_lines, opt->name, text, cfg->line);
    return reading->has_failed;
}

/* Comes after each element of an app's list of listeners, and at its end. */
static int on_listens(cfg_t *cfg, cfg_opt_t *opt)
{
    struct config_app_lines *lines;

    /* libconfuse takes "app|listen = ..." at the top for the first app's. */
    if (!is_section(cfg, "app")) {
        config_complain(parse.reading, cfg->line, "unknown key \"%s\"", opt->name);
        return -1;
    }
    begin_section(cfg);
    if (parse.reading->has_failed)
        return -1;
    lines = &parse.reading->app_lines[parse.reading->config->app_count - 1];
    if (lines->listens == 0)
        lines->listens = cfg->line;
    return 0;
}

static void take_listens(struct config_app *app, cfg_t *cfg)
{
    unsigned count = cfg_size(cfg, "listen");

    if (count == 0)
        return;
    app->listens = calloc(count, sizeof *app->listens);
    if (app->listens == NULL) {
        config_complain(parse.reading, 0, "out of memory");
        return;
    }
    while (app->listen_count < count) {
        const char *name = cfg_getnstr(cfg, "listen", (unsigned)app->listen_count);

        app->listens[app->listen_count++] = config_keep(parse.reading, name);
    }
}

static void take_options(struct config_app *app, cfg_t *options)
{
    unsigned count = cfg_num(options);

    if (count == 0)
        return;
    app->options = calloc(count, sizeof *app->options);
    if (app->options == NULL) {
        config_complain(parse.reading, 0, "out of memory");
        return;
    }
    while (app->option_count < count) {
        cfg_opt_t *opt = cfg_getnopt(options, (unsigned)app->option_count);
        struct config_option *option = &app->options[app->option_count++];

        option->key = config_keep(parse.reading, opt->name);
        option->value = config_keep(parse.reading, cfg_opt_getnstr(opt, 0));
    }
}

/* Where `name` was set in the section that has just ended; 0: it was not. */
static int line_of(const struct config_key *keys, const char *name)
{
    for (size_t i = 0; keys[i].name != NULL; i++)
        if (strcmp(keys[i].name, name) == 0)
            return parse.reading->section_lines[i];
    return 0;
}

/* A section of the file has ended. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    struct config_reading *reading = parse.reading;

    (void)cfg;
    begin_section(section);
    if (!reading->has_failed && is_section(section, "listen")) {
        reading->listen_lines[reading->config->listen_count - 1].app =
            line_of(config_listen_keys, "app");
    } else if (!reading->has_failed) {
        size_t index = reading->config->app_count - 1;
        struct config_app *app = &reading->config->apps[index];

        reading->app_lines[index].mount = line_of(config_app_keys, "mount");
        take_listens(app, section);
        take_options(app, cfg_getsec(section, "option"));
    }
    return reading->has_failed;
}

/* ---- errors ---- */

/* libconfuse's complaints about syntax, and what an operator is told instead: before, "ARGUMENT" in
 * quotes, after. */
static const struct {
    const char *theirs;
    const char *before, *after;
} sentences[] = {
    {"no such option '%s'", "unknown key ", ""},
    {"no sub-section title/index for '%s'", "unknown key ", ""},
    {"unexpected token '%s'", "unexpected ", ""},
    {"missing equal sign after option '%s'", "\"=\" is missing after ", ""},
    {"attempt to append to non-list option '%s'", "\"+=\" adds to lists, but this is none: ", ""},
    {"missing title for section '%s'", "a name or address in quotes is missing after ", ""},
    {"missing opening brace for section '%s'", "\"{\" is missing after the name of ", ""},
    {"invalid octal number '%s'", "a byte has no such number: ", ""},
    {"bad escape sequence '%s'", "unknown escape ", ""},
};

static void complain_duplicate(int line, const char *title)
{
    const struct config *config = parse.reading->config;

    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_app *app = &config->apps[i];

        if (strcmp(app->name, title) == 0)
            config_complain(parse.reading, line, "there already is an app \"%s\" (line %d)", title,
                            app->line);
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        struct sock_address address;

        if (sock_parse(title, &address) == NULL && strcmp(address.text, listen->address.text) == 0)
            config_complain(parse.reading, line, "there already is a listener at \"%s\" (line %d)",
                            address.text, listen->line);
    }
}

static void on_error(cfg_t *cfg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    struct config_reading *reading = parse.reading;
    char theirs[256], where[128] = "";

    /* `option` takes any key, and libconfuse complains of each before it does so. */
    if (reading->has_failed ||
        (is_section(cfg, "option") && strcmp(format, "no such option '%s'") == 0))
        return;
    if (cfg->title != NULL)
        snprintf(where, sizeof where, " in %s \"%s\"", cfg->name, cfg->title);
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if (strcmp(format, sentences[i].theirs) == 0)
            config_complain(reading, cfg->line, "%s\"%s\"%s%s", sentences[i].before,
                            va_arg(args, char *), sentences[i].after, where);
    }
    if (!reading->has_failed && strcmp(format, "found duplicate title '%s'") == 0)
        complain_duplicate(cfg->line, va_arg(args, char *));
    if (strcmp(format, "premature end of file") == 0)
        config_complain(reading, cfg->line, "the file ends where a value should be");
    if (reading->has_failed)
        return;
    vsnprintf(theirs, sizeof theirs, format, args);
    config_complain(reading, cfg->line, "%s%s", theirs, where);
}

/* ---- the file ---- */

/* libconfuse's table of a section from ours, with room behind it: the index of the first free
 * one. */
static size_t fill_opts(cfg_opt_t *opts, const struct config_key *keys)
{
    size_t count = 0;

    for (; keys[count].name != NULL; count++) {
        cfg_opt_t opt = CFG_STR(keys[count].name, NULL, CFGF_NODEFAULT);

        opt.validcb = on_value;
        opts[count] = opt;
    }
    return count;
}

/* The tree of keys as libconfuse wants it. It keeps a copy. */
static cfg_t *make_parser(void)
{
    cfg_opt_t options[] = {CFG_END()};
    cfg_opt_t listen[CONFIG_KEYS_MAX], app[CONFIG_KEYS_MAX], server[CONFIG_KEYS_MAX];
    cfg_opt_t end = CFG_END(), listens = CFG_STR_LIST("listen", NULL, CFGF_NODEFAULT),
              option = CFG_SEC("option", options, CFGF_KEYSTRVAL),
              listen_section =
                  CFG_SEC("listen", listen, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
              app_section = CFG_SEC("app", app, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    size_t n;

    n = fill_opts(listen, config_listen_keys);
    listen[n] = end;
    n = fill_opts(app, config_app_keys);
    listens.validcb = on_listens;
    app[n++] = listens;
    app[n++] = option;
    app[n] = end;
    n = fill_opts(server, config_server_keys);
    listen_section.validcb = on_section;
    app_section.validcb = on_section;
    server[n++] = listen_section;
    server[n++] = app_section;
    server[n] = end;
    return cfg_init(server, CFGF_NONE);
}

static void parse_text(struct config_reading *reading, const struct config_text *text)
{
    cfg_t *cfg = make_parser();

    if (cfg == NULL) {
        config_complain(reading, 0, "out of memory");
        return;
    }
    parse.reading = reading;
    parse.text = text;
    parse.section = NULL;
    parse.section_count = 0;
    cfg_set_error_function(cfg, on_error);
    if (cfg_parse_buf(cfg, text->bytes) != CFG_SUCCESS)
        config_complain(reading, cfg->line, "this cannot be understood"); /* it said nothing */
    cfg_free(cfg);
    parse.reading = NULL;
    parse.text = NULL;
}

struct config *config_load(const char *path, char **error_out)
{
    struct config_reading reading;
    struct config_text text;

    if (config_text_read(&text, path, error_out) != 0)
        return NULL;
    config_reading_init(&reading, path);
    if (!reading.has_failed)
        reading.config->path = paths_absolute(path);
    if (!reading.has_failed && reading.config->path == NULL)
        config_complain(&reading, 0, "the current folder cannot be told: %m");
    if (!reading.has_failed)
        parse_text(&reading, &text);
    config_text_fini(&text);
    return config_reading_end(&reading, error_out);
}

/* ---- what was read ---- */

static void free_app(struct config_app *app)
{
    for (size_t i = 0; i < app->listen_count; i++)
        free(app->listens[i]);
    for (size_t i = 0; i < app->option_count; i++) {
        free(app->options[i].key);
        free(app->options[i].value);
    }
    free(app->listens);
    free(app->options);
    free(app->name);
    free(app->module);
    free(app->mount);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->listen_count; i++) {
        free(config->listens[i].name);
        free(config->listens[i].app);
    }
    for (size_t i = 0; i < config->app_count; i++)
        free_app(&config->apps[i]);
    free(config->listens);
    free(config->apps);
    free(config->path);
    free(config->lines);
    free(config->control);
    free(config->state_dir);
    free(config->pid_file);
    free(config->log_file);
    free(config->access_log);
    free(config);
}

const struct config_app *config_find_app(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->app_count; i++)
        if (strcmp(config->apps[i].name, name) == 0)
            return &config->apps[i];
    return NULL;
}

const char *config_app_option(const struct config_app *app, const char *key)
{
    for (size_t i = 0; i < app->option_count; i++) {
        if (strcmp(app->options[i].key, key) == 0)
            return app->options[i].value;
    }
    return NULL;
}
