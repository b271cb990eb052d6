/* The program: picks the command. */
#include "server/cli/cli.h"

#include <malloc.h>
#include <stddef.h>
#include <string.h>

#define MIB (1 << 20)

const struct command *const commands[] = {
    &command_serve,
    &command_check,
    &command_routes,
    &command_openapi,
    &command_reload,
    &command_purge,
    &command_collections,
    &command_cert,
    &command_verify,
    &command_backup,
    &command_restore,
    &command_user,
    &command_admin,
    &command_new,
    &command_version,
    &command_help,
    NULL,
};

/* The command that a first argument stands for. */
static const char *name_of(const char *argument)
{
    static const struct {
        const char *option, *name;
    } known[] = {{"-h", "help"}, {"--help", "help"}, {"-V", "version"}, {"--version", "version"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(argument, known[i].option) == 0)
            return known[i].name;
    }
    return argument;
}

/* --help where nobody looks at it for anything else. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

/* glibc raises its thresholds to the largest block that was freed, and then keeps such blocks: the
 * 16 MiB that hashing a password takes would stay with us. LMDB's 3 MiB are better kept. */
static void set_up_malloc(void)
{
    mallopt(M_MMAP_THRESHOLD, 8 * MIB);
    mallopt(M_TRIM_THRESHOLD, 16 * MIB);
}

int main(int argc, char **argv)
{
    set_up_malloc();
    if (argc < 2)
        return command_help.run(0, NULL);
    const struct command *command = command_find(name_of(argv[1]));
    if (!command)
        return CLI_USAGE;
    if (asks_for_help(argc - 2, argv + 2))
        return command_help.run(1, (char *[]){(char *)command->name});
    return command->run(argc - 2, argv + 2);
}
