/* logql_case.c - loading and comparing one case (see logql_case.h). */
#include "logql_case.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "storage/store.h"

#include <math.h>

enum { CASE_ARENA_MAX = 64 << 20 };

struct slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_of(json_string_value(value), json_string_length(value))
                                 : (struct slice){NULL, 0};
}

static int64_t time_of(const json_t *value)
{
    int64_t number = 0;
    if (json_is_integer(value))
        return (int64_t)json_integer_value(value);
    slice_parse_i64(text_of(value), &number);
    return number;
}

struct labels labels_of(const json_t *object, struct arena *arena)
{
    size_t count = 0;
    struct label *items = arena_calloc(arena, json_object_size(object), sizeof(*items));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        items[count++] = (struct label){slice_from_text(name), text_of(value)};
    }
    if (count > 1)
        qsort(items, count, sizeof(*items), label_compare);
    return (struct labels){items, count};
}

/* ---- loading ------------------------------------------------------------------ */

static bool load_stream(struct batch *batch, const json_t *stream, struct arena *arena,
                        struct error *err)
{
    struct labels labels = labels_of(json_object_get(stream, "stream"), arena);
    int64_t series = batch_define(batch, 0, (struct slice){NULL, 0}, (struct label *)labels.items,
                                  labels.count, err);
    if (series < 0)
        return false;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(stream, "values"), i, entry)
    {
        struct labels metadata = labels_of(json_array_get(entry, 2), arena);
        if (!batch_entry(batch, (uint32_t)series, time_of(json_array_get(entry, 0)),
                         text_of(json_array_get(entry, 1)), (struct label *)metadata.items,
                         metadata.count, err))
            return false;
    }
    return true;
}

bool case_load(struct store *store, struct slice tenant, const json_t *input, struct error *err)
{
    if (json_array_size(input) == 0)
        return true;
    struct batch *batch = batch_new(store, tenant, STORE_LOG, err);
    if (batch == NULL)
        return false;
    AUTO(arena_drop) struct arena *arena = arena_new(CASE_ARENA_MAX);
    size_t i;
    json_t *stream;
    json_array_foreach((json_t *)input, i, stream)
    {
        if (!load_stream(batch, stream, arena, err)) {
            batch_free(batch);
            return false;
        }
    }
    struct batch_result result;
    if (!batch_commit_wait(batch, &result, err))
        return false;
    for (int reason = 0; reason < REFUSED_REASONS; reason++) {
        if (result.refused[reason] > 0)
            return error_set(err, ERR_INVALID, "the store refused entries, reason %d", reason);
    }
    return true;
}

bool case_bounds(const json_t *input, int64_t *first_ns, int64_t *last_ns)
{
    bool any = false;
    size_t i, k;
    json_t *stream, *entry;
    json_array_foreach((json_t *)input, i, stream)
    {
        json_array_foreach(json_object_get(stream, "values"), k, entry)
        {
            int64_t ns = time_of(json_array_get(entry, 0));
            *first_ns = any && *first_ns < ns ? *first_ns : ns;
            *last_ns = any && *last_ns > ns ? *last_ns : ns;
            any = true;
        }
    }
    return any;
}

/* ---- comparing labels and entries ---------------------------------------------- */

/* Equal, with any text for __error_details__ where both have one. */
static bool same_labels(struct labels a, struct labels b)
{
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++) {
        if (!slice_equal(a.items[i].name, b.items[i].name))
            return false;
        if (slice_equal(a.items[i].name, SLICE("__error_details__"))) {
            if ((a.items[i].value.size == 0) != (b.items[i].value.size == 0))
                return false;
        } else if (!slice_equal(a.items[i].value, b.items[i].value)) {
            return false;
        }
    }
    return true;
}

/* A stored stream has no label with an empty value, though some recorded ones do. */
static struct labels stored_labels(const json_t *object, const json_t *input_labels,
                                   struct arena *arena)
{
    struct labels labels = labels_of(object, arena);
    struct label *items = arena_calloc(arena, labels.count, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < labels.count; i++) {
        char name[256];
        struct slice text = slice_sub(labels.items[i].name, 0, sizeof(name) - 1);
        if (text.size > 0)
            memcpy(name, text.data, text.size);
        name[text.size] = '\0';
        const json_t *input = json_object_get(input_labels, name);
        bool dropped = input && text_of(input).size == 0 && labels.items[i].value.size == 0;
        if (!dropped)
            items[count++] = labels.items[i];
    }
    return (struct labels){items, count};
}

struct found {
    const struct query_stream *stream;
    const struct query_entry *entry;
    bool taken;
};

static bool is_output(const struct found *found, int64_t time_ns, const json_t *input,
                      const json_t *output, struct arena *arena)
{
    const struct query_entry *entry = found->entry;
    return !found->taken && entry->time_ns == time_ns &&
           slice_equal(entry->line, text_of(json_object_get(output, "line"))) &&
           same_labels(found->stream->labels,
                       stored_labels(json_object_get(output, "labels"), input, arena)) &&
           same_labels(found->stream->stream,
                       stored_labels(json_object_get(output, "stream"), input, arena)) &&
           same_labels(entry->metadata,
                       labels_of(json_object_get(output, "structured_metadata"), arena)) &&
           same_labels(entry->parsed, labels_of(json_object_get(output, "parsed"), arena));
}

static struct found *all_entries(const struct query_result *result, struct arena *arena,
                                 size_t *count)
{
    size_t total = 0;
    for (size_t i = 0; i < result->stream_count; i++)
        total += result->streams[i].count;
    struct found *found = arena_calloc(arena, total, sizeof(*found));
    *count = 0;
    for (size_t i = 0; i < result->stream_count; i++) {
        for (size_t k = 0; k < result->streams[i].count; k++)
            found[(*count)++] =
                (struct found){&result->streams[i], &result->streams[i].entries[k], false};
    }
    return found;
}

static void show_entry(struct buffer *out, const struct found *found)
{
    buffer_printf(out, "\n    got  %jd ", (intmax_t)found->entry->time_ns);
    buffer_append_quoted(out, found->entry->line);
    buffer_append_text(out, " stream ");
    labels_append_text(out, found->stream->stream);
    buffer_append_text(out, " metadata ");
    labels_append_text(out, found->entry->metadata);
    buffer_append_text(out, " parsed ");
    labels_append_text(out, found->entry->parsed);
}

static void show_json(struct buffer *out, const char *words, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    buffer_printf(out, "\n    %s ", words);
    buffer_append_text(out, text ? text : "?");
    free(text);
}

/* Find each expected output among the entries; what is left over was not expected. */
static void match_output(const json_t *stream, const json_t *entry, const json_t *output,
                         struct found *found, size_t count, struct arena *arena,
                         struct buffer *difference)
{
    int64_t time_ns = time_of(json_array_get(entry, 0));
    if (json_is_null(output))
        return;
    for (size_t i = 0; i < count; i++) {
        if (is_output(&found[i], time_ns, json_object_get(stream, "stream"), output, arena)) {
            found[i].taken = true;
            return;
        }
    }
    show_json(difference, "want", output);
}

bool compare_pipeline(const json_t *test, const struct query_result *result,
                      struct buffer *difference)
{
    AUTO(arena_drop) struct arena *arena = arena_new(CASE_ARENA_MAX);
    size_t count, i, k, at = 0;
    struct found *found = all_entries(result, arena, &count);
    const json_t *outputs = json_object_get(json_object_get(test, "expect"), "outputs");
    json_t *stream, *entry;
    json_array_foreach(json_object_get(test, "input"), i, stream)
    {
        json_array_foreach(json_object_get(stream, "values"), k, entry)
        {
            match_output(stream, entry, json_array_get(outputs, at++), found, count, arena,
                         difference);
        }
    }
    for (i = 0; i < count; i++) {
        if (!found[i].taken)
            show_entry(difference, &found[i]);
    }
    return difference->size == 0;
}

/* ---- comparing streams ------------------------------------------------------------ */

static bool same_entry(const struct query_entry *entry, const json_t *expected)
{
    return entry->time_ns == time_of(json_array_get(expected, 0)) &&
           slice_equal(entry->line, text_of(json_array_get(expected, 1)));
}

/* In order; entries with equal times may be swapped. */
static bool same_entries(const struct query_stream *stream, const json_t *values)
{
    size_t count = json_array_size(values);
    bool taken[4096] = {false};
    if (count != stream->count || count > COUNT_OF(taken))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t time_ns = time_of(json_array_get(json_array_get(values, i), 0));
        bool found = stream->entries[i].time_ns == time_ns;
        for (size_t k = 0; found && k < count; k++) {
            if (!taken[k] && same_entry(&stream->entries[k], json_array_get(values, i))) {
                taken[k] = true;
                break;
            }
            found = k + 1 < count;
        }
        if (!found)
            return false;
    }
    return true;
}

static void show_streams(struct buffer *out, const struct query_result *result)
{
    for (size_t i = 0; i < result->stream_count; i++) {
        buffer_append_text(out, "\n    got  ");
        labels_append_text(out, result->streams[i].labels);
        for (size_t k = 0; k < result->streams[i].count; k++) {
            const struct query_entry *entry = &result->streams[i].entries[k];
            buffer_printf(out, " %jd ", (intmax_t)entry->time_ns);
            buffer_append_quoted(out, entry->line);
        }
    }
}

bool compare_streams(const json_t *expect, const struct query_result *result,
                     struct buffer *difference)
{
    AUTO(arena_drop) struct arena *arena = arena_new(CASE_ARENA_MAX);
    const json_t *wanted = json_object_get(expect, "result");
    size_t matched = 0, i;
    json_t *stream;
    json_array_foreach((json_t *)wanted, i, stream)
    {
        struct labels labels = labels_of(json_object_get(stream, "stream"), arena);
        for (size_t k = 0; k < result->stream_count; k++) {
            if (same_labels(labels, result->streams[k].labels) &&
                same_entries(&result->streams[k], json_object_get(stream, "values"))) {
                matched++;
                break;
            }
        }
    }
    if (matched == json_array_size(wanted) && matched == result->stream_count)
        return true;
    show_json(difference, "want", wanted);
    show_streams(difference, result);
    return false;
}

/* ---- comparing numbers -------------------------------------------------------------- */

static bool same_number(double got, const json_t *expected)
{
    double want;
    if (!slice_parse_double(text_of(expected), false, &want))
        return false;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (want == got)
        return true;
    return !isinf(want) && !isinf(got) && fabs(got - want) <= 1e-9 * fmax(fabs(want), fabs(got));
}

static bool same_point(const struct query_point *point, const json_t *expected)
{
    int64_t ms = time_of(json_array_get(expected, 0));
    return point->time_ns == ms * 1000000 && same_number(point->value, json_array_get(expected, 1));
}

static bool same_series(const struct query_series *series, const json_t *expected,
                        struct arena *arena)
{
    const json_t *values = json_object_get(expected, "values");
    if (!same_labels(series->labels, labels_of(json_object_get(expected, "metric"), arena)) ||
        series->count != json_array_size(values))
        return false;
    for (size_t i = 0; i < series->count; i++) {
        if (!same_point(&series->points[i], json_array_get(values, i)))
            return false;
    }
    return true;
}

static void show_series(struct buffer *out, const struct query_result *result)
{
    static const char *const types[] = {"scalar", "string", "vector", "matrix", "streams"};
    buffer_printf(out, "\n    got  %s", types[result->type]);
    if (result->type == RESULT_SCALAR)
        buffer_printf(out, " %.17g", result->scalar.value);
    for (size_t i = 0; i < result->series_count; i++) {
        buffer_append_text(out, "\n    got  ");
        labels_append_text(out, result->series[i].labels);
        for (size_t k = 0; k < result->series[i].count; k++)
            buffer_printf(out, " %jd:%.17g",
                          (intmax_t)(result->series[i].points[k].time_ns / 1000000),
                          result->series[i].points[k].value);
    }
}

static bool same_result(const json_t *expect, const struct query_result *result,
                        struct arena *arena)
{
    struct slice type = text_of(json_object_get(expect, "result_type"));
    if (slice_equal(type, SLICE("scalar")))
        return result->type == RESULT_SCALAR &&
               same_number(result->scalar.value, json_object_get(expect, "value"));
    enum query_result_type wanted =
        slice_equal(type, SLICE("vector")) ? RESULT_VECTOR : RESULT_MATRIX;
    const json_t *list = json_object_get(expect, "result");
    bool ordered = json_is_true(json_object_get(expect, "ordered"));
    if (result->type != wanted || result->series_count != json_array_size(list))
        return false;
    for (size_t i = 0; i < result->series_count; i++) {
        bool found = false;
        for (size_t k = 0; k < result->series_count && !found; k++)
            found = (!ordered || k == i) &&
                    same_series(&result->series[k], json_array_get(list, i), arena);
        if (!found)
            return false;
    }
    return true;
}

bool compare_series(const json_t *expect, const struct query_result *result,
                    struct buffer *difference)
{
    AUTO(arena_drop) struct arena *arena = arena_new(CASE_ARENA_MAX);
    if (same_result(expect, result, arena))
        return true;
    show_json(difference, "want", expect);
    show_series(difference, result);
    return false;
}
