/* slice.c - comparing, finding and cutting slices (see slice.h). */
#include "base/slice.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = smaller(a.size, b.size);
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

bool slice_equal_ignore_case(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && slice_equal(slice_of(s.data, prefix.size), prefix);
}

bool slice_ends_with(struct slice s, struct slice suffix)
{
    return s.size >= suffix.size && slice_equal(slice_skip(s, s.size - suffix.size), suffix);
}

struct slice slice_skip(struct slice s, size_t from)
{
    if (from >= s.size)
        return (struct slice){NULL, 0};
    return slice_of(s.data + from, s.size - from);
}

struct slice slice_sub(struct slice s, size_t from, size_t size)
{
    struct slice rest = slice_skip(s, from);
    return slice_of(rest.data, smaller(rest.size, size));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && is_blank(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && is_blank(s.data[s.size - 1]))
        s.size--;
    return s;
}

size_t slice_find_byte(struct slice s, char byte, size_t from)
{
    if (from >= s.size)
        return SLICE_NOT_FOUND;
    const char *hit = memchr(s.data + from, byte, s.size - from);
    return hit ? (size_t)(hit - s.data) : SLICE_NOT_FOUND;
}

size_t slice_find(struct slice s, struct slice needle, size_t from)
{
    if (from > s.size)
        return SLICE_NOT_FOUND;
    if (needle.size == 0)
        return from;
    if (from == s.size)
        return SLICE_NOT_FOUND;
    const char *hit = memmem(s.data + from, s.size - from, needle.data, needle.size);
    return hit ? (size_t)(hit - s.data) : SLICE_NOT_FOUND;
}

bool slice_split(struct slice *rest, char separator, struct slice *part)
{
    static const char nothing[1] = "";

    if (rest->data == NULL && rest->size == 0)
        return false;
    size_t at = slice_find_byte(*rest, separator, 0);
    if (at == SLICE_NOT_FOUND) {
        *part = *rest;
        *rest = (struct slice){NULL, 0};
        return true;
    }
    *part = slice_of(rest->data, at);
    size_t left = rest->size - at - 1;
    *rest = left > 0 ? slice_of(rest->data + at + 1, left) : slice_of(nothing, 0);
    return true;
}
