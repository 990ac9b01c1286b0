/*
 * template_time.c - times by Go's layouts; printed in UTC, read in any zone.
 *
 * A layout shows the reference time Mon Jan 2 15:04:05 MST 2006; each piece of it
 * stands for itself.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/template_tree.h"
#include "base/zone.h"

enum piece {
    P_LITERAL,
    P_YEAR,
    P_YEAR2,
    P_MONTH,
    P_MONTH2,
    P_MONTH_NAME,
    P_MONTH_LONG,
    P_DAY,
    P_DAY2,
    P_DAY_BLANK,
    P_WEEKDAY,
    P_WEEKDAY_LONG,
    P_HOUR24,
    P_HOUR12,
    P_HOUR12_2,
    P_MINUTE,
    P_MINUTE2,
    P_SECOND,
    P_SECOND2,
    P_PM,
    P_ZONE_NAME,
    P_ZONE_Z,
    P_ZONE_Z4,
    P_ZONE_COLON,
    P_ZONE4,
    P_ZONE2,
    P_FRACTION
};

static const struct {
    const char *text;
    enum piece piece;
} pieces[] = {
    {"January", P_MONTH_LONG},
    {"Jan", P_MONTH_NAME},
    {"Monday", P_WEEKDAY_LONG},
    {"Mon", P_WEEKDAY},
    {"MST", P_ZONE_NAME},
    {"2006", P_YEAR},
    {"-07:00", P_ZONE_COLON},
    {"-0700", P_ZONE4},
    {"-07", P_ZONE2},
    {"Z07:00", P_ZONE_Z},
    {"Z0700", P_ZONE_Z4},
    {"01", P_MONTH2},
    {"02", P_DAY2},
    {"03", P_HOUR12_2},
    {"04", P_MINUTE2},
    {"05", P_SECOND2},
    {"06", P_YEAR2},
    {"15", P_HOUR24},
    {"PM", P_PM},
    {"_2", P_DAY_BLANK},
    {"1", P_MONTH},
    {"2", P_DAY},
    {"3", P_HOUR12},
    {"4", P_MINUTE},
    {"5", P_SECOND},
};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* The piece at the start of a layout, and its size. */
static enum piece piece_at(struct slice layout, size_t *size)
{
    char first = layout.data[0];
    if ((first == '.' || first == ',') && layout.size > 1 &&
        (layout.data[1] == '0' || layout.data[1] == '9')) {
        size_t end = 1;
        while (end < layout.size && layout.data[end] == layout.data[1])
            end++;
        bool digit = end < layout.size && layout.data[end] >= '0' && layout.data[end] <= '9';
        *size = end;
        if (!digit)
            return P_FRACTION;
    }
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct slice text = slice_from_text(pieces[i].text);
        if (slice_starts_with(layout, text)) {
            *size = text.size;
            return pieces[i].piece;
        }
    }
    *size = 1;
    return P_LITERAL;
}

static void print_fraction(struct buffer *out, int ns, struct slice piece)
{
    char digits[16];
    size_t count = piece.size - 1 < 9 ? piece.size - 1 : 9;
    snprintf(digits, sizeof(digits), "%09d", ns);
    if (piece.data[1] == '9') {
        while (count > 0 && digits[count - 1] == '0')
            count--;
        if (count == 0)
            return;
    }
    buffer_append_byte(out, piece.data[0]);
    buffer_append(out, digits, count);
}

static void print_piece(struct buffer *out, enum piece piece, struct slice text,
                        const struct civil_time *t)
{
    int hour12 = t->hour % 12 == 0 ? 12 : t->hour % 12;
    switch (piece) {
    case P_LITERAL:
        buffer_append_slice(out, text);
        return;
    case P_YEAR:
        buffer_printf(out, "%04jd", (intmax_t)t->year);
        return;
    case P_YEAR2:
        buffer_printf(out, "%02d", (int)(t->year % 100));
        return;
    case P_MONTH:
    case P_MONTH2:
        buffer_printf(out, piece == P_MONTH ? "%d" : "%02d", t->month);
        return;
    case P_MONTH_NAME:
        buffer_printf(out, "%.3s", months[t->month - 1]);
        return;
    case P_MONTH_LONG:
        buffer_append_text(out, months[t->month - 1]);
        return;
    case P_DAY:
        buffer_printf(out, "%d", t->day);
        return;
    case P_DAY2:
        buffer_printf(out, "%02d", t->day);
        return;
    case P_DAY_BLANK:
        buffer_printf(out, "%2d", t->day);
        return;
    case P_WEEKDAY:
        buffer_printf(out, "%.3s", weekdays[t->weekday]);
        return;
    case P_WEEKDAY_LONG:
        buffer_append_text(out, weekdays[t->weekday]);
        return;
    case P_HOUR24:
        buffer_printf(out, "%02d", t->hour);
        return;
    case P_HOUR12:
    case P_HOUR12_2:
        buffer_printf(out, piece == P_HOUR12 ? "%d" : "%02d", hour12);
        return;
    case P_MINUTE:
    case P_MINUTE2:
        buffer_printf(out, piece == P_MINUTE ? "%d" : "%02d", t->minute);
        return;
    case P_SECOND:
    case P_SECOND2:
        buffer_printf(out, piece == P_SECOND ? "%d" : "%02d", t->second);
        return;
    case P_PM:
        buffer_append_text(out, t->hour < 12 ? "AM" : "PM");
        return;
    case P_ZONE_NAME:
        buffer_append_text(out, "UTC");
        return;
    case P_ZONE_Z:
    case P_ZONE_Z4:
        buffer_append_byte(out, 'Z');
        return;
    case P_ZONE_COLON:
        buffer_append_text(out, "+00:00");
        return;
    case P_ZONE4:
        buffer_append_text(out, "+0000");
        return;
    case P_ZONE2:
        buffer_append_text(out, "+00");
        return;
    case P_FRACTION:
        print_fraction(out, t->nanosecond, text);
        return;
    }
}

void template_time_format(struct buffer *out, int64_t ns, struct slice layout)
{
    struct civil_time t = {.year = 1, .month = 1, .day = 1, .weekday = 1};
    if (ns != INT64_MIN)
        t = civil_from_ns(ns);
    while (layout.size > 0) {
        size_t size;
        enum piece piece = piece_at(layout, &size);
        print_piece(out, piece, slice_sub(layout, 0, size), &t);
        layout = slice_skip(layout, size);
    }
}

/* ---- reading -------------------------------------------------------------------- */

/* A number of `least` to `most` digits. */
static bool read_digits(struct slice *s, size_t least, size_t most, int *value)
{
    size_t size = 0;
    *value = 0;
    while (size < s->size && size < most && s->data[size] >= '0' && s->data[size] <= '9')
        *value = *value * 10 + (s->data[size++] - '0');
    *s = slice_skip(*s, size);
    return size >= least;
}

static bool read_name(struct slice *s, const char *const *names, int count, bool full, int *value)
{
    for (int i = 0; i < count; i++) {
        size_t size = full ? strlen(names[i]) : 3;
        if (slice_equal_ignore_case(slice_sub(*s, 0, size), slice_of(names[i], size))) {
            *s = slice_skip(*s, size);
            *value = i;
            return true;
        }
    }
    return false;
}

static bool read_fraction(struct slice *s, int *nanosecond)
{
    if (s->size < 2 || (s->data[0] != '.' && s->data[0] != ','))
        return false;
    int scale = 100000000;
    size_t size = 1;
    *nanosecond = 0;
    for (; size < s->size && s->data[size] >= '0' && s->data[size] <= '9'; size++, scale /= 10)
        *nanosecond += (s->data[size] - '0') * scale;
    *s = slice_skip(*s, size);
    return size > 1;
}

/* Z, or +hh[:]mm; seconds east of UTC. */
static bool read_zone(struct slice *s, bool z, int *east)
{
    int hours, minutes = 0;
    *east = 0;
    if (s->size == 0)
        return false;
    if (z && s->data[0] == 'Z') {
        *s = slice_skip(*s, 1);
        return true;
    }
    int sign = s->data[0] == '+' ? 1 : s->data[0] == '-' ? -1 : 0;
    *s = slice_skip(*s, 1);
    if (sign == 0 || !read_digits(s, 2, 2, &hours))
        return false;
    if (s->size > 0 && s->data[0] == ':')
        *s = slice_skip(*s, 1);
    read_digits(s, 2, 2, &minutes);
    *east = sign * (hours * 3600 + minutes * 60);
    return true;
}

struct moment {
    int year, month, day, hour, minute, second, nanosecond, east, ignored;
    bool pm, am, zoned; /* zoned: `east` is told by the text */
};

static bool read_piece(struct slice *s, enum piece piece, struct slice text, struct moment *m)
{
    switch (piece) {
    case P_LITERAL:
        if (s->size == 0 || s->data[0] != text.data[0])
            return false;
        *s = slice_skip(*s, 1);
        return true;
    case P_YEAR:
        return read_digits(s, 4, 4, &m->year);
    case P_YEAR2:
        if (!read_digits(s, 2, 2, &m->year))
            return false;
        m->year += m->year >= 69 ? 1900 : 2000;
        return true;
    case P_MONTH:
    case P_MONTH2:
        return read_digits(s, piece == P_MONTH ? 1 : 2, 2, &m->month);
    case P_MONTH_NAME:
    case P_MONTH_LONG:
        if (!read_name(s, months, 12, piece == P_MONTH_LONG, &m->month))
            return false;
        m->month++;
        return true;
    case P_DAY_BLANK:
        while (s->size > 0 && s->data[0] == ' ')
            *s = slice_skip(*s, 1);
        return read_digits(s, 1, 2, &m->day);
    case P_DAY:
    case P_DAY2:
        return read_digits(s, piece == P_DAY ? 1 : 2, 2, &m->day);
    case P_WEEKDAY:
    case P_WEEKDAY_LONG:
        return read_name(s, weekdays, 7, piece == P_WEEKDAY_LONG, &m->ignored);
    case P_HOUR24:
    case P_HOUR12_2:
        return read_digits(s, 2, 2, &m->hour);
    case P_HOUR12:
        return read_digits(s, 1, 2, &m->hour);
    case P_MINUTE:
    case P_MINUTE2:
        return read_digits(s, piece == P_MINUTE ? 1 : 2, 2, &m->minute);
    case P_SECOND:
    case P_SECOND2:
        if (!read_digits(s, piece == P_SECOND ? 1 : 2, 2, &m->second))
            return false;
        if (s->size > 1 && s->data[0] == '.' && s->data[1] >= '0' && s->data[1] <= '9')
            return read_fraction(s, &m->nanosecond); /* Go takes one that the layout lacks */
        return true;
    case P_PM:
        m->pm = slice_starts_with(*s, SLICE("PM"));
        m->am = slice_starts_with(*s, SLICE("AM"));
        *s = slice_skip(*s, 2);
        return m->pm || m->am;
    case P_ZONE_NAME:
        *s = slice_skip(*s, 3);
        return true;
    case P_ZONE_Z:
    case P_ZONE_Z4:
        m->zoned = true;
        return read_zone(s, true, &m->east);
    case P_ZONE_COLON:
    case P_ZONE4:
    case P_ZONE2:
        m->zoned = true;
        return read_zone(s, false, &m->east);
    case P_FRACTION:
        if (m->nanosecond > 0 || (text.data[1] == '9' && (s->size == 0 || s->data[0] != '.')))
            return true; /* read behind the seconds, or left out */
        return read_fraction(s, &m->nanosecond);
    }
    return false;
}

bool template_time_parse(struct slice text, struct slice layout, struct slice zone, int64_t *ns)
{
    struct moment m = {.month = 1, .day = 1};
    while (layout.size > 0) {
        size_t size;
        enum piece piece = piece_at(layout, &size);
        if (!read_piece(&text, piece, slice_sub(layout, 0, size), &m))
            return false;
        layout = slice_skip(layout, size);
    }
    if (text.size > 0 || m.month < 1 || m.month > 12 || m.day < 1 || m.day > 31 || m.hour > 23 ||
        m.minute > 59 || m.second > 59)
        return false;
    if (m.pm || m.am)
        m.hour = m.hour % 12 + (m.pm ? 12 : 0);
    int64_t seconds = days_from_civil(m.year, m.month, m.day) * 86400 + m.hour * 3600 +
                      m.minute * 60 + m.second - m.east;
    if (!m.zoned && !zone_to_utc(zone, seconds, &seconds))
        return false;
    if (seconds > INT64_MAX / NS_PER_SECOND - 1 || seconds < INT64_MIN / NS_PER_SECOND + 1)
        return false;
    *ns = seconds * NS_PER_SECOND + m.nanosecond;
    return true;
}
