/* number.c - quoted text as Go writes and reads it (see number.h). */
#include "base/number.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/utf8.h"

/*
 * Code points that Go's strconv.IsPrint refuses and that are at all likely:
 * controls, separators other than the space, format characters, surrogates,
 * private use, and what is no character.
 */
static bool is_printable(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0xa0},       {0xad, 0xad},        {0x600, 0x605},
        {0x61c, 0x61c},   {0x6dd, 0x6dd},     {0x70f, 0x70f},      {0x180e, 0x180e},
        {0x1680, 0x1680}, {0x2000, 0x200f},   {0x2028, 0x202f},    {0x205f, 0x206f},
        {0x3000, 0x3000}, {0xd800, 0xf8ff},   {0xfeff, 0xfeff},    {0xfff0, 0xfffb},
        {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff},
    };
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        if (c < ranges[i].first)
            return true;
        if (c <= ranges[i].last)
            return false;
    }
    return true;
}

/* The letter behind the backslash of a control character, or 0. */
static char escape_letter(uint32_t c)
{
    static const char letters[] = {
        ['\a'] = 'a', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'v',
        ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    return c < sizeof(letters) ? letters[c] : 0;
}

static void append_escaped(struct buffer *b, uint32_t c, bool valid, unsigned char raw)
{
    char letter = escape_letter(c);
    if (!valid)
        buffer_printf(b, "\\x%02x", raw);
    else if (letter)
        buffer_append(b, (char[2]){'\\', letter}, 2);
    else if (c < 0x20 || c == 0x7f)
        buffer_printf(b, "\\x%02x", c);
    else if (c < 0x10000)
        buffer_printf(b, "\\u%04x", c);
    else
        buffer_printf(b, "\\U%08x", c);
}

void buffer_append_quoted(struct buffer *b, struct slice s)
{
    buffer_append_byte(b, '"');
    size_t plain = 0; /* everything from here to `at` is copied as it is */
    for (size_t at = 0; at < s.size;) {
        size_t start = at;
        unsigned char byte = (unsigned char)s.data[at];
        uint32_t c = byte;
        bool valid = true;
        if (byte < 0x80)
            at++;
        else
            c = utf8_next(s, &at, &valid);
        if (valid && c != '"' && c != '\\' && is_printable(c))
            continue;
        buffer_append(b, s.data + plain, start - plain);
        append_escaped(b, c, valid, byte);
        plain = at;
    }
    if (plain < s.size)
        buffer_append(b, s.data + plain, s.size - plain);
    buffer_append_byte(b, '"');
}

/* Exactly `count` digits of base 8 or 16 at `*at`. */
static bool take_code(struct slice s, size_t *at, size_t count, uint32_t base, uint32_t *code)
{
    if (s.size - *at < count)
        return false;
    uint32_t v = 0;
    for (size_t i = 0; i < count; i++) {
        char c = s.data[(*at)++];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 99;
        if (digit >= base)
            return false;
        v = v * base + digit;
    }
    *code = v;
    return true;
}

/* One escape behind its backslash; writes at `*out`. */
static bool take_escape(struct slice s, size_t *at, char quote, char **out)
{
    static const char controls[] = {['a'] = '\a', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n',
                                    ['r'] = '\r', ['t'] = '\t', ['v'] = '\v'};
    if (*at == s.size)
        return false;
    char c = s.data[(*at)++];
    uint32_t code;
    switch (c) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
        *(*out)++ = controls[(unsigned char)c];
        return true;
    case '\\':
        *(*out)++ = c;
        return true;
    case '\'':
    case '"':
        if (c != quote)
            return false;
        *(*out)++ = c;
        return true;
    case 'x':
        if (!take_code(s, at, 2, 16, &code))
            return false;
        *(*out)++ = (char)code;
        return true;
    case '0' ... '7':
        --*at;
        if (!take_code(s, at, 3, 8, &code) || code > 255)
            return false;
        *(*out)++ = (char)code;
        return true;
    case 'u':
    case 'U':
        if (!take_code(s, at, c == 'u' ? 4 : 8, 16, &code) || code > 0x10ffff ||
            (code >= 0xd800 && code <= 0xdfff))
            return false;
        *out += utf8_encode(*out, code);
        return true;
    default:
        return false;
    }
}

/* The inside of "..." or '...': an escape is never longer than what it stands for. */
static bool unescape(struct arena *arena, struct slice inside, char quote, struct slice *value,
                     struct error *err)
{
    char *text = arena_alloc(arena, inside.size);
    if (text == NULL)
        return arena_check(arena, "a string literal", err);
    char *out = text;
    for (size_t at = 0; at < inside.size;) {
        char c = inside.data[at++];
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        size_t start = at;
        if (!take_escape(inside, &at, quote, &out))
            return error_set_at(err, ERR_INVALID, start, "invalid escape sequence in a string");
    }
    *value = slice_of(text, (size_t)(out - text));
    return true;
}

bool slice_unquote(struct arena *arena, struct slice s, bool single, struct slice *value,
                   struct error *err)
{
    char quote = s.size >= 2 ? s.data[0] : '\0';
    if ((quote != '"' && quote != '`' && (quote != '\'' || !single)) || s.data[s.size - 1] != quote)
        return error_set_at(err, ERR_INVALID, 0, "not a quoted string");
    struct slice inside = slice_of(s.data + 1, s.size - 2);
    if (quote == '`') {
        if (slice_find_byte(inside, '`', 0) != SLICE_NOT_FOUND)
            return error_set_at(err, ERR_INVALID, 0, "a raw string contains its quote");
        *value = inside;
        return true;
    }
    bool escaped = false;
    for (size_t i = 0; i < inside.size; i++) {
        char c = inside.data[i];
        if (c == '\n' || c == quote)
            return error_set_at(err, ERR_INVALID, i + 1, "unexpected %s inside a string",
                                c == '\n' ? "line break" : "quote");
        if (c == '\\') {
            escaped = true;
            i++;
        }
    }
    if (!escaped) {
        *value = inside;
        return true;
    }
    return unescape(arena, inside, quote, value, err);
}
