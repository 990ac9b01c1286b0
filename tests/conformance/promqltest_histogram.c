/*
 * promqltest_histogram.c - native histograms in `.test` files: reading, comparing, and
 * custom buckets made from classic ones (FORMAT.md sections 1, 3 and 4).
 */
#include "promqltest.h"

#include "base/error.h"
#include "base/number.h"
#include "query/histogram_work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---------------------------------------------------------------------- */

struct histogram_text {
    struct histogram h;
    int32_t offset, n_offset;
    const double *buckets, *n_buckets;
    size_t bucket_count, n_bucket_count;
    bool has_hint;
};

static bool read_number(struct slice text, double *value)
{
    return slice_parse_double(text, true, value);
}

static bool read_index(struct slice text, int32_t *value)
{
    double number;
    if (!read_number(text, &number))
        return false;
    *value = (int32_t)number;
    return true;
}

static struct slice next_word(struct slice *text)
{
    *text = slice_trim(*text);
    size_t size = 0;
    while (size < text->size && text->data[size] != ' ' && text->data[size] != '\t')
        size++;
    struct slice word = slice_sub(*text, 0, size);
    *text = slice_trim(slice_skip(*text, size));
    return word;
}

static bool read_list(struct slice text, struct arena *arena, const double **out, size_t *count)
{
    double *values = arena_calloc(arena, text.size + 1, sizeof(*values));
    *count = 0;
    *out = values;
    for (text = slice_trim(text); text.size > 0;) {
        if (!read_number(next_word(&text), &values[(*count)++]))
            return false;
    }
    return true;
}

static bool read_hint(struct slice text, struct histogram_text *t)
{
    static const char *const names[] = {"unknown", "reset", "not_reset", "gauge"};
    t->has_hint = true;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_equal(text, slice_from_text(names[i]))) {
            t->h.hint = (enum counter_reset_hint)i;
            return true;
        }
    }
    return false;
}

static bool read_field(struct slice key, struct slice value, struct arena *arena,
                       struct histogram_text *t)
{
    struct histogram *h = &t->h;
    if (slice_equal(key, SLICE("schema")))
        return read_index(value, &h->schema);
    if (slice_equal(key, SLICE("sum")))
        return read_number(value, &h->sum);
    if (slice_equal(key, SLICE("count")))
        return read_number(value, &h->count);
    if (slice_equal(key, SLICE("z_bucket")))
        return read_number(value, &h->zero_count);
    if (slice_equal(key, SLICE("z_bucket_w")))
        return read_number(value, &h->zero_threshold);
    if (slice_equal(key, SLICE("offset")))
        return read_index(value, &t->offset);
    if (slice_equal(key, SLICE("n_offset")))
        return read_index(value, &t->n_offset);
    if (slice_equal(key, SLICE("buckets")))
        return read_list(value, arena, &t->buckets, &t->bucket_count);
    if (slice_equal(key, SLICE("n_buckets")))
        return read_list(value, arena, &t->n_buckets, &t->n_bucket_count);
    if (slice_equal(key, SLICE("custom_values")))
        return read_list(value, arena, &h->custom, &h->custom_count);
    return slice_equal(key, SLICE("counter_reset_hint")) && read_hint(value, t);
}

/* One span for all buckets. */
static void set_side(struct histogram_side *side, int32_t offset, const double *buckets,
                     size_t count, struct arena *arena)
{
    if (count == 0)
        return;
    struct histogram_span *span = arena_alloc(arena, sizeof(*span));
    *span = (struct histogram_span){offset, (uint32_t)count};
    *side = (struct histogram_side){span, 1, buckets, count};
}

bool histogram_parse(struct slice *rest, struct arena *arena, struct value_item *item)
{
    struct histogram_text t = {0};
    size_t close = slice_find(*rest, SLICE("}}"), 0);
    if (!slice_starts_with(*rest, SLICE("{{")) || close == SLICE_NOT_FOUND)
        return false;
    struct slice text = slice_trim(slice_sub(*rest, 2, close - 2));
    *rest = slice_skip(*rest, close + 2);
    while (text.size > 0) {
        size_t colon = slice_find_byte(text, ':', 0);
        if (colon == SLICE_NOT_FOUND)
            return false;
        struct slice key = slice_sub(text, 0, colon), value;
        text = slice_skip(text, colon + 1);
        if (slice_starts_with(text, SLICE("["))) {
            size_t end = slice_find_byte(text, ']', 0);
            if (end == SLICE_NOT_FOUND)
                return false;
            value = slice_sub(text, 1, end - 1);
            text = slice_trim(slice_skip(text, end + 1));
        } else {
            value = next_word(&text);
        }
        if (!read_field(key, value, arena, &t))
            return false;
    }
    set_side(&t.h.positive, t.offset, t.buckets, t.bucket_count, arena);
    set_side(&t.h.negative, t.n_offset, t.n_buckets, t.n_bucket_count, arena);
    *item = (struct value_item){.histogram = histogram_copy(arena, &t.h), .has_hint = t.has_hint};
    return item->histogram != NULL;
}

const struct histogram *histogram_plus(const struct histogram *a, const struct histogram *b,
                                       double sign, struct arena *arena)
{
    struct histogram_work work;
    work_init(&work, a, arena);
    if (a->schema > b->schema || (work_add(&work, b, sign, false) & WORK_INCOMPATIBLE))
        return NULL;
    return work_finish(&work, false, arena);
}

/* ---- comparing ---------------------------------------------------------------------- */

static bool same_side(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->span_count != b->span_count || a->bucket_count != b->bucket_count)
        return false;
    for (size_t i = 0; i < a->span_count; i++) {
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
            return false;
    }
    for (size_t i = 0; i < a->bucket_count; i++) {
        if (!same_value(a->buckets[i], b->buckets[i]))
            return false;
    }
    return true;
}

static bool same_compact(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema || a->zero_threshold != b->zero_threshold ||
        a->custom_count != b->custom_count)
        return false;
    for (size_t i = 0; i < a->custom_count; i++) {
        if (a->custom[i] != b->custom[i])
            return false;
    }
    return same_value(a->count, b->count) && same_value(a->sum, b->sum) &&
           same_value(a->zero_count, b->zero_count) && same_side(&a->positive, &b->positive) &&
           same_side(&a->negative, &b->negative);
}

bool histogram_matches(const struct value_item *expected, const struct histogram *got)
{
    struct arena *arena = arena_new((size_t)16 << 20);
    struct histogram_work a, b;
    work_init(&a, expected->histogram, arena);
    work_init(&b, got, arena);
    bool same = same_compact(work_finish(&a, true, arena), work_finish(&b, true, arena)) &&
                (!expected->has_hint || expected->histogram->hint == got->hint);
    arena_free(arena);
    return same;
}

static void show_side(struct buffer *out, const char *name, const struct histogram_side *side)
{
    size_t at = 0;
    for (size_t i = 0; i < side->span_count; i++) {
        buffer_printf(out, " %s:%d[", name, side->spans[i].offset);
        for (uint32_t k = 0; k < side->spans[i].length; k++)
            buffer_printf(out, "%s%.17g", k ? " " : "", side->buckets[at++]);
        buffer_append_text(out, "]");
    }
}

void histogram_show(struct buffer *out, const struct histogram *h)
{
    buffer_printf(out, " {{schema:%d count:%.17g sum:%.17g zero:%.17g/%g hint:%d", h->schema,
                  h->count, h->sum, h->zero_count, h->zero_threshold, h->hint);
    show_side(out, "buckets", &h->positive);
    show_side(out, "n_buckets", &h->negative);
    for (size_t i = 0; i < h->custom_count; i++)
        buffer_printf(out, "%s%g", i ? " " : " custom:", h->custom[i]);
    buffer_append_text(out, "}}");
}

/* ---- custom buckets from classic ones -------------------------------------------------- */

struct classic {
    struct labels labels; /* of the native series */
    const struct series_line *count, *sum;
    const struct series_line **buckets; /* ascending by bound */
    double *bounds;
    size_t bucket_count;
};

enum { CLASSICS_MAX = 500, BUCKETS_MAX = 200 };

static struct classic *classic_of(struct classic *all, size_t *count, struct labels labels)
{
    for (size_t i = 0; i < *count; i++) {
        if (labels_equal(all[i].labels, labels))
            return &all[i];
    }
    if (*count == CLASSICS_MAX)
        return NULL;
    all[*count] = (struct classic){.labels = labels};
    return &all[(*count)++];
}

static void put_bucket(struct classic *c, const struct series_line *line, double bound,
                       struct arena *arena)
{
    if (c->buckets == NULL) {
        c->buckets = arena_calloc(arena, BUCKETS_MAX, sizeof(struct series_line *));
        c->bounds = arena_calloc(arena, BUCKETS_MAX, sizeof(double));
    }
    size_t at = c->bucket_count++;
    for (; at > 0 && c->bounds[at - 1] > bound; at--) {
        c->buckets[at] = c->buckets[at - 1];
        c->bounds[at] = c->bounds[at - 1];
    }
    c->buckets[at] = line;
    c->bounds[at] = bound;
}

static bool group_line(const struct series_line *line, struct classic *all, size_t *count,
                       struct arena *arena)
{
    struct slice name = labels_get(line->labels, LABEL_NAME_METRIC), le = SLICE("le");
    bool bucket = slice_ends_with(name, SLICE("_bucket"));
    bool counts = slice_ends_with(name, SLICE("_count"));
    bool sums = slice_ends_with(name, SLICE("_sum"));
    if (!bucket && !counts && !sums)
        return true;
    size_t suffix = bucket ? 7 : counts ? 6 : 4;
    double bound = 0;
    if (bucket && (!slice_parse_double(labels_get(line->labels, le), true, &bound) || isnan(bound)))
        return true;
    struct labels labels =
        labels_with(arena, line->labels, LABEL_NAME_METRIC, slice_sub(name, 0, name.size - suffix));
    struct classic *c =
        classic_of(all, count, bucket ? labels_select(arena, labels, &le, 1, false) : labels);
    if (c == NULL || c->bucket_count == BUCKETS_MAX)
        return false;
    if (bucket)
        put_bucket(c, line, bound, arena);
    else if (counts)
        c->count = line;
    else
        c->sum = line;
    return true;
}

static bool value_at(const struct series_line *line, size_t at, double *value)
{
    if (line == NULL || at >= line->count || line->items[at].missing || line->items[at].histogram ||
        isnan(line->items[at].value))
        return false;
    *value = line->items[at].value;
    return true;
}

static const struct histogram *custom_at(const struct classic *c, size_t at, struct arena *arena)
{
    double *bounds = arena_calloc(arena, c->bucket_count + 1, sizeof(*bounds));
    double *counts = arena_calloc(arena, c->bucket_count + 1, sizeof(*counts));
    struct histogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM};
    double before = 0, cumulated, total;
    size_t used = 0;
    bool infinite = false, any = false;
    for (size_t i = 0; i < c->bucket_count; i++) {
        if (!value_at(c->buckets[i], at, &cumulated))
            continue;
        any = true;
        infinite = isinf(c->bounds[i]) && c->bounds[i] > 0;
        if (!infinite)
            bounds[h.custom_count++] = c->bounds[i];
        counts[used++] = cumulated - before;
        before = cumulated;
    }
    bool counted = value_at(c->count, at, &total);
    bool summed = value_at(c->sum, at, &h.sum);
    if (!any && !counted && !summed)
        return NULL;
    h.count = counted ? total : before;
    if (!infinite)
        counts[used++] = h.count - before;
    h.custom = bounds;
    set_side(&h.positive, 0, counts, used, arena);
    return histogram_copy(arena, &h);
}

bool custom_series(const struct command *command, struct arena *arena, struct series_line **lines,
                   size_t *count)
{
    struct classic *all = arena_calloc(arena, CLASSICS_MAX, sizeof(*all));
    size_t classics = 0;
    for (size_t i = 0; i < command->line_count; i++) {
        if (!group_line(&command->lines[i], all, &classics, arena))
            return false;
    }
    struct series_line *out = arena_calloc(arena, classics, sizeof(*out));
    *lines = out;
    *count = classics;
    for (size_t i = 0; i < classics; i++) {
        size_t most = 0;
        for (size_t k = 0; k < command->line_count; k++)
            most = most > command->lines[k].count ? most : command->lines[k].count;
        out[i] = (struct series_line){.labels = all[i].labels, .count = most};
        out[i].items = arena_calloc(arena, most, sizeof(struct value_item));
        for (size_t k = 0; k < most; k++) {
            out[i].items[k].histogram = custom_at(&all[i], k, arena);
            out[i].items[k].missing = out[i].items[k].histogram == NULL;
        }
    }
    return !arena_exhausted(arena);
}
