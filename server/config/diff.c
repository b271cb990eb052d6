/* What a new file changes: the keys that may be reloaded are compared with the configuration that
 * was loaded last, those that need a restart with the one that the process was started with. */
#include "server/config/config_private.h"

#include <stdio.h>
#include <string.h>

struct diff {
    const struct config *before, *after;
    unsigned takes;
    config_change_fn report;
    void *arg;
    /* Of the change that is being reported. */
    char section[80];
    struct buf from, to;
};

/* A section comes or goes as a whole: without a restart only if all of it can be reloaded. */
static unsigned taken_by(const struct config_kind *kind)
{
    for (unsigned i = 0; i < kind->key_count; i++) {
        if (kind->keys[i].flags & CONFIG_RESTART)
            return CONFIG_RESTART;
    }
    return CONFIG_RELOADS;
}

static bool is_number(enum config_type type)
{
    return type == CONFIG_INT || type == CONFIG_SIZE || type == CONFIG_DURATION ||
           type == CONFIG_BOOL;
}

bool config_values_same(const struct config_key *key, const struct config_values *a,
                        const struct config_values *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        bool same = is_number(key->type) ? a->at[i].number == b->at[i].number
                                         : strcmp(a->at[i].text, b->at[i].text) == 0;
        if (!same)
            return false;
    }
    return true;
}

const char *config_values_show(const struct config_key *key, const struct config_values *values,
                               struct buf *out)
{
    buf_clear(out);
    for (unsigned i = 0; i < values->count; i++) {
        bool shown = !(key->flags & CONFIG_SECRET) || !values->at[i].text[0];
        buf_append_str(out, i > 0 ? ", " : "");
        buf_append_str(out, shown ? values->at[i].text : "(secret)");
    }
    buf_append_char(out, '\0');
    return out->data;
}

/* Either may be NULL: the section is not there. */
static void report_key(struct diff *diff, const struct config_key *key,
                       const struct config_values *before, const struct config_values *after)
{
    struct config_change change = {
        .section = diff->section,
        .key = key->name,
        .from = before ? config_values_show(key, before, &diff->from) : NULL,
        .to = after ? config_values_show(key, after, &diff->to) : NULL,
        .line = after ? after->line : 0,
        .takes = diff->takes,
    };
    diff->report(&change, diff->arg);
}

static void name_section(struct diff *diff, const struct config_section *section)
{
    snprintf(diff->section, sizeof diff->section, "%s%s%s", section->kind->name,
             section->name[0] ? " " : "", section->name);
}

static void compare(struct diff *diff, const struct config_section *before,
                    const struct config_section *after)
{
    name_section(diff, after);
    for (unsigned i = 0; i < after->kind->key_count; i++) {
        const struct config_key *key = &after->kind->keys[i];
        if ((key->flags & diff->takes) &&
            !config_values_same(key, &before->values[i], &after->values[i]))
            report_key(diff, key, &before->values[i], &after->values[i]);
    }
}

/* A section that is only in one of them: itself, and the keys that its file gave. */
static void report_section(struct diff *diff, const struct config_section *section, bool added)
{
    if (taken_by(section->kind) != diff->takes)
        return;
    name_section(diff, section);
    struct config_change change = {.section = diff->section,
                                   .from = added ? NULL : "",
                                   .to = added ? "" : NULL,
                                   .line = added ? section->line : 0,
                                   .takes = diff->takes};
    diff->report(&change, diff->arg);
    for (unsigned i = 0; i < section->kind->key_count; i++) {
        const struct config_values *values = &section->values[i];
        if (values->line > 0)
            report_key(diff, &section->kind->keys[i], added ? NULL : values, added ? values : NULL);
    }
}

static struct config_section *same_in(const struct config *config,
                                      const struct config_section *section)
{
    return config_find_section(config, section->kind->name, section->name);
}

void config_diff(const struct config *before, const struct config *after, unsigned takes,
                 config_change_fn report, void *arg)
{
    struct diff diff = {
        .before = before, .after = after, .takes = takes, .report = report, .arg = arg};
    for (unsigned i = 0; i < after->count; i++) {
        const struct config_section *was = same_in(before, after->sections[i]);
        if (was)
            compare(&diff, was, after->sections[i]);
        else
            report_section(&diff, after->sections[i], true);
    }
    for (unsigned i = 0; i < before->count; i++) {
        if (!same_in(after, before->sections[i]))
            report_section(&diff, before->sections[i], false);
    }
    buf_release(&diff.from);
    buf_release(&diff.to);
}
