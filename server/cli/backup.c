/* galley backup: what a restore needs, in one file. The server is not asked: its database can be
 * read beside it (storage/engine/store_copy.c), and the file is ours, not the server's. */
#include "base/clock.h"
#include "server/cli/archive.h"
#include "server/cli/cli.h"
#include "server/galley.h"
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (256 << 10)

struct backup {
    const char *file, *data_dir;
    char temporary[4096];
    bool compact, force;
    struct archive archive;
    int pipe[2];
    enum err err; /* of the copying thread */
    char why[600];
};

static bool fail(struct backup *it, const char *path, const char *why)
{
    if (it->why[0] == '\0')
        snprintf(it->why, sizeof it->why, "%.300s: %.200s", path, why);
    return false;
}

/* ---- Signals */

static atomic_int interrupted; /* whichever thread the signal comes to */

static void on_signal(int signal)
{
    interrupted = signal;
}

/* What is half written is to go with us. */
static void take_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaction(ends[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* ---- The database */

static void *copy_main(void *arg)
{
    struct backup *it = arg;
    char why[400] = "";
    it->err = store_copy(it->data_dir, it->pipe[1], it->compact, why, sizeof why);
    close(it->pipe[1]);
    if (it->err == ERR_DAMAGED || it->err == ERR_NOT_FOUND) /* else it is the pipe's other end */
        snprintf(it->why, sizeof it->why, "%s", why);
    return NULL;
}

/* From the pipe to the file, until all was copied or the file takes no more. */
static bool take_pieces(struct backup *it)
{
    static char piece[PIECE];
    for (;;) {
        if (interrupted)
            return false;
        ssize_t got = read(it->pipe[0], piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if (!archive_append(&it->archive, piece, (size_t)got))
            return false;
    }
}

static bool add_database(struct backup *it)
{
    pthread_t thread;
    if (pipe2(it->pipe, O_CLOEXEC) != 0)
        return fail(it, "pipe", strerror(errno));
    if (pthread_create(&thread, NULL, copy_main, it) != 0)
        return fail(it, "thread", strerror(errno));
    bool taken = archive_begin(&it->archive, "data.mdb") && take_pieces(it);
    close(it->pipe[0]); /* what is not copied yet fails there */
    pthread_join(thread, NULL);
    if (interrupted)
        return fail(it, it->file, "interrupted");
    return taken && it->err == ERR_OK && archive_end(&it->archive);
}

/* ---- What lies beside it */

/* The signing key, if it is not the configuration's: without it every token and session ends. */
static bool add_key(struct backup *it)
{
    char path[4096], bytes[4096];
    snprintf(path, sizeof path, "%s/signing.key", it->data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT || fail(it, path, strerror(errno));
    ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    if (got < 0)
        return fail(it, path, strerror(errno));
    return archive_begin(&it->archive, "signing.key") &&
           archive_append(&it->archive, bytes, (size_t)got) && archive_end(&it->archive);
}

/* ---- The file */

/* What LMDB makes in the directory is to be the server's, whoever makes the backup. */
static bool become_owner(struct backup *it, bool owner)
{
    struct stat st;
    if (getuid() != 0)
        return true;
    if (!owner)
        return seteuid(0) == 0 && setegid(getgid()) == 0;
    if (stat(it->data_dir, &st) != 0)
        return fail(it, it->data_dir, strerror(errno));
    return (setegid(st.st_gid) == 0 && seteuid(st.st_uid) == 0) ||
           fail(it, it->data_dir, strerror(errno));
}

static bool sync_parent(const char *path)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

static bool fill(struct backup *it)
{
    bool good = become_owner(it, true) && add_database(it) && add_key(it);
    good = become_owner(it, false) && good;
    return good && archive_finish(&it->archive, clock_wall_ms(&clock_system));
}

/* Under another name until all of it is on the disk. */
static bool write_file(struct backup *it)
{
    snprintf(it->temporary, sizeof it->temporary, "%s.%d.part", it->file, (int)getpid());
    if (!it->force && access(it->file, F_OK) == 0)
        return fail(it, it->file, "is there already; --force replaces it");
    int fd = open(it->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(it, it->temporary, strerror(errno));
    archive_init(&it->archive, fd);
    bool good = fill(it);
    if (!good && it->archive.why[0])
        fail(it, it->file, it->archive.why);
    archive_release(&it->archive);
    good = close(fd) == 0 && good;
    if (good && (rename(it->temporary, it->file) != 0 || !sync_parent(it->file)))
        good = fail(it, it->file, strerror(errno));
    if (!good)
        unlink(it->temporary);
    return good || fail(it, it->file, strerror(errno));
}

static int backup(struct backup *it)
{
    int64_t began_ns = clock_mono_ns(&clock_system);
    take_signals();
    struct stat st;
    if (!write_file(it) || stat(it->file, &st) != 0) {
        fprintf(stderr, "galley backup: %s\n", it->why);
        return EXIT_FAILURE;
    }
    double seconds = (double)(clock_mono_ns(&clock_system) - began_ns) / 1e9;
    printf("%s: %" PRId64 " bytes in %.1f s\n", it->file, (int64_t)st.st_size, seconds);
    return EXIT_SUCCESS;
}

static int backup_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    struct backup it = {0};
    const struct cli_option options[] = {
        {"-c", &source.path, NULL},
        {"--data", &source.data, NULL},
        {"--compact", NULL, &it.compact},
        {"--force", NULL, &it.force},
        {NULL, NULL, NULL},
    };
    int words = cli_read_words(&command_backup, options, argc, argv, &it.file, 1);
    if (words == 0)
        fprintf(stderr, "usage: %s\n", command_backup.usage);
    if (words != 1)
        return CLI_USAGE;
    it.data_dir = source.data;
    if (source.data)
        return backup(&it);
    struct config *config = cli_load_place(&source);
    if (!config)
        return CLI_USAGE;
    it.data_dir = config_text(config_section(config, "server"), "data");
    int status = backup(&it);
    config_destroy(&config);
    return status;
}

const struct command command_backup = {
    .name = "backup",
    .usage = "galley backup FILE [-c FILE] [--data DIR] [--compact] [--force]",
    .help =
        "Writes the database and the signing key to one file (a tar, mode 0600), from a running\n"
        "server as from a stopped one: all that was acknowledged before it began is in it. The\n"
        "file has its name only once all of it is on the disk. While it is written the database\n"
        "cannot use pages again that it frees, and grows instead: keep the file on a fast disk.\n"
        "--compact leaves out what the database has free, and takes longer; a database that is\n"
        "restored from such a file is as small as can be. --force replaces a file that is there.\n"
        "Exit status 0 if it was made, 1 if not, 2 for wrong arguments or configuration.",
    .run = backup_run,
};
