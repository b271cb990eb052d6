#include "server/http/date.h"

/* What is still to be read; `bad` sticks. */
struct reader {
    struct slice rest;
    bool bad;
};

static void expect(struct reader *reader, const char *text)
{
    size_t len = strlen(text);
    if (!slice_starts(reader->rest, slice_of(text, len)))
        reader->bad = true;
    else
        reader->rest = slice_of(reader->rest.ptr + len, reader->rest.len - len);
}

static int take_digits(struct reader *reader, size_t count)
{
    int value = 0;
    if (reader->rest.len < count) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        char c = reader->rest.ptr[i];
        reader->bad |= c < '0' || c > '9';
        value = value * 10 + (c - '0');
    }
    reader->rest = slice_of(reader->rest.ptr + count, reader->rest.len - count);
    return value;
}

/* The place of the name, or of its first three letters, among `count`. */
static int take_name(struct reader *reader, const char *const *names, int count, bool whole)
{
    for (int i = 0; i < count; i++) {
        struct slice name = slice_of(names[i], whole ? strlen(names[i]) : 3);
        if (slice_starts(reader->rest, name)) {
            reader->rest = slice_of(reader->rest.ptr + name.len, reader->rest.len - name.len);
            return i;
        }
    }
    reader->bad = true;
    return 0;
}

static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct moment {
    int year, month, day, hour, minute, second; /* month: 1 to 12 */
};

static void take_time(struct reader *reader, struct moment *out)
{
    out->hour = take_digits(reader, 2);
    expect(reader, ":");
    out->minute = take_digits(reader, 2);
    expect(reader, ":");
    out->second = take_digits(reader, 2);
}

static int take_month(struct reader *reader)
{
    return take_name(reader, months, 12, false) + 1;
}

/* Behind the weekday's three letters and ", ". */
static void take_fixdate(struct reader *reader, struct moment *out)
{
    out->day = take_digits(reader, 2);
    expect(reader, " ");
    out->month = take_month(reader);
    expect(reader, " ");
    out->year = take_digits(reader, 4);
    expect(reader, " ");
    take_time(reader, out);
    expect(reader, " GMT");
}

/* Years before 1970 are none that a message would name. */
static int year_now(int64_t now_ms)
{
    return 1970 + (int)(now_ms / 31556952000);
}

static void take_rfc850(struct reader *reader, int64_t now_ms, struct moment *out)
{
    out->day = take_digits(reader, 2);
    expect(reader, "-");
    out->month = take_month(reader);
    expect(reader, "-");
    int now = year_now(now_ms);
    out->year = now / 100 * 100 + take_digits(reader, 2);
    if (out->year > now + 50)
        out->year -= 100;
    expect(reader, " ");
    take_time(reader, out);
    expect(reader, " GMT");
}

static void take_asctime(struct reader *reader, struct moment *out)
{
    expect(reader, " ");
    out->month = take_month(reader);
    expect(reader, " ");
    if (slice_starts(reader->rest, slice_str(" "))) {
        expect(reader, " ");
        out->day = take_digits(reader, 1);
    } else {
        out->day = take_digits(reader, 2);
    }
    expect(reader, " ");
    take_time(reader, out);
    expect(reader, " ");
    out->year = take_digits(reader, 4);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool exists(const struct moment *m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int last = days[m->month - 1] + (m->month == 2 && is_leap(m->year));
    return m->day >= 1 && m->day <= last && m->hour < 24 && m->minute < 60 && m->second <= 60;
}

/* Of the Gregorian calendar, counted from 1970, in years that begin with March: the day that leap
 * years have more is then their last. */
static int64_t days_since_1970(const struct moment *m)
{
    int64_t year = m->month > 2 ? m->year : m->year - 1;
    int64_t month = (m->month + 9) % 12;
    int64_t day = (153 * month + 2) / 5 + m->day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + day - 719468;
}

bool http_date_parse(struct slice text, int64_t now_ms, int64_t *out_ms)
{
    struct reader reader = {.rest = text};
    struct moment moment = {.month = 1};
    if (text.len == 0)
        return false;
    if (memchr(text.ptr, '-', text.len)) {
        take_name(&reader, weekdays, 7, true);
        expect(&reader, ", ");
        take_rfc850(&reader, now_ms, &moment);
    } else {
        take_name(&reader, weekdays, 7, false);
        if (slice_starts(reader.rest, slice_str(","))) {
            expect(&reader, ", ");
            take_fixdate(&reader, &moment);
        } else {
            take_asctime(&reader, &moment);
        }
    }
    if (reader.bad || reader.rest.len > 0 || !exists(&moment))
        return false;
    int64_t minutes = (days_since_1970(&moment) * 24 + moment.hour) * 60 + moment.minute;
    *out_ms = (minutes * 60 + moment.second) * 1000;
    return true;
}
