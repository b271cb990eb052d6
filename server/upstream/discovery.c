#include "server/upstream/discovery.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/upstream/sources.h"
#include "server/upstream/upstream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define EXPIRE_NS (SECOND_NS / 4) /* how often registrations are looked through */
#define RETRY_NS  (2 * SECOND_NS) /* after a failure */
#define WAIT_NS   (2 * SECOND_NS) /* of a start or a reload */

struct discovery {
    struct upstreams *upstreams;
    pthread_t thread;
    struct lock lock;
    struct lock_cond wake, done;
    /* guarded by lock */
    uint64_t wanted, rounds; /* rounds: those that have begun after so many were wanted are done */
    _Atomic bool stopping;
};

/* ---- Looking */

static const char *what(const struct source *source)
{
    return source->name ? source->name : source->path;
}

static void say_failure(const struct upstream *upstream, struct source *source, const char *why)
{
    if (strcmp(source->failure, why) != 0)
        log_write(LOG_WARN, "upstream", "%s: %.150s: %s; its servers stay as they are",
                  upstream->name, what(source), why);
    snprintf(source->failure, sizeof source->failure, "%s", why);
}

/* Gives the upstream what was found, if it still is what it was. */
static void take(struct discovery *discovery, struct upstream *upstream,
                 struct upstream_settings *settings, struct source *source, struct finding *finding)
{
    struct lock *configuring = upstreams_configuring(discovery->upstreams);
    lock_acquire(configuring);
    bool news = !findings_equal(&source->found, finding);
    finding_release(&source->found);
    source->found = *finding;
    if (news && upstream->settings == settings)
        upstream_apply(upstream, settings);
    lock_leave(configuring);
    if (news || source->failure[0])
        log_write(LOG_INFO, "upstream", "%s: %.150s has %u servers", upstream->name, what(source),
                  finding->count);
    source->failure[0] = '\0';
}

static void look(struct discovery *discovery, struct upstream *upstream,
                 struct upstream_settings *settings, struct source *source)
{
    char why[sizeof source->failure] = "";
    struct finding finding;
    int came = source_look(source, &finding, why, sizeof why);
    int64_t wait_ns = came < 0 ? RETRY_NS : finding.good_for_ns;
    if (came < 0)
        say_failure(upstream, source, why);
    else if (came > 0)
        take(discovery, upstream, settings, source, &finding);
    source->due_ns = clock_mono_ns(&clock_system) + wait_ns;
}

/* Lets those go who registered and are silent; returns when to look again. */
static int64_t expire(struct discovery *discovery, struct upstream *upstream,
                      struct upstream_settings *settings)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    struct lock *configuring = upstreams_configuring(discovery->upstreams);
    if (settings->sources->register_key[0] == '\0')
        return INT64_MAX;
    lock_acquire(configuring);
    if (registry_expire(settings->sources, now_ns) && upstream->settings == settings)
        upstream_apply(upstream, settings);
    lock_leave(configuring);
    return now_ns + EXPIRE_NS;
}

/* Looks at what is due; returns when the next one is. */
static int64_t look_at_all(struct discovery *discovery)
{
    int64_t next_ns = INT64_MAX;
    struct upstream *upstream = upstreams_first(discovery->upstreams);
    for (; upstream; upstream = upstream->next) {
        struct upstream_settings *settings = upstream_hold_settings(upstream);
        for (unsigned i = 0; settings && i < settings->sources->count; i++) {
            struct source *source = &settings->sources->list[i];
            bool due = source->due_ns <= clock_mono_ns(&clock_system);
            if (due && !atomic_load(&discovery->stopping))
                look(discovery, upstream, settings, source);
            if (source->due_ns < next_ns)
                next_ns = source->due_ns;
        }
        int64_t expire_ns = settings ? expire(discovery, upstream, settings) : INT64_MAX;
        next_ns = expire_ns < next_ns ? expire_ns : next_ns;
        upstream_settings_let_go(settings);
    }
    return next_ns;
}

/* ---- The thread */

static void *run(void *arg)
{
    struct discovery *discovery = arg;
    pthread_setname_np(pthread_self(), "discovery");
    lock_acquire(&discovery->lock);
    while (!atomic_load(&discovery->stopping)) {
        uint64_t wanted = discovery->wanted;
        lock_leave(&discovery->lock);
        int64_t next_ns = look_at_all(discovery);
        lock_acquire(&discovery->lock);
        discovery->rounds = wanted;
        lock_cond_broadcast(&discovery->done);
        bool rest = true; /* until something is due */
        while (rest && discovery->wanted == wanted && !atomic_load(&discovery->stopping)) {
            if (next_ns == INT64_MAX)
                lock_cond_wait(&discovery->wake, &discovery->lock);
            else
                rest = lock_cond_wait_until(&discovery->wake, &discovery->lock, next_ns);
        }
    }
    lock_leave(&discovery->lock);
    return NULL;
}

struct discovery *discovery_create(struct upstreams *upstreams)
{
    struct discovery *discovery = mem_zalloc(sizeof *discovery);
    discovery->upstreams = upstreams;
    lock_init(&discovery->lock, LOCK_RANK_DISCOVERY);
    lock_cond_init(&discovery->wake);
    lock_cond_init(&discovery->done);
    if (pthread_create(&discovery->thread, NULL, run, discovery) == 0) {
        discovery_look_again(discovery);
        return discovery;
    }
    lock_cond_release(&discovery->done);
    lock_cond_release(&discovery->wake);
    lock_release(&discovery->lock);
    free(discovery);
    return NULL;
}

void discovery_look_again(struct discovery *discovery)
{
    int64_t until_ns = clock_mono_ns(&clock_system) + WAIT_NS;
    lock_acquire(&discovery->lock);
    uint64_t mine = ++discovery->wanted;
    lock_cond_signal(&discovery->wake);
    while (discovery->rounds < mine &&
           lock_cond_wait_until(&discovery->done, &discovery->lock, until_ns))
        ;
    lock_leave(&discovery->lock);
}

void discovery_destroy(struct discovery **discovery)
{
    struct discovery *d = *discovery;
    if (!d)
        return;
    lock_acquire(&d->lock);
    atomic_store(&d->stopping, true);
    lock_cond_signal(&d->wake);
    lock_leave(&d->lock);
    pthread_join(d->thread, NULL);
    lock_cond_release(&d->done);
    lock_cond_release(&d->wake);
    lock_release(&d->lock);
    free(d);
    *discovery = NULL;
}
