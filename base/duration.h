/*
 * duration.h - durations and times of day as text.
 *
 * Everything is in nanoseconds.  Parsers that read queries saturate at
 * INT64_MIN/MAX instead of failing for size alone.
 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;

#define NS_PER_US     INT64_C(1000)
#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define NS_PER_HOUR   (60 * NS_PER_MINUTE)
#define NS_PER_DAY    (24 * NS_PER_HOUR)

/*
 * Prometheus' form: [Ny][Nw][Nd][Nh][Nm][Ns][Nms] in that order, each at most
 * once, whole numbers; or "0".
 */
bool duration_parse_prometheus(struct slice s, int64_t *ns);

/* Go's time.ParseDuration: signed decimals with units ns us µs ms s m h. */
bool duration_parse_go(struct slice s, int64_t *ns);

/* Go's Duration.String(): 1h2m3.5s, 100ms, 0s. */
void buffer_append_duration_go(struct buffer *b, int64_t ns);

/* Prometheus' model.Duration.String(): 1d2h, 90s as 1m30s, 0s. */
void buffer_append_duration_prometheus(struct buffer *b, int64_t ns);

/* RFC 3339 with optional fraction and zone ("2023-11-14T22:13:20.123Z"). */
bool time_parse_rfc3339(struct slice s, int64_t *ns);

/* RFC 3339 in UTC, with as many fraction digits as needed (0 to 9). */
void buffer_append_rfc3339(struct buffer *b, int64_t ns);

/* Civil date of a UTC time; days since the epoch are floor(ns / NS_PER_DAY). */
struct civil_time {
    int64_t year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
    int hour, minute, second;
    int nanosecond;
    int weekday;  /* 0 = Sunday */
    int year_day; /* 1-366 */
};
struct civil_time civil_from_ns(int64_t ns);
int64_t days_from_civil(int64_t year, int month, int day);

/* Checked arithmetic that stops at the ends of the range. */
int64_t ns_add(int64_t a, int64_t b);
static inline int64_t ns_sub(int64_t a, int64_t b)
{
    int64_t difference;
    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

#endif
