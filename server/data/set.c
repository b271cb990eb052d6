/* What a configuration declares, as one set; and the collections that were opened for all of them.
 */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct opened {
    char *name;
    struct buf indexes; /* their description, to compare */
    struct collection *collection;
};

struct data {
    struct data_options options;
    struct opened *list; /* never closed while the process lives: requests hold on to them */
    unsigned count;
};

struct store *data_store(struct data *data)
{
    return data->options.store;
}

struct queues *data_queues(struct data *data)
{
    return data->options.queues;
}

const struct clock *data_clock(const struct data *data)
{
    return data->options.clock;
}

int64_t data_now_ms(const struct data *data)
{
    return clock_wall_ms(data->options.clock);
}

struct data *data_create(const struct data_options *options)
{
    struct data *data = mem_zalloc(sizeof *data);
    data->options = *options;
    return data;
}

void data_destroy(struct data **data_ptr)
{
    struct data *data = *data_ptr;
    if (!data)
        return;
    for (unsigned i = 0; i < data->count; i++) {
        collection_close(&data->list[i].collection);
        buf_release(&data->list[i].indexes);
        free(data->list[i].name);
    }
    free(data->list);
    free(data);
    *data_ptr = NULL;
}

/* ---- Opening */

static void describe_indexes(const struct data_collection *c, struct buf *out)
{
    for (unsigned i = 0; i < c->index_count; i++)
        buf_printf(out, "%s%s\n", c->indexes[i].fields, c->indexes[i].unique ? " unique" : "");
}

static struct opened *find_opened(struct data *data, const char *name)
{
    for (unsigned i = 0; i < data->count; i++) {
        if (strcmp(data->list[i].name, name) == 0)
            return &data->list[i];
    }
    return NULL;
}

struct collection *data_opened(const struct data *data, unsigned i, const char **name)
{
    *name = i < data->count ? data->list[i].name : NULL;
    return i < data->count ? data->list[i].collection : NULL;
}

static void refuse_indexes(const struct data_collection *c, const char *when, char *why,
                           size_t why_size)
{
    snprintf(why, why_size, "[collection %s] index, unique: %s", c->name, when);
}

/* Writes go on by the indexes that a collection was opened with. */
static enum err use_opened(const struct opened *opened, struct data_collection *c, char *why,
                           size_t why_size)
{
    struct buf indexes = BUF_INIT;
    describe_indexes(c, &indexes);
    bool same = slice_eq(buf_slice(&indexes), buf_slice(&opened->indexes));
    buf_release(&indexes);
    c->stored = opened->collection;
    if (!same)
        refuse_indexes(c, "other indexes than those that it was opened with take a restart", why,
                       why_size);
    return same ? ERR_OK : ERR_VALIDATION;
}

static enum err open_new(struct data *data, struct data_collection *c, char *why, size_t why_size)
{
    /* Its documents are apart from those of modules of that name. */
    char name[sizeof DATA_STORED_PREFIX + COLLECTION_NAME_MAX];
    snprintf(name, sizeof name, DATA_STORED_PREFIX "%s", c->name);
    enum err err = collection_open(data_store(data), name, c->indexes, c->index_count, &c->stored);
    if (err == ERR_EXISTS)
        refuse_indexes(c, "documents that are stored have the same of what is to be unique", why,
                       why_size);
    else if (err)
        snprintf(why, why_size, "[collection %s] cannot be opened (%s)", c->name, err_code(err));
    if (err)
        return err;
    data->list = mem_realloc(data->list, (data->count + 1) * sizeof *data->list);
    struct opened *opened = &data->list[data->count++];
    *opened = (struct opened){.name = mem_strdup(c->name), .collection = c->stored};
    describe_indexes(c, &opened->indexes);
    return ERR_OK;
}

static enum err open_stored(struct data *data, struct data_collection *c, char *why,
                            size_t why_size)
{
    const struct opened *opened = find_opened(data, c->name);
    return opened ? use_opened(opened, c, why, why_size) : open_new(data, c, why, why_size);
}

/* ---- Reading */

bool data_check(const struct config *config, const char *path, struct buf *errors)
{
    struct complaints complaints = {.path = path, .out = errors};
    for (unsigned i = 0; i < config_named_count(config, "collection"); i++) {
        struct data_collection c;
        declare_read(config_named(config, "collection", i), &complaints, &c);
        declare_release(&c);
    }
    for (unsigned i = 0; i < config_named_count(config, "queue"); i++) {
        struct queue_declared queue = {.name = ""};
        declare_queue(config_named(config, "queue", i), &complaints, &queue);
        data_rule_release(&queue.rule);
    }
    return complaints.count == 0;
}

static struct data_set *set_create(struct data *data, unsigned collections, unsigned queues)
{
    struct data_set *set = mem_zalloc(sizeof *set);
    *set = (struct data_set){.data = data, .count = 1};
    set->list = mem_zalloc((collections + 1) * sizeof *set->list);
    set->queues = mem_zalloc((queues + 1) * sizeof *set->queues);
    return set;
}

/* The configuration was checked. */
static void read_queues(struct data_set *set, const struct config *config)
{
    struct buf ignored = BUF_INIT;
    struct complaints complaints = {.path = "", .out = &ignored};
    for (unsigned i = 0; i < config_named_count(config, "queue"); i++)
        declare_queue(config_named(config, "queue", i), &complaints,
                      &set->queues[set->queue_count++]);
    buf_release(&ignored);
}

static enum err read_one(struct data *data, const struct config_section *section, const char *path,
                         struct data_collection *out, char *why, size_t why_size)
{
    struct buf errors = BUF_INIT;
    struct complaints complaints = {.path = path, .out = &errors};
    declare_read(section, &complaints, out);
    enum err err = complaints.count > 0 ? ERR_VALIDATION : ERR_OK;
    if (err) {
        struct slice rest = buf_slice(&errors), first = slice_cut(&rest, '\n');
        snprintf(why, why_size, "%.*s", SLICE_ARG(first));
    }
    buf_release(&errors);
    return err ? err : open_stored(data, out, why, why_size);
}

enum err data_read(struct data *data, const struct config *config, const char *path,
                   struct data_set **out, char *why, size_t why_size)
{
    unsigned count = config_named_count(config, "collection");
    struct data_set *set = set_create(data, count, config_named_count(config, "queue"));
    enum err err = ERR_OK;
    read_queues(set, config);
    for (unsigned i = 0; !err && i < count; i++) {
        struct data_collection *c = &set->list[set->collections++];
        err = read_one(data, config_named(config, "collection", i), path, c, why, why_size);
        c->set = set;
    }
    if (err) {
        data_set_release(set);
        set = NULL;
    }
    *out = set;
    return err;
}

struct data_set *data_set_hold(struct data_set *set)
{
    set->count++;
    return set;
}

void data_set_release(struct data_set *set)
{
    if (!set || --set->count > 0)
        return;
    for (unsigned i = 0; i < set->collections; i++)
        declare_release(&set->list[i]);
    for (unsigned i = 0; i < set->queue_count; i++)
        data_rule_release(&set->queues[i].rule);
    free(set->list);
    free(set->queues);
    free(set);
}

const struct data_collection *data_set_find(const struct data_set *set, const char *name)
{
    for (unsigned i = 0; i < set->collections; i++) {
        if (strcmp(set->list[i].name, name) == 0)
            return &set->list[i];
    }
    return NULL;
}

const struct queue_declared *data_set_find_queue(const struct data_set *set, const char *name)
{
    for (unsigned i = 0; i < set->queue_count; i++) {
        if (strcmp(set->queues[i].name, name) == 0)
            return &set->queues[i];
    }
    return NULL;
}

/* ---- Routes */

static void drop_collection(void *arg)
{
    const struct data_collection *c = arg;
    data_set_release(c->set);
}

static const struct {
    enum method method;
    const char *below;
    bool has_body, idempotent;
    void (*target)(struct request *request, struct response *response, void *arg);
} doors[] = {
    {METHOD_GET, "", false, false, target_list},
    {METHOD_POST, "", true, true, target_create},
    {METHOD_POST, "/bulk", true, true, target_bulk},
    {METHOD_GET, "/{id}", false, false, target_get},
    {METHOD_PUT, "/{id}", true, false, target_replace},
    {METHOD_PATCH, "/{id}", true, true, target_patch},
    {METHOD_DELETE, "/{id}", false, false, target_delete},
};

#define DOORS (sizeof doors / sizeof *doors)

/* The transactions are behind the doors of all collections. */
unsigned data_route_count(const struct config *config)
{
    unsigned count = config_named_count(config, "collection");
    return count > 0 ? count * (unsigned)DOORS + 1 : 0;
}

static void drop_set(void *arg)
{
    data_set_release(arg);
}

static void transactions(struct data_set *set, struct data_route *out)
{
    *out = (struct data_route){
        .method = METHOD_POST,
        .pattern = "/api/v1/transactions",
        .collection = "*",
        .has_body = true,
        .idempotent = true,
        .target = target_transaction,
        .arg = set,
        .drop = drop_set,
    };
    if (set)
        set->count++;
}

void data_route(const struct config *config, struct data_set *set, unsigned i,
                struct data_route *out)
{
    unsigned at = i / DOORS, door = i % DOORS;
    if (at == config_named_count(config, "collection")) {
        transactions(set, out);
        return;
    }
    const char *name = config_name(config_named(config, "collection", at));
    *out = (struct data_route){
        .method = doors[door].method,
        .collection = name,
        .has_body = doors[door].has_body,
        .idempotent = doors[door].idempotent,
        .target = doors[door].target,
        .drop = drop_collection,
    };
    snprintf(out->pattern, sizeof out->pattern, DATA_PATH "%s%s", name, doors[door].below);
    if (!set)
        return;
    assert(at < set->collections);
    set->count++;
    out->arg = &set->list[at];
}
