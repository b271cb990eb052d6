/* galley restore: a backup becomes a data directory. */
#include "server/account.h"
#include "server/cli/archive.h"
#include "server/cli/cli.h"
#include "server/galley.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE  (256 << 10)
#define SUFFIX ".restored"

/* The key comes first: a server that finds it without a database does not start. */
static const char *const names[] = {"signing.key", "data.mdb"};

#define NAMES (sizeof names / sizeof names[0])

struct restoring {
    const char *file;
    const char *data_dir;
    char real[4096]; /* the data directory's path from the root */
    int dir;
    struct stat owner; /* of the directory */
    bool made[NAMES];  /* by us, with their suffix yet */
    struct archive archive;
    char why[600];
};

static bool fail(struct restoring *it, const char *path, const char *why)
{
    snprintf(it->why, sizeof it->why, "%.300s: %.200s", path, why);
    return false;
}

/* ---- The directory */

static bool is_empty(struct restoring *it)
{
    DIR *dir = opendir(it->real);
    const struct dirent *entry;
    bool empty = dir;
    while (dir && (entry = readdir(dir)))
        empty = empty && (entry->d_name[0] == '.' || strcmp(entry->d_name, "lost+found") == 0);
    if (dir)
        closedir(dir);
    return empty || fail(it, it->real, "it is not empty: restore into a new directory");
}

static bool open_dir(struct restoring *it, const char *user)
{
    struct account account;
    struct stat st;
    if (account_find(user, &account, it->why, sizeof it->why) != ERR_OK)
        return false;
    if (getuid() == 0 && stat(it->data_dir, &st) == 0) /* it is known whose it is */
        account = (struct account){.uid = st.st_uid, .gid = st.st_gid};
    if (account_open_data_dir(&account, it->data_dir, it->real, sizeof it->real, it->why,
                              sizeof it->why) != ERR_OK)
        return false;
    it->dir = open(it->real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (it->dir < 0 || fstat(it->dir, &it->owner) != 0)
        return fail(it, it->real, strerror(errno));
    return is_empty(it);
}

/* ---- The files */

/* NAMES if it is none of them. */
static size_t number_of(const char *name)
{
    size_t i = 0;
    while (i < NAMES && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        len -= (size_t)written;
    }
    return true;
}

static bool copy_pieces(struct restoring *it, int fd)
{
    static char piece[PIECE];
    size_t got;
    do {
        if (!archive_read(&it->archive, piece, sizeof piece, &got))
            return fail(it, it->file, it->archive.why);
        if (!write_all(fd, piece, got))
            return fail(it, it->real, strerror(errno));
    } while (got > 0);
    return true;
}

static bool restore_file(struct restoring *it)
{
    char name[ARCHIVE_NAME_SIZE + sizeof SUFFIX];
    size_t number = number_of(it->archive.name);
    if (number == NAMES)
        return fail(it, it->file, "it is no backup of galley");
    snprintf(name, sizeof name, "%s" SUFFIX, it->archive.name);
    int fd = openat(it->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(it, it->real, strerror(errno));
    it->made[number] = true;
    bool good = copy_pieces(it, fd);
    if (good && (fchown(fd, it->owner.st_uid, it->owner.st_gid) != 0 || fsync(fd) != 0))
        good = fail(it, it->real, strerror(errno));
    close(fd);
    return good;
}

/* Over nothing that another restore has brought meanwhile, where the file system can tell. */
static int give_name(int dir, const char *from, const char *to)
{
    int rc = renameat2(dir, from, dir, to, RENAME_NOREPLACE);
    return rc != 0 && errno == EINVAL ? renameat(dir, from, dir, to) : rc;
}

/* All of it has been read and is what the manifest says: now the files get their names. */
static bool rename_files(struct restoring *it)
{
    char name[ARCHIVE_NAME_SIZE + sizeof SUFFIX];
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s" SUFFIX, names[i]);
        if (it->made[i] && give_name(it->dir, name, names[i]) != 0)
            return fail(it, it->real, strerror(errno));
    }
    return fsync(it->dir) == 0 || fail(it, it->real, strerror(errno));
}

static void remove_files(const struct restoring *it)
{
    char name[ARCHIVE_NAME_SIZE + sizeof SUFFIX];
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s" SUFFIX, names[i]);
        if (it->made[i]) /* else it is another restore's */
            unlinkat(it->dir, name, 0);
    }
}

static bool restore_files(struct restoring *it)
{
    bool end = false;
    while (archive_next(&it->archive, &end)) {
        if (end)
            return json_object_get(it->archive.files, "data.mdb")
                       ? rename_files(it)
                       : fail(it, it->file, "there is no database in it");
        if (!restore_file(it))
            return false;
    }
    return fail(it, it->file, it->archive.why);
}

/* ---- The command */

static bool restore(struct restoring *it, const char *user)
{
    int fd = open(it->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(it, it->file, strerror(errno));
    it->dir = -1;
    archive_init(&it->archive, fd);
    bool good = open_dir(it, user);
    if (good && !(good = restore_files(it)))
        remove_files(it);
    archive_release(&it->archive);
    if (it->dir >= 0)
        close(it->dir);
    close(fd);
    return good;
}

static int restore_and_tell(struct restoring *it, const char *user)
{
    bool good = restore(it, user);
    if (good)
        printf("%s: restored from %s\n", it->real, it->file);
    else
        fprintf(stderr, "galley restore: %s\n", it->why);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int restore_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    struct restoring it = {0};
    const struct cli_option options[] = {
        {"-c", &source.path, NULL}, {"--data", &source.data, NULL}, {NULL, NULL, NULL}};
    int words = cli_read_words(&command_restore, options, argc, argv, &it.file, 1);
    if (words == 0)
        fprintf(stderr, "usage: %s\n", command_restore.usage);
    if (words != 1)
        return CLI_USAGE;
    it.data_dir = source.data;
    if (source.data)
        return restore_and_tell(&it, "");
    struct config *config = cli_load_place(&source);
    if (!config)
        return CLI_USAGE;
    const struct config_section *server = config_section(config, "server");
    it.data_dir = config_text(server, "data");
    int status = restore_and_tell(&it, config_text(server, "user"));
    config_destroy(&config);
    return status;
}

const struct command command_restore = {
    .name = "restore",
    .usage = "galley restore FILE [-c FILE] [--data DIR]",
    .help =
        "Makes a data directory of a file that galley backup has written: one that is empty, or\n"
        "missing. The file is read to its end and compared with its own checksums before anything\n"
        "gets its name. Root gives what it writes to the directory's owner, or [server] user.\n"
        "Exit status 0 if it was restored, 1 if not, 2 for wrong arguments or configuration.",
    .run = restore_run,
};
