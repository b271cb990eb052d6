/* Who may: words, or an expression about the document. */
#include "server/data/data_private.h"

#include "base/text.h"

#include <stdio.h>

const char *const action_keys[ACTION_COUNT] = {"list", "read", "create", "update", "delete"};

/* ---- Who asks */

static void write_user(struct buf *out, const struct principal *user)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '{');
    jw_key(&w, "id");
    jw_str(&w, slice_str(user->id));
    if (user->role_count > 0) {
        jw_key(&w, "role");
        jw_str(&w, slice_str(user->roles[0]));
    }
    jw_key(&w, "roles");
    jw_begin(&w, '[');
    for (unsigned i = 0; i < user->role_count; i++)
        jw_str(&w, slice_str(user->roles[i]));
    jw_end(&w, ']');
    jw_end(&w, '}');
}

void caller_init(struct caller *caller, const struct request *request, int64_t now_ms)
{
    *caller = (struct caller){.user = &request->user};
    if (request->user.id[0])
        write_user(&caller->user_json, &request->user);
    json_printf(&caller->request_json, "{'method':%s}", method_name(request->method));
    caller->env = (struct expr_env){.user = buf_slice(&caller->user_json),
                                    .request = buf_slice(&caller->request_json),
                                    .now_ms = now_ms};
}

void caller_release(struct caller *caller)
{
    buf_release(&caller->user_json);
    buf_release(&caller->request_json);
}

/* ---- Reading a rule */

/* False if it is none of the words. */
static bool read_word(struct slice text, struct rule_word *out)
{
    static const char *const plain[] = {"nobody", "public", "user", "owner"};
    *out = (struct rule_word){0};
    for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++) {
        out->kind = (enum rule_word_kind)i;
        if (slice_is(text, plain[i]))
            return true;
    }
    if (!slice_starts(text, slice_str("role:")))
        return false;
    out->kind = WORD_ROLE;
    snprintf(out->role, sizeof out->role, "%.*s", (int)text.len - 5, text.ptr + 5);
    return text.len - 5 < sizeof out->role && text_is_role(slice_str(out->role));
}

static bool read_words(const char *text, struct rule *out)
{
    struct slice rest = slice_str(text);
    while (rest.ptr) {
        if (out->count == RULE_WORDS_MAX ||
            !read_word(slice_trim(slice_cut(&rest, ',')), &out->words[out->count++])) {
            out->count = 0;
            return false;
        }
    }
    return true;
}

static bool names_owner(const struct rule *rule)
{
    for (unsigned i = 0; i < rule->count; i++) {
        if (rule->words[i].kind == WORD_OWNER)
            return true;
    }
    return false;
}

/* One that speaks of @old is one that cannot be compiled without it. */
static bool read_expression(const char *text, bool has_old, struct rule *out, char *why)
{
    unsigned variables = EXPR_USER | EXPR_REQUEST;
    if (!expr_compile(slice_str(text), variables, &out->expr, why, EXPR_WHY_SIZE))
        return true;
    if (!has_old)
        return false;
    char other[EXPR_WHY_SIZE];
    out->speaks_of_old = true;
    return expr_compile(slice_str(text), variables | EXPR_OLD, &out->expr, other, sizeof other) ==
           ERR_OK;
}

bool data_rule_read(const char *text, bool has_owner, bool has_old, struct rule *out, char *why)
{
    *out = (struct rule){0};
    if (!read_words(text, out))
        return read_expression(text, has_old, out, why);
    if (!names_owner(out) || has_owner)
        return true;
    snprintf(why, EXPR_WHY_SIZE, "owner: there is none without the key owner");
    return false;
}

void data_rule_release(struct rule *rule)
{
    expr_destroy(&rule->expr);
}

/* ---- Asking it */

static bool owns(const struct data_collection *c, const struct caller *caller, struct slice doc)
{
    struct buf owner = BUF_INIT;
    bool same = caller->user->id[0] && json_find_str(doc, c->owner, &owner) &&
                slice_is(buf_slice(&owner), caller->user->id);
    buf_release(&owner);
    return same;
}

/* With doc NULL: of any document. */
static bool word_fits(const struct data_collection *c, const struct rule_word *word,
                      const struct caller *caller, const struct slice *doc)
{
    bool known = caller->user->id[0] != '\0';
    switch (word->kind) {
    case WORD_PUBLIC:
        return true;
    case WORD_USER:
        return known;
    case WORD_OWNER:
        return doc ? owns(c, caller, *doc) : known;
    case WORD_ROLE:
        return known && principal_has_role(caller->user, word->role);
    default:
        return false;
    }
}

static bool words_fit(const struct data_collection *c, const struct rule *rule,
                      const struct caller *caller, const struct slice *doc)
{
    for (unsigned i = 0; i < rule->count; i++) {
        if (word_fits(c, &rule->words[i], caller, doc))
            return true;
    }
    return false;
}

bool rule_allows(const struct data_collection *c, enum action action, const struct caller *caller,
                 struct slice doc, struct slice old)
{
    const struct rule *rule = &c->rules[action];
    if (!rule->expr)
        return words_fit(c, rule, caller, &doc);
    struct expr_env env = caller->env;
    env.old = old;
    return expr_holds(rule->expr, doc, &env);
}

bool rule_may_allow(const struct data_collection *c, enum action action,
                    const struct caller *caller)
{
    const struct rule *rule = &c->rules[action];
    return rule->expr || words_fit(c, rule, caller, NULL);
}

bool rule_allows_job(const struct queue_declared *queue, const struct caller *caller,
                     struct slice payload)
{
    const struct rule *rule = &queue->rule;
    return rule->expr ? expr_holds(rule->expr, payload, &caller->env)
                      : words_fit(NULL, rule, caller, NULL); /* owner is none of them */
}

struct expr *rule_expression(const struct data_collection *c, enum action action,
                             const struct caller *caller)
{
    const struct rule *rule = &c->rules[action];
    bool by_owner = names_owner(rule);
    for (unsigned i = 0; i < rule->count; i++) {
        const struct rule_word *word = &rule->words[i];
        by_owner = by_owner && (word->kind == WORD_OWNER || !word_fits(c, word, caller, NULL));
    }
    return by_owner ? c->owned : rule->expr;
}

/* An expression without @old has to hold on both sides: nobody takes a document over by a change,
 * and nobody gives one away. */
bool rule_allows_before(const struct data_collection *c, const struct caller *caller,
                        struct slice old)
{
    return c->rules[ACTION_UPDATE].speaks_of_old ||
           rule_allows(c, ACTION_UPDATE, caller, old, slice_of(NULL, 0));
}

bool rule_allows_after(const struct data_collection *c, const struct caller *caller,
                       struct slice doc, struct slice old)
{
    return rule_allows(c, ACTION_UPDATE, caller, doc, old);
}
