/* What cannot be an error any more.
 *
 * DESIGN. LMDB reads the file through a map and believes what it finds. A page that the disk cannot
 * read and a file that was cut short are a SIGBUS; a page number or an offset that was damaged
 * leads anywhere, to a SIGSEGV or one of LMDB's assertions. None of them can be survived, but each
 * can be told from a bug: one line names the file and what to do, then the signal takes its usual
 * course. The handlers touch only what was prepared, and call nothing that a signal handler may
 * not. */
#include "base/log.h"
#include "storage/engine/engine_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WATCHED_MAX 4 /* a process has one store; tests have two */

static const int signals[] = {SIGBUS, SIGSEGV};

#define SIGNALS (sizeof signals / sizeof signals[0])

static struct watched {
    _Atomic(const struct store *) store;
    const char *begin, *end; /* its map */
} watched[WATCHED_MAX];

static struct sigaction before[SIGNALS];
static _Thread_local const struct store *inside;

void store_fault_inside(const struct store *store)
{
    inside = store;
}

/* ---- The line. */

struct line {
    char text[400];
    size_t len;
};

static void add(struct line *line, const char *text)
{
    size_t len = strlen(text), room = sizeof line->text - line->len;
    len = len < room ? len : room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void tell(const struct store *store, const char *what, const char *detail,
                 const char *advice)
{
    static struct line line;
    line.len = 0;
    add(&line, store->path);
    add(&line, what);
    add(&line, detail);
    add(&line, advice);
    log_last_words("store", slice_of(line.text, line.len));
}

#define THEN_VERIFY                                                                                \
    " The process ends. Look after the disk, then check the file with \"galley verify\" or "       \
    "restore "                                                                                     \
    "a backup."

static void on_assert(MDB_env *env, const char *message)
{
    tell(mdb_env_get_userctx(env), " is damaged: LMDB found ", message, "." THEN_VERIFY);
    abort();
}

/* ---- Faults. */

static const struct store *store_at(const char *address)
{
    for (int i = 0; i < WATCHED_MAX; i++) {
        const struct store *store = atomic_load(&watched[i].store);
        if (store && address >= watched[i].begin && address < watched[i].end)
            return store;
    }
    return NULL;
}

static void explain(int signal, const siginfo_t *info)
{
    const struct store *store = store_at(info->si_addr);
    if (store && signal == SIGBUS)
        tell(store, " cannot be read: the disk failed, or the file was cut short.", "",
             THEN_VERIFY);
    else if (store)
        tell(store, " is damaged: what stands in it leads outside of it.", "", THEN_VERIFY);
    else if (inside)
        tell(inside, " may be damaged: a fault within a transaction on it, ",
             signal == SIGBUS ? "SIGBUS." : "SIGSEGV.", THEN_VERIFY);
}

/* What the kernel raised comes again when the instruction does, to who was there before us. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    bool ours = info->si_code > 0;
    if (ours)
        explain(signal, info);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    if (!ours)
        raise(signal);
}

static void take_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction now;
        sigaction(signals[i], &action, &now);
        if (now.sa_sigaction != on_fault)
            before[i] = now;
    }
}

/* LMDB does not say where its map is. The device in the list is not always the file's; inode and
 * length are enough. */
static bool find_map(MDB_env *env, struct watched *out)
{
    int fd;
    struct stat st;
    MDB_envinfo info;
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;
    if (maps && mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0 &&
        mdb_env_info(env, &info) == 0) {
        char text[4400];
        while (!found && fgets(text, sizeof text, maps)) {
            unsigned long begin, end, inode;
            found = sscanf(text, "%lx-%lx %*s %*s %*s %lu", &begin, &end, &inode) == 3 &&
                    inode == st.st_ino && end - begin == info.me_mapsize;
            if (found)
                *out = (struct watched){
                    .begin = (const char *)begin, /* NOLINT: what the kernel says in digits */
                    .end = (const char *)end};    /* NOLINT */
        }
    }
    if (maps)
        fclose(maps);
    return found;
}

void store_fault_watch(struct store *store)
{
    struct watched map;
    mdb_env_set_userctx(store->env, store);
    mdb_env_set_assert(store->env, on_assert);
    store_fault_forget(store);
    for (int i = 0; i < WATCHED_MAX && find_map(store->env, &map); i++) {
        if (atomic_load(&watched[i].store))
            continue;
        watched[i].begin = map.begin;
        watched[i].end = map.end;
        atomic_store(&watched[i].store, store);
        break;
    }
    take_signals();
}

void store_fault_forget(const struct store *store)
{
    for (int i = 0; i < WATCHED_MAX; i++) {
        if (atomic_load(&watched[i].store) == store)
            atomic_store(&watched[i].store, NULL);
    }
}

bool store_fault_map(const struct store *store, const char **begin, const char **end)
{
    for (int i = 0; i < WATCHED_MAX; i++) {
        if (atomic_load(&watched[i].store) != store)
            continue;
        *begin = watched[i].begin;
        *end = watched[i].end;
        return true;
    }
    return false;
}
