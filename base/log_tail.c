/* DESIGN. The writer thread, which formats lines anyway, leaves a copy of them in a ring of bytes.
 * A position is the number of bytes that were ever taken, so a reader that is behind by more than
 * the ring holds knows it, and goes on with the oldest line that is whole. */
#include "base/lock.h"
#include "base/log_private.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

#define TAIL_SIZE (UINT64_C(1) << 19)

static struct {
    struct lock lock;
    _Atomic bool open;
    /* guarded by lock */
    char *bytes;
    uint64_t begin, end; /* of what is kept: whole lines */
    void (*news)(void *arg);
    void *arg;
    bool telling;          /* news runs */
    struct lock_cond told; /* no more */
} tail = {.lock = LOCK_INIT(LOCK_RANK_LOG)};

void log_tail_begin(void (*news)(void *arg), void *arg)
{
    lock_acquire(&tail.lock);
    tail.bytes = mem_alloc(TAIL_SIZE);
    tail.begin = tail.end = 0;
    tail.news = news;
    tail.arg = arg;
    lock_cond_init(&tail.told);
    tail.open = true;
    lock_leave(&tail.lock);
}

void log_tail_end(void)
{
    lock_acquire(&tail.lock);
    tail.open = false;
    while (tail.telling)
        lock_cond_wait(&tail.told, &tail.lock);
    lock_cond_release(&tail.told);
    free(tail.bytes);
    tail.bytes = NULL;
    lock_leave(&tail.lock);
}

bool log_tail_is_open(void)
{
    return atomic_load_explicit(&tail.open, memory_order_relaxed);
}

static void copy_in(uint64_t pos, struct slice bytes)
{
    uint64_t at = pos % TAIL_SIZE;
    size_t first = bytes.len < TAIL_SIZE - at ? bytes.len : (size_t)(TAIL_SIZE - at);
    memcpy(tail.bytes + at, bytes.ptr, first);
    memcpy(tail.bytes, bytes.ptr + first, bytes.len - first);
}

/* Behind the end of the line that `pos` is in. */
static uint64_t line_end(uint64_t pos)
{
    while (pos < tail.end && tail.bytes[pos % TAIL_SIZE] != '\n')
        pos++;
    return pos < tail.end ? pos + 1 : pos;
}

void log_tail_take(struct slice lines)
{
    lock_acquire(&tail.lock);
    if (tail.bytes && lines.len < TAIL_SIZE) {
        uint64_t end = tail.end + lines.len;
        if (end - tail.begin > TAIL_SIZE) /* whoever is in the way goes with the rest of its line */
            tail.begin = line_end(end - TAIL_SIZE - 1);
        copy_in(tail.end, lines);
        tail.end = end;
    }
    lock_leave(&tail.lock);
}

void log_tail_tell(void)
{
    lock_acquire(&tail.lock);
    tail.telling = tail.open;
    bool tells = tail.telling;
    lock_leave(&tail.lock);
    if (!tells)
        return;
    tail.news(tail.arg);
    lock_acquire(&tail.lock);
    tail.telling = false;
    lock_cond_signal(&tail.told);
    lock_leave(&tail.lock);
}

bool log_tail_line(uint64_t *pos, struct buf *out)
{
    lock_acquire(&tail.lock);
    if (*pos < tail.begin)
        *pos = tail.begin;
    bool found = tail.bytes && *pos < tail.end;
    if (found) {
        uint64_t end = line_end(*pos);
        for (uint64_t at = *pos; at < end - 1; at++)
            buf_append_char(out, tail.bytes[at % TAIL_SIZE]);
        *pos = end;
    }
    lock_leave(&tail.lock);
    return found;
}

uint64_t log_tail_behind(uint64_t pos)
{
    lock_acquire(&tail.lock);
    uint64_t from = pos > tail.begin ? pos : tail.begin;
    uint64_t behind = tail.end > from ? tail.end - from : 0;
    lock_leave(&tail.lock);
    return behind;
}
