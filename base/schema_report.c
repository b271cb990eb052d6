#include "base/schema_private.h"

#define ROWS_MAX 50

static void append_field(struct buf *out, const struct place *place)
{
    if (!place->up)
        return;
    append_field(out, place->up);
    if (out->len > 0)
        buf_append_char(out, '.');
    if (place->name)
        buf_append_str(out, place->name);
    else
        buf_append_u64(out, place->index);
}

static void append_pointer(struct buf *out, const struct place *place)
{
    if (!place->up)
        return;
    append_pointer(out, place->up);
    if (place->name) {
        schema_append_step(out, place->name);
    } else {
        buf_append_char(out, '/');
        buf_append_u64(out, place->index);
    }
}

bool check_is_over(const struct checking *c, bool valid)
{
    return c->exhausted || (!valid && c->quiet) || json_array_size(c->rows) >= ROWS_MAX;
}

bool report(struct checking *c, const struct place *place, const char *reason, const char *key,
            json_t *extra)
{
    if (c->quiet || json_array_size(c->rows) >= ROWS_MAX) {
        json_decref(extra);
        return false;
    }
    if (!c->rows)
        c->rows = json_array();
    struct buf text = BUF_INIT;
    append_field(&text, place);
    json_t *row = json_object();
    json_object_set_new(row, "field", json_stringn(text.data ? text.data : "", text.len));
    json_object_set_new(row, "reason", json_string(reason));
    if (extra)
        json_object_set_new(row, key, extra);
    buf_clear(&text);
    append_pointer(&text, place);
    json_object_set_new(row, "pointer", json_stringn(text.data ? text.data : "", text.len));
    json_array_append_new(c->rows, row);
    buf_release(&text);
    return false;
}
