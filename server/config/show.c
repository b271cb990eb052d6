/* What holds now: of keys that take a restart that is what the process was started with. */
#include "server/config/config_private.h"

#include <stdio.h>
#include <string.h>

struct showing {
    config_setting_fn show;
    void *arg;
    char section[80];
    struct buf value, waiting;
};

static void show_key(struct showing *showing, const struct config_key *key,
                     const struct config_values *started, const struct config_values *loaded)
{
    bool reloads = key->flags & CONFIG_RELOADS;
    bool waits = !reloads && !config_values_same(key, started, loaded);
    struct config_setting setting = {
        .section = showing->section,
        .key = key->name,
        .value = config_values_show(key, reloads ? loaded : started, &showing->value),
        .waiting = waits ? config_values_show(key, loaded, &showing->waiting) : NULL,
        .fallback = key->flags & CONFIG_REQUIRED ? NULL : key->fallback,
        .line = loaded->line,
        .reloads = reloads,
        .help = key->help,
    };
    showing->show(&setting, showing->arg);
}

static void show_section(struct showing *showing, const struct config *started,
                         const struct config_section *section)
{
    const struct config_section *was =
        config_find_section(started, section->kind->name, section->name);
    snprintf(showing->section, sizeof showing->section, "%s%s%s", section->kind->name,
             section->name[0] ? " " : "", section->name);
    for (unsigned i = 0; i < section->kind->key_count; i++)
        show_key(showing, &section->kind->keys[i], was ? &was->values[i] : &section->values[i],
                 &section->values[i]);
}

void config_each(const struct config *started, const struct config *loaded, config_setting_fn show,
                 void *arg)
{
    struct showing showing = {.show = show, .arg = arg};
    for (unsigned i = 0; i < loaded->count; i++) {
        if (loaded->sections[i]->line > 0)
            show_section(&showing, started, loaded->sections[i]);
    }
    for (unsigned i = 0; i < loaded->count; i++) {
        if (loaded->sections[i]->line == 0)
            show_section(&showing, started, loaded->sections[i]);
    }
    buf_release(&showing.value);
    buf_release(&showing.waiting);
}

/* "upstream users.balance": a kind, perhaps a name, and behind the last dot a key. */
bool config_setting_find(const struct config *config, const char *name, struct buf *out)
{
    char section[160];
    const char *key = strrchr(name, '.');
    if (!key || (size_t)(key - name) >= sizeof section)
        return false;
    snprintf(section, sizeof section, "%.*s", (int)(key - name), name);
    char *blank = strchr(section, ' ');
    if (blank)
        *blank = '\0';
    const struct config_section *found =
        config_find_section(config, section, blank ? blank + 1 : "");
    for (unsigned i = 0; found && i < found->kind->key_count; i++) {
        const struct config_key *row = &found->kind->keys[i];
        if (strcmp(row->name, key + 1) != 0 || (row->flags & CONFIG_SECRET))
            continue;
        struct buf value = BUF_INIT;
        buf_append_str(out, config_values_show(row, &found->values[i], &value));
        buf_release(&value);
        return true;
    }
    return false;
}
