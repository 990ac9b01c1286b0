/*
 * json_reader.c - the pull parser of json_reader.h.
 *
 * The grammar is a small state machine: `expect` says what may come next, one
 * bit per level says whether it is an object.  Strings are scanned eight bytes
 * at a time for the few bytes that matter.  Escapes are checked while scanning,
 * so decoding later cannot find anything wrong.
 */
#include "base/json_reader.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/utf8.h"

enum {
    EXPECT_VALUE,
    EXPECT_FIRST_ELEMENT, /* or the end of the array */
    EXPECT_FIRST_KEY,     /* or the end of the object */
    EXPECT_KEY,
    EXPECT_COMMA, /* or the end */
    EXPECT_NOTHING
};

void json_reader_init(struct json_reader *r, struct slice text, enum json_utf8 utf8)
{
    r->depth_max = JSON_DEPTH_DEFAULT;
    r->control_characters = false;
    r->utf8 = utf8;
    r->event = JSON_END;
    r->value = (struct slice){NULL, 0};
    r->start = 0;
    r->depth = 0;
    r->problem = NULL;
    r->text = text;
    r->at = 0;
    r->expect = EXPECT_VALUE;
    r->escaped = false;
    r->non_ascii = false;
}

static enum json_event fail(struct json_reader *r, size_t at, const char *problem)
{
    r->start = at;
    r->problem = problem;
    r->event = JSON_ERROR;
    return JSON_ERROR;
}

static bool in_object(const struct json_reader *r)
{
    uint32_t level = r->depth - 1;
    return r->is_object[level / 64] >> (level % 64) & 1;
}

/* After a complete value. */
static void value_done(struct json_reader *r)
{
    r->expect = r->depth > 0 ? EXPECT_COMMA : EXPECT_NOTHING;
}

static enum json_event begin(struct json_reader *r, bool object)
{
    if (r->depth >= r->depth_max || r->depth >= JSON_DEPTH_MAX)
        return fail(r, r->at, "nested too deep");
    uint64_t bit = UINT64_C(1) << (r->depth % 64);
    if (object)
        r->is_object[r->depth / 64] |= bit;
    else
        r->is_object[r->depth / 64] &= ~bit;
    r->depth++;
    r->at++;
    r->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
    r->event = object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    return r->event;
}

static enum json_event end(struct json_reader *r)
{
    r->event = in_object(r) ? JSON_OBJECT_END : JSON_ARRAY_END;
    r->depth--;
    r->at++;
    value_done(r);
    return r->event;
}

#define ALL_BYTES(b) (UINT64_C(0x0101010101010101) * (b))

/* The high bit of each byte of `word` that is a quote, a backslash or below 0x20;
   bits above the lowest one that is set may be wrong. */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t quote = word ^ ALL_BYTES('"');
    uint64_t backslash = word ^ ALL_BYTES('\\');
    return (((quote - ALL_BYTES(1)) & ~quote) | ((backslash - ALL_BYTES(1)) & ~backslash) |
            ((word - ALL_BYTES(0x20)) & ~word)) &
           ALL_BYTES(0x80);
}

/* The offset of the next special byte at or after `at`, or the text's size. */
static size_t find_special(struct slice text, size_t at, uint64_t *seen)
{
    while (text.size - at >= 8) {
        uint64_t word = bytes_get64(text.data + at);
        uint64_t special = special_bytes(word);
        if (special) {
            int bit = __builtin_ctzll(special); /* 7, 15, ... */
            *seen |= word & ((UINT64_C(1) << bit) - 1);
            return at + (size_t)bit / 8;
        }
        *seen |= word;
        at += 8;
    }
    for (; at < text.size; at++) {
        unsigned char c = (unsigned char)text.data[at];
        if (c == '"' || c == '\\' || c < 0x20)
            return at;
        *seen |= c;
    }
    return at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The size of the escape at `at` (a backslash), or 0 when it is malformed. */
static size_t escape_size(struct slice text, size_t at)
{
    if (text.size - at < 2)
        return 0;
    switch (text.data[at + 1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        if (text.size - at < 6)
            return 0;
        for (size_t i = at + 2; i < at + 6; i++) {
            if (hex_value(text.data[i]) < 0)
                return 0;
        }
        return 6;
    default:
        return 0;
    }
}

static size_t first_invalid(struct slice s)
{
    size_t at = 0;
    while (at < s.size) {
        size_t start = at;
        bool valid;
        utf8_next(s, &at, &valid);
        if (!valid)
            return start;
    }
    return 0;
}

/* The string whose quote stands at r->at: sets value and moves behind the closing quote. */
static bool scan_string(struct json_reader *r)
{
    size_t from = r->at + 1;
    size_t at = from;
    uint64_t seen = 0;
    r->escaped = false;
    for (;;) {
        at = find_special(r->text, at, &seen);
        if (at == r->text.size)
            return fail(r, at, "the text ends inside a string"), false;
        char c = r->text.data[at];
        if (c == '"')
            break;
        if (c == '\\') {
            size_t size = escape_size(r->text, at);
            if (size == 0)
                return fail(r, at, "invalid escape in a string"), false;
            r->escaped = true;
            at += size;
        } else if (r->control_characters) {
            at++;
        } else {
            return fail(r, at, "control character in a string"), false;
        }
    }
    r->value = slice_of(r->text.data + from, at - from);
    r->non_ascii = (seen & ALL_BYTES(0x80)) != 0;
    if (r->non_ascii && r->utf8 == JSON_UTF8_REFUSE && !utf8_is_valid(r->value))
        return fail(r, from + first_invalid(r->value), "a string is not valid UTF-8"), false;
    r->at = at + 1;
    return true;
}

static size_t skip_digits(struct slice text, size_t at)
{
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at;
}

static enum json_event scan_number(struct json_reader *r)
{
    struct slice text = r->text;
    size_t at = r->at;
    if (text.data[at] == '-')
        at++;
    size_t digits = at;
    at = skip_digits(text, at);
    if (at == digits)
        return fail(r, at, "a number needs a digit here");
    if (text.data[digits] == '0' && at > digits + 1)
        return fail(r, digits + 1, "a number must not start with zero");
    if (at < text.size && text.data[at] == '.') {
        size_t fraction = at + 1;
        at = skip_digits(text, fraction);
        if (at == fraction)
            return fail(r, at, "a number needs a digit here");
    }
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        size_t exponent = at + 1;
        if (exponent < text.size && (text.data[exponent] == '-' || text.data[exponent] == '+'))
            exponent++;
        at = skip_digits(text, exponent);
        if (at == exponent)
            return fail(r, at, "a number needs a digit here");
    }
    r->value = slice_of(text.data + r->at, at - r->at);
    r->at = at;
    value_done(r);
    return r->event = JSON_NUMBER;
}

static enum json_event scan_word(struct json_reader *r, struct slice word, enum json_event event)
{
    for (size_t i = 0; i < word.size; i++) {
        if (r->at + i >= r->text.size || r->text.data[r->at + i] != word.data[i])
            return fail(r, r->at + i, "expected a value");
    }
    r->value = slice_of(r->text.data + r->at, word.size);
    r->at += word.size;
    value_done(r);
    return r->event = event;
}

static enum json_event scan_value(struct json_reader *r, char c)
{
    switch (c) {
    case '{':
        return begin(r, true);
    case '[':
        return begin(r, false);
    case '"':
        if (!scan_string(r))
            return JSON_ERROR;
        value_done(r);
        return r->event = JSON_STRING;
    case 't':
        return scan_word(r, SLICE("true"), JSON_TRUE);
    case 'f':
        return scan_word(r, SLICE("false"), JSON_FALSE);
    case 'n':
        return scan_word(r, SLICE("null"), JSON_NULL);
    case '-':
    case '0' ... '9':
        return scan_number(r);
    default:
        return fail(r, r->at, "expected a value");
    }
}

/* The first byte that is no blank at or after r->at, or '\0' at the end of the text. */
static char skip_blanks(struct json_reader *r)
{
    for (; r->at < r->text.size; r->at++) {
        char c = r->text.data[r->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return c;
    }
    return '\0';
}

static enum json_event scan_key(struct json_reader *r, char c)
{
    if (c != '"')
        return fail(r, r->at, "expected a key in quotes");
    if (!scan_string(r))
        return JSON_ERROR;
    if (skip_blanks(r) != ':')
        return fail(r, r->at, "expected ':' behind a key");
    r->at++;
    r->expect = EXPECT_VALUE;
    return r->event = JSON_KEY;
}

enum json_event json_next(struct json_reader *r)
{
    if (r->event == JSON_ERROR)
        return JSON_ERROR;
    char c = skip_blanks(r);
    r->start = r->at;
    if (r->at == r->text.size) {
        if (r->expect != EXPECT_NOTHING)
            return fail(r, r->at, "the text ends too early");
        return r->event = JSON_END;
    }
    if (r->expect == EXPECT_COMMA) {
        bool object = in_object(r);
        if (c == (object ? '}' : ']'))
            return end(r);
        if (c != ',')
            return fail(r, r->at, object ? "expected ',' or '}'" : "expected ',' or ']'");
        r->at++;
        r->expect = object ? EXPECT_KEY : EXPECT_VALUE;
        c = skip_blanks(r);
        r->start = r->at;
        if (r->at == r->text.size)
            return fail(r, r->at, "the text ends too early");
    }
    switch (r->expect) {
    case EXPECT_FIRST_KEY:
        return c == '}' ? end(r) : scan_key(r, c);
    case EXPECT_KEY:
        return scan_key(r, c);
    case EXPECT_FIRST_ELEMENT:
        return c == ']' ? end(r) : scan_value(r, c);
    case EXPECT_VALUE:
        return scan_value(r, c);
    default:
        return fail(r, r->at, "unexpected text behind the document");
    }
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_value(p[i]);
    return v;
}

/* The code point of the \u escape at `*at`, with its second half when it is a pair. */
static uint32_t decode_unicode(struct slice s, size_t *at)
{
    uint32_t c = hex4(s.data + *at + 2);
    *at += 6;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    bool pair = c < 0xdc00 && s.size - *at >= 6 && s.data[*at] == '\\' && s.data[*at + 1] == 'u';
    uint32_t low = pair ? hex4(s.data + *at + 2) : 0;
    if (low < 0xdc00 || low > 0xdfff)
        return UTF8_REPLACEMENT;
    *at += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static char *decode_escape(struct slice s, size_t *at, char *out)
{
    char c = s.data[*at + 1];
    if (c == 'u')
        return out + utf8_encode(out, decode_unicode(s, at));
    *at += 2;
    switch (c) {
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    default:
        break; /* a quote, a slash or a backslash stands for itself */
    }
    *out = c;
    return out + 1;
}

bool json_text(const struct json_reader *r, struct arena *arena, struct slice *out,
               struct error *err)
{
    struct slice s = r->value;
    bool replace = r->non_ascii && r->utf8 == JSON_UTF8_REPLACE && !utf8_is_valid(s);
    if (!r->escaped && !replace) {
        *out = s;
        return true;
    }
    /* No escape is shorter than what it stands for; a replaced byte becomes three. */
    char *text = arena_alloc(arena, replace ? s.size * 3 : s.size);
    if (text == NULL)
        return arena_check(arena, "a JSON string", err);
    char *to = text;
    for (size_t at = 0; at < s.size;) {
        unsigned char c = (unsigned char)s.data[at];
        if (c == '\\') {
            to = decode_escape(s, &at, to);
        } else if (c >= 0x80 && replace) {
            to += utf8_encode(to, utf8_next(s, &at, NULL));
        } else {
            *to++ = (char)c;
            at++;
        }
    }
    *out = slice_of(text, (size_t)(to - text));
    return true;
}

bool json_is(const struct json_reader *r, struct slice literal)
{
    if (!r->escaped)
        return slice_equal(r->value, literal);
    size_t matched = 0;
    for (size_t at = 0; at < r->value.size;) {
        char decoded[UTF8_SIZE_MAX];
        size_t size = 1;
        if (r->value.data[at] == '\\')
            size = (size_t)(decode_escape(r->value, &at, decoded) - decoded);
        else
            decoded[0] = r->value.data[at++];
        if (literal.size - matched < size || memcmp(literal.data + matched, decoded, size) != 0)
            return false;
        matched += size;
    }
    return matched == literal.size;
}

bool json_skip(struct json_reader *r, struct slice *raw)
{
    if (r->event == JSON_KEY)
        json_next(r);
    size_t start = r->start;
    if (r->event == JSON_OBJECT_BEGIN || r->event == JSON_ARRAY_BEGIN) {
        uint32_t outside = r->depth - 1;
        while (r->event != JSON_ERROR && r->depth > outside)
            json_next(r);
    }
    if (r->event == JSON_ERROR)
        return false;
    if (raw)
        *raw = slice_of(r->text.data + start, r->at - start);
    return true;
}

bool json_fail(const struct json_reader *r, struct error *err)
{
    return error_set_at(err, ERR_INVALID, r->start, "invalid JSON at byte %zu: %s", r->start,
                        r->problem ? r->problem : "unexpected value");
}
