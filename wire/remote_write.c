/*
 * remote_write.c - a streaming decoder and an encoder of remote-write 1.0.
 *
 *     WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
 *     TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2;
 *                    repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
 *     Label        { string name = 1; string value = 2; }
 *     Sample       { double value = 1; int64 timestamp = 2; }
 *     Histogram    see remote_histogram.h
 *     MetricMetadata { Type type = 1; string metric_family_name = 2; string help = 4;
 *                      string unit = 5; }
 *
 * Each TimeSeries is walked twice.  The first pass only hops from field to field: it
 * proves that the lengths fit and finds the label fields, which nearly always stand
 * together, so that their bytes are the key as they are.  The second pass reads
 * the samples.  Label fields that stand apart are first joined in a buffer.
 *
 * The fast way, for sinks with find_many: most series are label fields and one sample,
 * which looks the same everywhere.  When a message ends like that, the bytes before are
 * taken for the key without looking at them.  If the sink knows them, they are the label
 * fields that it was given before, and nothing is left to check; if not, the message is
 * walked as above.  Series are collected in a window, so that the sink can look many up
 * at once, and plain samples are handed over together.
 */
#include "wire/remote_write.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "wire/ingest.h"
#include "wire/protobuf.h"
#include "wire/remote_histogram.h"

#include <inttypes.h>

enum { REQUEST_SERIES = 1, REQUEST_METADATA = 3 };
enum { SERIES_LABEL = 1, SERIES_SAMPLE = 2, SERIES_EXEMPLAR = 3, SERIES_HISTOGRAM = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIME = 2 };
enum { METADATA_TYPE = 1, METADATA_FAMILY = 2, METADATA_HELP = 4, METADATA_UNIT = 5 };

/* MetricMetadata.type in order. */
static const char *const metric_types[] = {
    "unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset",
};

enum step { STEP_ON, STEP_STOPPED, STEP_BROKEN };

/* What the first pass over a TimeSeries finds. */
struct series_shape {
    const uint8_t *labels_begin, *labels_end;
    size_t labels, samples, others;
    bool apart; /* label fields with something between them */
};

/* A series that was not read yet. */
struct waiting_series {
    struct slice message;
    struct series_shape shape;
    bool guessed; /* a key and one sample, not surveyed */
    struct remote_sample sample;
};

struct decoder {
    const struct metric_sink *sink;
    struct error *err;
    struct waiting_series window[INGEST_WINDOW];
    struct slice keys[INGEST_WINDOW]; /* of the series in the window */
    size_t waiting;
    uint32_t plain_series[INGEST_WINDOW]; /* samples for sink->samples */
    int64_t plain_times[INGEST_WINDOW];
    double plain_values[INGEST_WINDOW];
    size_t plain;
    struct buffer joined; /* label fields that did not stand together */
    struct arena *arena;  /* of the histogram at hand; NULL until there is one */
    struct label labels[INGEST_LABELS_MAX];
};

static bool survey(struct proto_cursor *c, struct slice message, struct series_shape *shape)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    while (proto_next(&in, &field)) {
        if (field.number > SERIES_HISTOGRAM)
            continue;
        if (!proto_expect(&in, &field, PROTO_BYTES))
            break;
        if (field.number == SERIES_SAMPLE) {
            shape->samples++;
        } else if (field.number == SERIES_LABEL) {
            if (shape->labels++ == 0)
                shape->labels_begin = field.begin;
            else if (shape->labels_end != field.begin)
                shape->apart = true;
            shape->labels_end = in.at;
        } else {
            shape->others++;
        }
    }
    return in.problem == NULL || proto_lift(c, &in);
}

static bool read_label(struct proto_cursor *c, struct slice message, struct label *label)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    *label = (struct label){0};
    while (proto_next(&in, &field)) {
        if (field.number > LABEL_VALUE)
            continue;
        if (!proto_expect(&in, &field, PROTO_BYTES))
            break;
        if (field.number == LABEL_NAME)
            label->name = field.bytes;
        else
            label->value = field.bytes;
    }
    return in.problem == NULL || proto_lift(c, &in);
}

static bool read_labels(struct proto_cursor *c, struct slice message, struct label *labels)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    size_t count = 0;

    while (proto_next(&in, &field)) {
        if (field.number == SERIES_LABEL && !read_label(&in, field.bytes, &labels[count++]))
            return proto_lift(c, &in);
    }
    return true;
}

/* The label fields of a series as one piece of bytes. */
static struct slice key_of(struct decoder *d, struct slice message,
                           const struct series_shape *shape)
{
    if (!shape->apart)
        return slice_of(shape->labels_begin, (size_t)(shape->labels_end - shape->labels_begin));

    struct proto_cursor in = proto_cursor_of(message);
    struct proto_field field;
    buffer_clear(&d->joined);
    while (proto_next(&in, &field)) {
        if (field.number == SERIES_LABEL)
            buffer_append(&d->joined, field.begin, (size_t)(in.at - field.begin));
    }
    return buffer_slice(&d->joined);
}

/*
 * The sink's number of the series, or a negative INGEST_ code; STEP_BROKEN via `c->problem`.
 * Of the key `unknown` (data NULL: none) the sink has said that it does not know it.
 */
static int64_t look_up(struct decoder *d, struct proto_cursor *c, struct slice message,
                       const struct series_shape *shape, struct slice unknown)
{
    const struct metric_sink *sink = d->sink;
    if (UNLIKELY(shape->labels > INGEST_LABELS_MAX)) {
        struct error reason = {0};
        error_set(&reason, ERR_INVALID, "a series has %zu labels, the limit is %d", shape->labels,
                  (int)INGEST_LABELS_MAX);
        if (sink->refused == NULL) {
            if (d->err)
                *d->err = reason;
            return INGEST_STOP;
        }
        sink->refused(sink->context, shape->samples, &reason);
        return INGEST_SKIP;
    }
    struct slice key = key_of(d, message, shape);
    bool asked = sink->find_many && key.data == unknown.data && key.size == unknown.size;
    int64_t series = asked ? INGEST_UNKNOWN : sink->find(sink->context, key);
    if (LIKELY(series != INGEST_UNKNOWN))
        return series;
    if (!read_labels(c, message, d->labels))
        return INGEST_STOP;
    return sink->define(sink->context, key, d->labels, shape->labels);
}

static bool read_sample(struct proto_cursor *c, struct slice message, struct remote_sample *sample)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    /* What every sender writes: 0x09, eight bytes, 0x10, the time. */
    *sample = (struct remote_sample){0, 0};
    if (LIKELY(message.size >= 11 && in.at[0] == 0x09 && in.at[9] == 0x10)) {
        uint64_t time;
        sample->value = double_from_bits(bytes_get64(in.at + 1));
        in.at += 10;
        if (UNLIKELY(!proto_varint(&in, &time)))
            return proto_lift(c, &in);
        sample->time_ms = (int64_t)time;
    }
    while (UNLIKELY(proto_next(&in, &field))) {
        if (field.number == SAMPLE_VALUE && proto_expect(&in, &field, PROTO_FIXED64))
            sample->value = double_from_bits(field.value);
        else if (field.number == SAMPLE_TIME && proto_expect(&in, &field, PROTO_VARINT))
            sample->time_ms = (int64_t)field.value;
        if (in.problem)
            break;
    }
    return in.problem == NULL || proto_lift(c, &in);
}

static enum step read_histogram(struct decoder *d, struct proto_cursor *c, struct slice message,
                                int64_t series)
{
    const struct metric_sink *sink = d->sink;
    struct remote_histogram got;
    struct error reason = {0};
    if (d->arena == NULL)
        d->arena = arena_new(REMOTE_HISTOGRAM_MEMORY);
    if (!remote_histogram_read(c, message, d->arena, &got, &reason))
        return STEP_BROKEN;
    if (series < 0)
        return STEP_ON;
    if (reason.code != ERR_NONE) {
        if (sink->refused == NULL) {
            if (d->err)
                *d->err = reason;
            return STEP_STOPPED;
        }
        sink->refused(sink->context, 1, &reason);
        return STEP_ON;
    }
    return sink->histogram(sink->context, (uint32_t)series, got.time_ms, got.start_ms,
                           &got.histogram)
               ? STEP_ON
               : STEP_STOPPED;
}

/* Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; } */
static enum step read_exemplar(struct decoder *d, struct proto_cursor *c, struct slice message,
                               int64_t series)
{
    enum { VALUE = 2, TIME = 3 };
    const struct metric_sink *sink = d->sink;
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    struct remote_sample sample = {0, 0};
    size_t count = 0;
    while (proto_next(&in, &field)) {
        if (field.number == SERIES_LABEL && proto_expect(&in, &field, PROTO_BYTES))
            count++;
        else if (field.number == VALUE && proto_expect(&in, &field, PROTO_FIXED64))
            sample.value = double_from_bits(field.value);
        else if (field.number == TIME && proto_expect(&in, &field, PROTO_VARINT))
            sample.time_ms = (int64_t)field.value;
        if (in.problem)
            break;
    }
    if (in.problem) {
        proto_lift(c, &in);
        return STEP_BROKEN;
    }
    if (series < 0)
        return STEP_ON;
    if (count > INGEST_LABELS_MAX) {
        if (sink->dropped)
            sink->dropped(sink->context, (uint32_t)series, "exemplar");
        return STEP_ON;
    }
    /* Its labels stand as those of a series do. */
    if (!read_labels(c, message, d->labels))
        return STEP_BROKEN;
    return sink->exemplar(sink->context, (uint32_t)series, d->labels, count, sample.time_ms,
                          sample.value)
               ? STEP_ON
               : STEP_STOPPED;
}

/* Samples go to the sink unless `series` is negative; they are checked in any case. */
static enum step read_samples(struct decoder *d, struct proto_cursor *c, struct slice message,
                              int64_t series)
{
    const struct metric_sink *sink = d->sink;
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    struct remote_sample sample;

    while (proto_next(&in, &field)) {
        if (LIKELY(field.number == SERIES_SAMPLE)) {
            if (UNLIKELY(!read_sample(&in, field.bytes, &sample))) {
                proto_lift(c, &in);
                return STEP_BROKEN;
            }
            if (series >= 0 &&
                !sink->sample(sink->context, (uint32_t)series, sample.time_ms, sample.value))
                return STEP_STOPPED;
        } else if (field.number == SERIES_HISTOGRAM && sink->histogram) {
            enum step step = read_histogram(d, &in, field.bytes, series);
            if (step == STEP_BROKEN)
                proto_lift(c, &in);
            if (step != STEP_ON)
                return step;
        } else if (field.number == SERIES_EXEMPLAR && sink->exemplar) {
            enum step step = read_exemplar(d, &in, field.bytes, series);
            if (step == STEP_BROKEN)
                proto_lift(c, &in);
            if (step != STEP_ON)
                return step;
        } else if (field.number == SERIES_EXEMPLAR || field.number == SERIES_HISTOGRAM) {
            if (series >= 0 && sink->dropped)
                sink->dropped(sink->context, (uint32_t)series,
                              field.number == SERIES_EXEMPLAR ? "exemplar" : "histogram");
        }
    }
    return STEP_ON;
}

/*
 * Does the message end with a sample as every sender writes it, a time of six bytes (the
 * years 1971 to 2109)?  Then the sample, and as key what stands before.
 */
static bool guess(struct slice message, struct slice *key, struct remote_sample *sample)
{
    enum { TAIL = 18 };
    if (message.size <= TAIL)
        return false;
    const uint8_t *tail = (const uint8_t *)message.data + message.size - TAIL;
    uint64_t time = bytes_get64(tail + TAIL - 8) >> 16; /* the last six bytes */
    if (bytes_get32(tail) << 8 != UINT32_C(0x09101200) || tail[11] != 0x10 ||
        (time & UINT64_C(0x808080808080)) != UINT64_C(0x008080808080))
        return false;
    time = (time & 0x7f) | (time >> 1 & UINT64_C(0x3f80)) | (time >> 2 & UINT64_C(0x1fc000)) |
           (time >> 3 & UINT64_C(0xfe00000)) | (time >> 4 & UINT64_C(0x7f0000000)) |
           (time >> 5 & UINT64_C(0x3f800000000));
    *sample = (struct remote_sample){(int64_t)time, double_from_bits(bytes_get64(tail + 3))};
    *key = slice_of(message.data, message.size - TAIL);
    return true;
}

/* Hand over the plain samples that were collected. */
static bool give_plain(struct decoder *d)
{
    const struct metric_sink *sink = d->sink;
    size_t count = d->plain;
    d->plain = 0;
    if (count == 0)
        return true;
    if (sink->samples)
        return sink->samples(sink->context, d->plain_series, d->plain_times, d->plain_values,
                             count);
    for (size_t i = 0; i < count; i++)
        if (!sink->sample(sink->context, d->plain_series[i], d->plain_times[i], d->plain_values[i]))
            return false;
    return true;
}

/* A surveyed series; `found`: what find_many said, or INGEST_UNKNOWN. */
static enum step read_surveyed(struct decoder *d, struct proto_cursor *c,
                               const struct waiting_series *waiting, struct slice key,
                               int64_t found)
{
    const struct series_shape *shape = &waiting->shape;
    struct slice message = waiting->message;
    int64_t series = found >= 0 ? found : look_up(d, c, message, shape, key);
    if (UNLIKELY(series == INGEST_STOP || c->problem))
        return c->problem ? STEP_BROKEN : STEP_STOPPED;
    if (shape->samples == 0 && shape->others == 0)
        return STEP_ON;
    if (LIKELY(!shape->apart && shape->labels > 0)) {
        const uint8_t *end = (const uint8_t *)message.data + message.size;
        if (LIKELY(shape->labels_begin == (const uint8_t *)message.data))
            message = slice_of(shape->labels_end, (size_t)(end - shape->labels_end));
    }
    return read_samples(d, c, message, series);
}

static enum step read_waiting(struct decoder *d, struct proto_cursor *c,
                              struct waiting_series *waiting, struct slice key, int64_t found)
{
    if (LIKELY(waiting->guessed && found >= 0)) {
        d->plain_series[d->plain] = (uint32_t)found;
        d->plain_times[d->plain] = waiting->sample.time_ms;
        d->plain_values[d->plain++] = waiting->sample.value;
        return STEP_ON;
    }
    if (!give_plain(d))
        return STEP_STOPPED;
    if (waiting->guessed && !survey(c, waiting->message, &waiting->shape))
        return STEP_BROKEN;
    return read_surveyed(d, c, waiting, key, found);
}

static enum step read_all_waiting(struct decoder *d, struct proto_cursor *c)
{
    int64_t series[INGEST_WINDOW];
    size_t count = d->waiting;
    enum step step = STEP_ON;
    if (count == 0)
        return STEP_ON;
    if (d->sink->find_many)
        d->sink->find_many(d->sink->context, d->keys, count, series);
    else
        for (size_t i = 0; i < count; i++)
            series[i] = INGEST_UNKNOWN;
    d->waiting = 0;
    for (size_t i = 0; i < count && step == STEP_ON; i++)
        step = read_waiting(d, c, &d->window[i], d->keys[i], series[i]);
    return step == STEP_ON && !give_plain(d) ? STEP_STOPPED : step;
}

/* Label fields that stand apart are a key only for a moment: such a series waits alone. */
static enum step read_series_apart(struct decoder *d, struct proto_cursor *c)
{
    struct waiting_series apart = d->window[d->waiting];
    enum step step = read_all_waiting(d, c);
    return step == STEP_ON ? read_surveyed(d, c, &apart, (struct slice){0}, INGEST_UNKNOWN) : step;
}

/* Into the window; what is in it is read when it is full. */
static enum step read_series(struct decoder *d, struct proto_cursor *c, struct slice message)
{
    struct waiting_series *waiting = &d->window[d->waiting];
    waiting->message = message;
    waiting->shape = (struct series_shape){0};
    waiting->guessed = d->sink->find_many && guess(message, &d->keys[d->waiting], &waiting->sample);
    if (UNLIKELY(!waiting->guessed)) {
        if (!survey(c, message, &waiting->shape))
            return STEP_BROKEN;
        if (waiting->shape.apart || waiting->shape.labels > INGEST_LABELS_MAX)
            return read_series_apart(d, c);
        d->keys[d->waiting] = key_of(d, message, &waiting->shape);
    }
    return ++d->waiting == INGEST_WINDOW ? read_all_waiting(d, c) : STEP_ON;
}

static enum step read_metadata(struct decoder *d, struct proto_cursor *c, struct slice message)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    struct slice family = {0}, help = {0}, unit = {0};
    uint64_t type = 0;

    while (proto_next(&in, &field)) {
        enum proto_type wanted = field.number == METADATA_TYPE ? PROTO_VARINT : PROTO_BYTES;
        if (field.number > METADATA_UNIT || field.number == 3)
            continue;
        if (!proto_expect(&in, &field, wanted))
            break;
        if (field.number == METADATA_TYPE)
            type = field.value;
        else if (field.number == METADATA_FAMILY)
            family = field.bytes;
        else if (field.number == METADATA_HELP)
            help = field.bytes;
        else
            unit = field.bytes;
    }
    if (in.problem) {
        proto_lift(c, &in);
        return STEP_BROKEN;
    }
    if (d->sink->metadata == NULL)
        return STEP_ON;
    struct slice word = slice_from_text(metric_types[type < COUNT_OF(metric_types) ? type : 0]);
    return d->sink->metadata(d->sink->context, family, word, help, unit) ? STEP_ON : STEP_STOPPED;
}

static bool decode(struct decoder *d, struct slice body)
{
    struct proto_cursor c = proto_cursor_of(body);
    struct proto_field field;
    enum step step = STEP_ON;

    while (step == STEP_ON && proto_next(&c, &field)) {
        if (field.number != REQUEST_SERIES && field.number != REQUEST_METADATA)
            continue;
        if (!proto_expect(&c, &field, PROTO_BYTES))
            break;
        if (field.number == REQUEST_SERIES) {
            step = read_series(d, &c, field.bytes);
            continue;
        }
        step = read_all_waiting(d, &c); /* so that the sink hears everything in its order */
        if (step == STEP_ON)
            step = read_metadata(d, &c, field.bytes);
    }
    if (step == STEP_ON && !c.problem)
        step = read_all_waiting(d, &c);
    if (c.problem)
        return proto_error(&c, "remote-write request", d->err);
    return step == STEP_ON;
}

bool remote_write_decode(struct slice body, const struct metric_sink *sink, struct error *err)
{
    struct decoder d; /* 32 KiB of labels are left as they are, and the window */
    d.sink = sink;
    d.err = err;
    d.waiting = d.plain = 0;
    d.arena = NULL;
    buffer_init(&d.joined, body.size);
    bool ok = decode(&d, body);
    buffer_done(&d.joined);
    arena_free(d.arena);
    return ok;
}

static size_t label_size(const struct label *label)
{
    return proto_bytes_size(LABEL_NAME, label->name.size) +
           proto_bytes_size(LABEL_VALUE, label->value.size);
}

static size_t sample_size(const struct remote_sample *sample)
{
    return 9 + proto_varint_field_size(SAMPLE_TIME, (uint64_t)sample->time_ms);
}

void remote_write_append_series(struct buffer *out, struct labels labels,
                                const struct remote_sample *samples, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < labels.count; i++)
        size += proto_bytes_size(SERIES_LABEL, label_size(&labels.items[i]));
    for (size_t i = 0; i < count; i++)
        size += proto_bytes_size(SERIES_SAMPLE, sample_size(&samples[i]));

    proto_put_header(out, REQUEST_SERIES, size);
    for (size_t i = 0; i < labels.count; i++) {
        proto_put_header(out, SERIES_LABEL, label_size(&labels.items[i]));
        proto_put_bytes(out, LABEL_NAME, labels.items[i].name);
        proto_put_bytes(out, LABEL_VALUE, labels.items[i].value);
    }
    for (size_t i = 0; i < count; i++) {
        proto_put_header(out, SERIES_SAMPLE, sample_size(&samples[i]));
        proto_put_fixed64(out, SAMPLE_VALUE, double_bits(samples[i].value));
        proto_put_varint(out, SAMPLE_TIME, (uint64_t)samples[i].time_ms);
    }
}

void remote_write_append_metadata(struct buffer *out, struct slice family, struct slice type,
                                  struct slice help, struct slice unit)
{
    uint64_t number = 0;
    for (size_t i = 0; i < COUNT_OF(metric_types); i++) {
        if (slice_equal(type, slice_from_text(metric_types[i])))
            number = i;
    }
    size_t size = proto_varint_field_size(METADATA_TYPE, number) +
                  proto_bytes_size(METADATA_FAMILY, family.size) +
                  proto_bytes_size(METADATA_HELP, help.size) +
                  proto_bytes_size(METADATA_UNIT, unit.size);
    proto_put_header(out, REQUEST_METADATA, size);
    proto_put_varint(out, METADATA_TYPE, number);
    proto_put_bytes(out, METADATA_FAMILY, family);
    proto_put_bytes(out, METADATA_HELP, help);
    proto_put_bytes(out, METADATA_UNIT, unit);
}
