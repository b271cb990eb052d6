#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

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

uint64_t hash_bytes2(struct slice a, struct slice b)
{
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
