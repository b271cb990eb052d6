#include "server/cli/cli.h"

#include "server/config/suggest.h"
#include "server/galley.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

bool cli_read(const struct command *command, const struct cli_option *options, int argc,
              char **argv)
{
    for (int i = 0; i < argc; i++) {
        const struct cli_option *option = options;
        while (option->name && strcmp(argv[i], option->name) != 0 &&
               !(option->value && joined_value(argv[i], option->name)))
            option++;
        if (!option->name) {
            refuse_option(command, options, argv[i]);
            return false;
        }
        if (!option->value) {
            *option->given = true;
            continue;
        }
        const char *value = joined_value(argv[i], option->name);
        if (!value && i + 1 == argc) {
            fprintf(stderr, "galley %s: %s wants a value\nusage: %s\n", command->name, option->name,
                    command->usage);
            return false;
        }
        *option->value = value ? value : argv[++i];
    }
    return true;
}

struct config *cli_load_config(const struct config_source *source)
{
    struct config *config;
    struct buf errors = BUF_INIT;
    enum err err = config_load(source, &config, &errors);
    if (!err && !galley_check(config, source->path, &errors))
        config_destroy(&config);
    fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&errors)));
    buf_release(&errors);
    return config;
}
