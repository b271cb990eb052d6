#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_SHORT_MAX 512

static uint8_t secret[XXH3_SECRET_SIZE_MIN];

/* Before main, so that no call has to ask whether it is there. */
__attribute__((constructor)) static void draw_secret(void)
{
    random_bytes(secret, sizeof secret);
}

uint64_t hash_bytes(struct slice s)
{
    return XXH3_64bits(s.ptr, s.len);
}

/* What most records are: copied together in less time than XXH3's state takes to be made. */
static uint64_t hash_short2(struct slice a, struct slice b)
{
    char both[HASH_SHORT_MAX];
    if (a.len > 0)
        memcpy(both, a.ptr, a.len);
    if (b.len > 0)
        memcpy(both + a.len, b.ptr, b.len);
    return XXH3_64bits(both, a.len + b.len);
}

uint64_t hash_bytes2(struct slice a, struct slice b)
{
    if (a.len + b.len <= HASH_SHORT_MAX)
        return hash_short2(a, b);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, a.ptr, a.len);
    XXH3_64bits_update(&state, b.ptr, b.len);
    return XXH3_64bits_digest(&state);
}

uint64_t hash_keyed(struct slice s)
{
    return XXH3_64bits_withSecret(s.ptr, s.len, secret, sizeof secret);
}

void random_bytes(void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        } else if (errno != EINTR) {
            perror("galley: no randomness from the kernel");
            abort();
        }
    }
}
