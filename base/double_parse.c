/*
 * double_parse.c - text to integers and doubles as Go reads it (see number.h).
 *
 * A decimal of at most 19 digits whose value and power of ten are both exact
 * as doubles is one multiplication or division, correctly rounded.  All other
 * text is brought into a bounded plain form and given to strtod, whose result
 * is exact and, as the locale is never set, uses a point.
 */
#include "base/number.h"

#include <math.h>
#include <string.h>

enum {
    DIGITS_KEPT = 800,       /* no double needs more than 768 digits to be rounded right */
    EXPONENT_MAX = 100000000 /* larger ones are cut: they are far out of range */
};

bool slice_parse_u64(struct slice s, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.size; i++) {
        unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    if (s.size == 0)
        return false;
    *value = v;
    return true;
}

bool slice_parse_i64(struct slice s, int64_t *value)
{
    bool negative = s.size > 0 && s.data[0] == '-';
    size_t sign = s.size > 0 && (s.data[0] == '-' || s.data[0] == '+');
    uint64_t v;
    if (!slice_parse_u64(slice_skip(s, sign), &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool starts_hex(struct slice s)
{
    return s.size >= 2 && s.data[0] == '0' && (s.data[1] == 'x' || s.data[1] == 'X');
}

/* Go's rule: each '_' stands between two digits, or between "0x" and a digit. */
static bool underscores_are_between_digits(struct slice s)
{
    bool hex = starts_hex(s);
    bool after_digit = hex;
    for (size_t i = hex ? 2 : 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '_') {
            bool before_digit =
                i + 1 < s.size && (hex ? is_hex_digit(s.data[i + 1]) : is_digit(s.data[i + 1]));
            if (!after_digit || !before_digit)
                return false;
        }
        after_digit = hex ? is_hex_digit(c) : is_digit(c);
    }
    return true;
}

/* What was read: digits * base^..., as text that strtod understands. */
struct number_text {
    char digits[DIGITS_KEPT + 1]; /* significant ones, the last stands for all that were cut */
    size_t count;
    uint64_t value; /* of the first 19 digits */
    int64_t exponent;
};

static void keep_digit(struct number_text *n, char c)
{
    if (n->count == 0 && c == '0')
        return;
    if (n->count < DIGITS_KEPT) {
        n->digits[n->count++] = c;
        if (n->count <= 19)
            n->value = n->value * 10 + (uint64_t)(c - '0'); /* only used for decimals */
    } else {
        if (c != '0')
            n->digits[DIGITS_KEPT - 1] = '1'; /* sticky: it is not exactly what precedes */
        n->exponent++;
    }
}

/* Digits with at most one point; each digit behind the point lowers the exponent. */
static bool read_mantissa(struct slice s, size_t *at, bool hex, struct number_text *n)
{
    bool point = false;
    bool any = false;
    for (; *at < s.size; (*at)++) {
        char c = s.data[*at];
        if (c == '_')
            continue;
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!(hex ? is_hex_digit(c) : is_digit(c)))
            break;
        any = true;
        keep_digit(n, c);
        n->exponent -= point;
    }
    return any;
}

/* "e-12" or "p+3" to the end of the text; nothing at all is 0 where that is allowed. */
static bool read_exponent(struct slice s, size_t at, bool hex, int64_t *exponent)
{
    *exponent = 0;
    if (at == s.size)
        return !hex;
    char mark = (char)(s.data[at++] | 0x20);
    if (mark != (hex ? 'p' : 'e'))
        return false;
    bool negative = at < s.size && s.data[at] == '-';
    if (at < s.size && (s.data[at] == '-' || s.data[at] == '+'))
        at++;
    if (at == s.size || !is_digit(s.data[at]))
        return false;
    int64_t v = 0;
    for (; at < s.size; at++) {
        if (s.data[at] == '_')
            continue;
        if (!is_digit(s.data[at]))
            return false;
        if (v < EXPONENT_MAX)
            v = v * 10 + (s.data[at] - '0');
    }
    *exponent = negative ? -v : v;
    return true;
}

static bool small_decimal(const struct number_text *n, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (n->count > 19 || n->value > UINT64_C(1) << 53 || n->exponent < -22 || n->exponent > 22)
        return false;
    *value = n->exponent < 0 ? (double)n->value / powers[-n->exponent]
                             : (double)n->value * powers[n->exponent];
    return true;
}

static double convert(const struct number_text *n, bool hex)
{
    double value;
    if (n->count == 0)
        return 0;
    if (!hex && small_decimal(n, &value))
        return value;
    char text[DIGITS_KEPT + 40];
    snprintf(text, sizeof(text), "%s%.*s%c%lld", hex ? "0x" : "", (int)n->count, n->digits,
             hex ? 'p' : 'e', (long long)n->exponent);
    return strtod(text, NULL);
}

static bool parse_name(struct slice s, bool sign, double *value)
{
    if (slice_equal_ignore_case(s, SLICE("inf")) || slice_equal_ignore_case(s, SLICE("infinity"))) {
        *value = (double)INFINITY;
        return true;
    }
    if (!sign && slice_equal_ignore_case(s, SLICE("nan"))) {
        *value = (double)NAN;
        return true;
    }
    return false;
}

bool slice_parse_double(struct slice s, bool underscores, double *value)
{
    bool sign = s.size > 0 && (s.data[0] == '-' || s.data[0] == '+');
    bool negative = sign && s.data[0] == '-';
    s = slice_skip(s, sign);
    if (s.size == 0)
        return false;

    double magnitude;
    if (!is_digit(s.data[0]) && s.data[0] != '.') {
        if (!parse_name(s, sign, &magnitude))
            return false;
    } else {
        if (slice_find_byte(s, '_', 0) != SLICE_NOT_FOUND &&
            (!underscores || !underscores_are_between_digits(s)))
            return false;
        bool hex = starts_hex(s);
        size_t at = hex ? 2 : 0;
        struct number_text n;
        n.count = 0;
        n.value = 0;
        n.exponent = 0;
        int64_t exponent;
        if (!read_mantissa(s, &at, hex, &n) || !read_exponent(s, at, hex, &exponent))
            return false;
        n.exponent = n.exponent * (hex ? 4 : 1) + exponent;
        magnitude = convert(&n, hex);
    }
    *value = negative ? -magnitude : magnitude;
    return true;
}
