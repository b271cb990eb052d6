/* The order that a query asks for. */
#include "storage/query_private.h"

#include <stdio.h>

static enum err refuse(char *why, const char *what, struct slice field)
{
    snprintf(why, QUERY_WHY_SIZE, "The sort has %s at \"%.*s\".", what,
             (int)(field.len < 64 ? field.len : 64), field.ptr ? field.ptr : "");
    return ERR_VALIDATION;
}

static enum err add_field(struct sort *sort, struct slice field, bool descending, char *why)
{
    if (field.len == 0 || memchr(field.ptr, '[', field.len) || !slice_is_utf8(field))
        return refuse(why, "no member", field);
    if (sort->count == QUERY_SORT_MAX)
        return refuse(why, "more than four members", field);
    sort->paths[sort->count] = field;
    sort->descending[sort->count++] = descending;
    return ERR_OK;
}

static enum err read_fields(struct slice text, struct sort *sort, char *why)
{
    bool has_id = false;
    if (text.len == 0)
        return ERR_OK;
    while (text.ptr) {
        struct slice field = slice_trim(slice_cut(&text, ','));
        if (has_id)
            return refuse(why, "something behind the id", field);
        bool descending = field.len > 0 && field.ptr[0] == '-';
        field = slice_of(field.ptr + descending, field.len - descending);
        sort->by_id_descending = descending;
        has_id = slice_is(field, "id");
        enum err err = has_id ? ERR_OK : add_field(sort, field, descending, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static bool define(struct sort *sort)
{
    struct buf fields = BUF_INIT;
    for (unsigned i = 0; i < sort->count; i++) {
        buf_append_str(&fields, i > 0 ? "," : "");
        buf_append_slice(&fields, sort->paths[i]);
    }
    buf_append_char(&fields, '\0');
    bool good = index_define(&sort->virtual.list[0], &(struct index_spec){.fields = fields.data});
    sort->virtual.index_count = 1;
    buf_release(&fields);
    return good;
}

enum err query_sort_read(struct slice text, struct sort *out, char *why)
{
    *out = (struct sort){0};
    enum err err = read_fields(text, out, why);
    if (!err && out->count > 0 && !define(out))
        err = refuse(why, "what is no member", text);
    return err;
}

void query_sort_release(struct sort *sort)
{
    if (sort->virtual.index_count > 0)
        index_release(&sort->virtual.list[0]);
}

bool query_sort_place(const struct sort *sort, struct slice id, struct slice json, struct key *out)
{
    struct entry_set set;
    key_init(out);
    bool good = index_entries(&sort->virtual, id, json, &set) == ERR_OK &&
                (set.count == 1 || sort->count == 0);
    struct slice place = good && set.count == 1 ? entry_key(&set, 0) : id;
    good = good && place.len <= sizeof out->bytes;
    if (good) {
        memcpy(out->bytes, place.ptr, place.len);
        out->len = (uint16_t)place.len;
    }
    entry_set_release(&set);
    return good;
}

static struct slice next_part(struct slice *rest)
{
    struct slice part = *rest;
    if (!key_skip(rest))
        *rest = slice_of(part.ptr + part.len, 0);
    part.len -= rest->len;
    return part;
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

int query_sort_compare(const struct sort *sort, struct slice a, struct slice b)
{
    for (unsigned i = 0; i <= sort->count; i++) {
        bool descending = i < sort->count ? sort->descending[i] : sort->by_id_descending;
        int order = compare_bytes(next_part(&a), next_part(&b));
        if (order)
            return descending ? -order : order;
    }
    return 0;
}

bool query_sort_place_good(const struct sort *sort, struct slice place)
{
    for (unsigned i = 0; i <= sort->count; i++) {
        if (!key_skip(&place))
            return false;
    }
    return place.len == 0;
}
