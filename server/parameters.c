/*
 * parameters.c - see parameters.h.
 *
 * Prometheus keeps whole milliseconds of a time given as a number, by rounding
 * the fraction alone, so that 1435781430.781 means just that; Loki does the
 * same for numbers with a point.
 */
#include "server/parameters.h"

#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "server/form.h"

#include <math.h>
#include <stdio.h>

enum { STEPS_PRESET = 250 };

/* Prometheus' names for "since ever" and "for ever". */
#define TIME_MIN_TEXT "-292273086-05-16T16:47:06Z"
#define TIME_MAX_TEXT "+292277025-08-18T07:12:54.999999999Z"

static int64_t ns_from_seconds(double seconds)
{
    double whole;
    double fraction = modf(seconds, &whole);
    if (whole >= 9223372036.0)
        return INT64_MAX;
    if (whole <= -9223372036.0)
        return INT64_MIN;
    return (int64_t)whole * NS_PER_SECOND + (int64_t)round(fraction * 1000) * NS_PER_MS;
}

/* True and saturated when `text` is RFC 3339 of a year that nanoseconds cannot hold. */
static bool time_is_extreme(struct slice text, int64_t *ns)
{
    if (slice_equal(text, SLICE(TIME_MIN_TEXT)))
        *ns = INT64_MIN;
    else if (slice_equal(text, SLICE(TIME_MAX_TEXT)))
        *ns = INT64_MAX;
    else
        return false;
    return true;
}

bool time_from_prometheus(struct slice text, int64_t *ns)
{
    double seconds;
    if (slice_parse_double(text, false, &seconds)) {
        if (isnan(seconds))
            return false;
        *ns = ns_from_seconds(seconds);
        return true;
    }
    return time_is_extreme(text, ns) || time_parse_rfc3339(text, ns);
}

bool time_from_loki(struct slice text, int64_t *ns)
{
    double seconds;
    int64_t integer;
    if (slice_find_byte(text, '.', 0) != SLICE_NOT_FOUND &&
        slice_parse_double(text, false, &seconds)) {
        if (isnan(seconds))
            return false;
        *ns = ns_from_seconds(seconds);
        return true;
    }
    if (slice_parse_i64(text, &integer)) {
        if (text.size > 10)
            *ns = integer;
        else if (__builtin_mul_overflow(integer, NS_PER_SECOND, ns))
            *ns = integer < 0 ? INT64_MIN : INT64_MAX;
        return true;
    }
    return time_is_extreme(text, ns) || time_parse_rfc3339(text, ns);
}

bool duration_from_parameter(struct slice text, int64_t *ns, bool *overflow)
{
    double seconds;
    *overflow = false;
    if (slice_parse_double(text, false, &seconds)) {
        double scaled = seconds * 1e9;
        *overflow = !(scaled > -9.2233720368547e18 && scaled < 9.2233720368547e18);
        if (*overflow)
            return false;
        *ns = (int64_t)scaled;
        return true;
    }
    return duration_parse_prometheus(text, ns);
}

static struct slice named(const struct form *form, const char *name)
{
    return form_get(form, slice_from_text(name));
}

bool form_time_prometheus(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                          struct error *err)
{
    struct slice text = named(form, name);
    if (text.size == 0) {
        *ns = fallback;
        return true;
    }
    if (time_from_prometheus(text, ns))
        return true;
    return error_set(err, ERR_INVALID,
                     "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
                     SLICE_ARG(slice_sub(text, 0, 100)));
}

bool form_time_loki(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                    struct error *err)
{
    struct slice text = named(form, name);
    if (text.size == 0) {
        *ns = fallback;
        return true;
    }
    if (time_from_loki(text, ns))
        return true;
    return error_set(err, ERR_INVALID, "could not parse '%s' parameter: %.*s is not a time", name,
                     SLICE_ARG(slice_sub(text, 0, 100)));
}

bool form_duration(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                   struct error *err)
{
    struct slice text = named(form, name);
    bool overflow;
    if (text.size == 0) {
        *ns = fallback;
        return true;
    }
    if (duration_from_parameter(text, ns, &overflow))
        return true;
    return error_set(err, ERR_INVALID,
                     "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration%s", name,
                     SLICE_ARG(slice_sub(text, 0, 100)), overflow ? ". It overflows int64" : "");
}

bool form_count(const struct form *form, const char *name, uint64_t fallback, uint64_t *count,
                struct error *err)
{
    struct slice text = named(form, name);
    if (text.size == 0) {
        *count = fallback;
        return true;
    }
    if (slice_parse_u64(text, count))
        return true;
    int64_t negative;
    if (slice_parse_i64(text, &negative))
        return error_set(err, ERR_INVALID, "invalid parameter \"%s\": %s must be non-negative",
                         name, name);
    return error_set(err, ERR_INVALID, "invalid parameter \"%s\": \"%.*s\" is no whole number",
                     name, SLICE_ARG(slice_sub(text, 0, 100)));
}

bool form_range_loki(const struct form *form, int64_t now_ns, int64_t range_ns[2],
                     struct error *err)
{
    int64_t since_ns;
    if (!form_time_loki(form, "end", now_ns, &range_ns[1], err) ||
        !form_duration(form, "since", NS_PER_HOUR, &since_ns, err))
        return false;
    int64_t latest_ns = range_ns[1] < now_ns ? range_ns[1] : now_ns;
    return form_time_loki(form, "start", ns_sub(latest_ns, since_ns), &range_ns[0], err);
}

/* 11000 as 11,000. */
static void group_digits(char out[32], uint64_t value)
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    char *at = out;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
}

bool check_resolution(int64_t start_ns, int64_t end_ns, int64_t step_ns, uint64_t points_max,
                      const char *what, const char *advice, struct error *err)
{
    char shown[32];
    if ((uint64_t)ns_sub(end_ns, start_ns) / (uint64_t)step_ns <= points_max)
        return true;
    group_digits(shown, points_max);
    return error_set(err, ERR_INVALID, "exceeded maximum resolution of %s points per %s. %s", shown,
                     what, advice);
}

int64_t step_preset_loki(int64_t range_ns)
{
    int64_t step_ns = range_ns / (STEPS_PRESET * NS_PER_SECOND) * NS_PER_SECOND;
    return step_ns < NS_PER_SECOND ? NS_PER_SECOND : step_ns;
}
