/*
 * double_format.c - the shortest decimal text of a double (see number.h).
 *
 * Whole numbers below 2^53 and decimals with few places, which is most of what
 * a server prints, are found by trying.  The rest goes through Giulietti's
 * Schubfach method: the double's rounding interval is scaled by a power of ten
 * in 128-bit fixed point such that at most a handful of integers lie inside,
 * and the shortest (then the closest, then the even one) is taken.  The powers
 * of ten are computed once per process with plain big-number arithmetic.
 */
#include "base/number.h"

#include "base/buffer.h"
#include "base/bytes.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>

__extension__ typedef unsigned __int128 uint128;

enum {
    POWER_MIN = -292, /* powers of ten that doubles need */
    POWER_MAX = 324,
    BIG_LIMBS = 20, /* of 64 bits: 10^324 has 1,077, and division starts at 2^1280 */
    DIGITS_MAX = 20
};

/* 10^p scaled to 128 bits with the highest bit set, rounded up. */
struct power {
    uint64_t high, low;
};

static struct power powers[POWER_MAX - POWER_MIN + 1];
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;

/* The highest 128 bits of a little-endian big number that is not zero. */
static struct power big_top(const uint64_t big[BIG_LIMBS], bool inexact)
{
    int top = BIG_LIMBS - 1;
    while (big[top] == 0)
        top--;
    int shift = __builtin_clzll(big[top]);
    uint64_t limb[3] = {0};
    for (int i = 0; i < 3 && top - i >= 0; i++)
        limb[i] = big[top - i];
    struct power p = {limb[0], limb[1]};
    uint64_t dropped = limb[2];
    if (shift > 0) {
        p.high = limb[0] << shift | limb[1] >> (64 - shift);
        p.low = limb[1] << shift | limb[2] >> (64 - shift);
        dropped = limb[2] << shift;
    }
    for (int i = top - 3; i >= 0; i--)
        dropped |= big[i];
    if ((dropped != 0 || inexact) && ++p.low == 0)
        p.high++;
    return p;
}

static void powers_make(void)
{
    uint64_t big[BIG_LIMBS] = {1};
    for (int p = 0; p <= POWER_MAX; p++) {
        powers[p - POWER_MIN] = big_top(big, false);
        uint64_t carry = 0;
        for (int i = 0; i < BIG_LIMBS; i++) {
            uint128 product = (uint128)big[i] * 10 + carry;
            big[i] = (uint64_t)product;
            carry = (uint64_t)(product >> 64);
        }
    }
    /* Rounding down after each division gives the same as dividing at once. */
    memset(big, 0, sizeof(big));
    big[BIG_LIMBS - 1] = UINT64_C(1) << 63;
    for (int p = -1; p >= POWER_MIN; p--) {
        uint64_t rest = 0;
        for (int i = BIG_LIMBS - 1; i >= 0; i--) {
            uint128 part = (uint128)rest << 64 | big[i];
            big[i] = (uint64_t)(part / 10);
            rest = (uint64_t)(part % 10);
        }
        powers[p - POWER_MIN] = big_top(big, true);
    }
}

/* A positive decimal: digits * 10^exponent. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* The upper 64 bits of p * c, with the lowest bit set when anything was cut. */
static uint64_t multiply_to_odd(struct power p, uint64_t c)
{
    uint64_t low_high = (uint64_t)(((uint128)p.low * c) >> 64);
    uint128 sum = (uint128)p.high * c + low_high;
    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

/* The shortest decimal inside the rounding interval of mantissa * 2^exponent. */
static struct decimal shortest(uint64_t mantissa, int exponent, bool lower_is_closer)
{
    pthread_once(&powers_once, powers_make);
    uint64_t exclude = mantissa & 1; /* an odd mantissa does not own its interval's ends */
    uint64_t left = 4 * mantissa - 2 + lower_is_closer;
    uint64_t right = 4 * mantissa + 2;

    /* floor(log10(2^exponent)), of 3/4 of it where the interval is narrower; floor(log2(10^-k)) */
    int k = (exponent * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
    int shift = exponent + ((-k * 1741647) >> 19) + 1;
    struct power p = powers[-k - POWER_MIN];
    uint64_t at_left = multiply_to_odd(p, left << shift) + exclude;
    uint64_t at = multiply_to_odd(p, (4 * mantissa) << shift);
    uint64_t at_right = multiply_to_odd(p, right << shift) - exclude;

    uint64_t s = at / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = at_left <= 40 * tens;
        bool up = 40 * tens + 40 <= at_right;
        if (down != up)
            return (struct decimal){tens + up, k + 1};
    }
    bool down = at_left <= 4 * s;
    bool up = 4 * s + 4 <= at_right;
    if (down != up)
        return (struct decimal){s + up, k};
    uint64_t middle = 4 * s + 2;
    bool round_up = at > middle || (at == middle && (s & 1));
    return (struct decimal){s + round_up, k};
}

/* Decimals of up to six places and 15 digits in all; false when `v` is not one of them. */
static bool few_places(double v, struct decimal *d)
{
    static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    if (!(v >= 1e-5 && v < 1e9))
        return false;
    for (int places = 1; places < (int)COUNT_OF(scales); places++) {
        double whole = nearbyint(v * scales[places]);
        if (whole / scales[places] == v) {
            *d = (struct decimal){(uint64_t)whole, -places};
            return true;
        }
    }
    return false;
}

/* `v` is finite and above zero. */
static struct decimal decimal_of(double v)
{
    struct decimal d;
    if (v < 0x1p53 && v == (double)(uint64_t)v) {
        d = (struct decimal){(uint64_t)v, 0};
    } else if (!few_places(v, &d)) {
        uint64_t bits = double_bits(v);
        uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
        int biased = (int)(bits >> 52);
        if (biased == 0)
            d = shortest(fraction, -1074, false);
        else
            d = shortest(fraction | UINT64_C(1) << 52, biased - 1075, fraction == 0 && biased > 1);
    }
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

/* Writes the digits of `v`, most significant first; returns how many. */
static size_t write_digits(char *out, uint64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char text[DIGITS_MAX];
    size_t at = sizeof(text);
    while (v >= 100) {
        at -= 2;
        memcpy(text + at, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(text + at, pairs + v * 2, 2);
    } else {
        text[--at] = (char)('0' + v);
    }
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

/* d.ddde+xx; `point` is the exponent of the first digit. */
static char *write_exponent_form(char *out, const char *digits, size_t count, int point)
{
    *out++ = digits[0];
    if (count > 1) {
        *out++ = '.';
        out = mempcpy(out, digits + 1, count - 1);
    }
    *out++ = 'e';
    *out++ = point < 0 ? '-' : '+';
    unsigned size = (unsigned)(point < 0 ? -point : point);
    if (size < 10)
        *out++ = '0';
    return out + write_digits(out, size);
}

static char *write_plain_form(char *out, const char *digits, size_t count, int point)
{
    if (point < 0) {
        *out++ = '0';
        *out++ = '.';
        memset(out, '0', (size_t)(-point - 1));
        return mempcpy(out + (-point - 1), digits, count);
    }
    size_t whole = (size_t)point + 1;
    if (count <= whole) {
        out = mempcpy(out, digits, count);
        memset(out, '0', whole - count);
        return out + (whole - count);
    }
    out = mempcpy(out, digits, whole);
    *out++ = '.';
    return mempcpy(out, digits + whole, count - whole);
}

static bool wants_exponent(char form, double v, int point)
{
    switch (form) {
    case 'e':
        return true;
    case 'g':
        return point < -4 || point >= 6;
    case 'j':
        return v < 1e-6 || v >= 1e21;
    default:
        assert(form == 'f');
        return false;
    }
}

static size_t write_text(char *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out, text, size + 1);
    return size;
}

size_t double_format(char out[DOUBLE_TEXT_MAX], double v, char form)
{
    if (isnan(v))
        return write_text(out, "NaN");
    if (isinf(v))
        return write_text(out, v > 0 ? "+Inf" : "-Inf");

    char *at = out;
    if (signbit(v)) {
        *at++ = '-';
        v = -v;
    }
    if (v == 0) {
        at += write_text(at, form == 'e' ? "0e+00" : "0");
        return (size_t)(at - out);
    }
    if (v < 1e15 && v == (double)(uint64_t)v && (form == 'f' || form == 'j')) {
        at += write_digits(at, (uint64_t)v);
        *at = '\0';
        return (size_t)(at - out);
    }
    struct decimal d = decimal_of(v);
    char digits[DIGITS_MAX];
    size_t count = write_digits(digits, d.digits);
    int point = d.exponent + (int)count - 1;
    at = wants_exponent(form, v, point) ? write_exponent_form(at, digits, count, point)
                                        : write_plain_form(at, digits, count, point);
    *at = '\0';
    return (size_t)(at - out);
}

void buffer_append_double(struct buffer *b, double v, char form)
{
    char text[DOUBLE_TEXT_MAX];
    buffer_append(b, text, double_format(text, v, form));
}

void buffer_append_u64(struct buffer *b, uint64_t v)
{
    char text[DIGITS_MAX];
    buffer_append(b, text, write_digits(text, v));
}

void buffer_append_i64(struct buffer *b, int64_t v)
{
    char text[DIGITS_MAX + 1] = "-";
    size_t sign = v < 0;
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    buffer_append(b, text, sign + write_digits(text + sign, magnitude));
}
