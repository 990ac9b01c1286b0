/*
 * template_functions_text.c - functions of templates on texts, and with regexes.
 *
 * Sprig takes its subject last, Loki's older capital functions take it first.
 */
#include "base/byte_size.h"
#include "base/error.h"
#include "base/number.h"
#include "base/regex.h"
#include "base/template_functions.h"
#include "base/template_text.h"

/* ---- texts -------------------------------------------------------------------------- */

/* Functions of one text and a transformation. */
#define TEXT_FUNCTION(name, transform)                                                             \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        struct buffer b;                                                                           \
        buffer_init(&b, TEMPLATE_TEXT_MAX);                                                        \
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
    {"alignLeft", "is", f_alignLeft},
    {"alignRight", "is", f_alignRight},
    {"b64dec", "s", f_b64dec},
    {"b64enc", "s", f_b64enc},
    {"contains", "ss", f_contains},
    {"count", "ss", f_count},
    {"default", "aa?", f_default},
    {"hasPrefix", "ss", f_hasPrefix},
    {"hasSuffix", "ss", f_hasSuffix},
    {"indent", "is", f_indent},
    {"lower", "s", f_lower},
    {"nindent", "is", f_nindent},
    {"regexReplaceAll", "sss", f_regexReplaceAll},
    {"regexReplaceAllLiteral", "sss", f_regexReplaceAllLiteral},
    {"repeat", "is", f_repeat},
    {"replace", "sss", f_replace},
    {"substr", "iis", f_substr},
    {"title", "s", f_title},
    {"trim", "s", f_trim},
    {"trimAll", "ss", f_trimAll},
    {"trimPrefix", "ss", f_trimPrefix},
    {"trimSuffix", "ss", f_trimSuffix},
    {"trunc", "is", f_trunc},
    {"upper", "s", f_upper},
    {"urldecode", "s", f_urldecode},
    {"urlencode", "s", f_urlencode},
};

const struct template_functions template_text_functions = {functions, COUNT_OF(functions)};
