/* DESIGN. Each schema of the components becomes a type of its name, each of its $defs one of both
 * names. What TypeScript cannot say (lengths, patterns, conditions) is left out: a value of the
 * type may still be refused, but what is answered is always of it. Members that are the server's
 * own (readOnly) are there in answers and left out of what is sent. */
#include "server/openapi/openapi_private.h"

#include "base/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct printer {
    struct buf *out;
    unsigned depth;
};

static void print_type(struct printer *p, const json_t *schema);

static void print_indent(struct printer *p)
{
    for (unsigned i = 0; i < p->depth; i++)
        buf_append_str(p->out, "    ");
}

static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_' && name[0] != '$')
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '$')
            return false;
    }
    return true;
}

static void print_literal(struct printer *p, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_append_str(p->out, json_is_object(value) || json_is_array(value) ? "unknown" : text);
    free(text);
}

/* ---- References */

/* "#/components/schemas/Post" is Post, "#/components/schemas/Post/$defs/tag" is Post_tag. */
static bool append_ref_name(struct buf *out, const char *ref)
{
    static const char prefix[] = "#/components/schemas/", defs[] = "/$defs/";
    if (strncmp(ref, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *name = ref + sizeof prefix - 1, *below = strstr(name, defs);
    size_t len = below ? (size_t)(below - name) : strlen(name);
    if (memchr(name, '/', len) || (below && strchr(below + sizeof defs - 1, '/')))
        return false;
    buf_append(out, name, len);
    for (const char *at = below ? below + sizeof defs - 2 : ""; *at; at++)
        buf_append_char(out, (char)(isalnum((unsigned char)*at) ? *at : '_'));
    return true;
}

/* ---- Kinds */

static void print_members(struct printer *p, const json_t *schemas, const char *between)
{
    size_t i;
    json_t *schema;
    json_array_foreach((json_t *)schemas, i, schema) {
        buf_append_str(p->out, i > 0 ? between : "");
        buf_append_char(p->out, '(');
        print_type(p, schema);
        buf_append_char(p->out, ')');
    }
}

static bool has(const json_t *schema, const char *list, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(schema, list), i, one) {
        if (strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static void print_comment(struct printer *p, const json_t *schema)
{
    const char *text = json_string_value(json_object_get(schema, "description"));
    if (!text)
        text = json_string_value(json_object_get(schema, "title"));
    if (!text)
        return;
    print_indent(p);
    buf_append_str(p->out, "/** ");
    for (; *text; text++) {
        if (*text == '\n') {
            buf_append_str(p->out, "\n");
            print_indent(p);
            buf_append_str(p->out, " * ");
        } else if (!(text[0] == '/' && p->out->data[p->out->len - 1] == '*')) {
            buf_append_char(p->out, *text); /* nothing ends the comment before its end */
        }
    }
    buf_append_str(p->out, " */\n");
}

static void print_property(struct printer *p, const json_t *object, const char *name,
                           const json_t *schema)
{
    bool own = json_is_true(json_object_get(schema, "readOnly"));
    print_comment(p, schema);
    print_indent(p);
    buf_append_str(p->out, own ? "readonly " : "");
    if (is_identifier(name))
        buf_append_str(p->out, name);
    else
        json_append_string(p->out, slice_str(name));
    buf_append_str(p->out, own || has(object, "required", name) ? ": " : "?: ");
    print_type(p, schema);
    buf_append_str(p->out, ";\n");
}

static void print_record(struct printer *p, const json_t *schema)
{
    const json_t *additional = json_object_get(schema, "additionalProperties");
    if (json_is_false(additional) && !json_object_get(schema, "patternProperties")) {
        buf_append_str(p->out, "Record<string, never>");
        return;
    }
    buf_append_str(p->out, "Record<string, ");
    if (json_is_object(additional) && !json_object_get(schema, "patternProperties"))
        print_type(p, additional);
    else
        buf_append_str(p->out, "unknown");
    buf_append_char(p->out, '>');
}

static void print_object(struct printer *p, const json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"), *property;
    const char *name;
    if (json_object_size(properties) == 0) {
        print_record(p, schema);
        return;
    }
    buf_append_str(p->out, "{\n");
    p->depth++;
    json_object_foreach(properties, name, property) {
        print_property(p, schema, name, property);
    }
    p->depth--;
    print_indent(p);
    buf_append_char(p->out, '}');
}

static void print_array(struct printer *p, const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items"),
                 *prefix = json_object_get(schema, "prefixItems");
    size_t i;
    json_t *one;
    if (!prefix) {
        buf_append_str(p->out, "Array<");
        if (items)
            print_type(p, items);
        else
            buf_append_str(p->out, "unknown");
        buf_append_char(p->out, '>');
        return;
    }
    buf_append_char(p->out, '[');
    json_array_foreach((json_t *)prefix, i, one) {
        buf_append_char(p->out, '(');
        print_type(p, one);
        buf_append_str(p->out, ")?, ");
    }
    buf_append_str(p->out, "...Array<");
    if (items)
        print_type(p, items);
    else
        buf_append_str(p->out, "unknown");
    buf_append_str(p->out, ">]");
}

static void print_named_type(struct printer *p, const json_t *schema, const char *type)
{
    if (strcmp(type, "object") == 0)
        print_object(p, schema);
    else if (strcmp(type, "array") == 0)
        print_array(p, schema);
    else
        buf_append_str(p->out, strcmp(type, "integer") == 0 ? "number" : type);
}

/* False: the schema says nothing of types. */
static bool print_types(struct printer *p, const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    size_t i;
    json_t *one;
    if (json_is_string(type)) {
        print_named_type(p, schema, json_string_value(type));
        return true;
    }
    json_array_foreach((json_t *)type, i, one) {
        buf_append_str(p->out, i > 0 ? " | " : "");
        print_named_type(p, schema, json_string_value(one));
    }
    if (!type && json_object_get(schema, "properties"))
        print_object(p, schema);
    return type || json_object_get(schema, "properties");
}

static bool print_choice(struct printer *p, const json_t *schema)
{
    const json_t *values = json_object_get(schema, "enum"),
                 *constant = json_object_get(schema, "const");
    size_t i;
    json_t *value;
    if (constant)
        print_literal(p, constant);
    json_array_foreach((json_t *)values, i, value) {
        if (constant)
            break;
        buf_append_str(p->out, i > 0 ? " | " : "");
        print_literal(p, value);
    }
    return constant || json_array_size(values) > 0;
}

/* What applies to the same value is true of it as well. */
static bool print_applied(struct printer *p, const json_t *schema, bool any)
{
    static const struct {
        const char *keyword, *between;
    } lists[] = {{"allOf", " & "}, {"anyOf", " | "}, {"oneOf", " | "}};
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    struct buf name = BUF_INIT;
    if (ref && append_ref_name(&name, ref)) {
        buf_append_str(p->out, any ? " & " : "");
        buf_append_slice(p->out, buf_slice(&name));
        any = true;
    }
    buf_release(&name);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const json_t *list = json_object_get(schema, lists[i].keyword);
        if (json_array_size(list) == 0)
            continue;
        buf_append_str(p->out, any ? " & (" : "(");
        print_members(p, list, lists[i].between);
        buf_append_char(p->out, ')');
        any = true;
    }
    return any;
}

/* Around what was printed from one place to another, as & binds closer than |. */
static void add_brackets(struct buf *out, size_t from, size_t to)
{
    buf_reserve(out, 2);
    memmove(out->data + to + 2, out->data + to, out->len - to);
    memmove(out->data + from + 1, out->data + from, to - from);
    out->data[from] = '(';
    out->data[to + 1] = ')';
    out->len += 2;
}

static void print_type(struct printer *p, const json_t *schema)
{
    if (json_is_false(schema)) {
        buf_append_str(p->out, "never");
        return;
    }
    size_t before = p->out->len;
    bool any = print_choice(p, schema) || print_types(p, schema);
    size_t own = p->out->len;
    if (!print_applied(p, schema, any))
        buf_append_str(p->out, "unknown");
    else if (any && p->out->len > own)
        add_brackets(p->out, before, own);
}

static void print_declaration(struct printer *p, struct slice name, const json_t *schema)
{
    buf_append_char(p->out, '\n');
    print_comment(p, schema);
    buf_printf(p->out, "export type %.*s = ", SLICE_ARG(name));
    print_type(p, schema);
    buf_append_str(p->out, ";\n");
}

/* Of the members of a type that are the server's own: "id" | "createdAt". */
static void print_input(struct printer *p, const char *name, const json_t *schema)
{
    struct buf own = BUF_INIT;
    const char *key;
    json_t *property;
    json_object_foreach(json_object_get(schema, "properties"), key, property) {
        if (!json_is_true(json_object_get(property, "readOnly")))
            continue;
        buf_append_str(&own, own.len > 0 ? " | " : "");
        json_append_string(&own, slice_str(key));
    }
    if (own.len > 0)
        buf_printf(p->out, "\nexport type %sInput = Omit<%s, %.*s>;\n", name, name,
                   SLICE_ARG(buf_slice(&own)));
    buf_release(&own);
}

void openapi_types(const json_t *document, struct buf *out)
{
    struct printer p = {.out = out};
    const char *name, *below;
    json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
    json_t *schema, *def;
    json_object_foreach(schemas, name, schema) {
        print_declaration(&p, slice_str(name), schema);
        print_input(&p, name, schema);
        json_object_foreach(json_object_get(schema, "$defs"), below, def) {
            struct buf both = BUF_INIT;
            buf_printf(&both, "%s_", name);
            for (const char *at = below; *at; at++)
                buf_append_char(&both, (char)(isalnum((unsigned char)*at) ? *at : '_'));
            print_declaration(&p, buf_slice(&both), def);
            buf_release(&both);
        }
    }
}
