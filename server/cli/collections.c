/* galley collections: what there is of documents, by the running server's word. */
#include "server/cli/cli.h"
#include "server/cli/control.h"
#include "server/galley.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int widest(const json_t *list)
{
    size_t most = strlen("COLLECTION");
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t len = strlen(json_str(json_array_get(list, i), "name", ""));
        most = len > most ? len : most;
    }
    return (int)most;
}

static void print_indexes(const json_t *indexes)
{
    for (size_t i = 0; i < json_array_size(indexes); i++) {
        const json_t *index = json_array_get(indexes, i);
        bool unique = json_is_true(json_object_get(index, "unique"));
        printf("%s%s%s", i ? "; " : "", json_str(index, "fields", ""), unique ? " (unique)" : "");
    }
    printf("%s\n", json_array_size(indexes) ? "" : "-");
}

static void print_table(const json_t *list)
{
    int name = widest(list);
    printf("%-*s  %-13s  %11s  %15s  %s\n", name, "COLLECTION", "OF", "DOCUMENTS", "BYTES",
           "INDEXES");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        printf("%-*s  %-13s  %11" PRId64 "  %15" PRId64 "  ", name, json_str(one, "name", ""),
               json_str(one, "of", ""), json_int(one, "documents", 0), json_int(one, "bytes", 0));
        print_indexes(json_object_get(one, "indexes"));
    }
}

static void print_json(const json_t *answer)
{
    struct buf out = BUF_INIT;
    json_append(&out, answer);
    printf("%.*s\n", SLICE_ARG(buf_slice(&out)));
    buf_release(&out);
}

static int show(const char *data_dir, bool as_json)
{
    struct control_answer answer;
    char why[200];
    if (!control_ask(data_dir, "GET", "/_/api/collections", NULL, &answer, NULL, why, sizeof why)) {
        fprintf(stderr, "galley collections: data directory %s: %s\n", data_dir, why);
        return EXIT_FAILURE;
    }
    const json_t *list = json_object_get(answer.json, "collections");
    if (!list)
        fprintf(stderr, "galley collections: %s\n",
                json_str(json_object_get(answer.json, "error"), "message", "the server refused"));
    else if (as_json)
        print_json(answer.json);
    else
        print_table(list);
    int status = list ? EXIT_SUCCESS : EXIT_FAILURE;
    json_decref(answer.json);
    return status;
}

static int collections_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    bool as_json = false;
    const struct cli_option options[] = {
        {"-c", &source.path, NULL},
        {"--data", &source.data, NULL},
        {"--json", NULL, &as_json},
        {NULL, NULL, NULL},
    };
    if (!cli_read(&command_collections, options, argc, argv))
        return CLI_USAGE;
    return cli_at_server(&source, as_json, show);
}

const struct command command_collections = {
    .name = "collections",
    .usage = "galley collections [-c FILE] [--data DIR] [--json]",
    .help =
        "Lists the collections that the running server has documents of: those of the\n"
        "configuration and those of modules, with their number, the bytes of their text, and\n"
        "their indexes. It counts them, which takes some seconds for millions. The server is "
        "found\n"
        "by its data directory: that of the configuration (config.ini unless -c names another),\n"
        "or --data. Exit status 0 if it was done, 1 if not, 2 for wrong arguments.",
    .run = collections_run,
};
