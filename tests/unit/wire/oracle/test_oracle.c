/*
 * Random requests, written by protobuf-c and read by us, and the other way
 * round: both sides must find the same series, samples, entries and metadata.
 */
#include "oracle.pb-c.h"
#include "recorder.h"
#include "wire/loki_push.h"
#include "wire/remote_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROUNDS = 400, MOST = 6, TEXT_MAX = 40 };

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t pick(size_t below)
{
    return (size_t)(next_random() % below);
}

/* A text of printable bytes, often empty; the caller frees it. */
static char *random_text(void)
{
    char text[TEXT_MAX + 1];
    size_t size = pick(4) == 0 ? 0 : pick(TEXT_MAX);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('!' + pick(90));
    return xmemdup(text, size);
}

static int64_t random_time(void)
{
    switch (pick(4)) {
    case 0:
        return 0;
    case 1:
        return -(int64_t)pick(100000);
    case 2:
        return (int64_t)next_random();
    default:
        return 1700000000000 + (int64_t)pick(1000000);
    }
}

static void *array_of(size_t count)
{
    return xcalloc(count + 1, sizeof(void *));
}

#define ADD(array, count, Type, INIT)                                                              \
    ({                                                                                             \
        Type *item_ = xmalloc(sizeof(Type));                                                       \
        *item_ = (Type)INIT;                                                                       \
        (array)[(count)++] = item_;                                                                \
        item_;                                                                                     \
    })

/* ---- remote-write ----------------------------------------------------------- */

static size_t random_spans(Oracle__BucketSpan ***spans)
{
    size_t wanted = pick(3), count = 0;
    *spans = array_of(wanted);
    while (count < wanted) {
        Oracle__BucketSpan *span =
            ADD(*spans, count, Oracle__BucketSpan, ORACLE__BUCKET_SPAN__INIT);
        span->offset = (int32_t)next_random();
        span->length = (uint32_t)pick(1000);
    }
    return count;
}

static size_t random_deltas(int64_t **deltas)
{
    size_t count = pick(MOST);
    *deltas = xcalloc(count + 1, sizeof(**deltas));
    for (size_t i = 0; i < count; i++)
        (*deltas)[i] = pick(2) ? (int64_t)pick(500) - 100 : (int64_t)(next_random() >> 14);
    return count;
}

static size_t random_doubles(double **numbers)
{
    size_t count = pick(MOST);
    *numbers = xcalloc(count + 1, sizeof(**numbers));
    for (size_t i = 0; i < count; i++)
        (*numbers)[i] = double_from_bits(next_random());
    return count;
}

/* Any fields in any mix: what does not fit together is not the decoder's to judge. */
static void fill_histogram(Oracle__Histogram *h)
{
    h->count_case =
        pick(2) ? ORACLE__HISTOGRAM__COUNT_COUNT_INT : ORACLE__HISTOGRAM__COUNT_COUNT_FLOAT;
    if (h->count_case == ORACLE__HISTOGRAM__COUNT_COUNT_INT)
        h->count_int = pick(100000);
    else
        h->count_float = 2.5;
    h->zero_count_case = ORACLE__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT;
    h->zero_count_int = pick(100000);
    h->sum = (double)pick(1000) / 8;
    h->schema = (int32_t)pick(62) - 53; /* above 8 it would be made coarser */
    h->zero_threshold = pick(2) ? 0x1p-128 : 0;
    h->n_negative_spans = random_spans(&h->negative_spans);
    h->n_positive_spans = random_spans(&h->positive_spans);
    h->n_negative_deltas = random_deltas(&h->negative_deltas);
    h->n_positive_deltas = random_deltas(&h->positive_deltas);
    h->n_negative_counts = random_doubles(&h->negative_counts);
    h->n_positive_counts = random_doubles(&h->positive_counts);
    h->n_custom_values = random_doubles(&h->custom_values);
    h->reset_hint = (Oracle__Histogram__ResetHint)pick(4);
    h->timestamp = random_time();
    h->start_timestamp = random_time();
}

static struct histogram_span *spans_of(Oracle__BucketSpan **spans, size_t count)
{
    struct histogram_span *copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct histogram_span){spans[i]->offset, spans[i]->length};
    return copy;
}

static double *sums_of(const int64_t *deltas, size_t count)
{
    double *sums = xcalloc(count + 1, sizeof(*sums));
    int64_t level = 0;
    for (size_t i = 0; i < count; i++)
        sums[i] = (double)(level += deltas[i]);
    return sums;
}

static void tell_histogram(const Oracle__Histogram *m, uint32_t series, struct recorder *r)
{
    bool integer = m->count_case != ORACLE__HISTOGRAM__COUNT_COUNT_FLOAT;
    struct histogram_span *positive = spans_of(m->positive_spans, m->n_positive_spans);
    struct histogram_span *negative = spans_of(m->negative_spans, m->n_negative_spans);
    double *ups = sums_of(m->positive_deltas, m->n_positive_deltas);
    double *downs = sums_of(m->negative_deltas, m->n_negative_deltas);
    struct histogram h = {
        .schema = m->schema,
        .hint = (enum counter_reset_hint)m->reset_hint,
        .integer = integer,
        .zero_threshold = m->zero_threshold,
        .zero_count = (double)m->zero_count_int,
        .count = integer ? (double)m->count_int : m->count_float,
        .sum = m->sum,
        .positive = {positive, m->n_positive_spans, integer ? ups : m->positive_counts,
                     integer ? m->n_positive_deltas : m->n_positive_counts},
        .negative = {negative, m->n_negative_spans, integer ? downs : m->negative_counts,
                     integer ? m->n_negative_deltas : m->n_negative_counts},
        .custom = m->custom_values,
        .custom_count = m->n_custom_values,
    };
    recorder_histogram(r, series, m->timestamp, m->start_timestamp, &h);
    free(positive);
    free(negative);
    free(ups);
    free(downs);
}

static void fill_series(Oracle__TimeSeries *series, bool with_histograms)
{
    size_t labels = pick(MOST), samples = pick(MOST), exemplars = pick(8) == 0;
    size_t histograms = with_histograms ? pick(3) : 0;
    series->labels = array_of(labels);
    series->samples = array_of(samples);
    series->exemplars = array_of(exemplars);
    while (series->n_labels < labels) {
        Oracle__Label *label =
            ADD(series->labels, series->n_labels, Oracle__Label, ORACLE__LABEL__INIT);
        label->name = random_text();
        label->value = random_text();
    }
    while (series->n_samples < samples) {
        Oracle__Sample *sample =
            ADD(series->samples, series->n_samples, Oracle__Sample, ORACLE__SAMPLE__INIT);
        sample->value = pick(3) == 0 ? 0 : double_from_bits(next_random());
        sample->timestamp = random_time();
    }
    series->histograms = array_of(histograms);
    while (series->n_histograms < histograms)
        fill_histogram(ADD(series->histograms, series->n_histograms, Oracle__Histogram,
                           ORACLE__HISTOGRAM__INIT));
    if (exemplars)
        ADD(series->exemplars, series->n_exemplars, Oracle__Exemplar, ORACLE__EXEMPLAR__INIT);
}

static Oracle__WriteRequest *random_write_request(bool with_histograms)
{
    Oracle__WriteRequest *request = xmalloc(sizeof(*request));
    oracle__write_request__init(request);
    size_t series = pick(MOST), metadata = pick(3);
    request->timeseries = array_of(series);
    request->metadata = array_of(metadata);
    while (request->n_timeseries < series)
        fill_series(ADD(request->timeseries, request->n_timeseries, Oracle__TimeSeries,
                        ORACLE__TIME_SERIES__INIT),
                    with_histograms);
    while (request->n_metadata < metadata) {
        Oracle__MetricMetadata *m = ADD(request->metadata, request->n_metadata,
                                        Oracle__MetricMetadata, ORACLE__METRIC_METADATA__INIT);
        m->type = (Oracle__MetricMetadata__Type)pick(8);
        m->metric_family_name = random_text();
        m->help = random_text();
        m->unit = random_text();
    }
    return request;
}

static const char *const words[] = {"unknown",        "counter", "gauge", "histogram",
                                    "gaugehistogram", "summary", "info",  "stateset"};

/* What the recorder should have written down, found from protobuf-c's structs. */
static void tell_write_request(const Oracle__WriteRequest *request, struct recorder *r)
{
    for (size_t i = 0; i < request->n_timeseries; i++) {
        const Oracle__TimeSeries *series = request->timeseries[i];
        AUTO(buffer_done) struct buffer key;
        struct label labels[MOST];
        buffer_init(&key, 4096);
        for (size_t k = 0; k < series->n_labels; k++) {
            labels[k].name = slice_from_text(series->labels[k]->name);
            labels[k].value = slice_from_text(series->labels[k]->value);
            buffer_put_sized(&key, labels[k].name);
            buffer_put_sized(&key, labels[k].value);
        }
        int64_t number = recorder_find(r, buffer_slice(&key));
        if (number < 0)
            number = recorder_define(r, buffer_slice(&key), labels, series->n_labels);
        for (size_t k = 0; k < series->n_samples; k++)
            recorder_sample(r, (uint32_t)number, series->samples[k]->timestamp,
                            series->samples[k]->value);
        for (size_t k = 0; k < series->n_exemplars; k++)
            recorder_dropped(r, (uint32_t)number, "exemplar");
        for (size_t k = 0; k < series->n_histograms; k++)
            tell_histogram(series->histograms[k], (uint32_t)number, r);
    }
    for (size_t i = 0; i < request->n_metadata; i++) {
        const Oracle__MetricMetadata *m = request->metadata[i];
        recorder_metadata(r, slice_from_text(m->metric_family_name),
                          slice_from_text(words[m->type]), slice_from_text(m->help),
                          slice_from_text(m->unit));
    }
}

static void decode_and_compare(struct slice body, const Oracle__WriteRequest *request)
{
    struct recorder ours, theirs;
    struct error err = {0};
    recorder_init(&ours);
    recorder_init(&theirs);
    struct metric_sink sink = recorder_metric_sink(&ours);
    if (!remote_write_decode(body, &sink, &err))
        fail_msg("%s", err.message);
    tell_write_request(request, &theirs);
    assert_string_equal(recorder_text(&ours), recorder_text(&theirs));
    recorder_done(&ours);
    recorder_done(&theirs);
}

static void we_read_what_protobuf_c_writes_as_remote_write(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        Oracle__WriteRequest *request = random_write_request(true);
        size_t size = oracle__write_request__get_packed_size(request);
        uint8_t *bytes = xmalloc(size + 1);
        oracle__write_request__pack(request, bytes);
        decode_and_compare(slice_of(bytes, size), request);
        free(bytes);
        oracle__write_request__free_unpacked(request, NULL);
    }
}

/* Encode with our writers what protobuf-c's structs hold (without exemplars). */
static void write_ourselves(const Oracle__WriteRequest *request, struct buffer *out)
{
    for (size_t i = 0; i < request->n_timeseries; i++) {
        const Oracle__TimeSeries *series = request->timeseries[i];
        struct label labels[MOST];
        struct remote_sample samples[MOST];
        for (size_t k = 0; k < series->n_labels; k++) {
            labels[k].name = slice_from_text(series->labels[k]->name);
            labels[k].value = slice_from_text(series->labels[k]->value);
        }
        for (size_t k = 0; k < series->n_samples; k++)
            samples[k] =
                (struct remote_sample){series->samples[k]->timestamp, series->samples[k]->value};
        remote_write_append_series(out, (struct labels){labels, series->n_labels}, samples,
                                   series->n_samples);
    }
    for (size_t i = 0; i < request->n_metadata; i++) {
        const Oracle__MetricMetadata *m = request->metadata[i];
        remote_write_append_metadata(out, slice_from_text(m->metric_family_name),
                                     slice_from_text(words[m->type]), slice_from_text(m->help),
                                     slice_from_text(m->unit));
    }
}

static void protobuf_c_reads_what_we_write_as_remote_write(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        Oracle__WriteRequest *request = random_write_request(false);
        AUTO(buffer_done) struct buffer body;
        buffer_init(&body, 1024 * 1024);
        write_ourselves(request, &body);
        Oracle__WriteRequest *read =
            oracle__write_request__unpack(NULL, body.size, (const uint8_t *)body.data);
        assert_non_null(read);
        decode_and_compare(buffer_slice(&body), read);
        oracle__write_request__free_unpacked(read, NULL);
        oracle__write_request__free_unpacked(request, NULL);
    }
}

/* ---- Loki push ------------------------------------------------------------- */

static void fill_entry(Oracle__Entry *entry)
{
    size_t pairs = pick(3);
    entry->line = random_text();
    entry->timestamp = xmalloc(sizeof(*entry->timestamp));
    *entry->timestamp = (Oracle__Timestamp)ORACLE__TIMESTAMP__INIT;
    entry->timestamp->seconds = (int64_t)pick(4000000000) - 1000;
    entry->timestamp->nanos = (int32_t)pick(1000000000);
    entry->structured_metadata = array_of(pairs);
    while (entry->n_structured_metadata < pairs) {
        Oracle__LabelPair *pair = ADD(entry->structured_metadata, entry->n_structured_metadata,
                                      Oracle__LabelPair, ORACLE__LABEL_PAIR__INIT);
        pair->name = random_text();
        pair->value = random_text();
    }
}

static Oracle__PushRequest *random_push_request(void)
{
    Oracle__PushRequest *request = xmalloc(sizeof(*request));
    oracle__push_request__init(request);
    size_t streams = pick(MOST);
    request->streams = array_of(streams);
    while (request->n_streams < streams) {
        Oracle__Stream *stream =
            ADD(request->streams, request->n_streams, Oracle__Stream, ORACLE__STREAM__INIT);
        size_t entries = pick(MOST);
        char labels[64];
        snprintf(labels, sizeof(labels), "{app=\"a%zu\"}", pick(4));
        stream->labels = xstrdup(labels);
        stream->hash = next_random();
        stream->entries = array_of(entries);
        while (stream->n_entries < entries)
            fill_entry(ADD(stream->entries, stream->n_entries, Oracle__Entry, ORACLE__ENTRY__INIT));
    }
    return request;
}

static size_t metadata_of(const Oracle__Entry *entry, struct label *metadata)
{
    for (size_t i = 0; i < entry->n_structured_metadata; i++) {
        metadata[i].name = slice_from_text(entry->structured_metadata[i]->name);
        metadata[i].value = slice_from_text(entry->structured_metadata[i]->value);
    }
    return entry->n_structured_metadata;
}

static int64_t time_of(const Oracle__Entry *entry)
{
    return entry->timestamp->seconds * 1000000000 + entry->timestamp->nanos;
}

static void tell_push_request(const Oracle__PushRequest *request, struct recorder *r)
{
    for (size_t i = 0; i < request->n_streams; i++) {
        const Oracle__Stream *stream = request->streams[i];
        struct slice key = slice_from_text(stream->labels);
        struct label label = {SLICE("app"), slice_sub(key, 6, key.size - 8)};
        int64_t number = recorder_find(r, key);
        if (number < 0)
            number = recorder_define(r, key, &label, 1);
        for (size_t k = 0; k < stream->n_entries; k++) {
            struct label metadata[MOST];
            size_t count = metadata_of(stream->entries[k], metadata);
            recorder_entry(r, (uint32_t)number, time_of(stream->entries[k]),
                           slice_from_text(stream->entries[k]->line), metadata, count);
        }
    }
}

static void push_and_compare(struct slice body, const Oracle__PushRequest *request)
{
    struct recorder ours, theirs;
    struct error err = {0};
    recorder_init(&ours);
    recorder_init(&theirs);
    struct log_sink sink = recorder_log_sink(&ours);
    if (!loki_push_decode(body, &sink, &err))
        fail_msg("%s", err.message);
    tell_push_request(request, &theirs);
    assert_string_equal(recorder_text(&ours), recorder_text(&theirs));
    recorder_done(&ours);
    recorder_done(&theirs);
}

static void we_read_what_protobuf_c_writes_as_loki_push(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        Oracle__PushRequest *request = random_push_request();
        size_t size = oracle__push_request__get_packed_size(request);
        uint8_t *bytes = xmalloc(size + 1);
        oracle__push_request__pack(request, bytes);
        push_and_compare(slice_of(bytes, size), request);
        free(bytes);
        oracle__push_request__free_unpacked(request, NULL);
    }
}

static void protobuf_c_reads_what_we_write_as_loki_push(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        Oracle__PushRequest *request = random_push_request();
        AUTO(buffer_done) struct buffer body;
        buffer_init(&body, 1024 * 1024);
        for (size_t i = 0; i < request->n_streams; i++) {
            const Oracle__Stream *stream = request->streams[i];
            struct label metadata[MOST][MOST];
            struct loki_entry entries[MOST];
            for (size_t k = 0; k < stream->n_entries; k++) {
                size_t count = metadata_of(stream->entries[k], metadata[k]);
                entries[k] = (struct loki_entry){time_of(stream->entries[k]),
                                                 slice_from_text(stream->entries[k]->line),
                                                 {metadata[k], count}};
            }
            loki_push_append_stream(&body, slice_from_text(stream->labels), entries,
                                    stream->n_entries);
        }
        Oracle__PushRequest *read =
            oracle__push_request__unpack(NULL, body.size, (const uint8_t *)body.data);
        assert_non_null(read);
        push_and_compare(buffer_slice(&body), read);
        oracle__push_request__free_unpacked(read, NULL);
        oracle__push_request__free_unpacked(request, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(we_read_what_protobuf_c_writes_as_remote_write),
        cmocka_unit_test(protobuf_c_reads_what_we_write_as_remote_write),
        cmocka_unit_test(we_read_what_protobuf_c_writes_as_loki_push),
        cmocka_unit_test(protobuf_c_reads_what_we_write_as_loki_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
