/*
 * import_json.c - see import_json.h.
 *
 * All arrays of a line are read first, into the arena; then its kind is clear and
 * the sink gets what it holds.
 */
#include "wire/import_json.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/json_reader.h"
#include "base/number.h"
#include "wire/import_sink.h"

#include <math.h>

enum { DEPTH_MAX = 8 };

struct doubles {
    double *items;
    size_t count, capacity;
};
struct times {
    int64_t *items;
    size_t count, capacity;
};
struct pairs {
    struct label *items;
    size_t count, capacity;
};
struct histograms {
    struct histogram *items;
    size_t count, capacity;
};

struct line {
    struct json_reader json;
    struct arena *arena;
    struct error *err;
    struct pairs metric, stream, metadata;
    bool has_metric, has_stream, has_time, has_line;
    struct doubles values;
    struct times timestamps, starts;
    struct histograms histograms;
    int64_t time_ns;
    struct slice text, family, type, help, unit;
};

static bool fail(struct line *l, const char *what)
{
    if (l->json.event == JSON_ERROR)
        return json_fail(&l->json, l->err);
    return error_set_at(l->err, ERR_INVALID, l->json.start, "offset %zu: %s", l->json.start, what);
}

/* Room for one more item in an array of the arena. */
#define GROW(l, array)                                                                             \
    (((array)->items = arena_grow((l)->arena, (array)->items, (array)->count, &(array)->capacity,  \
                                  (array)->count + 1, sizeof(*(array)->items))) != NULL)

static bool no_memory(struct line *l)
{
    return arena_check(l->arena, "a line", l->err);
}

/* ---- values ----------------------------------------------------------------------- */

static bool as_double(struct line *l, double *value)
{
    enum json_event event = l->json.event;
    if (event == JSON_NULL) {
        *value = NAN;
        return true;
    }
    if (event == JSON_STRING && json_is(&l->json, SLICE("StaleNaN"))) {
        *value = double_from_bits(UINT64_C(0x7ff0000000000002));
        return true;
    }
    return ((event == JSON_NUMBER || event == JSON_STRING) &&
            slice_parse_double(l->json.value, false, value)) ||
           fail(l, "expected a number");
}

static bool as_integer(struct line *l, int64_t *value)
{
    enum json_event event = l->json.event;
    double real = 0;
    if ((event == JSON_NUMBER || event == JSON_STRING) && slice_parse_i64(l->json.value, value))
        return true;
    if (event != JSON_NUMBER || !slice_parse_double(l->json.value, false, &real) ||
        !(fabs(real) < 9e18))
        return fail(l, "expected a whole number");
    *value = (int64_t)real;
    return true;
}

static bool as_text(struct line *l, struct slice *text)
{
    if (l->json.event != JSON_STRING)
        return fail(l, "expected a text");
    return json_text(&l->json, l->arena, text, l->err);
}

static bool begins(struct line *l, enum json_event event, const char *what)
{
    return json_next(&l->json) == event || fail(l, what);
}

/* Is there another item before the array's end? */
static bool another(struct line *l, bool *more)
{
    enum json_event event = json_next(&l->json);
    *more = event != JSON_ARRAY_END;
    return event != JSON_ERROR || fail(l, "");
}

static bool read_doubles(struct line *l, struct doubles *out)
{
    bool more;
    if (!begins(l, JSON_ARRAY_BEGIN, "expected an array"))
        return false;
    while (another(l, &more)) {
        if (!more)
            return true;
        if (!GROW(l, out))
            return no_memory(l);
        if (!as_double(l, &out->items[out->count]))
            return false;
        out->count++;
    }
    return false;
}

static bool read_times(struct line *l, struct times *out)
{
    bool more;
    if (!begins(l, JSON_ARRAY_BEGIN, "expected an array"))
        return false;
    while (another(l, &more)) {
        if (!more)
            return true;
        if (!GROW(l, out))
            return no_memory(l);
        if (!as_integer(l, &out->items[out->count]))
            return false;
        out->count++;
    }
    return false;
}

static bool read_pairs(struct line *l, struct pairs *out)
{
    if (!begins(l, JSON_OBJECT_BEGIN, "expected an object"))
        return false;
    while (json_next(&l->json) == JSON_KEY) {
        struct label pair;
        if (!json_text(&l->json, l->arena, &pair.name, l->err))
            return false;
        json_next(&l->json);
        if (!as_text(l, &pair.value))
            return false;
        if (out->count == INGEST_LABELS_MAX)
            return fail(l, "too many labels");
        if (!GROW(l, out))
            return no_memory(l);
        out->items[out->count++] = pair;
    }
    return l->json.event == JSON_OBJECT_END || fail(l, "expected a label");
}

/* ---- histograms -------------------------------------------------------------------- */

static bool read_spans(struct line *l, struct histogram_side *side)
{
    struct times flat = {0}; /* offset, length, offset, length... */
    if (!read_times(l, &flat))
        return false;
    if (flat.count % 2 != 0 || flat.count / 2 > HISTOGRAM_BUCKETS_MAX)
        return fail(l, "expected pairs of offset and length");
    size_t count = flat.count / 2;
    struct histogram_span *spans = arena_calloc(l->arena, count + 1, sizeof(*spans));
    if (spans == NULL)
        return no_memory(l);
    for (size_t i = 0; i < count; i++) {
        int64_t offset = flat.items[2 * i], length = flat.items[2 * i + 1];
        if (offset < INT32_MIN || offset > INT32_MAX || length < 0 || length > UINT32_MAX)
            return fail(l, "a span out of range");
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
    }
    side->spans = spans;
    side->span_count = count;
    return true;
}

static bool read_buckets(struct line *l, const double **items, size_t *count)
{
    struct doubles out = {0};
    if (!read_doubles(l, &out))
        return false;
    *items = out.items;
    *count = out.count;
    return true;
}

static bool read_hint(struct line *l, enum counter_reset_hint *hint)
{
    json_next(&l->json);
    if (json_is(&l->json, SLICE("reset")))
        *hint = HISTOGRAM_RESET;
    else if (json_is(&l->json, SLICE("not_reset")))
        *hint = HISTOGRAM_NOT_RESET;
    else if (json_is(&l->json, SLICE("gauge")))
        *hint = HISTOGRAM_GAUGE;
    else
        return fail(l, "expected reset, not_reset or gauge");
    return true;
}

static bool read_number(struct line *l, double *value)
{
    json_next(&l->json);
    return as_double(l, value);
}

static bool read_field(struct line *l, struct histogram *h)
{
    struct json_reader *json = &l->json;
    int64_t schema;
    if (json_is(json, SLICE("count")))
        return read_number(l, &h->count);
    if (json_is(json, SLICE("sum")))
        return read_number(l, &h->sum);
    if (json_is(json, SLICE("zero_threshold")))
        return read_number(l, &h->zero_threshold);
    if (json_is(json, SLICE("zero_count")))
        return read_number(l, &h->zero_count);
    if (json_is(json, SLICE("positive_spans")))
        return read_spans(l, &h->positive);
    if (json_is(json, SLICE("negative_spans")))
        return read_spans(l, &h->negative);
    if (json_is(json, SLICE("positive_buckets")))
        return read_buckets(l, &h->positive.buckets, &h->positive.bucket_count);
    if (json_is(json, SLICE("negative_buckets")))
        return read_buckets(l, &h->negative.buckets, &h->negative.bucket_count);
    if (json_is(json, SLICE("custom")))
        return read_buckets(l, &h->custom, &h->custom_count);
    if (json_is(json, SLICE("hint")))
        return read_hint(l, &h->hint);
    if (json_is(json, SLICE("integer"))) {
        h->integer = json_next(json) == JSON_TRUE;
        return h->integer || json->event == JSON_FALSE || fail(l, "expected true or false");
    }
    if (!json_is(json, SLICE("schema")))
        return json_skip(json, NULL) || fail(l, "");
    json_next(json);
    if (!as_integer(l, &schema))
        return false;
    h->schema = (int32_t)schema;
    return schema == h->schema || fail(l, "a schema out of range");
}

static bool read_histograms(struct line *l)
{
    bool more;
    if (!begins(l, JSON_ARRAY_BEGIN, "expected an array"))
        return false;
    while (another(l, &more)) {
        struct histogram h = {0};
        if (!more)
            return true;
        if (l->json.event != JSON_OBJECT_BEGIN)
            return fail(l, "expected a histogram");
        while (json_next(&l->json) == JSON_KEY)
            if (!read_field(l, &h))
                return false;
        if (l->json.event != JSON_OBJECT_END)
            return fail(l, "expected the end of a histogram");
        if (!GROW(l, &l->histograms))
            return no_memory(l);
        l->histograms.items[l->histograms.count++] = h;
    }
    return false;
}

/* ---- text that is no UTF-8 ------------------------------------------------------------ */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_hex(struct line *l)
{
    struct slice hex;
    json_next(&l->json);
    if (!as_text(l, &hex))
        return false;
    char *bytes = arena_alloc(l->arena, hex.size / 2 + 1);
    if (bytes == NULL)
        return no_memory(l);
    for (size_t i = 0; i < hex.size / 2; i++) {
        int high = digit_of(hex.data[2 * i]), low = digit_of(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return fail(l, "expected hexadecimal digits");
        bytes[i] = (char)(high * 16 + low);
    }
    l->text = slice_of(bytes, hex.size / 2);
    l->has_line = hex.size % 2 == 0;
    return l->has_line || fail(l, "an odd number of hexadecimal digits");
}

/* ---- the line --------------------------------------------------------------------------- */

static bool read_text(struct line *l, struct slice *text)
{
    json_next(&l->json);
    return as_text(l, text);
}

static bool read_key(struct line *l)
{
    struct json_reader *json = &l->json;
    if (json_is(json, SLICE("metric")))
        return l->has_metric = true, read_pairs(l, &l->metric);
    if (json_is(json, SLICE("values")))
        return read_doubles(l, &l->values);
    if (json_is(json, SLICE("timestamps")))
        return read_times(l, &l->timestamps);
    if (json_is(json, SLICE("starts")))
        return read_times(l, &l->starts);
    if (json_is(json, SLICE("histograms")))
        return read_histograms(l);
    if (json_is(json, SLICE("stream")))
        return l->has_stream = true, read_pairs(l, &l->stream);
    if (json_is(json, SLICE("metadata")))
        return read_pairs(l, &l->metadata);
    if (json_is(json, SLICE("line")))
        return l->has_line = true, read_text(l, &l->text);
    if (json_is(json, SLICE("line_hex")))
        return read_hex(l);
    if (json_is(json, SLICE("family")))
        return read_text(l, &l->family);
    if (json_is(json, SLICE("type")))
        return read_text(l, &l->type);
    if (json_is(json, SLICE("help")))
        return read_text(l, &l->help);
    if (json_is(json, SLICE("unit")))
        return read_text(l, &l->unit);
    if (!json_is(json, SLICE("timestamp")))
        return json_skip(json, NULL) || fail(l, "");
    json_next(json);
    l->has_time = true;
    return as_integer(l, &l->time_ns);
}

static int64_t start_of(const struct line *l, size_t i)
{
    return i < l->starts.count ? l->starts.items[i] : 0;
}

static bool give_samples(struct line *l, const struct import_sink *sink)
{
    size_t count = l->timestamps.count;
    if (l->values.count + l->histograms.count != count ||
        (l->values.count > 0 && l->histograms.count > 0))
        return fail(l, "not as many values as timestamps");
    if (l->starts.count > 0 && l->starts.count != count)
        return fail(l, "not as many starts as timestamps");
    int64_t series = sink->series(sink->context, l->metric.items, l->metric.count);
    if (series < 0)
        return series == INGEST_SKIP;
    for (size_t i = 0; i < count; i++) {
        int64_t time = l->timestamps.items[i], start = start_of(l, i);
        bool ok = l->values.count > 0 ? sink->sample(sink->context, (uint32_t)series, time, start,
                                                     l->values.items[i])
                                      : sink->histogram(sink->context, (uint32_t)series, time,
                                                        start, &l->histograms.items[i]);
        if (!ok)
            return false;
    }
    return true;
}

static bool give_entry(struct line *l, const struct import_sink *sink)
{
    if (!l->has_time || !l->has_line)
        return fail(l, "an entry needs a timestamp and a line");
    int64_t series = sink->series(sink->context, l->stream.items, l->stream.count);
    if (series < 0)
        return series == INGEST_SKIP;
    return sink->entry(sink->context, (uint32_t)series, l->time_ns, l->text, l->metadata.items,
                       l->metadata.count);
}

bool import_json_line(struct slice text, struct arena *arena, const struct import_sink *sink,
                      struct error *err)
{
    struct line l = {.arena = arena, .err = err};
    arena_reset(arena);
    json_reader_init(&l.json, text, JSON_UTF8_KEEP);
    l.json.depth_max = DEPTH_MAX;
    if (!begins(&l, JSON_OBJECT_BEGIN, "expected an object"))
        return false;
    while (json_next(&l.json) == JSON_KEY)
        if (!read_key(&l))
            return false;
    if (l.json.event != JSON_OBJECT_END || json_next(&l.json) != JSON_END)
        return fail(&l, "expected the line's end");
    if (l.has_metric && sink->sample)
        return give_samples(&l, sink);
    if (l.has_stream && sink->entry)
        return give_entry(&l, sink);
    if (l.family.size > 0 && sink->metadata)
        return sink->metadata(sink->context, l.family, l.type, l.help, l.unit);
    return fail(&l, sink->entry ? "no line of a log stream: \"stream\" is missing"
                                : "no line of a metric: \"metric\" is missing");
}
