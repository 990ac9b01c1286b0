/*
 * answer.c - see answer.h: labels, points, vectors, matrices, scalars.
 */
#include "server/answer.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/number.h"
#include "query/query.h"

#include <string.h>

static char *put_text(char *at, struct slice s)
{
    *at++ = '"';
    if (s.size > 0)
        at = mempcpy(at, s.data, s.size);
    *at++ = '"';
    return at;
}

/* Labels without anything to escape, which is nearly all of them: no checks but for the room. */
static bool append_plain_labels(struct buffer *out, struct labels labels)
{
    size_t size = 2;
    for (size_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];
        if (!json_is_plain(label->name) || !json_is_plain(label->value))
            return false;
        size += label->name.size + label->value.size + sizeof("\"\":\"\",") - 1;
    }
    char *room = buffer_reserve(out, size), *at = room;
    if (room == NULL)
        return false;
    *at++ = '{';
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0)
            *at++ = ',';
        at = put_text(at, labels.items[i].name);
        *at++ = ':';
        at = put_text(at, labels.items[i].value);
    }
    *at++ = '}';
    buffer_advance(out, (size_t)(at - room));
    return true;
}

void answer_labels(struct buffer *out, struct labels labels)
{
    if (append_plain_labels(out, labels))
        return;
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

enum { SECONDS_MAX = 32 };

static size_t put_digits(char *end, uint64_t value)
{
    size_t size = 0;
    do {
        end[-(ptrdiff_t)++size] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return size;
}

/* At `at`, which has room for SECONDS_MAX bytes; gives the end. */
static char *put_seconds(char *at, int64_t ns, enum answer_style style)
{
    char text[SECONDS_MAX], *end = text + sizeof(text), *from = end;
    int64_t ms = ns / NS_PER_MS - (ns % NS_PER_MS < 0);
    uint64_t size_ms = ms < 0 ? (uint64_t)0 - (uint64_t)ms : (uint64_t)ms;
    unsigned fraction = (unsigned)(size_ms % 1000);
    if (fraction > 0) {
        char digits[4] = {'.', (char)('0' + fraction / 100), (char)('0' + fraction / 10 % 10),
                          (char)('0' + fraction % 10)};
        size_t size = 4;
        while (style == ANSWER_LOKI && digits[size - 1] == '0')
            size--;
        from -= size;
        memcpy(from, digits, size);
    }
    from -= put_digits(from, size_ms / 1000);
    if (ms < 0)
        *--from = '-';
    return mempcpy(at, from, (size_t)(end - from));
}

void answer_seconds(struct buffer *out, int64_t ns, enum answer_style style)
{
    char *room = buffer_reserve(out, SECONDS_MAX);
    if (room)
        buffer_advance(out, (size_t)(put_seconds(room, ns, style) - room));
}

static char number_form(enum answer_style style)
{
    return style == ANSWER_PROMETHEUS ? 'j' : 'f';
}

void answer_point(struct buffer *out, int64_t ns, double value, enum answer_style style)
{
    char *room = buffer_reserve(out, SECONDS_MAX + DOUBLE_TEXT_MAX + 8), *at = room;
    if (room == NULL)
        return;
    *at++ = '[';
    at = put_seconds(at, ns, style);
    *at++ = ',';
    *at++ = '"';
    at += double_format(at, value, number_form(style));
    *at++ = '"';
    *at++ = ']';
    buffer_advance(out, (size_t)(at - room));
}

const char *answer_type_name(const struct query_result *result)
{
    switch (result->type) {
    case RESULT_SCALAR:
        return "scalar";
    case RESULT_STRING:
        return "string";
    case RESULT_VECTOR:
        return "vector";
    case RESULT_MATRIX:
        return "matrix";
    case RESULT_STREAMS:
        return "streams";
    }
    return "";
}

/* The floats of a series, or its histograms, in one list behind `name`; how many. */
static size_t append_points(struct buffer *out, const struct query_series *series, const char *name,
                            bool histograms, enum answer_style style)
{
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++) {
        const struct query_point *point = &series->points[i];
        if ((point->histogram != NULL) != histograms)
            continue;
        buffer_append_text(out, count++ == 0 ? name : ",");
        if (histograms)
            answer_histogram(out, point->time_ns, point->histogram, style);
        else
            answer_point(out, point->time_ns, point->value, style);
    }
    if (count > 0)
        buffer_append_byte(out, ']');
    return count;
}

static void append_series(struct buffer *out, const struct query_series *series, bool matrix,
                          enum answer_style style)
{
    buffer_append_text(out, "{\"metric\":");
    answer_labels(out, series->labels);
    if (matrix) {
        size_t count = append_points(out, series, ",\"values\":[", false, style);
        count += append_points(out, series, ",\"histograms\":[", true, style);
        if (count == 0)
            buffer_append_text(out, ",\"values\":[]");
    } else if (series->count > 0 && series->points->histogram) {
        buffer_append_text(out, ",\"histogram\":");
        answer_histogram(out, series->points->time_ns, series->points->histogram, style);
    } else {
        buffer_append_text(out, ",\"value\":");
        if (series->count > 0)
            answer_point(out, series->points->time_ns, series->points->value, style);
    }
    buffer_append_byte(out, '}');
}

void answer_result(struct buffer *out, const struct query_result *result, size_t series_max,
                   enum answer_style style)
{
    if (result->type == RESULT_SCALAR) {
        answer_point(out, result->scalar.time_ns, result->scalar.value, style);
        return;
    }
    if (result->type == RESULT_STRING) {
        buffer_append_byte(out, '[');
        answer_seconds(out, result->scalar.time_ns, style);
        buffer_append_byte(out, ',');
        json_append_string(out, result->string, false);
        buffer_append_byte(out, ']');
        return;
    }
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < result->series_count && i < series_max; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        append_series(out, &result->series[i], result->type == RESULT_MATRIX, style);
    }
    buffer_append_byte(out, ']');
}

void answer_texts(struct buffer *out, const struct slice *texts, size_t count)
{
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_append_string(out, texts[i], false);
    }
    buffer_append_byte(out, ']');
}
