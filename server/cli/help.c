#include "server/cli/cli.h"

#include <stddef.h>
#include <stdio.h>

static void list_commands(void)
{
    puts("Galley: a whole backend in one process.\n");
    for (unsigned i = 0; commands[i] != NULL; i++)
        printf("  %s\n", commands[i]->usage);
    puts("\ngalley help COMMAND says more.");
}

static int help_run(int argc, char **argv)
{
    if (argc == 0) {
        list_commands();
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "usage: %s\n", command_help.usage);
        return CLI_USAGE;
    }
    const struct command *command = command_find(argv[0]);
    if (command == NULL)
        return CLI_USAGE;
    printf("%s\n\n%s\n", command->usage, command->help);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .usage = "galley help [COMMAND]",
    .help = "Lists the commands, or says more about one.",
    .run = help_run,
};
