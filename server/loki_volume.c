/*
 * loki_volume.c - /loki/api/v1/index/volume and index/volume_range: bytes by series or by label.
 *
 * Counted exactly over the stored lengths of the lines: no text is decompressed.
 * A stream counts for the group that its labels make:
 *
 *   aggregateBy=series  its target labels (without any: those that the query
 *                       names; with an empty query: all) and their values
 *   aggregateBy=labels  each of these label names, with an empty value
 *
 * Streams that lack a target label are left out, as in Loki.  Groups lie in the
 * call's arena, whose limit bounds groups times buckets.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/matcher.h"
#include "base/table.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/parameters.h"
#include "server/query_call.h"
#include "storage/store.h"

#include <stdlib.h>

enum { VOLUME_LIMIT_PRESET = 100 };

struct volume_group {
    struct labels labels;
    uint64_t bytes;    /* of all buckets */
    uint64_t *buckets; /* with a step */
};

struct volume {
    struct call *call;
    struct selectors selectors;
    struct slice *names; /* labels that make groups */
    size_t name_count, name_capacity;
    bool all_names, need_all, by_labels;
    int64_t range_ns[2], step_ns; /* step 0: one number */
    size_t bucket_count;
    uint64_t limit;
    struct table table; /* of `groups` */
    struct volume_group *groups;
    size_t count, capacity;
    uint64_t bytes, lines;
    struct error *err;
};

/* ---- parameters --------------------------------------------------------- */

static bool add_name(struct volume *v, struct slice name)
{
    for (size_t i = 0; i < v->name_count; i++)
        if (slice_equal(v->names[i], name))
            return true;
    struct slice *grown = arena_grow(v->call->arena, v->names, v->name_count, &v->name_capacity,
                                     v->name_count + 1, sizeof(*grown));
    if (!grown)
        return arena_check(v->call->arena, "the target labels", v->err);
    v->names = grown;
    v->names[v->name_count++] = name;
    return true;
}

static bool read_names(struct volume *v)
{
    struct slice text = form_get(&v->call->form, SLICE("targetLabels")), name;
    while (text.size > 0 && slice_split(&text, ',', &name))
        if (slice_trim(name).size > 0 && !add_name(v, slice_trim(name)))
            return false;
    if (v->name_count > 0) {
        v->need_all = true;
        return true;
    }
    for (size_t i = 0; i < v->selectors.count; i++)
        for (size_t j = 0; j < v->selectors.items[i].count; j++)
            if (!add_name(v, v->selectors.items[i].matchers[j].name))
                return false;
    v->all_names = v->name_count == 0;
    return true;
}

static bool read_aggregation(struct volume *v)
{
    struct slice by = form_get(&v->call->form, SLICE("aggregateBy"));
    v->by_labels = slice_equal(by, SLICE("labels"));
    if (by.size == 0 || v->by_labels || slice_equal(by, SLICE("series")))
        return true;
    return error_set(v->err, ERR_INVALID, "invalid aggregation option");
}

static bool read_step(struct volume *v)
{
    int64_t length_ns = ns_sub(v->range_ns[1], v->range_ns[0]);
    if (!form_duration(&v->call->form, "step", step_preset_loki(length_ns), &v->step_ns, v->err))
        return false;
    if (v->step_ns <= 0)
        return error_set(v->err, ERR_INVALID,
                         "zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    if (!check_resolution(v->range_ns[0], v->range_ns[1], v->step_ns,
                          v->call->server->limits.points_max, "time series",
                          "Try increasing the value of the step parameter", v->err))
        return false;
    v->bucket_count = (size_t)(length_ns / v->step_ns) + 1;
    return true;
}

static bool read_parameters(struct volume *v, bool with_step)
{
    struct call *call = v->call;
    return form_range_loki(&call->form, call->now_ns, v->range_ns, v->err) &&
           (v->range_ns[0] <= v->range_ns[1] ||
            error_set(v->err, ERR_INVALID,
                      "end timestamp must not be before or equal to start time")) &&
           form_count(&call->form, "limit", VOLUME_LIMIT_PRESET, &v->limit, v->err) &&
           selectors_read(call, QUERY_LOGQL, "query", &v->selectors, v->err) && read_names(v) &&
           read_aggregation(v) && (!with_step || read_step(v));
}

/* ---- counting ----------------------------------------------------------- */

static bool group_equal(const void *items, uint32_t index, const void *key)
{
    const struct volume_group *groups = items;
    return labels_equal(groups[index].labels, *(const struct labels *)key);
}

static struct volume_group *find_group(struct volume *v, struct labels labels)
{
    struct arena *arena = v->call->arena;
    uint64_t hash = labels_hash(labels);
    uint32_t at = table_find(&v->table, hash, group_equal, v->groups, &labels);
    if (at != TABLE_NONE)
        return &v->groups[at];
    struct volume_group *grown =
        arena_grow(arena, v->groups, v->count, &v->capacity, v->count + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    v->groups = grown;
    struct volume_group group = {.labels = labels_copy(arena, labels)};
    if (v->step_ns > 0)
        group.buckets = arena_calloc(arena, v->bucket_count, sizeof(uint64_t));
    if (arena_exhausted(arena))
        return NULL;
    table_insert(&v->table, hash, (uint32_t)v->count);
    grown[v->count] = group;
    return &grown[v->count++];
}

/* Bytes of one stream: in sum, and by bucket into `buckets` when there is a step. */
static bool count_stream(struct volume *v, struct cursor_reader *reader, size_t number,
                         uint64_t *buckets, uint64_t *bytes)
{
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, number, v->err);
    bool ok = stream != NULL;
    while ((ok = ok && entry_stream_next(stream, &block, v->err)) && block.count > 0) {
        v->lines += block.count;
        for (size_t i = 0; i < block.count; i++) {
            *bytes += block.lengths[i];
            if (buckets)
                buckets[ns_sub(block.times_ns[i], v->range_ns[0]) / v->step_ns] += block.lengths[i];
        }
    }
    entry_stream_close(stream);
    v->bytes += *bytes;
    return ok;
}

static bool add_to_group(struct volume *v, struct labels labels, const uint64_t *buckets,
                         uint64_t bytes)
{
    struct volume_group *group = find_group(v, labels);
    if (!group)
        return arena_check(v->call->arena, "the groups of the volume", v->err);
    group->bytes += bytes;
    for (size_t i = 0; buckets && i < v->bucket_count; i++)
        group->buckets[i] += buckets[i];
    return true;
}

static bool add_stream(struct volume *v, struct labels labels, const uint64_t *buckets,
                       uint64_t bytes)
{
    if (!v->all_names)
        labels = labels_select(v->call->arena, labels, v->names, v->name_count, true);
    if (v->need_all && labels.count < v->name_count)
        return arena_check(v->call->arena, "the labels", v->err);
    if (!v->by_labels)
        return add_to_group(v, labels, buckets, bytes);
    for (size_t i = 0; i < labels.count; i++) {
        struct label name = {labels.items[i].name, SLICE("")};
        if (!add_to_group(v, (struct labels){&name, 1}, buckets, bytes))
            return false;
    }
    return true;
}

static bool count_cursor(struct volume *v, struct cursor *cursor)
{
    struct cursor_reader *reader = cursor_reader_new(cursor);
    uint64_t *buckets = NULL;
    bool ok = true;
    if (v->step_ns > 0) {
        buckets = arena_calloc(v->call->arena, v->bucket_count, sizeof(*buckets));
        ok = buckets != NULL || arena_check(v->call->arena, "the buckets", v->err);
    }
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        uint64_t bytes = 0;
        if (buckets)
            memset(buckets, 0, v->bucket_count * sizeof(*buckets));
        ok = count_stream(v, reader, i, buckets, &bytes) &&
             (bytes == 0 || add_stream(v, cursor_labels(cursor, i), buckets, bytes));
    }
    cursor_reader_free(reader);
    return ok;
}

static bool count_all(struct volume *v)
{
    bool ok = true;
    for (size_t i = 0; ok && i < (v->selectors.count ? v->selectors.count : 1); i++) {
        struct cursor_request request = {
            .tenant = v->call->tenant,
            .kind = STORE_LOG,
            .matchers = v->selectors.count ? v->selectors.items[i].matchers : NULL,
            .matcher_count = v->selectors.count ? v->selectors.items[i].count : 0,
            .start_ns = v->range_ns[0],
            .end_ns = v->range_ns[1],
            .projection = CURSOR_TIMES | CURSOR_LENGTHS,
            .series_max = v->call->server->limits.series_max,
            .memory_max = v->call->server->limits.memory_max,
            .cancel = &v->call->request->cancel,
            .damage = v->call->damage,
        };
        struct cursor *cursor = cursor_open(v->call->server->store, &request, v->err);
        ok = cursor && count_cursor(v, cursor);
        cursor_close(cursor);
    }
    return ok;
}

/* ---- the answer --------------------------------------------------------- */

static int compare_groups(const void *a, const void *b)
{
    const struct volume_group *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return labels_compare(x->labels, y->labels);
}

static void append_values(struct volume *v, const struct volume_group *group, struct buffer *out)
{
    if (!group->buckets) {
        buffer_append_text(out, ",\"value\":");
        answer_point(out, v->range_ns[1], (double)group->bytes, ANSWER_LOKI);
        return;
    }
    bool first = true;
    buffer_append_text(out, ",\"values\":[");
    for (size_t i = 0; i < v->bucket_count; i++) {
        if (group->buckets[i] == 0)
            continue;
        if (!first)
            buffer_append_byte(out, ',');
        first = false;
        answer_point(out, v->range_ns[0] + (int64_t)i * v->step_ns, (double)group->buckets[i],
                     ANSWER_LOKI);
    }
    buffer_append_byte(out, ']');
}

static void answer_volume(struct volume *v)
{
    struct buffer *out = call_body(v->call);
    struct query_stats stats = {.lines = v->lines,
                                .line_bytes = v->bytes,
                                .entries_returned = v->count,
                                .queue_ns = v->call->queued_ns};
    if (v->count > 0)
        qsort(v->groups, v->count, sizeof(*v->groups), compare_groups);
    buffer_printf(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[",
                  v->step_ns > 0 ? "matrix" : "vector");
    for (size_t i = 0; i < v->count && i < v->limit; i++) {
        buffer_append_text(out, i > 0 ? ",{\"metric\":" : "{\"metric\":");
        answer_labels(out, v->groups[i].labels);
        append_values(v, &v->groups[i], out);
        buffer_append_byte(out, '}');
    }
    buffer_append_text(out, "],\"stats\":");
    answer_loki_stats(out, &stats);
    buffer_append_text(out, "}}");
    call_answer_json(v->call);
}

static void run_volume(struct call *call, bool with_step)
{
    struct error err = {0};
    struct volume v = {.call = call, .err = &err};
    table_init(&v.table);
    if (read_parameters(&v, with_step) && count_all(&v))
        answer_volume(&v);
    else
        call_fail(call, &err);
    table_done(&v.table);
    selectors_done(&v.selectors);
}

void loki_volume(struct call *call)
{
    run_volume(call, false);
}

void loki_volume_range(struct call *call)
{
    run_volume(call, true);
}
