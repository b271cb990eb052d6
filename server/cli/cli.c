#include "server/cli/cli.h"

#include "server/config/suggest.h"
#include "server/galley.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command *command_find(const char *name)
{
    struct suggestion near = suggestion_for(name);
    for (unsigned i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
        suggestion_offer(&near, commands[i]->name);
    }
    char hint[SUGGESTION_TEXT_SIZE];
    fprintf(stderr, "galley: there is no command %s%s\n", name, suggestion_text(&near, hint));
    fprintf(stderr, "galley help lists them\n");
    return NULL;
}

static void refuse_option(const struct command *command, const struct cli_option *options,
                          const char *argument)
{
    struct suggestion near = suggestion_for(argument);
    for (; options->name; options++)
        suggestion_offer(&near, options->name);
    char hint[SUGGESTION_TEXT_SIZE];
    fprintf(stderr, "galley %s: there is no option %s%s\n", command->name, argument,
            suggestion_text(&near, hint));
    fprintf(stderr, "usage: %s\n", command->usage);
}

/* The text behind "--listen=", or NULL if the argument is not of that form. */
static const char *joined_value(const char *argument, const char *name)
{
    size_t len = strlen(name);
    bool joined = strncmp(argument, name, len) == 0 && argument[len] == '=';
    return joined ? argument + len + 1 : NULL;
}

/* The option that an argument gives, or the end of the list. */
static const struct cli_option *find_option(const struct cli_option *options, const char *argument)
{
    while (options->name && strcmp(argument, options->name) != 0 &&
           !(options->value && joined_value(argument, options->name)))
        options++;
    return options;
}

int cli_read_words(const struct command *command, const struct cli_option *options, int argc,
                   char **argv, const char **words, int most)
{
    int count = 0;
    for (int i = 0; i < argc; i++) {
        const struct cli_option *option = find_option(options, argv[i]);
        if (!option->name && argv[i][0] != '-' && count < most) {
            words[count++] = argv[i];
            continue;
        }
        if (!option->name) {
            refuse_option(command, options, argv[i]);
            return -1;
        }
        if (!option->value) {
            *option->given = true;
            continue;
        }
        const char *value = joined_value(argv[i], option->name);
        if (!value && i + 1 == argc) {
            fprintf(stderr, "galley %s: %s wants a value\nusage: %s\n", command->name, option->name,
                    command->usage);
            return -1;
        }
        *option->value = value ? value : argv[++i];
    }
    return count;
}

bool cli_read(const struct command *command, const struct cli_option *options, int argc,
              char **argv)
{
    return cli_read_words(command, options, argc, argv, NULL, 0) == 0;
}

static const char config_here[] = "config.ini", config_of_system[] = "/etc/galley/config.ini";

const char *cli_config_path(void)
{
    bool elsewhere = access(config_here, F_OK) != 0 && access(config_of_system, F_OK) == 0;
    return elsewhere ? config_of_system : config_here;
}

static void tell_no_config(void)
{
    char here[2048];
    fprintf(stderr,
            "galley: there is no configuration: neither %s in %s nor %s; name one with -c FILE, or "
            "see galley serve --defaults\n",
            config_here, getcwd(here, sizeof here) ? here : "the working directory",
            config_of_system);
}

static struct config *load(const struct config_source *source, bool whole)
{
    if (source->path == config_here && access(config_here, F_OK) != 0 && errno == ENOENT) {
        tell_no_config();
        return NULL;
    }
    struct config *config;
    struct buf errors = BUF_INIT;
    enum err err = config_load(source, &config, &errors);
    if (!err && whole && !galley_check(config, source->path, &errors))
        config_destroy(&config);
    fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&errors)));
    buf_release(&errors);
    return config;
}

struct config *cli_load_config(const struct config_source *source)
{
    return load(source, true);
}

struct config *cli_load_place(const struct config_source *source)
{
    return load(source, false);
}

int cli_at_server(const struct config_source *source, bool as_json,
                  int (*fn)(const char *data, bool as_json))
{
    if (source->data)
        return fn(source->data, as_json);
    struct config *config = cli_load_place(source);
    if (!config)
        return CLI_USAGE;
    int status = fn(config_text(config_section(config, "server"), "data"), as_json);
    config_destroy(&config);
    return status;
}
