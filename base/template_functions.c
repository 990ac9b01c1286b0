/*
 * template_functions.c - Go's own functions of templates, and finding any by name.
 */
#include "base/template_functions.h"

#include "base/error.h"
#include "base/number.h"
#include "base/template_text.h"

bool give_text(struct template_run *run, struct buffer *b, struct template_value *out)
{
    *out = template_text(arena_copy(run->arena, buffer_slice(b)));
    bool ok = !b->failed || template_fail(run, "a text is too long");
    buffer_done(b);
    return ok;
}

bool give_bool(struct template_value *out, bool value)
{
    *out = (struct template_value){.type = TV_BOOL, .integer = value};
    return true;
}

bool give_int(struct template_value *out, int64_t value)
{
    *out = (struct template_value){.type = TV_INT, .integer = value};
    return true;
}

bool give_float(struct template_value *out, double value)
{
    *out = (struct template_value){.type = TV_FLOAT, .number = value};
    return true;
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
    buffer_init(&b, TEMPLATE_TEXT_MAX);
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
        buffer_init(&b, TEMPLATE_TEXT_MAX);                                                        \
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

/* ---- the tables ------------------------------------------------------------ */

static const struct template_function functions[] = {
    {"and", "aa*", f_last},
    {"call", "aa*", f_call},
    {"eq", "aa*", f_eq},
    {"fromJson", "s", f_fromJson},
    {"ge", "aa", f_ge},
    {"gt", "aa", f_gt},
    {"html", "a*", f_html},
    {"index", "aa*", f_index},
    {"js", "a*", f_js},
    {"le", "aa", f_le},
    {"len", "a", f_len},
    {"lt", "aa", f_lt},
    {"ne", "aa", f_ne},
    {"not", "a", f_not},
    {"or", "aa*", f_last},
    {"print", "a*", f_print},
    {"printf", "sa*", template_printf},
    {"println", "a*", f_println},
    {"slice", "aa*", f_slice},
    {"urlquery", "a*", f_urlquery},
};

static const struct template_function *find(const struct template_function *items, size_t count,
                                            struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_from_text(items[i].name), name))
            return &items[i];
    }
    return NULL;
}

const struct template_function *template_function_find(struct slice name)
{
    const struct template_function *found = find(functions, COUNT_OF(functions), name);
    if (found == NULL)
        found = find(template_text_functions.items, template_text_functions.count, name);
    if (found == NULL)
        found = find(template_number_functions.items, template_number_functions.count, name);
    return found;
}
