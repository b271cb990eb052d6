/* The data directory: opened before all else, by whoever starts the process, and handed to the user
 * that it runs as. */
#include "base/log.h"
#include "server/control.h"
#include "server/galley_private.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The store would find out as well, but says it less well. */
static enum err check_alone(const struct galley *galley, char *why, size_t why_size)
{
    int fd = control_connect(galley->data_fd, 0);
    if (fd < 0)
        return ERR_OK;
    close(fd);
    snprintf(why, why_size, "data directory %s: another process serves from it", galley->data_dir);
    return ERR_EXISTS;
}

enum err data_dir_open(struct galley *galley, char *why, size_t why_size)
{
    const struct config_section *server = config_section(galley->config, "server");
    enum err err = account_find(config_text(server, "user"), &galley->account, why, why_size);
    if (err)
        return err;
    err = account_open_data_dir(&galley->account, config_text(server, "data"), galley->data_dir,
                                sizeof galley->data_dir, why, why_size);
    if (err)
        return err;
    galley->data_fd = open(galley->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert(galley->data_fd >= 0); /* it was there just now */
    err = check_alone(galley, why, why_size);
    if (err)
        close(galley->data_fd);
    return err;
}

void data_dir_close(struct galley *galley)
{
    close(galley->data_fd);
}

enum err data_dir_become_user(struct galley *galley, char *why, size_t why_size)
{
    char control[CONTROL_PATH_SIZE];
    control_path(galley->data_fd, control);
    account_take_file(&galley->account, control);
    account_take_file(&galley->account, config_text(config_section(galley->config, "log"), "file"));
    if (galley->account.uid == 0)
        log_write(LOG_WARN, "galley", "runs as root; [server] user says whom to become instead");
    return account_become(&galley->account, why, why_size);
}

static bool has_bytes(const struct galley *galley, const char *name)
{
    struct stat st;
    return fstatat(galley->data_fd, name, &st, 0) == 0 && st.st_size > 0;
}

enum err data_dir_check(const struct galley *galley, char *why, size_t why_size)
{
    static const char *const beside[] = {"signing.key", "mail/outbox.mbox"};
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        if (has_bytes(galley, "data.mdb") || !has_bytes(galley, beside[i]))
            continue;
        snprintf(
            why, why_size,
            "%s: data.mdb is missing or empty, but %s is there: restore data.mdb from a backup, "
            "or move the rest of the directory away to begin anew",
            galley->data_dir, beside[i]);
        return ERR_DAMAGED;
    }
    return ERR_OK;
}
