/*
 * snappy_decode.c - see snappy_decode.h.
 *
 * A body is a varint of the size and then elements, each with a tag byte: the low
 * two bits tell a literal (bytes that follow) from a copy of what was written
 * before, with 1, 2 or 4 bytes of distance behind the tag.
 *
 * Far from the ends of input and output an element is at most 64 bytes (literals
 * of more are rare), and 64 bytes are copied whatever its length is: what is too
 * much is overwritten by the next element.  Near an end everything is careful.
 */
#include "wire/snappy_decode.h"

#include "base/bytes.h"

enum {
    LITERAL = 0,
    LITERAL_SHORT_MAX = 60, /* longer ones have a length of 1 to 4 bytes of its own */
    PIECE = 16,
    ELEMENT_MAX = 64,
    NEAR = ELEMENT_MAX + 2, /* to the end of the input */
    SIZE_BYTES_MAX = 5
};

struct unpacker {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_begin, *out_end;
};

/* The varint at the front; how many bytes it has, 0 when malformed. */
static size_t read_size(struct slice body, size_t *size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < body.size && i < SIZE_BYTES_MAX; i++) {
        uint8_t byte = (uint8_t)body.data[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        *size = (size_t)value;
        return value <= UINT32_MAX ? i + 1 : 0;
    }
    return 0;
}

bool snappy_declared_size(struct slice body, size_t *size)
{
    return read_size(body, size) > 0;
}

static inline void copy_piece(uint8_t *to, const uint8_t *from)
{
    uint8_t piece[PIECE];
    memcpy(piece, from, PIECE);
    memcpy(to, piece, PIECE);
}

/* ELEMENT_MAX bytes; each piece may read what the one before wrote. */
static inline void copy_element(uint8_t *to, const uint8_t *from)
{
    copy_piece(to, from);
    copy_piece(to + PIECE, from + PIECE);
    copy_piece(to + 2 * PIECE, from + 2 * PIECE);
    copy_piece(to + 3 * PIECE, from + 3 * PIECE);
}

/* One of two numbers without a branch; `first` is all ones or zero. */
static inline uintptr_t choose(uintptr_t first, uintptr_t a, uintptr_t b)
{
    return (a & first) | (b & ~first);
}

/* A literal, checked; `tag` is read already. */
static bool literal(struct unpacker *u, uint8_t tag)
{
    size_t size = (size_t)(tag >> 2) + 1;
    if (size > LITERAL_SHORT_MAX) {
        size_t bytes = size - LITERAL_SHORT_MAX;
        if ((size_t)(u->in_end - u->in) < bytes)
            return false;
        size = 0;
        for (size_t i = 0; i < bytes; i++)
            size |= (size_t)u->in[i] << (8 * i);
        size++;
        u->in += bytes;
    }
    if (size > (size_t)(u->in_end - u->in) || size > (size_t)(u->out_end - u->out))
        return false;
    memcpy(u->out, u->in, size);
    u->in += size;
    u->out += size;
    return true;
}

/* Length and distance of a copy; `in` has the bytes of the distance. */
static inline size_t copy_shape(uint8_t tag, const uint8_t *in, size_t *distance)
{
    if ((tag & 3) == 1) {
        *distance = (size_t)(tag >> 5) << 8 | in[0];
        return 4 + (tag >> 2 & 7);
    }
    *distance = (tag & 3) == 2 ? bytes_get16(in) : bytes_get32(in);
    return (size_t)(tag >> 2) + 1;
}

static inline size_t distance_bytes(uint8_t tag)
{
    return (tag & 3) == 3 ? 4 : tag & 3;
}

static bool copy_carefully(struct unpacker *u, uint8_t tag)
{
    size_t distance;
    if ((size_t)(u->in_end - u->in) < distance_bytes(tag))
        return false;
    size_t size = copy_shape(tag, u->in, &distance);
    u->in += distance_bytes(tag);
    if (distance == 0 || distance > (size_t)(u->out - u->out_begin) ||
        size > (size_t)(u->out_end - u->out))
        return false;
    const uint8_t *from = u->out - distance;
    for (size_t i = 0; i < size; i++) /* byte by byte: a copy may repeat itself */
        u->out[i] = from[i];
    u->out += size;
    return true;
}

static bool unpack_carefully(struct unpacker *u)
{
    uint8_t tag = *u->in++;
    return (tag & 3) == LITERAL ? literal(u, tag) : copy_carefully(u, tag);
}

/* By tag: how many bytes an element gives (0: rare, for the careful), a copy's high distance. */
enum { SHAPE_SIZE = 0x7f, SHAPE_DISTANCE = 0x700 };
static const uint16_t shapes[256] = {
    0x1,  0x4,   0x1,  0x0, 0x2,  0x5,   0x2,  0x0, 0x3,  0x6,   0x3,  0x0, 0x4,  0x7,   0x4,  0x0,
    0x5,  0x8,   0x5,  0x0, 0x6,  0x9,   0x6,  0x0, 0x7,  0xa,   0x7,  0x0, 0x8,  0xb,   0x8,  0x0,
    0x9,  0x104, 0x9,  0x0, 0xa,  0x105, 0xa,  0x0, 0xb,  0x106, 0xb,  0x0, 0xc,  0x107, 0xc,  0x0,
    0xd,  0x108, 0xd,  0x0, 0xe,  0x109, 0xe,  0x0, 0xf,  0x10a, 0xf,  0x0, 0x10, 0x10b, 0x10, 0x0,
    0x11, 0x204, 0x11, 0x0, 0x12, 0x205, 0x12, 0x0, 0x13, 0x206, 0x13, 0x0, 0x14, 0x207, 0x14, 0x0,
    0x15, 0x208, 0x15, 0x0, 0x16, 0x209, 0x16, 0x0, 0x17, 0x20a, 0x17, 0x0, 0x18, 0x20b, 0x18, 0x0,
    0x19, 0x304, 0x19, 0x0, 0x1a, 0x305, 0x1a, 0x0, 0x1b, 0x306, 0x1b, 0x0, 0x1c, 0x307, 0x1c, 0x0,
    0x1d, 0x308, 0x1d, 0x0, 0x1e, 0x309, 0x1e, 0x0, 0x1f, 0x30a, 0x1f, 0x0, 0x20, 0x30b, 0x20, 0x0,
    0x21, 0x404, 0x21, 0x0, 0x22, 0x405, 0x22, 0x0, 0x23, 0x406, 0x23, 0x0, 0x24, 0x407, 0x24, 0x0,
    0x25, 0x408, 0x25, 0x0, 0x26, 0x409, 0x26, 0x0, 0x27, 0x40a, 0x27, 0x0, 0x28, 0x40b, 0x28, 0x0,
    0x29, 0x504, 0x29, 0x0, 0x2a, 0x505, 0x2a, 0x0, 0x2b, 0x506, 0x2b, 0x0, 0x2c, 0x507, 0x2c, 0x0,
    0x2d, 0x508, 0x2d, 0x0, 0x2e, 0x509, 0x2e, 0x0, 0x2f, 0x50a, 0x2f, 0x0, 0x30, 0x50b, 0x30, 0x0,
    0x31, 0x604, 0x31, 0x0, 0x32, 0x605, 0x32, 0x0, 0x33, 0x606, 0x33, 0x0, 0x34, 0x607, 0x34, 0x0,
    0x35, 0x608, 0x35, 0x0, 0x36, 0x609, 0x36, 0x0, 0x37, 0x60a, 0x37, 0x0, 0x38, 0x60b, 0x38, 0x0,
    0x39, 0x704, 0x39, 0x0, 0x3a, 0x705, 0x3a, 0x0, 0x3b, 0x706, 0x3b, 0x0, 0x3c, 0x707, 0x3c, 0x0,
    0x0,  0x708, 0x3d, 0x0, 0x0,  0x709, 0x3e, 0x0, 0x0,  0x70a, 0x3f, 0x0, 0x0,  0x70b, 0x40, 0x0,
};

/* By kind: which of the four bytes behind the tag belong to the distance. */
static const uint32_t distance_mask[4] = {0, 0xff, 0xffff, 0};

/*
 * Elements while both ends are far, without a branch on what they are: nobody could
 * predict it.  Stops at what is rare or wrong, for unpack_carefully() to judge.
 */
static void unpack_fast(struct unpacker *u)
{
    /* A tag, an element and the next tag fit behind every place up to these. */
    const uint8_t *in_last = u->in_end - NEAR;
    const uint8_t *out_last = u->out_end - ELEMENT_MAX;
    const uint8_t *in = u->in;
    uint8_t *out = u->out;
    uintptr_t tag = *in;
    while (in <= in_last && out <= out_last) {
        uintptr_t kind = tag & 3;
        uintptr_t is_literal = (uintptr_t)0 - (kind == LITERAL);
        /* Where the next tag is, and both places it may have: the loop waits for nothing else. */
        const uint8_t *behind_literal = in + 2 + (tag >> 2);
        const uint8_t *behind_copy = in + 1 + kind;
        uintptr_t next = choose(is_literal, *behind_literal, *behind_copy);
        size_t shape = shapes[tag];
        size_t size = shape & SHAPE_SIZE;
        size_t distance = (bytes_get32(in + 1) & distance_mask[kind]) + (shape & SHAPE_DISTANCE);
        /* Less than a piece: it repeats itself.  A literal has none, and passes. */
        size_t judged = choose(is_literal, PIECE, distance);
        if (UNLIKELY(size == 0 || judged < PIECE || judged > (size_t)(out - u->out_begin)))
            break;
        uintptr_t from = choose(is_literal, (uintptr_t)(in + 1), (uintptr_t)(out - distance));
        copy_element(out, (const uint8_t *)from);
        in = (const uint8_t *)choose(is_literal, (uintptr_t)behind_literal, (uintptr_t)behind_copy);
        out += size;
        tag = next;
    }
    u->in = in;
    u->out = out;
}

bool snappy_decode(struct slice body, char *out, size_t size)
{
    size_t declared;
    size_t head = read_size(body, &declared);
    if (head == 0 || declared != size)
        return false;
    struct unpacker u = {.in = (const uint8_t *)body.data + head,
                         .in_end = (const uint8_t *)body.data + body.size,
                         .out = (uint8_t *)out,
                         .out_begin = (uint8_t *)out,
                         .out_end = (uint8_t *)out + size};
    while (u.in < u.in_end) {
        if (u.in_end - u.in >= NEAR && u.out_end - u.out >= ELEMENT_MAX)
            unpack_fast(&u);
        if (u.in < u.in_end && !unpack_carefully(&u))
            return false;
    }
    return u.out == u.out_end;
}
