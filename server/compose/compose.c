#include "server/compose/compose_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static enum err read_part(struct compose *compose, const struct compose_part *spec, char *why,
                          size_t why_size)
{
    unsigned count = compose->count;
    struct part *part = &compose->parts[count];
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(compose->parts[i].spec.name, spec->name) == 0) {
            snprintf(why, why_size, "there are two parts %s", spec->name);
            return ERR_VALIDATION;
        }
    }
    part->target = template_read(spec->target, compose->parts, count, &part->after, why, why_size);
    if (!part->target)
        return ERR_VALIDATION;
    if (spec->fallback && !is_json(slice_str(spec->fallback))) {
        snprintf(why, why_size, "the fallback of %s is no JSON", spec->name);
        template_free(part->target);
        return ERR_VALIDATION;
    }
    part->spec = *spec;
    part->spec.name = mem_strdup(spec->name);
    part->spec.target = NULL; /* read */
    part->spec.fallback = spec->fallback ? mem_strdup(spec->fallback) : NULL;
    compose->count++;
    return ERR_OK;
}

enum err compose_create(const struct compose_options *options, struct compose **out, char *why,
                        size_t why_size)
{
    struct compose *compose = mem_zalloc(sizeof *compose);
    enum err err = ERR_OK;
    assert(options->count > 0 && options->count <= COMPOSE_PARTS_MAX);
    compose->options = *options;
    compose->options.parts = NULL; /* the caller's */
    for (unsigned i = 0; i < options->count && !err; i++)
        err = read_part(compose, &options->parts[i], why, why_size);
    if (err)
        compose_destroy(&compose);
    *out = compose;
    return err;
}

void compose_destroy(struct compose **compose)
{
    struct compose *c = *compose;
    if (!c)
        return;
    for (unsigned i = 0; i < c->count; i++) {
        template_free(c->parts[i].target);
        free((char *)c->parts[i].spec.name);
        free((char *)c->parts[i].spec.fallback);
    }
    free(c);
    *compose = NULL;
}
