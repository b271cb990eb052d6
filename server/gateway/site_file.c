/* DESIGN. The system itself keeps a path below the folder (openat2, RESOLVE_BENEATH): "..",
 * absolute links and links that lead out are refused where they are resolved, so that nobody can
 * swap one in between looking and opening. Where there is no openat2 (kernels before 5.6, some
 * sandboxes) each segment is opened by itself and no link is followed at all. */
#include "server/gateway/site_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define TRIES 8 /* when somebody renames at the same time */

static bool is_hidden(struct slice segment, bool first)
{
    return segment.len > 0 && segment.ptr[0] == '.' && !(first && slice_is(segment, ".well-known"));
}

bool site_path_ok(struct slice path)
{
    bool first = true;
    struct slice rest = path;
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        if (is_hidden(segment, first) || (segment.len == 0 && rest.ptr))
            return false;
        first = false;
    }
    return path.len + 16 < PATH_MAX && !memchr(path.ptr ? path.ptr : "", '\0', path.len);
}

/* Cuts the next segment off a path, for openat. False: one that leads elsewhere. */
static bool next_segment(struct slice *rest, char out[NAME_MAX + 2])
{
    struct slice segment = slice_cut(rest, '/');
    bool last = !rest->ptr;
    if (segment.len > NAME_MAX || slice_is(segment, "..") || (segment.len == 0 && !last))
        return false;
    memcpy(out, segment.ptr, segment.len);
    strcpy(out + segment.len, segment.len ? "" : "."); /* behind a final slash */
    return true;
}

static int open_by_segments(int folder, const char *path)
{
    char segment[NAME_MAX + 2];
    struct slice rest = slice_str(path);
    int at = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && rest.ptr) {
        int flags = FLAGS | O_NOFOLLOW, next = -1;
        if (next_segment(&rest, segment))
            next = openat(at, segment, rest.ptr ? flags | O_DIRECTORY | O_PATH : flags);
        close(at);
        at = next;
    }
    return at;
}

static int open_below(int folder, const char *path)
{
    const struct open_how how = {.flags = FLAGS,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int i = 0; i < TRIES; i++) {
        int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (fd >= 0)
            return fd;
        if (errno == ENOSYS || errno == EPERM)
            return open_by_segments(folder, path);
        if (errno != EAGAIN)
            return -1;
    }
    return -1;
}

enum site_found site_find(int folder, struct slice path, struct site_file *out)
{
    out->fd = -1;
    if (path.len >= sizeof out->path)
        return SITE_NOTHING;
    memcpy(out->path, path.ptr ? path.ptr : "", path.len);
    out->path[path.len] = '\0';
    out->fd = open_below(folder, path.len > 0 ? out->path : ".");
    if (out->fd < 0)
        return SITE_NOTHING;
    if (fstat(out->fd, &out->stat) == 0 && S_ISREG(out->stat.st_mode))
        return SITE_FILE;
    bool is_folder = S_ISDIR(out->stat.st_mode);
    site_close(out);
    return is_folder ? SITE_FOLDER : SITE_NOTHING;
}

void site_close(struct site_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
