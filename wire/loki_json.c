/*
 * loki_json.c - Loki's push request as JSON, event by event (see loki_json.h).
 *
 * Keys that we do not know are skipped, as Loki does.  "values" before "stream"
 * are skipped at first and read again when the labels are known.  Bytes of a
 * line that are no UTF-8 stay as they are; in a label the sink refuses them.
 */
#include "wire/loki_json.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/number.h"
#include "wire/ingest.h"
#include "wire/loki_push.h"

/* The arena rounds each text up: the spare bytes are for that, for all pairs of one object. */
enum { DEPTH_MAX = 64, ARENA_SPARE = 2 * 16 * LOKI_METADATA_MAX + 4096 };
_Static_assert((int)LOKI_METADATA_MAX >= (int)INGEST_LABELS_MAX, "labels use the same spare bytes");

struct decoder {
    const struct log_sink *sink;
    struct error *err;
    struct slice body;
    struct arena *arena; /* texts with escapes: of one stream's labels, then of one entry */
    struct json_reader reader;
    struct label labels[INGEST_LABELS_MAX];
    struct label metadata[LOKI_METADATA_MAX];
};

/* One element of "streams". */
struct stream {
    int64_t series;
    size_t entries;
    bool has_labels, has_values;
    struct slice values; /* data NULL, or values that stood before the labels */
    struct error refusal;
};

/* Every function below returns false when the request is over, with the error set or not. */

static bool fail_at(struct decoder *d, const struct json_reader *r, const char *problem)
{
    size_t offset = (size_t)(r->text.data - d->body.data) + r->start;
    return error_set_at(d->err, ERR_INVALID, offset, "loki push request: %s, at byte %zu", problem,
                        offset);
}

/* The current event is not what it should be: broken JSON or the wrong type. */
static bool unexpected(struct decoder *d, const struct json_reader *r, const char *expected)
{
    return fail_at(d, r, r->event == JSON_ERROR ? r->problem : expected);
}

static bool skip(struct decoder *d, struct json_reader *r, struct slice *raw)
{
    return json_skip(r, raw) || unexpected(d, r, "unexpected end");
}

static bool text_of(struct decoder *d, const struct json_reader *r, struct slice *text)
{
    return json_text(r, d->arena, text, d->err);
}

/* The members of the current object: at most `max` labels are kept, all are counted. */
static bool read_pairs(struct decoder *d, struct json_reader *r, struct label *labels, size_t max,
                       size_t *count)
{
    struct label spare;

    *count = 0;
    while (json_next(r) == JSON_KEY) {
        struct label *label = *count < max ? &labels[*count] : &spare;
        if (label != &spare && !text_of(d, r, &label->name))
            return false;
        if (json_next(r) != JSON_STRING)
            return unexpected(d, r, "the value of a label is no string");
        if (label != &spare && !text_of(d, r, &label->value))
            return false;
        ++*count;
    }
    return r->event == JSON_OBJECT_END || unexpected(d, r, "expected a label");
}

static bool give_entry(struct decoder *d, struct stream *s, int64_t time_ns, struct slice line,
                       size_t metadata_count)
{
    const struct log_sink *sink = d->sink;
    if (s->series < 0)
        return true;
    if (metadata_count <= LOKI_METADATA_MAX)
        return sink->entry(sink->context, (uint32_t)s->series, time_ns, line, d->metadata,
                           metadata_count);
    struct error reason = {0};
    error_set(&reason, ERR_INVALID, "an entry has %zu structured metadata pairs, the limit is %d",
              metadata_count, (int)LOKI_METADATA_MAX);
    if (sink->refused == NULL) {
        if (d->err)
            *d->err = reason;
        return false;
    }
    sink->refused(sink->context, 1, &reason);
    return true;
}

/* ["ns", "line", {metadata}?]; the opening bracket is the current event. */
static bool read_entry(struct decoder *d, struct json_reader *r, struct stream *s)
{
    int64_t time_ns;
    struct slice text, line;
    size_t metadata_count = 0;

    arena_reset(d->arena);
    if (json_next(r) != JSON_STRING)
        return unexpected(d, r, "the time of an entry is no string");
    if (!text_of(d, r, &text))
        return false;
    if (!slice_parse_i64(text, &time_ns))
        return fail_at(d, r, "the time of an entry is no whole number of nanoseconds");
    if (json_next(r) != JSON_STRING)
        return unexpected(d, r, "the line of an entry is no string");
    if (!text_of(d, r, &line))
        return false;
    if (json_next(r) == JSON_OBJECT_BEGIN) {
        if (!read_pairs(d, r, d->metadata, LOKI_METADATA_MAX, &metadata_count))
            return false;
        json_next(r);
    } else if (r->event != JSON_ARRAY_END) {
        return unexpected(d, r, "the structured metadata of an entry is no object");
    }
    for (; r->event != JSON_ARRAY_END; json_next(r)) { /* whatever more there is */
        if (r->event == JSON_ERROR || !json_skip(r, NULL))
            return unexpected(d, r, "expected the end of an entry");
    }
    s->entries++;
    return give_entry(d, s, time_ns, line, metadata_count);
}

/* The value of "values"; `r` stands before it. */
static bool read_values(struct decoder *d, struct json_reader *r, struct stream *s)
{
    if (json_next(r) == JSON_NULL)
        return true;
    if (r->event != JSON_ARRAY_BEGIN)
        return unexpected(d, r, "\"values\" is no array");
    while (json_next(r) == JSON_ARRAY_BEGIN) {
        if (!read_entry(d, r, s))
            return false;
    }
    return r->event == JSON_ARRAY_END || unexpected(d, r, "an entry of \"values\" is no array");
}

static bool read_values_again(struct decoder *d, struct stream *s)
{
    struct json_reader again;
    json_reader_init(&again, s->values, JSON_UTF8_KEEP);
    again.depth_max = DEPTH_MAX;
    return read_values(d, &again, s);
}

/* Announce the stream whose labels stand in `d->labels` and `key`. */
static bool define(struct decoder *d, struct stream *s, struct slice key, size_t count)
{
    s->has_labels = true;
    if (count > INGEST_LABELS_MAX) {
        error_set(&s->refusal, ERR_INVALID, "a stream has %zu labels, the limit is %d", count,
                  (int)INGEST_LABELS_MAX);
        s->series = INGEST_SKIP;
        return true;
    }
    s->series = d->sink->define(d->sink->context, key, d->labels, count);
    return s->series != INGEST_STOP;
}

/* The value of "stream". */
static bool read_labels(struct decoder *d, struct json_reader *r, struct stream *s)
{
    struct slice key;
    struct json_reader before = *r;
    size_t count;

    if (s->has_labels)
        return fail_at(d, r, "a second \"stream\"");
    if (!skip(d, r, &key))
        return false;
    s->has_labels = true;
    s->series = d->sink->find(d->sink->context, key);
    if (s->series != INGEST_UNKNOWN)
        return s->series != INGEST_STOP;
    arena_reset(d->arena);
    if (json_next(&before) != JSON_OBJECT_BEGIN)
        return unexpected(d, &before, "\"stream\" is no object");
    return read_pairs(d, &before, d->labels, INGEST_LABELS_MAX, &count) && define(d, s, key, count);
}

static bool read_member(struct decoder *d, struct json_reader *r, struct stream *s)
{
    if (json_is(r, SLICE("stream")))
        return read_labels(d, r, s);
    if (!json_is(r, SLICE("values")))
        return skip(d, r, NULL);
    if (s->has_values)
        return fail_at(d, r, "a second \"values\"");
    s->has_values = true;
    return s->has_labels ? read_values(d, r, s) : skip(d, r, &s->values);
}

/* Tell the sink of a stream that was left out, now that its entries are counted. */
static bool finish_stream(struct decoder *d, struct stream *s)
{
    if (s->refusal.code == ERR_NONE)
        return true;
    if (d->sink->refused == NULL) {
        if (d->err)
            *d->err = s->refusal;
        return false;
    }
    d->sink->refused(d->sink->context, s->entries, &s->refusal);
    return true;
}

static bool read_stream(struct decoder *d, struct json_reader *r)
{
    struct stream s = {.series = INGEST_SKIP};

    while (json_next(r) == JSON_KEY) {
        if (!read_member(d, r, &s))
            return false;
    }
    if (r->event != JSON_OBJECT_END)
        return unexpected(d, r, "expected a member of a stream");
    if (!s.has_labels && !define(d, &s, SLICE("{}"), 0))
        return false;
    if (s.values.data && !read_values_again(d, &s))
        return false;
    return finish_stream(d, &s);
}

static bool read_streams(struct decoder *d, struct json_reader *r)
{
    if (json_next(r) == JSON_NULL)
        return true;
    if (r->event != JSON_ARRAY_BEGIN)
        return unexpected(d, r, "\"streams\" is no array");
    while (json_next(r) == JSON_OBJECT_BEGIN) {
        if (!read_stream(d, r))
            return false;
    }
    return r->event == JSON_ARRAY_END || unexpected(d, r, "a stream is no object");
}

static bool decode(struct decoder *d)
{
    struct json_reader *r = &d->reader;

    json_reader_init(r, d->body, JSON_UTF8_KEEP);
    r->depth_max = DEPTH_MAX;
    if (json_next(r) != JSON_OBJECT_BEGIN)
        return unexpected(d, r, "expected an object with \"streams\"");
    while (json_next(r) == JSON_KEY) {
        bool ok = json_is(r, SLICE("streams")) ? read_streams(d, r) : skip(d, r, NULL);
        if (!ok)
            return false;
    }
    if (r->event != JSON_OBJECT_END || json_next(r) != JSON_END)
        return unexpected(d, r, "expected the end of the request");
    return true;
}

bool loki_json_decode(struct slice body, const struct log_sink *sink, struct error *err)
{
    struct decoder d; /* 64 KiB of labels are left as they are */
    d.sink = sink;
    d.err = err;
    d.body = body.data ? body : SLICE("");
    d.arena = arena_new(body.size + ARENA_SPARE);
    bool ok = decode(&d);
    arena_free(d.arena);
    return ok;
}
