/* export.c - one cursor, series by series (see export.h). */
#include "server/export.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/matcher.h"
#include "base/number.h"
#include "query/query.h"
#include "server/export_json.h"

#include <errno.h>
#include <math.h>

enum {
    PIECE_SIZE = 1 << 20,      /* written when the text has grown to this */
    TEXT_SIZE_MAX = 256 << 20, /* one line of a log may be large */
    VALUES_OF_A_LINE = 10000,  /* of JSON */
    HISTOGRAMS_OF_A_LINE = 100,
    SELECTOR_MEMORY_MAX = 16 << 20
};

static const size_t cursor_memory_max = (size_t)4 << 30;

struct writer {
    FILE *out;
    struct buffer text;
    struct export_report *report;
    ARRAY(int64_t) times, starts; /* of a series with histograms: some of its samples */
    ARRAY(double) values;
    ARRAY(const struct histogram *) histograms;
};

static bool flush(struct writer *w, size_t threshold, struct error *err)
{
    if (!buffer_check(&w->text, "export", err))
        return false;
    if (w->text.size < threshold || w->text.size == 0)
        return true;
    if (fwrite(w->text.data, 1, w->text.size, w->out) != w->text.size)
        return error_set(err, ERR_IO, "writing: %s", strerror(errno));
    buffer_clear(&w->text);
    return true;
}

/* ---- OpenMetrics ----------------------------------------------------------------- */

static void append_escaped(struct buffer *out, struct slice s)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '\\' || c == '"' || c == '\n')
            buffer_append_byte(out, '\\');
        buffer_append_byte(out, c == '\n' ? 'n' : c);
    }
    buffer_append_byte(out, '"');
}

/* name{a="b"}; names that are not classic are quoted, as since Prometheus 3. */
static bool append_series(struct buffer *out, struct labels labels)
{
    struct slice name = labels_get(labels, LABEL_NAME_METRIC);
    bool classic = metric_name_is_classic(name), any = !classic;
    if (name.size == 0)
        return false;
    if (classic)
        buffer_append_slice(out, name);
    buffer_append_byte(out, '{');
    if (!classic)
        append_escaped(out, name);
    for (size_t i = 0; i < labels.count; i++) {
        if (slice_equal(labels.items[i].name, LABEL_NAME_METRIC))
            continue;
        if (any)
            buffer_append_byte(out, ',');
        any = true;
        if (label_name_is_classic(labels.items[i].name))
            buffer_append_slice(out, labels.items[i].name);
        else
            append_escaped(out, labels.items[i].name);
        buffer_append_byte(out, '=');
        append_escaped(out, labels.items[i].value);
    }
    buffer_append_byte(out, '}');
    return true;
}

/*
 * Seconds.  Prometheus cuts off what is left behind the milliseconds after
 * multiplying in floating point; where that would give the millisecond
 * before, a tenth of a microsecond is added.
 */
static void append_seconds(struct buffer *out, int64_t time_ns)
{
    char text[48];
    double seconds = 0;
    int64_t ms = time_ns / NS_PER_MS;
    int64_t whole = ms / 1000, rest = ms % 1000;
    int n = snprintf(text, sizeof(text), "%s%lld.%03lld", ms < 0 && whole == 0 ? "-" : "",
                     (long long)whole, (long long)(rest < 0 ? -rest : rest));
    buffer_append(out, text, (size_t)n);
    if (slice_parse_double(slice_of(text, (size_t)n), false, &seconds) &&
        (int64_t)(seconds * 1000) != ms)
        buffer_append_text(out, "0001");
}

static bool write_openmetrics(struct writer *w, struct labels labels,
                              const struct sample_column *samples, struct error *err)
{
    AUTO(buffer_done) struct buffer series;
    buffer_init(&series, TEXT_SIZE_MAX);
    if (!append_series(&series, labels)) {
        w->report->left_out += samples->count;
        return true;
    }
    for (size_t i = 0; i < samples->count; i++) {
        if (export_is_stale(samples->values[i])) {
            w->report->left_out++;
            continue;
        }
        buffer_append_slice(&w->text, buffer_slice(&series));
        buffer_append_byte(&w->text, ' ');
        buffer_append_double(&w->text, samples->values[i], 'g');
        buffer_append_byte(&w->text, ' ');
        append_seconds(&w->text, samples->times_ns[i]);
        buffer_append_byte(&w->text, '\n');
        w->report->values++;
        if (!flush(w, PIECE_SIZE, err))
            return false;
    }
    return buffer_check(&series, "labels", err);
}

/* ---- JSON ------------------------------------------------------------------------ */

static void append_labels(struct buffer *out, struct labels labels)
{
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_append_string(out, labels.items[i].name, false);
        buffer_append_byte(out, ':');
        json_append_string(out, labels.items[i].value, false);
    }
    buffer_append_byte(out, '}');
}

static bool any_time(const int64_t *times_ns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (times_ns[i] != 0)
            return true;
    return false;
}

static void append_times(struct buffer *out, const char *key, const int64_t *times_ns, size_t count)
{
    buffer_printf(out, "],\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        buffer_append_i64(out, times_ns[i] / NS_PER_MS);
    }
}

static bool write_samples_json(struct writer *w, struct labels labels,
                               const struct sample_column *samples, struct error *err)
{
    size_t step = samples->histograms ? HISTOGRAMS_OF_A_LINE : VALUES_OF_A_LINE;
    for (size_t from = 0; from < samples->count; from += step) {
        size_t to = samples->count - from > step ? from + step : samples->count;
        buffer_append_text(&w->text, "{\"metric\":");
        append_labels(&w->text, labels);
        buffer_append_text(&w->text, samples->histograms ? ",\"histograms\":[" : ",\"values\":[");
        for (size_t i = from; i < to; i++) {
            if (i > from)
                buffer_append_byte(&w->text, ',');
            if (samples->histograms)
                export_histogram(&w->text, samples->histograms[i]);
            else
                export_value(&w->text, samples->values[i]);
        }
        append_times(&w->text, "timestamps", samples->times_ns + from, to - from);
        if (samples->starts_ns && any_time(samples->starts_ns + from, to - from))
            append_times(&w->text, "starts", samples->starts_ns + from, to - from);
        buffer_append_text(&w->text, "]}\n");
        w->report->values += to - from;
        if (!flush(w, PIECE_SIZE, err))
            return false;
    }
    return true;
}

static bool write_block(struct writer *w, struct slice labels, const struct entry_block *block,
                        struct error *err)
{
    for (size_t i = 0; i < block->count; i++) {
        buffer_append_text(&w->text, "{\"stream\":");
        buffer_append_slice(&w->text, labels);
        buffer_append_text(&w->text, ",\"timestamp\":\"");
        buffer_append_i64(&w->text, block->times_ns[i]);
        export_line(&w->text, block->lines[i]);
        if (block->metadata[i].count > 0) {
            buffer_append_text(&w->text, ",\"metadata\":");
            append_labels(&w->text, block->metadata[i]);
        }
        buffer_append_text(&w->text, "}\n");
        w->report->values++;
        if (!flush(w, PIECE_SIZE, err))
            return false;
    }
    return true;
}

static bool write_entries(struct writer *w, struct cursor_reader *reader, size_t series,
                          struct labels labels, struct error *err)
{
    struct entry_block block;
    AUTO(buffer_done) struct buffer stream;
    buffer_init(&stream, TEXT_SIZE_MAX);
    append_labels(&stream, labels);
    struct entry_stream *entries = entry_stream_open(reader, series, err);
    if (entries == NULL)
        return false;
    bool ok = buffer_check(&stream, "labels", err);
    do
        ok = ok && entry_stream_next(entries, &block, err) &&
             write_block(w, buffer_slice(&stream), &block, err);
    while (ok && block.count > 0);
    entry_stream_close(entries);
    return ok;
}

/* ---- all series -------------------------------------------------------------------- */

/*
 * The floats, or the histograms, of a series that has both.  Histograms have no form in
 * OpenMetrics.
 */
static struct sample_column pick(struct writer *w, const struct sample_column *samples,
                                 bool histograms)
{
    if (samples->histograms == NULL)
        return histograms ? (struct sample_column){.count = 0} : *samples;
    w->times.count = w->values.count = w->starts.count = w->histograms.count = 0;
    for (size_t i = 0; i < samples->count; i++) {
        if ((samples->histograms[i] != NULL) != histograms)
            continue;
        array_push(&w->times, samples->times_ns[i]);
        array_push(&w->values, samples->values[i]);
        array_push(&w->starts, samples->starts_ns ? samples->starts_ns[i] : 0);
        array_push(&w->histograms, samples->histograms[i]);
    }
    return (struct sample_column){.times_ns = w->times.items,
                                  .values = w->values.items,
                                  .starts_ns = samples->starts_ns ? w->starts.items : NULL,
                                  .histograms = histograms ? w->histograms.items : NULL,
                                  .count = w->times.count};
}

static bool write_metric(struct writer *w, const struct export_request *request,
                         struct labels labels, const struct sample_column *samples,
                         struct error *err)
{
    struct sample_column floats = pick(w, samples, false);
    if (request->form == EXPORT_OPENMETRICS) {
        w->report->left_out += samples->count - floats.count;
        return write_openmetrics(w, labels, &floats, err);
    }
    if (!write_samples_json(w, labels, &floats, err))
        return false;
    struct sample_column histograms = pick(w, samples, true);
    return write_samples_json(w, labels, &histograms, err);
}

static bool write_series(struct writer *w, const struct export_request *request,
                         struct cursor_reader *reader, size_t series, struct labels labels,
                         struct error *err)
{
    struct sample_column samples;
    w->report->series++;
    if (request->kind == STORE_LOG)
        return write_entries(w, reader, series, labels, err);
    if (!cursor_read_samples(reader, series, &samples, err))
        return false;
    return write_metric(w, request, labels, &samples, err);
}

/* Types, help and units: only for all series. */
static bool write_metadata(struct store *store, const struct export_request *request,
                           struct writer *w, struct error *err)
{
    struct metric_metadata *items;
    size_t count;
    AUTO(arena_drop) struct arena *arena = arena_new(SELECTOR_MEMORY_MAX * 4);
    if (request->kind == STORE_LOG || request->form != EXPORT_JSON || request->selector.size > 0)
        return true;
    if (!store_metadata(store, request->tenant, SLICE(""), arena, &items, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        export_metadata(&w->text, &items[i]);
        if (!flush(w, PIECE_SIZE, err))
            return false;
    }
    return true;
}

static bool write_cursor(struct store *store, const struct export_request *request,
                         const struct matcher *matchers, size_t count, struct writer *w,
                         struct error *err)
{
    struct cursor_request wanted = {
        .tenant = request->tenant,
        .kind = request->kind,
        .matchers = matchers,
        .matcher_count = count,
        .start_ns = request->start_ns,
        .end_ns = request->end_ns,
        .projection = request->kind == STORE_LOG ? CURSOR_TIMES | CURSOR_LINES | CURSOR_METADATA
                                                 : CURSOR_TIMES | CURSOR_VALUES,
        .memory_max = cursor_memory_max,
    };
    struct cursor *cursor = cursor_open(store, &wanted, err);
    if (cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++)
        ok = write_series(w, request, reader, i, cursor_labels(cursor, i), err);
    cursor_reader_free(reader);
    cursor_close(cursor);
    if (request->kind == STORE_METRIC && request->form == EXPORT_OPENMETRICS)
        buffer_append_text(&w->text, "# EOF\n");
    return ok && flush(w, 0, err) &&
           (fflush(w->out) == 0 || error_set(err, ERR_IO, "writing: %s", strerror(errno)));
}

bool export_write(struct store *store, const struct export_request *request, FILE *out,
                  struct export_report *report, struct error *err)
{
    struct matcher *matchers = NULL;
    size_t count = 0;
    AUTO(arena_drop) struct arena *arena = arena_new(SELECTOR_MEMORY_MAX);
    enum query_language language = request->kind == STORE_LOG ? QUERY_LOGQL : QUERY_PROMQL;
    *report = (struct export_report){0};
    if (request->selector.size > 0 &&
        !query_parse_selector(language, request->selector, &matchers, &count, arena, err))
        return false;
    struct writer w = {.out = out, .report = report};
    buffer_init(&w.text, TEXT_SIZE_MAX);
    bool ok = write_metadata(store, request, &w, err) &&
              write_cursor(store, request, matchers, count, &w, err);
    buffer_done(&w.text);
    array_done(&w.times);
    array_done(&w.starts);
    array_done(&w.values);
    array_done(&w.histograms);
    query_selector_free(matchers, count);
    return ok;
}
