#include "server/upstream/sources.h"

#include "base/ip.h"
#include "base/json.h"
#include "base/mem.h"
#include "server/upstream/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS   INT64_C(1000000000)
#define TTL_LEAST_S 1
#define TTL_MOST_S  300
#define FILE_MAX    (1 << 20)
#define WEIGHT_MAX  1000

void finding_release(struct finding *finding)
{
    free(finding->servers);
    *finding = (struct finding){0};
}

bool findings_equal(const struct finding *a, const struct finding *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        const struct found_server *x = &a->servers[i], *y = &b->servers[i];
        if (strcmp(x->name, y->name) != 0 || strcmp(x->zone, y->zone) != 0 ||
            x->weight != y->weight || x->backup != y->backup)
            return false;
    }
    return true;
}

/* ---- Making */

static struct balancer_server_spec spec_copy(const struct balancer_server_spec *spec)
{
    struct balancer_server_spec copy = *spec;
    copy.name = mem_strdup(spec->name);
    copy.zone = mem_strdup(spec->zone);
    return copy;
}

static void spec_release(const struct balancer_server_spec *spec)
{
    free((char *)spec->name);
    free((char *)spec->zone);
}

static void add_names(struct sources *sources, const struct upstream_options *options)
{
    for (unsigned i = 0; i < options->name_count; i++) {
        const struct upstream_name *name = &options->names[i];
        struct source *source = &sources->list[sources->count++];
        *source = (struct source){.name = mem_strdup(name->name),
                                  .port = name->port,
                                  .like = spec_copy(&name->like),
                                  .local_allowed = options->resolve_local,
                                  .has_resolver = options->resolver,
                                  .found = {.count = 0}};
        if (options->resolver)
            source->resolver = *options->resolver;
    }
}

/* What a server is of which nothing else is said. */
static const struct balancer_server_spec plain = {
    .name = "", .zone = "", .weight = 1, .max_fails = 1, .fail_timeout_ns = 10 * SECOND_NS};

static void add_file(struct sources *sources, const struct upstream_options *options)
{
    if (options->servers_file[0] == '\0')
        return;
    sources->list[sources->count++] =
        (struct source){.path = mem_strdup(options->servers_file), .like = spec_copy(&plain)};
}

struct sources *sources_create(const struct upstream_options *options)
{
    struct sources *sources = mem_zalloc(sizeof *sources);
    const struct balancer_settings *balance = &options->balance;
    struct balancer_server_spec *specs = mem_zalloc((balance->server_count + 1) * sizeof *specs);
    for (unsigned i = 0; i < balance->server_count; i++)
        specs[i] = spec_copy(&balance->servers[i]);
    sources->upstream = mem_strdup(balance->name);
    sources->balance = *balance;
    sources->balance.name = sources->upstream;
    sources->balance.zone = mem_strdup(balance->zone);
    sources->balance.servers = specs;
    sources->list = mem_zalloc((options->name_count + 1) * sizeof *sources->list);
    add_names(sources, options);
    add_file(sources, options);
    sources->register_key = mem_strdup(options->register_key);
    return sources;
}

void sources_destroy(struct sources **sources)
{
    struct sources *s = *sources;
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        free(s->list[i].name);
        free(s->list[i].path);
        spec_release(&s->list[i].like);
        finding_release(&s->list[i].found);
    }
    for (unsigned i = 0; i < s->balance.server_count; i++)
        spec_release(&s->balance.servers[i]);
    free((struct balancer_server_spec *)s->balance.servers);
    free((char *)s->balance.zone);
    free(s->register_key);
    free(s->registered);
    free(s->list);
    free(s->upstream);
    free(s);
    *sources = NULL;
}

static bool is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

void sources_inherit(struct sources *sources, const struct sources *before)
{
    if (before && before->registered_count > 0 && sources->register_key[0]) {
        sources->registered_count = before->registered_count;
        sources->registered =
            mem_dup(before->registered, before->registered_count * sizeof *before->registered);
    }
    for (unsigned i = 0; before && i < sources->count; i++) {
        struct source *to = &sources->list[i];
        for (unsigned k = 0; k < before->count; k++) {
            const struct source *from = &before->list[k];
            if ((!is_same(to->name, from->name) && !is_same(to->path, from->path)) ||
                to->port != from->port || to->found.count > 0 || from->found.count == 0)
                continue;
            to->found.count = from->found.count;
            to->found.servers =
                mem_dup(from->found.servers, from->found.count * sizeof *to->found.servers);
        }
    }
}

/* ---- Names */

static void write_address(const struct resolved_server *server, uint16_t port,
                          char out[BALANCER_NAME_SIZE])
{
    char ip[IP_TEXT_SIZE];
    ip_format(&server->address, ip);
    snprintf(out, BALANCER_NAME_SIZE, ip_is_v4(&server->address) ? "%s:%u" : "[%s]:%u", ip, port);
}

/* The weights of a service are of another measure: they count if it says any. */
static unsigned weight_of(const struct source *source, const struct resolved_server *server)
{
    if (source->port > 0 || server->weight == 0)
        return source->like.weight;
    return server->weight < WEIGHT_MAX ? server->weight : WEIGHT_MAX;
}

static void take_resolved(const struct source *source, const struct resolved *resolved,
                          struct finding *out)
{
    out->servers = mem_zalloc((resolved->count + 1) * sizeof *out->servers);
    for (unsigned i = 0; i < resolved->count; i++) {
        const struct resolved_server *server = &resolved->servers[i];
        struct found_server *found = &out->servers[out->count];
        if (!source->local_allowed && resolved_is_local(&server->address))
            continue;
        write_address(server, source->port > 0 ? source->port : server->port, found->name);
        snprintf(found->zone, sizeof found->zone, "%s", source->like.zone);
        found->weight = weight_of(source, server);
        found->backup = source->like.backup || server->priority > resolved->servers[0].priority;
        out->count++;
    }
}

static int look_up(struct source *source, struct finding *out, char *why, size_t why_size)
{
    struct resolved *resolved = mem_alloc(sizeof *resolved);
    const struct sockaddr_in *resolver = source->has_resolver ? &source->resolver : NULL;
    bool good = resolve(source->name, resolver, resolved, why, why_size);
    if (good) {
        uint32_t ttl_s = resolved->ttl_s < TTL_LEAST_S  ? TTL_LEAST_S
                         : resolved->ttl_s > TTL_MOST_S ? TTL_MOST_S
                                                        : resolved->ttl_s;
        out->good_for_ns = ttl_s * SECOND_NS;
        take_resolved(source, resolved, out);
        if (out->count == 0) {
            snprintf(why, why_size, "all its addresses are local (resolve_local = no)");
            finding_release(out);
            good = false;
        }
    }
    free(resolved);
    return good ? 1 : -1;
}

/* ---- Files */

bool source_is_address(const char *text)
{
    struct slice host = slice_str(text);
    struct in6_addr ip;
    int64_t port;
    const char *colon = strrchr(text, ':');
    if (strncmp(text, "unix:/", 6) == 0)
        return strlen(text) < 108; /* sun_path */
    if (!colon || !slice_to_i64(slice_str(colon + 1), &port) || port < 1 || port > UINT16_MAX)
        return false;
    host.len = (size_t)(colon - text);
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed)
        host = slice_of(host.ptr + 1, host.len - 2);
    return ip_parse(host, &ip) && ip_is_v4(&ip) == !bracketed;
}

static bool read_entry(const struct source *source, const json_t *entry, struct found_server *out,
                       char *why, size_t why_size)
{
    const char *address = json_str(entry, "address", ""), *zone = json_str(entry, "zone", "");
    const json_t *weight = json_object_get(entry, "weight");
    json_int_t value = weight ? json_integer_value(weight) : source->like.weight;
    if (!source_is_address(address) || strlen(address) >= sizeof out->name) {
        snprintf(why, why_size, "\"%.80s\" is no ADDRESS:PORT", address);
        return false;
    }
    if (value < 1 || value > WEIGHT_MAX || strlen(zone) >= sizeof out->zone) {
        snprintf(why, why_size, "%.80s: its weight is 1 to %d, its zone short", address,
                 WEIGHT_MAX);
        return false;
    }
    snprintf(out->name, sizeof out->name, "%s", address);
    snprintf(out->zone, sizeof out->zone, "%s", zone);
    out->weight = (unsigned)value;
    out->backup = json_is_true(json_object_get(entry, "backup"));
    return true;
}

static bool read_servers(const struct source *source, const json_t *root, struct finding *out,
                         char *why, size_t why_size)
{
    const json_t *list = json_object_get(root, "servers");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > BALANCER_SERVERS_MAX) {
        snprintf(why, why_size, "it has no \"servers\" of at most %d", BALANCER_SERVERS_MAX);
        return false;
    }
    out->servers = mem_zalloc((count + 1) * sizeof *out->servers);
    for (; out->count < count; out->count++) {
        if (!read_entry(source, json_array_get(list, out->count), &out->servers[out->count], why,
                        why_size))
            return false;
    }
    return true;
}

static bool read_whole(const char *path, struct buf *out, struct stat *seen, char *why,
                       size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = -1;
    if (fd >= 0 && fstat(fd, seen) == 0 && seen->st_size > FILE_MAX)
        errno = EFBIG;
    else if (fd >= 0)
        do {
            got = read(fd, buf_reserve(out, 65536), 65536);
            out->len += got > 0 ? (size_t)got : 0;
        } while (got > 0 && out->len <= FILE_MAX);
    if (got != 0)
        snprintf(why, why_size, "it cannot be read: %s", strerror(errno ? errno : EFBIG));
    if (fd >= 0)
        close(fd);
    return got == 0;
}

static bool is_as_seen(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int read_file(struct source *source, struct finding *out, char *why, size_t why_size)
{
    struct stat now;
    struct buf text = BUF_INIT;
    out->good_for_ns = SECOND_NS;
    if (stat(source->path, &now) == 0 && is_as_seen(&now, &source->seen))
        return 0;
    bool good = read_whole(source->path, &text, &source->seen, why, why_size);
    if (good) {
        json_t *root = NULL;
        good = !json_read(buf_slice(&text), &root, why, why_size) &&
               read_servers(source, root, out, why, why_size);
        json_decref(root);
    }
    if (!good)
        finding_release(out);
    buf_release(&text);
    return good ? 1 : -1;
}

int source_look(struct source *source, struct finding *out, char *why, size_t why_size)
{
    *out = (struct finding){0};
    return source->name ? look_up(source, out, why, why_size)
                        : read_file(source, out, why, why_size);
}

/* ---- All together */

static void add_spec(struct balancer_settings *settings, struct balancer_server_spec *specs,
                     struct balancer_server_spec spec)
{
    for (unsigned i = 0; i < settings->server_count; i++) {
        if (strcmp(specs[i].name, spec.name) == 0)
            return;
    }
    if (settings->server_count < BALANCER_SERVERS_MAX)
        specs[settings->server_count++] = spec;
}

static void add_found(struct balancer_settings *settings, struct balancer_server_spec *specs,
                      const struct balancer_server_spec *like, const struct found_server *found)
{
    struct balancer_server_spec spec = *like;
    spec.name = found->name;
    spec.zone = found->zone;
    spec.weight = found->weight;
    spec.backup = found->backup;
    add_spec(settings, specs, spec);
}

struct balancer_settings sources_settings(const struct sources *sources,
                                          struct balancer_server_spec specs[BALANCER_SERVERS_MAX])
{
    struct balancer_settings settings = sources->balance;
    settings.servers = specs;
    settings.server_count = 0;
    for (unsigned i = 0; i < sources->balance.server_count; i++)
        add_spec(&settings, specs, sources->balance.servers[i]);
    for (unsigned i = 0; i < sources->count; i++) {
        const struct source *source = &sources->list[i];
        for (unsigned k = 0; k < source->found.count; k++)
            add_found(&settings, specs, &source->like, &source->found.servers[k]);
    }
    for (unsigned i = 0; i < sources->registered_count; i++)
        add_found(&settings, specs, &plain, &sources->registered[i].server);
    return settings;
}
