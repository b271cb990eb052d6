#include "server/config/config.h"

#include "base/mem.h"
#include "server/config/config_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct config_section *section_create(const struct config_kind *kind, const char *name,
                                             unsigned line)
{
    struct config_section *section = mem_zalloc(sizeof(*section));
    section->kind = kind;
    section->keys = config_kind_keys(kind, &section->key_count);
    section->name = mem_strdup(name);
    section->line = line;
    section->values = mem_zalloc(section->key_count * sizeof(*section->values) + 1);
    return section;
}

static void section_destroy(struct config_section *section)
{
    for (unsigned i = 0; i < section->key_count; i++)
        free(section->values[i].text);
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

struct config_value *config_find_value(const struct config_section *section, const char *key,
                                       const struct config_key **row)
{
    for (unsigned i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, key) == 0) {
            *row = &section->keys[i];
            return &section->values[i];
        }
    }
    return NULL;
}

struct config *config_create(void)
{
    struct config *config = mem_zalloc(sizeof(*config));
    for (const struct config_kind *kind = config_kinds; kind->name != NULL; kind++) {
        if (!(kind->flags & CONFIG_NAMED))
            config_add_section(config, kind, "", 0);
    }
    return config;
}

void config_destroy(struct config **config)
{
    if (*config == NULL)
        return;
    for (unsigned i = 0; i < (*config)->count; i++)
        section_destroy((*config)->sections[i]);
    free((*config)->sections);
    free(*config);
    *config = NULL;
}

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
    while (config_named(config, kind, count) != NULL)
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

/* True if the key's value is a number of its own; else it is a text. */
static bool is_number(enum config_type type)
{
    return type == CONFIG_INT || type == CONFIG_SIZE || type == CONFIG_DURATION ||
           type == CONFIG_BOOL;
}

static const struct config_value *look(const struct config_section *section, const char *key,
                                       bool number)
{
    const struct config_key *row;
    const struct config_value *value = config_find_value(section, key, &row);
    assert(value != NULL && is_number(row->type) == number);
    return value;
}

int64_t config_int(const struct config_section *section, const char *key)
{
    return look(section, key, true)->number;
}

bool config_bool(const struct config_section *section, const char *key)
{
    return look(section, key, true)->number != 0;
}

const char *config_text(const struct config_section *section, const char *key)
{
    return look(section, key, false)->text;
}
