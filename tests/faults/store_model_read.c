/*
 * store_model_read.c - random cursors, compared with the model.
 *
 * Every column that the projection asks for must be equal, series by series,
 * in the cursor's order.  A series without an entry in the range may come or not.
 */
#include "tests/faults/store_model.h"

#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"

#include <inttypes.h>

struct read {
    const struct model *model;
    unsigned tenant;
    enum store_kind kind;
    int64_t now_ns;
    struct cursor_request request;
    struct matcher matchers[2];
    char *why;
    size_t why_size;
};

static bool differs(const struct read *read, unsigned series, const char *what, int64_t time_ns)
{
    const struct cursor_request *r = &read->request;
    snprintf(read->why, read->why_size,
             "%s, tenant %u kind %d series %u time %" PRId64 " s | range %" PRId64 " to %" PRId64
             " s, %s, projection %u, %zu matchers (%s%s%s)",
             what, read->tenant, read->kind, series, time_ns / NS_PER_SECOND,
             r->start_ns / NS_PER_SECOND, r->end_ns / NS_PER_SECOND,
             r->backward ? "backward" : "forward", r->projection, r->matcher_count,
             r->matcher_count ? r->matchers[0].name.data : "",
             r->matcher_count ? matcher_operator(r->matchers[0].type) : "",
             r->matcher_count ? r->matchers[0].value.data : "");
    return false;
}

/* The model's entries in the range: [*first, *end). */
static void in_range(const struct read *read, const struct model_series *series, size_t *first,
                     size_t *end)
{
    int64_t start = read->request.start_ns;
    bool is_short = series == &read->model->series[read->tenant][read->kind][MODEL_SHORT];
    int64_t kept = read->now_ns - (is_short ? read->model->short_ns : read->model->kept_ns);
    if (read->model->short_ns > 0 && start < kept)
        start = kept;
    *first = 0;
    *end = series->entries.count;
    while (*first < *end && series->entries.items[*first].time_ns < start)
        (*first)++;
    while (*end > *first && series->entries.items[*end - 1].time_ns > read->request.end_ns)
        (*end)--;
}

static bool check_samples(const struct read *read, struct cursor_reader *reader, size_t at,
                          unsigned number)
{
    const struct model_series *series = &read->model->series[read->tenant][STORE_METRIC][number];
    struct sample_column column;
    struct error err = {0};
    size_t first, end;
    in_range(read, series, &first, &end);
    if (!cursor_read_samples(reader, at, &column, &err))
        return differs(read, number, err.message, 0);
    for (size_t i = 0; i < column.count || first + i < end; i++) {
        const struct model_entry *entry = &series->entries.items[first + i];
        if (first + i == end)
            return differs(read, number, "a sample too many", column.times_ns[i]);
        if (i == column.count || column.times_ns[i] > entry->time_ns)
            return differs(read, number, "a sample is missing", entry->time_ns);
        if (column.times_ns[i] < entry->time_ns)
            return differs(read, number, "an invented sample", column.times_ns[i]);
        uint64_t bits;
        memcpy(&bits, &column.values[i], sizeof(bits));
        bool right = bits == entry->bits;
        for (unsigned v = 0; entry->loose && v < entry->value_count; v++)
            right = right || bits == entry->values[v];
        if (!right)
            return differs(read, number, "a wrong value", entry->time_ns);
    }
    return true;
}

/* ---- logs -------------------------------------------------------------- */

struct expected {
    ARRAY(struct model_entry) items; /* in the cursor's order */
    ARRAY(bool) used;
};

static void expect(const struct read *read, const struct model_series *series,
                   struct expected *expected)
{
    size_t first, end;
    in_range(read, series, &first, &end);
    for (size_t i = first; i < end; i++) {
        array_push(&expected->items,
                   series->entries.items[read->request.backward ? end - 1 - (i - first) : i]);
        array_push(&expected->used, false);
    }
}

static bool entry_equals(const struct read *read, const struct entry_block *block, size_t i,
                         const struct model_entry *entry)
{
    struct label pairs[2];
    unsigned projection = read->request.projection;
    struct slice line = model_line(entry->bits);
    if ((projection & CURSOR_LINES) && !slice_equal(block->lines[i], line))
        return false;
    if ((projection & CURSOR_LENGTHS) && block->lengths[i] != line.size)
        return false;
    struct labels metadata = {pairs, model_metadata(entry->metadata, pairs)};
    return !(projection & CURSOR_METADATA) || labels_equal(block->metadata[i], metadata);
}

/* Entry number `at` of the answer.  Among those of a loose time any one not used yet will do. */
static bool check_entry(const struct read *read, struct expected *expected, size_t at,
                        const struct entry_block *block, size_t i, unsigned number)
{
    if (at >= expected->items.count)
        return differs(read, number, "an entry too many", block->times_ns[i]);
    int64_t time = expected->items.items[at].time_ns;
    if (block->times_ns[i] != time)
        return differs(read, number, "another time", time);
    bool loose = false;
    size_t first = at;
    size_t end = at;
    while (first > 0 && expected->items.items[first - 1].time_ns == time)
        first--;
    while (end < expected->items.count && expected->items.items[end].time_ns == time)
        end++;
    for (size_t k = first; k < end; k++) {
        const struct model_entry *entry = &expected->items.items[k];
        loose = loose || entry->loose || (entry->repeated && read->request.backward);
    }
    if (!loose) {
        first = at;
        end = at + 1;
    }
    for (size_t k = first; k < end; k++) {
        if (!expected->used.items[k] && entry_equals(read, block, i, &expected->items.items[k])) {
            expected->used.items[k] = true;
            return true;
        }
    }
    return differs(read, number, "another entry", time);
}

static bool check_stream(const struct read *read, struct cursor_reader *reader, size_t at,
                         unsigned number, struct expected *expected)
{
    struct error err = {0};
    struct entry_block block = {0};
    struct entry_stream *stream = entry_stream_open(reader, at, &err);
    if (stream == NULL)
        return differs(read, number, err.message, 0);
    size_t seen = 0;
    bool ok = true;
    do {
        int64_t bound = entry_stream_bound(stream);
        if (!entry_stream_next(stream, &block, &err)) {
            ok = differs(read, number, err.message, 0);
            break;
        }
        if (block.count > 0 &&
            (read->request.backward ? block.times_ns[0] > bound : block.times_ns[0] < bound))
            ok = differs(read, number, "an entry beyond the bound", block.times_ns[0]);
        for (size_t i = 0; ok && i < block.count; i++)
            ok = check_entry(read, expected, seen++, &block, i, number);
    } while (ok && block.count > 0);
    entry_stream_close(stream);
    if (ok && seen < expected->items.count)
        return differs(read, number, "an entry is missing", expected->items.items[seen].time_ns);
    return ok;
}

static bool check_entries(const struct read *read, struct cursor_reader *reader, size_t at,
                          unsigned number)
{
    struct expected expected = {0};
    expect(read, &read->model->series[read->tenant][STORE_LOG][number], &expected);
    bool ok = check_stream(read, reader, at, number, &expected);
    array_done(&expected.items);
    array_done(&expected.used);
    return ok;
}

/* ---- one cursor -------------------------------------------------------- */

static unsigned series_of(const struct read *read, struct labels labels)
{
    struct label items[MODEL_LABELS_MAX];
    for (unsigned s = 0; s < MODEL_SERIES; s++) {
        struct labels wanted = {items, model_labels(read->kind, s, items)};
        if (labels_equal(labels, wanted))
            return s;
    }
    return MODEL_SERIES;
}

static bool matches(const struct read *read, unsigned series)
{
    struct label items[MODEL_LABELS_MAX];
    struct error err = {0};
    struct labels labels = {items, model_labels(read->kind, series, items)};
    return matchers_test(read->matchers, read->request.matcher_count, labels, &err) == 1;
}

static bool check_cursor(const struct read *read, struct cursor *cursor,
                         struct cursor_reader *reader)
{
    bool seen[MODEL_SERIES] = {false};
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        unsigned number = series_of(read, cursor_labels(cursor, i));
        if (number == MODEL_SERIES || !matches(read, number))
            return differs(read, number, "a series that does not match", 0);
        if (i > 0 && labels_compare(cursor_labels(cursor, i - 1), cursor_labels(cursor, i)) >= 0)
            return differs(read, number, "series out of order", 0);
        seen[number] = true;
        if (!(read->kind == STORE_METRIC ? check_samples(read, reader, i, number)
                                         : check_entries(read, reader, i, number)))
            return false;
    }
    for (unsigned s = 0; s < MODEL_SERIES; s++) {
        size_t first, end;
        in_range(read, &read->model->series[read->tenant][read->kind][s], &first, &end);
        if (!seen[s] && first < end && matches(read, s))
            return differs(
                read, s, "a series is missing",
                read->model->series[read->tenant][read->kind][s].entries.items[first].time_ns);
    }
    return true;
}

static void choose_range(struct cursor_request *request, uint64_t *random, int64_t now_ns)
{
    uint64_t shape = model_random(random) % 4;
    int64_t seconds = (int64_t)(model_random(random) % 7200);
    request->start_ns = INT64_MIN;
    request->end_ns = INT64_MAX;
    if (shape > 0)
        request->start_ns = now_ns - seconds * NS_PER_SECOND;
    if (shape > 1)
        request->end_ns =
            request->start_ns + (int64_t)(model_random(random) % 1800) * NS_PER_SECOND;
    if (shape > 2)
        request->end_ns = request->start_ns;
}

bool model_read(const struct model *model, struct store *store, uint64_t seed, int64_t now_ns,
                char *why, size_t why_size)
{
    uint64_t random = seed;
    struct error err = {0};
    struct read read = {.model = model, .why = why, .why_size = why_size};
    read.tenant = (unsigned)(model_random(&random) % MODEL_TENANTS);
    read.kind = model_random(&random) % 2 ? STORE_LOG : STORE_METRIC;
    struct cursor_request *request = &read.request;
    request->tenant = model_tenant(read.tenant);
    request->kind = read.kind;
    choose_range(request, &random, now_ns);
    read.now_ns = now_ns;
    request->backward = read.kind == STORE_LOG && model_random(&random) % 2;
    request->projection = CURSOR_TIMES | CURSOR_VALUES;
    if (read.kind == STORE_LOG)
        request->projection = CURSOR_TIMES | (unsigned)(model_random(&random) % 8) * CURSOR_LENGTHS;
    size_t count = model_random(&random) % 3;
    request->matchers = read.matchers;
    for (size_t i = 0; i < count; i++) {
        model_matcher(model_random(&random), &read.matchers[i]);
        request->matcher_count++;
    }
    bool ok;
    struct cursor *cursor = cursor_open(store, request, &err);
    if (cursor == NULL) {
        ok = differs(&read, 0, err.message, 0);
    } else {
        struct cursor_reader *reader = cursor_reader_new(cursor);
        ok = check_cursor(&read, cursor, reader);
        cursor_reader_free(reader);
        cursor_close(cursor);
    }
    for (size_t i = 0; i < request->matcher_count; i++)
        matcher_done(&read.matchers[i]);
    return ok;
}
