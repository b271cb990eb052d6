#include "server/config/config.h"

#include "base/mem.h"
#include "server/config/config_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct config_section *section_create(const struct config_kind *kind, const char *name,
                                             unsigned line)
{
    struct config_section *section = mem_zalloc(sizeof *section);
    section->kind = kind;
    section->name = mem_strdup(name);
    section->line = line;
    section->values = mem_zalloc(kind->key_count * sizeof *section->values + 1);
    return section;
}

static void section_destroy(struct config_section *section)
{
    for (unsigned i = 0; i < section->kind->key_count; i++)
        config_values_release(&section->values[i]);
    free(section->values);
    free(section->name);
    free(section);
}

struct config_section *config_add_section(struct config *config, const struct config_kind *kind,
                                          const char *name, unsigned line)
{
    config->sections =
        mem_realloc(config->sections, (config->count + 1) * sizeof(struct config_section *));
    struct config_section *section = section_create(kind, name, line);
    config->sections[config->count++] = section;
    return section;
}

struct config_section *config_find_section(const struct config *config, const char *kind,
                                           const char *name)
{
    for (unsigned i = 0; i < config->count; i++) {
        struct config_section *section = config->sections[i];
        if (strcmp(section->kind->name, kind) == 0 && strcmp(section->name, name) == 0)
            return section;
    }
    return NULL;
}

struct config_values *config_find_values(const struct config_section *section, const char *key,
                                         const struct config_key **row)
{
    for (unsigned i = 0; i < section->kind->key_count; i++) {
        if (strcmp(section->kind->keys[i].name, key) == 0) {
            *row = &section->kind->keys[i];
            return &section->values[i];
        }
    }
    return NULL;
}

struct config *config_create(const struct config_kind *modules)
{
    struct config *config = mem_zalloc(sizeof *config);
    config->modules = modules;
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(modules, i)); i++) {
        if (!(kind->flags & CONFIG_NAMED))
            config_add_section(config, kind, "", 0);
    }
    return config;
}

void config_destroy(struct config **config)
{
    if (!*config)
        return;
    for (unsigned i = 0; i < (*config)->count; i++)
        section_destroy((*config)->sections[i]);
    free((*config)->sections);
    free(*config);
    *config = NULL;
}

/* ---- Sections */

const struct config_section *config_section(const struct config *config, const char *name)
{
    return config_find_section(config, name, "");
}

const struct config_section *config_named(const struct config *config, const char *kind, unsigned i)
{
    for (unsigned at = 0; at < config->count; at++) {
        if (strcmp(config->sections[at]->kind->name, kind) == 0 && i-- == 0)
            return config->sections[at];
    }
    return NULL;
}

unsigned config_named_count(const struct config *config, const char *kind)
{
    unsigned count = 0;
    while (config_named(config, kind, count))
        count++;
    return count;
}

const char *config_name(const struct config_section *section)
{
    return section->name;
}

unsigned config_line(const struct config_section *section)
{
    return section->line;
}

unsigned config_key_line(const struct config_section *section, const char *key)
{
    const struct config_key *row;
    const struct config_values *values = config_find_values(section, key, &row);
    assert(values && "the schema has no such key");
    return values->line > 0 ? values->line : section->line;
}

const struct config_section *config_referred(const struct config *config, const char *kind,
                                             const char *name)
{
    return name[0] ? config_find_section(config, kind, name) : NULL;
}

bool config_is_empty(const struct config *config)
{
    for (unsigned i = 0; i < config->count; i++) {
        if (config->sections[i]->line > 0)
            return false;
    }
    return true;
}

/* ---- Values */

static const struct config_values *look(const struct config_section *section, const char *key,
                                        bool list)
{
    const struct config_key *row;
    const struct config_values *values = config_find_values(section, key, &row);
    assert(values && !(row->flags & CONFIG_LIST) == !list);
    return values;
}

static bool is_number(enum config_type type)
{
    return type == CONFIG_INT || type == CONFIG_SIZE || type == CONFIG_DURATION ||
           type == CONFIG_BOOL;
}

static const struct config_value *look_at_one(const struct config_section *section, const char *key,
                                              bool number)
{
    const struct config_key *row;
    const struct config_values *values = config_find_values(section, key, &row);
    assert(values && values->count == 1 && !(row->flags & CONFIG_LIST));
    assert(is_number(row->type) == number);
    return values->at;
}

int64_t config_int(const struct config_section *section, const char *key)
{
    return look_at_one(section, key, true)->number;
}

bool config_bool(const struct config_section *section, const char *key)
{
    return look_at_one(section, key, true)->number != 0;
}

const char *config_text(const struct config_section *section, const char *key)
{
    return look_at_one(section, key, false)->text;
}

unsigned config_choice(const struct config_section *section, const char *key)
{
    return (unsigned)look_at_one(section, key, false)->number;
}

unsigned config_list_count(const struct config_section *section, const char *key)
{
    return look(section, key, true)->count;
}

const char *config_list_at(const struct config_section *section, const char *key, unsigned i)
{
    const struct config_values *values = look(section, key, true);
    assert(i < values->count);
    return values->at[i].text;
}
