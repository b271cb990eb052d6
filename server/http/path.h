/* Paths and percent escapes. Pure. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_PATH_H
#define GALLEY_SERVER_HTTP_PATH_H

#include "base/buf.h"

/* The value of a hexadecimal digit; -1 for any other character. */
int hex_digit(char c);

/* Decodes and normalises a raw path in place. False if it is not one: it must begin with '/';
 * broken escapes, %2F, backslashes, control characters and invalid UTF-8 are refused. */
bool path_normalise(char *bytes, size_t len, struct slice *out);

/* Whether servers that we pass it on to might read a normalised path differently: they merge
 * slashes, or drop what stands behind a ';' in a segment. */
bool path_is_ambiguous(struct slice path);

/* Appends what they would read. False: a path that climbs. */
bool path_plain(struct slice path, struct buf *out);

/* Appends a normalised path as it may stand in a URI. */
void path_encode(struct slice path, struct buf *out);

/* Appends `text` without its percent escapes; with `plus`, '+' is a space. False: a broken escape.
 */
bool path_decode(struct slice text, bool plus, struct buf *out);

#endif
