#include "server/http/vary.h"

#include <ctype.h>
#include <stdlib.h>

#define ELEMENTS_MAX 32 /* of a list that is sorted; a longer one is left as it is */

static int compare(const void *a, const void *b)
{
    const struct slice *left = a, *right = b;
    size_t shorter = left->len < right->len ? left->len : right->len;
    int order = shorter > 0 ? memcmp(left->ptr, right->ptr, shorter) : 0;
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static void append_lower(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        buf_append_char(out, (char)tolower((unsigned char)text.ptr[i]));
}

/* ---- Names */

static void append_names(const struct fields *answer, struct buf *out)
{
    for (unsigned i = 0; i < answer->count; i++) {
        struct slice list = answer->items[i].value;
        if (!slice_eq_nocase(answer->items[i].name, slice_str("Vary")))
            continue;
        while (list.len > 0) {
            struct slice name = slice_trim(slice_cut(&list, ','));
            if (name.len == 0)
                continue;
            append_lower(name, out);
            buf_append_char(out, ',');
        }
    }
}

/* Cuts a list at its commas; the count, or more than `max` if there are more. */
static unsigned split(struct slice list, struct slice *out, unsigned max)
{
    unsigned count = 0;
    while (list.len > 0) {
        struct slice element = slice_trim(slice_cut(&list, ','));
        if (element.len > 0 && count++ < max)
            out[count - 1] = element;
    }
    return count;
}

static void append_sorted(struct slice list, bool once, struct buf *out)
{
    struct slice elements[ELEMENTS_MAX];
    unsigned count = split(list, elements, ELEMENTS_MAX);
    if (count > ELEMENTS_MAX) {
        buf_append_slice(out, list);
        return;
    }
    qsort(elements, count, sizeof *elements, compare);
    for (unsigned i = 0; i < count; i++) {
        if (once && i > 0 && slice_eq(elements[i], elements[i - 1]))
            continue;
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_slice(out, elements[i]);
    }
}

void vary_names(const struct fields *answer, struct buf *out)
{
    struct buf all = BUF_INIT;
    append_names(answer, &all);
    append_sorted(buf_slice(&all), true, out);
    buf_release(&all);
}

/* ---- Values */

/* How the values of a field may be written without a change of what they mean. */
enum form {
    FORM_LIST,    /* as it is, without white space around commas */
    FORM_CASE,    /* and case does not matter */
    FORM_UNORDER, /* nor does the order */
};

/* The order of languages ought not to matter, but there are origins to which it does. */
static enum form form_of(struct slice name)
{
    if (slice_is(name, "accept-encoding"))
        return FORM_UNORDER;
    return slice_is(name, "accept-language") || slice_is(name, "accept-charset") ? FORM_CASE
                                                                                 : FORM_LIST;
}

/* Appends the elements of a list, of which `any` came before; white space stays inside them and in
 * quoted strings, where commas are none. */
static void append_elements(struct slice list, bool any, enum form form, struct buf *out)
{
    if (memchr(list.ptr, '"', list.len)) {
        if (any)
            buf_append_char(out, ',');
        buf_append_slice(out, list);
        return;
    }
    while (list.len > 0) {
        struct slice element = slice_trim(slice_cut(&list, ','));
        if (element.len == 0)
            continue;
        if (any)
            buf_append_char(out, ',');
        if (form == FORM_LIST)
            buf_append_slice(out, element);
        else
            append_lower(element, out);
        any = true;
    }
}

static void append_values(struct slice name, const struct request *request, struct buf *out)
{
    bool present = false;
    size_t begin = out->len;
    for (unsigned i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (!slice_eq_nocase(header->name, name))
            continue;
        if (!present)
            buf_append_char(out, '=');
        if (header->value.len > 0)
            append_elements(header->value, out->len > begin + 1, form_of(name), out);
        present = true;
    }
}

void vary_key(struct slice names, const struct request *request, struct buf *out)
{
    while (names.len > 0) {
        struct slice name = slice_cut(&names, ',');
        struct buf values = BUF_INIT;
        buf_append_slice(out, name);
        append_values(name, request, &values);
        if (form_of(name) == FORM_UNORDER && values.len > 0) {
            buf_append_char(out, '=');
            append_sorted(slice_of(values.data + 1, values.len - 1), false, out);
        } else {
            buf_append_slice(out, buf_slice(&values));
        }
        buf_append_char(out, '\n'); /* is in no value */
        buf_release(&values);
    }
}
