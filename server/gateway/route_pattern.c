#include "server/gateway/route_pattern.h"

#include "server/http/message.h"

static bool is_param_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

struct slice segment_param(struct slice segment)
{
    return slice_of(segment.ptr + 1, segment.len - 2);
}

enum segment_kind segment_kind(struct slice segment, bool last)
{
    if (slice_is(segment, "*"))
        return last ? SEGMENT_REST : SEGMENT_BAD;
    if (segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}')
        return is_param_name(segment_param(segment)) ? SEGMENT_PARAM : SEGMENT_BAD;
    for (size_t i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.ptr[i];
        /* Control characters, quotes and backslashes would need escaping in logs and metrics. */
        if (c < ' ' || c == 0x7f || strchr("{}*?#\"\\", c))
            return SEGMENT_BAD;
    }
    return SEGMENT_LITERAL;
}

bool pattern_ok(const char *pattern)
{
    unsigned params = 0;
    if (pattern[0] != '/')
        return false;
    struct slice rest = slice_str(pattern + 1);
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        enum segment_kind kind = segment_kind(segment, !rest.ptr);
        if (kind == SEGMENT_BAD || (kind != SEGMENT_LITERAL && ++params > PARAMS_MAX))
            return false;
    }
    return true;
}

bool pattern_same_shape(const char *a, const char *b)
{
    while (*a && *a == *b) {
        if (*a == '{') {
            a = strchr(a, '}');
            b = strchr(b, '}');
        }
        a++, b++;
    }
    return *a == *b;
}

bool pattern_fits(const char *pattern, bool place, struct slice path)
{
    struct slice left = slice_str(pattern + 1), rest = slice_of(path.ptr + 1, path.len - 1);
    while (left.ptr) {
        struct slice segment = slice_cut(&left, '/');
        enum segment_kind kind = segment_kind(segment, !left.ptr);
        if (kind == SEGMENT_REST)
            return rest.ptr || place;
        if (!rest.ptr)
            return false;
        struct slice value = slice_cut(&rest, '/');
        if (kind == SEGMENT_PARAM ? value.len == 0 : !slice_eq(segment, value))
            return false;
    }
    return !rest.ptr;
}
