#include "base/clock.h"

#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

/* What four digits of a year can say: 0000-01-01 to the last millisecond of 9999. */
#define WALL_MS_MIN INT64_C(-62167219200000)
#define WALL_MS_MAX INT64_C(253402300799999)

static int64_t system_wall_ms(const struct clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int64_t system_mono_ns(const struct clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

const struct clock clock_system = {system_wall_ms, system_mono_ns};

/* `clock` is the first member of struct clock_fake, so one address serves for both. */
static int64_t fake_wall_ms(const struct clock *clock)
{
    return ((const struct clock_fake *)clock)->wall_ms;
}

static int64_t fake_mono_ns(const struct clock *clock)
{
    return ((const struct clock_fake *)clock)->mono_ns;
}

void clock_fake_init(struct clock_fake *fake, int64_t wall_ms)
{
    fake->clock = (struct clock){fake_wall_ms, fake_mono_ns};
    fake->wall_ms = wall_ms;
    fake->mono_ns = 0;
}

void clock_fake_advance(struct clock_fake *fake, int64_t ms)
{
    fake->wall_ms += ms;
    fake->mono_ns += ms * 1000000;
}

struct date {
    int year, month, day;
    int weekday; /* 0 is Sunday */
    int hour, minute, second, ms;
};

/* Days since 1970 to a date of the Gregorian calendar, by eras of 400 years that begin in March, so
 * that the leap day is a year's last. gmtime_r would do, but takes glibc's time zone lock. */
static void date_of_days(int64_t days, struct date *out)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int day = (int)(shifted - era * 146097);
    int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int year_day = day - (365 * year + year / 4 - year / 100);
    int month = (5 * year_day + 2) / 153; /* 0 is March */
    out->day = year_day - (153 * month + 2) / 5 + 1;
    out->month = month < 10 ? month + 3 : month - 9;
    out->year = year + (int)era * 400 + (out->month <= 2);
    out->weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

static struct date date_of(int64_t wall_ms)
{
    if (wall_ms < WALL_MS_MIN)
        wall_ms = WALL_MS_MIN;
    if (wall_ms > WALL_MS_MAX)
        wall_ms = WALL_MS_MAX;
    int64_t days = (wall_ms >= 0 ? wall_ms : wall_ms - DAY_MS + 1) / DAY_MS;
    int rest = (int)(wall_ms - days * DAY_MS);
    struct date date;
    date_of_days(days, &date);
    date.ms = rest % 1000;
    date.second = rest / 1000 % 60;
    date.minute = rest / 60000 % 60;
    date.hour = rest / 3600000;
    return date;
}

static char *put_digits(char *out, int value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + count;
}

static char *put_text(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static char *put_time(char *out, const struct date *date)
{
    out = put_digits(out, date->hour, 2);
    *out++ = ':';
    out = put_digits(out, date->minute, 2);
    *out++ = ':';
    return put_digits(out, date->second, 2);
}

void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE])
{
    struct date date = date_of(wall_ms);
    out = put_digits(out, date.year, 4);
    *out++ = '-';
    out = put_digits(out, date.month, 2);
    *out++ = '-';
    out = put_digits(out, date.day, 2);
    *out++ = 'T';
    out = put_time(out, &date);
    *out++ = '.';
    out = put_digits(out, date.ms, 3);
    put_text(out, "Z", 2);
}

void clock_http_date(int64_t wall_ms, char out[CLOCK_HTTP_SIZE])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct date date = date_of(wall_ms);
    out = put_text(out, days[date.weekday], 3);
    out = put_text(out, ", ", 2);
    out = put_digits(out, date.day, 2);
    *out++ = ' ';
    out = put_text(out, months[date.month - 1], 3);
    *out++ = ' ';
    out = put_digits(out, date.year, 4);
    *out++ = ' ';
    out = put_time(out, &date);
    put_text(out, " GMT", 5);
}
