/* Changes of a queue: jobs move between states, and those who wait learn of it at the commit. */
#include "base/log.h"
#include "queue/queue_private.h"

struct change *change_begin(struct queue *queue, struct txn *txn)
{
    struct change *change = txn_alloc(txn, sizeof *change);
    *change = (struct change){.queue = queue, .txn = txn, .due_ms = NEVER_MS};
    counts_get(queue, txn, &change->before);
    change->counts = change->before;
    return change;
}

/* Brings the timer forward. Threads: holds queues->lock. */
static void arm_timer(struct queues *queues, int64_t at_ms)
{
    if (!queues->timer || at_ms >= queues->timer_ms)
        return;
    queues->timer_ms = at_ms;
    int64_t in_ms = at_ms - clock_wall_ms(queues->clock);
    timer_wake_in(queues->timer, in_ms > 1 ? in_ms : 1);
}

/* The on-commit action. Changes are published in the order in which they were made, so that the
 * last one's counts are the committed ones. */
static void publish(void *arg)
{
    struct change *change = arg;
    struct queue *queue = change->queue;
    struct queues *queues = queue->queues;
    lock_acquire(&queues->lock);
    queue->counts = change->counts;
    if (change->ran_due || change->due_ms < queue->due_ms)
        queue->due_ms = change->due_ms;
    queue->completed += change->completed;
    queue->failed += change->failed;
    queue->died += change->died;
    arm_timer(queues, queue->due_ms);
    queue_wake(queue, queue->counts.jobs[JOB_READY]);
    if (queue->counts.jobs[JOB_READY] + queue->counts.jobs[JOB_RUNNING] == 0)
        lock_cond_broadcast(&queues->news);
    lock_leave(&queues->lock);
    if (change->died > 0)
        log_write(LOG_WARN, "queue", "Jobs of %s that have died: %u.", queue->name, change->died);
}

void change_end(struct change *change)
{
    if (memcmp(&change->before, &change->counts, sizeof change->counts) != 0)
        counts_put(change->queue, change->txn, &change->counts);
    txn_on_commit(change->txn, publish, NULL, change);
}

/* When something happens to this job by itself: its state ends, or it is forgotten because it is
 * old or one too many. */
static int64_t entry_due_ms(const struct change *change, const struct index_entry *entry)
{
    const struct queues *queues = change->queue->queues;
    switch (entry->state) {
    case JOB_READY:
        return NEVER_MS;
    case JOB_COMPLETED:
    case JOB_DEAD:
        if (change->counts.jobs[entry->state] > queues->finished_max)
            return txn_now_ms(change->txn);
        return entry->order +
               (entry->state == JOB_DEAD ? queues->dead_keep_ms : queues->completed_keep_ms);
    default:
        return entry->order;
    }
}

static void note_due(struct change *change, int64_t at_ms)
{
    if (at_ms < change->due_ms)
        change->due_ms = at_ms;
}

void change_add(struct change *change, const struct id *id, const struct job_progress *progress)
{
    struct index_entry entry = index_entry_of(progress, id);
    index_put(change->queue, change->txn, &entry);
    change->counts.jobs[entry.state]++;
    note_due(change, entry_due_ms(change, &entry));
}

void job_move(struct change *change, const struct id *id, const struct index_entry *from,
              const struct job_progress *progress)
{
    struct index_entry to = index_entry_of(progress, id);
    index_del(change->queue, change->txn, from);
    index_put(change->queue, change->txn, &to);
    progress_put(change->queue->queues, change->txn, id, progress);
    change->counts.jobs[from->state]--;
    change->counts.jobs[to.state]++;
    note_due(change, entry_due_ms(change, &to));
}

void change_damaged(struct change *change, const struct index_entry *entry)
{
    if (txn_fail(change->txn, ERR_DAMAGED) == ERR_DAMAGED && !change->damage.found)
        change->damage = (struct damage){true, *entry};
}

void change_end_damaged(struct change *change, const struct damage *damage)
{
    const struct index_entry *entry = &damage->entry;
    if (!damage->found || !index_has(change->queue, change->txn, entry))
        return;
    struct job_progress progress = {
        .state = JOB_DEAD,
        .when_ms = txn_now_ms(change->txn),
        .reason = "its record is damaged",
    };
    strcpy(progress.queue, change->queue->name);
    job_move(change, &entry->id, entry, &progress);
    change->died++;
}

/* The delay is over. */
static void become_ready(struct change *change, const struct index_entry *entry)
{
    struct job_progress progress;
    if (progress_get(change->queue->queues, change->txn, &entry->id, &progress) != ERR_OK) {
        change_damaged(change, entry);
        return;
    }
    progress.state = JOB_READY;
    job_move(change, &entry->id, entry, &progress);
}

static void forget(struct change *change, const struct index_entry *entry)
{
    index_del(change->queue, change->txn, entry);
    job_erase(change->queue->queues, change->txn, &entry->id);
    change->counts.jobs[entry->state]--;
}

/* What happens to the jobs of a state when they are due. */
struct rule {
    enum job_state state;
    void (*act)(struct change *change, const struct index_entry *entry);
};

static const struct rule rules[] = {
    {JOB_RUNNING, lease_lose},    {JOB_SCHEDULED, become_ready},
    {JOB_RETRYING, become_ready}, {JOB_COMPLETED, forget},
    {JOB_DEAD, forget},
};

/* Returns when the state's first job that is left is due. */
static int64_t apply(struct change *change, const struct rule *rule, unsigned *budget)
{
    struct index_entry first;
    while (change->counts.jobs[rule->state] > 0) {
        if (index_first(change->queue, change->txn, rule->state, &first) != ERR_OK)
            break;
        int64_t at_ms = entry_due_ms(change, &first);
        if (at_ms > txn_now_ms(change->txn) || *budget == 0)
            return at_ms;
        --*budget;
        rule->act(change, &first);
    }
    return NEVER_MS;
}

void change_run_due(struct change *change, unsigned budget)
{
    change->ran_due = true;
    change->due_ms = NEVER_MS;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        note_due(change, apply(change, &rules[i], &budget));
}

void change_recover(struct change *change)
{
    struct index_entry first;
    for (unsigned budget = DUE_STEP; budget > 0; budget--) {
        if (change->counts.jobs[JOB_RUNNING] == 0 ||
            index_first(change->queue, change->txn, JOB_RUNNING, &first) != ERR_OK)
            return;
        lease_lose(change, &first);
    }
}
