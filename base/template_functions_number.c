/*
 * template_functions_number.c - functions of templates on numbers and times.
 *
 * Integers of texts are read as Go reads literals (010 is 8), whole arithmetic is
 * in 64 bits and wraps.
 */
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "base/template_functions.h"
#include "base/template_text.h"
#include "base/zone.h"

#include <math.h>

/* ---- numbers ------------------------------------------------------------------------------- */

static double to_float(const struct template_value *v)
{
    double number = 0;
    if (v->type == TV_STRING)
        slice_parse_double(v->text, false, &number);
    else if (v->type == TV_FLOAT)
        number = v->number;
    else if (v->type == TV_INT || v->type == TV_BOOL)
        number = (double)v->integer;
    return number;
}

static int64_t float_to_int(double number)
{
    return number > -9.2e18 && number < 9.2e18 ? (int64_t)number : INT64_MIN;
}

static int64_t to_int(const struct template_value *v)
{
    char copy[64], *end = NULL;
    if (v->type == TV_INT || v->type == TV_BOOL)
        return v->integer;
    if (v->type == TV_FLOAT)
        return float_to_int(v->number);
    if (v->type != TV_STRING || v->text.size == 0 || v->text.size >= sizeof(copy))
        return 0;
    memcpy(copy, v->text.data, v->text.size);
    copy[v->text.size] = '\0';
    long long whole = strtoll(copy, &end, 0);
    return *end == '\0' ? whole : float_to_int(to_float(v));
}

FUNCTION(f_int)
{
    UNUSED;
    return give_int(out, to_int(&a[0]));
}

FUNCTION(f_float64)
{
    UNUSED;
    return give_float(out, to_float(&a[0]));
}

enum arithmetic { ADD, SUB, MUL, DIV, MOD, MIN, MAX };

static bool whole(struct template_run *run, enum arithmetic op, const struct template_value *a,
                  size_t n, struct template_value *out)
{
    int64_t value = to_int(&a[0]);
    for (size_t i = 1; i < n; i++) {
        int64_t right = to_int(&a[i]);
        uint64_t x = (uint64_t)value, y = (uint64_t)right;
        if ((op == DIV || op == MOD) && right == 0)
            return template_fail(run, "runtime error: integer divide by zero");
        if ((op == DIV || op == MOD) && right == -1)
            value = op == DIV ? (int64_t)(0 - x) : 0;
        else if (op == DIV || op == MOD)
            value = op == DIV ? value / right : value % right;
        else if (op == MIN || op == MAX)
            value = (op == MIN) == (right < value) ? right : value;
        else
            value = (int64_t)(op == ADD ? x + y : op == SUB ? x - y : x * y);
    }
    return give_int(out, value);
}

/* Decimal arithmetic: in more digits than a double has, so that 0.1 + 0.2 is 0.3. */
static long double to_decimal(const struct template_value *v)
{
    char text[DOUBLE_TEXT_MAX];
    double_format(text, to_float(v), 'e');
    return strtold(text, NULL);
}

static bool decimal(struct template_run *run, enum arithmetic op, const struct template_value *a,
                    size_t n, struct template_value *out)
{
    long double value = to_decimal(&a[0]);
    for (size_t i = 1; i < n; i++) {
        long double right = to_decimal(&a[i]);
        if (op == DIV && right == 0)
            return template_fail(run, "error calling divf: decimal division by 0");
        if (op == MIN || op == MAX)
            value = (op == MIN) == (right < value) ? right : value;
        else
            value = op == ADD   ? value + right
                    : op == SUB ? value - right
                    : op == MUL ? value * right
                                : value / right;
    }
    return give_float(out, (double)value);
}

#define WHOLE(name, op)                                                                            \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        return whole(run, op, a, n, out);                                                          \
    }
#define DECIMAL(name, op)                                                                          \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        return decimal(run, op, a, n, out);                                                        \
    }
WHOLE(f_add, ADD)
WHOLE(f_sub, SUB)
WHOLE(f_mul, MUL)
WHOLE(f_div, DIV)
WHOLE(f_mod, MOD)
WHOLE(f_min, MIN)
WHOLE(f_max, MAX)
DECIMAL(f_addf, ADD)
DECIMAL(f_subf, SUB)
DECIMAL(f_mulf, MUL)
DECIMAL(f_divf, DIV)
DECIMAL(f_minf, MIN)
DECIMAL(f_maxf, MAX)

FUNCTION(f_ceil)
{
    UNUSED;
    return give_float(out, ceil(to_float(&a[0])));
}

FUNCTION(f_floor)
{
    UNUSED;
    return give_float(out, floor(to_float(&a[0])));
}

FUNCTION(f_round)
{
    UNUSED;
    double places = pow(10, to_float(&a[1]));
    double digit = places * to_float(&a[0]), integral;
    double up_from = n > 2 ? to_float(&a[2]) : 0.5;
    double rest = modf(digit, &integral);
    return give_float(out, (rest >= up_from ? ceil(digit) : floor(digit)) / places);
}

FUNCTION(f_bytes)
{
    UNUSED;
    uint64_t bytes;
    if (!byte_size_parse(a[0].text, &bytes))
        return template_fail(run, "error calling bytes: invalid size");
    return give_float(out, (double)bytes);
}

FUNCTION(f_duration)
{
    UNUSED;
    int64_t ns;
    if (!duration_parse_go(a[0].text, &ns))
        return template_fail(run, "error calling duration: invalid duration");
    return give_float(out, (double)(ns / NS_PER_SECOND) + (double)(ns % NS_PER_SECOND) / 1e9);
}

/* ---- times ----------------------------------------------------------------------------------- */

static bool give_time(struct template_value *out, int64_t ns)
{
    *out = (struct template_value){.type = TV_TIME, .integer = ns};
    return true;
}

static bool read_time(struct slice layout, struct slice zone, struct slice text,
                      struct template_value *out)
{
    int64_t ns;
    return give_time(out, template_time_parse(text, layout, zone, &ns) ? ns : INT64_MIN);
}

FUNCTION(f_toDate)
{
    UNUSED;
    return read_time(a[0].text, SLICE("UTC"), a[1].text, out);
}

/* A zone that nobody knows is UTC, as in Loki. */
FUNCTION(f_toDateInZone)
{
    UNUSED;
    int64_t utc;
    struct slice zone = zone_to_utc(a[1].text, 0, &utc) ? a[1].text : SLICE("UTC");
    return read_time(a[0].text, zone, a[2].text, out);
}

FUNCTION(f_now)
{
    UNUSED;
    return give_time(out, clock_now_ns(NULL));
}

FUNCTION(f_timestamp)
{
    UNUSED;
    return give_time(out, run->input->time_ns);
}

FUNCTION(f_date)
{
    UNUSED;
    struct buffer b;
    buffer_init(&b, TEMPLATE_TEXT_MAX);
    template_time_format(&b, a[1].integer, a[0].text);
    return give_text(run, &b, out);
}

static bool give_epoch(struct template_run *run, int64_t ns, int64_t unit,
                       struct template_value *out)
{
    int64_t rest = ns % unit;
    int64_t value = ns / unit - (rest < 0);
    *out = template_text(arena_printf(run->arena, "%jd", (intmax_t)value));
    return true;
}

FUNCTION(f_unixEpoch)
{
    UNUSED;
    return give_epoch(run, a[0].integer, NS_PER_SECOND, out);
}

FUNCTION(f_unixEpochMillis)
{
    UNUSED;
    return give_epoch(run, a[0].integer, NS_PER_MS, out);
}

FUNCTION(f_unixEpochNanos)
{
    UNUSED;
    return give_epoch(run, a[0].integer, 1, out);
}

/* The number of digits tells the unit. */
FUNCTION(f_unixToTime)
{
    UNUSED;
    int64_t value, ns;
    static const struct {
        size_t digits;
        int64_t unit;
    } units[] = {{5, NS_PER_DAY}, {10, NS_PER_SECOND}, {13, NS_PER_MS}, {16, NS_PER_US}, {19, 1}};
    for (size_t i = 0; i < COUNT_OF(units) && slice_parse_i64(a[0].text, &value); i++) {
        if (a[0].text.size == units[i].digits && !__builtin_mul_overflow(value, units[i].unit, &ns))
            return give_time(out, ns);
    }
    return template_fail(run, "error calling unixToTime: unable to parse time '%.*s'",
                         SLICE_ARG(slice_sub(a[0].text, 0, 50)));
}

static const struct template_function functions[] = {
    {"__timestamp__", "", f_timestamp},
    {"add", "aa*", f_add},
    {"addf", "aa*", f_addf},
    {"bytes", "s", f_bytes},
    {"ceil", "a", f_ceil},
    {"date", "st", f_date},
    {"div", "aa", f_div},
    {"divf", "aa*", f_divf},
    {"duration", "s", f_duration},
    {"duration_seconds", "s", f_duration},
    {"float64", "a", f_float64},
    {"floor", "a", f_floor},
    {"int", "a", f_int},
    {"max", "aa*", f_max},
    {"maxf", "aa*", f_maxf},
    {"min", "aa*", f_min},
    {"minf", "aa*", f_minf},
    {"mod", "aa", f_mod},
    {"mul", "aa*", f_mul},
    {"mulf", "aa*", f_mulf},
    {"now", "", f_now},
    {"round", "aaa?", f_round},
    {"sub", "aa", f_sub},
    {"subf", "aa*", f_subf},
    {"toDate", "ss", f_toDate},
    {"toDateInZone", "sss", f_toDateInZone},
    {"unixEpoch", "t", f_unixEpoch},
    {"unixEpochMillis", "t", f_unixEpochMillis},
    {"unixEpochNanos", "t", f_unixEpochNanos},
    {"unixToTime", "s", f_unixToTime},
};

const struct template_functions template_number_functions = {functions, COUNT_OF(functions)};
