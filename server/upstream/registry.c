/* Servers that say themselves that they are there, again and again, until they leave or are silent
 * for too long. */
#include "base/mem.h"
#include "server/upstream/upstream_private.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_key(const struct sources *sources, struct slice given)
{
    size_t len = strlen(sources->register_key);
    return len > 0 && given.len == len && CRYPTO_memcmp(given.ptr, sources->register_key, len) == 0;
}

static struct registered *find(struct sources *sources, const char *address)
{
    for (unsigned i = 0; i < sources->registered_count; i++) {
        if (strcmp(sources->registered[i].server.name, address) == 0)
            return &sources->registered[i];
    }
    return NULL;
}

static void forget(struct sources *sources, struct registered *one)
{
    *one = sources->registered[--sources->registered_count];
}

static struct registered *add(struct sources *sources)
{
    sources->registered = mem_realloc(sources->registered, (sources->registered_count + 1) *
                                                               sizeof *sources->registered);
    return &sources->registered[sources->registered_count++];
}

static void describe(const struct upstream_registration *said, struct found_server *out)
{
    *out = (struct found_server){.weight = said->weight, .backup = said->backup};
    snprintf(out->name, sizeof out->name, "%s", said->address);
    snprintf(out->zone, sizeof out->zone, "%s", said->zone);
}

/* *news: its servers are others now. */
static enum err change(struct sources *sources, const struct upstream_registration *said,
                       int64_t now_ns, bool *news)
{
    struct registered *one = find(sources, said->address);
    struct found_server server;
    describe(said, &server);
    bool same = one && findings_equal(&(struct finding){.servers = &one->server, .count = 1},
                                      &(struct finding){.servers = &server, .count = 1});
    *news = said->ttl_ms == 0 ? !!one : !same;
    if (said->ttl_ms == 0 && one)
        forget(sources, one);
    if (said->ttl_ms == 0)
        return ERR_OK;
    if (!one && sources->registered_count >= BALANCER_SERVERS_MAX)
        return ERR_LIMITED;
    one = one ? one : add(sources);
    *one = (struct registered){server, now_ns + said->ttl_ms * 1000000};
    return ERR_OK;
}

static enum err register_at(struct upstream *upstream, struct slice key,
                            const struct upstream_registration *said)
{
    struct upstream_settings *settings = upstream->settings;
    if (!settings || settings->sources->register_key[0] == '\0')
        return ERR_NOT_FOUND;
    if (!has_key(settings->sources, key))
        return ERR_UNAUTHENTICATED;
    if (!source_is_address(said->address))
        return ERR_VALIDATION;
    bool news;
    enum err err = change(settings->sources, said, clock_mono_ns(upstream->clock), &news);
    if (!err && news)
        upstream_apply(upstream, settings);
    return err;
}

enum err upstream_register(struct upstreams *upstreams, struct slice name, struct slice key,
                           const struct upstream_registration *said)
{
    enum err err = ERR_NOT_FOUND;
    struct upstream *upstream = upstreams_first(upstreams);
    struct lock *configuring = upstreams_configuring(upstreams);
    lock_acquire(configuring);
    for (; upstream && err == ERR_NOT_FOUND; upstream = upstream->next) {
        if (slice_is(name, upstream->name))
            err = register_at(upstream, key, said);
    }
    lock_leave(configuring);
    return err;
}

bool registry_expire(struct sources *sources, int64_t now_ns)
{
    unsigned before = sources->registered_count;
    for (unsigned i = 0; i < sources->registered_count;) {
        if (sources->registered[i].until_ns <= now_ns)
            forget(sources, &sources->registered[i]);
        else
            i++;
    }
    return sources->registered_count < before;
}
