/* A thread of a pool tells that it is about to wait for something long (a commit, another's work, a
 * client), so that another of the pool may run in the meantime. Threads: each for itself. */
#ifndef GALLEY_BASE_BLOCKING_H
#define GALLEY_BASE_BLOCKING_H

/* What the pool wants to be told; NULL: nothing (as at the beginning of each thread). */
struct blocking_hook {
    void (*begin)(struct blocking_hook *hook);
    void (*end)(struct blocking_hook *hook);
};

void blocking_set_hook(struct blocking_hook *hook);

/* Around the wait. The hook takes the front's queue lock: hold no lock of a higher rank. */
void blocking_begin(void);
void blocking_end(void);

#endif
