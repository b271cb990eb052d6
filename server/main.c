/* The program: picks the command. */
#include "server/cli/cli.h"

#include <stddef.h>
#include <string.h>

const struct command *const commands[] = {
    &command_serve, &command_check, &command_version, &command_help, NULL,
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        command_help.run(0, NULL);
        return CLI_USAGE;
    }
    const struct command *command = command_find(argv[1] + strspn(argv[1], "-"));
    return command == NULL ? CLI_USAGE : command->run(argc - 2, argv + 2);
}
