#include "base/id.h"

#include "base/hash.h"

#define COUNTER_MAX 0xFFF

/* A kernel call for 64 ids; small, because every one of a thousand workers has its own. */
static _Thread_local struct {
    uint64_t words[64];
    size_t left;
    int64_t last_ms;
    unsigned counter;
} maker;

static uint64_t random_word(void)
{
    if (maker.left == 0) {
        random_bytes(maker.words, sizeof maker.words);
        maker.left = sizeof maker.words / sizeof maker.words[0];
    }
    return maker.words[--maker.left];
}

/* A new millisecond starts the counter in the lower half of its range, so that there is room to
 * count; a full counter borrows the next millisecond. */
static void step(int64_t now_ms, uint64_t random)
{
    if (now_ms <= maker.last_ms && maker.counter < COUNTER_MAX) {
        maker.counter++;
        return;
    }
    maker.last_ms = now_ms > maker.last_ms ? now_ms : maker.last_ms + 1;
    maker.counter = random & (COUNTER_MAX >> 1);
}

static void put_big_endian(uint8_t *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

struct id id_make(int64_t now_ms)
{
    uint64_t random = random_word();
    step(now_ms, random >> 52);
    struct id id = {{0}};
    put_big_endian(id.bytes, (uint64_t)maker.last_ms << 16 | 0x7000 | maker.counter);
    put_big_endian(id.bytes + 8, UINT64_C(2) << 62 | random >> 2);
    return id;
}

/* Eight hexadecimal digits at once: each half byte gets a byte of its own, and those above 9 what
 * lies between '9' and 'a'. */
static void put_hex(char *out, uint32_t value)
{
    uint64_t x = value;
    x = (x << 16 | x) & UINT64_C(0x0000FFFF0000FFFF);
    x = (x << 8 | x) & UINT64_C(0x00FF00FF00FF00FF);
    x = (x << 4 | x) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    uint64_t letters = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    put_big_endian((uint8_t *)out, x + UINT64_C(0x3030303030303030) + letters * ('a' - '9' - 1));
}

void id_format(const struct id *id, char out[ID_TEXT_SIZE])
{
    char hex[32];
    for (size_t i = 0; i < 4; i++) {
        uint32_t word;
        memcpy(&word, id->bytes + 4 * i, sizeof word);
        put_hex(hex + 8 * i, __builtin_bswap32(word));
    }
    memcpy(out, hex, 8);
    memcpy(out + 9, hex + 8, 4);
    memcpy(out + 14, hex + 12, 4);
    memcpy(out + 19, hex + 16, 4);
    memcpy(out + 24, hex + 20, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
    out[36] = '\0';
}

#define NO_DIGIT 0x10

/* The digits' values, one more each, so that what is not named is none. */
static const uint8_t digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool id_parse(struct slice text, struct id *out)
{
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    const uint8_t *at = (const uint8_t *)text.ptr;
    if (text.len != ID_TEXT_SIZE - 1 || at[8] != '-' || at[13] != '-' || at[18] != '-' ||
        at[23] != '-')
        return false;
    struct id id;
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof places; i++) {
        unsigned high = digits[at[places[i]]] - 1u, low = digits[at[places[i] + 1]] - 1u;
        seen |= high | low;
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (seen & NO_DIGIT)
        return false;
    *out = id;
    return true;
}

int id_compare(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
