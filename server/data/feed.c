/* What readers of the change feed see of the collections: what a list would show them. */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <stdlib.h>

struct data_sight {
    struct data_set *set; /* counted */
    const struct data_collection *c;
    struct principal user;
    struct caller caller;
};

enum err data_sight_create(struct data_set *set, const struct request *request, struct slice name,
                           struct data_sight **out)
{
    *out = NULL;
    char text[COLLECTION_NAME_MAX + 1] = "";
    if (name.len < sizeof text)
        memcpy(text, name.ptr, name.len);
    const struct data_collection *c = data_set_find(set, text);
    if (!c || c->feed == FEED_NO)
        return ERR_NOT_FOUND;
    struct data_sight *sight = mem_zalloc(sizeof *sight);
    sight->set = data_set_hold(set);
    sight->c = c;
    caller_init(&sight->caller, request, data_now_ms(set->data));
    sight->user = request->user; /* it outlives the request */
    sight->caller.user = &sight->user;
    if (rule_may_allow(c, ACTION_LIST, &sight->caller) &&
        rule_may_allow(c, ACTION_READ, &sight->caller)) {
        *out = sight;
        return ERR_OK;
    }
    data_sight_destroy(sight);
    return request->user.id[0] ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED;
}

bool data_sight_show(void *arg, struct slice json, struct buf *out)
{
    struct data_sight *sight = arg;
    static const struct slice none;
    sight->caller.env.now_ms = data_now_ms(sight->set->data);
    bool shown = rule_allows(sight->c, ACTION_LIST, &sight->caller, json, none) &&
                 rule_allows(sight->c, ACTION_READ, &sight->caller, json, none);
    if (shown)
        document_view(sight->c, json, none, out);
    return shown;
}

void data_sight_destroy(void *arg)
{
    struct data_sight *sight = arg;
    caller_release(&sight->caller);
    data_set_release(sight->set);
    free(sight);
}

/* ---- What the store keeps for it. */

static bool rule_is_of_document(const struct config_section *section, const char *key)
{
    struct rule rule;
    char why[EXPR_WHY_SIZE];
    bool is = !data_rule_read(config_text(section, key), true, false, &rule, why) || rule.expr;
    for (unsigned i = 0; i < rule.count; i++)
        is |= rule.words[i].kind == WORD_OWNER;
    data_rule_release(&rule);
    return is;
}

static enum cover cover_of(const struct config *config, const char *name)
{
    const struct config_section *section;
    unsigned at = 0;
    while ((section = config_named(config, "collection", at)) &&
           strcmp(config_name(section), name) != 0)
        at++;
    enum feed_choice feed = section ? (enum feed_choice)config_choice(section, "feed") : FEED_NO;
    if (feed == FEED_NO)
        return COVER_NONE;
    bool before = feed == FEED_BEFORE || rule_is_of_document(section, "list") ||
                  rule_is_of_document(section, "read");
    return before ? COVER_BEFORE : COVER_AFTER;
}

enum err data_cover(struct data *data, const struct config *config, struct change_feed *feed)
{
    enum err err = ERR_OK, one;
    struct collection *collection;
    const char *name;
    for (unsigned i = 0; (collection = data_opened(data, i, &name)); i++) {
        one = change_feed_cover(feed, collection, cover_of(config, name));
        err = err ? err : one;
    }
    return err;
}

bool data_has_feed(const struct config *config)
{
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "collection", i)); i++) {
        if (config_choice(section, "feed") != FEED_NO)
            return true;
    }
    return false;
}
