/*
 * slice.h - a piece of text or bytes that somebody else owns.
 *
 * A slice never owns its bytes, is passed by value and is not NUL-terminated.
 * Print one with "%.*s" and SLICE_ARG(s).  The empty slice may have data NULL.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_ARG(s)   (int)(s).size, (s).data

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const char *)data, size};
}

/* NULL gives the empty slice. */
static inline struct slice slice_from_text(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Bytewise order, a prefix sorts first: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

/* ASCII letters compare without case. */
bool slice_equal_ignore_case(struct slice a, struct slice b);

bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_ends_with(struct slice s, struct slice suffix);

/* `s` from byte `from` on; empty when `from` lies behind the end. */
struct slice slice_skip(struct slice s, size_t from);

/* At most `size` bytes of `s` from `from` on. */
struct slice slice_sub(struct slice s, size_t from, size_t size);

/* Without ASCII blanks (space, \t, \r, \n) at both ends. */
struct slice slice_trim(struct slice s);

#define SLICE_NOT_FOUND ((size_t)-1)

/* Offset of the first `byte` or `needle` at or after `from`, or SLICE_NOT_FOUND. */
size_t slice_find_byte(struct slice s, char byte, size_t from);
size_t slice_find(struct slice s, struct slice needle, size_t from);

/*
 * Cut `*rest` at the first `separator`: the part before it goes to `*part`,
 * `*rest` becomes what follows.  False when `*rest` was used up (its data is
 * NULL then).  "a,,b" gives "a", "", "b"; the empty slice gives one empty part.
 */
bool slice_split(struct slice *rest, char separator, struct slice *part);

#endif
