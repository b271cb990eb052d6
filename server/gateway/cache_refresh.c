#include "server/gateway/cache_refresh.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "server/http/fields.h"
#include "server/http/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFRESHES_MAX 64
#define OVERDUE_NS    INT64_C(120000000000) /* one that was never answered makes room */
#define TOKEN_SIZE    48

struct refresh {
    bool taken;
    int fd; /* -1: not connected yet */
    int64_t began_ns;
    struct buf key;
    size_t primary_len;
    char token[TOKEN_SIZE];
};

struct refreshes {
    refresh_connect_fn connect;
    void *arg;
    struct lock lock;
    struct refresh list[REFRESHES_MAX]; /* guarded by it */
};

struct refreshes *refreshes_create(refresh_connect_fn connect, void *arg)
{
    struct refreshes *refreshes = mem_zalloc(sizeof *refreshes);
    refreshes->connect = connect;
    refreshes->arg = arg;
    lock_init(&refreshes->lock, LOCK_RANK_IDEMPOTENCY);
    for (unsigned i = 0; i < REFRESHES_MAX; i++)
        refreshes->list[i].fd = -1;
    return refreshes;
}

static void drop(struct refresh *refresh)
{
    if (refresh->fd >= 0)
        close(refresh->fd);
    refresh->fd = -1;
    refresh->taken = false;
    buf_release(&refresh->key);
}

void refreshes_destroy(struct refreshes **refreshes)
{
    if (!*refreshes)
        return;
    for (unsigned i = 0; i < REFRESHES_MAX; i++)
        drop(&(*refreshes)->list[i]);
    lock_release(&(*refreshes)->lock);
    free(*refreshes);
    *refreshes = NULL;
}

/* ---- Beginning */

static bool is_under_way(const struct refresh *refresh, struct slice key)
{
    return refresh->taken && slice_eq(buf_slice(&refresh->key), key);
}

/* A free place; NULL: there is none, or the key has one. */
static struct refresh *find_place(struct refreshes *refreshes, struct slice key, int64_t now_ns)
{
    struct refresh *place = NULL;
    lock_assert_held(&refreshes->lock);
    for (unsigned i = 0; i < REFRESHES_MAX; i++) {
        struct refresh *refresh = &refreshes->list[i];
        if (is_under_way(refresh, key))
            return NULL;
        if (!refresh->taken || now_ns - refresh->began_ns > OVERDUE_NS)
            place = refresh;
    }
    return place;
}

static void make_token(const struct refreshes *refreshes, struct refresh *refresh)
{
    uint64_t secret[2];
    random_bytes(secret, sizeof secret);
    snprintf(refresh->token, sizeof refresh->token, "%u.%016llx%016llx",
             (unsigned)(refresh - refreshes->list), (unsigned long long)secret[0],
             (unsigned long long)secret[1]);
}

static bool goes_along(struct slice name)
{
    static const char *const others[] = {
        "Host",     "Content-Length", "If-None-Match", "If-Modified-Since",
        "If-Range", "Range",          "Cache-Control", "Pragma",
        "Expect",   REFRESH_MARK};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (slice_eq_nocase(name, slice_str(others[i])))
            return false;
    }
    return true;
}

static void append_line(struct buf *out, struct slice name, struct slice value)
{
    buf_append_slice(out, name);
    buf_append(out, ": ", 2);
    buf_append_slice(out, value);
    buf_append(out, "\r\n", 2);
}

/* False: Connection names too much. */
static bool compose(const struct request *request, const char *token, struct buf *out)
{
    struct fields fields;
    fields_init(&fields, request->headers, request->header_count);
    if (!fields_remove_hop_by_hop(&fields))
        return false;
    buf_append_str(out, "GET ");
    path_encode(request->path, out);
    if (request->query.len > 0)
        buf_append_char(out, '?');
    buf_append_slice(out, request->query);
    buf_append_str(out, " HTTP/1.1\r\n");
    append_line(out, slice_str("Host"), request_host(request));
    append_line(out, slice_str(REFRESH_MARK), slice_str(token));
    append_line(out, slice_str("Connection"), slice_str("close"));
    for (unsigned i = 0; i < fields.count; i++) {
        if (goes_along(fields.items[i].name))
            append_line(out, fields.items[i].name, fields.items[i].value);
    }
    buf_append(out, "\r\n", 2);
    return true;
}

static bool send_request(int fd, const struct request *request, const char *token)
{
    struct buf text = BUF_INIT;
    bool sent = compose(request, token, &text) &&
                send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.len;
    buf_release(&text);
    return sent;
}

/* Takes a place and says which; false: there is none. */
static bool take(struct refreshes *refreshes, struct slice key, size_t primary_len, int64_t now_ns,
                 char token[TOKEN_SIZE])
{
    lock_acquire(&refreshes->lock);
    struct refresh *refresh = find_place(refreshes, key, now_ns);
    if (refresh) {
        drop(refresh);
        refresh->taken = true;
        refresh->began_ns = now_ns;
        refresh->primary_len = primary_len;
        buf_append_slice(&refresh->key, key);
        make_token(refreshes, refresh);
        memcpy(token, refresh->token, TOKEN_SIZE);
    }
    lock_leave(&refreshes->lock);
    return refresh;
}

static struct refresh *find_token(struct refreshes *refreshes, struct slice token)
{
    lock_assert_held(&refreshes->lock);
    for (unsigned i = 0; i < REFRESHES_MAX; i++) {
        struct refresh *refresh = &refreshes->list[i];
        if (refresh->taken && slice_is(token, refresh->token))
            return refresh;
    }
    return NULL;
}

/* It may have been answered already. */
static void keep(struct refreshes *refreshes, const char *token, int fd, bool sent)
{
    lock_acquire(&refreshes->lock);
    struct refresh *refresh = find_token(refreshes, slice_str(token));
    if (refresh && sent)
        refresh->fd = fd;
    else if (refresh)
        drop(refresh);
    lock_leave(&refreshes->lock);
    if ((!refresh || !sent) && fd >= 0)
        close(fd);
}

/* Connecting and sending to ourselves does not wait: what does not fit at once is not sent. */
void refreshes_begin(struct refreshes *refreshes, const struct request *request, struct slice key,
                     size_t primary_len, int64_t now_ns)
{
    char token[TOKEN_SIZE];
    if (!take(refreshes, key, primary_len, now_ns, token))
        return;
    int fd = refreshes->connect(refreshes->arg);
    bool sent = fd >= 0 && send_request(fd, request, token);
    keep(refreshes, token, fd, sent);
}

/* ---- Being one */

/* The refresh that a mark names, or NULL. It takes a socket that only we and our owner can open. */
static struct refresh *find(struct refreshes *refreshes, const struct request *request)
{
    struct slice mark = request_header(request, REFRESH_MARK);
    return mark.ptr && request->local ? find_token(refreshes, mark) : NULL;
}

bool refreshes_find(struct refreshes *refreshes, const struct request *request, struct buf *key)
{
    lock_acquire(&refreshes->lock);
    struct refresh *refresh = find(refreshes, request);
    if (refresh)
        buf_append(key, refresh->key.data, refresh->primary_len);
    lock_leave(&refreshes->lock);
    return refresh;
}

void refreshes_end(struct refreshes *refreshes, const struct request *request)
{
    lock_acquire(&refreshes->lock);
    struct refresh *refresh = find(refreshes, request);
    if (refresh)
        drop(refresh);
    lock_leave(&refreshes->lock);
}
