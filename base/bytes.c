/* bytes.c - varints and the bounded reader (see bytes.h). */
#include "base/bytes.h"

#include "base/buffer.h"

size_t varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

size_t varint_get(const uint8_t *p, size_t size, uint64_t *v)
{
    uint64_t result = 0;
    size_t end = size < VARINT_SIZE_MAX ? size : VARINT_SIZE_MAX;
    for (size_t i = 0; i < end; i++) {
        uint64_t low = p[i] & 0x7f;
        if (i == VARINT_SIZE_MAX - 1 && low > 1)
            return 0; /* more than 64 bits */
        result |= low << (7 * i);
        if ((p[i] & 0x80) == 0) {
            *v = result;
            return i + 1;
        }
    }
    return 0;
}

void buffer_put8(struct buffer *b, uint8_t v)
{
    buffer_append(b, &v, sizeof(v));
}

void buffer_put16(struct buffer *b, uint16_t v)
{
    buffer_append(b, &v, sizeof(v));
}

void buffer_put32(struct buffer *b, uint32_t v)
{
    buffer_append(b, &v, sizeof(v));
}

void buffer_put64(struct buffer *b, uint64_t v)
{
    buffer_append(b, &v, sizeof(v));
}

void buffer_put_varint(struct buffer *b, uint64_t v)
{
    char *room = buffer_reserve(b, VARINT_SIZE_MAX);
    if (room)
        buffer_advance(b, varint_put((uint8_t *)room, v));
}

void buffer_put_zigzag(struct buffer *b, int64_t v)
{
    buffer_put_varint(b, zigzag_encode(v));
}

void buffer_put_sized(struct buffer *b, struct slice s)
{
    buffer_put_varint(b, s.size);
    buffer_append_slice(b, s);
}

/* The next `size` bytes, or NULL and `failed`. */
static const uint8_t *take(struct reader *r, uint64_t size)
{
    if (r->failed || size > reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += size;
    return p;
}

uint16_t read16(struct reader *r)
{
    const uint8_t *p = take(r, 2);
    return p ? bytes_get16(p) : 0;
}

uint32_t read32(struct reader *r)
{
    const uint8_t *p = take(r, 4);
    return p ? bytes_get32(p) : 0;
}

uint64_t read64(struct reader *r)
{
    const uint8_t *p = take(r, 8);
    return p ? bytes_get64(p) : 0;
}

uint64_t read_varint_long(struct reader *r)
{
    uint64_t v = 0;
    size_t used = r->failed ? 0 : varint_get(r->at, reader_left(r), &v);
    if (used == 0) {
        r->failed = true;
        return 0;
    }
    r->at += used;
    return v;
}

struct slice read_bytes(struct reader *r, uint64_t size)
{
    const uint8_t *p = take(r, size);
    return p ? slice_of(p, (size_t)size) : (struct slice){NULL, 0};
}

struct slice read_sized(struct reader *r)
{
    return read_bytes(r, read_varint(r));
}
