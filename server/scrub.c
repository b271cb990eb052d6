#include "server/scrub.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define PAUSE_MS      600000            /* between two passes */
#define FIRST_MS      60000             /* after the start, which has better things to do */
#define FIRST_SOON_MS 1000              /* what a crash may have left is looked for at once */
#define FAILED_MS     5000              /* after a step that could not read */
#define SLICE_NS      INT64_C(50000000) /* of a pass at full speed, then others have their turn */
#define SOON_PERCENT  20
#define FINDINGS_MAX  100

struct scrub {
    struct scrub_options options;
    struct timer *timer;
    /* The timer's. */
    struct verifier *verifier, *soon;
    int64_t next_ns; /* monotonic: the pass goes on */
    struct lock lock;
    /* Guarded by lock. */
    bool running;
    bool soon_wanted;
    bool stepping;                /* what is met now has been found by the scrub itself */
    uint64_t wanted;              /* passes; at full speed until then */
    struct verify_figures now;    /* of the present pass */
    uint64_t looked_at, found;    /* of all passes */
    struct verify_figures last;   /* of the last whole pass */
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

/* Who mends says so in the log. */
static void log_finding(const char *what, bool mended, void *arg)
{
    (void)arg;
    if (!mended)
        log_write(LOG_ERROR, "scrub", "damaged: %s", what);
}

static char *describe(const char *what, bool mended)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s%s", what, mended ? " (mended)" : "");
    return text.data;
}

static void note_finding(const char *what, bool mended, void *arg)
{
    struct scrub *scrub = arg;
    lock_acquire(&scrub->lock);
    bool room = scrub->finding_count < FINDINGS_MAX;
    if (room)
        scrub->findings[scrub->finding_count++] = describe(what, mended);
    lock_leave(&scrub->lock);
    if (room) /* of a whole page there would be hundreds */
        log_finding(what, mended, NULL);
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
        scrub->now.looked_at = scrub->now.found = scrub->now.mended = 0;
        scrub->last = figures;
        scrub->last_ended_ms = clock_wall_ms(&clock_system);
    }
    lock_leave(&scrub->lock);
}

static void note_stepping(struct scrub *scrub, bool stepping)
{
    lock_acquire(&scrub->lock);
    scrub->stepping = stepping;
    lock_leave(&scrub->lock);
}

static enum err step_of(struct scrub *scrub, struct verifier *v, bool *end)
{
    note_stepping(scrub, true);
    enum err err = verifier_step(v, end);
    note_stepping(scrub, false);
    return err;
}

static enum err step(struct scrub *scrub, bool *end)
{
    if (!scrub->running)
        begin_pass(scrub);
    enum err err = step_of(scrub, scrub->verifier, end);
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
static int64_t pause_ms(int64_t share, int64_t took_ns)
{
    return 1 + took_ns * (100 - share) / share / 1000000;
}

/* Steps of the pass; how long until the next ones. */
static int64_t go_on(struct scrub *scrub, int64_t mono_ns, bool hurry)
{
    bool end = false;
    int64_t took_ns, percent = scrub->options.percent;
    enum err err;
    do {
        err = step(scrub, &end);
        hurry = hurry && is_hurried(scrub);
        took_ns = clock_mono_ns(&clock_system) - mono_ns;
    } while (!err && hurry && took_ns < SLICE_NS);
    if (err)
        return FAILED_MS;
    if (hurry)
        return 1;
    if (percent == 0)
        return 0;
    return end ? PAUSE_MS : pause_ms(percent, took_ns);
}

static bool is_soon_wanted(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    bool wanted = scrub->soon_wanted;
    lock_leave(&scrub->lock);
    return wanted;
}

/* A step of what is wanted soon. */
static int64_t go_on_soon(struct scrub *scrub, int64_t mono_ns)
{
    bool end;
    if (step_of(scrub, scrub->soon, &end))
        return FAILED_MS;
    if (end) {
        lock_acquire(&scrub->lock);
        scrub->soon_wanted = false;
        lock_leave(&scrub->lock);
    }
    return pause_ms(SOON_PERCENT, clock_mono_ns(&clock_system) - mono_ns);
}

static int64_t scrub_tick(void *arg, int64_t mono_ns)
{
    struct scrub *scrub = arg;
    bool hurry = is_hurried(scrub);
    if (!hurry && is_soon_wanted(scrub))
        return go_on_soon(scrub, mono_ns);
    if (!hurry && mono_ns < scrub->next_ns)
        return scrub->next_ns == INT64_MAX ? 0 : 1 + (scrub->next_ns - mono_ns) / 1000000;
    int64_t in_ms = go_on(scrub, mono_ns, hurry);
    scrub->next_ns = in_ms > 0 ? mono_ns + in_ms * 1000000 : INT64_MAX;
    return in_ms;
}

uint64_t scrub_hurry(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    uint64_t pass = scrub->wanted = scrub->now.passes + scrub->running + 1;
    lock_leave(&scrub->lock);
    timer_wake_in(scrub->timer, 1);
    return pass;
}

void scrub_soon(struct scrub *scrub)
{
    lock_acquire(&scrub->lock);
    bool wanted = !scrub->stepping && !scrub->soon_wanted;
    scrub->soon_wanted |= wanted;
    lock_leave(&scrub->lock);
    if (wanted && scrub->timer)
        timer_wake_in(scrub->timer, 1);
}

/* ---- Looking. */

void scrub_write(struct scrub *scrub, struct json_writer *w)
{
    char time[CLOCK_RFC3339_SIZE];
    lock_acquire(&scrub->lock);
    const struct verify_figures *figures = scrub->running ? &scrub->now : &scrub->last;
    jw_begin(w, '{');
    jw_key(w, "passes");
    jw_i64(w, (int64_t)scrub->now.passes);
    jw_key(w, "running");
    jw_bool(w, scrub->running);
    jw_key(w, "part");
    jw_str(w, slice_str(scrub->running && scrub->now.part ? scrub->now.part : ""));
    jw_key(w, "lookedAt");
    jw_i64(w, (int64_t)figures->looked_at);
    jw_key(w, "found");
    jw_i64(w, (int64_t)figures->found);
    jw_key(w, "mended");
    jw_i64(w, (int64_t)figures->mended);
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
    uint64_t last = scrub->last.found - scrub->last.mended;
    uint64_t now = scrub->now.found - scrub->now.mended;
    *out = (struct scrub_figures){.looked_at = scrub->looked_at,
                                  .found = scrub->found,
                                  .passes = scrub->now.passes,
                                  .damaged = last > now ? last : now};
    lock_leave(&scrub->lock);
}

/* ---- Making. */

struct scrub *scrub_create(const struct scrub_options *options)
{
    struct scrub *scrub = mem_zalloc(sizeof *scrub);
    scrub->options = *options;
    lock_init(&scrub->lock, LOCK_RANK_SCRUB);
    scrub->verifier = verifier_create(&(struct verify_options){
        .store = options->store, .mend = true, .found = note_finding, .arg = scrub});
    scrub->soon = verifier_create(
        &(struct verify_options){.store = options->store, .mend = true, .found = log_finding});
    return scrub;
}

void scrub_start(struct scrub *scrub)
{
    const struct scrub_options *options = &scrub->options;
    options->add_all(scrub->verifier, options->arg);
    options->add_soon(scrub->soon, options->arg);
    bool wanted = options->percent > 0;
    scrub->soon_wanted |= wanted;
    scrub->next_ns =
        wanted ? clock_mono_ns(&clock_system) + FIRST_MS * INT64_C(1000000) : INT64_MAX;
    scrub->timer = ticker_add(options->maintenance, scrub_tick, scrub, wanted ? FIRST_SOON_MS : 0);
}

void scrub_destroy(struct scrub **out)
{
    struct scrub *scrub = *out;
    if (!scrub)
        return;
    if (scrub->timer)
        timer_cancel(scrub->timer);
    verifier_destroy(&scrub->verifier);
    verifier_destroy(&scrub->soon);
    forget_findings(scrub);
    lock_release(&scrub->lock);
    free(scrub);
    *out = NULL;
}
