/* What is done to users and administrators from outside: a table of actions over JSON, behind three
 * doors that are the same: the admin pages, `galley user` and `galley admin` on a running server,
 * and the same on a stopped one. docs/admin-api.md says what each takes and gives. */
#ifndef GALLEY_SERVER_IDENTITY_MANAGE_H
#define GALLEY_SERVER_IDENTITY_MANAGE_H

#include "base/schema.h"
#include "server/identity/administrators.h"
#include "server/identity/users.h"

struct manage {
    struct store *store;
    struct users *users;
    struct administrators *administrators;
};

struct manage_action {
    const char *name;     /* "users/add", below /_/api/ */
    enum admin_role role; /* that it takes at least */
    bool own;             /* or to be the one whom it is about */
    bool hashes;          /* takes a password */
    int status;           /* of the answer when all is well */
    const char *schema;   /* of the body */
    enum err (*run)(const struct manage *manage, struct txn *txn, const json_t *body,
                    const char *password_hash, json_t **out);
};

/* NULL if there is no such. Threads: any. */
const struct manage_action *manage_find(struct slice name);

/* Its schema, compiled, for the life of the process. Threads: any, after manage_init. */
const struct schema *manage_schema(const struct manage_action *action);
void manage_init(void);    /* Threads: main; once more is fine */
void manage_release(void); /* Threads: main */

/* What came of it: with ERR_OK `body` is the answer, else `code` and `message`, where they are not
 * NULL, say more than the error does, and `details` which field is wrong. */
struct manage_outcome {
    enum err err;
    const char *code, *message;
    json_t *body, *details; /* owned */
};

/* Whether `body`, which fits the schema, may be run: what a schema cannot say. */
bool manage_check(const json_t *body, struct manage_outcome *out);

/* Commits. The hash is of the body's password where the action takes one, else NULL. */
void manage_run(const struct manage *manage, const struct manage_action *action, const json_t *body,
                const char *password_hash, struct manage_outcome *out);

void manage_outcome_release(struct manage_outcome *outcome);

/* Appends a page of users (users_list). */
enum err manage_list_users(const struct manage *manage, const struct users_page *page,
                           struct buf *out);

#endif
