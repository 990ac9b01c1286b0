/*
 * template_functions.c - the functions of templates: Go's own, sprig's and Loki's.
 *
 * Sprig takes its subject last, Loki's older capital functions take it first.  Integers
 * of texts are read as Go reads literals (010 is 8), whole arithmetic is in 64
 * bits and wraps.
 */
#include "base/buffer.h"
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "base/regex.h"
#include "base/template_text.h"
#include "base/template_tree.h"

#include <math.h>

enum { TEXT_MAX = 4 << 20 };

#define FUNCTION(name)                                                                             \
    static bool name(struct template_run *run, const struct template_value *a, size_t n,           \
                     struct template_value *out)
#define UNUSED (void)run, (void)a, (void)n

static bool give_text(struct template_run *run, struct buffer *b, struct template_value *out)
{
    *out = template_text(arena_copy(run->arena, buffer_slice(b)));
    bool ok = !b->failed || template_fail(run, "a text is too long");
    buffer_done(b);
    return ok;
}

static bool give_bool(struct template_value *out, bool value)
{
    *out = (struct template_value){.type = TV_BOOL, .integer = value};
    return true;
}

static bool give_int(struct template_value *out, int64_t value)
{
    *out = (struct template_value){.type = TV_INT, .integer = value};
    return true;
}

static bool give_float(struct template_value *out, double value)
{
    *out = (struct template_value){.type = TV_FLOAT, .number = value};
    return true;
}

/* ---- texts -------------------------------------------------------------------------- */

/* Functions of one text and a transformation. */
#define TEXT_FUNCTION(name, transform)                                                             \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        struct buffer b;                                                                           \
        buffer_init(&b, TEXT_MAX);                                                                 \
        UNUSED;                                                                                    \
        transform(&b, a[0].text);                                                                  \
        return give_text(run, &b, out);                                                            \
    }

TEXT_FUNCTION(f_upper, text_upper)
TEXT_FUNCTION(f_lower, text_lower)
TEXT_FUNCTION(f_title, text_title)
TEXT_FUNCTION(f_urlencode, text_url_encode)
TEXT_FUNCTION(f_b64enc, text_base64_encode)

FUNCTION(f_urldecode)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    UNUSED;
    if (!text_url_decode(&b, a[0].text)) {
        buffer_done(&b);
        return template_fail(run, "error calling urldecode: invalid URL escape");
    }
    return give_text(run, &b, out);
}

FUNCTION(f_b64dec)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    UNUSED;
    size_t bad;
    if (!text_base64_decode(&b, a[0].text, &bad)) {
        buffer_clear(&b);
        buffer_printf(&b, "illegal base64 data at input byte %zu", bad);
    }
    return give_text(run, &b, out);
}

static struct slice trim_set(struct slice s, struct slice set, bool left, bool right)
{
    while (left && s.size > 0 && slice_find_byte(set, s.data[0], 0) != SLICE_NOT_FOUND)
        s = slice_skip(s, 1);
    while (right && s.size > 0 && slice_find_byte(set, s.data[s.size - 1], 0) != SLICE_NOT_FOUND)
        s.size--;
    return s;
}

static struct slice without_suffix(struct slice s, struct slice suffix)
{
    return slice_ends_with(s, suffix) ? slice_of(s.data, s.size - suffix.size) : s;
}

static struct slice without_prefix(struct slice s, struct slice prefix)
{
    return slice_starts_with(s, prefix) ? slice_skip(s, prefix.size) : s;
}

/* Functions that cut a piece out of a text. */
#define CUT_FUNCTION(name, expression)                                                             \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        UNUSED;                                                                                    \
        *out = template_text(expression);                                                          \
        return true;                                                                               \
    }

CUT_FUNCTION(f_Trim, trim_set(a[0].text, a[1].text, true, true))
CUT_FUNCTION(f_TrimLeft, trim_set(a[0].text, a[1].text, true, false))
CUT_FUNCTION(f_TrimRight, trim_set(a[0].text, a[1].text, false, true))
CUT_FUNCTION(f_TrimPrefix, without_prefix(a[0].text, a[1].text))
CUT_FUNCTION(f_TrimSuffix, without_suffix(a[0].text, a[1].text))
CUT_FUNCTION(f_trim, slice_trim(a[0].text))
CUT_FUNCTION(f_trimAll, trim_set(a[1].text, a[0].text, true, true))
CUT_FUNCTION(f_trimPrefix, without_prefix(a[1].text, a[0].text))
CUT_FUNCTION(f_trimSuffix, without_suffix(a[1].text, a[0].text))
CUT_FUNCTION(f_line, run->input->line)

FUNCTION(f_contains)
{
    UNUSED;
    return give_bool(out, slice_find(a[1].text, a[0].text, 0) != SLICE_NOT_FOUND);
}

FUNCTION(f_hasPrefix)
{
    UNUSED;
    return give_bool(out, slice_starts_with(a[1].text, a[0].text));
}

FUNCTION(f_hasSuffix)
{
    UNUSED;
    return give_bool(out, slice_ends_with(a[1].text, a[0].text));
}

static bool replace(struct template_run *run, struct slice s, struct slice old, struct slice fresh,
                    int64_t times, struct template_value *out)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    size_t at = 0;
    while (times != 0 && old.size > 0) {
        size_t hit = slice_find(s, old, at);
        if (hit == SLICE_NOT_FOUND)
            break;
        buffer_append_slice(&b, slice_sub(s, at, hit - at));
        buffer_append_slice(&b, fresh);
        at = hit + old.size;
        times--;
    }
    buffer_append_slice(&b, slice_skip(s, at));
    return give_text(run, &b, out);
}

FUNCTION(f_Replace)
{
    UNUSED;
    return replace(run, a[0].text, a[1].text, a[2].text, a[3].integer, out);
}

FUNCTION(f_replace)
{
    UNUSED;
    return replace(run, a[2].text, a[0].text, a[1].text, -1, out);
}

FUNCTION(f_trunc)
{
    UNUSED;
    struct slice s = a[1].text;
    int64_t size = (int64_t)s.size, c = a[0].integer;
    if (c < 0 && size + c > 0)
        s = slice_skip(s, (size_t)(size + c));
    else if (c >= 0 && size > c)
        s = slice_sub(s, 0, (size_t)c);
    *out = template_text(s);
    return true;
}

FUNCTION(f_substr)
{
    UNUSED;
    struct slice s = a[2].text;
    int64_t size = (int64_t)s.size, from = a[0].integer, to = a[1].integer;
    if (from < 0)
        from = 0;
    else if (to < 0 || to > size)
        to = size;
    if (to < 0 || to > size || from > to)
        return template_fail(run, "error calling substr: slice bounds out of range");
    *out = template_text(slice_sub(s, (size_t)from, (size_t)(to - from)));
    return true;
}

static bool indent(struct template_run *run, int64_t size, struct slice s, bool line,
                   struct template_value *out)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    if (size < 0 || size > 10000)
        return template_fail(run, "error calling indent: a width out of range");
    if (line)
        buffer_append_byte(&b, '\n');
    bool start = true;
    for (size_t i = 0; i <= s.size; i++) {
        for (int64_t k = 0; start && k < size; k++)
            buffer_append_byte(&b, ' ');
        start = i < s.size && s.data[i] == '\n';
        if (i < s.size)
            buffer_append_byte(&b, s.data[i]);
    }
    return give_text(run, &b, out);
}

FUNCTION(f_indent)
{
    UNUSED;
    return indent(run, a[0].integer, a[1].text, false, out);
}

FUNCTION(f_nindent)
{
    UNUSED;
    return indent(run, a[0].integer, a[1].text, true, out);
}

FUNCTION(f_repeat)
{
    UNUSED;
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    if (a[0].integer < 0)
        return template_fail(run, "error calling repeat: negative count");
    for (int64_t i = 0; i < a[0].integer && !b.failed && a[1].text.size > 0; i++)
        buffer_append_slice(&b, a[1].text);
    return give_text(run, &b, out);
}

static bool align(struct template_run *run, int64_t width, struct slice s, bool left,
                  struct template_value *out)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    int64_t size = (int64_t)text_length(s);
    if (width < 0 || size == width) {
        *out = template_text(s);
        return true;
    }
    if (size > width) {
        size_t skip = left ? 0 : (size_t)(size - width);
        *out = template_text(text_sub(s, skip, (size_t)width));
        return true;
    }
    if (left)
        buffer_append_slice(&b, s);
    for (int64_t i = size; i < width && !b.failed; i++)
        buffer_append_byte(&b, ' ');
    if (!left)
        buffer_append_slice(&b, s);
    return give_text(run, &b, out);
}

FUNCTION(f_alignLeft)
{
    UNUSED;
    return align(run, a[0].integer, a[1].text, true, out);
}

FUNCTION(f_alignRight)
{
    UNUSED;
    return align(run, a[0].integer, a[1].text, false, out);
}

FUNCTION(f_default)
{
    UNUSED;
    *out = n > 1 && template_truth(&a[1]) ? a[1] : a[0];
    return true;
}

/* ---- regular expressions ---------------------------------------------------------------- */

/* All matches of a pattern: counted, or replaced by `fresh`, which may have $1. */
static bool each_match(struct template_run *run, struct slice pattern, struct slice s,
                       const struct slice *fresh, bool expand, struct buffer *b, int64_t *count)
{
    struct regex_span spans[REGEX_GROUPS_MAX + 1];
    struct regex *regex = regex_new(pattern, 0, run->err);
    int hit = regex ? 1 : -1;
    size_t at = 0, copied = 0;
    while (regex && at <= s.size) {
        hit = regex_find(regex, s, at, spans, COUNT_OF(spans), run->err);
        if (hit <= 0)
            break;
        ++*count;
        if (fresh) {
            buffer_append_slice(b, slice_sub(s, copied, spans[0].start - copied));
            if (expand)
                regex_expand(regex, *fresh, s, spans, regex_group_count(regex) + 1, b);
            else
                buffer_append_slice(b, *fresh);
        }
        copied = spans[0].end;
        at = spans[0].end > spans[0].start ? spans[0].end : spans[0].end + 1;
    }
    if (fresh)
        buffer_append_slice(b, slice_skip(s, copied));
    regex_free(regex);
    return hit >= 0;
}

FUNCTION(f_count)
{
    UNUSED;
    int64_t count = 0;
    return each_match(run, a[0].text, a[1].text, NULL, false, NULL, &count) && give_int(out, count);
}

static bool regex_replace(struct template_run *run, const struct template_value *a, bool expand,
                          struct template_value *out)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    int64_t count = 0;
    if (each_match(run, a[0].text, a[1].text, &a[2].text, expand, &b, &count))
        return give_text(run, &b, out);
    buffer_done(&b);
    return false;
}

FUNCTION(f_regexReplaceAll)
{
    UNUSED;
    return regex_replace(run, a, true, out);
}

FUNCTION(f_regexReplaceAllLiteral)
{
    UNUSED;
    return regex_replace(run, a, false, out);
}

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

static bool read_time(struct slice layout, struct slice text, struct template_value *out)
{
    int64_t ns;
    return give_time(out, template_time_parse(text, layout, &ns) ? ns : INT64_MIN);
}

FUNCTION(f_toDate)
{
    UNUSED;
    return read_time(a[0].text, a[1].text, out);
}

/* Zones other than UTC are refused rather than read wrongly. */
FUNCTION(f_toDateInZone)
{
    UNUSED;
    struct slice zone = a[1].text;
    if (zone.size > 0 && !slice_equal(zone, SLICE("UTC")) && !slice_equal(zone, SLICE("GMT")) &&
        !slice_equal(zone, SLICE("Etc/UTC")))
        return template_fail(run, "toDateInZone: time zone %.*s is not supported yet",
                             SLICE_ARG(slice_sub(zone, 0, 50)));
    return read_time(a[0].text, a[2].text, out);
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
    buffer_init(&b, TEXT_MAX);
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

/* ---- Go's own -----------------------------------------------------------------------------------
 */

FUNCTION(f_last) /* and, or: what was evaluated last; single values decide earlier */
{
    UNUSED;
    *out = a[n - 1];
    return true;
}

FUNCTION(f_not)
{
    UNUSED;
    return give_bool(out, !template_truth(&a[0]));
}

static bool comparable(struct template_run *run, const struct template_value *a,
                       const struct template_value *b, int *order)
{
    if (a->type != b->type || a->type == TV_MAP || a->type == TV_LIST || a->type == TV_LABELS)
        return template_fail(run, "incompatible types for comparison");
    if (a->type == TV_STRING)
        *order = slice_compare(a->text, b->text);
    else if (a->type == TV_FLOAT)
        *order = (a->number > b->number) - (a->number < b->number);
    else
        *order = (a->integer > b->integer) - (a->integer < b->integer);
    return true;
}

FUNCTION(f_eq)
{
    int order = 0;
    for (size_t i = 1; i < n; i++) {
        if (!comparable(run, &a[0], &a[i], &order))
            return false;
        if (order == 0)
            return give_bool(out, true);
    }
    return give_bool(out, false);
}

#define COMPARE(name, expression)                                                                  \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int order = 0;                                                                             \
        UNUSED;                                                                                    \
        return comparable(run, &a[0], &a[1], &order) && give_bool(out, expression);                \
    }
COMPARE(f_ne, order != 0)
COMPARE(f_lt, order < 0)
COMPARE(f_le, order <= 0)
COMPARE(f_gt, order > 0)
COMPARE(f_ge, order >= 0)

FUNCTION(f_len)
{
    UNUSED;
    if (a[0].type == TV_STRING)
        return give_int(out, (int64_t)a[0].text.size);
    if (a[0].type == TV_LABELS)
        return give_int(out, (int64_t)run->input->all(run->input->context, run->arena).count);
    if (a[0].type != TV_MAP && a[0].type != TV_LIST)
        return template_fail(run, "error calling len: wrong type");
    return give_int(out, (int64_t)a[0].count);
}

static bool index_one(struct template_run *run, struct template_value *v,
                      const struct template_value *key)
{
    int64_t i = key->integer;
    if (v->type == TV_LABELS && key->type == TV_STRING) {
        *v = template_text(run->input->lookup(run->input->context, key->text));
        return true;
    }
    if (v->type == TV_MAP && key->type == TV_STRING) {
        for (size_t k = 0; k < v->count; k++) {
            if (slice_equal(v->keys[k], key->text)) {
                *v = v->items[k];
                return true;
            }
        }
        *v = (struct template_value){0};
        return true;
    }
    size_t size = v->type == TV_STRING ? v->text.size : v->type == TV_LIST ? v->count : 0;
    if (key->type != TV_INT || i < 0 || (size_t)i >= size)
        return template_fail(run, "error calling index: index out of range");
    if (v->type == TV_STRING)
        return give_int(v, (unsigned char)v->text.data[i]);
    *v = v->items[i];
    return true;
}

FUNCTION(f_index)
{
    struct template_value v = a[0];
    for (size_t i = 1; i < n; i++) {
        if (!index_one(run, &v, &a[i]))
            return false;
    }
    *out = v;
    return true;
}

FUNCTION(f_slice)
{
    struct template_value v = a[0];
    size_t size = v.type == TV_STRING ? v.text.size : v.type == TV_LIST ? v.count : 0;
    int64_t from = n > 1 ? a[1].integer : 0, to = n > 2 ? a[2].integer : (int64_t)size;
    if (from < 0 || to < from || (size_t)to > size || (v.type != TV_STRING && v.type != TV_LIST))
        return template_fail(run, "error calling slice: index out of range");
    if (v.type == TV_STRING)
        v.text = slice_sub(v.text, (size_t)from, (size_t)(to - from));
    else
        v.items += from;
    v.count = v.type == TV_LIST ? (size_t)(to - from) : 0;
    *out = v;
    return true;
}

FUNCTION(f_call)
{
    UNUSED;
    (void)out;
    return template_fail(run, "error calling call: not a function");
}

/* Blanks between operands when neither is a text; println puts them always. */
static bool print(struct template_run *run, const struct template_value *a, size_t n, bool line,
                  struct template_value *out)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        bool texts = i > 0 && (a[i].type == TV_STRING || a[i - 1].type == TV_STRING);
        if (i > 0 && (line || !texts))
            buffer_append_byte(&b, ' ');
        template_print(&b, &a[i], true);
    }
    if (line)
        buffer_append_byte(&b, '\n');
    return give_text(run, &b, out);
}

FUNCTION(f_print)
{
    return print(run, a, n, false, out);
}

FUNCTION(f_println)
{
    return print(run, a, n, true, out);
}

#define ESCAPE(name, transform)                                                                    \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        struct template_value all;                                                                 \
        struct buffer b;                                                                           \
        if (!print(run, a, n, false, &all))                                                        \
            return false;                                                                          \
        buffer_init(&b, TEXT_MAX);                                                                 \
        transform(&b, all.text);                                                                   \
        return give_text(run, &b, out);                                                            \
    }
ESCAPE(f_html, text_html_escape)
ESCAPE(f_js, text_js_escape)
ESCAPE(f_urlquery, text_url_encode)

FUNCTION(f_fromJson)
{
    UNUSED;
    *out = (struct template_value){0};
    if (!text_from_json(a[0].text, run->arena, out))
        *out = (struct template_value){0};
    return true;
}

/* ---- the table --------------------------------------------------------------------------------
 */

static const struct template_function functions[] = {
    {"Replace", "sssi", f_Replace},
    {"ToLower", "s", f_lower},
    {"ToUpper", "s", f_upper},
    {"Trim", "ss", f_Trim},
    {"TrimLeft", "ss", f_TrimLeft},
    {"TrimPrefix", "ss", f_TrimPrefix},
    {"TrimRight", "ss", f_TrimRight},
    {"TrimSpace", "s", f_trim},
    {"TrimSuffix", "ss", f_TrimSuffix},
    {"__line__", "", f_line},
    {"__timestamp__", "", f_timestamp},
    {"add", "aa*", f_add},
    {"addf", "aa*", f_addf},
    {"alignLeft", "is", f_alignLeft},
    {"alignRight", "is", f_alignRight},
    {"and", "aa*", f_last},
    {"b64dec", "s", f_b64dec},
    {"b64enc", "s", f_b64enc},
    {"bytes", "s", f_bytes},
    {"call", "aa*", f_call},
    {"ceil", "a", f_ceil},
    {"contains", "ss", f_contains},
    {"count", "ss", f_count},
    {"date", "st", f_date},
    {"default", "aa?", f_default},
    {"div", "aa", f_div},
    {"divf", "aa*", f_divf},
    {"duration", "s", f_duration},
    {"duration_seconds", "s", f_duration},
    {"eq", "aa*", f_eq},
    {"float64", "a", f_float64},
    {"floor", "a", f_floor},
    {"fromJson", "s", f_fromJson},
    {"ge", "aa", f_ge},
    {"gt", "aa", f_gt},
    {"hasPrefix", "ss", f_hasPrefix},
    {"hasSuffix", "ss", f_hasSuffix},
    {"html", "a*", f_html},
    {"indent", "is", f_indent},
    {"index", "aa*", f_index},
    {"int", "a", f_int},
    {"js", "a*", f_js},
    {"le", "aa", f_le},
    {"len", "a", f_len},
    {"lower", "s", f_lower},
    {"lt", "aa", f_lt},
    {"max", "aa*", f_max},
    {"maxf", "aa*", f_maxf},
    {"min", "aa*", f_min},
    {"minf", "aa*", f_minf},
    {"mod", "aa", f_mod},
    {"mul", "aa*", f_mul},
    {"mulf", "aa*", f_mulf},
    {"ne", "aa", f_ne},
    {"nindent", "is", f_nindent},
    {"not", "a", f_not},
    {"now", "", f_now},
    {"or", "aa*", f_last},
    {"print", "a*", f_print},
    {"printf", "sa*", template_printf},
    {"println", "a*", f_println},
    {"regexReplaceAll", "sss", f_regexReplaceAll},
    {"regexReplaceAllLiteral", "sss", f_regexReplaceAllLiteral},
    {"repeat", "is", f_repeat},
    {"replace", "sss", f_replace},
    {"round", "aaa?", f_round},
    {"slice", "aa*", f_slice},
    {"sub", "aa", f_sub},
    {"subf", "aa*", f_subf},
    {"substr", "iis", f_substr},
    {"title", "s", f_title},
    {"toDate", "ss", f_toDate},
    {"toDateInZone", "sss", f_toDateInZone},
    {"trim", "s", f_trim},
    {"trimAll", "ss", f_trimAll},
    {"trimPrefix", "ss", f_trimPrefix},
    {"trimSuffix", "ss", f_trimSuffix},
    {"trunc", "is", f_trunc},
    {"unixEpoch", "t", f_unixEpoch},
    {"unixEpochMillis", "t", f_unixEpochMillis},
    {"unixEpochNanos", "t", f_unixEpochNanos},
    {"unixToTime", "s", f_unixToTime},
    {"upper", "s", f_upper},
    {"urldecode", "s", f_urldecode},
    {"urlencode", "s", f_urlencode},
    {"urlquery", "a*", f_urlquery},
};

const struct template_function *template_function_find(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        if (slice_equal(slice_from_text(functions[i].name), name))
            return &functions[i];
    }
    return NULL;
}
