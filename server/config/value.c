/* Values: numbers with units and texts; what names addresses and paths is in value_http.c. */
#include "server/config/config_private.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers */

struct unit {
    const char *name;
    int64_t factor;
};

/* Smallest first; each table ends with a NULL name. */
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1},  {"KiB", CONFIG_KIB}, {"MiB", CONFIG_MIB}, {"GiB", CONFIG_GIB}, {"TiB", CONFIG_TIB},
    {NULL, 0}};
static const struct unit duration_units[] = {
    {"ms", 1},          {"s", CONFIG_SECOND}, {"min", CONFIG_MINUTE},
    {"h", CONFIG_HOUR}, {"d", CONFIG_DAY},    {NULL, 0}};

/* With the largest unit that divides it. */
static void append_amount(struct buf *out, const struct unit *units, int64_t amount)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name; unit++) {
        if (amount != 0 && amount % unit->factor == 0)
            best = unit;
    }
    buf_printf(out, "%" PRId64 "%s", amount / best->factor, best->name);
}

static bool read_amount(const struct config_key *key, const struct unit *units, const char *text,
                        int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    int64_t count;
    if (!slice_to_i64(slice_of(text, digits), &count))
        return false;
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(unit->name, text + digits) == 0) {
            *out = count > key->max / unit->factor ? key->max + 1 : count * unit->factor;
            return *out >= key->min && *out <= key->max;
        }
    }
    return false;
}

static void describe_amount(const struct config_key *key, const struct unit *units,
                            const char *what, struct buf *out)
{
    buf_printf(out, "%s from ", what);
    append_amount(out, units, key->min);
    buf_append_str(out, " to ");
    append_amount(out, units, key->max);
}

static bool parse_int(const struct config_field *field, const char *text, struct config_value *out,
                      struct buf *why)
{
    (void)why;
    return read_amount(field->key, no_units, text, &out->number);
}

static void describe_int(const struct config_field *field, struct buf *out)
{
    describe_amount(field->key, no_units, "a whole number", out);
}

static bool parse_size(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)why;
    return read_amount(field->key, size_units, text, &out->number);
}

static void describe_size(const struct config_field *field, struct buf *out)
{
    describe_amount(field->key, size_units, "a size in bytes, KiB, MiB, GiB or TiB", out);
}

static bool parse_duration(const struct config_field *field, const char *text,
                           struct config_value *out, struct buf *why)
{
    (void)why;
    return read_amount(field->key, duration_units, text, &out->number);
}

static void describe_duration(const struct config_field *field, struct buf *out)
{
    describe_amount(field->key, duration_units, "a duration in ms, s, min, h or d", out);
}

static bool parse_bool(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)why;
    out->number = strcmp(text, "yes") == 0;
    return out->number != 0 || strcmp(text, "no") == 0;
}

static void describe_bool(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "yes or no");
}

/* ---- Texts */

static bool parse_text(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)out;
    (void)why;
    int64_t len = (int64_t)strlen(text);
    return len >= field->key->min && len <= field->key->max && slice_is_utf8(slice_str(text));
}

static void describe_text(const struct config_field *field, struct buf *out)
{
    buf_printf(out, "UTF-8 text of %" PRId64 " to %" PRId64 " bytes", field->key->min,
               field->key->max);
}

static bool parse_choice(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)why;
    struct slice rest = slice_str(field->key->of);
    for (out->number = 0; rest.ptr; out->number++) {
        if (slice_is(slice_cut(&rest, ' '), text))
            return true;
    }
    return false;
}

static void describe_choice(const struct config_field *field, struct buf *out)
{
    buf_printf(out, "one of: %s", field->key->of);
}

/* Whether the section is there shows at the end of the file: check.c. */
static bool parse_ref(const struct config_field *field, const char *text, struct config_value *out,
                      struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    return config_name_ok(text);
}

static void describe_ref(const struct config_field *field, struct buf *out)
{
    buf_printf(out, "the NAME of a [%s NAME]", field->key->of);
}

/* ---- All */

static const struct config_type_row types[] = {
    [CONFIG_INT] = {parse_int, describe_int},
    [CONFIG_SIZE] = {parse_size, describe_size},
    [CONFIG_DURATION] = {parse_duration, describe_duration},
    [CONFIG_BOOL] = {parse_bool, describe_bool},
    [CONFIG_TEXT] = {parse_text, describe_text},
    [CONFIG_CHOICE] = {parse_choice, describe_choice},
    [CONFIG_REF] = {parse_ref, describe_ref},
};

static const struct config_type_row *type_of(const struct config_key *key)
{
    bool here = key->type < sizeof types / sizeof types[0];
    return here ? &types[key->type] : config_http_type(key->type);
}

bool config_value_parse(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *allowed)
{
    assert(!out->text);
    struct buf why = BUF_INIT;
    unsigned flags = field->key->flags;
    bool unset = !text[0] && !field->key->fallback[0] && !(flags & (CONFIG_REQUIRED | CONFIG_LIST));
    bool ok = unset || type_of(field->key)->parse(field, text, out, &why);
    if (ok) {
        out->text = mem_strdup(text);
    } else {
        config_value_describe(field, allowed);
        buf_append_slice(allowed, buf_slice(&why));
    }
    buf_release(&why);
    return ok;
}

void config_value_describe(const struct config_field *field, struct buf *out)
{
    type_of(field->key)->describe(field, out);
}

static bool add_value(const struct config_field *field, const char *text, unsigned line,
                      struct config_values *out, struct buf *allowed)
{
    struct config_value value = {.line = line};
    if (!config_value_parse(field, text, &value, allowed))
        return false;
    out->at = mem_realloc(out->at, (out->count + 1) * sizeof *out->at);
    out->at[out->count++] = value;
    return true;
}

bool config_values_parse(const struct config_field *field, const char *text, unsigned line,
                         struct config_values *out, struct buf *allowed)
{
    if (!(field->key->flags & CONFIG_LIST))
        return add_value(field, text, line, out, allowed);
    if (!text[0])
        return true;
    if (!(field->key->flags & CONFIG_COMMAS))
        return add_value(field, text, line, out, allowed);
    char *copy = mem_strdup(text);
    struct slice rest = slice_str(copy);
    bool ok = true;
    while (rest.ptr && ok) {
        struct slice item = slice_trim(slice_cut(&rest, ','));
        copy[item.ptr + item.len - copy] = '\0'; /* where the comma or a blank was, or the end */
        ok = add_value(field, item.ptr, line, out, allowed);
    }
    free(copy);
    return ok;
}

void config_values_release(struct config_values *values)
{
    for (unsigned i = 0; i < values->count; i++)
        free(values->at[i].text);
    free(values->at);
    *values = (struct config_values){0};
}

bool config_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}
