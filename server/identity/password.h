/* Passwords, hashed with scrypt (RFC 7914) through OpenSSL: N = 2^14, r = 8, p = 5, 16 MiB each
 * (one of the equal choices of OWASP's password storage advice, the one with the least memory).
 * Who lets strangers ask for it bounds how many run at once: logins.h does. */
#ifndef GALLEY_SERVER_IDENTITY_PASSWORD_H
#define GALLEY_SERVER_IDENTITY_PASSWORD_H

#include "base/err.h"
#include "base/slice.h"

#define PASSWORD_HASH_SIZE 128
#define PASSWORD_MAX       256 /* bytes; longer ones are refused before hashing */

/* "scrypt$14$8$5$<salt, base64>$<hash, base64>" with a new random salt. Blocks for about a fifth
 * of a second. Threads: any. */
void password_hash(struct slice password, char out[PASSWORD_HASH_SIZE]);

/* ERR_OK if the password made `hash`, else ERR_UNAUTHENTICATED. A NULL or unreadable hash costs the
 * same time and is wrong: callers pass NULL for an unknown user. Threads: any. */
enum err password_verify(struct slice password, const char *hash);

#endif
