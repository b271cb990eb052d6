/* DESIGN. Which file, in which form, and whether at all: the path is looked at before the file
 * system is (site_path_ok), a folder has its index or is not there, what is missing may be the
 * fallback of a page that routes by itself. The tag is made of what the file system says of a file
 * (which one, its length, when it was written and changed), so no byte is read to answer 304. */
#include "server/gateway/site_private.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "server/http/accept.h"
#include "server/http/etag.h"
#include "server/http/media_type.h"
#include "server/http/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct site {
    int folder;
    char *index, *fallback;
    int64_t max_age_s;
    bool shared;
};

enum err site_open(const struct site_options *options, struct site **out, char *why,
                   size_t why_size)
{
    int folder = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = NULL;
    if (folder < 0) {
        snprintf(why, why_size, "static:%s: %s", options->dir, strerror(errno));
        return ERR_NOT_FOUND;
    }
    struct site *site = *out = mem_zalloc(sizeof *site);
    site->folder = folder;
    site->index = mem_strdup(options->index);
    site->fallback = mem_strdup(options->fallback);
    site->max_age_s = options->max_age_s;
    site->shared = options->shared;
    return ERR_OK;
}

void site_drop(void *arg)
{
    struct site *site = arg;
    close(site->folder);
    free(site->index);
    free(site->fallback);
    free(site);
}

/* ---- Which file */

/* What the request names below the folder, without a slash in front. */
static struct slice path_below(const struct request *request)
{
    struct slice rest = request_param(request, "*"), path = request_inner_path(request);
    bool own = request->inner.ptr || !rest.ptr;
    return own ? slice_of(path.ptr + 1, path.len - 1) : rest;
}

static bool is_slashed(const struct request *request)
{
    return request->path.ptr[request->path.len - 1] == '/';
}

static bool find_index(const struct site *site, struct slice folder, struct site_file *out)
{
    char path[PATH_MAX];
    if (site->index[0] == '\0' || folder.len + strlen(site->index) + 2 > sizeof path)
        return false;
    bool slash = folder.len > 0 && folder.ptr[folder.len - 1] != '/';
    int len =
        snprintf(path, sizeof path, "%.*s%s%s", SLICE_ARG(folder), slash ? "/" : "", site->index);
    return site_find(site->folder, slice_of(path, (size_t)len), out) == SITE_FILE;
}

/* Pages have no ending in their path, or are asked for as such: a script that is missing is
 * missing. */
static bool wants_page(const struct request *request)
{
    struct slice path = request->path, accept = request_header(request, "Accept");
    const char *name = memrchr(path.ptr, '/', path.len);
    return !memchr(name, '.', (size_t)(path.ptr + path.len - name)) ||
           (accept.len > 0 && memmem(accept.ptr, accept.len, "text/html", 9));
}

enum finding { FOUND, FOUND_FALLBACK, FOUND_WITHOUT_SLASH, FOUND_NOTHING };

static enum finding find(const struct site *site, const struct request *request,
                         struct site_file *out)
{
    struct slice path = path_below(request);
    out->fd = -1;
    enum site_found found = site_path_ok(path) ? site_find(site->folder, path, out) : SITE_NOTHING;
    if (found == SITE_FILE && !is_slashed(request))
        return FOUND;
    site_close(out);
    if (found == SITE_FOLDER && find_index(site, path, out)) {
        if (is_slashed(request))
            return FOUND;
        site_close(out);
        return FOUND_WITHOUT_SLASH;
    }
    bool page = site->fallback[0] && site_path_ok(path) && wants_page(request);
    if (page && site_find(site->folder, slice_str(site->fallback), out) == SITE_FILE)
        return FOUND_FALLBACK;
    return FOUND_NOTHING;
}

/* ---- In which form */

static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec < b->st_mtim.tv_sec ||
           (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec < b->st_mtim.tv_nsec);
}

/* Puts FILE.br or FILE.gz in the place of a file. */
static bool swap_for(const struct site *site, const char *ending, struct site_file *file)
{
    struct site_file *other = mem_alloc(sizeof *other);
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s%s", file->path, ending);
    bool swapped = len < (int)sizeof path &&
                   site_find(site->folder, slice_of(path, (size_t)len), other) == SITE_FILE &&
                   !is_older(&other->stat, &file->stat);
    if (swapped) {
        close(file->fd);
        file->fd = other->fd;
        file->stat = other->stat;
    } else if (other->fd >= 0) {
        site_close(other);
    }
    free(other);
    return swapped;
}

static enum coding choose_form(const struct site *site, const struct request *request,
                               struct site_file *file)
{
    static const char *const endings[] = {[CODING_GZIP] = ".gz", [CODING_BR] = ".br"};
    struct accept_encoding accept;
    unsigned offered = 1U << CODING_GZIP | 1U << CODING_BR;
    accept_encoding_read(request->headers, request->header_count, &accept);
    for (;;) {
        enum coding coding = accept_encoding_choose(&accept, offered);
        if (coding == CODING_IDENTITY || swap_for(site, endings[coding], file))
            return coding;
        offered &= ~(1U << coding);
    }
}

/* ---- Validators */

struct tags {
    char etag[ETAG_SIZE], last_modified[CLOCK_HTTP_SIZE], date[CLOCK_HTTP_SIZE];
    struct validators validators;
};

static void tags_make(const struct site_file *file, int64_t now_ms, struct tags *out)
{
    const struct stat *stat = &file->stat;
    const int64_t facts[] = {(int64_t)stat->st_ino, stat->st_size,        stat->st_mtim.tv_sec,
                             stat->st_mtim.tv_nsec, stat->st_ctim.tv_sec, stat->st_ctim.tv_nsec};
    int64_t changed_ms = stat->st_mtim.tv_sec * INT64_C(1000);
    etag_format(hash_bytes(slice_of(facts, sizeof facts)), out->etag);
    /* Not later than now (RFC 9110 section 8.8.2.1). */
    clock_http_date(changed_ms < now_ms ? changed_ms : now_ms, out->last_modified);
    clock_http_date(now_ms, out->date);
    out->validators =
        (struct validators){.etag = slice_of(out->etag, sizeof out->etag),
                            .last_modified = slice_of(out->last_modified, CLOCK_HTTP_SIZE - 1),
                            .date = slice_of(out->date, CLOCK_HTTP_SIZE - 1)};
}

/* ---- Answering */

static void add_cache_control(const struct site *site, bool fallback, struct response *response)
{
    char text[64];
    if (site->max_age_s > 0 && !fallback)
        snprintf(text, sizeof text, "%smax-age=%lld", site->shared ? "" : "private, ",
                 (long long)site->max_age_s);
    else
        snprintf(text, sizeof text, "%sno-cache", site->shared ? "" : "private, ");
    response_header(response, "Cache-Control", slice_str(text));
}

static void add_headers(const struct site *site, const struct tags *tags, enum coding coding,
                        bool text, bool large, bool fallback, struct response *response)
{
    response_header(response, "ETag", tags->validators.etag);
    response_header(response, "Last-Modified", tags->validators.last_modified);
    response_header(response, "Accept-Ranges", slice_str("bytes"));
    add_cache_control(site, fallback, response);
    if (coding != CODING_IDENTITY)
        response_header(response, "Content-Encoding", slice_str(coding_name(coding)));
    if (text && (coding != CODING_IDENTITY || large)) /* else it may still be compressed */
        response_header(response, "Vary", slice_str("Accept-Encoding"));
}

static void answer_range_wrong(const struct site_file *file, struct request *request,
                               struct response *response)
{
    char range[CONTENT_RANGE_SIZE];
    size_t len = content_range_format(NULL, (uint64_t)file->stat.st_size, range);
    response_error(response, request, ERR_RANGE, NULL, NULL, NULL);
    response_header(response, "Content-Range", slice_of(range, len));
}

static void send_file(const struct site *site, struct request *request, struct response *response,
                      struct site_file *file, bool fallback)
{
    const char *type = media_type(slice_str(file->path));
    bool text = media_type_is_text(type);
    enum coding coding = text ? choose_form(site, request, file) : CODING_IDENTITY;
    struct byte_range ranges[RANGES_MAX];
    unsigned count;
    struct tags tags;
    tags_make(file, request->received_ms, &tags);
    if (!request_precondition_holds(request, &tags.validators, request->received_ms)) {
        response_error(response, request, ERR_PRECONDITION, NULL, NULL, NULL);
        return;
    }
    if (request_has_current(request, &tags.validators, request->received_ms)) {
        add_headers(site, &tags, CODING_IDENTITY, text, true, fallback, response);
        response->status = 304;
        return;
    }
    enum range_result range =
        request_ranges(request, &tags.validators, (uint64_t)file->stat.st_size,
                       request->received_ms, ranges, &count);
    if (range == RANGE_WRONG) {
        answer_range_wrong(file, request, response);
        return;
    }
    bool large = file->stat.st_size > FEED_ROOM;
    add_headers(site, &tags, coding, text, large, fallback, response);
    response->status = range == RANGE_PART ? 206 : 200;
    if (strncmp(type, "text/html", 9) == 0)
        response_header(response, "Content-Security-Policy", slice_str(PAGE_POLICY));
    site_send(file, ranges, count, type, request->received_ms, response);
}

static void redirect_to_slash(const struct request *request, struct response *response)
{
    struct buf location = BUF_INIT;
    path_encode(request->path, &location);
    buf_append_char(&location, '/');
    if (request->query.ptr)
        buf_printf(&location, "?%.*s", SLICE_ARG(request->query));
    response->status = 308;
    response_header(response, "Location", buf_slice(&location));
    buf_release(&location);
}

void site_target(struct request *request, struct response *response, void *arg)
{
    const struct site *site = arg;
    if (request->method != METHOD_GET && request->method != METHOD_HEAD) {
        response_error(response, request, ERR_METHOD, NULL, NULL, NULL);
        response_header(response, "Allow", slice_str("GET, HEAD"));
        return;
    }
    struct site_file *file = mem_alloc(sizeof *file);
    enum finding found = find(site, request, file);
    if (found == FOUND_NOTHING)
        response_error(response, request, ERR_NOT_FOUND, NULL, "There is nothing at this path.",
                       NULL);
    else if (found == FOUND_WITHOUT_SLASH)
        redirect_to_slash(request, response);
    else
        send_file(site, request, response, file, found == FOUND_FALLBACK);
    site_close(file);
    free(file);
}
