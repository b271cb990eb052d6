/* galley purge: voids stored answers of the running server. */
#include "server/cli/cli.h"
#include "server/cli/control.h"
#include "server/galley.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int purge(const char *data_dir, const char *kind, const char *text)
{
    struct control_answer answer;
    char why[200];
    json_t *body = json_pack("{s:s}", kind, text);
    bool asked = body && control_ask(data_dir, "POST", "/_/api/cache/purge", body, &answer, NULL,
                                     why, sizeof why);
    json_decref(body);
    if (!asked) {
        fprintf(stderr, "galley purge: data directory %s: %s\n", data_dir,
                body ? why : "the text is no UTF-8");
        return EXIT_FAILURE;
    }
    bool done = answer.status == 204;
    if (!done)
        fprintf(stderr, "galley purge: %s\n",
                json_str(json_object_get(answer.json, "error"), "message", "the server refused"));
    json_decref(answer.json);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A URL with a star at its end is a prefix. */
static const char *kind_of(const char *tag, const char *url)
{
    size_t len = url ? strlen(url) : 0;
    return tag ? "tag" : len > 0 && url[len - 1] == '*' ? "prefix" : "url";
}

/* Where the server is: --data, else what the configuration says. */
static int find_and_purge(const struct config_source *source, const char *tag, const char *url)
{
    const char *kind = kind_of(tag, url), *text = tag ? tag : url;
    if (source->data)
        return purge(source->data, kind, text);
    struct config *config = cli_load_config(source);
    if (!config)
        return CLI_USAGE;
    int status = purge(config_text(config_section(config, "server"), "data"), kind, text);
    config_destroy(&config);
    return status;
}

static int purge_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    const char *tag = NULL, *url = NULL;
    const struct cli_option options[] = {
        {"-c", &source.path, NULL},
        {"--data", &source.data, NULL},
        {"--tag", &tag, NULL},
        {NULL, NULL, NULL},
    };
    int words = cli_read_words(&command_purge, options, argc, argv, &url, 1);
    if (words < 0)
        return CLI_USAGE;
    if (!tag == !url) {
        fprintf(stderr, "galley purge: a URL or --tag\nusage: %s\n", command_purge.usage);
        return CLI_USAGE;
    }
    return find_and_purge(&source, tag, url);
}

const struct command command_purge = {
    .name = "purge",
    .usage = "galley purge [-c FILE] [--data DIR] URL | --tag TAG",
    .help =
        "Voids what the running server has stored of answers (cache = yes of a [route]): under a\n"
        "URL, https://host/path?query or /path?query of all hosts; with a star behind a slash\n"
        "under all that begins so; or with a tag of their Cache-Tag or Surrogate-Key. The server\n"
        "is found by its data directory: that of the configuration (config.ini unless -c names\n"
        "another), or --data. Exit status 0 if it was done, 1 if not, 2 for wrong arguments.",
    .run = purge_run,
};
