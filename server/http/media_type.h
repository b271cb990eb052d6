/* The content types of files, by the ending of their name. Static. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_MEDIA_TYPE_H
#define GALLEY_SERVER_HTTP_MEDIA_TYPE_H

#include "base/slice.h"

/* "text/css; charset=utf-8" for "a/b.CSS"; "application/octet-stream" where the ending says
 * nothing.
 */
const char *media_type(struct slice name);

/* Whether such a file is worth compressing. */
bool media_type_is_text(const char *type);

#endif
