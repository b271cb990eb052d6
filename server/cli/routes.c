/* galley routes: the table of a configuration, or which route a request takes and why not another.
 */
#include "server/cli/cli.h"

#include "base/mem.h"
#include "server/galley.h"
#include "server/gateway/route_show.h"
#include "server/gateway/route_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    const char *words[2]; /* method and URL */
    int word_count;
    const char *headers[HEADERS_MAX];
    unsigned header_count;
    const char *from;
    bool json;
};

/* ---- As text */

static const char *text_of(const json_t *object, const char *key)
{
    return json_str(object, key, "");
}

static int width_of(const json_t *routes, const char *key, int least)
{
    size_t width = (size_t)least;
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        size_t len = strlen(text_of(route, key));
        width = len > width ? len : width;
    }
    return width > 50 ? 50 : (int)width;
}

static void print_conditions(const json_t *route)
{
    const json_t *conditions = json_object_get(route, "conditions");
    for (size_t i = 0; i < json_array_size(conditions); i++)
        printf("%s%s", i ? ", " : "  if ", json_string_value(json_array_get(conditions, i)));
}

static void print_name(const json_t *route)
{
    const char *section = text_of(route, "section");
    if (section[0])
        printf("[route %s] line %d", section, (int)json_int(route, "line", 0));
    else
        printf("%s", text_of(route, "target")[0] ? text_of(route, "target") : "Galley itself");
}

static void print_table(const json_t *routes)
{
    int path = width_of(routes, "path", 4), host = width_of(routes, "host", 4),
        target = width_of(routes, "target", 6);
    printf("%-7s  %-*s  %-*s  %-*s  %s\n", "METHOD", host, "HOST", path, "PATH", target, "TARGET",
           "FROM");
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        printf("%-7s  %-*s  %-*s  %-*s  ", json_str(route, "method", "any"), host,
               json_str(route, "host", "any"), path, text_of(route, "path"), target,
               json_str(route, "target", "-"));
        print_name(route);
        print_conditions(route);
        printf("\n");
    }
}

static void print_route(const json_t *route)
{
    print_name(route);
    printf(": %s %s%s", json_str(route, "method", "any method"), text_of(route, "host"),
           text_of(route, "path"));
    print_conditions(route);
    if (text_of(route, "target")[0])
        printf(" -> %s", text_of(route, "target"));
    printf("\n");
}

static bool is_elsewhere(const json_t *passed_over)
{
    return strcmp(text_of(passed_over, "why"), "path") == 0;
}

/* Those at other paths are named in one line. */
static void print_passed_over(const json_t *all)
{
    unsigned near = 0, elsewhere = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i), *route = json_object_get(one, "route");
        if (is_elsewhere(one))
            continue;
        printf(near++ ? "        " : "  not   ");
        print_name(route);
        printf(", %s %s: %s\n", json_str(route, "method", "any method"), text_of(route, "path"),
               text_of(one, "says"));
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i), *route = json_object_get(one, "route");
        if (is_elsewhere(one))
            printf("%s%s %s",
                   elsewhere++ ? ", " : "  other paths: ", json_str(route, "method", "any"),
                   text_of(route, "path"));
    }
    if (elsewhere > 0)
        printf("\n");
}

static void print_stages(const json_t *stages)
{
    for (size_t i = 0; i < json_array_size(stages); i++) {
        const json_t *one = json_array_get(stages, i);
        printf("        %-11s %s\n", text_of(one, "stage"), text_of(one, "says"));
    }
}

static void print_try(const json_t *tried)
{
    const json_t *request = json_object_get(tried, "request");
    const json_t *takes = json_object_get(tried, "takes");
    printf("%s %s%s\n", text_of(request, "method"), text_of(request, "host"),
           text_of(request, "path"));
    if (json_is_object(takes)) {
        printf("  takes ");
        print_route(takes);
        print_stages(json_object_get(tried, "stages"));
    } else {
        int status = (int)json_int(tried, "status", 0);
        printf("  takes no route: it is answered %d\n", status);
    }
    print_passed_over(json_object_get(tried, "passedOver"));
}

static void show(const struct buf *out, const struct asked *asked,
                 void (*print)(const json_t *value))
{
    json_t *value;
    if (asked->json) {
        printf("%.*s\n", SLICE_ARG(buf_slice(out)));
    } else if (json_read_trusted(buf_slice(out), &value) == ERR_OK) {
        print(value);
        json_decref(value);
    }
}

/* ---- The command */

static int try_request(const struct route_table *table, const struct asked *asked)
{
    char why[300];
    struct route_question *question = mem_zalloc(sizeof *question);
    const char *method = asked->word_count == 2 ? asked->words[0] : "GET";
    const char *url = asked->words[asked->word_count - 1];
    bool formed = route_question_init(question, method, url, asked->headers, asked->header_count,
                                      asked->from, why, sizeof why);
    if (formed) {
        struct buf out = BUF_INIT;
        struct json_writer w = {.out = &out};
        route_table_write_try(table, &question->request, &w);
        show(&out, asked, print_try);
        buf_release(&out);
    } else {
        fprintf(stderr, "galley routes: %s\n", why);
    }
    route_question_release(question);
    free(question);
    return formed ? 0 : CLI_USAGE;
}

static void list_all(const struct route_table *table, const struct asked *asked)
{
    struct buf out = BUF_INIT;
    struct json_writer w = {.out = &out};
    route_table_write(table, &w);
    show(&out, asked, print_table);
    buf_release(&out);
}

/* Takes "-H LINE" and its like out of the arguments, as it may be there several times. Returns how
 * many are left; negative: one has no line. */
static int take_headers(struct asked *asked, int argc, char **argv)
{
    int left = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-H") != 0) {
            argv[left++] = argv[i];
        } else if (i + 1 < argc && asked->header_count < HEADERS_MAX) {
            asked->headers[asked->header_count++] = argv[++i];
        } else {
            fprintf(stderr, "galley routes: -H wants a header \"Name: value\"\n");
            return -1;
        }
    }
    return left;
}

static bool read_arguments(struct asked *asked, struct config_source *source, int argc, char **argv)
{
    const struct cli_option options[] = {{"-c", &source->path, NULL},
                                         {"--from", &asked->from, NULL},
                                         {"--json", NULL, &asked->json},
                                         {NULL, NULL, NULL}};
    argc = take_headers(asked, argc, argv);
    if (argc < 0)
        return false;
    asked->word_count = cli_read_words(&command_routes, options, argc, argv, asked->words, 2);
    return asked->word_count >= 0;
}

static int routes_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    struct asked asked = {.from = "127.0.0.1"};
    if (!read_arguments(&asked, &source, argc, argv))
        return CLI_USAGE;
    struct config *config = cli_load_config(&source);
    if (!config)
        return CLI_USAGE;
    char why[300];
    struct route_table *table;
    int status = CLI_USAGE;
    if (galley_look_at_routes(config, &table, why, sizeof why))
        fprintf(stderr, "galley routes: %s\n", why);
    else if (asked.word_count > 0)
        status = try_request(table, &asked);
    else
        status = (list_all(table, &asked), 0);
    route_table_destroy(&table);
    config_destroy(&config);
    return status;
}

const struct command command_routes = {
    .name = "routes",
    .usage = "galley routes [-c FILE] [--json] [[METHOD] URL [-H \"NAME: VALUE\"]... [--from "
             "ADDRESS]]",
    .help = "Prints the routes of the configuration: which requests go where. With a URL, such as\n"
            "https://api.example.org/orders/7 or /orders/7, prints which route such a request\n"
            "takes, and why each other is passed over, the nearest miss first; -H gives it a\n"
            "header and --from an address that it comes from. Starts nothing, sends nothing.",
    .run = routes_run,
};
