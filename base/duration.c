/*
 * duration.c - durations as text, Prometheus' way and Go's (see duration.h).
 *
 * Prometheus' durations are whole numbers with units in falling order; Go's
 * are decimals with units in any order.
 */
#include "base/duration.h"

#include "base/buffer.h"
#include "base/number.h"

struct unit {
    const char *name;
    int64_t ns;
};

static const struct unit prometheus_units[] = {
    {"y", 365 * NS_PER_DAY}, {"w", 7 * NS_PER_DAY}, {"d", NS_PER_DAY}, {"h", NS_PER_HOUR},
    {"m", NS_PER_MINUTE},    {"s", NS_PER_SECOND},  {"ms", NS_PER_MS},
};

static const struct unit go_units[] = {
    {"ns", 1},         {"us", NS_PER_US},    {"\xc2\xb5s", NS_PER_US}, {"\xce\xbcs", NS_PER_US},
    {"ms", NS_PER_MS}, {"s", NS_PER_SECOND}, {"m", NS_PER_MINUTE},     {"h", NS_PER_HOUR},
};

int64_t ns_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at `*at`, stopping at UINT64_MAX; false when there is none. */
static bool read_digits(struct slice s, size_t *at, uint64_t *value)
{
    size_t start = *at;
    uint64_t v = 0;
    for (; *at < s.size && is_digit(s.data[*at]); (*at)++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.data[*at] - '0'), &v))
            v = UINT64_MAX;
    }
    *value = v;
    return *at > start;
}

/* The unit name at `*at`: everything up to the next digit or point. */
static struct slice read_unit(struct slice s, size_t *at)
{
    size_t start = *at;
    while (*at < s.size && !is_digit(s.data[*at]) && s.data[*at] != '.')
        (*at)++;
    return slice_sub(s, start, *at - start);
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(name, slice_from_text(units[i].name)))
            return &units[i];
    }
    return NULL;
}

bool duration_parse_prometheus(struct slice s, int64_t *ns)
{
    if (slice_equal(s, SLICE("0"))) {
        *ns = 0;
        return true;
    }
    const struct unit *allowed = prometheus_units;
    const struct unit *end = prometheus_units + COUNT_OF(prometheus_units);
    int64_t total = 0;
    size_t at = 0;
    while (at < s.size) {
        uint64_t value;
        if (!read_digits(s, &at, &value))
            return false;
        const struct unit *unit = find_unit(allowed, (size_t)(end - allowed), read_unit(s, &at));
        if (unit == NULL)
            return false;
        allowed = unit + 1;
        int64_t part;
        if (value > INT64_MAX || __builtin_mul_overflow((int64_t)value, unit->ns, &part))
            part = INT64_MAX;
        total = ns_add(total, part);
    }
    if (s.size == 0)
        return false;
    *ns = total;
    return true;
}

/* One "12.5h" of a Go duration, as a magnitude. */
static bool read_go_part(struct slice s, size_t *at, uint64_t *part)
{
    uint64_t whole = 0;
    bool any = read_digits(s, at, &whole);
    size_t fraction_at = 0;
    size_t fraction_end = 0;
    if (*at < s.size && s.data[*at] == '.') {
        uint64_t ignored;
        fraction_at = ++*at;
        any |= read_digits(s, at, &ignored);
        fraction_end = *at;
    }
    if (!any)
        return false;
    const struct unit *unit = find_unit(go_units, COUNT_OF(go_units), read_unit(s, at));
    if (unit == NULL || __builtin_mul_overflow(whole, (uint64_t)unit->ns, part) ||
        *part > UINT64_C(1) << 63)
        return false;

    uint64_t value = 0; /* of the fraction's digits, and 10 to their number */
    double scale = 1;
    for (size_t i = fraction_at; i < fraction_end && value <= (UINT64_MAX >> 1) / 10 - 1; i++) {
        value = value * 10 + (uint64_t)(s.data[i] - '0');
        scale *= 10;
    }
    if (value > 0)
        *part += (uint64_t)((double)value * ((double)unit->ns / scale));
    return *part <= UINT64_C(1) << 63;
}

bool duration_parse_go(struct slice s, int64_t *ns)
{
    bool negative = s.size > 0 && s.data[0] == '-';
    size_t at = s.size > 0 && (s.data[0] == '-' || s.data[0] == '+');
    if (slice_equal(slice_skip(s, at), SLICE("0"))) {
        *ns = 0;
        return true;
    }
    if (at == s.size)
        return false;
    uint64_t total = 0;
    while (at < s.size) {
        uint64_t part;
        if (!read_go_part(s, &at, &part))
            return false;
        total += part; /* both at most 2^63 */
        if (total > UINT64_C(1) << 63 || total < part)
            return false;
    }
    if (!negative && total > INT64_MAX)
        return false;
    *ns = negative ? (int64_t)(0 - total) : (int64_t)total;
    return true;
}

/* The magnitude of `ns`, right for INT64_MIN as well. */
static uint64_t magnitude(int64_t ns)
{
    return ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
}

/* `value` / `unit` with as many decimals as needed. */
static void append_decimal(struct buffer *b, uint64_t value, uint64_t unit)
{
    buffer_append_u64(b, value / unit);
    uint64_t rest = value % unit;
    if (rest == 0)
        return;
    buffer_append_byte(b, '.');
    for (; rest > 0; rest %= unit) {
        unit /= 10;
        buffer_append_byte(b, (char)('0' + rest / unit));
    }
}

void buffer_append_duration_go(struct buffer *b, int64_t ns)
{
    uint64_t left = magnitude(ns);
    if (left == 0) {
        buffer_append_text(b, "0s");
        return;
    }
    if (ns < 0)
        buffer_append_byte(b, '-');
    if (left < (uint64_t)NS_PER_SECOND) {
        uint64_t unit = left < (uint64_t)NS_PER_US   ? 1
                        : left < (uint64_t)NS_PER_MS ? (uint64_t)NS_PER_US
                                                     : (uint64_t)NS_PER_MS;
        append_decimal(b, left, unit);
        buffer_append_text(b, unit == 1 ? "ns" : unit == (uint64_t)NS_PER_US ? "\xc2\xb5s" : "ms");
        return;
    }
    uint64_t hours = left / (uint64_t)NS_PER_HOUR;
    uint64_t minutes = left / (uint64_t)NS_PER_MINUTE % 60;
    if (hours > 0) {
        buffer_append_u64(b, hours);
        buffer_append_byte(b, 'h');
    }
    if (hours > 0 || minutes > 0) {
        buffer_append_u64(b, minutes);
        buffer_append_byte(b, 'm');
    }
    append_decimal(b, left % (uint64_t)NS_PER_MINUTE, (uint64_t)NS_PER_SECOND);
    buffer_append_byte(b, 's');
}

void buffer_append_duration_prometheus(struct buffer *b, int64_t ns)
{
    uint64_t left_ms = magnitude(ns) / (uint64_t)NS_PER_MS;
    if (left_ms == 0) {
        buffer_append_text(b, "0s");
        return;
    }
    if (ns < 0)
        buffer_append_byte(b, '-');
    for (size_t i = 0; i < COUNT_OF(prometheus_units); i++) {
        uint64_t unit_ms = (uint64_t)(prometheus_units[i].ns / NS_PER_MS);
        bool only_whole = i < 2; /* 90d, not 12w6d */
        if (left_ms < unit_ms || (only_whole && left_ms % unit_ms != 0))
            continue;
        buffer_append_u64(b, left_ms / unit_ms);
        buffer_append_text(b, prometheus_units[i].name);
        left_ms %= unit_ms;
    }
}
