/* The administrators: who may sign in to /_/, and what they may do there. One collection,
 * "_administrators": {"id": <name>, "role", "passwordHash", "createdAt"}; without a role it is one
 * of an older version, who may do everything. Owns their sessions.
 *
 * Threads: any, after opening. Functions with a txn run in the caller's write. */
#ifndef GALLEY_SERVER_IDENTITY_ADMINISTRATORS_H
#define GALLEY_SERVER_IDENTITY_ADMINISTRATORS_H

#include "base/json.h"
#include "server/identity/password.h"
#include "server/identity/session.h"
#include "storage/store.h"

struct administrators;

/* Threads: main. */
enum err administrators_open(struct store *store, int64_t now_ms, struct administrators **out,
                             char *why, size_t why_size);
void administrators_close(struct administrators **administrators);

struct sessions *administrators_sessions(struct administrators *administrators);

/* Whether there is any. */
bool administrators_exist(const struct administrators *administrators);

struct administrator {
    enum admin_role role;
    char hash[PASSWORD_HASH_SIZE];
};

/* ERR_NOT_FOUND when there is nobody of that name. */
enum err administrators_find(struct administrators *administrators, const char *name,
                             struct administrator *out);

/* A new array of {"username", "role", "createdAt"}, in the order of names. */
enum err administrators_list(struct administrators *administrators, json_t **out);

/* ---- Changing. Each gives the administrator afterwards, as in a list. ERR_NOT_FOUND if nobody has
 * the name; ERR_CONFLICT, which does not stick, if nobody would be left who may do everything. */

/* ERR_EXISTS if the name is taken, or if `only_first` and there is any administrator. */
enum err administrators_add(struct administrators *administrators, struct txn *txn,
                            const char *name, enum admin_role role, const char *password_hash,
                            bool only_first, json_t **out);
/* These three end the sessions of the one they are about. */
enum err administrators_set_password(struct administrators *administrators, struct txn *txn,
                                     const char *name, const char *password_hash, json_t **out);
enum err administrators_set_role(struct administrators *administrators, struct txn *txn,
                                 const char *name, enum admin_role role, json_t **out);
enum err administrators_remove(struct administrators *administrators, struct txn *txn,
                               const char *name, json_t **out);

#endif
