/*
 * snappy_decode.h - unpacking Snappy's raw format, inside wire/ only.
 *
 * The library's own decoder copies each piece through a call of memmove in
 * Debian's build; remote-write bodies consist of short pieces, and this one takes
 * a third of its time.  Packing stays the library's.
 */
#ifndef WIRE_SNAPPY_DECODE_H
#define WIRE_SNAPPY_DECODE_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* The size that `body` declares at its front.  False: there is none, or over 32 bits. */
bool snappy_declared_size(struct slice body, size_t *size) MUST_CHECK;

/*
 * Unpack `body` to exactly `size` bytes at `out`, which is the size that it declares.
 * False when the body is malformed; nothing is written behind out + size then either.
 */
bool snappy_decode(struct slice body, char *out, size_t size) MUST_CHECK;

#endif
