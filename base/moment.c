#include "base/moment.h"

/* Two or four digits at a place; -1 if there are none. */
static int digits(const char *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + at[i] - '0';
    }
    return value;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970, by eras of 400 years that begin in March, so that the leap day is the last. */
static int64_t days_of_date(int year, int month, int day)
{
    int64_t shifted = year - (month <= 2);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int of_era = (int)(shifted - era * 400);
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool parse_date(const char *at, int64_t *days)
{
    int year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
    if (at[4] != '-' || at[7] != '-' || year < 0 || month < 1 || month > 12)
        return false;
    *days = days_of_date(year, month, day);
    return day >= 1 && day <= days_in(year, month);
}

static bool parse_time(const char *at, int *seconds)
{
    int hour = digits(at, 2), minute = digits(at + 3, 2), second = digits(at + 6, 2);
    *seconds = hour * 3600 + minute * 60 + second;
    return at[2] == ':' && at[5] == ':' && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
           second >= 0 && second <= 60;
}

/* Cuts ".123" off *rest, if it begins with that. */
static bool parse_fraction(struct slice *rest, uint32_t *ns)
{
    *ns = 0;
    if (rest->len == 0 || rest->ptr[0] != '.')
        return true;
    uint32_t unit = 100000000;
    size_t i = 1;
    for (; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++, unit /= 10)
        *ns += unit * (uint32_t)(rest->ptr[i] - '0');
    *rest = slice_of(rest->ptr + i, rest->len - i);
    return i > 1;
}

static bool parse_offset(struct slice text, int *seconds)
{
    *seconds = 0;
    if (text.len == 1)
        return text.ptr[0] == 'Z';
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-') || text.ptr[3] != ':')
        return false;
    int hour = digits(text.ptr + 1, 2), minute = digits(text.ptr + 4, 2);
    *seconds = (hour * 60 + minute) * (text.ptr[0] == '-' ? -60 : 60);
    return hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

bool moment_parse(struct slice text, struct moment *out)
{
    enum { DATE_AND_TIME = 19 };
    int64_t days;
    int of_day, offset;
    if (text.len <= DATE_AND_TIME || text.ptr[10] != 'T' || !parse_date(text.ptr, &days) ||
        !parse_time(text.ptr + 11, &of_day))
        return false;
    struct slice rest = slice_of(text.ptr + DATE_AND_TIME, text.len - DATE_AND_TIME);
    if (!parse_fraction(&rest, &out->ns) || !parse_offset(rest, &offset))
        return false;
    out->seconds = days * 86400 + of_day - offset;
    return true;
}

struct moment moment_of_ms(int64_t wall_ms)
{
    int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
    return (struct moment){seconds, (uint32_t)(wall_ms - seconds * 1000) * 1000000};
}

int moment_compare(struct moment a, struct moment b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    return a.ns < b.ns ? -1 : a.ns > b.ns;
}
