/* galley new: files to begin with. */
#include "server/cli/cli.h"

#include "base/buf.h"
#include "server/config/schema.h"
#include "server/galley.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LENGTH 24

extern const char template_module[], template_test[]; /* tools/templates.sh */

static bool name_is_good(const char *name)
{
    size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return plain > 0 && plain <= NAME_MAX_LENGTH && name[plain] == '\0' && name[0] >= 'a';
}

/* The example with another name. */
static void append_renamed(const char *text, const char *name, struct buf *out)
{
    static const char notes[] = "notes";
    for (const char *at; (at = strcasestr(text, notes)); text = at + sizeof notes - 1) {
        buf_append(out, text, (size_t)(at - text));
        char large = (char)(name[0] - 'a' + 'A');
        buf_append(out, *at == 'N' ? &large : name, 1);
        buf_append_str(out, name + 1);
    }
    buf_append_str(out, text);
}

static bool write_file(const char *path, const char *text, const char *name)
{
    struct buf renamed = BUF_INIT;
    FILE *file = fopen(path, "wx");
    if (!file) {
        fprintf(stderr, "galley new: %s: %s\n", path, strerror(errno));
        return false;
    }
    append_renamed(text, name, &renamed);
    bool written = fprintf(file, "%.*s", SLICE_ARG(buf_slice(&renamed))) == (int)renamed.len;
    written = fclose(file) == 0 && written;
    buf_release(&renamed);
    if (!written)
        fprintf(stderr, "galley new: %s cannot be written\n", path);
    return written;
}

static void print_next(const char *name, const char *module, const char *test)
{
    printf("%s  the module\n%s  its test\n\nfor config.ini:\n\n"
           "[route %s]\npath = /%s/*\ntarget = app:%s\n\nthen:\n\n"
           "make dev        # builds, serves, and starts anew when a file changes\n"
           "make api API=%s\n\ndocs/module.md says what each part does.\n",
           module, test, name, name, name, test);
}

/* False after saying why. */
static bool may_be_named(const char *name)
{
    if (!name_is_good(name)) {
        fprintf(
            stderr,
            "galley new: \"%s\" is no name of a module: up to %d small letters, digits and _, a "
            "letter first\n",
            name, NAME_MAX_LENGTH);
        return false;
    }
    bool taken = config_kind_find(galley_sections(), name);
    if (taken)
        fprintf(stderr,
                "galley new: [%s] is a section of the configuration already: another name\n", name);
    return !taken;
}

static bool is_free(const char *path)
{
    if (access(path, F_OK) != 0)
        return true;
    fprintf(stderr, "galley new: %s: %s\n", path, strerror(EEXIST));
    return false;
}

static int new_run(int argc, char **argv)
{
    const struct cli_option none[] = {{NULL, NULL, NULL}};
    const char *words[2];
    char module[64], test[64];
    int count = cli_read_words(&command_new, none, argc, argv, words, 2);
    if (count != 2 || strcmp(words[0], "module") != 0) {
        fprintf(stderr, "usage: %s\n", command_new.usage);
        return CLI_USAGE;
    }
    if (!may_be_named(words[1]))
        return CLI_USAGE;
    if (access("modules", W_OK) != 0 || access("tests/api", W_OK) != 0) {
        fprintf(stderr, "galley new: this is not Galley's source folder: modules/ and tests/api/ "
                        "are not here\n");
        return EXIT_FAILURE;
    }
    snprintf(module, sizeof module, "modules/%s.c", words[1]);
    snprintf(test, sizeof test, "tests/api/%s.test.mjs", words[1]);
    if (!is_free(module) || !is_free(test) || !write_file(module, template_module, words[1]) ||
        !write_file(test, template_test, words[1]))
        return EXIT_FAILURE;
    print_next(words[1], module, test);
    return EXIT_SUCCESS;
}

const struct command command_new = {
    .name = "new",
    .usage = "galley new module NAME",
    .help = "Writes modules/NAME.c, a small module that works, and its test. In Galley's source\n"
            "folder. NAME has up to 24 small letters, digits and _. docs/module.md goes on from\n"
            "there. Exit status 0 if it is done, 1 if not, 2 for wrong arguments.",
    .run = new_run,
};
