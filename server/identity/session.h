/* Sessions of administrators: a random token in a cookie, kept here only as its hash, so that a
 * core dump or a swapped page gives nobody a session. In memory: a restart signs everyone out.
 * Bounded: the one unused for longest makes room. Threads: any. Time is monotonic milliseconds. */
#ifndef GALLEY_SERVER_IDENTITY_SESSION_H
#define GALLEY_SERVER_IDENTITY_SESSION_H

#include "base/slice.h"

#define SESSIONS_MAX       64
#define SESSION_IDLE_MS    (12 * 3600 * 1000LL)
#define SESSION_TOKEN_SIZE 44 /* 256 random bits: 43 characters of base64url and the NUL */
#define SESSION_USER_MAX   64

struct session {
    char user[SESSION_USER_MAX + 1];
    char csrf[SESSION_TOKEN_SIZE]; /* what X-CSRF-Token must say in this session */
};

struct sessions;

struct sessions *sessions_create(void);
void sessions_destroy(struct sessions **sessions);

/* Fills with new unguessable text. */
void session_token_make(char out[SESSION_TOKEN_SIZE]);

/* Compares in a time that does not depend on where they differ. */
bool session_token_is(struct slice given, const char *token);

/* Begins a session; its token goes to the cookie. `user` is at most SESSION_USER_MAX bytes. */
void sessions_begin(struct sessions *sessions, struct slice user, int64_t now_ms,
                    char token[SESSION_TOKEN_SIZE]);

/* True if the token's session is alive, which counts as using it; `out` may be NULL. */
bool sessions_use(struct sessions *sessions, struct slice token, int64_t now_ms,
                  struct session *out);

void sessions_end(struct sessions *sessions, struct slice token);

#endif
