/* template_text.c - transformations of texts (see template_text.h). */
#include "base/template_text.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/json_reader.h"
#include "base/number.h"
#include "base/template_tree.h"
#include "base/utf8.h"

/* ---- letters ----------------------------------------------------------------- */

static bool in(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

static uint32_t upper_of(uint32_t c)
{
    if (in(c, 'a', 'z') || (in(c, 0xE0, 0xFE) && c != 0xF7) || in(c, 0x3B1, 0x3C1) ||
        in(c, 0x3C3, 0x3CB) || in(c, 0x430, 0x44F))
        return c - 32;
    if (in(c, 0x450, 0x45F))
        return c - 80;
    bool even_pairs = in(c, 0x100, 0x137) || in(c, 0x14A, 0x177) || in(c, 0x460, 0x481);
    bool odd_pairs = in(c, 0x139, 0x148) || in(c, 0x179, 0x17E);
    if ((even_pairs && c % 2 == 1) || (odd_pairs && c % 2 == 0))
        return c - 1;
    return c == 0xFF ? 0x178 : c == 0x3C2 ? 0x3A3 : c;
}

static uint32_t lower_of(uint32_t c)
{
    if (in(c, 'A', 'Z') || (in(c, 0xC0, 0xDE) && c != 0xD7) || in(c, 0x391, 0x3A1) ||
        in(c, 0x3A3, 0x3AB) || in(c, 0x410, 0x42F))
        return c + 32;
    if (in(c, 0x400, 0x40F))
        return c + 80;
    bool even_pairs = in(c, 0x100, 0x137) || in(c, 0x14A, 0x177) || in(c, 0x460, 0x481);
    bool odd_pairs = in(c, 0x139, 0x148) || in(c, 0x179, 0x17E);
    if ((even_pairs && c % 2 == 0) || (odd_pairs && c % 2 == 1))
        return c + 1;
    return c == 0x178 ? 0xFF : c;
}

static void append_code(struct buffer *b, uint32_t code)
{
    char bytes[UTF8_SIZE_MAX];
    buffer_append(b, bytes, utf8_encode(bytes, code));
}

void text_upper(struct buffer *b, struct slice s)
{
    for (size_t at = 0; at < s.size;)
        append_code(b, upper_of(utf8_next(s, &at, NULL)));
}

void text_lower(struct buffer *b, struct slice s)
{
    for (size_t at = 0; at < s.size;)
        append_code(b, lower_of(utf8_next(s, &at, NULL)));
}

static bool separates(uint32_t c)
{
    bool word = in(c, 'a', 'z') || in(c, 'A', 'Z') || in(c, '0', '9') || c == '_' || c == '\'';
    return c < 0x80 && !word ? c != '\'' : false;
}

void text_title(struct buffer *b, struct slice s)
{
    bool start = true;
    for (size_t at = 0; at < s.size;) {
        uint32_t c = utf8_next(s, &at, NULL);
        uint32_t title = c == 0x1C6 ? 0x1C5 : upper_of(c);
        append_code(b, start ? title : c);
        start = separates(c);
    }
}

/* ---- escapes --------------------------------------------------------------------- */

void text_url_encode(struct buffer *b, struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool plain = in(c, 'a', 'z') || in(c, 'A', 'Z') || in(c, '0', '9') ||
                     (c != '\0' && strchr("-_.~", c));
        if (plain)
            buffer_append_byte(b, (char)c);
        else if (c == ' ')
            buffer_append_byte(b, '+');
        else
            buffer_printf(b, "%%%02X", c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_url_decode(struct buffer *b, struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] != '%') {
            buffer_append_byte(b, s.data[i] == '+' ? ' ' : s.data[i]);
            continue;
        }
        int high = i + 2 < s.size ? hex_digit(s.data[i + 1]) : -1;
        int low = i + 2 < s.size ? hex_digit(s.data[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        buffer_append_byte(b, (char)(high * 16 + low));
        i += 2;
    }
    return true;
}

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64_encode(struct buffer *b, struct slice s)
{
    for (size_t i = 0; i < s.size; i += 3) {
        uint32_t bits = 0;
        size_t count = s.size - i < 3 ? s.size - i : 3;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < count ? (unsigned char)s.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buffer_append_byte(b, k <= count ? base64_letters[bits >> (18 - 6 * k) & 63] : '=');
    }
}

bool text_base64_decode(struct buffer *b, struct slice s, size_t *bad)
{
    uint32_t bits = 0;
    int held = 0;
    size_t end = s.size;
    while (end > 0 && s.data[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++) {
        const char *letter = s.data[i] ? strchr(base64_letters, s.data[i]) : NULL;
        *bad = i;
        if (letter == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(letter - base64_letters);
        held += 6;
        if (held >= 8) {
            held -= 8;
            buffer_append_byte(b, (char)(bits >> held & 255));
        }
    }
    *bad = end;
    return held != 6;
}

void text_html_escape(struct buffer *b, struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        switch (s.data[i]) {
        case '<':
            buffer_append_text(b, "&lt;");
            break;
        case '>':
            buffer_append_text(b, "&gt;");
            break;
        case '&':
            buffer_append_text(b, "&amp;");
            break;
        case '"':
            buffer_append_text(b, "&#34;");
            break;
        case '\'':
            buffer_append_text(b, "&#39;");
            break;
        case '\0':
            buffer_append_text(b, "\xEF\xBF\xBD");
            break;
        default:
            buffer_append_byte(b, s.data[i]);
        }
    }
}

void text_js_escape(struct buffer *b, struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '\\' || c == '\'' || c == '"')
            buffer_printf(b, "\\%c", c);
        else if ((unsigned char)c < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
            buffer_printf(b, "\\u%04X", (unsigned char)c);
        else
            buffer_append_byte(b, c);
    }
}

/* ---- code points -------------------------------------------------------------------- */

size_t text_length(struct slice s)
{
    size_t count = 0;
    for (size_t at = 0; at < s.size; count++)
        utf8_next(s, &at, NULL);
    return count;
}

struct slice text_sub(struct slice s, size_t from, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < from && at < s.size; i++)
        utf8_next(s, &at, NULL);
    size_t start = at;
    for (size_t i = 0; i < count && at < s.size; i++)
        utf8_next(s, &at, NULL);
    return slice_sub(s, start, at - start);
}

/* ---- JSON ------------------------------------------------------------------------------ */

struct member {
    struct slice key;
    struct template_value value;
};

static bool read_value(struct json_reader *r, struct arena *arena, struct template_value *value);

static int compare_members(const void *a, const void *b)
{
    return slice_compare(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static bool give_members(struct member *items, size_t count, bool map, struct arena *arena,
                         struct template_value *value)
{
    value->type = map ? TV_MAP : TV_LIST;
    value->items = arena_calloc(arena, count, sizeof(*value->items));
    value->keys = arena_calloc(arena, count, sizeof(*value->keys));
    if (value->items == NULL || value->keys == NULL)
        return false;
    if (map && count > 1)
        qsort(items, count, sizeof(*items), compare_members);
    for (size_t i = 0; i < count; i++) {
        if (map && value->count > 0 && slice_equal(value->keys[value->count - 1], items[i].key))
            value->count--; /* the later one counts */
        value->keys[value->count] = items[i].key;
        value->items[value->count++] = items[i].value;
    }
    return true;
}

/* The reader limits how deep a document nests. */
static bool read_members(struct json_reader *r, bool map, struct arena *arena,
                         struct template_value *value)
{
    struct ARRAY_BODY(struct member) members = {0};
    bool ok = true;
    for (;;) {
        struct member member = {0};
        enum json_event event = json_next(r);
        if (event == JSON_OBJECT_END || event == JSON_ARRAY_END)
            break;
        ok = event != JSON_ERROR && event != JSON_END;
        if (ok && map)
            ok = json_text(r, arena, &member.key, NULL) && json_next(r) != JSON_ERROR;
        ok = ok && read_value(r, arena, &member.value);
        if (!ok)
            break;
        array_push(&members, member);
    }
    ok = ok && give_members(members.items, members.count, map, arena, value);
    array_done(&members);
    return ok;
}

static bool read_value(struct json_reader *r, struct arena *arena, struct template_value *value)
{
    *value = (struct template_value){0};
    switch (r->event) {
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN:
        return read_members(r, r->event == JSON_OBJECT_BEGIN, arena, value);
    case JSON_STRING:
        value->type = TV_STRING;
        return json_text(r, arena, &value->text, NULL);
    case JSON_NUMBER:
        value->type = TV_FLOAT;
        return slice_parse_double(r->value, false, &value->number);
    case JSON_TRUE:
    case JSON_FALSE:
        value->type = TV_BOOL;
        value->integer = r->event == JSON_TRUE;
        return true;
    case JSON_NULL:
        return true;
    default:
        return false;
    }
}

bool text_from_json(struct slice s, struct arena *arena, struct template_value *value)
{
    struct json_reader r;
    json_reader_init(&r, s, JSON_UTF8_REPLACE);
    json_next(&r);
    return read_value(&r, arena, value) && json_next(&r) == JSON_END;
}
