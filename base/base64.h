/* Base64 and base64url (RFC 4648, the latter without padding as JOSE uses it). Threads: any. */
#ifndef GALLEY_BASE_BASE64_H
#define GALLEY_BASE_BASE64_H

#include "base/buf.h"

void base64_append(struct buf *out, struct slice bytes);
void base64url_append(struct buf *out, struct slice bytes);

/* Strict: no white space, no padding for url, no stray bits; else false and nothing is appended. */
bool base64_decode(struct slice text, struct buf *out);
bool base64url_decode(struct slice text, struct buf *out);

#endif
