/*
 * bytes.h - integers and doubles as bytes.
 *
 * Fixed-size integers are little-endian unless the name says big-endian (keys
 * that must sort).  A varint is LEB128 as in Protocol Buffers, at most ten
 * bytes; signed numbers are zigzag-coded first.  Readers never run past the
 * end: a struct reader remembers the first failure, and every later read gives
 * zero, so a decoder checks `failed` once per record.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are little-endian");

enum { VARINT_SIZE_MAX = 10 };

static inline uint16_t bytes_get16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t bytes_get32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t bytes_get64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void bytes_put16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void bytes_put32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void bytes_put64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline uint32_t bytes_get32_big(const void *p)
{
    return __builtin_bswap32(bytes_get32(p));
}

static inline uint64_t bytes_get64_big(const void *p)
{
    return __builtin_bswap64(bytes_get64(p));
}

static inline void bytes_put32_big(void *p, uint32_t v)
{
    bytes_put32(p, __builtin_bswap32(v));
}

static inline void bytes_put64_big(void *p, uint64_t v)
{
    bytes_put64(p, __builtin_bswap64(v));
}

static inline uint64_t zigzag_encode(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* The bits of a double and back: NaN payloads survive. */
static inline uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline double double_from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Write a varint at `p`, which has room for VARINT_SIZE_MAX bytes; returns its size. */
size_t varint_put(uint8_t *p, uint64_t v);
size_t varint_size(uint64_t v);

/* Read at most `size` bytes at `p`; the number of bytes used, or 0 when malformed. */
size_t varint_get(const uint8_t *p, size_t size, uint64_t *v);

/* Appending to a buffer. */
void buffer_put8(struct buffer *b, uint8_t v);
void buffer_put16(struct buffer *b, uint16_t v);
void buffer_put32(struct buffer *b, uint32_t v);
void buffer_put64(struct buffer *b, uint64_t v);
void buffer_put_varint(struct buffer *b, uint64_t v);
void buffer_put_zigzag(struct buffer *b, int64_t v);
/* A varint size and the bytes. */
void buffer_put_sized(struct buffer *b, struct slice s);

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something ran past the end or was malformed */
};

static inline struct reader reader_of(struct slice s)
{
    const uint8_t *at = (const uint8_t *)s.data;
    return (struct reader){at, at ? at + s.size : NULL, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

uint16_t read16(struct reader *r);
uint32_t read32(struct reader *r);
uint64_t read64(struct reader *r);
uint64_t read_varint_long(struct reader *r); /* any varint; what read_varint() falls back to */

static inline uint8_t read8(struct reader *r)
{
    if (r->failed || r->at >= r->end) {
        r->failed = true;
        return 0;
    }
    return *r->at++;
}

static inline uint64_t read_varint(struct reader *r)
{
    if (!r->failed && r->end - r->at >= 2) {
        uint8_t low = r->at[0], high = r->at[1];
        if (low < 0x80) {
            r->at++;
            return low;
        }
        if (high > 0 && high < 0x80) {
            r->at += 2;
            return (uint64_t)(low & 0x7f) | (uint64_t)high << 7;
        }
    }
    return read_varint_long(r);
}

static inline int64_t read_zigzag(struct reader *r)
{
    return zigzag_decode(read_varint(r));
}

struct slice read_bytes(struct reader *r, uint64_t size);
struct slice read_sized(struct reader *r);

#endif
