/* Reading a [collection NAME] section: its schema file, rules, indexes and members. */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCHEMA_BYTES_MAX (1u << 20)

static void complain(struct complaints *complaints, const struct config_section *section,
                     const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* `key` NULL: of the section as a whole. */
static void complain(struct complaints *complaints, const struct config_section *section,
                     const char *key, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    unsigned line = key ? config_key_line(section, key) : config_line(section);
    buf_printf(complaints->out, "%s:%u: [%s %s] %s%s%s\n", complaints->path, line, complaints->kind,
               config_name(section), key ? key : "", key ? ": " : "", text);
    complaints->count++;
}

/* ---- Members */

static bool is_member(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && len <= MEMBER_NAME_MAX && name[len] == '\0';
}

static bool is_servers(const struct data_collection *c, const char *name)
{
    return strcmp(name, "id") == 0 ||
           (c->timestamps && (strcmp(name, "createdAt") == 0 || strcmp(name, "updatedAt") == 0));
}

static bool is_good_member(const struct config_section *section, const char *key, const char *name,
                           struct complaints *complaints, const struct data_collection *c)
{
    bool good = is_member(name) && !is_servers(c, name);
    if (!good)
        complain(complaints, section, key,
                 "read \"%s\", allowed: the name of a member, of letters, digits, _ and -, that is "
                 "none of the server's own (id, createdAt, updatedAt)",
                 name);
    return good;
}

static void read_members(const struct config_section *section, struct complaints *complaints,
                         struct data_collection *out)
{
    const char *owner = config_text(section, "owner");
    if (owner[0] && is_good_member(section, "owner", owner, complaints, out))
        memcpy(out->owner, owner, strlen(owner) + 1);
    unsigned count = config_list_count(section, "hidden");
    if (count > HIDDEN_MAX)
        complain(complaints, section, "hidden", "%u members, at most %d may be hidden", count,
                 HIDDEN_MAX);
    for (unsigned i = 0; i < count && i < HIDDEN_MAX; i++) {
        const char *name = config_list_at(section, "hidden", i);
        if (is_good_member(section, "hidden", name, complaints, out))
            memcpy(out->hidden[out->hidden_count++], name, strlen(name) + 1);
    }
}

bool member_is_hidden(const struct data_collection *c, struct slice name)
{
    for (unsigned i = 0; i < c->hidden_count; i++) {
        if (slice_is(name, c->hidden[i]))
            return true;
    }
    return false;
}

/* ---- The schema */

/* Beside the configuration, unless it is an absolute path. */
static void schema_path(const struct complaints *complaints, const char *name, struct buf *out)
{
    const char *slash = strrchr(complaints->path, '/');
    if (name[0] != '/' && slash)
        buf_append(out, complaints->path, (size_t)(slash - complaints->path) + 1);
    buf_append(out, name, strlen(name) + 1);
}

/* The file as a string; false with a sentence in why. */
static bool read_file(const char *path, struct buf *out, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = -1;
    while (fd >= 0 && out->len <= SCHEMA_BYTES_MAX &&
           (got = read(fd, buf_reserve(out, 65536), 65536)) > 0)
        out->len += (size_t)got;
    snprintf(why, why_size, "%s: %s", path, got < 0 ? strerror(errno) : "larger than 1 MiB");
    if (fd >= 0)
        close(fd);
    bool good = got == 0;
    if (good && memchr(out->data ? out->data : "", 0, out->len)) {
        snprintf(why, why_size, "%s: holds a NUL byte", path);
        good = false;
    }
    buf_append_char(out, '\0');
    return good;
}

/* What is the server's own and not described is not asked of the schema. */
static void note_described(const char *text, struct data_collection *out)
{
    json_t *schema = json_loads(text, JSON_DECODE_ANY, NULL);
    const json_t *properties = json_object_get(schema, "properties");
    const struct {
        const char *name;
        unsigned flag;
    } own[] = {{"id", STRIP_ID},
               {out->timestamps ? "createdAt" : "", STRIP_CREATED},
               {out->timestamps ? "updatedAt" : "", STRIP_UPDATED},
               {out->owner, STRIP_OWNER}};
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        if (own[i].name[0] && !json_object_get(properties, own[i].name))
            out->strip |= own[i].flag;
    }
    json_decref(schema);
}

static void read_schema(const struct config_section *section, struct complaints *complaints,
                        struct data_collection *out)
{
    const char *name = config_text(section, "schema");
    if (!name[0])
        return;
    struct buf path = BUF_INIT, text = BUF_INIT;
    char why[400];
    schema_path(complaints, name, &path);
    assert(path.data);
    if (!read_file(path.data, &text, why, sizeof why)) {
        complain(complaints, section, "schema", "%s", why);
    } else {
        out->schema = schema_compile(text.data, why, sizeof why);
        if (!out->schema)
            complain(complaints, section, "schema", "%s: %s", path.data, why);
        else
            note_described(text.data, out);
    }
    buf_release(&path);
    buf_release(&text);
}

/* ---- Indexes */

/* "author, createdAt" without its blanks. */
static char *tight(const char *text)
{
    char *copy = mem_strdup(text), *to = copy;
    for (const char *from = text; *from; from++) {
        if (*from != ' ' && *from != '\t')
            *to++ = *from;
    }
    *to = '\0';
    return copy;
}

static bool is_declared(const struct data_collection *c, const char *fields)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (strcmp(c->indexes[i].fields, fields) == 0)
            return true;
    }
    return false;
}

/* NULL, or what is wrong. */
static const char *refuse_index(const struct data_collection *c, const struct index_spec *spec)
{
    if (c->index_count == COLLECTION_INDEXES_MAX)
        return "there are 8 indexes already";
    if (spec->fields[0] == '-' || strstr(spec->fields, ",-"))
        return "an index has no direction: sort=-createdAt goes through it backwards";
    if (!index_spec_good(spec))
        return "allowed: 1 to 4 members with commas between, such as author, address.city, tags[]";
    return is_declared(c, spec->fields) ? "there is such an index already" : NULL;
}

static void read_indexes(const struct config_section *section, const char *key, bool unique,
                         struct complaints *complaints, struct data_collection *out)
{
    for (unsigned i = 0; i < config_list_count(section, key); i++) {
        const char *text = config_list_at(section, key, i);
        char *fields = tight(text);
        struct index_spec spec = {.fields = fields, .unique = unique, .sparse = unique};
        const char *refused = refuse_index(out, &spec);
        if (refused) {
            complain(complaints, section, key, "read \"%s\"; %s", text, refused);
            free(fields);
        } else {
            out->indexes[out->index_count++] = spec;
        }
    }
}

/* ---- The whole */

static void read_rules(const struct config_section *section, struct complaints *complaints,
                       struct data_collection *out)
{
    char why[EXPR_WHY_SIZE];
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        const char *text = config_text(section, action_keys[i]);
        if (!data_rule_read(text, out->owner[0], i == ACTION_UPDATE, &out->rules[i], why))
            complain(complaints, section, action_keys[i], "%s", why);
    }
    char owned[MEMBER_NAME_MAX + 16];
    int len = snprintf(owned, sizeof owned, "%s = @user.id", out->owner);
    if (out->owner[0]) /* without it lists go through all documents: a name that is none there */
        expr_compile(slice_of(owned, (size_t)len), EXPR_USER, &out->owned, why, sizeof why);
}

void declare_read(const struct config_section *section, struct complaints *complaints,
                  struct data_collection *out)
{
    const char *name = config_name(section);
    complaints->kind = "collection";
    *out = (struct data_collection){
        .timestamps = config_bool(section, "timestamps"),
        .feed = (enum feed_choice)config_choice(section, "feed"),
        .client_ids = config_choice(section, "id") == 1,
    };
    if (strlen(name) > COLLECTION_NAME_MAX)
        complain(complaints, section, NULL, "a name has at most %d letters", COLLECTION_NAME_MAX);
    snprintf(out->name, sizeof out->name, "%s", name);
    read_members(section, complaints, out);
    read_schema(section, complaints, out);
    read_rules(section, complaints, out);
    read_indexes(section, "index", false, complaints, out);
    read_indexes(section, "unique", true, complaints, out);
}

void declare_release(struct data_collection *c)
{
    schema_destroy(&c->schema);
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        data_rule_release(&c->rules[i]);
    expr_destroy(&c->owned);
    for (unsigned i = 0; i < c->index_count; i++)
        free((char *)c->indexes[i].fields);
}

void declare_queue(const struct config_section *section, struct complaints *complaints,
                   struct queue_declared *out)
{
    char why[EXPR_WHY_SIZE];
    complaints->kind = "queue";
    snprintf(out->name, sizeof out->name, "%s", config_name(section));
    if (!data_rule_read(config_text(section, "enqueue"), false, false, &out->rule, why))
        complain(complaints, section, "enqueue", "%s", why);
}
