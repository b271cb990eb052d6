#include "server/cli/cli.h"
#include "server/config.h"

#include <stddef.h>
#include <stdio.h>

static int check_run(int argc, char **argv)
{
    const char *path = CLI_CONFIG_FALLBACK;
    const struct cli_option options[] = {{"-c", &path}, {NULL, NULL}};
    if (!cli_read(&command_check, options, argc, argv))
        return CLI_USAGE;
    struct config *config;
    struct buf errors = BUF_INIT;
    enum err err = config_load(path, NULL, &config, &errors);
    if (err == ERR_OK)
        printf("%s: ok\n", path);
    else
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&errors)));
    config_destroy(&config);
    buf_release(&errors);
    return err == ERR_OK ? 0 : CLI_USAGE;
}

const struct command command_check = {
    .name = "check",
    .usage = "galley check [-c FILE]",
    .help = "Reads the configuration (config.ini unless -c names another) and prints every error\n"
            "with its line. Starts nothing. Exit status 0 if it is right, else 2.",
    .run = check_run,
};
