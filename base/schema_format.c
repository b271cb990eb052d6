/* What `format` asks of a string. */
#include "base/ip.h"
#include "base/schema_private.h"

#include <ctype.h>

struct schema_format {
    const char *name;
    bool (*fits)(struct slice text);
};

/* ---- Reading */

static bool take(struct slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = slice_of(text->ptr + 1, text->len - 1);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return isxdigit((unsigned char)c);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* As many as there are. */
static struct slice take_while(struct slice *text, bool (*is)(char))
{
    size_t length = 0;
    while (length < text->len && is(text->ptr[length]))
        length++;
    struct slice taken = slice_of(text->ptr, length);
    *text = slice_of(text->ptr + length, text->len - length);
    return taken;
}

/* Exactly so many digits, as a number. */
static bool take_digits(struct slice *text, unsigned count, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < count; i++) {
        if (text->len == 0 || !is_digit(text->ptr[0]))
            return false;
        *out = *out * 10 + (unsigned)(text->ptr[0] - '0');
        *text = slice_of(text->ptr + 1, text->len - 1);
    }
    return true;
}

/* ---- Times: RFC 3339 */

static bool take_date(struct slice *text)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!take_digits(text, 4, &year) || !take(text, '-') || !take_digits(text, 2, &month) ||
        !take(text, '-') || !take_digits(text, 2, &day) || month < 1 || month > 12)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= lengths[month - 1] + (unsigned)(leap && month == 2);
}

/* Minutes to add to have UTC. */
static bool take_zone(struct slice *text, int *minutes)
{
    unsigned hour, minute;
    *minutes = 0;
    if (take(text, 'Z') || take(text, 'z'))
        return true;
    bool east = take(text, '+');
    if ((!east && !take(text, '-')) || !take_digits(text, 2, &hour) || !take(text, ':') ||
        !take_digits(text, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *minutes = (int)(hour * 60 + minute) * (east ? -1 : 1);
    return true;
}

static bool is_time(struct slice text)
{
    unsigned hour, minute, second;
    int offset;
    if (!take_digits(&text, 2, &hour) || !take(&text, ':') || !take_digits(&text, 2, &minute) ||
        !take(&text, ':') || !take_digits(&text, 2, &second) || hour > 23 || minute > 59)
        return false;
    if (take(&text, '.') && take_while(&text, is_digit).len == 0)
        return false;
    if (!take_zone(&text, &offset) || text.len > 0)
        return false;
    int of_day = ((int)(hour * 60 + minute) + offset + 2880) % 1440;
    return second < 60 || (second == 60 && of_day == 1439); /* leap seconds end a day of UTC */
}

static bool is_date(struct slice text)
{
    return take_date(&text) && text.len == 0;
}

static bool is_date_time(struct slice text)
{
    return take_date(&text) && (take(&text, 'T') || take(&text, 't')) && is_time(text);
}

/* Numbers with the units in their order, none left out between two: "1Y2M", not "1Y2D". */
static bool take_units(struct slice *text, const char *units)
{
    const char *last = NULL;
    while (text->len > 0 && is_digit(text->ptr[0])) {
        take_while(text, is_digit);
        const char *unit = text->len > 0 ? strchr(units, text->ptr[0]) : NULL;
        if (!unit || *unit == '\0' || (last && unit != last + 1))
            return false;
        last = unit;
        take(text, *unit);
    }
    return last;
}

static bool is_duration(struct slice text)
{
    if (!take(&text, 'P'))
        return false;
    struct slice weeks = text;
    if (take_units(&weeks, "W") && weeks.len == 0)
        return true;
    bool days = text.len > 0 && text.ptr[0] != 'T';
    if (days && !take_units(&text, "YMD"))
        return false;
    if (take(&text, 'T'))
        return take_units(&text, "HMS") && text.len == 0;
    return days && text.len == 0;
}

/* ---- Names of the network */

static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_letter(label.ptr[i]) && !is_digit(label.ptr[i]) && label.ptr[i] != '-')
            return false;
    }
    return true;
}

/* RFC 1123 */
static bool is_hostname(struct slice text)
{
    if (text.len == 0 || text.len > 253)
        return false;
    while (text.ptr) {
        if (!is_label(slice_cut(&text, '.')))
            return false;
    }
    return true;
}

static bool is_ipv6(struct slice text)
{
    struct in6_addr ip;
    return memchr(text.ptr, ':', text.len) && ip_parse(text, &ip);
}

static bool is_ipv4(struct slice text)
{
    struct in6_addr ip;
    return !memchr(text.ptr, ':', text.len) && ip_parse(text, &ip);
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" */
static bool is_address_literal(struct slice text)
{
    static const char tag[] = "IPv6:";
    if (text.len < 2 || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']')
        return false;
    text = slice_of(text.ptr + 1, text.len - 2);
    if (!slice_starts(text, slice_str(tag)))
        return is_ipv4(text);
    return is_ipv6(slice_of(text.ptr + sizeof tag - 1, text.len - (sizeof tag - 1)));
}

static bool is_quoted(struct slice text)
{
    if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < text.len; i++) {
        if (text.ptr[i] == '\\' && ++i + 1 == text.len)
            return false;
        if (text.ptr[i] < ' ' || text.ptr[i] > '~' ||
            (text.ptr[i] == '"' && text.ptr[i - 1] != '\\'))
            return false;
    }
    return true;
}

static bool is_dotted_atom(struct slice text)
{
    while (text.ptr) {
        struct slice atom = slice_cut(&text, '.');
        for (size_t i = 0; i < atom.len; i++) {
            char c = atom.ptr[i];
            if (!is_letter(c) && !is_digit(c) && !(c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c)))
                return false;
        }
        if (atom.len == 0)
            return false;
    }
    return true;
}

/* RFC 5321 */
static bool is_email(struct slice text)
{
    const char *at = memrchr(text.ptr, '@', text.len);
    if (!at)
        return false;
    struct slice local = slice_of(text.ptr, (size_t)(at - text.ptr));
    struct slice domain = slice_of(at + 1, text.len - local.len - 1);
    return local.len > 0 && local.len <= 64 && (is_dotted_atom(local) || is_quoted(local)) &&
           (is_hostname(domain) || is_address_literal(domain));
}

/* ---- URIs: RFC 3986 */

static bool is_scheme_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
}

/* Characters of a part, percent-encoded ones, and those of `more`. */
static bool are_of_uri(struct slice text, const char *more)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && (i + 2 >= text.len || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2])))
            return false;
        if (c == '\0' ||
            (!is_letter(c) && !is_digit(c) && !strchr("%-._~!$&'()*+,;=", c) && !strchr(more, c)))
            return false;
    }
    return true;
}

static bool is_port(struct slice text)
{
    return take_while(&text, is_digit).len < 6 && text.len == 0;
}

static bool is_authority(struct slice text)
{
    const char *at = memrchr(text.ptr, '@', text.len);
    if (at && !are_of_uri(slice_of(text.ptr, (size_t)(at - text.ptr)), ":"))
        return false;
    if (at)
        text = slice_of(at + 1, text.len - (size_t)(at + 1 - text.ptr));
    if (!take(&text, '[')) {
        struct slice host = slice_cut(&text, ':');
        return are_of_uri(host, "") && is_port(text);
    }
    const char *close = memchr(text.ptr, ']', text.len);
    if (!close || !is_ipv6(slice_of(text.ptr, (size_t)(close - text.ptr))))
        return false;
    text = slice_of(close + 1, text.len - (size_t)(close + 1 - text.ptr));
    return text.len == 0 || (take(&text, ':') && is_port(text));
}

static bool is_uri(struct slice text)
{
    if (text.len == 0 || !is_letter(text.ptr[0]))
        return false;
    take_while(&text, is_scheme_char);
    if (!take(&text, ':'))
        return false;
    struct slice before = slice_cut(&text, '#'), fragment = text;
    struct slice path = slice_cut(&before, '?'), query = before;
    if (!are_of_uri(fragment, ":@/?") || !are_of_uri(query, ":@/?"))
        return false;
    if (!slice_starts(path, slice_str("//")))
        return are_of_uri(path, ":@/");
    path = slice_of(path.ptr + 2, path.len - 2);
    const char *slash = memchr(path.ptr, '/', path.len);
    size_t length = slash ? (size_t)(slash - path.ptr) : path.len;
    return is_authority(slice_of(path.ptr, length)) &&
           are_of_uri(slice_of(path.ptr + length, path.len - length), ":@/");
}

/* ---- The others */

static bool is_uuid(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !is_hex(text.ptr[i]))
            return false;
    }
    return text.len == 36;
}

static bool is_json_pointer(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '~' &&
            (i + 1 == text.len || (text.ptr[i + 1] != '0' && text.ptr[i + 1] != '1')))
            return false;
    }
    return text.len == 0 || text.ptr[0] == '/';
}

static bool is_regex(struct slice text)
{
    char why[160];
    struct pattern *pattern = pattern_compile(text, why, sizeof why);
    bool fits = pattern;
    pattern_destroy(&pattern);
    return fits;
}

static const struct schema_format formats[] = {
    {"date-time", is_date_time},
    {"date", is_date},
    {"time", is_time},
    {"duration", is_duration},
    {"email", is_email},
    {"hostname", is_hostname},
    {"ipv4", is_ipv4},
    {"ipv6", is_ipv6},
    {"uri", is_uri},
    {"uuid", is_uuid},
    {"json-pointer", is_json_pointer},
    {"regex", is_regex},
};

const struct schema_format *schema_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    }
    return NULL;
}

const char *schema_format_name(const struct schema_format *format)
{
    return format->name;
}

bool schema_format_fits(const struct schema_format *format, struct slice text)
{
    return format->fits(text);
}
