/*
 * aggregate_select.c - aggregations that look at all values of a group: topk and its
 * kin, quantile, count_values, LogQL's sort.
 *
 * The input is collected.  Step by step the present values of each group are gathered
 * and chosen from; topk, bottomk, limitk and limit_ratio keep their input's columns
 * and blank what was not chosen.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/utf8.h"
#include "query/annotations.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/histogram_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct select {
    struct evaluation *ev;
    const struct aggregation *aggregation;
    struct arena *arena;
    size_t steps;
    struct columns in;
    uint32_t *group;   /* of each column */
    uint32_t *members; /* columns ordered by group, then as they came */
    uint32_t *starts;  /* members of group g: [starts[g], starts[g + 1]) */
    struct label_index *index;
    uint32_t groups;
    double *parameter; /* per step */
    uint32_t at;       /* where annotations about ignored histograms point to */
};

static bool make_groups(struct select *s, struct error *err)
{
    struct arena *scratch = eval_arena(s->ev);
    s->group = arena_calloc(s->arena, s->in.count, sizeof(*s->group));
    s->members = arena_calloc(s->arena, s->in.count, sizeof(*s->members));
    bool ok = arena_check(s->arena, "the query", err);
    for (size_t i = 0; ok && i < s->in.count; i++) {
        bool added;
        struct labels key =
            grouping_labels(&s->aggregation->grouping, s->in.items[i].labels, scratch);
        s->group[i] = label_index_put(s->index, key, &added);
        arena_reset(scratch);
        ok = s->group[i] != UINT32_MAX || arena_check(s->arena, "the query", err);
    }
    arena_free(scratch);
    if (!ok)
        return false;
    s->groups = label_index_count(s->index);
    s->starts = arena_calloc(s->arena, s->groups + 2u, sizeof(*s->starts));
    if (s->starts == NULL)
        return arena_check(s->arena, "the query", err);
    for (size_t i = 0; i < s->in.count; i++)
        s->starts[s->group[i] + 2]++;
    for (uint32_t g = 2; g < s->groups + 2; g++)
        s->starts[g] += s->starts[g - 1];
    for (size_t i = 0; i < s->in.count; i++)
        s->members[s->starts[s->group[i] + 1]++] = (uint32_t)i;
    return true;
}

/* ---- parameters ------------------------------------------------------------------------ */

struct bounds {
    double least, most;
    bool nan;
};

static struct bounds parameter_bounds(const struct select *s)
{
    struct bounds b = {(double)INFINITY, -(double)INFINITY, false};
    for (size_t i = 0; i < s->steps; i++) {
        b.nan = b.nan || isnan(s->parameter[i]);
        b.least = fmin(b.least, s->parameter[i]);
        b.most = fmax(b.most, s->parameter[i]);
    }
    return b;
}

static bool check_count(const struct bounds *b, struct error *err)
{
    char text[DOUBLE_TEXT_MAX];
    if (b->nan)
        return error_set(err, ERR_EXECUTION, "Parameter value is NaN");
    if (b->least <= -9223372036854775808.0) {
        double_format(text, b->least, 'g');
        return error_set(err, ERR_EXECUTION, "Scalar value %s underflows int64", text);
    }
    if (b->most >= 9223372036854775808.0) {
        double_format(text, b->most, 'g');
        return error_set(err, ERR_EXECUTION, "Scalar value %s overflows int64", text);
    }
    return true;
}

static void warn_ratio(const struct select *s, double got, double capped)
{
    char a[DOUBLE_TEXT_MAX], b[DOUBLE_TEXT_MAX];
    double_format(a, got, 'g');
    double_format(b, capped, 'g');
    annotate(s->ev->annotations, ANNOTATION_WARNING, s->aggregation->parameter->start,
             "ratio value should be between -1 and 1, got %s, capping to %s", a, b);
}

/* `*nothing`: the parameter chooses nothing at any step. */
static bool check_parameter(const struct select *s, bool *nothing, struct error *err)
{
    struct bounds b = parameter_bounds(s);
    uint32_t at = s->aggregation->parameter->start;
    *nothing = false;
    switch (s->aggregation->op) {
    case AGG_TOPK:
    case AGG_BOTTOMK:
    case AGG_LIMITK:
        *nothing = !b.nan && b.most < 1;
        return *nothing || check_count(&b, err);
    case AGG_LIMIT_RATIO:
        *nothing = !b.nan && b.most == 0 && b.least == 0;
        if (*nothing)
            return true;
        if (b.nan)
            return error_set(err, ERR_EXECUTION, "Ratio value is NaN");
        if (b.most > 1)
            warn_ratio(s, b.most, 1);
        if (b.least < -1)
            warn_ratio(s, b.least, -1);
        return true;
    case AGG_QUANTILE:
        if (!s->aggregation->parameter->dialect->quantile_annotations)
            return true;
        if (b.nan)
            annotate_quantile(s->ev, (double)NAN, at);
        if (b.most > 1)
            annotate_quantile(s->ev, b.most, at);
        if (b.least < 0)
            annotate_quantile(s->ev, b.least, at);
        return true;
    default:
        return true;
    }
}

/* ---- choosing --------------------------------------------------------------------------- */

struct candidate {
    double value;
    uint32_t column;
};

/* Best first: NaN last, then the order of the columns. */
static int topmost(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (isnan(x->value) || isnan(y->value)) {
        if (isnan(x->value) != isnan(y->value))
            return isnan(x->value) ? 1 : -1;
    } else if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->column < y->column ? -1 : 1;
}

static int bottommost(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (isnan(x->value) || isnan(y->value) || x->value == y->value)
        return topmost(a, b);
    return x->value < y->value ? -1 : 1;
}

/* A fixed place in [0, 1) for every label set: the share of series below a ratio is near it. */
static double sample_offset(struct labels labels)
{
    struct hash128 hash = labels_fingerprint(labels);
    return (double)(hash.high >> 11) / 9007199254740992.0;
}

static bool in_ratio(double ratio, double offset)
{
    return ratio >= 0 ? offset < ratio : offset >= 1.0 + ratio;
}

struct choice {
    struct candidate *items;
    size_t count;
};

static void gather(const struct select *s, uint32_t group, size_t step, struct choice *choice)
{
    enum aggregator op = s->aggregation->op;
    choice->count = 0;
    for (uint32_t i = s->starts[group]; i < s->starts[group + 1]; i++) {
        const struct column *column = &s->in.items[s->members[i]];
        bool float_only = op != AGG_LIMITK && op != AGG_LIMIT_RATIO;
        if (column->cells[step] == CELL_NONE)
            continue;
        if (float_only && column->cells[step] != CELL_FLOAT) {
            annotate_ignored(s->ev, op, s->at);
            continue;
        }
        choice->items[choice->count++] = (struct candidate){column->values[step], s->members[i]};
    }
}

static void choose(const struct select *s, size_t step, struct choice *choice)
{
    enum aggregator op = s->aggregation->op;
    double parameter = s->parameter[step];
    if (op == AGG_LIMIT_RATIO) {
        double ratio = fmax(-1, fmin(1, parameter));
        size_t kept = 0;
        for (size_t i = 0; i < choice->count; i++) {
            double offset = sample_offset(s->in.items[choice->items[i].column].labels);
            if (in_ratio(ratio, offset))
                choice->items[kept++] = choice->items[i];
        }
        choice->count = ratio == 0 ? 0 : kept;
        return;
    }
    if (op == AGG_TOPK || op == AGG_BOTTOMK)
        qsort(choice->items, choice->count, sizeof(*choice->items),
              op == AGG_TOPK ? topmost : bottommost);
    if (!(parameter >= 1))
        choice->count = 0;
    else if (parameter < (double)choice->count)
        choice->count = (size_t)parameter;
}

/* One step: the chosen columns in the order in which they were chosen. */
static bool select_instant(struct select *s, struct choice *choice, struct columns *out,
                           struct error *err)
{
    for (uint32_t g = 0; g < s->groups; g++) {
        gather(s, g, 0, choice);
        choose(s, 0, choice);
        for (size_t i = 0; i < choice->count; i++) {
            if (!columns_push(out, s->in.items[choice->items[i].column], s->arena))
                return arena_check(s->arena, "the query", err);
        }
    }
    return true;
}

static bool select_range(struct select *s, struct choice *choice, struct columns *out,
                         struct error *err)
{
    uint8_t *keep = arena_calloc(s->arena, s->in.count, s->steps);
    if (keep == NULL)
        return arena_check(s->arena, "the query", err);
    for (size_t step = 0; step < s->steps; step++) {
        for (uint32_t g = 0; g < s->groups; g++) {
            gather(s, g, step, choice);
            choose(s, step, choice);
            for (size_t i = 0; i < choice->count; i++)
                keep[choice->items[i].column * s->steps + step] = 1;
        }
        if (!eval_tick(s->ev, s->in.count, err))
            return false;
    }
    for (size_t i = 0; i < s->in.count; i++) {
        struct column *column = &s->in.items[i];
        for (size_t step = 0; step < s->steps; step++) {
            if (!keep[i * s->steps + step])
                column->cells[step] = CELL_NONE;
        }
        if (!column_is_empty(column, s->steps) && !columns_push(out, *column, s->arena))
            return arena_check(s->arena, "the query", err);
    }
    return true;
}

static bool quantiles(struct select *s, struct choice *choice, struct columns *out,
                      struct error *err)
{
    double *values = arena_calloc(s->arena, s->in.count, sizeof(*values));
    if (values == NULL)
        return arena_check(s->arena, "the query", err);
    for (uint32_t g = 0; g < s->groups; g++) {
        struct column column;
        if (!column_init(&column, label_index_get(s->index, g), s->steps, s->arena))
            return arena_check(s->arena, "the query", err);
        for (size_t step = 0; step < s->steps; step++) {
            gather(s, g, step, choice);
            if (choice->count == 0)
                continue;
            for (size_t i = 0; i < choice->count; i++)
                values[i] = choice->items[i].value;
            column.cells[step] = CELL_FLOAT;
            column.values[step] = quantile_of(s->parameter[step], values, choice->count);
            if (!eval_tick(s->ev, choice->count, err))
                return false;
        }
        for (uint32_t i = s->starts[g]; i < s->starts[g + 1]; i++)
            column.drop_name = column.drop_name || s->in.items[s->members[i]].drop_name;
        if (!column_is_empty(&column, s->steps) && !columns_push(out, column, s->arena))
            return arena_check(s->arena, "the query", err);
    }
    return true;
}

/* LogQL's sort: all values, as one group per grouping. */
static bool sort_all(struct select *s, struct choice *choice, struct columns *out,
                     struct error *err)
{
    if (s->steps > 1) {
        *out = s->in;
        return true;
    }
    for (uint32_t g = 0; g < s->groups; g++) {
        gather(s, g, 0, choice);
        qsort(choice->items, choice->count, sizeof(*choice->items),
              s->aggregation->op == AGG_SORT_DESC ? topmost : bottommost);
        for (size_t i = 0; i < choice->count; i++) {
            if (!columns_push(out, s->in.items[choice->items[i].column], s->arena))
                return arena_check(s->arena, "the query", err);
        }
    }
    return true;
}

static bool select_collected(struct select *s, struct columns *out, struct error *err)
{
    struct choice choice = {arena_calloc(s->arena, s->in.count, sizeof(struct candidate)), 0};
    if (choice.items == NULL)
        return arena_check(s->arena, "the query", err);
    switch (s->aggregation->op) {
    case AGG_QUANTILE:
        return quantiles(s, &choice, out, err);
    case AGG_SORT:
    case AGG_SORT_DESC:
        return sort_all(s, &choice, out, err);
    default:
        return s->steps == 1 ? select_instant(s, &choice, out, err)
                             : select_range(s, &choice, out, err);
    }
}

static bool select_run(struct select *s, const struct grid *grid, struct columns *out,
                       struct error *err)
{
    bool nothing = false;
    const struct node *parameter = s->aggregation->parameter;
    if (parameter) {
        s->parameter = arena_calloc(s->arena, s->steps, sizeof(*s->parameter));
        if (s->parameter == NULL)
            return arena_check(s->arena, "the query", err);
        if (!eval_scalar(s->ev, parameter, grid, s->parameter, err))
            return false;
    }
    if (!eval_collect(s->ev, s->aggregation->argument, grid, s->arena, &s->in, err))
        return false;
    if (parameter && !check_parameter(s, &nothing, err))
        return false;
    return nothing || (make_groups(s, err) && select_collected(s, out, err));
}

bool aggregate_select_stream(struct evaluation *ev, const struct node *node,
                             const struct grid *grid, struct sink *sink, struct error *err)
{
    struct select s = {
        .ev = ev, .aggregation = &node->aggregation, .arena = eval_arena(ev), .steps = grid->steps};
    s.at = node->aggregation.op == AGG_QUANTILE ? node->aggregation.argument->start : node->start;
    s.index = label_index_new(s.arena);
    struct columns out = {0};
    bool ok = select_run(&s, grid, &out, err) && columns_emit(ev, &out, sink, err);
    columns_release(ev, &s.in);
    label_index_free(s.index);
    arena_free(s.arena);
    return ok;
}

/* ---- count_values ------------------------------------------------------------------------- */

static struct slice value_text(const struct column *in, size_t step, struct arena *scratch)
{
    char number[DOUBLE_TEXT_MAX];
    if (in->cells[step] == CELL_FLOAT)
        return arena_copy(scratch, slice_of(number, double_format(number, in->values[step], 'f')));
    struct buffer text;
    buffer_init(&text, 1 << 20);
    histogram_append_text(&text, in->histograms[step], scratch);
    struct slice copy = arena_copy(scratch, buffer_slice(&text));
    buffer_done(&text);
    return copy;
}

static bool count_column(struct select *s, const struct column *in, struct columns *out,
                         struct arena *scratch, struct error *err)
{
    const struct aggregation *a = s->aggregation;
    struct slice name = node_unwrap(a->parameter)->string;
    for (size_t i = 0; i < s->steps; i++) {
        if (in->cells[i] == CELL_NONE)
            continue;
        struct slice text = value_text(in, i, scratch);
        struct labels labels = labels_with(scratch, in->labels, name, text);
        struct labels key = grouping_labels(&a->grouping, labels, scratch);
        if (!a->grouping.without)
            key = labels_with(scratch, key, name, text);
        bool added;
        uint32_t at = label_index_put(s->index, key, &added);
        arena_reset(scratch);
        struct column column;
        if (at == UINT32_MAX ||
            (added && (!column_init(&column, label_index_get(s->index, at), s->steps, s->arena) ||
                       !columns_push(out, column, s->arena))))
            return arena_check(s->arena, "the query", err);
        struct column *counts = &out->items[at];
        counts->values[i] = counts->cells[i] == CELL_NONE ? 1 : counts->values[i] + 1;
        counts->cells[i] = CELL_FLOAT;
    }
    return eval_tick(s->ev, s->steps, err);
}

static bool bad_label(struct slice name, struct error *err)
{
    struct buffer quoted;
    buffer_init(&quoted, 2000);
    buffer_append_quoted(&quoted, slice_sub(name, 0, 200));
    error_set(err, ERR_EXECUTION, "invalid label name %.*s", SLICE_ARG(buffer_slice(&quoted)));
    buffer_done(&quoted);
    return false;
}

bool count_values_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                         struct sink *sink, struct error *err)
{
    const struct aggregation *a = &node->aggregation;
    const struct node *parameter = node_unwrap(a->parameter);
    if (parameter->string.size == 0 || !utf8_is_valid(parameter->string))
        return bad_label(parameter->string, err);
    struct select s = {.ev = ev, .aggregation = a, .arena = eval_arena(ev), .steps = grid->steps};
    struct arena *scratch = eval_arena(ev);
    s.index = label_index_new(s.arena);
    struct columns out = {0};
    bool ok = eval_collect(ev, a->argument, grid, s.arena, &s.in, err);
    for (size_t i = 0; ok && i < s.in.count; i++)
        ok = count_column(&s, &s.in.items[i], &out, scratch, err);
    ok = ok && columns_emit(ev, &out, sink, err);
    columns_release(ev, &s.in);
    label_index_free(s.index);
    arena_free(scratch);
    arena_free(s.arena);
    return ok;
}
