/*
 * function_label.c - label_replace and label_join, for both dialects.
 *
 * They change labels only, so the columns are collected, relabelled, and those that
 * have become equal are united.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

enum { TEXT_SHOWN = 200, VALUE_MAX = 1 << 20 };

typedef bool relabel(void *context, struct column *column, struct arena *arena, struct error *err);

static bool relabel_all(struct evaluation *ev, const struct node *argument, const struct grid *grid,
                        struct sink *sink, relabel *change, void *context, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    struct columns all = {0};
    bool ok = eval_collect(ev, argument, grid, arena, &all, err);
    for (size_t i = 0; ok && i < all.count; i++) {
        ok = change(context, &all.items[i], arena, err) && arena_check(arena, "the query", err) &&
             eval_tick(ev, 1, err);
    }
    ok =
        ok && columns_unite(ev, &all, grid->steps, arena, err) && columns_emit(ev, &all, sink, err);
    columns_release(ev, &all);
    arena_free(arena);
    return ok;
}

static void set_label(struct column *column, struct slice name, struct slice value,
                      struct arena *arena)
{
    column->labels = labels_with(arena, column->labels, name, value);
    if (slice_equal(name, LABEL_NAME_METRIC))
        column->drop_name = false;
}

static bool valid_name(struct slice name)
{
    return name.size > 0 && utf8_is_valid(name);
}

/* ---- label_replace(v, destination, replacement, source, regex) ------------------------ */

struct replacing {
    struct slice destination, replacement, source;
    struct regex *regex;
};

static bool replace_label(void *context, struct column *column, struct arena *arena,
                          struct error *err)
{
    const struct replacing *r = context;
    struct regex_span spans[REGEX_GROUPS_MAX];
    struct slice value = labels_get(column->labels, r->source);
    if (value.data == NULL)
        value = SLICE("");
    size_t groups = regex_group_count(r->regex) + 1;
    if (groups > REGEX_GROUPS_MAX)
        groups = REGEX_GROUPS_MAX;
    int hit = regex_find(r->regex, value, 0, spans, groups, err);
    if (hit <= 0)
        return hit == 0;
    struct buffer text;
    buffer_init(&text, VALUE_MAX);
    regex_expand(r->regex, r->replacement, value, spans, groups, &text);
    bool ok = buffer_check(&text, "a label value made by label_replace", err);
    if (ok)
        set_label(column, r->destination, arena_copy(arena, buffer_slice(&text)), arena);
    buffer_done(&text);
    return ok;
}

SPECIAL(special_label_replace)
{
    (void)scalar;
    struct node **a = call->call.arguments;
    struct replacing r = {node_text(a[1]), node_text(a[2]), node_text(a[3]), NULL};
    struct error bad = {0};
    r.regex = regex_new(node_text(a[4]), REGEX_ANCHORED | REGEX_DOT_NEWLINE, &bad);
    if (r.regex == NULL)
        return error_set(err, ERR_EXECUTION, "invalid regular expression in label_replace(): %.*s",
                         SLICE_ARG(slice_sub(node_text(a[4]), 0, TEXT_SHOWN)));
    bool ok =
        valid_name(r.destination) ||
        error_set(err, ERR_EXECUTION, "invalid destination label name in label_replace(): %.*s",
                  SLICE_ARG(slice_sub(r.destination, 0, TEXT_SHOWN)));
    ok = ok && relabel_all(ev, a[0], grid, sink, replace_label, &r, err);
    regex_free(r.regex);
    return ok;
}

/* ---- label_join(v, destination, separator, source...) ----------------------------------- */

static bool join_label(void *context, struct column *column, struct arena *arena, struct error *err)
{
    const struct node *call = context;
    struct node **a = call->call.arguments;
    struct buffer text;
    buffer_init(&text, VALUE_MAX);
    for (size_t i = 3; i < call->call.count; i++) {
        if (i > 3)
            buffer_append_slice(&text, node_text(a[2]));
        buffer_append_slice(&text, labels_get(column->labels, node_text(a[i])));
    }
    bool ok = buffer_check(&text, "a label value made by label_join", err);
    if (ok)
        set_label(column, node_text(a[1]), arena_copy(arena, buffer_slice(&text)), arena);
    buffer_done(&text);
    return ok;
}

SPECIAL(special_label_join)
{
    (void)scalar;
    struct node **a = call->call.arguments;
    for (size_t i = 3; i < call->call.count; i++) {
        if (!valid_name(node_text(a[i])))
            return error_set(err, ERR_EXECUTION, "invalid source label name in label_join(): %.*s",
                             SLICE_ARG(slice_sub(node_text(a[i]), 0, TEXT_SHOWN)));
    }
    if (!valid_name(node_text(a[1])))
        return error_set(err, ERR_EXECUTION, "invalid destination label name in label_join(): %.*s",
                         SLICE_ARG(slice_sub(node_text(a[1]), 0, TEXT_SHOWN)));
    struct node copy = *call;
    return relabel_all(ev, a[0], grid, sink, join_label, &copy, err);
}
