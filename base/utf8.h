/*
 * utf8.h - checking and walking UTF-8 (RFC 3629: no surrogates, at most U+10FFFF).
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_REPLACEMENT = 0xFFFD, UTF8_SIZE_MAX = 4 };

bool utf8_is_valid(struct slice s);

/*
 * Decode one code point at s.data[*at] and move `*at` behind it.  An invalid
 * byte gives UTF8_REPLACEMENT and moves one byte, as Go's range over a string
 * does.  `*at` must be inside `s`; `valid` may be NULL.
 */
uint32_t utf8_next(struct slice s, size_t *at, bool *valid);

/*
 * Encode at `out`, which has room for UTF8_SIZE_MAX bytes; returns the size.
 * What is no code point becomes UTF8_REPLACEMENT.
 */
size_t utf8_encode(char *out, uint32_t code_point);

#endif
