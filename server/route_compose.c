/* [compose NAME] of the configuration: the target of routes that it is. */
#include "server/compose/compose.h"
#include "server/routes_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

static void handle_part(struct request *request, struct response *response, void *arg)
{
    struct galley *galley = arg;
    gateway_handle(galley->gateway, request, response);
}

static void part_sent(struct request *request, const struct response *response,
                      const struct sent *sent, void *arg)
{
    struct galley *galley = arg;
    gateway_sent(galley->gateway, request, response, sent);
}

static void read_part(struct galley *galley, const struct config_section *section,
                      const struct config_part *from, struct compose_part *out)
{
    *out = (struct compose_part){
        .name = from->name,
        .target = from->path,
        .fallback = from->fallback,
        .optional = from->optional,
        .timeout_ms = from->timeout_ms ? from->timeout_ms : config_int(section, "timeout"),
    };
    if (!galley || !from->upstream[0])
        return;
    out->call = upstream_target;
    out->arg = upstreams_find(galley->upstreams, from->upstream);
}

enum err route_compose(struct galley *galley, const struct config_section *section,
                       struct compose **out, char *why, size_t why_size)
{
    struct config_part *read = mem_zalloc(COMPOSE_PARTS_MAX * sizeof *read);
    struct compose_part parts[COMPOSE_PARTS_MAX];
    struct compose_options options = {
        .parts = parts,
        .count = config_list_count(section, "part"),
        .flat = config_choice(section, "merge") == 1,
        .clock = &clock_system,
        .handle = handle_part,
        .sent = part_sent,
        .arg = galley,
    };
    enum err err = options.count <= COMPOSE_PARTS_MAX ? ERR_OK : ERR_VALIDATION;
    if (err)
        snprintf(why, why_size, "there are %u parts, at most %d are allowed", options.count,
                 COMPOSE_PARTS_MAX);
    for (unsigned i = 0; !err && i < options.count; i++) {
        bool parsed = config_parse_part(config_list_at(section, "part", i), &read[i]);
        assert(parsed); /* the configuration checked it */
        read_part(galley, section, &read[i], &parts[i]);
    }
    if (!err)
        err = compose_create(&options, out, why, why_size);
    free(read);
    return err;
}

void route_compose_drop(void *compose)
{
    struct compose *c = compose;
    compose_destroy(&c);
}

/* ---- Checking */

static bool complain(const struct config_section *section, const char *path, const char *why,
                     struct buf *errors)
{
    buf_printf(errors, "%s:%u: [compose %s] %s\n", path, config_line(section), config_name(section),
               why);
    return false;
}

static bool check_parts(const struct config *config, const struct config_section *section,
                        const char *path, struct buf *errors)
{
    bool good = true;
    for (unsigned i = 0; i < config_list_count(section, "part"); i++) {
        struct config_part part;
        char why[256];
        bool parsed = config_parse_part(config_list_at(section, "part", i), &part);
        assert(parsed);
        if (!part.upstream[0] || config_referred(config, "upstream", part.upstream))
            continue;
        snprintf(why, sizeof why, "part %.64s: there is no [upstream %s]", part.name,
                 part.upstream);
        good = complain(section, path, why, errors);
    }
    return good;
}

bool route_compose_check(const struct config *config, const char *path, struct buf *errors)
{
    bool good = true;
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "compose", i)); i++) {
        char why[256];
        struct compose *compose = NULL;
        good = check_parts(config, section, path, errors) && good;
        if (route_compose(NULL, section, &compose, why, sizeof why) != ERR_OK)
            good = complain(section, path, why, errors);
        compose_destroy(&compose);
    }
    return good;
}
