/*
 * civil.c - dates of the Gregorian calendar and RFC 3339 (see duration.h).
 *
 * A year is counted from March, so that the leap day is its last day; 400
 * years (an era) always have 146,097 days.
 */
#include "base/duration.h"

#include "base/buffer.h"

#include <string.h>

enum { DAYS_PER_ERA = 146097, DAYS_FROM_YEAR_0 = 719468 /* 0000-03-01 to 1970-01-01 */ };

/* Division that rounds down. */
static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t era = floor_divide(march_year, 400);
    int64_t year_of_era = march_year - era * 400;
    int64_t march_month = (month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_FROM_YEAR_0;
}

struct civil_time civil_from_ns(int64_t ns)
{
    int64_t days = floor_divide(ns, NS_PER_DAY);
    int64_t ns_of_day = ns % NS_PER_DAY + (ns % NS_PER_DAY < 0 ? NS_PER_DAY : 0);

    int64_t shifted = days + DAYS_FROM_YEAR_0;
    int64_t era = floor_divide(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;

    struct civil_time t = {0};
    t.day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    t.month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    t.year = era * 400 + year_of_era + (t.month <= 2);
    t.hour = (int)(ns_of_day / NS_PER_HOUR);
    t.minute = (int)(ns_of_day / NS_PER_MINUTE % 60);
    t.second = (int)(ns_of_day / NS_PER_SECOND % 60);
    t.nanosecond = (int)(ns_of_day % NS_PER_SECOND);
    t.weekday = (int)(((days % 7) + 7 + 4) % 7); /* the epoch was a Thursday */
    t.year_day = (int)(days - days_from_civil(t.year, 1, 1) + 1);
    return t;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Exactly `count` digits at `at`; false when they are not all there. */
static bool take_number(struct slice s, size_t at, size_t count, int *value)
{
    if (at > s.size || s.size - at < count)
        return false;
    int v = 0;
    for (size_t i = at; i < at + count; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        v = v * 10 + (s.data[i] - '0');
    }
    *value = v;
    return true;
}

/* ".123" at `*at`, digits after the ninth are cut. */
static bool take_fraction(struct slice s, size_t *at, int64_t *ns)
{
    *ns = 0;
    if (*at >= s.size || (s.data[*at] != '.' && s.data[*at] != ','))
        return true;
    size_t start = ++*at;
    int64_t weight = NS_PER_SECOND / 10;
    for (; *at < s.size && s.data[*at] >= '0' && s.data[*at] <= '9'; (*at)++) {
        *ns += (s.data[*at] - '0') * weight;
        weight /= 10;
    }
    return *at > start;
}

/* "Z" or "+02:00" to the end of the text, in seconds east of UTC. */
static bool take_zone(struct slice zone, int64_t *east_s)
{
    *east_s = 0;
    if (slice_equal(zone, SLICE("Z")))
        return true;
    int hours;
    int minutes;
    if (zone.size != 6 || (zone.data[0] != '+' && zone.data[0] != '-') || zone.data[3] != ':' ||
        !take_number(zone, 1, 2, &hours) || !take_number(zone, 4, 2, &minutes) || hours > 24 ||
        minutes > 60)
        return false;
    *east_s = (hours * 60 + minutes) * 60 * (zone.data[0] == '-' ? -1 : 1);
    return true;
}

bool time_parse_rfc3339(struct slice s, int64_t *ns)
{
    static const char shape[] = "0000-00-00T00:00:00";
    if (s.size < sizeof(shape))
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] != '0' && s.data[i] != shape[i])
            return false;
    }
    int year, month, day, hour, minute, second;
    if (!take_number(s, 0, 4, &year) || !take_number(s, 5, 2, &month) ||
        !take_number(s, 8, 2, &day) || !take_number(s, 11, 2, &hour) ||
        !take_number(s, 14, 2, &minute) || !take_number(s, 17, 2, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;

    size_t at = sizeof(shape) - 1;
    int64_t fraction_ns;
    int64_t east_s;
    if (!take_fraction(s, &at, &fraction_ns) || !take_zone(slice_skip(s, at), &east_s))
        return false;

    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east_s;
    int64_t whole_ns;
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &whole_ns))
        *ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    else
        *ns = ns_add(whole_ns, fraction_ns);
    return true;
}

void buffer_append_rfc3339(struct buffer *b, int64_t ns)
{
    struct civil_time t = civil_from_ns(ns);
    buffer_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d", (int)t.year, t.month, t.day, t.hour, t.minute,
                  t.second);
    if (t.nanosecond > 0) {
        char digits[16];
        int size = snprintf(digits, sizeof(digits), ".%09d", t.nanosecond);
        while (digits[size - 1] == '0')
            size--;
        buffer_append(b, digits, (size_t)size);
    }
    buffer_append_byte(b, 'Z');
}
