#include "server/http/accept.h"

#include <assert.h>

#define QUALITY_MAX 1000

static const char *const names[CODING_COUNT] = {
    [CODING_IDENTITY] = "identity",
    [CODING_GZIP] = "gzip",
    [CODING_BR] = "br",
};

const char *coding_name(enum coding coding)
{
    assert(coding < CODING_COUNT);
    return names[coding];
}

/* "0", "1", "0.123", "1.000": in thousandths; false for anything else. */
static bool read_quality(struct slice text, uint16_t *out)
{
    unsigned value = 0, unit = QUALITY_MAX;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1 && text.ptr[i] == '.')
            continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 1)
            return false;
        value += unit * (unsigned)(text.ptr[i] - '0');
        unit /= 10;
    }
    *out = (uint16_t)value;
    return text.len > 0 && text.len <= 5 && value <= QUALITY_MAX;
}

/* ";q=0.5", the only parameter that there is. */
static bool read_parameter(struct slice text, uint16_t *out)
{
    struct slice value = text, name = slice_trim(slice_cut(&value, '='));
    *out = QUALITY_MAX;
    if (!text.ptr)
        return true;
    return slice_eq_nocase(name, slice_str("q")) && read_quality(slice_trim(value), out);
}

static bool is_coding(struct slice name, enum coding coding)
{
    return slice_eq_nocase(name, slice_str(names[coding])) ||
           (coding == CODING_GZIP && slice_eq_nocase(name, slice_str("x-gzip")));
}

/* What the list says; -1: nothing. */
struct said {
    int of[CODING_COUNT], others;
};

static void take_member(struct said *said, struct slice member)
{
    uint16_t quality;
    struct slice rest = member, name = slice_trim(slice_cut(&rest, ';'));
    if (!read_parameter(rest, &quality))
        return;
    if (slice_is(name, "*"))
        said->others = quality;
    for (int coding = 0; coding < CODING_COUNT; coding++) {
        if (is_coding(name, (enum coding)coding))
            said->of[coding] = quality;
    }
}

/* Identity that nobody speaks of is acceptable, and less than anything that is asked for. */
static uint16_t quality_of(const struct said *said, enum coding coding)
{
    int quality = said->of[coding] >= 0 ? said->of[coding] : said->others;
    if (quality < 0)
        quality = coding == CODING_IDENTITY;
    return (uint16_t)quality;
}

void accept_encoding_read(const struct header *headers, unsigned count, struct accept_encoding *out)
{
    struct said said = {.of = {-1, -1, -1}, .others = -1};
    for (unsigned i = 0; i < count; i++) {
        struct slice rest = headers[i].value;
        if (!slice_eq_nocase(headers[i].name, slice_str("Accept-Encoding")))
            continue;
        while (rest.len > 0)
            take_member(&said, slice_cut(&rest, ','));
    }
    for (int coding = 0; coding < CODING_COUNT; coding++)
        out->quality[coding] = quality_of(&said, (enum coding)coding);
}

enum coding accept_encoding_choose(const struct accept_encoding *accept, unsigned offered)
{
    enum coding best = CODING_IDENTITY;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        uint16_t quality = accept->quality[coding];
        if ((offered & 1U << coding) && quality > 0 && quality >= accept->quality[best])
            best = (enum coding)coding;
    }
    return best;
}
