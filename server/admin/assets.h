/* The files of admin-ui/ and its libraries, as tools/embed.sh puts them into the program. */
#ifndef GALLEY_SERVER_ADMIN_ASSETS_H
#define GALLEY_SERVER_ADMIN_ASSETS_H

#include <stddef.h>

struct asset {
    const char *path; /* below /_/assets/ */
    const char *content_type;
    const char *etag; /* with its quotes; changes with the bytes */
    const unsigned char *bytes;
    size_t size;
};

extern const struct asset assets[];
extern const unsigned asset_count;

#endif
