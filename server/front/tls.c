#include "base/log.h"
#include "base/mem.h"
#include "server/front/tls_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_NS INT64_C(5000000000) /* how long changed files may take to fit together */

/* A file as it was when it was loaded. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* The files and what was seen of them; guarded by tls.loading. */
struct files {
    struct tls_options options; /* a copy of ours */
    struct stamp stamps[2 * TLS_PAIRS_MAX + 1];
};

struct tls {
    atomic_uint holders;
    const struct clock *clock;
    struct tls_tickets *tickets;

    struct lock loading; /* held while files are read */
    struct files files;
    bool pending;             /* tls_watch has seen a change that did not load yet */
    int64_t pending_since_ns; /* the last change */

    struct lock lock;
    struct tls_set *set; /* present */
    struct tls_status status;

    _Atomic uint64_t handshakes, resumed, failed;
};

/* ---- The files. */

static size_t file_count(const struct tls_options *options)
{
    return 2 * options->count + (options->client_ca ? 1 : 0);
}

static const char *file_path(const struct tls_options *options, size_t i)
{
    if (i == 2 * options->count)
        return options->client_ca;
    const struct tls_pair *pair = &options->pairs[i / 2];
    return i % 2 == 0 ? pair->cert : pair->key;
}

/* All zeros: there is none. */
static struct stamp stamp_of(const char *path)
{
    struct stamp stamp;
    struct stat file;
    memset(&stamp, 0, sizeof stamp);
    if (stat(path, &file) == 0) {
        stamp.device = file.st_dev;
        stamp.inode = file.st_ino;
        stamp.size = file.st_size;
        stamp.changed = file.st_mtim;
    }
    return stamp;
}

/* True if a file is another than it was. */
static bool take_stamps(struct files *files)
{
    bool changed = false;
    for (size_t i = 0; i < file_count(&files->options); i++) {
        struct stamp stamp = stamp_of(file_path(&files->options, i));
        changed = changed || memcmp(&stamp, &files->stamps[i], sizeof stamp) != 0;
        files->stamps[i] = stamp;
    }
    return changed;
}

static bool has_changed(const struct files *files)
{
    for (size_t i = 0; i < file_count(&files->options); i++) {
        struct stamp stamp = stamp_of(file_path(&files->options, i));
        if (memcmp(&stamp, &files->stamps[i], sizeof stamp) != 0)
            return true;
    }
    return false;
}

static void options_copy(struct tls_options *to, const struct tls_options *from)
{
    struct tls_pair *pairs = mem_zalloc(from->count * sizeof *pairs);
    for (size_t i = 0; i < from->count; i++) {
        pairs[i].cert = mem_strdup(from->pairs[i].cert);
        pairs[i].key = mem_strdup(from->pairs[i].key);
    }
    *to = *from;
    to->pairs = pairs;
    to->client_ca = from->client == TLS_CLIENT_NONE ? NULL : mem_strdup(from->client_ca);
}

static void options_release(struct tls_options *options)
{
    for (size_t i = 0; i < file_count(options); i++)
        free((char *)file_path(options, i));
    free((struct tls_pair *)options->pairs);
    memset(options, 0, sizeof *options);
}

/* ---- Its life. */

enum err tls_create(const struct tls_options *options, struct tls **out, char *why, size_t why_size)
{
    struct tls *tls = mem_zalloc(sizeof *tls);
    tls->holders = 1;
    tls->clock = options->clock;
    tls->tickets = tls_tickets_create(options->clock);
    lock_init(&tls->loading, LOCK_RANK_TLS_FILES);
    lock_init(&tls->lock, LOCK_RANK_TLS);
    options_copy(&tls->files.options, options);
    take_stamps(&tls->files);
    enum err err = tls_set_load(&tls->files.options, &tls->set, why, why_size);
    tls->status.loaded_wall_ms = clock_wall_ms(tls->clock);
    *out = tls;
    if (err != ERR_OK)
        tls_destroy(out);
    return err;
}

enum err tls_check(const struct tls_options *options, char *why, size_t why_size)
{
    struct tls_set *set;
    enum err err = tls_set_load(options, &set, why, why_size);
    tls_set_let_go(&set);
    return err;
}

struct tls *tls_hold(struct tls *tls)
{
    atomic_fetch_add_explicit(&tls->holders, 1, memory_order_relaxed);
    return tls;
}

void tls_destroy(struct tls **out)
{
    struct tls *tls = *out;
    *out = NULL;
    if (!tls || atomic_fetch_sub(&tls->holders, 1) != 1)
        return;
    tls_set_let_go(&tls->set);
    tls_tickets_destroy(&tls->tickets);
    options_release(&tls->files.options);
    lock_release(&tls->lock);
    lock_release(&tls->loading);
    free(tls);
}

/* ---- Reload. */

static void swap_set(struct tls *tls, struct tls_set *set)
{
    lock_acquire(&tls->lock);
    struct tls_set *before = tls->set;
    tls->set = set;
    tls->status.reloads++;
    tls->status.loaded_wall_ms = clock_wall_ms(tls->clock);
    tls->status.last_error[0] = '\0';
    lock_leave(&tls->lock);
    tls_set_let_go(&before);
}

static void count_failure(struct tls *tls, const char *why)
{
    lock_acquire(&tls->lock);
    tls->status.reload_failures++;
    snprintf(tls->status.last_error, sizeof tls->status.last_error, "%s", why);
    lock_leave(&tls->lock);
}

/* The stamps are taken first: what is replaced while we read is seen as changed later. */
static enum err load(struct tls *tls, char *why, size_t why_size)
{
    struct tls_set *set;
    lock_assert_held(&tls->loading);
    take_stamps(&tls->files);
    enum err err = tls_set_load(&tls->files.options, &set, why, why_size);
    if (err == ERR_OK)
        swap_set(tls, set);
    return err;
}

/* Takes the place of the files; puts them back if the new ones cannot be loaded. */
static enum err load_others(struct tls *tls, const struct tls_options *others, char *why,
                            size_t why_size)
{
    struct files before = tls->files;
    options_copy(&tls->files.options, others);
    enum err err = load(tls, why, why_size);
    struct tls_options unused = err == ERR_OK ? before.options : tls->files.options;
    if (err != ERR_OK)
        tls->files = before;
    options_release(&unused);
    return err;
}

enum err tls_reload(struct tls *tls, const struct tls_options *changed, char *why, size_t why_size)
{
    lock_acquire(&tls->loading);
    enum err err = changed ? load_others(tls, changed, why, why_size) : load(tls, why, why_size);
    if (err != ERR_OK)
        count_failure(tls, why);
    tls->pending = false;
    lock_leave(&tls->loading);
    return err;
}

bool tls_files_changed(struct tls *tls)
{
    lock_acquire(&tls->loading);
    bool changed = has_changed(&tls->files);
    lock_leave(&tls->loading);
    return changed;
}

/* ---- The watch. */

static void log_reload(struct tls *tls, const char *why)
{
    const char *first = tls->files.options.pairs[0].cert;
    if (why[0] != '\0')
        log_write(LOG_WARN, "tls", "reloaded, but %s", why);
    else
        log_write(LOG_INFO, "tls", "reloaded %s", first);
}

/* Returns whether it loaded; gives up, with one line, once nothing has changed for long. */
static bool try_pending(struct tls *tls, int64_t now_ns)
{
    char why[TLS_WHY_SIZE];
    lock_assert_held(&tls->loading);
    bool loaded = load(tls, why, sizeof why) == ERR_OK;
    bool give_up = !loaded && now_ns - tls->pending_since_ns >= PATIENCE_NS;
    if (loaded)
        log_reload(tls, why);
    if (give_up) {
        count_failure(tls, why);
        log_write(LOG_ERROR, "tls", "the old certificate stays in use: %s", why);
    }
    tls->pending = !loaded && !give_up;
    return loaded;
}

bool tls_watch(struct tls *tls, int64_t now_ns)
{
    lock_acquire(&tls->loading);
    if (take_stamps(&tls->files)) {
        tls->pending = true;
        tls->pending_since_ns = now_ns;
    }
    bool loaded = tls->pending && try_pending(tls, now_ns);
    lock_leave(&tls->loading);
    return loaded;
}

/* ---- For connections. */

struct tls_set *tls_present_set(struct tls *tls)
{
    lock_acquire(&tls->lock);
    struct tls_set *set = tls_set_hold(tls->set);
    lock_leave(&tls->lock);
    return set;
}

struct tls_tickets *tls_tickets_of(struct tls *tls)
{
    return tls->tickets;
}

void tls_count_handshake(struct tls *tls, bool finished, bool resumed)
{
    atomic_fetch_add_explicit(finished ? &tls->handshakes : &tls->failed, 1, memory_order_relaxed);
    if (resumed)
        atomic_fetch_add_explicit(&tls->resumed, 1, memory_order_relaxed);
}

/* ---- Telling. */

void tls_read_status(struct tls *tls, struct tls_status *out)
{
    lock_acquire(&tls->lock);
    *out = tls->status;
    out->certificates = tls_set_count(tls->set);
    lock_leave(&tls->lock);
    out->handshakes = atomic_load(&tls->handshakes);
    out->resumed = atomic_load(&tls->resumed);
    out->failed = atomic_load(&tls->failed);
}

bool tls_read_certificate(struct tls *tls, size_t i, struct tls_certificate_status *out)
{
    struct tls_set *set = tls_present_set(tls);
    bool found = i < tls_set_count(set);
    if (found)
        tls_set_describe(set, i, out);
    tls_set_let_go(&set);
    return found;
}
