#include "server/identity/logins.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rate_limit.h"
#include "server/identity/turns.h"

#include <stdatomic.h>
#include <stdlib.h>

#define MINUTE_S    60
#define HOUR_S      3600
#define DAY_S       86400
#define PATIENCE_MS 5000
#define BUSY_S      1 /* after which a place may be free again */

/* The buckets of each door. The last two are none to be emptied: taking one token leaves a mark for
 * as long as the bucket takes to fill again. */
enum bucket { OF_NETWORK, OF_NAME_AND_NETWORK, OF_NAME, NAME_KNOWN, NETWORK_KNOWN, BUCKETS };

static const struct rate_limit limits[BUCKETS] = {
    [OF_NETWORK] = {.count = 10, .window_s = MINUTE_S, .burst = 10},
    [OF_NAME_AND_NETWORK] = {.count = 30, .window_s = HOUR_S, .burst = 10},
    [OF_NAME] = {.count = 100, .window_s = HOUR_S, .burst = 100},
    [NAME_KNOWN] = {.count = 1, .window_s = 30 * DAY_S, .burst = 1},
    [NETWORK_KNOWN] = {.count = 1, .window_s = DAY_S, .burst = 1},
};

struct door {
    struct turns *turns;
    atomic_ullong right, wrong, limited, overloaded;
};

struct logins {
    const struct clock *clock;
    struct rate_table *rates;
    struct door doors[LOGIN_DOORS];
};

static unsigned at_most(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

struct logins *logins_create(unsigned workers, const struct clock *clock)
{
    struct logins *logins = mem_zalloc(sizeof *logins);
    unsigned users = at_most(32, (workers + 5) / 6),
             administrators = at_most(8, (workers + 11) / 12);
    logins->clock = clock;
    logins->rates = rate_table_create();
    logins->doors[LOGIN_USERS].turns = turns_create(&(struct turns_options){
        .at_once = 2,
        .waiting = users,
        .waiting_own = at_most(8, users),
        .patience_ms = PATIENCE_MS,
    });
    logins->doors[LOGIN_ADMINISTRATORS].turns = turns_create(&(struct turns_options){
        .at_once = 1,
        .waiting = administrators,
        .waiting_own = at_most(4, administrators),
        .patience_ms = PATIENCE_MS,
    });
    return logins;
}

void logins_destroy(struct logins **logins)
{
    if (!*logins)
        return;
    for (unsigned i = 0; i < LOGIN_DOORS; i++)
        turns_destroy(&(*logins)->doors[i].turns);
    rate_table_destroy(&(*logins)->rates);
    free(*logins);
    *logins = NULL;
}

/* ---- Wrong passwords */

typedef struct rate_verdict (*ask_fn)(struct rate_table *table, const struct rate_limit *limit,
                                      uint64_t scope, struct slice key, int64_t mono_ns);

static struct rate_verdict ask(struct logins *logins, const struct login *login, enum bucket bucket,
                               ask_fn fn)
{
    uint64_t key[2] = {
        bucket == OF_NETWORK || bucket == NETWORK_KNOWN ? 0 : hash_keyed(login->name),
        bucket == OF_NAME ? 0 : hash_keyed(login->network),
    };
    return fn(logins->rates, &limits[bucket], login->door * BUCKETS + bucket,
              slice_of(key, sizeof key), clock_mono_ns(logins->clock));
}

static bool is_marked(struct logins *logins, const struct login *login, enum bucket mark)
{
    return !ask(logins, login, mark, rate_table_look).allowed;
}

/* 0: none of the limits is reached; else the seconds until none is. */
static uint32_t limited_s(struct logins *logins, const struct login *login)
{
    uint32_t longest_s = 0;
    for (enum bucket bucket = OF_NETWORK; bucket <= OF_NAME; bucket++) {
        struct rate_verdict verdict = ask(logins, login, bucket, rate_table_look);
        bool exempt = bucket == OF_NAME && is_marked(logins, login, NAME_KNOWN);
        if (verdict.retry_after_s > longest_s && !exempt)
            longest_s = verdict.retry_after_s;
    }
    return longest_s;
}

static unsigned faults_of(struct logins *logins, const struct login *login)
{
    struct rate_verdict verdict = ask(logins, login, OF_NETWORK, rate_table_look);
    return limits[OF_NETWORK].burst - verdict.remaining - verdict.allowed;
}

static void note_wrong(struct logins *logins, const struct login *login)
{
    ask(logins, login, OF_NETWORK, rate_table_take);
    ask(logins, login, OF_NAME_AND_NETWORK, rate_table_take);
    if (!is_marked(logins, login, NAME_KNOWN))
        ask(logins, login, OF_NAME, rate_table_take);
}

static void note_right(struct logins *logins, const struct login *login)
{
    ask(logins, login, NAME_KNOWN, rate_table_take);
    ask(logins, login, NETWORK_KNOWN, rate_table_take);
}

/* ---- Checking */

/* In its turn. The limits are looked at again, as those who ran meanwhile may have reached them. */
static enum err check_now(struct logins *logins, const struct login *login, uint32_t *retry_after_s)
{
    *retry_after_s = limited_s(logins, login);
    if (*retry_after_s > 0)
        return ERR_LIMITED;
    enum err err = password_verify(login->password, login->hash);
    if (err)
        note_wrong(logins, login);
    else
        note_right(logins, login);
    return err;
}

static enum err check_in_turn(struct logins *logins, const struct login *login,
                              uint32_t *retry_after_s)
{
    struct turns *turns = logins->doors[login->door].turns;
    struct turn turn;
    *retry_after_s = limited_s(logins, login);
    if (*retry_after_s > 0)
        return ERR_LIMITED;
    *retry_after_s = BUSY_S;
    struct turn_asker asker = {.network = login->network,
                               .faults = faults_of(logins, login),
                               .trusted = is_marked(logins, login, NETWORK_KNOWN)};
    enum err err = turns_wait(turns, &asker, &turn);
    if (err)
        return err;
    err = check_now(logins, login, retry_after_s);
    turns_end(turns, &turn, err == ERR_UNAUTHENTICATED);
    return err;
}

static void count(struct door *door, enum err err)
{
    switch (err) {
    case ERR_OK:
        door->right++;
        break;
    case ERR_LIMITED:
        door->limited++;
        break;
    case ERR_OVERLOADED:
        door->overloaded++;
        break;
    default:
        door->wrong++;
    }
}

enum err logins_check(struct logins *logins, const struct login *login, uint32_t *retry_after_s)
{
    enum err err = check_in_turn(logins, login, retry_after_s);
    count(&logins->doors[login->door], err);
    return err;
}

enum err logins_hash(struct logins *logins, enum login_door door, struct slice network,
                     struct slice password, char out[PASSWORD_HASH_SIZE], uint32_t *retry_after_s)
{
    struct turns *turns = logins->doors[door].turns;
    struct turn turn;
    *retry_after_s = BUSY_S;
    enum err err = turns_wait(turns, &(struct turn_asker){.network = network}, &turn);
    if (err)
        return err;
    password_hash(password, out);
    turns_end(turns, &turn, false);
    return ERR_OK;
}

void logins_stats(struct logins *logins, enum login_door i, struct logins_stats *out)
{
    struct door *door = &logins->doors[i];
    *out = (struct logins_stats){
        .right = door->right,
        .wrong = door->wrong,
        .limited = door->limited,
        .overloaded = door->overloaded,
        .waiting = turns_waiting(door->turns),
    };
}
