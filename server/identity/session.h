/* Sessions of administrators: a random token in a cookie, kept only as its hash, so that neither a
 * core dump nor a copy of the data gives anybody a session. They outlive a restart, and end after
 * a day at the latest, or half a day without use. The store is written where they begin and end,
 * never where they are used; if it cannot be, they still work, until a restart.
 * Bounded: the one unused for longest makes room. Threads: any. Time is wall clock milliseconds; a
 * session from the future, as seen when the clock was set back, is over. */
#ifndef GALLEY_SERVER_IDENTITY_SESSION_H
#define GALLEY_SERVER_IDENTITY_SESSION_H

#include "base/err.h"
#include "base/slice.h"

#define SESSIONS_MAX       64
#define SESSION_IDLE_MS    (12 * 3600 * 1000LL)
#define SESSION_LIFE_MS    (24 * 3600 * 1000LL)
#define SESSION_SKEW_MS    (60 * 1000LL) /* that the clock may be set back by */
#define SESSION_TOKEN_SIZE 44 /* 256 random bits: 43 characters of base64url and the NUL */
#define SESSION_USER_MAX   64

struct store;
struct txn;

/* What an administrator may do; each includes those before it. Stored as its name. */
enum admin_role { ADMIN_NOBODY, ADMIN_VIEWER, ADMIN_OPERATOR, ADMIN_ADMINISTRATOR };

const char *admin_role_name(enum admin_role role);  /* "viewer" */
enum admin_role admin_role_parse(const char *name); /* ADMIN_NOBODY if there is no such */

struct session {
    char user[SESSION_USER_MAX + 1];
    enum admin_role role;
    char csrf[SESSION_TOKEN_SIZE]; /* what X-CSRF-Token must say in this session */
};

struct sessions;

/* Reads those of the last run. Threads: main. */
enum err sessions_open(struct store *store, int64_t now_ms, struct sessions **out, char *why,
                       size_t why_size);
void sessions_close(struct sessions **sessions);

/* Fills with new unguessable text. */
void session_token_make(char out[SESSION_TOKEN_SIZE]);

/* Compares in a time that does not depend on where they differ. */
bool session_token_is(struct slice given, const char *token);

/* Begins a session; its token goes to the cookie. `user` is at most SESSION_USER_MAX bytes.
 * Commits. */
void sessions_begin(struct sessions *sessions, struct slice user, enum admin_role role,
                    int64_t now_ms, char token[SESSION_TOKEN_SIZE]);

/* True if the token's session is alive, which counts as using it; `out` may be NULL. */
bool sessions_use(struct sessions *sessions, struct slice token, int64_t now_ms,
                  struct session *out);

/* Commits. */
void sessions_end(struct sessions *sessions, struct slice token);

/* In a write: from the commit on all of the user's are over. */
enum err sessions_end_all(struct sessions *sessions, struct txn *txn, const char *user);

#endif
