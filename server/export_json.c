/* export_json.c - see export_json.h. */
#include "server/export_json.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/histogram.h"
#include "base/json_writer.h"
#include "base/number.h"
#include "base/utf8.h"
#include "storage/store.h"

#include <math.h>

bool export_is_stale(double value)
{
    return double_bits(value) == UINT64_C(0x7ff0000000000002);
}

void export_value(struct buffer *out, double value)
{
    if (isfinite(value)) {
        buffer_append_double(out, value, 'g');
    } else if (export_is_stale(value)) {
        buffer_append_text(out, "\"StaleNaN\"");
    } else {
        buffer_append_byte(out, '"');
        buffer_append_double(out, value, 'g');
        buffer_append_byte(out, '"');
    }
}

static void append_number(struct buffer *out, const char *key, double value)
{
    if (double_bits(value) == 0)
        return;
    buffer_printf(out, ",\"%s\":", key);
    export_value(out, value);
}

static void append_numbers(struct buffer *out, const char *key, const double *values, size_t count)
{
    if (count == 0)
        return;
    buffer_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        export_value(out, values[i]);
    }
    buffer_append_byte(out, ']');
}

/* Spans as offset, length, offset, length... */
static void append_side(struct buffer *out, const char *name, const struct histogram_side *side)
{
    char key[32];
    if (side->span_count > 0) {
        buffer_printf(out, ",\"%s_spans\":[", name);
        for (size_t i = 0; i < side->span_count; i++)
            buffer_printf(out, "%s%d,%u", i > 0 ? "," : "", side->spans[i].offset,
                          side->spans[i].length);
        buffer_append_byte(out, ']');
    }
    snprintf(key, sizeof(key), "%s_buckets", name);
    append_numbers(out, key, side->buckets, side->bucket_count);
}

void export_histogram(struct buffer *out, const struct histogram *h)
{
    static const char *const hints[] = {
        [HISTOGRAM_RESET] = "reset",
        [HISTOGRAM_NOT_RESET] = "not_reset",
        [HISTOGRAM_GAUGE] = "gauge",
    };
    buffer_printf(out, "{\"schema\":%d", h->schema);
    append_number(out, "count", h->count);
    append_number(out, "sum", h->sum);
    append_number(out, "zero_threshold", h->zero_threshold);
    append_number(out, "zero_count", h->zero_count);
    append_side(out, "positive", &h->positive);
    append_side(out, "negative", &h->negative);
    append_numbers(out, "custom", h->custom, h->custom_count);
    if (h->integer)
        buffer_append_text(out, ",\"integer\":true");
    if (h->hint != HISTOGRAM_RESET_UNKNOWN)
        buffer_printf(out, ",\"hint\":\"%s\"", hints[h->hint]);
    buffer_append_byte(out, '}');
}

void export_line(struct buffer *out, struct slice line)
{
    if (utf8_is_valid(line)) {
        buffer_append_text(out, "\",\"line\":");
        json_append_string(out, line, false);
        return;
    }
    buffer_append_text(out, "\",\"line_hex\":\"");
    for (size_t i = 0; i < line.size; i++)
        buffer_printf(out, "%02x", (uint8_t)line.data[i]);
    buffer_append_byte(out, '"');
}

static void append_text(struct buffer *out, const char *key, struct slice text)
{
    if (text.size == 0)
        return;
    buffer_printf(out, ",\"%s\":", key);
    json_append_string(out, text, false);
}

void export_metadata(struct buffer *out, const struct metric_metadata *item)
{
    buffer_append_text(out, "{\"family\":");
    json_append_string(out, item->family, false);
    append_text(out, "type", item->type);
    append_text(out, "help", item->help);
    append_text(out, "unit", item->unit);
    buffer_append_text(out, "}\n");
}
