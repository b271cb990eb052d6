/* Which members of an answer which clients get. */
#include "server/transform/transform_private.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Reading */

static bool read_roles(struct slice text, struct field_rule *out, char *why, size_t why_size)
{
    out->by_role = true;
    out->roles = mem_zalloc(text.len + 1);
    memcpy(out->roles, text.ptr, text.len);
    do {
        struct slice role = slice_trim(slice_cut(&text, ','));
        snprintf(why, why_size, "\"%.*s\" is no role", SLICE_ARG(role));
        if (!text_is_role(role))
            return false;
    } while (text.ptr);
    return true;
}

static bool read_condition(struct slice text, struct field_rule *out, char *why, size_t why_size)
{
    static const char *const kinds[CONDITION_KINDS] = {
        [CONDITION_HEADER] = "header", [CONDITION_QUERY] = "query",
        [CONDITION_DEVICE] = "device", [CONDITION_VERSION] = "version",
        [CONDITION_CLIENT] = "client",
    };
    struct slice word = slice_cut(&text, ' ');
    out->conditional = true;
    snprintf(why, why_size, "behind if stands device, role, header, query, version or client");
    if (!text.ptr)
        return false;
    if (slice_is(word, "role"))
        return read_roles(slice_trim(text), out, why, why_size);
    for (enum condition_kind kind = 0; kind < CONDITION_KINDS; kind++) {
        if (slice_is(word, kinds[kind]))
            return condition_parse(kind, slice_trim(text), &out->condition, why, why_size);
    }
    return false;
}

bool field_rule_read(const char *text, struct field_rule *out, char *why, size_t why_size)
{
    *out = (struct field_rule){0};
    const char *mark = strstr(text, " if ");
    size_t len = mark ? (size_t)(mark - text) : strlen(text);
    struct slice names = slice_trim(slice_of(text, len));
    out->everything = slice_is(names, "*");
    if (!out->everything && !(rule_read_keep(names, &out->keep, why, why_size) &&
                              json_rule_check(&out->keep, why, why_size)))
        return false;
    return !mark || read_condition(slice_trim(slice_str(mark + 4)), out, why, why_size);
}

void field_rule_release(struct field_rule *rule)
{
    rule_release(&rule->keep);
    condition_release(&rule->condition);
    free(rule->roles);
    rule->roles = NULL;
}

/* ---- Asking */

static bool has_a_role(const struct field_rule *rule, const struct principal *user)
{
    struct slice rest = slice_str(rule->roles);
    while (rest.ptr) {
        struct slice role = slice_trim(slice_cut(&rest, ','));
        for (unsigned i = 0; i < user->role_count; i++) {
            if (slice_is(role, user->roles[i]))
                return true;
        }
    }
    return false;
}

bool field_rule_holds(const struct field_rule *rule, const struct request *request)
{
    if (!rule->conditional)
        return true;
    return rule->by_role ? has_a_role(rule, &request->user)
                         : condition_holds(&rule->condition, request);
}

void field_rule_write_vary(const struct field_rule *rule, struct buf *out)
{
    if (!rule->conditional)
        return;
    if (rule->by_role)
        buf_append_str(out, "Authorization, ");
    else if (rule->condition.kind == CONDITION_HEADER)
        buf_printf(out, "%s, ", rule->condition.name);
    else if (rule->condition.kind == CONDITION_DEVICE)
        buf_append_str(out, "User-Agent, Sec-CH-UA-Mobile, ");
    else if (rule->condition.kind == CONDITION_VERSION)
        buf_append_str(out, "API-Version, Accept, ");
}
