/* The change feed of the process: which collections it tells of, who may see what of them, how long
 * its events are kept. Collections of modules, whose modules say over HTTP what others may see of
 * them, are for users of the role "admin" alone. */
#include "server/galley_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/changes/changes.h"
#include "server/data/data.h"

#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MS 1000
#define ROLE     "admin"

/* ---- What the configuration says. */

static bool names(const struct config *config, const char *collection)
{
    const struct config_section *storage = config_section(config, "storage");
    for (unsigned i = 0; i < config_list_count(storage, "feed"); i++) {
        if (strcmp(config_list_at(storage, "feed", i), collection) == 0)
            return true;
    }
    return false;
}

static bool is_known(const struct app_module *const *modules, const char *collection)
{
    for (; *modules; modules++) {
        for (unsigned i = 0; i < (*modules)->collection_count; i++) {
            if (strcmp((*modules)->collections[i].name, collection) == 0)
                return true;
        }
    }
    return false;
}

bool feeding_check(const struct config *config, const struct app_module *const *modules,
                   const char *path, struct buf *errors)
{
    const struct config_section *storage = config_section(config, "storage");
    bool good = true;
    for (unsigned i = 0; i < config_list_count(storage, "feed"); i++) {
        const char *name = config_list_at(storage, "feed", i);
        if (is_known(modules, name))
            continue;
        buf_printf(errors, "%s:%u: [storage] feed: no module has a collection %s\n", path,
                   config_key_line(storage, "feed"), name);
        good = false;
    }
    return good;
}

bool feeding_is_wanted(const struct config *config)
{
    return config_list_count(config_section(config, "storage"), "feed") > 0 ||
           data_has_feed(config);
}

/* ---- The route. */

struct place {
    struct changes_place changes; /* first */
    struct data_set *set;         /* counted */
    unsigned count;
    char *names[];
};

static bool show_all(void *arg, struct slice json, struct buf *out)
{
    (void)arg;
    buf_append_slice(out, json);
    return true;
}

/* A collection of a module. */
static enum err find_whole(const struct place *place, const struct request *request,
                           struct slice name, struct change_view *out)
{
    unsigned at = 0;
    while (at < place->count && !slice_is(name, place->names[at]))
        at++;
    if (at == place->count)
        return ERR_NOT_FOUND;
    *out = (struct change_view){.show = show_all};
    snprintf(out->stored, sizeof out->stored, "%.*s", SLICE_ARG(name));
    if (!request->user.id[0])
        return ERR_UNAUTHENTICATED;
    return principal_has_role(&request->user, ROLE) ? ERR_OK : ERR_FORBIDDEN;
}

static enum err find(void *arg, const struct request *request, struct slice name,
                     struct change_view *out)
{
    const struct place *place = arg;
    struct data_sight *sight;
    enum err err = data_sight_create(place->set, request, name, &sight);
    if (err == ERR_NOT_FOUND)
        return find_whole(place, request, name, out);
    *out =
        (struct change_view){.show = data_sight_show, .release = data_sight_destroy, .arg = sight};
    snprintf(out->stored, sizeof out->stored, DATA_STORED_PREFIX "%.*s", SLICE_ARG(name));
    return err;
}

void *feeding_place(struct galley *galley, const struct config *config, struct data_set *set)
{
    const struct config_section *storage = config_section(config, "storage");
    unsigned count = config_list_count(storage, "feed");
    struct place *place = mem_zalloc(sizeof *place + count * sizeof *place->names);
    place->changes = (struct changes_place){galley->changes, find, place};
    place->set = data_set_hold(set);
    for (; place->count < count; place->count++)
        place->names[place->count] = mem_strdup(config_list_at(storage, "feed", place->count));
    return place;
}

void feeding_drop(void *arg)
{
    struct place *place = arg;
    for (unsigned i = 0; i < place->count; i++)
        free(place->names[i]);
    data_set_release(place->set);
    free(place);
}

/* ---- Opening, and what changes. */

static int64_t sweep(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    struct galley *galley = arg;
    struct journal_bounds bounds = {.age_ms = galley->feed_keep_ms,
                                    .bytes = (uint64_t)galley->feed_size_bytes};
    bool more;
    enum err err = change_feed_sweep(galley->change_feed, &bounds, &more);
    if (err && err != ERR_READ_ONLY)
        log_write(LOG_WARN, "feed", "cannot drop old events: %s", err_text(err));
    return more ? 1 : SWEEP_MS;
}

enum err feeding_open(struct galley *galley, char *why, size_t why_size)
{
    enum err err = change_feed_open(galley->store, &galley->change_feed);
    if (err) {
        snprintf(why, why_size, "the change feed cannot be opened (%s)", err_text(err));
        return err;
    }
    struct changes_options options = {.store = galley->store,
                                      .feed = galley->change_feed,
                                      .clock = &clock_system,
                                      .ticker = galley->ticker,
                                      .users = galley->users};
    galley->changes = changes_create(&options);
    return ERR_OK;
}

void feeding_close(struct galley *galley)
{
    if (galley->feed_timer)
        timer_cancel(galley->feed_timer);
    changes_destroy(&galley->changes);
    change_feed_close(&galley->change_feed);
}

struct covering {
    struct galley *galley;
    const struct config *config;
};

static void cover(void *arg, const char *name, struct collection *collection)
{
    const struct covering *covering = arg;
    enum cover wanted = names(covering->config, name) ? COVER_BEFORE : COVER_NONE;
    enum err err = change_feed_cover(covering->galley->change_feed, collection, wanted);
    if (err)
        log_write(LOG_ERROR, "feed", "the collection %s: %s", name, err_text(err));
}

void feeding_take_over(struct galley *galley, const struct config *config)
{
    const struct config_section *storage = config_section(config, "storage");
    struct covering covering = {galley, config};
    galley->feed_keep_ms = config_int(storage, "feed_keep");
    galley->feed_size_bytes = config_int(storage, "feed_size");
    app_each_collection(galley->app, cover, &covering);
    enum err err = data_cover(galley->data, config, galley->change_feed);
    if (err)
        log_write(LOG_ERROR, "feed", "collections of the configuration: %s", err_text(err));
}

enum err feeding_begin(struct galley *galley, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    feeding_take_over(galley, galley->config);
    galley->feed_timer = ticker_add(galley->maintenance, sweep, galley, SWEEP_MS);
    return ERR_OK;
}
