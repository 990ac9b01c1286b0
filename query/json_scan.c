/* json_scan.c - the forgiving JSON scanner (see json_scan.h). */
#include "query/json_scan.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"

static const char bad_object[] = "Value looks like object, but can't find closing '}' symbol";
static const char bad_array[] = "Value is array, but can't find closing ']' symbol";
static const char bad_json[] = "Malformed JSON error";
static const char bad_string[] = "Value is string, but can't find closing '\"' symbol";
static const char bad_value[] = "Unknown value type";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(struct slice s, size_t at)
{
    while (at < s.size && is_blank(s.data[at]))
        at++;
    return at;
}

/* Offset behind the quote that ends the string whose content starts at `at`, or 0. */
static size_t string_end(struct slice s, size_t at)
{
    while (at < s.size) {
        const char *quote = memchr(s.data + at, '"', s.size - at);
        if (quote == NULL)
            return 0;
        size_t end = (size_t)(quote - s.data);
        size_t slashes = 0;
        while (end - slashes > at && s.data[end - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return end + 1;
        at = end + 1;
        /* A quote that is escaped: what stands before it cannot matter any more. */
    }
    return 0;
}

/* Offset behind the bracket that closes the one at `at`, or 0. */
static size_t block_end(struct slice s, size_t at, char open, char close)
{
    size_t depth = 0;
    while (at < s.size) {
        char c = s.data[at++];
        if (c == '"') {
            at = string_end(s, at);
            if (at == 0)
                return 0;
        } else if (c == open) {
            depth++;
        } else if (c == close && --depth == 0) {
            return at;
        }
    }
    return 0;
}

static size_t token_end(struct slice s, size_t at)
{
    while (at < s.size && !is_blank(s.data[at]) && s.data[at] != ',' && s.data[at] != '}' &&
           s.data[at] != ']')
        at++;
    return at;
}

static const char *read_token(struct slice s, size_t *at, struct json_value *value)
{
    size_t end = token_end(s, *at);
    value->text = slice_sub(s, *at, end - *at);
    *at = end;
    if (value->text.size == 0)
        return bad_value;
    char first = value->text.data[0];
    if (first == '-' || (first >= '0' && first <= '9'))
        value->type = JSON_SCAN_NUMBER;
    else if (slice_equal(value->text, SLICE("true")) || slice_equal(value->text, SLICE("false")))
        value->type = JSON_SCAN_BOOLEAN;
    else if (slice_equal(value->text, SLICE("null")))
        value->type = JSON_SCAN_NULL;
    else
        return bad_value;
    return NULL;
}

/* Read the value at `*at` and move behind it. */
static const char *read_value(struct slice s, size_t *at, struct json_value *value)
{
    size_t from = skip_blanks(s, *at);
    if (from >= s.size)
        return bad_json;
    char first = s.data[from];
    if (first == '"') {
        size_t end = string_end(s, from + 1);
        if (end == 0)
            return bad_string;
        *value = (struct json_value){JSON_SCAN_STRING, slice_sub(s, from + 1, end - from - 2)};
        *at = end;
        return NULL;
    }
    if (first == '{' || first == '[') {
        size_t end = block_end(s, from, first, first == '{' ? '}' : ']');
        if (end == 0)
            return first == '{' ? bad_object : bad_array;
        value->type = first == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
        value->text = slice_sub(s, from, end - from);
        *at = end;
        return NULL;
    }
    *at = from;
    return read_token(s, at, value);
}

static const char *start(struct json_scan *scan, struct slice text, char open, bool array)
{
    size_t at = skip_blanks(text, 0);
    if (at >= text.size || text.data[at] != open)
        return array ? bad_array : bad_object;
    at = skip_blanks(text, at + 1);
    if (at >= text.size)
        return bad_json;
    bool empty = text.data[at] == (array ? ']' : '}');
    *scan = (struct json_scan){text, at, array, false, empty};
    return NULL;
}

const char *json_scan_object(struct json_scan *scan, struct slice text)
{
    return start(scan, text, '{', false);
}

const char *json_scan_array(struct json_scan *scan, struct slice text)
{
    return start(scan, text, '[', true);
}

/* Behind a member: the comma and the next member's start, or the closing bracket. */
static const char *after_member(struct json_scan *scan)
{
    struct slice s = scan->text;
    size_t at = skip_blanks(s, scan->at);
    if (at >= s.size)
        return bad_array;
    if (s.data[at] == (scan->array ? ']' : '}')) {
        scan->done = true;
        return NULL;
    }
    if (s.data[at] != ',')
        return scan->array ? bad_array : bad_object;
    at = skip_blanks(s, at + 1);
    if (at >= s.size)
        return bad_array;
    scan->at = at;
    if (!scan->array && s.data[at] == '}')
        scan->done = true;
    return NULL;
}

static const char *read_key(struct json_scan *scan, struct arena *scratch, struct slice *key)
{
    struct slice s = scan->text;
    if (scan->at >= s.size || s.data[scan->at] != '"')
        return bad_object;
    size_t end = string_end(s, scan->at + 1);
    if (end == 0)
        return bad_json;
    *key = json_scan_unescape(slice_sub(s, scan->at + 1, end - scan->at - 2), scratch);
    size_t colon = skip_blanks(s, end);
    if (colon >= s.size || s.data[colon] != ':')
        return bad_json;
    scan->at = colon + 1;
    return NULL;
}

bool json_scan_next(struct json_scan *scan, struct arena *scratch, struct slice *key,
                    struct json_value *value, const char **problem)
{
    if (scan->done)
        return false;
    if (scan->started) {
        *problem = after_member(scan);
        if (*problem || scan->done)
            return false;
    }
    scan->started = true;
    if (!scan->array)
        *problem = read_key(scan, scratch, key);
    if (*problem == NULL)
        *problem = read_value(scan->text, &scan->at, value);
    return *problem == NULL;
}

/* ---- escapes ---------------------------------------------------------------- */

static bool read_hex4(struct slice s, size_t at, uint32_t *code)
{
    if (s.size < at + 4)
        return false;
    *code = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = s.data[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return false;
        *code = *code * 16 + digit;
    }
    return true;
}

/* The code point of the \uXXXX (or pair of them) whose digits start at `*at`. */
static bool read_unicode(struct slice s, size_t *at, uint32_t *code)
{
    if (!read_hex4(s, *at, code))
        return false;
    *at += 4;
    if (*code < 0xD800 || *code > 0xDFFF)
        return true;
    uint32_t low;
    if (*code > 0xDBFF || s.size < *at + 6 || s.data[*at] != '\\' || s.data[*at + 1] != 'u' ||
        !read_hex4(s, *at + 2, &low) || low < 0xDC00 || low > 0xDFFF)
        return false;
    *at += 6;
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool simple_escape(char c, char *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *at = c == '\0' ? NULL : strchr(from, c);
    if (at == NULL)
        return false;
    *out = to[at - from];
    return true;
}

struct slice json_scan_unescape(struct slice text, struct arena *scratch)
{
    struct slice nothing = {NULL, 0};
    if (slice_find_byte(text, '\\', 0) == SLICE_NOT_FOUND)
        return text;
    char *out = arena_alloc(scratch, text.size);
    if (out == NULL)
        return nothing;
    size_t size = 0;
    for (size_t at = 0; at < text.size;) {
        if (text.data[at] != '\\') {
            out[size++] = text.data[at++];
            continue;
        }
        if (++at >= text.size)
            return nothing;
        char c = text.data[at++];
        uint32_t code;
        if (c == 'u') {
            if (!read_unicode(text, &at, &code))
                return nothing;
            size += utf8_encode(out + size, code); /* at most as long as its escape */
        } else if (simple_escape(c, &out[size])) {
            size++;
        } else {
            return nothing;
        }
    }
    return slice_of(out, size);
}

/* ---- paths -------------------------------------------------------------------- */

static bool is_field_byte(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
    return letter || (!first && c >= '0' && c <= '9');
}

static bool path_field(struct slice text, size_t *at, struct json_step *step, struct error *err)
{
    size_t from = *at;
    while (*at < text.size && is_field_byte(text.data[*at], *at == from))
        (*at)++;
    if (*at == from)
        return error_set(err, ERR_INVALID, "syntax error: unexpected %s, expecting FIELD",
                         from >= text.size        ? "$end"
                         : text.data[from] == '.' ? "DOT"
                                                  : "character");
    *step = (struct json_step){false, slice_sub(text, from, *at - from), 0};
    return true;
}

/* ["field"] or [0]; `*at` is behind the bracket. */
static bool path_bracket(struct slice text, size_t *at, struct json_step *step, struct arena *arena,
                         struct error *err)
{
    struct slice rest = slice_skip(text, *at);
    size_t inner;
    if (rest.size > 0 && rest.data[0] == '"') {
        inner = string_end(rest, 1);
        if (inner == 0 ||
            !slice_unquote(arena, slice_sub(rest, 0, inner), false, &step->field, NULL))
            return error_set(err, ERR_INVALID, "invalid quoted field");
        step->is_index = false;
    } else {
        uint64_t index;
        inner = 0;
        while (inner < rest.size && rest.data[inner] >= '0' && rest.data[inner] <= '9')
            inner++;
        if (!slice_parse_u64(slice_sub(rest, 0, inner), &index))
            return error_set(err, ERR_INVALID,
                             "syntax error: unexpected %s, expecting STRING or INDEX",
                             rest.size == 0 ? "$end" : "character");
        *step = (struct json_step){true, {NULL, 0}, (size_t)index};
    }
    if (inner >= rest.size || rest.data[inner] != ']')
        return error_set(err, ERR_INVALID, "syntax error: unexpected %s, expecting RSB",
                         inner >= rest.size ? "$end" : "character");
    *at += inner + 1;
    return true;
}

bool json_path_parse(struct json_path *path, struct slice text, struct arena *arena,
                     struct error *err)
{
    struct json_step *steps = arena_calloc(arena, text.size + 1, sizeof(*steps));
    if (steps == NULL)
        return error_set(err, ERR_LIMIT, "path is too long");
    size_t count = 0, at = 0;
    do {
        struct json_step *step = &steps[count++];
        if (at < text.size && text.data[at] == '[') {
            at++;
            if (!path_bracket(text, &at, step, arena, err))
                return false;
            continue;
        }
        if (count > 1) {
            if (text.data[at] != '.')
                return error_set(err, ERR_INVALID, "unexpected char %c", text.data[at]);
            at++;
        }
        if (!path_field(text, &at, step, err))
            return false;
    } while (at < text.size);
    *path = (struct json_path){steps, count};
    return true;
}

static bool find_field(struct slice text, struct slice field, struct arena *scratch,
                       struct json_value *value)
{
    struct json_scan scan;
    struct slice key;
    const char *problem = json_scan_object(&scan, text);
    while (problem == NULL && json_scan_next(&scan, scratch, &key, value, &problem)) {
        if (slice_equal(key, field))
            return true;
    }
    return false;
}

static bool find_index(struct slice text, size_t index, struct arena *scratch,
                       struct json_value *value)
{
    struct json_scan scan;
    const char *problem = json_scan_array(&scan, text);
    for (size_t i = 0; problem == NULL; i++) {
        if (!json_scan_next(&scan, scratch, NULL, value, &problem))
            return false;
        if (i == index)
            return true;
    }
    return false;
}

bool json_path_find(const struct json_path *path, struct slice line, struct arena *scratch,
                    struct json_value *value)
{
    struct slice text = line;
    for (size_t i = 0; i < path->count; i++) {
        const struct json_step *step = &path->steps[i];
        if (i > 0 && value->type != (step->is_index ? JSON_SCAN_ARRAY : JSON_SCAN_OBJECT))
            return false;
        bool found = step->is_index ? find_index(text, step->index, scratch, value)
                                    : find_field(text, step->field, scratch, value);
        if (!found)
            return false;
        text = value->text;
    }
    return true;
}
