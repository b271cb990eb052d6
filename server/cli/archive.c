#include "server/cli/archive.h"

#include "base/clock.h"
#include "server/version.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK         512
#define MANIFEST      "manifest.json"
#define MANIFEST_MAX  (64u << 10)
#define FORMAT        1
#define SIZE_BASE_256 0x80 /* GNU's way of writing 8 GiB and more */

/* POSIX ustar. Numbers are octal digits. */
struct header {
    char name[100], mode[8], uid[8], gid[8];
    unsigned char size[12];
    char mtime[12], checksum[8], type, link[100], magic[6], version[2], rest[247];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

void archive_init(struct archive *archive, int fd)
{
    *archive = (struct archive){.fd = fd, .files = json_object(), .hash = EVP_MD_CTX_new()};
}

void archive_release(struct archive *archive)
{
    EVP_MD_CTX_free(archive->hash);
    json_decref(archive->files);
}

static bool fail(struct archive *archive, const char *why)
{
    snprintf(archive->why, sizeof archive->why, "%s", why);
    return false;
}

static void begin_hash(struct archive *archive)
{
    EVP_DigestInit_ex(archive->hash, EVP_sha256(), NULL);
    archive->done = 0;
}

/* What has passed is noted under the file's name. */
static void end_hash(struct archive *archive)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    EVP_DigestFinal_ex(archive->hash, sum, &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + (size_t)2 * i, 3, "%02x", sum[i]);
    json_object_set_new(archive->files, archive->name,
                        json_pack("{s:I, s:s}", "size", (json_int_t)archive->done, "sha256", hex));
}

static unsigned checksum_of(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bool own = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
        sum += own ? ' ' : bytes[i];
    }
    return sum;
}

/* ---- Writing */

static void put_size(unsigned char out[12], uint64_t size)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%011" PRIo64, size);
    if (len == 11) {
        memcpy(out, digits, 11);
        return;
    }
    memset(out, 0, 12);
    out[0] = SIZE_BASE_256;
    for (int i = 11; i > 3; i--, size >>= 8)
        out[i] = (unsigned char)size;
}

static bool write_all(struct archive *archive, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t written = write(archive->fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail(archive, strerror(errno));
        at += written;
        len -= (size_t)written;
    }
    return true;
}

/* The header's place; it is written once the size is known. */
bool archive_begin(struct archive *archive, const char *name)
{
    static const char nothing[BLOCK];
    snprintf(archive->name, sizeof archive->name, "%s", name);
    archive->header_at = (uint64_t)lseek(archive->fd, 0, SEEK_CUR);
    begin_hash(archive);
    return write_all(archive, nothing, BLOCK);
}

bool archive_append(struct archive *archive, const void *bytes, size_t len)
{
    EVP_DigestUpdate(archive->hash, bytes, len);
    archive->done += len;
    return write_all(archive, bytes, len);
}

static bool write_header(struct archive *archive)
{
    struct header header = {.mode = "0000600", .uid = "0000000", .gid = "0000000"};
    header.type = '0';
    memcpy(header.magic, "ustar", 6);
    memcpy(header.version, "00", 2);
    memcpy(header.mtime, "00000000000", 12);
    snprintf(header.name, sizeof header.name, "%s", archive->name);
    put_size(header.size, archive->done);
    snprintf(header.checksum, sizeof header.checksum, "%06o", checksum_of(&header));
    header.checksum[7] = ' ';
    return pwrite(archive->fd, &header, BLOCK, (off_t)archive->header_at) == BLOCK ||
           fail(archive, strerror(errno));
}

bool archive_end(struct archive *archive)
{
    static const char padding[BLOCK];
    size_t over = archive->done % BLOCK;
    end_hash(archive);
    return write_header(archive) && write_all(archive, padding, over ? BLOCK - over : 0);
}

bool archive_finish(struct archive *archive, int64_t now_ms)
{
    static const char end[2 * BLOCK];
    char time[CLOCK_RFC3339_SIZE];
    struct buf text = BUF_INIT;
    clock_rfc3339(now_ms, time);
    json_t *manifest = json_pack("{s:i, s:s, s:s, s:O}", "backup", FORMAT, "galley", GALLEY_VERSION,
                                 "takenAt", time, "files", archive->files);
    json_append(&text, manifest);
    json_decref(manifest);
    bool good = archive_begin(archive, MANIFEST) && archive_append(archive, text.data, text.len) &&
                archive_end(archive) && write_all(archive, end, sizeof end) &&
                (fsync(archive->fd) == 0 || fail(archive, strerror(errno)));
    buf_release(&text);
    return good;
}

/* ---- Reading */

static bool read_all(struct archive *archive, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t got = read(archive->fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(archive, strerror(errno));
        if (got == 0)
            return fail(archive, "it is cut short");
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static bool get_size(const unsigned char in[12], uint64_t *size)
{
    *size = 0;
    if (in[0] == SIZE_BASE_256) {
        for (int i = 4; i < 12; i++)
            *size = *size << 8 | in[i];
        return *size <= INT64_MAX;
    }
    for (int i = 0; i < 11; i++) {
        if (in[i] < '0' || in[i] > '7')
            return false;
        *size = *size << 3 | (uint64_t)(in[i] - '0');
    }
    return true;
}

static bool read_header(struct archive *archive)
{
    struct header header;
    if (!read_all(archive, &header, BLOCK))
        return false;
    unsigned checksum = 0;
    bool known = memcmp(header.magic, "ustar", 5) == 0 && header.type == '0' &&
                 sscanf(header.checksum, "%7o", &checksum) == 1 &&
                 checksum == checksum_of(&header) && get_size(header.size, &archive->size);
    if (!known)
        return fail(archive, "it is no backup, or damaged");
    snprintf(archive->name, sizeof archive->name, "%.*s", (int)sizeof header.name - 1, header.name);
    begin_hash(archive);
    return true;
}

static bool check_manifest(struct archive *archive)
{
    char text[MANIFEST_MAX];
    if (archive->size > sizeof text)
        return fail(archive, "its manifest is damaged");
    json_t *manifest = NULL;
    if (!read_all(archive, text, archive->size) ||
        json_read(slice_of(text, archive->size), &manifest, archive->why, sizeof archive->why))
        return fail(archive, "its manifest is damaged");
    bool ours = json_int(manifest, "backup", 0) == FORMAT;
    bool same = json_equal(json_object_get(manifest, "files"), archive->files);
    json_decref(manifest);
    if (!ours)
        return fail(archive, "a later galley has written it");
    return same || fail(archive, "its manifest says other checksums: it is damaged");
}

bool archive_next(struct archive *archive, bool *end)
{
    if (!read_header(archive))
        return false;
    *end = strcmp(archive->name, MANIFEST) == 0;
    return !*end || check_manifest(archive);
}

bool archive_read(struct archive *archive, void *bytes, size_t size, size_t *got)
{
    char padding[BLOCK];
    uint64_t left = archive->size - archive->done;
    size_t over = archive->size % BLOCK;
    *got = left < size ? (size_t)left : size;
    if (*got == 0) {
        end_hash(archive);
        return read_all(archive, padding, over ? BLOCK - over : 0);
    }
    if (!read_all(archive, bytes, *got))
        return false;
    EVP_DigestUpdate(archive->hash, bytes, *got);
    archive->done += *got;
    return true;
}
