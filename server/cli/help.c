#include "server/cli/cli.h"
#include "server/galley.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void list_commands(void)
{
    puts("Galley: a whole backend in one process.\n");
    for (unsigned i = 0; commands[i]; i++)
        printf("  %s\n", commands[i]->usage);
    puts("\ngalley help COMMAND says more; galley help config lists what config.ini may hold.");
}

/* With or without what the modules of this build bring. */
static void print_config(const struct config_kind *modules)
{
    struct buf page = BUF_INIT;
    config_describe(modules, &page);
    fwrite(page.data, 1, page.len, stdout);
    buf_release(&page);
}

static void print_page(void (*write)(struct buf *out))
{
    struct buf page = BUF_INIT;
    write(&page);
    fwrite(page.data, 1, page.len, stdout);
    buf_release(&page);
}

static const struct {
    const char *name;
    void (*write)(struct buf *out);
} pages[] = {{"man", manual_page}, {"completion", manual_completion}};

static int help_run(int argc, char **argv)
{
    if (argc == 0) {
        list_commands();
        return 0;
    }
    if (argc == 2 && strcmp(argv[0], "config") == 0 && strcmp(argv[1], "own") == 0) {
        print_config(NULL);
        return 0;
    }
    for (size_t i = 0; argc == 1 && i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(argv[0], pages[i].name) == 0) {
            print_page(pages[i].write);
            return 0;
        }
    }
    if (argc > 1) {
        fprintf(stderr, "usage: %s\n", command_help.usage);
        return CLI_USAGE;
    }
    if (strcmp(argv[0], "config") == 0) {
        print_config(galley_sections());
        return 0;
    }
    const struct command *command = command_find(argv[0]);
    if (!command)
        return CLI_USAGE;
    printf("%s\n\n%s\n", command->usage, command->help);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .usage = "galley help [COMMAND | config | man | completion]",
    .help = "Lists the commands, says more about one, or prints every section and key of "
            "config.ini with\n"
            "its default and what is allowed (docs/config.md). man is the manual page (galley help "
            "man |\n"
            "man -l -), completion what bash sources to complete our arguments.",
    .run = help_run,
};
