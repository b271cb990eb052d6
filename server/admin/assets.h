/* The files of admin-ui/ and its libraries, as tools/embed.mjs puts them into the program. */
#ifndef GALLEY_SERVER_ADMIN_ASSETS_H
#define GALLEY_SERVER_ADMIN_ASSETS_H

#include "server/http/accept.h"

struct asset {
    const char *path; /* below /_/assets/DIRECTORY/ */
    const char *content_type;
    const char *etag;                 /* of the plain form, with its quotes */
    struct slice forms[CODING_COUNT]; /* by enum coding; empty where it would not be smaller */
};

extern const struct asset assets[];
extern const unsigned asset_count;

/* Changes with any byte of any file: what was served below it never changes. */
extern const char assets_directory[];

#endif
