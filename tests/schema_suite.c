/* schema_suite FILE...   What base/schema.h says of the cases of the standard's test suite: for
 * each a line of JSON with file, group, test, expected (true or false) and got ("valid", "invalid"
 * or, if the schema does not compile or the value is not read, "refused" with why). */
#include "base/schema.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

/* The value as a request would bring it. */
static const char *verdict(const struct schema *schema, const json_t *data, char *why, size_t size)
{
    struct buf text = BUF_INIT;
    json_append(&text, data);
    json_t *value = NULL, *details = NULL;
    const char *got = "refused";
    if (schema && json_read(buf_slice(&text), &value, why, size) == ERR_OK)
        got = schema_check(schema, value, &details) == ERR_OK ? "valid" : "invalid";
    json_decref(details);
    json_decref(value);
    buf_release(&text);
    return got;
}

static void run_group(char *file, json_t *group)
{
    char why[200] = "";
    char *text = json_dumps(json_object_get(group, "schema"), JSON_COMPACT | JSON_ENCODE_ANY);
    struct schema *schema = schema_compile(text, why, sizeof why);
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(group, "tests"), i, test) {
        const char *got = verdict(schema, json_object_get(test, "data"), why, sizeof why);
        json_t *line = json_pack("{ss sO sO sO ss ss}", "file", basename(file), "group",
                                 json_object_get(group, "description"), "test",
                                 json_object_get(test, "description"), "expected",
                                 json_object_get(test, "valid"), "got", got, "why", why);
        json_dumpf(line, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(line);
    }
    schema_destroy(&schema);
    free(text);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        json_error_t error;
        json_t *groups = json_load_file(argv[i], JSON_ALLOW_NUL, &error), *group;
        if (!groups) {
            fprintf(stderr, "%s: %s\n", argv[i], error.text);
            return 1;
        }
        size_t j;
        json_array_foreach(groups, j, group)
            run_group(argv[i], group);
        json_decref(groups);
    }
    return 0;
}
