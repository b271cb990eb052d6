#include "server/scrub.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define PAUSE_MS     600000            /* between two passes */
#define FIRST_MS     60000             /* after the start, which has better things to do */
#define FAILED_MS    5000              /* after a step that could not read */
#define SLICE_NS     INT64_C(50000000) /* of a pass at full speed, then others have their turn */
#define FINDINGS_MAX 100

struct scrub {
    struct scrub_options options;
    struct document_parts *documents;
    struct verifier *verifier; /* the timer's */
    struct timer *timer;
    struct lock lock;
    /* Guarded by lock. */
    bool running;
    uint64_t wanted;           /* passes; at full speed until then */
    struct verify_figures now; /* of the present pass */
    uint64_t looked_at, found; /* of all passes */
    uint64_t last_looked_at, last_found;
    int64_t last_ended_ms;        /* wall time; 0: never */
    char *findings[FINDINGS_MAX]; /* of the pass */
    unsigned finding_count;
};

/* ---- Findings. */

static void forget_findings(struct scrub *scrub)
{
    for (unsigned i = 0; i < scrub->finding_count; i++)
        free(scrub->findings[i]);
    scrub->finding_count = 0;
}

static void note_finding(const char *what, bool mended, void *arg)
{
    struct scrub *scrub = arg;
    (void)mended;
    lock_acquire(&scrub->lock);
    bool room = scrub->finding_count < FINDINGS_MAX;
    if (room)
        scrub->findings[scrub->finding_count++] = mem_strdup(what);
    lock_leave(&scrub->lock);
    if (room) /* of a whole page there would be hundreds */
        log_write(LOG_ERROR, "scrub", "damaged: %s", what);
}

/* ---- Steps. */

static void begin_pass(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    scrub->running = true;
    forget_findings(scrub);
    lock_leave(&scrub->lock);
}

static void note_figures(struct scrub *scrub, bool end)
{
    struct verify_figures figures;
    verifier_figures(scrub->verifier, &figures);
    lock_acquire(&scrub->lock);
    scrub->looked_at += figures.looked_at - scrub->now.looked_at;
    scrub->found += figures.found - scrub->now.found;
    scrub->now = figures;
    if (end) {
        scrub->running = false;
        scrub->now.looked_at = scrub->now.found = 0;
        scrub->last_looked_at = figures.looked_at;
        scrub->last_found = figures.found;
        scrub->last_ended_ms = clock_wall_ms(&clock_system);
    }
    lock_leave(&scrub->lock);
}

static enum err step(struct scrub *scrub, bool *end)
{
    if (!scrub->running)
        begin_pass(scrub);
    enum err err = verifier_step(scrub->verifier, end);
    if (!err)
        note_figures(scrub, *end);
    return err;
}

static bool is_hurried(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    bool hurried = scrub->now.passes < scrub->wanted;
    lock_leave(&scrub->lock);
    return hurried;
}

/* What is left of the time is for others, whose disk it is. */
static int64_t pause_ms(const struct scrub *scrub, int64_t took_ns)
{
    int64_t share = scrub->options.percent;
    if (share == 0)
        return 0;
    return 1 + took_ns * (100 - share) / share / 1000000;
}

static int64_t scrub_tick(void *arg, int64_t mono_ns)
{
    struct scrub *scrub = arg;
    bool end = false, hurry;
    int64_t took_ns;
    enum err err;
    do {
        err = step(scrub, &end);
        hurry = is_hurried(scrub);
        took_ns = clock_mono_ns(&clock_system) - mono_ns;
    } while (!err && hurry && took_ns < SLICE_NS);
    if (err)
        return FAILED_MS;
    if (hurry)
        return 1;
    if (end)
        return scrub->options.percent > 0 ? PAUSE_MS : 0;
    return pause_ms(scrub, took_ns);
}

uint64_t scrub_hurry(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    uint64_t pass = scrub->wanted = scrub->now.passes + scrub->running + 1;
    lock_leave(&scrub->lock);
    timer_wake_in(scrub->timer, 1);
    return pass;
}

/* ---- Looking. */

void scrub_write(struct scrub *scrub, struct json_writer *w)
{
    char time[CLOCK_RFC3339_SIZE];
    lock_acquire(&scrub->lock);
    jw_begin(w, '{');
    jw_key(w, "passes");
    jw_i64(w, (int64_t)scrub->now.passes);
    jw_key(w, "running");
    jw_bool(w, scrub->running);
    jw_key(w, "part");
    jw_str(w, slice_str(scrub->running && scrub->now.part ? scrub->now.part : ""));
    jw_key(w, "lookedAt");
    jw_i64(w, (int64_t)(scrub->running ? scrub->now.looked_at : scrub->last_looked_at));
    jw_key(w, "found");
    jw_i64(w, (int64_t)(scrub->running ? scrub->now.found : scrub->last_found));
    jw_key(w, "findings");
    jw_begin(w, '[');
    for (unsigned i = 0; i < scrub->finding_count; i++)
        jw_str(w, slice_str(scrub->findings[i]));
    jw_end(w, ']');
    jw_key(w, "lastEnded");
    if (scrub->last_ended_ms > 0) {
        clock_rfc3339(scrub->last_ended_ms, time);
        jw_str(w, slice_str(time));
    } else {
        jw_null(w);
    }
    jw_end(w, '}');
    lock_leave(&scrub->lock);
}

void scrub_figures(struct scrub *scrub, struct scrub_figures *out)
{
    lock_acquire(&scrub->lock);
    *out = (struct scrub_figures){
        .looked_at = scrub->looked_at,
        .found = scrub->found,
        .passes = scrub->now.passes,
        .damaged = scrub->last_found > scrub->now.found ? scrub->last_found : scrub->now.found};
    lock_leave(&scrub->lock);
}

/* ---- Making. */

enum err scrub_create(const struct scrub_options *options, struct scrub **out)
{
    struct scrub *scrub = *out = mem_zalloc(sizeof *scrub);
    scrub->options = *options;
    lock_init(&scrub->lock, LOCK_RANK_SCRUB);
    scrub->verifier = verifier_create(
        &(struct verify_options){.store = options->store, .found = note_finding, .arg = scrub});
    enum err err = document_parts_create(options->store, &scrub->documents);
    if (err)
        scrub_destroy(out);
    else
        document_parts_add(scrub->documents, scrub->verifier);
    return err;
}

void scrub_add(struct scrub *scrub, const struct verify_part *part)
{
    verifier_add(scrub->verifier, part);
}

void scrub_start(struct scrub *scrub)
{
    int64_t first_ms = scrub->options.percent > 0 ? FIRST_MS : 0;
    scrub->timer = ticker_add(scrub->options.maintenance, scrub_tick, scrub, first_ms);
}

void scrub_destroy(struct scrub **out)
{
    struct scrub *scrub = *out;
    if (!scrub)
        return;
    if (scrub->timer)
        timer_cancel(scrub->timer);
    verifier_destroy(&scrub->verifier);
    document_parts_destroy(&scrub->documents);
    forget_findings(scrub);
    lock_release(&scrub->lock);
    free(scrub);
    *out = NULL;
}
