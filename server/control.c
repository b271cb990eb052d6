#include "server/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void control_path(int data_fd, char out[CONTROL_PATH_SIZE])
{
    snprintf(out, CONTROL_PATH_SIZE, "/proc/self/fd/%d/control.sock", data_fd);
}

int control_connect(int data_fd, int flags)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof address.sun_path >= CONTROL_PATH_SIZE, "the path must fit");
    control_path(data_fd, address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}
