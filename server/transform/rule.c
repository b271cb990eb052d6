#include "server/transform/transform_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const verbs[] = {[VERB_SET] = "set",
                                    [VERB_ADD] = "add",
                                    [VERB_REMOVE] = "remove",
                                    [VERB_RENAME] = "rename",
                                    [VERB_KEEP] = "keep"};

static bool read_verb(const char *word, enum verb *out)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(word, verbs[i]) == 0) {
            *out = (enum verb)i;
            return true;
        }
    }
    return false;
}

/* Cuts the first word off *rest, which becomes what follows the blanks behind it. */
static char *cut_word(char **rest)
{
    char *word = *rest;
    char *end = word + strcspn(word, " \t");
    *rest = end + strspn(end, " \t");
    *end = '\0';
    return word;
}

static bool read_names(struct rule *rule, char *text)
{
    char *state, *name = strtok_r(text, ", \t", &state);
    for (; name && rule->name_count < RULE_NAMES_MAX; name = strtok_r(NULL, ", \t", &state))
        rule->names[rule->name_count++] = name;
    return rule->name_count > 0 && !name;
}

/* What is JSON stands for itself, and has no places: {"a": 1} is an object. */
static bool read_value(struct rule *rule, const char *text, bool json,
                       const struct transform_settings *settings, char *why, size_t why_size)
{
    char fault[200];
    if (json && json_read(slice_str(text), &rule->json, fault, sizeof fault) == ERR_OK)
        return true;
    rule->value = text[0] ? value_read(slice_str(text), settings, why, why_size) : NULL;
    return rule->value;
}

bool rule_read(const char *text, bool json, const struct transform_settings *settings,
               struct rule *out, char *why, size_t why_size)
{
    *out = (struct rule){.text = mem_strdup(text)};
    char *rest = out->text;
    char *verb = cut_word(&rest);
    snprintf(why, why_size, "\"%.40s\" is no change: set, add, remove%s", verb,
             json ? ", rename or keep" : " or rename");
    if (!read_verb(verb, &out->verb) || (out->verb == VERB_KEEP && !json))
        return false;
    snprintf(why, why_size, "%s what?", verb);
    if (out->verb == VERB_REMOVE || out->verb == VERB_KEEP)
        return read_names(out, rest);
    out->names[0] = cut_word(&rest);
    out->name_count = 1;
    if (!out->names[0][0])
        return false;
    snprintf(why, why_size, "%s %.60s to what?", verb, out->names[0]);
    if (out->verb != VERB_RENAME)
        return read_value(out, rest, json, settings, why, why_size);
    out->to = cut_word(&rest);
    return out->to[0] && !rest[0];
}

bool rule_read_keep(struct slice names, struct rule *out, char *why, size_t why_size)
{
    *out = (struct rule){.verb = VERB_KEEP, .text = mem_zalloc(names.len + 1)};
    memcpy(out->text, names.ptr, names.len);
    snprintf(why, why_size, "it names no member, or more than %d", RULE_NAMES_MAX);
    return read_names(out, out->text);
}

void rule_release(struct rule *rule)
{
    value_free(rule->value);
    json_decref(rule->json);
    free(rule->text);
    *rule = (struct rule){0};
}
