/* /proc/net/tcp names the socket by its inode, the descriptors of a process link to it. */
#include "server/port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTENING "0A"

/* The inode of the socket that listens on the port, or 0. */
static unsigned long find_socket(const char *table, uint16_t port)
{
    char line[512], state[3];
    unsigned local_port;
    unsigned long inode, found = 0;
    FILE *file = fopen(table, "r");
    while (file && found == 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*d: %*[^:]:%x %*s %2s %*s %*s %*s %*s %*s %lu", &local_port, state,
                   &inode) == 3 &&
            local_port == port && strcmp(state, LISTENING) == 0)
            found = inode;
    }
    if (file)
        fclose(file);
    return found;
}

static bool has_socket(const char *pid, const char *wanted)
{
    char path[300], target[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    bool found = false;
    const struct dirent *entry;
    while (dir && !found && (entry = readdir(dir))) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

static void name_process(const char *pid, char *who, size_t size)
{
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "r");
    if (file && fgets(name, sizeof name, file))
        name[strcspn(name, "\n")] = '\0';
    if (file)
        fclose(file);
    snprintf(who, size, "%s (process %s)", name[0] ? name : "a process", pid);
}

bool port_holder(uint16_t port, char *who, size_t size)
{
    char wanted[64];
    unsigned long inode = find_socket("/proc/net/tcp", port);
    if (inode == 0)
        inode = find_socket("/proc/net/tcp6", port);
    if (inode == 0)
        return false;
    snprintf(who, size, "another user's process");
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !has_socket(entry->d_name, wanted))
            continue;
        name_process(entry->d_name, who, size);
        break;
    }
    if (dir)
        closedir(dir);
    return true;
}
