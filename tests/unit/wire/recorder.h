/*
 * recorder.h - sinks that write down what a decoder tells them, as text.
 *
 * Two decodings are equal when their texts are.  A recorder knows the series
 * that it has seen by their keys, like the real sinks.
 */
#ifndef TESTS_RECORDER_H
#define TESTS_RECORDER_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/memory.h"
#include "wire/ingest.h"

#include <inttypes.h>

enum { RECORDER_KEYS_MAX = 4096 };

struct recorder {
    struct buffer text;
    char *keys[RECORDER_KEYS_MAX];
    size_t key_sizes[RECORDER_KEYS_MAX];
    size_t known, defined;
    int64_t define_answer; /* not 0: what define returns instead of a number */
    size_t stop_after;     /* not 0: the n-th sample or entry ends the request */
    size_t items;
};

static inline void recorder_init(struct recorder *r)
{
    *r = (struct recorder){0};
    buffer_init(&r->text, (size_t)64 * 1024 * 1024);
}

static inline void recorder_done(struct recorder *r)
{
    for (size_t i = 0; i < r->known; i++)
        free(r->keys[i]);
    buffer_done(&r->text);
}

/* The text so far, NUL-terminated. */
static inline const char *recorder_text(struct recorder *r)
{
    buffer_append_byte(&r->text, '\0');
    r->text.size--;
    return r->text.data;
}

static inline int64_t recorder_find(void *context, struct slice key)
{
    struct recorder *r = context;
    for (size_t i = 0; i < r->known; i++) {
        if (slice_equal(slice_of(r->keys[i], r->key_sizes[i]), key))
            return (int64_t)i;
    }
    return INGEST_UNKNOWN;
}

static inline int64_t recorder_define(void *context, struct slice key, struct label *labels,
                                      size_t count)
{
    struct recorder *r = context;
    int64_t known = recorder_find(context, key);
    if (known >= 0) /* twice among the series that were looked up together */
        return known;
    r->defined++;
    if (r->define_answer != 0)
        return r->define_answer;
    buffer_printf(&r->text, "series %zu:", r->known);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&r->text, " %.*s=<%.*s>", SLICE_ARG(labels[i].name),
                      SLICE_ARG(labels[i].value));
    buffer_append_byte(&r->text, '\n');
    r->keys[r->known] = xmemdup(key.data ? key.data : "", key.size);
    r->key_sizes[r->known] = key.size;
    return (int64_t)r->known++;
}

static inline bool recorder_sample(void *context, uint32_t series, int64_t time_ms, double value)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "%u @%" PRId64 " %016" PRIx64 "\n", series, time_ms,
                  double_bits(value));
    return ++r->items != r->stop_after;
}

static inline void recorder_find_many(void *context, const struct slice *keys, size_t count,
                                      int64_t *series)
{
    for (size_t i = 0; i < count; i++)
        series[i] = recorder_find(context, keys[i]);
}

static inline bool recorder_samples(void *context, const uint32_t *series, const int64_t *times_ms,
                                    const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!recorder_sample(context, series[i], times_ms[i], values[i]))
            return false;
    return true;
}

static inline void recorder_side(struct recorder *r, const struct histogram_side *side)
{
    for (size_t i = 0; i < side->span_count; i++)
        buffer_printf(&r->text, " %d:%u", side->spans[i].offset, side->spans[i].length);
    for (size_t i = 0; i < side->bucket_count; i++)
        buffer_printf(&r->text, " %016" PRIx64, double_bits(side->buckets[i]));
    buffer_append_text(&r->text, " |");
}

static inline bool recorder_histogram(void *context, uint32_t series, int64_t time_ms,
                                      int64_t start_ms, const struct histogram *h)
{
    struct recorder *r = context;
    buffer_printf(&r->text,
                  "%u @%" PRId64 " since %" PRId64 " %s schema %d hint %d count %g sum %g zero %g "
                  "below %g |",
                  series, time_ms, start_ms, h->integer ? "integer" : "float", h->schema,
                  (int)h->hint, h->count, h->sum, h->zero_count, h->zero_threshold);
    recorder_side(r, &h->positive);
    recorder_side(r, &h->negative);
    for (size_t i = 0; i < h->custom_count; i++)
        buffer_printf(&r->text, " le %016" PRIx64, double_bits(h->custom[i]));
    buffer_append_byte(&r->text, '\n');
    return ++r->items != r->stop_after;
}

static inline bool recorder_metadata(void *context, struct slice family, struct slice type,
                                     struct slice help, struct slice unit)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "metadata %.*s %.*s <%.*s> <%.*s>\n", SLICE_ARG(family),
                  SLICE_ARG(type), SLICE_ARG(help), SLICE_ARG(unit));
    return true;
}

static inline void recorder_dropped(void *context, uint32_t series, const char *what)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "%u dropped %s\n", series, what);
}

static inline void recorder_refused(void *context, size_t count, const struct error *reason)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "refused %zu: %s\n", count, reason->message);
}

static inline bool recorder_entry(void *context, uint32_t series, int64_t time_ns,
                                  struct slice line, struct label *metadata, size_t count)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "%u @%" PRId64 " <", series, time_ns);
    buffer_append_slice(&r->text, line);
    buffer_append_byte(&r->text, '>');
    for (size_t i = 0; i < count; i++)
        buffer_printf(&r->text, " %.*s=<%.*s>", SLICE_ARG(metadata[i].name),
                      SLICE_ARG(metadata[i].value));
    buffer_append_byte(&r->text, '\n');
    return ++r->items != r->stop_after;
}

static inline struct metric_sink recorder_metric_sink(struct recorder *r)
{
    return (struct metric_sink){
        .context = r,
        .find = recorder_find,
        .define = recorder_define,
        .sample = recorder_sample,
        .histogram = recorder_histogram,
        .metadata = recorder_metadata,
        .dropped = recorder_dropped,
        .refused = recorder_refused,
    };
}

static inline struct log_sink recorder_log_sink(struct recorder *r)
{
    return (struct log_sink){
        .context = r,
        .find = recorder_find,
        .define = recorder_define,
        .entry = recorder_entry,
        .refused = recorder_refused,
    };
}

#endif
