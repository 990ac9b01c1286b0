/*
 * answer_streams.c - log entries as JSON.
 *
 * Without flags every label set after the pipeline is a stream of its own, as
 * the query engine delivers it.  With categorize-labels a stream is what its
 * indexed labels say; entries that the pipeline told apart come together again,
 * in time order, and each carries its structured metadata and parsed labels in a
 * third element, which is always there.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/number.h"
#include "query/query.h"
#include "server/answer.h"

#include <stdlib.h>

static void append_entry(struct buffer *out, const struct query_entry *entry, bool categorize)
{
    buffer_append(out, "[\"", 2);
    buffer_append_i64(out, entry->time_ns);
    buffer_append(out, "\",", 2);
    json_append_string(out, entry->line, false);
    if (categorize) {
        buffer_append_text(out, ",{");
        if (entry->metadata.count > 0) {
            buffer_append_text(out, "\"structuredMetadata\":");
            answer_labels(out, entry->metadata);
        }
        if (entry->parsed.count > 0) {
            buffer_append_text(out, entry->metadata.count > 0 ? ",\"parsed\":" : "\"parsed\":");
            answer_labels(out, entry->parsed);
        }
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}

static void begin_stream(struct buffer *out, bool first, struct labels labels)
{
    buffer_append_text(out, first ? "{\"stream\":" : ",{\"stream\":");
    answer_labels(out, labels);
    buffer_append_text(out, ",\"values\":[");
}

static void append_plain(struct buffer *out, const struct query_result *result)
{
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        begin_stream(out, i == 0, stream->labels);
        for (size_t j = 0; j < stream->count; j++) {
            if (j > 0)
                buffer_append_byte(out, ',');
            append_entry(out, &stream->entries[j], false);
        }
        buffer_append_text(out, "]}");
    }
}

static int compare_streams(const void *a, const void *b)
{
    const struct query_stream *x = *(const struct query_stream *const *)a;
    const struct query_stream *y = *(const struct query_stream *const *)b;
    int order = labels_compare(x->stream, y->stream);
    return order ? order : (x > y) - (x < y);
}

/* Which of `count` streams has the entry that comes next; they are few as a rule. */
static size_t next_stream(const struct query_stream *const *streams, const size_t *at, size_t count,
                          bool forward)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (at[i] == streams[i]->count)
            continue;
        int64_t time_ns = streams[i]->entries[at[i]].time_ns;
        if (best == count) {
            best = i;
            continue;
        }
        int64_t best_ns = streams[best]->entries[at[best]].time_ns;
        if (forward ? time_ns < best_ns : time_ns > best_ns)
            best = i;
    }
    return best;
}

struct ordered_entry {
    const struct query_entry *entry;
    size_t order; /* of arrival: keeps equal times stable */
};

static int compare_forward(const void *a, const void *b)
{
    const struct ordered_entry *x = a, *y = b;
    if (x->entry->time_ns != y->entry->time_ns)
        return x->entry->time_ns < y->entry->time_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_backward(const void *a, const void *b)
{
    const struct ordered_entry *x = a, *y = b;
    if (x->entry->time_ns != y->entry->time_ns)
        return x->entry->time_ns > y->entry->time_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

enum { MERGE_STREAMS_MAX = 8 };

/* Few streams are merged; when a parser made thousands, their entries are sorted. */
static void append_group(struct buffer *out, const struct query_stream *const *streams,
                         size_t count, bool forward)
{
    bool first = true;
    if (count <= MERGE_STREAMS_MAX) {
        size_t at[MERGE_STREAMS_MAX] = {0}, next;
        while ((next = next_stream(streams, at, count, forward)) < count) {
            if (!first)
                buffer_append_byte(out, ',');
            first = false;
            append_entry(out, &streams[next]->entries[at[next]++], true);
        }
        return;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += streams[i]->count;
    AUTO(memory_drop) struct ordered_entry *entries = xcalloc(total + 1, sizeof(*entries));
    size_t filled = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < streams[i]->count; j++, filled++)
            entries[filled] = (struct ordered_entry){&streams[i]->entries[j], filled};
    qsort(entries, total, sizeof(*entries), forward ? compare_forward : compare_backward);
    for (size_t i = 0; i < total; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        append_entry(out, entries[i].entry, true);
    }
}

static void append_categorized(struct buffer *out, const struct query_result *result, bool forward)
{
    size_t count = result->stream_count;
    AUTO(memory_drop) const struct query_stream **order = xcalloc(count + 1, sizeof(*order));
    for (size_t i = 0; i < count; i++)
        order[i] = &result->streams[i];
    qsort(order, count, sizeof(*order), compare_streams);
    for (size_t from = 0, to; from < count; from = to) {
        to = from + 1;
        while (to < count && labels_equal(order[from]->stream, order[to]->stream))
            to++;
        begin_stream(out, from == 0, order[from]->stream);
        append_group(out, order + from, to - from, forward);
        buffer_append_text(out, "]}");
    }
}

bool answer_streams(struct buffer *out, const struct query_result *result, bool forward,
                    bool categorize)
{
    buffer_append_byte(out, '[');
    if (categorize)
        append_categorized(out, result, forward);
    else
        append_plain(out, result);
    buffer_append_byte(out, ']');
    return !out->failed;
}

bool answer_streams_legacy(struct buffer *out, const struct query_result *result)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, out->size_max);
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_array_begin(&w);
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        buffer_clear(&text);
        labels_append_text(&text, stream->labels);
        json_write_object_begin(&w);
        json_write_key(&w, SLICE("labels"));
        json_write_string(&w, buffer_slice(&text));
        json_write_key(&w, SLICE("entries"));
        json_write_array_begin(&w);
        for (size_t j = 0; j < stream->count; j++) {
            buffer_clear(&text);
            buffer_append_rfc3339(&text, stream->entries[j].time_ns);
            json_write_object_begin(&w);
            json_write_key(&w, SLICE("ts"));
            json_write_string(&w, buffer_slice(&text));
            json_write_key(&w, SLICE("line"));
            json_write_string(&w, stream->entries[j].line);
            json_write_object_end(&w);
        }
        json_write_array_end(&w);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    return !out->failed;
}
