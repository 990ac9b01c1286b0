/*
 * function_histogram.c - quantiles and fractions of classic histograms: series with
 * a label `le` that count what is at or below it.
 *
 * The input is collected and grouped by the labels without `le`; at each step the
 * present buckets of a group form one histogram.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"
#include "query/histogram_work.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bucket {
    double bound, count;
};

/* How much had to be mended so that the counts never fall. */
struct repair {
    double least_bound, most_bound, most_difference;
    int64_t first_ns, last_ns;
    size_t samples;
};

struct histograms {
    struct evaluation *ev;
    const struct node *argument;
    struct arena *arena;
    size_t steps;
    struct label_index *index; /* labels without le; of native ones all */
    struct columns in;
    uint32_t *group; /* of each column; UINT32_MAX: no usable le */
    double *bound;
    uint32_t groups;
    uint32_t *members, *starts; /* as in aggregate_select.c */
    struct bucket *buckets;     /* of one group at one step */
    size_t bucket_count;
    struct repair *repairs; /* per group */
    bool *drop_name;        /* per group */
    uint32_t *native;       /* of each column: its own group, when it has native histograms */
    uint32_t *native_of;    /* per group: that column plus one; 0: none */
    struct arena *scratch;
};

/* ---- grouping ------------------------------------------------------------------------- */

/* `text` with the name of the metric behind it, when it has one that is still known. */
static void annotate_named(struct histograms *h, enum annotation_level level, struct labels labels,
                           const char *text)
{
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    struct slice name = labels_get(labels, LABEL_NAME_METRIC);
    if (name.size > 0 && (h->ev->request->features & QUERY_DELAYED_NAME_REMOVAL)) {
        buffer_append_text(&buffer, " for metric name ");
        buffer_append_quoted(&buffer, name);
    }
    annotate(h->ev->annotations, level, h->argument->start, "%s%.*s", text,
             SLICE_ARG(buffer_slice(&buffer)));
    buffer_done(&buffer);
}

static void warn_bad_bound(struct histograms *h, struct labels labels)
{
    struct buffer text;
    buffer_init(&text, 2000);
    buffer_append_quoted(&text, labels_get(labels, SLICE("le")));
    struct slice name = labels_get(labels, LABEL_NAME_METRIC);
    if (name.size > 0 && (h->ev->request->features & QUERY_DELAYED_NAME_REMOVAL)) {
        buffer_append_text(&text, " for metric name ");
        buffer_append_quoted(&text, name);
    }
    annotate(h->ev->annotations, ANNOTATION_WARNING, h->argument->start,
             "bucket label \"le\" is missing or has a malformed value of %.*s",
             SLICE_ARG(buffer_slice(&text)));
    buffer_done(&text);
}

static bool holds(const struct column *column, enum cell kind, size_t steps)
{
    return memchr(column->cells, (int)kind, steps) != NULL;
}

static bool number_columns(struct histograms *h, struct error *err)
{
    struct arena *scratch = eval_arena(h->ev);
    struct slice le = SLICE("le");
    bool ok = true;
    for (size_t i = 0; ok && i < h->in.count; i++) {
        struct labels labels = h->in.items[i].labels;
        bool added;
        h->group[i] = h->native[i] = UINT32_MAX;
        if (h->in.items[i].histograms && holds(&h->in.items[i], CELL_HISTOGRAM, h->steps)) {
            h->native[i] = label_index_put(h->index, labels, &added);
            if (!holds(&h->in.items[i], CELL_FLOAT, h->steps))
                continue;
        }
        struct slice bound = labels_get(labels, le);
        if (bound.size == 0 || !slice_parse_double(bound, false, &h->bound[i])) {
            warn_bad_bound(h, labels);
            continue;
        }
        h->group[i] =
            label_index_put(h->index, labels_select(scratch, labels, &le, 1, false), &added);
        arena_reset(scratch);
        ok = h->group[i] != UINT32_MAX || arena_check(h->arena, "the query", err);
    }
    arena_free(scratch);
    return ok;
}

static bool group_columns(struct histograms *h, struct error *err)
{
    h->group = arena_calloc(h->arena, h->in.count, sizeof(*h->group));
    h->native = arena_calloc(h->arena, h->in.count, sizeof(*h->native));
    h->bound = arena_calloc(h->arena, h->in.count, sizeof(*h->bound));
    h->members = arena_calloc(h->arena, h->in.count, sizeof(*h->members));
    h->buckets = arena_calloc(h->arena, h->in.count + 1, sizeof(*h->buckets));
    if (!arena_check(h->arena, "the query", err) || !number_columns(h, err))
        return false;
    h->groups = label_index_count(h->index);
    h->starts = arena_calloc(h->arena, h->groups + 2u, sizeof(*h->starts));
    h->repairs = arena_calloc(h->arena, h->groups, sizeof(*h->repairs));
    h->drop_name = arena_calloc(h->arena, h->groups, sizeof(*h->drop_name));
    h->native_of = arena_calloc(h->arena, h->groups, sizeof(*h->native_of));
    if (!arena_check(h->arena, "the query", err))
        return false;
    for (size_t i = 0; i < h->in.count; i++) {
        if (h->group[i] != UINT32_MAX)
            h->starts[h->group[i] + 2]++;
    }
    for (size_t i = 0; i < h->in.count; i++) {
        if (h->native[i] != UINT32_MAX)
            h->native_of[h->native[i]] = (uint32_t)i + 1;
    }
    for (uint32_t g = 2; g < h->groups + 2; g++)
        h->starts[g] += h->starts[g - 1];
    for (size_t i = 0; i < h->in.count; i++) {
        if (h->group[i] != UINT32_MAX)
            h->members[h->starts[h->group[i] + 1]++] = (uint32_t)i;
    }
    return true;
}

static int compare_bounds(const void *a, const void *b)
{
    double x = ((const struct bucket *)a)->bound, y = ((const struct bucket *)b)->bound;
    return (x > y) - (x < y);
}

/* The buckets of a group at one step: sorted, equal bounds added up. */
static void gather(struct histograms *h, uint32_t group, size_t step)
{
    size_t count = 0;
    for (uint32_t i = h->starts[group]; i < h->starts[group + 1]; i++) {
        const struct column *column = &h->in.items[h->members[i]];
        if (column->cells[step] == CELL_FLOAT)
            h->buckets[count++] = (struct bucket){h->bound[h->members[i]], column->values[step]};
    }
    qsort(h->buckets, count, sizeof(*h->buckets), compare_bounds);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && h->buckets[kept - 1].bound == h->buckets[i].bound)
            h->buckets[kept - 1].count += h->buckets[i].count;
        else
            h->buckets[kept++] = h->buckets[i];
    }
    h->bucket_count = kept;
}

/* ---- quantiles ----------------------------------------------------------------------------- */

/* Equal but for rounding. */
static bool nearly_equal(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < 1e-12 * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < 1e-12;
}

/* Counts must not fall with the bound: rounding is ignored, anything larger is noted. */
static void mend(struct histograms *h, struct repair *repair, int64_t time_ns)
{
    double before = h->buckets[0].count;
    bool mended = false;
    for (size_t i = 1; i < h->bucket_count; i++) {
        struct bucket *b = &h->buckets[i];
        if (b->count == before)
            continue;
        if (!nearly_equal(before, b->count)) {
            if (!(b->count < before)) {
                before = b->count;
                continue;
            }
            bool first = repair->samples == 0 && !mended;
            repair->least_bound = first ? b->bound : fmin(repair->least_bound, b->bound);
            repair->most_bound = first ? b->bound : fmax(repair->most_bound, b->bound);
            repair->most_difference = fmax(repair->most_difference, before - b->count);
            mended = true;
        }
        b->count = before;
    }
    if (!mended)
        return;
    if (repair->samples++ == 0)
        repair->first_ns = time_ns;
    repair->last_ns = time_ns;
}

static double quantile(const struct bucket *buckets, size_t count, double q)
{
    if (count < 2 || buckets[count - 1].count == 0)
        return (double)NAN;
    double rank = q * buckets[count - 1].count;
    size_t b = 0, high = count - 1;
    while (b < high) {
        size_t middle = b + (high - b) / 2;
        if (buckets[middle].count >= rank)
            high = middle;
        else
            b = middle + 1;
    }
    if (b == count - 1)
        return buckets[count - 2].bound;
    if (b == 0 && buckets[0].bound <= 0)
        return buckets[0].bound;
    double start = 0, inside = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].bound;
        inside -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (buckets[b].bound - start) * (rank / inside);
}

static double quantile_at(struct histograms *h, uint32_t group, double q, int64_t time_ns)
{
    if (isnan(q))
        return (double)NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -(double)INFINITY : (double)INFINITY;
    double last = h->buckets[h->bucket_count - 1].bound;
    if (!isinf(last) || last < 0)
        return (double)NAN;
    mend(h, &h->repairs[group], time_ns);
    return quantile(h->buckets, h->bucket_count, q);
}

static void append_precise(struct buffer *out, double v)
{
    char text[64];
    snprintf(text, sizeof(text), "%.2g", v);
    buffer_append_text(out, text);
}

static void annotate_repair(struct histograms *h, struct slice name, const struct repair *r)
{
    struct buffer text;
    buffer_init(&text, 4000);
    if (name.size > 0 && (h->ev->request->features & QUERY_DELAYED_NAME_REMOVAL)) {
        buffer_append_text(&text, " for metric name ");
        buffer_append_quoted(&text, name);
    }
    buffer_append_text(&text, ", from buckets ");
    buffer_append_double(&text, r->least_bound, 'g');
    buffer_append_text(&text, " to ");
    buffer_append_double(&text, r->most_bound, 'g');
    buffer_append_text(&text, ", with a max diff of ");
    append_precise(&text, r->most_difference);
    buffer_printf(&text, ", over %zu samples from ", r->samples);
    buffer_append_rfc3339(&text, r->first_ns / NS_PER_SECOND * NS_PER_SECOND);
    buffer_append_text(&text, " to ");
    buffer_append_rfc3339(&text, r->last_ns / NS_PER_SECOND * NS_PER_SECOND);
    annotate(h->ev->annotations, ANNOTATION_INFO, h->argument->start,
             "input to histogram_quantile needed to be fixed for monotonicity (see "
             "https://prometheus.io/docs/prometheus/latest/querying/functions/"
             "#histogram_quantile)%.*s",
             SLICE_ARG(buffer_slice(&text)));
    buffer_done(&text);
}

static void unite_repairs(struct repair *into, const struct repair *from)
{
    if (into->samples == 0) {
        *into = *from;
        return;
    }
    into->least_bound = fmin(into->least_bound, from->least_bound);
    into->most_bound = fmax(into->most_bound, from->most_bound);
    into->most_difference = fmax(into->most_difference, from->most_difference);
    into->first_ns = into->first_ns < from->first_ns ? into->first_ns : from->first_ns;
    into->last_ns = into->last_ns > from->last_ns ? into->last_ns : from->last_ns;
    into->samples += from->samples;
}

/* One annotation for each metric name. */
static void annotate_repairs(struct histograms *h)
{
    bool named = (h->ev->request->features & QUERY_DELAYED_NAME_REMOVAL) != 0;
    for (uint32_t g = 0; g < h->groups; g++) {
        if (h->repairs[g].samples == 0)
            continue;
        struct slice name = labels_get(label_index_get(h->index, g), LABEL_NAME_METRIC);
        struct repair all = h->repairs[g];
        for (uint32_t other = g + 1; other < h->groups; other++) {
            struct repair *r = &h->repairs[other];
            if (r->samples > 0 &&
                (!named || slice_equal(name, labels_get(label_index_get(h->index, other),
                                                        LABEL_NAME_METRIC)))) {
                unite_repairs(&all, r);
                r->samples = 0;
            }
        }
        annotate_repair(h, name, &all);
    }
}

/* ---- fractions ---------------------------------------------------------------------------------
 */

static double rank_in(const struct bucket *b, double start, double below, double at)
{
    if (isinf(start))
        return b->count;
    return below + (b->count - below) * (at - start) / (b->bound - start);
}

/* The cumulated count at `at`, or `count` when it lies behind all buckets. */
static double rank_of(const struct histograms *h, double at)
{
    double start = h->buckets[0].bound <= 0 ? -(double)INFINITY : 0, below = 0;
    double count = h->buckets[h->bucket_count - 1].count;
    for (size_t i = 0; i < h->bucket_count; i++) {
        const struct bucket *b = &h->buckets[i];
        if (i > 0)
            start = h->buckets[i - 1].bound;
        if (start >= at)
            return below > count ? count : below;
        if (b->bound > at) {
            double rank = rank_in(b, start, below, at);
            return rank > count ? count : rank;
        }
        below = b->count;
    }
    return count;
}

static double fraction(const struct histograms *h, double lower, double upper)
{
    double last = h->buckets[h->bucket_count - 1].bound;
    double count = h->buckets[h->bucket_count - 1].count;
    if (!isinf(last) || last < 0 || count == 0 || isnan(lower) || isnan(upper))
        return (double)NAN;
    if (lower >= upper)
        return 0;
    return (rank_of(h, upper) - rank_of(h, lower)) / count;
}

/* ---- native histograms --------------------------------------------------------------- */

/* The group's native histogram at a step; classic buckets beside it spoil both. */
static const struct histogram *native_at(struct histograms *h, uint32_t group, size_t step)
{
    uint32_t number = h->native_of[group];
    if (number == 0 || h->in.items[number - 1].cells[step] != CELL_HISTOGRAM)
        return NULL;
    if (h->bucket_count == 0)
        return h->in.items[number - 1].histograms[step];
    h->bucket_count = 0;
    annotate_named(h, ANNOTATION_WARNING, label_index_get(h->index, group),
                   "vector contains a mix of classic and native histograms");
    return NULL;
}

static void annotate_note(struct histograms *h, uint32_t group, enum histogram_note note)
{
    static const char *const texts[] = {
        [NOTE_NAN_RESULT] = "input to histogram_quantile has NaN observations, result is NaN",
        [NOTE_NAN_SKEW] =
            "input to histogram_quantile has NaN observations, result is skewed higher",
        [NOTE_NAN_FRACTION] = "input to histogram_fraction has NaN observations, which are "
                              "excluded from all fractions"};
    if (note != NOTE_NONE)
        annotate_named(h, ANNOTATION_INFO, label_index_get(h->index, group), texts[note]);
}

/* ---- the calls
 * ------------------------------------------------------------------------------------ */

static bool histograms_open(struct histograms *h, struct evaluation *ev,
                            const struct node *argument, const struct grid *grid, struct error *err)
{
    *h = (struct histograms){.ev = ev,
                             .argument = argument,
                             .arena = eval_arena(ev),
                             .scratch = eval_arena(ev),
                             .steps = grid->steps};
    h->index = label_index_new(h->arena);
    if (!eval_collect(ev, argument, grid, h->arena, &h->in, err) || !group_columns(h, err))
        return false;
    for (size_t i = 0; i < h->in.count; i++) {
        if (h->native[i] != UINT32_MAX)
            h->drop_name[h->native[i]] |= h->in.items[i].drop_name;
        if (h->group[i] != UINT32_MAX)
            h->drop_name[h->group[i]] |= h->in.items[i].drop_name;
    }
    return true;
}

static void histograms_close(struct histograms *h)
{
    columns_release(h->ev, &h->in);
    label_index_free(h->index);
    arena_free(h->scratch);
    arena_free(h->arena);
}

static bool add_result(struct histograms *h, struct column *column, struct columns *out,
                       size_t steps, struct error *err)
{
    if (!column_drop_name(h->ev, column, h->arena) ||
        (!column_is_empty(column, steps) && !columns_push(out, *column, h->arena)))
        return arena_check(h->arena, "the query", err);
    return true;
}

static bool finish(struct histograms *h, struct columns *out, size_t steps, struct sink *sink,
                   struct error *err)
{
    bool early = (h->ev->request->features & QUERY_DELAYED_NAME_REMOVAL) == 0;
    return (!early || columns_unite(h->ev, out, steps, h->arena, err)) &&
           columns_emit(h->ev, out, sink, err);
}

static bool quantile_columns(struct histograms *h, const struct node *q_node, const double *q,
                             struct slice label, struct slice text, const struct grid *grid,
                             struct columns *out, struct error *err)
{
    for (size_t i = 0; i < grid->steps; i++) {
        if (!(q[i] >= 0 && q[i] <= 1))
            annotate_quantile(h->ev, q[i], q_node->start);
    }
    for (uint32_t g = 0; g < h->groups; g++) {
        struct column column;
        struct labels labels = label_index_get(h->index, g);
        if (label.size > 0)
            labels = labels_with(h->arena, labels, label, text);
        if (!column_init(&column, labels, grid->steps, h->arena))
            return arena_check(h->arena, "the query", err);
        for (size_t i = 0; i < grid->steps; i++) {
            enum histogram_note note = NOTE_NONE;
            gather(h, g, i);
            const struct histogram *native = native_at(h, g, i);
            if (native == NULL && h->bucket_count == 0)
                continue;
            column.cells[i] = CELL_FLOAT;
            if (native)
                column.values[i] = histogram_quantile(native, q[i], h->scratch, &note);
            annotate_note(h, g, note);
            if (native)
                continue;
            column.values[i] = quantile_at(h, g, q[i], grid_time(grid, i));
            if (!eval_tick(h->ev, h->bucket_count, err))
                return false;
        }
        if (!add_result(h, &column, out, grid->steps, err))
            return false;
    }
    return true;
}

SPECIAL(special_histogram_quantile)
{
    (void)scalar;
    struct histograms h;
    struct columns out = {0};
    const struct node *q_node = call->call.arguments[0];
    bool ok = histograms_open(&h, ev, call->call.arguments[1], grid, err);
    double *q = ok ? arena_calloc(h.arena, grid->steps, sizeof(*q)) : NULL;
    ok = ok && arena_check(h.arena, "the query", err) && eval_scalar(ev, q_node, grid, q, err) &&
         quantile_columns(&h, q_node, q, SLICE(""), SLICE(""), grid, &out, err);
    if (ok)
        annotate_repairs(&h);
    ok = ok && finish(&h, &out, grid->steps, sink, err);
    histograms_close(&h);
    return ok;
}

/* A number as OpenMetrics writes it: 1 is "1.0". */
static struct slice open_metrics_number(struct arena *arena, double v)
{
    char text[DOUBLE_TEXT_MAX];
    size_t size = double_format(text, v, 'g');
    bool plain = isfinite(v);
    for (size_t i = 0; i < size; i++)
        plain = plain && text[i] != '.' && text[i] != 'e';
    return arena_printf(arena, "%s%s", text, plain ? ".0" : "");
}

SPECIAL(special_histogram_quantiles)
{
    (void)scalar;
    struct histograms h;
    struct columns out = {0};
    struct node **a = call->call.arguments;
    bool ok = histograms_open(&h, ev, a[0], grid, err);
    double *q = ok ? arena_calloc(h.arena, grid->steps, sizeof(*q)) : NULL;
    ok = ok && arena_check(h.arena, "the query", err);
    for (size_t i = 2; ok && i < call->call.count; i++) {
        ok = eval_scalar(ev, a[i], grid, q, err);
        struct slice text = ok ? open_metrics_number(h.arena, q[0]) : SLICE("");
        ok = ok && quantile_columns(&h, a[i], q, node_text(a[1]), text, grid, &out, err);
    }
    if (ok)
        annotate_repairs(&h);
    ok = ok && finish(&h, &out, grid->steps, sink, err);
    histograms_close(&h);
    return ok;
}

static bool fraction_columns(struct histograms *h, const double *lower, const double *upper,
                             const struct grid *grid, struct columns *out, struct error *err)
{
    for (uint32_t g = 0; g < h->groups; g++) {
        struct column column;
        if (!column_init(&column, label_index_get(h->index, g), grid->steps, h->arena))
            return arena_check(h->arena, "the query", err);
        for (size_t i = 0; i < grid->steps; i++) {
            enum histogram_note note = NOTE_NONE;
            gather(h, g, i);
            const struct histogram *native = native_at(h, g, i);
            if (native == NULL && h->bucket_count == 0)
                continue;
            column.cells[i] = CELL_FLOAT;
            column.values[i] =
                native ? histogram_fraction(native, lower[i], upper[i], h->scratch, &note)
                       : fraction(h, lower[i], upper[i]);
            annotate_note(h, g, note);
        }
        if (!eval_tick(h->ev, grid->steps, err) || !add_result(h, &column, out, grid->steps, err))
            return false;
    }
    return true;
}

SPECIAL(special_histogram_fraction)
{
    (void)scalar;
    struct histograms h;
    struct columns out = {0};
    struct node **a = call->call.arguments;
    bool ok = histograms_open(&h, ev, a[2], grid, err);
    double *lower = ok ? arena_calloc(h.arena, grid->steps, sizeof(*lower)) : NULL;
    double *upper = ok ? arena_calloc(h.arena, grid->steps, sizeof(*upper)) : NULL;
    ok = ok && arena_check(h.arena, "the query", err) && eval_scalar(ev, a[0], grid, lower, err) &&
         eval_scalar(ev, a[1], grid, upper, err) &&
         fraction_columns(&h, lower, upper, grid, &out, err) &&
         finish(&h, &out, grid->steps, sink, err);
    histograms_close(&h);
    return ok;
}
