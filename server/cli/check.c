#include "server/cli/cli.h"
#include "server/galley.h"

#include <stddef.h>
#include <stdio.h>

static int check_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    const struct cli_option options[] = {{"-c", &source.path, NULL}, {NULL, NULL, NULL}};
    if (!cli_read(&command_check, options, argc, argv))
        return CLI_USAGE;
    struct config *config = cli_load_config(&source);
    if (!config)
        return CLI_USAGE;
    struct buf warnings = BUF_INIT;
    galley_warn(config, source.path, &warnings);
    fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&warnings)));
    buf_release(&warnings);
    printf("%s: ok\n", source.path);
    config_destroy(&config);
    return 0;
}

const struct command command_check = {
    .name = "check",
    .usage = "galley check [-c FILE]",
    .help =
        "Reads the configuration (config.ini unless -c names another) and prints every error\n"
        "with its line; warns if it is empty, leaves routes of modules unserved, or names a user\n"
        "or folder that is not there. Starts nothing. Exit status 0 if it is right, else 2.",
    .run = check_run,
};
