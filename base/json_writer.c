/* json_writer.c - nesting, commas and escapes (see json_writer.h). */
#include "base/json_writer.h"

#include "base/bytes.h"
#include "base/number.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>

void json_writer_init(struct json_writer *w, struct buffer *out)
{
    *w = (struct json_writer){.out = out};
}

static bool in_object(const struct json_writer *w)
{
    return w->depth > 0 && (w->is_object >> (w->depth - 1) & 1);
}

void json_write_value_begin(struct json_writer *w)
{
    assert(w->after_key || !in_object(w));
    assert(w->depth > 0 || !w->comma); /* one value at the top */
    if (w->comma && !w->after_key)
        buffer_append_byte(w->out, ',');
    w->comma = true;
    w->after_key = false;
}

static void begin(struct json_writer *w, char bracket, bool object)
{
    json_write_value_begin(w);
    assert(w->depth < JSON_WRITER_DEPTH_MAX);
    buffer_append_byte(w->out, bracket);
    uint64_t bit = UINT64_C(1) << w->depth;
    w->is_object = object ? w->is_object | bit : w->is_object & ~bit;
    w->depth++;
    w->comma = false;
}

static void end(struct json_writer *w, char bracket, bool object)
{
    assert(w->depth > 0 && in_object(w) == object && !w->after_key);
    (void)object;
    buffer_append_byte(w->out, bracket);
    w->depth--;
    w->comma = true;
}

void json_write_object_begin(struct json_writer *w)
{
    begin(w, '{', true);
}

void json_write_object_end(struct json_writer *w)
{
    end(w, '}', true);
}

void json_write_array_begin(struct json_writer *w)
{
    begin(w, '[', false);
}

void json_write_array_end(struct json_writer *w)
{
    end(w, ']', false);
}

void json_write_key(struct json_writer *w, struct slice key)
{
    assert(in_object(w) && !w->after_key);
    if (w->comma)
        buffer_append_byte(w->out, ',');
    json_append_string(w->out, key, false);
    buffer_append_byte(w->out, ':');
    w->after_key = true;
}

void json_write_string(struct json_writer *w, struct slice value)
{
    json_write_value_begin(w);
    json_append_string(w->out, value, false);
}

void json_write_i64(struct json_writer *w, int64_t value)
{
    json_write_value_begin(w);
    buffer_append_i64(w->out, value);
}

void json_write_u64(struct json_writer *w, uint64_t value)
{
    json_write_value_begin(w);
    buffer_append_u64(w->out, value);
}

void json_write_bool(struct json_writer *w, bool value)
{
    json_write_raw(w, value ? SLICE("true") : SLICE("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, SLICE("null"));
}

void json_write_double(struct json_writer *w, double value, char form, bool quoted)
{
    if (!quoted && !isfinite(value)) {
        json_write_null(w);
        return;
    }
    json_write_value_begin(w);
    char *room = buffer_reserve(w->out, DOUBLE_TEXT_MAX + 2);
    if (room == NULL)
        return;
    size_t size = 0;
    if (quoted)
        room[size++] = '"';
    size += double_format(room + size, value, form);
    if (quoted)
        room[size++] = '"';
    buffer_advance(w->out, size);
}

void json_write_raw(struct json_writer *w, struct slice json)
{
    json_write_value_begin(w);
    buffer_append_slice(w->out, json);
}

#define ALL_BYTES(b) (UINT64_C(0x0101010101010101) * (b))

/* Is one of eight bytes a quote, a backslash, below 0x20 or above 0x7f? */
static bool needs_care(uint64_t word)
{
    uint64_t quote = word ^ ALL_BYTES('"');
    uint64_t backslash = word ^ ALL_BYTES('\\');
    return ((word | ((quote - ALL_BYTES(1)) & ~quote) | ((backslash - ALL_BYTES(1)) & ~backslash) |
             ((word - ALL_BYTES(0x20)) & ~word)) &
            ALL_BYTES(0x80)) != 0;
}

static void append_code(struct buffer *out, uint32_t c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15]};
    buffer_append(out, text, sizeof(text));
}

static void append_special(struct buffer *out, uint32_t c)
{
    switch (c) {
    case '"':
        buffer_append(out, "\\\"", 2);
        break;
    case '\\':
        buffer_append(out, "\\\\", 2);
        break;
    case '\n':
        buffer_append(out, "\\n", 2);
        break;
    case '\r':
        buffer_append(out, "\\r", 2);
        break;
    case '\t':
        buffer_append(out, "\\t", 2);
        break;
    default:
        append_code(out, c);
    }
}

static bool is_special(uint32_t c, bool html)
{
    if (c < 0x20 || c == '"' || c == '\\')
        return true;
    return html && (c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029);
}

bool json_is_plain(struct slice s)
{
    size_t at = 0;
    if (s.size >= 8) {
        for (; at + 8 <= s.size; at += 8) {
            if (needs_care(bytes_get64(s.data + at)))
                return false;
        }
        return at == s.size || !needs_care(bytes_get64(s.data + s.size - 8));
    }
    for (; at < s.size; at++) {
        unsigned char c = (unsigned char)s.data[at];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            return false;
    }
    return true;
}

void json_append_string(struct buffer *out, struct slice s, bool html)
{
    buffer_append_byte(out, '"');
    size_t plain = 0; /* everything from here to `at` is copied as it is */
    size_t at = 0;
    while (at < s.size) {
        if (!html && s.size - at >= 8 && !needs_care(bytes_get64(s.data + at))) {
            at += 8;
            continue;
        }
        size_t start = at;
        bool valid = true;
        uint32_t c = (unsigned char)s.data[at];
        if (c < 0x80)
            at++;
        else
            c = utf8_next(s, &at, &valid);
        if (valid && !is_special(c, html))
            continue;
        buffer_append(out, s.data + plain, start - plain);
        append_special(out, c);
        plain = at;
    }
    if (plain < s.size)
        buffer_append(out, s.data + plain, s.size - plain);
    buffer_append_byte(out, '"');
}
