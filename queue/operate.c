/* What an operator does with jobs: looks through them, has one run again, forgets one. */
#include "queue/queue_private.h"
#include "storage/key.h"

enum err job_state_parse(struct slice name, enum job_state *out)
{
    for (enum job_state state = 0; state < JOB_STATES; state++) {
        if (!slice_is(name, job_state_name(state)))
            continue;
        *out = state;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

/* ---- Looking */

struct walk {
    struct queue *queue;
    struct queue_page *page;
    const struct key *prefix; /* of the state */
    bool latest_first;
    struct cursor cursor;
};

/* To the first entry of the page. */
static enum err begin(struct walk *walk)
{
    const struct job_place *after = &walk->page->after;
    static const struct id none;
    bool from_start = after->order == 0 && id_compare(&after->id, &none) == 0;
    struct index_entry last = {walk->page->state, after->order, after->id};
    struct key key = job_index_key(walk->queue, &last);
    if (walk->latest_first) {
        if (from_start)
            key = *job_index_state(walk->queue, walk->page->state + 1);
        return cursor_seek_before(&walk->cursor, key_slice(&key));
    }
    if (from_start)
        return cursor_seek(&walk->cursor, key_slice(walk->prefix));
    enum err err = cursor_seek(&walk->cursor, key_slice(&key));
    bool there = !err && slice_eq(walk->cursor.key, key_slice(&key));
    return there ? cursor_next(&walk->cursor) : err;
}

static enum err go_on(struct walk *walk)
{
    return walk->latest_first ? cursor_prev(&walk->cursor) : cursor_next(&walk->cursor);
}

static void show(const struct walk *walk, const struct index_entry *entry, job_info_fn each,
                 void *arg)
{
    struct job_info info;
    struct txn *txn = walk->cursor.txn;
    if (job_describe(walk->queue->queues, txn, &entry->id, &info) != ERR_OK) {
        info = (struct job_info){.id = entry->id,
                                 .state = entry->state,
                                 .payload = slice_of("", 0),
                                 .reason = slice_str("it cannot be read")};
        strcpy(info.queue, walk->queue->name);
    }
    each(&info, arg);
}

enum err queue_list(struct queues *queues, struct txn *txn, struct queue_page *page,
                    job_info_fn each, void *arg, bool *more)
{
    struct queue *queue = queue_find(queues, page->queue);
    *more = false;
    if (!queue)
        return ERR_NOT_FOUND;
    struct walk walk = {.queue = queue,
                        .page = page,
                        .prefix = job_index_state(queue, page->state),
                        .latest_first = state_is_finished(page->state)};
    size_t queue_len = queue->prefix.len;
    cursor_open(&walk.cursor, txn, queues->index);
    unsigned shown = 0;
    for (enum err err = begin(&walk); !err; err = go_on(&walk)) {
        struct slice key = walk.cursor.key;
        struct index_entry entry;
        if (!key_has_prefix(key, walk.prefix))
            break;
        if (!index_take_entry(slice_of(key.ptr + queue_len, key.len - queue_len), &entry))
            continue; /* damaged: the check of the queue sees to it */
        *more = shown == page->max;
        if (*more)
            break;
        page->after = (struct job_place){entry.order, entry.id};
        show(&walk, &entry, each, arg);
        shown++;
    }
    cursor_close(&walk.cursor);
    return txn_error(txn);
}

/* ---- Acting */

static struct queue *queue_of(struct queues *queues, const struct job_info *info)
{
    return queue_find(queues, info->queue);
}

enum err queue_retry(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct job_info info;
    enum err err = job_describe(queues, txn, id, &info);
    if (err)
        return err;
    bool may = info.state == JOB_DEAD || info.state == JOB_CANCELLED ||
               info.state == JOB_SCHEDULED || info.state == JOB_RETRYING;
    struct queue *queue = queue_of(queues, &info);
    struct job_body body;
    struct job_status status;
    if (!may || !queue || job_get(queues, txn, id, &body, &status))
        return ERR_CONFLICT; /* without its payload it cannot run either */
    struct change *change = change_begin(queue, txn);
    struct index_entry from = index_entry_of(&status, id);
    status.state = JOB_READY;
    status.attempt = 0;
    status.lost = false;
    job_move(change, id, &from, &status);
    change_end(change);
    return txn_error(txn);
}

enum err queue_delete(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct job_info info;
    enum err err = job_describe(queues, txn, id, &info);
    if (err)
        return err;
    struct queue *queue = queue_of(queues, &info);
    struct job_status status;
    struct job_body body;
    if (!queue || info.state == JOB_RUNNING)
        return ERR_CONFLICT;
    if (status_get(queues, txn, id, &status) && job_get(queues, txn, id, &body, &status))
        return ERR_CONFLICT;
    txn_shrinking(txn);
    struct change *change = change_begin(queue, txn);
    struct index_entry entry = index_entry_of(&status, id);
    change_forget(change, &entry);
    change_end(change);
    return txn_error(txn);
}
