/* utf8.c - checking and walking UTF-8, eight ASCII bytes at a time (see utf8.h). */
#include "base/utf8.h"

#include "base/bytes.h"

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/*
 * The size of the well-formed sequence at `p` (at most `left` bytes, at least
 * one), or 0.  The second byte's range excludes overlong forms, surrogates and
 * what lies above U+10FFFF.
 */
static size_t sequence_size(const unsigned char *p, size_t left)
{
    unsigned char first = p[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0)
        return left >= 2 && is_tail(p[1]) ? 2 : 0;
    if (first < 0xf0) {
        if (left < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        if ((first == 0xe0 && p[1] < 0xa0) || (first == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
        return 0;
    if ((first == 0xf0 && p[1] < 0x90) || (first == 0xf4 && p[1] > 0x8f))
        return 0;
    return 4;
}

bool utf8_is_valid(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t at = 0;
    while (at < s.size) {
        if (s.size - at >= 8 && (bytes_get64(p + at) & UINT64_C(0x8080808080808080)) == 0) {
            at += 8;
            continue;
        }
        size_t size = sequence_size(p + at, s.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

uint32_t utf8_next(struct slice s, size_t *at, bool *valid)
{
    const unsigned char *p = (const unsigned char *)s.data + *at;
    size_t size = sequence_size(p, s.size - *at);
    if (valid)
        *valid = size > 0;
    *at += size > 0 ? size : 1;
    switch (size) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    case 3:
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    case 4:
        return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
               (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
    default:
        return UTF8_REPLACEMENT;
    }
}

size_t utf8_encode(char *out, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        c = UTF8_REPLACEMENT;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}
