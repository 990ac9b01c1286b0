/*
 * exposition.c - writing Prometheus' text format 0.0.4 (see exposition.h).
 *
 * HELP text escapes backslash and newline, label values the double quote as well.
 */
#include "wire/exposition.h"

#include "base/buffer.h"
#include "base/number.h"

#include <math.h>

static void append_escaped(struct buffer *out, struct slice text, bool quotes)
{
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c != '\\' && c != '\n' && !(quotes && c == '"'))
            continue;
        buffer_append(out, text.data + from, i - from);
        buffer_append_byte(out, '\\');
        buffer_append_byte(out, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    buffer_append(out, text.data + from, text.size - from);
}

void exposition_family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_append_text(out, "# HELP ");
    buffer_append_text(out, name);
    buffer_append_byte(out, ' ');
    append_escaped(out, slice_from_text(help), false);
    buffer_append_text(out, "\n# TYPE ");
    buffer_append_text(out, name);
    buffer_append_byte(out, ' ');
    buffer_append_text(out, type);
    buffer_append_byte(out, '\n');
}

static void append_number(struct buffer *out, double value)
{
    const double exact = 9007199254740992.0; /* 2^53: every integer up to here is exact */
    if (isnan(value))
        buffer_append_text(out, "NaN");
    else if (isinf(value))
        buffer_append_text(out, value > 0 ? "+Inf" : "-Inf");
    else
        buffer_append_double(out, value, fabs(value) <= exact && value == trunc(value) ? 'f' : 'g');
}

void exposition_value(struct buffer *out, const char *name, const struct label *labels,
                      size_t count, double value)
{
    buffer_append_text(out, name);
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(out, i == 0 ? '{' : ',');
        buffer_append_slice(out, labels[i].name);
        buffer_append_text(out, "=\"");
        append_escaped(out, labels[i].value, true);
        buffer_append_byte(out, '"');
    }
    if (count > 0)
        buffer_append_byte(out, '}');
    buffer_append_byte(out, ' ');
    append_number(out, value);
    buffer_append_byte(out, '\n');
}
