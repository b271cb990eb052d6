/* site_file.c finds and opens files, site_send.c sends them, site.c decides. */
#ifndef GALLEY_SERVER_GATEWAY_SITE_PRIVATE_H
#define GALLEY_SERVER_GATEWAY_SITE_PRIVATE_H

#include "server/gateway/site.h"
#include "server/http/conditional.h"

#include <limits.h>
#include <sys/stat.h>

/* A file that is open. */
struct site_file {
    int fd; /* -1: none */
    struct stat stat;
    char path[PATH_MAX]; /* below the folder */
};

enum site_found { SITE_NOTHING, SITE_FILE, SITE_FOLDER };

/* Opens what lies at `path` below the folder, which begins without a slash; of a folder nothing is
 * open. What is neither a file nor a folder is nothing. */
enum site_found site_find(int folder, struct slice path, struct site_file *out);
void site_close(struct site_file *file);

/* False for paths that name nothing here: hidden, with an empty segment or too long. */
bool site_path_ok(struct slice path);

/* Answers with the bytes of the ranges, or of the whole if there is none, and takes the file over.
 * The status and all headers but those of ranges are set. */
void site_send(struct site_file *file, const struct byte_range *ranges, unsigned count,
               const char *content_type, int64_t now_ms, struct response *response);

#endif
