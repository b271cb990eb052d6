/* A backup's file: a tar of plain files with, as its last, manifest.json, which has each one's size
 * and SHA-256 (docs/format.md). A file without it was cut short. Functions that fail leave a
 * sentence in `why`. Threads: owner. */
#ifndef GALLEY_SERVER_CLI_ARCHIVE_H
#define GALLEY_SERVER_CLI_ARCHIVE_H

#include "base/json.h"

#include <openssl/types.h>
#include <stdbool.h>

#define ARCHIVE_NAME_SIZE 100

struct archive {
    int fd; /* the caller's */
    char name[ARCHIVE_NAME_SIZE];
    uint64_t header_at;  /* where the header of the present file stands */
    uint64_t size, done; /* of the present file */
    EVP_MD_CTX *hash;
    json_t *files; /* {NAME: {"size", "sha256"}}: what was written or read */
    char why[200];
};

void archive_init(struct archive *archive, int fd);
void archive_release(struct archive *archive);

/* ---- Writing, from the beginning of an empty file. */

bool archive_begin(struct archive *archive, const char *name);
bool archive_append(struct archive *archive, const void *bytes, size_t len);
bool archive_end(struct archive *archive);
/* The manifest; all is on the disk then. */
bool archive_finish(struct archive *archive, int64_t now_ms);

/* ---- Reading, from the beginning. */

/* To the next file, whose name is in archive->name then; *end instead, when what was read is what
 * the manifest says. */
bool archive_next(struct archive *archive, bool *end);
/* Up to `size` bytes; *got is 0 at the end of the file. */
bool archive_read(struct archive *archive, void *bytes, size_t size, size_t *got);

#endif
