#include "server/version.h"
#include "server/cli/cli.h"

#include <stddef.h>
#include <stdio.h>

static int version_run(int argc, char **argv)
{
    static const struct cli_option none[] = {{NULL, NULL, NULL}};
    if (!cli_read(&command_version, none, argc, argv))
        return CLI_USAGE;
    puts("galley " GALLEY_VERSION);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .usage = "galley version",
    .help = "Prints the version.",
    .run = version_run,
};
