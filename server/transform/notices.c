/* What a route says of its version: Deprecation (RFC 9745), Sunset (RFC 8594), and links. */
#include "server/transform/transform_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

/* ---- Dates */

/* A day that exists is what it was made of. */
static bool same_day(const struct tm *a, const struct tm *b)
{
    return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday;
}

bool notice_date(const char *text, int64_t *out_s)
{
    struct tm read = {0};
    const char *end = strptime(text, "%Y-%m-%d", &read);
    bool day = end == text + 10;
    if (day && *end == 'T') {
        end = strptime(end, "T%H:%M:%S", &read);
        day = end == text + 19 && *end++ == 'Z' && read.tm_sec < 60;
    }
    if (!day || *end != '\0')
        return false;
    struct tm made = read;
    *out_s = timegm(&made);
    return same_day(&made, &read) && *out_s >= 0;
}

static bool write_date(enum transform_kind kind, const char *text, struct buf *out)
{
    int64_t date_s;
    char date[CLOCK_HTTP_SIZE];
    if (!notice_date(text, &date_s))
        return false;
    clock_http_date(date_s * 1000, date);
    if (kind == TRANSFORM_SUNSET)
        buf_printf(out, "Sunset: %s\r\n", date);
    else
        buf_printf(out, "Deprecation: @%lld\r\n", (long long)date_s);
    return true;
}

/* ---- Links */

/* A path or an absolute URI of the characters that one may have. */
static bool is_reference(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~:/?#[]@!$&'()*+,;=%";
    bool begins =
        text[0] == '/' || strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
    return begins && !text[strspn(text, allowed)];
}

bool notice_write(enum transform_kind kind, const char *text, struct buf *out, char *why,
                  size_t why_size)
{
    static const char *const relations[TRANSFORM_KINDS] = {
        [TRANSFORM_SUCCESSOR] = "successor-version",
        [TRANSFORM_DEPRECATION_LINK] = "deprecation",
        [TRANSFORM_SUNSET_LINK] = "sunset",
    };
    if (!relations[kind]) {
        snprintf(why, why_size, "\"%.40s\" is no day that there is", text);
        return write_date(kind, text, out);
    }
    snprintf(why, why_size, "\"%.100s\" is no URI", text);
    if (!is_reference(text))
        return false;
    buf_printf(out, "Link: <%s>; rel=\"%s\"\r\n", text, relations[kind]);
    return true;
}
