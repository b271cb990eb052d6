/* DESIGN. A change goes down its path in the tree, through each element of arrays that it meets.
 * What is not as the path expects it stays as it is. A value may be long, and meet many elements:
 * what all changes add is bounded. */
#include "server/transform/transform_private.h"

#include "base/text.h"

#include <stdio.h>

#define SEGMENT_MAX  128 /* bytes */
#define SEGMENTS_MAX 16

/* ---- Paths */

static bool path_ok(const char *path)
{
    struct slice rest = slice_str(path);
    unsigned count = 0;
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '.');
        if (segment.len == 0 || segment.len > SEGMENT_MAX || ++count > SEGMENTS_MAX)
            return false;
    }
    return slice_is_utf8(slice_str(path));
}

bool json_rule_check(const struct rule *rule, char *why, size_t why_size)
{
    for (unsigned i = 0; i < rule->name_count; i++) {
        snprintf(why, why_size, "\"%.100s\" is no path of members", rule->names[i]);
        if (!path_ok(rule->names[i]))
            return false;
    }
    snprintf(why, why_size, "the new name stands where the former does: without dots");
    return !rule->to || (path_ok(rule->to) && !strchr(rule->to, '.'));
}

/* The first member that a path names; *rest: what follows, NULL: nothing. */
static void cut_path(const char *path, char segment[SEGMENT_MAX + 1], const char **rest)
{
    size_t len = strcspn(path, ".");
    memcpy(segment, path, len);
    segment[len] = '\0';
    *rest = path[len] ? path + len + 1 : NULL;
}

/* ---- Keeping */

static void keep(json_t *node, const char *const *paths, unsigned count);

/* What of the paths is about a member: `below` gets what follows. True: all of it stays. */
static bool paths_below(const char *key, const char *const *paths, unsigned count,
                        const char *below[RULE_NAMES_MAX], unsigned *below_count)
{
    *below_count = 0;
    for (unsigned i = 0; i < count; i++) {
        char segment[SEGMENT_MAX + 1];
        const char *rest;
        cut_path(paths[i], segment, &rest);
        if (strcmp(segment, key) != 0)
            continue;
        if (!rest)
            return true;
        below[(*below_count)++] = rest;
    }
    return false;
}

static void keep_members(json_t *object, const char *const *paths, unsigned count)
{
    void *next;
    for (void *at = json_object_iter(object); at; at = next) {
        const char *key = json_object_iter_key(at);
        json_t *member = json_object_iter_value(at);
        const char *below[RULE_NAMES_MAX];
        unsigned below_count;
        next = json_object_iter_next(object, at);
        if (paths_below(key, paths, count, below, &below_count))
            continue;
        if (below_count > 0 && (json_is_object(member) || json_is_array(member)))
            keep(member, below, below_count);
        else
            json_object_del(object, key);
    }
}

/* Elements without members are none that a path names. */
static void keep_elements(json_t *array, const char *const *paths, unsigned count)
{
    json_t *kept = json_array();
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *element = json_array_get(array, i);
        if (!json_is_object(element) && !json_is_array(element))
            continue;
        keep(element, paths, count);
        json_array_append(kept, element);
    }
    json_array_clear(array);
    json_array_extend(array, kept);
    json_decref(kept);
}

static void keep(json_t *node, const char *const *paths, unsigned count)
{
    if (json_is_object(node))
        keep_members(node, paths, count);
    else
        keep_elements(node, paths, count);
}

/* ---- Other changes */

/* One on its way through a tree. */
struct change {
    const struct rule *rule;
    json_t *value; /* NULL: there is none to say */
    size_t size;   /* of what is added to an object, with the names */
    size_t room;
    bool full;
};

static void rename_member(json_t *object, const char *key, const char *to)
{
    json_t *member = json_object_get(object, key);
    if (!member || !to || strcmp(key, to) == 0)
        return;
    json_object_set(object, to, member);
    json_object_del(object, key);
}

static void change_member(json_t *object, const char *key, const struct change *change)
{
    switch (change->rule->verb) {
    case VERB_ADD:
        if (change->value && !json_object_get(object, key))
            json_object_set(object, key, change->value);
        break;
    case VERB_SET:
        if (change->value)
            json_object_set(object, key, change->value);
        else
            json_object_del(object, key);
        break;
    case VERB_REMOVE:
        json_object_del(object, key);
        break;
    case VERB_RENAME:
        rename_member(object, key, change->rule->to);
        break;
    case VERB_KEEP:
        break;
    }
}

static bool take_room(struct change *change)
{
    change->full = change->full || change->size > change->room;
    if (!change->full)
        change->room -= change->size;
    return !change->full;
}

/* Objects that are missing on the way to a value are made. */
static json_t *member_below(json_t *object, const char *key, const struct change *change)
{
    json_t *member = json_object_get(object, key);
    if (member || !change->value)
        return member;
    json_object_set_new(object, key, json_object());
    return json_object_get(object, key);
}

static void change_at(json_t *node, const char *path, struct change *change)
{
    for (size_t i = 0; json_is_array(node) && i < json_array_size(node); i++)
        change_at(json_array_get(node, i), path, change);
    if (!json_is_object(node) || change->full)
        return;
    char key[SEGMENT_MAX + 1];
    const char *rest;
    cut_path(path, key, &rest);
    if (rest)
        change_at(member_below(node, key, change), rest, change);
    else if (take_room(change))
        change_member(node, key, change);
}

/* The text of a value as a string, whatever its bytes are; NULL: it is empty. */
static json_t *string_of(const struct value *value, const struct request *request)
{
    struct buf text = BUF_INIT, line = BUF_INIT;
    value_fill(value, request, &text);
    struct slice plain = buf_slice(&text);
    if (plain.len > 0 && (!slice_is_utf8(plain) || memchr(plain.ptr, '\0', plain.len))) {
        text_append_line(&line, plain);
        plain = buf_slice(&line);
    }
    json_t *string = plain.len > 0 ? json_stringn(plain.ptr, plain.len) : NULL;
    buf_release(&text);
    buf_release(&line);
    return string;
}

static size_t size_of(const json_t *value)
{
    struct buf text = BUF_INIT;
    json_append(&text, value);
    size_t size = text.len;
    buf_release(&text);
    return size;
}

bool json_change(json_t *root, const struct rule *rule, const struct request *request, size_t *room)
{
    struct change change = {.rule = rule, .room = *room};
    if (rule->verb == VERB_KEEP) {
        if (json_is_object(root) || json_is_array(root))
            keep(root, rule->names, rule->name_count);
        return true;
    }
    if (rule->value)
        change.value = string_of(rule->value, request);
    else if (rule->json)
        change.value = json_deep_copy(rule->json);
    if (change.value)
        change.size = strlen(rule->names[0]) + size_of(change.value);
    else if (rule->to)
        change.size = strlen(rule->to);
    for (unsigned i = 0; i < rule->name_count; i++)
        change_at(root, rule->names[i], &change);
    json_decref(change.value);
    *room = change.room;
    return !change.full;
}
