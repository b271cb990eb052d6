/* Tuples as bytes. Every part begins with a byte for its type, which orders the types, and says
 * itself where it ends, so that parts can follow each other. docs/format.md has the layout. */
#include "storage/key.h"

#include "base/hash.h"

#include <assert.h>
#include <endian.h>
#include <math.h>

enum tag {
    TAG_COLLECTION = 0x08,
    TAG_INDEX = 0x09,
    TAG_JOURNAL = 0x0a,
    TAG_NULL = 0x10,
    TAG_FALSE = 0x20,
    TAG_TRUE = 0x21,
    TAG_NUMBER = 0x30,
    TAG_STRING = 0x40,
    TAG_ID = 0x50,
};

#define NUMBER_SIZE  11 /* tag, 8 bytes of double, 2 bytes of rest */
#define ID_SIZE      17 /* tag, 16 bytes */
#define CATALOG_SIZE 4  /* tag, 3 bytes */

/* Within a string a zero byte means something, by what follows it; anything but these is the next
 * part's tag or the end of the key: the string has ended. */
#define ESCAPED_NUL 0xff
#define CUT_HERE    0xfe /* 8 bytes of hash follow, and nothing ends the string */
#define CUT_SIZE    10   /* the zero, CUT_HERE and the hash */

void key_init(struct key *key)
{
    key->len = 0;
    key->cut = false;
}

void key_init_from(struct key *key, const struct key *prefix)
{
    memcpy(key->bytes, prefix->bytes, prefix->len);
    key->len = prefix->len;
    key->cut = prefix->cut;
}

/* ---- Adding. */

static void add_byte(struct key *key, uint8_t byte)
{
    assert(key->len < STORE_KEY_MAX);
    key->bytes[key->len++] = byte;
}

static void add_bytes(struct key *key, const void *bytes, size_t len)
{
    assert(len <= (size_t)(STORE_KEY_MAX - key->len));
    memcpy(key->bytes + key->len, bytes, len);
    key->len = (uint16_t)(key->len + len);
}

/* Room for a part of `size` bytes; returns where what follows its tag is to be written. */
static uint8_t *add_part(struct key *key, enum tag tag, size_t size)
{
    assert(size <= (size_t)(STORE_KEY_MAX - key->len));
    uint8_t *at = key->bytes + key->len;
    key->len = (uint16_t)(key->len + size);
    *at = tag;
    return at + 1;
}

void key_add_null(struct key *key)
{
    add_byte(key, TAG_NULL);
}

void key_add_bool(struct key *key, bool value)
{
    add_byte(key, value ? TAG_TRUE : TAG_FALSE);
}

/* Bits of a double that compare as unsigned numbers the way the doubles do. */
static uint64_t ordered_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double unordered_bits(uint64_t bits)
{
    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A number is the nearest double and what is missing from it to the true value: nothing for a
 * double, up to 512 either way for an integer of more than 53 bits. Rounding never changes the
 * order of two numbers, at most makes them equal; then the rest decides. */
static void add_number(struct key *key, double nearest, int rest)
{
    uint64_t bits = htobe64(ordered_bits(nearest));
    uint16_t offset = htobe16((uint16_t)(rest + 0x8000));
    uint8_t *at = add_part(key, TAG_NUMBER, NUMBER_SIZE);
    memcpy(at, &bits, sizeof bits);
    memcpy(at + sizeof bits, &offset, sizeof offset);
}

void key_add_i64(struct key *key, int64_t value)
{
    double nearest = (double)value;
    /* 2^63 is a double but not an int64. */
    int64_t rest = nearest >= 0x1p63 ? value - INT64_MAX - 1 : value - (int64_t)nearest;
    add_number(key, nearest, (int)rest);
}

void key_add_f64(struct key *key, double value)
{
    assert(!isnan(value));
    add_number(key, value == 0 ? 0 : value, 0); /* one zero, not two */
}

void key_add_id(struct key *key, const struct id *id)
{
    memcpy(add_part(key, TAG_ID, ID_SIZE), id->bytes, sizeof id->bytes);
}

/* ---- Numbers of the catalog. */

static void add_catalog_number(struct key *key, enum tag tag, unsigned number)
{
    assert(number <= KEY_CATALOG_MAX);
    uint32_t bytes = htobe32((uint32_t)tag << 24 | number);
    add_bytes(key, &bytes, sizeof bytes);
}

void key_add_collection(struct key *key, unsigned number)
{
    add_catalog_number(key, TAG_COLLECTION, number);
}

void key_add_index(struct key *key, unsigned number)
{
    add_catalog_number(key, TAG_INDEX, number);
}

void key_add_journal(struct key *key, unsigned number)
{
    add_catalog_number(key, TAG_JOURNAL, number);
}

/* ---- Strings. */

/* Escapes as much as fits into `room` bytes, whole characters of ours; returns what was taken. */
static size_t add_escaped(struct key *key, struct slice value, size_t room)
{
    size_t i;
    for (i = 0; i < value.len; i++) {
        size_t need = value.ptr[i] == 0 ? 2 : 1;
        if (need > room)
            break;
        room -= need;
        add_byte(key, (uint8_t)value.ptr[i]);
        if (need == 2)
            add_byte(key, ESCAPED_NUL);
    }
    return i;
}

static size_t escaped_len(struct slice value)
{
    size_t len = value.len;
    for (size_t i = 0; i < value.len; i++)
        len += value.ptr[i] == 0;
    return len;
}

/* What nearly all strings are: without a zero, and with room. */
static bool add_plain(struct key *key, struct slice value, size_t max_bytes)
{
    if (value.len == 0 || value.len + 2 > max_bytes || memchr(value.ptr, 0, value.len))
        return false;
    add_bytes(key, value.ptr, value.len);
    add_byte(key, 0);
    return true;
}

void key_add_string_within(struct key *key, struct slice value, size_t max_bytes)
{
    assert(max_bytes >= 1 + CUT_SIZE);
    add_byte(key, TAG_STRING);
    if (add_plain(key, value, max_bytes))
        return;
    if (value.len < max_bytes && escaped_len(value) + 2 <= max_bytes) {
        add_escaped(key, value, max_bytes);
        add_byte(key, 0);
        return;
    }
    uint64_t hash = htobe64(hash_bytes(value));
    add_escaped(key, value, max_bytes - 1 - CUT_SIZE);
    add_byte(key, 0);
    add_byte(key, CUT_HERE);
    add_bytes(key, &hash, sizeof hash);
    key->cut = true;
}

void key_add_string(struct key *key, struct slice value)
{
    key_add_string_within(key, value, (size_t)(STORE_KEY_MAX - key->len));
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Of eight digits and dashes: capital letters alone have the bit 0x40 and not 0x20. */
static bool has_capital(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return (bytes & ~(bytes << 1) & EACH_BYTE(0x40)) != 0;
}

/* An id is written in one way only, so that it comes back as the same text. */
static bool is_canonical(struct slice text, struct id *out)
{
    if (!id_parse(text, out))
        return false;
    bool capital = has_capital(text.ptr + text.len - 8);
    for (size_t i = 0; text.len - i >= 8; i += 8)
        capital |= has_capital(text.ptr + i);
    return !capital;
}

void key_add_text(struct key *key, struct slice text, size_t max_bytes)
{
    struct id id;
    if (is_canonical(text, &id))
        key_add_id(key, &id);
    else
        key_add_string_within(key, text, max_bytes);
}

/* ---- Ranges. */

static uint8_t byte_at(struct slice s, size_t i)
{
    return (uint8_t)s.ptr[i];
}

/* The zero that ends the prefix's string may not be the end of the key's. */
bool key_has_prefix(struct slice key, const struct key *prefix)
{
    if (key.len < prefix->len || memcmp(key.ptr, prefix->bytes, prefix->len) != 0)
        return false;
    return key.len == prefix->len || byte_at(key, prefix->len) < CUT_HERE;
}

/* Above every tag, and at or below what a string goes on with. */
void key_add_end(struct key *key)
{
    add_byte(key, CUT_HERE);
}

void key_add_before(struct key *key, enum key_type type)
{
    static const uint8_t tags[] = {TAG_NUMBER, TAG_STRING, TAG_ID};
    add_byte(key, tags[type]);
}

void key_add_behind(struct key *key, enum key_type type)
{
    key_add_before(key, type);
    key->bytes[key->len - 1]++;
}

bool key_add_string_begin(struct key *key, struct slice value, size_t max_bytes)
{
    add_byte(key, TAG_STRING);
    return add_escaped(key, value, max_bytes - 1 - CUT_SIZE) < value.len;
}

/* ---- Taking. */

static bool begins_with(struct slice rest, enum tag tag, size_t size)
{
    return rest.len >= size && byte_at(rest, 0) == tag;
}

static void skip(struct slice *rest, size_t size)
{
    rest->ptr += size;
    rest->len -= size;
}

struct number {
    double nearest;
    int rest;
};

static bool take_number(struct slice *rest, struct number *out)
{
    if (!begins_with(*rest, TAG_NUMBER, NUMBER_SIZE))
        return false;
    uint64_t bits;
    memcpy(&bits, rest->ptr + 1, sizeof bits);
    uint16_t offset;
    memcpy(&offset, rest->ptr + 9, sizeof offset);
    *out = (struct number){unordered_bits(be64toh(bits)), be16toh(offset) - 0x8000};
    skip(rest, NUMBER_SIZE);
    return !isnan(out->nearest);
}

bool key_take_i64(struct slice *rest, int64_t *out)
{
    struct slice after = *rest;
    struct number number;
    if (!take_number(&after, &number) || fabs(number.nearest) > 0x1p63)
        return false;
    if (number.rest == 0 && fabs(number.nearest) < 0x1p53) { /* a double has all of it */
        *out = (int64_t)number.nearest;
        bool whole = (double)*out == number.nearest && (*out != 0 || !signbit(number.nearest));
        if (whole)
            *rest = after;
        return whole;
    }
    bool top = number.nearest >= 0x1p63;
    int64_t base = top ? INT64_MAX : (int64_t)number.nearest;
    if (__builtin_add_overflow(base, (int64_t)number.rest + top, out))
        return false;
    /* A fraction, or a rest that no integer has, does not come back as it was. */
    struct key again;
    key_init(&again);
    key_add_i64(&again, *out);
    if (memcmp(again.bytes, rest->ptr, NUMBER_SIZE) != 0)
        return false;
    *rest = after;
    return true;
}

bool key_take_f64(struct slice *rest, double *out)
{
    struct slice after = *rest;
    struct number number;
    if (!take_number(&after, &number))
        return false;
    *out = number.nearest;
    *rest = after;
    return true;
}

bool key_take_id(struct slice *rest, struct id *out)
{
    if (!begins_with(*rest, TAG_ID, ID_SIZE))
        return false;
    memcpy(out->bytes, rest->ptr + 1, sizeof out->bytes);
    skip(rest, ID_SIZE);
    return true;
}

bool key_take_text(struct slice *rest, char *out, size_t size)
{
    struct id id;
    if (size < ID_TEXT_SIZE || !key_take_id(rest, &id))
        return key_take_string(rest, out, size);
    id_format(&id, out);
    return true;
}

/* The byte that follows a zero at i, or 0 at the end of the key. */
static uint8_t meaning(struct slice key, size_t i)
{
    return i + 1 < key.len ? byte_at(key, i + 1) : 0;
}

/* What nearly all strings are: without a zero within. */
static bool take_plain(struct slice *rest, char *out, size_t size)
{
    const char *end = memchr(rest->ptr + 1, 0, rest->len - 1);
    size_t part = end ? (size_t)(end - rest->ptr) + 1 : 0; /* with tag and zero */
    if (!end || part - 1 > size || meaning(*rest, part - 1) >= CUT_HERE)
        return false;
    memcpy(out, rest->ptr + 1, part - 1);
    skip(rest, part);
    return true;
}

bool key_take_string(struct slice *rest, char *out, size_t size)
{
    if (!begins_with(*rest, TAG_STRING, 2))
        return false;
    if (take_plain(rest, out, size))
        return true;
    size_t len = 0;
    for (size_t i = 1; i < rest->len && len < size; i++) {
        if (byte_at(*rest, i) != 0) {
            out[len++] = rest->ptr[i];
        } else if (meaning(*rest, i) == ESCAPED_NUL) {
            out[len++] = 0;
            i++;
        } else {
            out[len] = 0;
            bool whole = meaning(*rest, i) != CUT_HERE;
            if (whole)
                skip(rest, i + 1);
            return whole;
        }
    }
    return false;
}

/* How long the string part is that the key begins with, 0 if it has no end. */
static size_t string_size(struct slice key)
{
    for (size_t i = 1; i < key.len; i++) {
        if (byte_at(key, i) != 0)
            continue;
        if (meaning(key, i) == CUT_HERE)
            return i + CUT_SIZE;
        if (meaning(key, i) != ESCAPED_NUL)
            return i + 1;
        i++;
    }
    return 0;
}

bool key_skip(struct slice *rest)
{
    static const uint8_t sizes[256] = {
        [TAG_NULL] = 1,
        [TAG_FALSE] = 1,
        [TAG_TRUE] = 1,
        [TAG_NUMBER] = NUMBER_SIZE,
        [TAG_ID] = ID_SIZE,
        [TAG_COLLECTION] = CATALOG_SIZE,
        [TAG_INDEX] = CATALOG_SIZE,
        [TAG_JOURNAL] = CATALOG_SIZE,
    };
    if (rest->len == 0)
        return false;
    size_t size = begins_with(*rest, TAG_STRING, 1) ? string_size(*rest) : sizes[byte_at(*rest, 0)];
    if (size == 0 || size > rest->len)
        return false;
    skip(rest, size);
    return true;
}

/* ---- For people. */

static void print_bytes(struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = byte_at(bytes, i);
        if (byte >= 0x20 && byte < 0x7f)
            buf_append_char(out, (char)byte);
        else
            buf_printf(out, "\\x%02x", byte);
    }
}

static void print_number(struct buf *out, struct slice part)
{
    int64_t whole;
    double real = NAN;
    if (key_take_i64(&part, &whole)) {
        buf_append_i64(out, whole);
    } else {
        key_take_f64(&part, &real);
        buf_printf(out, "%.17g", real);
    }
}

static void print_id(struct buf *out, struct slice part)
{
    struct id id;
    key_take_id(&part, &id);
    char text[ID_TEXT_SIZE];
    id_format(&id, text);
    buf_append_str(out, text);
}

static void print_catalog_number(struct buf *out, struct slice part)
{
    static const char *const names[] = {
        [TAG_COLLECTION] = "collection", [TAG_INDEX] = "index", [TAG_JOURNAL] = "journal"};
    uint32_t bytes;
    memcpy(&bytes, part.ptr, sizeof bytes);
    uint32_t number = be32toh(bytes);
    buf_printf(out, "%s %u", names[number >> 24], number & KEY_CATALOG_MAX);
}

static void print_part(struct buf *out, struct slice part)
{
    switch (byte_at(part, 0)) {
    case TAG_NULL:
        buf_append_str(out, "null");
        break;
    case TAG_FALSE:
        buf_append_str(out, "false");
        break;
    case TAG_TRUE:
        buf_append_str(out, "true");
        break;
    case TAG_NUMBER:
        print_number(out, part);
        break;
    case TAG_STRING:
        print_bytes(out, slice_of(part.ptr + 1, part.len - 2)); /* without tag and end */
        break;
    case TAG_COLLECTION:
    case TAG_INDEX:
    case TAG_JOURNAL:
        print_catalog_number(out, part);
        break;
    case TAG_ID:
        print_id(out, part);
        break;
    default:
        assert(false);
    }
}

void key_print(struct buf *out, struct slice key)
{
    struct slice rest = key;
    while (key_skip(&rest)) {
        print_part(out, slice_of(key.ptr, (size_t)(rest.ptr - key.ptr)));
        if (rest.len > 0)
            buf_append_char(out, '/');
        key = rest;
    }
    print_bytes(out, rest); /* what is not of our making */
}
