/* galley reload: the third door to what SIGHUP and the admin page do. */
#include "base/json.h"
#include "server/cli/cli.h"
#include "server/cli/control.h"
#include "server/galley.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET "/_/api/reload"

/* ---- What is printed */

/* "[route shop] rate_limit: 9/s -> 10/s", or "[route shop] is new". */
static void print_change(const json_t *change)
{
    const char *section = json_str(change, "section", "");
    const char *key = json_str(change, "key", NULL);
    const char *from = json_str(change, "from", NULL);
    const char *to = json_str(change, "to", NULL);
    if (key)
        printf("  [%s] %s: %s -> %s\n", section, key, from ? from : "(none)", to ? to : "(none)");
    else
        printf("  [%s] is %s\n", section, to ? "new" : "gone");
}

static size_t print_changes(const char *title, const json_t *changes)
{
    size_t count = json_array_size(changes);
    if (count > 0)
        printf("%s:\n", title);
    for (size_t i = 0; i < count; i++)
        print_change(json_array_get(changes, i));
    return count;
}

static void print_done(const json_t *report)
{
    size_t changes = print_changes("taken over", json_object_get(report, "changed"));
    changes += print_changes("takes a restart", json_object_get(report, "restart"));
    if (changes == 0)
        puts("nothing has changed");
}

static void print_refused(const json_t *error)
{
    fprintf(stderr, "galley reload: %s\n", json_str(error, "message", "the server refused"));
    const json_t *details = json_object_get(error, "details");
    for (size_t i = 0; i < json_array_size(details); i++)
        fprintf(stderr, "%s\n", json_str(json_array_get(details, i), "message", ""));
}

static int report(const struct control_answer *answer, bool as_json)
{
    bool done = answer->status == 200;
    if (as_json) {
        json_dumpf(answer->json, stdout, JSON_INDENT(2));
        puts("");
    } else if (done) {
        print_done(answer->json);
    } else {
        print_refused(json_object_get(answer->json, "error"));
    }
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The command */

static int reload(const char *data_dir, bool as_json)
{
    struct control_answer answer;
    char why[200];
    if (!control_post(data_dir, TARGET, &answer, why, sizeof why)) {
        fprintf(stderr, "galley reload: data directory %s: %s\n", data_dir, why);
        return EXIT_FAILURE;
    }
    int status = report(&answer, as_json);
    json_decref(answer.json);
    return status;
}

static int reload_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    bool as_json = false;
    const struct cli_option options[] = {
        {"-c", &source.path, NULL},
        {"--data", &source.data, NULL},
        {"--json", NULL, &as_json},
        {NULL, NULL, NULL},
    };
    if (!cli_read(&command_reload, options, argc, argv))
        return CLI_USAGE;
    return cli_at_server(&source, as_json, reload);
}

const struct command command_reload = {
    .name = "reload",
    .usage = "galley reload [-c FILE] [--data DIR] [--json]",
    .help =
        "Has the running server read its configuration anew, and prints what changed and what\n"
        "takes a restart. A file with errors changes nothing. The server is found by its data\n"
        "directory: that of the configuration (config.ini unless -c names another), or --data.\n"
        "Exit status 0 if it was reloaded, 1 if not, 2 for wrong arguments or configuration.",
    .run = reload_run,
};
