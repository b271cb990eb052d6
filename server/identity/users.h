/* The users: who may sign in, with which password and which roles. One collection, "users":
 *
 *   {"id", "username", "name", "email", "roles": ["customer"], "passwordHash", "createdAt",
 *    "disabled": true, "generation": 2}
 *
 * Name, e-mail, disabled and generation may be missing; documents of older versions have "role".
 * The generation counts up whenever all tokens from before have to stop (bars.h). What tells others
 * about a user ("outside") has neither hash nor generation.
 *
 * Threads: any, after opening. Functions with a txn run in the caller's transaction. */
#ifndef GALLEY_SERVER_IDENTITY_USERS_H
#define GALLEY_SERVER_IDENTITY_USERS_H

#include "base/json.h"
#include "server/http/message.h"
#include "storage/store.h"

#define USER_NAME_MAX 64 /* bytes of a username */

struct users;

/* Threads: main. */
enum err users_open(struct store *store, struct users **out, char *why, size_t why_size);
void users_close(struct users **users);

/* changed(arg, id) is called after each commit that changed a user, on the store's writer thread,
 * before anybody hears of it: whoever keeps what users_outside said drops it. One at most. */
void users_watch(struct users *users, void (*changed)(void *arg, const char *id), void *arg);

/* Whether the token that was checked still counts: false from the commit on that disabled or
 * removed its user, changed the password or the roles, or signed out. */
bool users_admit(struct users *users, const struct principal *user);

/* Drops what is remembered of tokens that are over. Commits. */
enum err users_sweep(struct users *users, int64_t now_ms);

/* ---- Looking */

/* The document; ERR_NOT_FOUND if there is none. The caller owns *out. */
enum err users_load(struct users *users, struct txn *txn, struct slice id, json_t **out);
enum err users_find(struct users *users, struct txn *txn, const char *username, json_t **out);

/* A new object: what others may know of a user; `all`: also whether it is disabled. */
json_t *users_outside(const json_t *user, bool all);

bool users_is_disabled(const json_t *user);

/* Whom a token for this user names. */
void users_principal(const json_t *user, struct principal *out);

/* Appends {"data": [users_outside...], "pagination": {...}} to out, in the order of usernames.
 * ERR_VALIDATION for a cursor that nobody handed out. */
struct users_page {
    struct slice prefix; /* of the usernames */
    struct slice after;  /* the cursor of the page before */
    unsigned limit;
};
enum err users_list(struct users *users, struct txn *txn, const struct users_page *page,
                    struct buf *out);

/* ---- Changing, in a write. Each gives the user afterwards, a new object as users_outside(all).
 * ERR_NOT_FOUND if nobody has the name. */

/* `user` has username, perhaps name, email, roles; all of them checked (users_check). `id` NULL: a
 * new one. ERR_EXISTS (which does not stick) if the name is taken. */
enum err users_add(struct users *users, struct txn *txn, const char *id, const json_t *user,
                   const char *password_hash, json_t **out);
enum err users_set_password(struct users *users, struct txn *txn, const char *username,
                            const char *password_hash, json_t **out);
enum err users_set_roles(struct users *users, struct txn *txn, const char *username,
                         const json_t *roles, json_t **out);
enum err users_set_disabled(struct users *users, struct txn *txn, const char *username,
                            bool disabled, json_t **out);
enum err users_remove(struct users *users, struct txn *txn, const char *username, json_t **out);

/* Name and e-mail by the user itself; NULL: stays. */
enum err users_set_profile(struct users *users, struct txn *txn, const char *id, const char *name,
                           const char *email, json_t **out);

/* The token that has signed this user in passes no more. */
enum err users_sign_out(struct users *users, struct txn *txn, const struct principal *user);

/* ---- What may be said about a user */

/* Whoever takes them from outside has these in the JSON Schema of the body, and what fits it looked
 * at by users_check: so a name is the same through every door. */
#define USERS_SCHEMA_USERNAME                                                                      \
    "\"username\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64}"
#define USERS_SCHEMA_PROFILE                                                                       \
    "\"name\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 100}, "                     \
    "\"email\": {\"type\": \"string\", \"minLength\": 3, \"maxLength\": 200}"

/* Checks the members username, name, email and roles of an object, those that are there: NULL, or
 * the one that is wrong and why, for people. */
const char *users_check(const json_t *user, const char **reason);

#endif
