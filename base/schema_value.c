#include "base/hash.h"
#include "base/schema_private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Order */

static int compare_mixed(int64_t a, double b)
{
    if (b >= 9223372036854775808.0)
        return -1;
    if (b < -9223372036854775808.0)
        return 1;
    double whole = trunc(b);
    int64_t rounded = (int64_t)whole;
    if (a != rounded)
        return a < rounded ? -1 : 1;
    return (whole > b) - (whole < b);
}

int schema_compare(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        int64_t left = json_integer_value(a), right = json_integer_value(b);
        return (left > right) - (left < right);
    }
    if (json_is_integer(a))
        return compare_mixed(json_integer_value(a), json_real_value(b));
    if (json_is_integer(b))
        return -compare_mixed(json_integer_value(b), json_real_value(a));
    double left = json_real_value(a), right = json_real_value(b);
    return (left > right) - (left < right);
}

/* ---- Multiples. 0.0075 is no double, but 75 of 10^-4 is what was written, and dividing whole
 * numbers is exact. */

struct decimal {
    uint64_t digits;
    int exponent; /* of 10 */
};

/* The shortest decimal that reads back as the number. */
static struct decimal decimal_of(const json_t *value)
{
    struct decimal d = {0, 0};
    if (json_is_integer(value)) {
        int64_t integer = json_integer_value(value);
        d.digits = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
        return d;
    }
    double real = fabs(json_real_value(value));
    char text[40];
    for (int digits = 14; digits <= 16; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    char *at = text;
    for (bool fraction = false; *at != 'e'; at++) {
        if (*at < '0' || *at > '9') {
            fraction = true;
            continue;
        }
        d.digits = d.digits * 10 + (uint64_t)(*at - '0');
        d.exponent -= fraction;
    }
    d.exponent += (int)strtol(at + 1, NULL, 10);
    for (; d.digits > 0 && d.digits % 10 == 0; d.exponent++)
        d.digits /= 10;
    return d;
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

static uint64_t power_of_10(unsigned exponent, uint64_t modulus)
{
    uint64_t result = 1 % modulus, factor = 10 % modulus;
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1)
            result = multiply(result, factor, modulus);
        factor = multiply(factor, factor, modulus);
    }
    return result;
}

bool schema_is_multiple(const json_t *value, const json_t *of)
{
    struct decimal a = decimal_of(value), b = decimal_of(of);
    assert(b.digits > 0); /* it is above 0 */
    if (a.digits == 0)
        return true;
    for (; a.exponent < b.exponent && a.digits % 10 == 0; a.exponent++)
        a.digits /= 10;
    if (a.exponent < b.exponent) /* a is no multiple of 10^b.exponent, which b is */
        return false;
    unsigned above = (unsigned)(a.exponent - b.exponent);
    return multiply(a.digits % b.digits, power_of_10(above, b.digits), b.digits) == 0;
}

/* ---- Equality */

static bool equal_arrays(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!schema_equal(json_array_get(a, i), json_array_get(b, i)))
            return false;
    }
    return true;
}

static bool equal_objects(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)a, name, member) /* iterated, not written */
    {
        const json_t *other = json_object_get(b, name);
        if (!other || !schema_equal(member, other))
            return false;
    }
    return true;
}

bool schema_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return schema_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a))
        return equal_arrays(a, b);
    if (json_is_object(a))
        return equal_objects(a, b);
    return json_equal(a, b);
}

/* ---- Hashes, keyed: values come from strangers. */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t pair[] = {a, b};
    return hash_keyed(slice_of(pair, sizeof pair));
}

/* A real that is whole has the hash of the integer. */
static uint64_t hash_number(const json_t *value)
{
    double real = json_number_value(value);
    bool whole = json_is_integer(value) || (real == trunc(real) && fabs(real) < 9.2e18);
    int64_t integer = json_is_integer(value) ? json_integer_value(value)
                      : whole                ? (int64_t)real
                                             : 0;
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return whole ? mix(JSON_INTEGER, (uint64_t)integer) : mix(JSON_REAL, bits);
}

static uint64_t hash_container(const json_t *value)
{
    uint64_t hash = mix(json_typeof(value), json_array_size(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        hash = mix(hash, schema_hash(json_array_get(value, i)));
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member) /* in any order: so it is a sum */
        hash += mix(hash_keyed(slice_str(name)), schema_hash(member));
    return hash;
}

uint64_t schema_hash(const json_t *value)
{
    if (json_is_number(value))
        return hash_number(value);
    if (json_is_string(value))
        return hash_keyed(slice_of(json_string_value(value), json_string_length(value)));
    if (json_is_array(value) || json_is_object(value))
        return hash_container(value);
    return mix(json_typeof(value), 0);
}
