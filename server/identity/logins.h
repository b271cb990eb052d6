/* Signing in with a name and a password: how often one may be wrong, and when it is one's turn.
 *
 * DESIGN. To check a password takes a fifth of a second of a core, so ten a second are all there is
 * on a small machine. Two run at once, and one of administrators, who have a door of their own:
 * places, queue and limits. Who waits for which place is turns.h's. Wrong passwords are counted:
 *   of a network         10 a minute, whatever the names,
 *   of name and network  30 an hour, 10 of them at once: what guessing one name from one place is,
 *   of a name            100 an hour, over all networks but those that signed in as it within 30
 *                        days: what guessing from many places is.
 * Guessing from one network therefore keeps nobody out elsewhere, and guessing from many does not
 * keep those out who come from where they came before (as long as the process runs: all of this is
 * in memory). A right password is never counted. Beyond a limit even the right one is refused, or a
 * limit would tell it from the wrong ones; names that nobody has are treated like all others.
 *
 * Threads: any. A check blocks its thread for up to 5 s and the time of a hash. */
#ifndef GALLEY_SERVER_IDENTITY_LOGINS_H
#define GALLEY_SERVER_IDENTITY_LOGINS_H

#include "base/clock.h"
#include "server/identity/password.h"

struct logins;

enum login_door { LOGIN_USERS, LOGIN_ADMINISTRATORS, LOGIN_DOORS };

/* `workers` are the threads that there are: about a quarter of them may wait at the doors. */
struct logins *logins_create(unsigned workers, const struct clock *clock);
void logins_destroy(struct logins **logins); /* with nobody at the doors */

struct login {
    enum login_door door;
    struct slice network; /* struct request's */
    struct slice name;
    struct slice password;
    const char *hash; /* of password.h; NULL: nobody has that name */
};

/* ERR_OK: the password is right. ERR_UNAUTHENTICATED: it is wrong, or nobody has the name.
 * ERR_LIMITED and ERR_OVERLOADED: nothing was checked, and *retry_after_s says when to come again.
 */
enum err logins_check(struct logins *logins, const struct login *login, uint32_t *retry_after_s);

/* Hashes a new password, in turn with those who sign in at the door. Errors as above. */
enum err logins_hash(struct logins *logins, enum login_door door, struct slice network,
                     struct slice password, char out[PASSWORD_HASH_SIZE], uint32_t *retry_after_s);

/* What came of those who asked, since the start. */
struct logins_stats {
    uint64_t right, wrong, limited, overloaded;
    unsigned waiting; /* now */
};
void logins_stats(struct logins *logins, enum login_door door, struct logins_stats *out);

#endif
