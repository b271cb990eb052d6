/* galley openapi: the description of the API that a configuration serves, or its types. */
#include "server/cli/cli.h"

#include "base/json.h"
#include "server/galley.h"
#include "server/openapi/openapi.h"

#include <stdio.h>

static void print_types(const json_t *document)
{
    struct buf out = BUF_INIT;
    openapi_types(document, &out);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

static int openapi_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    bool types = false;
    const struct cli_option options[] = {
        {"-c", &source.path, NULL}, {"--types", NULL, &types}, {NULL, NULL, NULL}};
    if (!cli_read(&command_openapi, options, argc, argv))
        return CLI_USAGE;
    struct config *config = cli_load_config(&source);
    if (!config)
        return CLI_USAGE;
    json_t *document = galley_describe_api(config, source.path);
    if (types) {
        print_types(document);
    } else {
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(document);
    config_destroy(&config);
    return 0;
}

const struct command command_openapi = {
    .name = "openapi",
    .usage = "galley openapi [-c FILE] [--types]",
    .help = "Prints what the configuration serves as OpenAPI 3.1, the same as /openapi.json; with\n"
            "--types the collections and bodies as TypeScript types. Starts nothing.",
    .run = openapi_run,
};
