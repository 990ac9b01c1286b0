/*
 * loki_push.c - a streaming decoder and an encoder of Loki's protobuf push.
 *
 *     PushRequest { repeated Stream streams = 1; }
 *     Stream      { string labels = 1; repeated Entry entries = 2; uint64 hash = 3; }
 *     Entry       { Timestamp timestamp = 1; string line = 2;
 *                   repeated LabelPair structuredMetadata = 3; repeated LabelPair parsed = 4; }
 *     Timestamp   { int64 seconds = 1; int32 nanos = 2; }
 *     LabelPair   { string name = 1; string value = 2; }
 *
 * "hash" and "parsed" are of no use to a receiver and are skipped.  Each stream is walked
 * twice: once for its labels, which may stand behind the entries, then for the entries.
 */
#include "wire/loki_push.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "wire/ingest.h"
#include "wire/label_text.h"
#include "wire/protobuf.h"

enum { REQUEST_STREAM = 1 };
enum { STREAM_LABELS = 1, STREAM_ENTRY = 2 };
enum { ENTRY_TIME = 1, ENTRY_LINE = 2, ENTRY_METADATA = 3 };
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };
enum { PAIR_NAME = 1, PAIR_VALUE = 2 };
enum { LABEL_TEXT_MAX = 1024 * 1024, SHOWN = 200 };

enum step { STEP_ON, STEP_STOPPED, STEP_BROKEN };

struct decoder {
    const struct log_sink *sink;
    struct error *err;
    struct arena *arena; /* for escaped label values; made when first needed */
    struct label labels[INGEST_LABELS_MAX];
    struct label metadata[LOKI_METADATA_MAX];
};

/* What one Entry holds. */
struct entry {
    int64_t time_ns;
    struct slice line;
    size_t metadata_count; /* all, also those over the limit */
};

static enum step refuse(struct decoder *d, size_t entries, const struct error *reason)
{
    if (d->sink->refused) {
        d->sink->refused(d->sink->context, entries, reason);
        return STEP_ON;
    }
    if (d->err)
        *d->err = *reason;
    return STEP_STOPPED;
}

static bool read_time(struct proto_cursor *c, struct slice message, int64_t *time_ns)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    int64_t seconds = 0, nanos = 0, ns;

    while (proto_next(&in, &field)) {
        if (field.number > TIME_NANOS)
            continue;
        if (!proto_expect(&in, &field, PROTO_VARINT))
            break;
        if (field.number == TIME_SECONDS)
            seconds = (int64_t)field.value;
        else
            nanos = (int32_t)(uint32_t)field.value;
    }
    if (in.problem)
        return proto_lift(c, &in);
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &ns) ||
        __builtin_add_overflow(ns, nanos, &ns))
        ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    *time_ns = ns;
    return true;
}

static bool read_pair(struct proto_cursor *c, struct slice message, struct label *pair)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    *pair = (struct label){0};
    while (proto_next(&in, &field)) {
        if (field.number > PAIR_VALUE)
            continue;
        if (!proto_expect(&in, &field, PROTO_BYTES))
            break;
        if (field.number == PAIR_NAME)
            pair->name = field.bytes;
        else
            pair->value = field.bytes;
    }
    return in.problem == NULL || proto_lift(c, &in);
}

static bool read_entry(struct decoder *d, struct proto_cursor *c, struct slice message,
                       struct entry *entry)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    *entry = (struct entry){.line = SLICE("")};
    while (proto_next(&in, &field)) {
        if (field.number > ENTRY_METADATA)
            continue;
        if (!proto_expect(&in, &field, PROTO_BYTES))
            break;
        if (field.number == ENTRY_LINE) {
            entry->line = field.bytes;
        } else if (field.number == ENTRY_TIME) {
            if (!read_time(&in, field.bytes, &entry->time_ns))
                break;
        } else {
            struct label pair;
            if (!read_pair(&in, field.bytes, &pair))
                break;
            if (entry->metadata_count < LOKI_METADATA_MAX)
                d->metadata[entry->metadata_count] = pair;
            entry->metadata_count++;
        }
    }
    return in.problem == NULL || proto_lift(c, &in);
}

static enum step give_entry(struct decoder *d, int64_t series, const struct entry *entry)
{
    const struct log_sink *sink = d->sink;
    if (series < 0)
        return STEP_ON;
    if (UNLIKELY(entry->metadata_count > LOKI_METADATA_MAX)) {
        struct error reason = {0};
        error_set(&reason, ERR_INVALID,
                  "an entry has %zu structured metadata pairs, the limit is %d",
                  entry->metadata_count, (int)LOKI_METADATA_MAX);
        return refuse(d, 1, &reason);
    }
    return sink->entry(sink->context, (uint32_t)series, entry->time_ns, entry->line, d->metadata,
                       entry->metadata_count)
               ? STEP_ON
               : STEP_STOPPED;
}

/* Entries go to the sink unless `series` is negative; they are checked in any case. */
static enum step read_entries(struct decoder *d, struct proto_cursor *c, struct slice message,
                              int64_t series)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;
    struct entry entry;
    enum step step = STEP_ON;

    while (step == STEP_ON && proto_next(&in, &field)) {
        if (field.number != STREAM_ENTRY)
            continue;
        if (!read_entry(d, &in, field.bytes, &entry)) {
            proto_lift(c, &in);
            return STEP_BROKEN;
        }
        step = give_entry(d, series, &entry);
    }
    return step;
}

/* The labels and the number of entries of a Stream; proves that its lengths fit. */
static bool survey(struct proto_cursor *c, struct slice message, struct slice *labels,
                   size_t *entries)
{
    struct proto_cursor in = proto_cursor_inside(c, message);
    struct proto_field field;

    *labels = SLICE("");
    *entries = 0;
    while (proto_next(&in, &field)) {
        if (field.number > STREAM_ENTRY)
            continue;
        if (!proto_expect(&in, &field, PROTO_BYTES))
            break;
        if (field.number == STREAM_LABELS)
            *labels = field.bytes;
        else
            ++*entries;
    }
    return in.problem == NULL || proto_lift(c, &in);
}

/* Parse the labels of a stream that the sink does not know, and announce it. */
static int64_t define(struct decoder *d, struct slice text, size_t entries)
{
    struct error reason = {0};
    size_t count;

    if (d->arena == NULL)
        d->arena = arena_new(LABEL_TEXT_MAX);
    arena_reset(d->arena);
    if (label_text_parse(d->arena, text, d->labels, INGEST_LABELS_MAX, &count, &reason))
        return d->sink->define(d->sink->context, text, d->labels, count);
    reason.code = ERR_INVALID;
    error_prefix(&reason, "error parsing labels '%.*s' with error",
                 SLICE_ARG(slice_sub(text, 0, SHOWN)));
    return refuse(d, entries, &reason) == STEP_ON ? INGEST_SKIP : INGEST_STOP;
}

static enum step read_stream(struct decoder *d, struct proto_cursor *c, struct slice message)
{
    struct slice labels;
    size_t entries;

    if (!survey(c, message, &labels, &entries))
        return STEP_BROKEN;
    int64_t series = d->sink->find(d->sink->context, labels);
    if (series == INGEST_UNKNOWN)
        series = define(d, labels, entries);
    if (series == INGEST_STOP)
        return STEP_STOPPED;
    return read_entries(d, c, message, series);
}

static bool decode(struct decoder *d, struct slice body)
{
    struct proto_cursor c = proto_cursor_of(body);
    struct proto_field field;
    enum step step = STEP_ON;

    while (step == STEP_ON && proto_next(&c, &field)) {
        if (field.number != REQUEST_STREAM)
            continue;
        if (!proto_expect(&c, &field, PROTO_BYTES))
            break;
        step = read_stream(d, &c, field.bytes);
    }
    if (c.problem)
        return proto_error(&c, "loki push request", d->err);
    return step == STEP_ON;
}

bool loki_push_decode(struct slice body, const struct log_sink *sink, struct error *err)
{
    struct decoder d; /* 64 KiB of labels are left as they are */
    d.sink = sink;
    d.err = err;
    d.arena = NULL;
    bool ok = decode(&d, body);
    arena_free(d.arena);
    return ok;
}

static int64_t seconds_of(int64_t time_ns)
{
    return time_ns / NS_PER_SECOND - (time_ns % NS_PER_SECOND < 0);
}

/* What seconds_of leaves: 0 to 999,999,999. */
static uint64_t nanos_of(int64_t time_ns)
{
    return (uint64_t)time_ns - (uint64_t)seconds_of(time_ns) * (uint64_t)NS_PER_SECOND;
}

static size_t time_size(int64_t time_ns)
{
    return proto_varint_field_size(TIME_SECONDS, (uint64_t)seconds_of(time_ns)) +
           proto_varint_field_size(TIME_NANOS, nanos_of(time_ns));
}

static size_t pair_size(const struct label *pair)
{
    return proto_bytes_size(PAIR_NAME, pair->name.size) +
           proto_bytes_size(PAIR_VALUE, pair->value.size);
}

static size_t entry_size(const struct loki_entry *entry)
{
    size_t size = proto_bytes_size(ENTRY_TIME, time_size(entry->time_ns)) +
                  proto_bytes_size(ENTRY_LINE, entry->line.size);
    for (size_t i = 0; i < entry->metadata.count; i++)
        size += proto_bytes_size(ENTRY_METADATA, pair_size(&entry->metadata.items[i]));
    return size;
}

static void append_entry(struct buffer *out, const struct loki_entry *entry)
{
    proto_put_header(out, STREAM_ENTRY, entry_size(entry));
    proto_put_header(out, ENTRY_TIME, time_size(entry->time_ns));
    proto_put_varint(out, TIME_SECONDS, (uint64_t)seconds_of(entry->time_ns));
    proto_put_varint(out, TIME_NANOS, nanos_of(entry->time_ns));
    proto_put_bytes(out, ENTRY_LINE, entry->line);
    for (size_t i = 0; i < entry->metadata.count; i++) {
        const struct label *pair = &entry->metadata.items[i];
        proto_put_header(out, ENTRY_METADATA, pair_size(pair));
        proto_put_bytes(out, PAIR_NAME, pair->name);
        proto_put_bytes(out, PAIR_VALUE, pair->value);
    }
}

void loki_push_append_stream(struct buffer *out, struct slice labels,
                             const struct loki_entry *entries, size_t count)
{
    size_t size = proto_bytes_size(STREAM_LABELS, labels.size);
    for (size_t i = 0; i < count; i++)
        size += proto_bytes_size(STREAM_ENTRY, entry_size(&entries[i]));
    proto_put_header(out, REQUEST_STREAM, size);
    proto_put_bytes(out, STREAM_LABELS, labels);
    for (size_t i = 0; i < count; i++)
        append_entry(out, &entries[i]);
}
