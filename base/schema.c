#include "base/schema.h"

#include "base/mem.h"
#include "base/schema_private.h"

#include <stdio.h>
#include <stdlib.h>

const char *const schema_type_names[SCHEMA_TYPES] = {
    [SCHEMA_OBJECT] = "object",   [SCHEMA_ARRAY] = "array",   [SCHEMA_STRING] = "string",
    [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number", [SCHEMA_BOOLEAN] = "boolean",
    [SCHEMA_NULL] = "null",
};

void schema_append_step(struct buf *pointer, const char *step)
{
    buf_append_char(pointer, '/');
    for (; *step; step++) {
        if (*step == '~' || *step == '/')
            buf_append_str(pointer, *step == '~' ? "~0" : "~1");
        else
            buf_append_char(pointer, *step);
    }
}

bool schema_wrong(struct schema_compiler *c, const char *format, ...)
{
    if (c->why[0] != '\0')
        return false;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(c->why, c->why_size, format, args);
    va_end(args);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used < c->why_size)
        snprintf(c->why + used, c->why_size - used, " (%s%.*s)",
                 c->pointer.len == 0 ? "at the top" : "at ", SLICE_ARG(buf_slice(&c->pointer)));
    return false;
}

static struct schema *add(struct schema_compiler *c)
{
    struct schema_file *file = c->file;
    if (file->count == file->room) {
        file->room = file->room * 2 + 8;
        file->schemas = mem_realloc(file->schemas, file->room * sizeof(struct schema *));
    }
    struct schema *schema = mem_zalloc(sizeof *schema);
    schema->types = SCHEMA_ANY;
    schema->pointer = mem_alloc(c->pointer.len + 1);
    if (c->pointer.len > 0)
        memcpy(schema->pointer, c->pointer.data, c->pointer.len);
    schema->pointer[c->pointer.len] = '\0';
    file->schemas[file->count++] = schema;
    return schema;
}

static struct schema *compile(struct schema_compiler *c, json_t *source)
{
    if (!json_is_object(source) && !json_is_boolean(source)) {
        schema_wrong(c, "A schema is an object, true or false.");
        return NULL;
    }
    struct schema *schema = add(c);
    if (json_is_false(source))
        schema->types = 0;
    const char *name;
    json_t *value;
    json_object_foreach(source, name, value) {
        if (!schema_keyword(c, schema, name, value))
            return NULL;
    }
    return schema;
}

struct schema *schema_compile_below(struct schema_compiler *c, const char *keyword,
                                    const char *name, json_t *source)
{
    size_t before = c->pointer.len;
    schema_append_step(&c->pointer, keyword);
    if (name)
        schema_append_step(&c->pointer, name);
    struct schema *schema = compile(c, source);
    c->pointer.len = before;
    return schema;
}

static void free_object(struct schema_object *object)
{
    if (!object)
        return;
    for (size_t i = 0; i < object->matched_count; i++)
        pattern_destroy(&object->matched[i].pattern);
    free(object->matched);
    free(object->properties);
    free(object->by_name);
    free(object->required);
    free(object->needs);
    free(object);
}

static void free_applied(struct schema_applied *applied)
{
    if (!applied)
        return;
    free(applied->all.schemas);
    free(applied->any.schemas);
    free(applied->one.schemas);
    free(applied->dependent);
    free(applied);
}

static void free_schema(struct schema *schema)
{
    if (schema->string)
        pattern_destroy(&schema->string->pattern);
    if (schema->array)
        free(schema->array->prefix);
    free_object(schema->object);
    free_applied(schema->applied);
    free(schema->array);
    free(schema->string);
    free(schema->number);
    free(schema->pointer);
    free(schema);
}

static void free_file(struct schema_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        free_schema(file->schemas[i]);
    free(file->schemas);
    json_decref(file->source);
    free(file);
}

struct schema *schema_compile(const char *text, char *why, size_t why_size)
{
    json_t *source;
    if (json_read(slice_str(text), &source, why, why_size) != ERR_OK)
        return NULL;
    why[0] = '\0';
    struct schema_compiler c = {mem_zalloc(sizeof *c.file), BUF_INIT, 0, why, why_size};
    c.file->source = source;
    struct schema *root = compile(&c, source);
    bool whole = root && schema_resolve(&c);
    buf_release(&c.pointer);
    if (!whole) {
        free_file(c.file);
        return NULL;
    }
    root->file = c.file;
    return root;
}

void schema_destroy(struct schema **schema)
{
    if (*schema)
        free_file((*schema)->file);
    *schema = NULL;
}

const json_t *schema_source(const struct schema *schema)
{
    return schema->file->source;
}
