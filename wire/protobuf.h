/*
 * protobuf.h - walking and writing Protocol Buffers fields, inside wire/ only.
 *
 * A proto_cursor walks the fields of one message, which lies somewhere in a
 * body.  proto_next() checks tag, wire type and length and gives one field at a
 * time; the first failure is kept with its offset in the whole body.  Groups
 * (wire types 3 and 4) died before proto3 and are refused, so nothing recurses.
 */
#ifndef WIRE_PROTOBUF_H
#define WIRE_PROTOBUF_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct error;

enum proto_type { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto_cursor {
    const uint8_t *start; /* of the whole body, for offsets */
    const uint8_t *at;
    const uint8_t *end; /* of this message */
    const char *problem;
    const uint8_t *problem_at;
};

struct proto_field {
    uint32_t number;
    enum proto_type type;
    uint64_t value;       /* varint, fixed64 and fixed32 */
    struct slice bytes;   /* PROTO_BYTES */
    const uint8_t *begin; /* of the field's tag */
};

static inline struct proto_cursor proto_cursor_of(struct slice body)
{
    const uint8_t *data = (const uint8_t *)(body.data ? body.data : "");
    return (struct proto_cursor){.start = data, .at = data, .end = data + body.size};
}

/* A cursor over a message inside the body that `outer` walks. */
static inline struct proto_cursor proto_cursor_inside(const struct proto_cursor *outer,
                                                      struct slice message)
{
    const uint8_t *data = (const uint8_t *)message.data;
    return (struct proto_cursor){.start = outer->start, .at = data, .end = data + message.size};
}

static inline bool proto_fail(struct proto_cursor *c, const uint8_t *at, const char *problem)
{
    c->problem = problem;
    c->problem_at = at;
    return false;
}

/* The rest of a varint of more than one byte; false when malformed. */
bool proto_long_varint(struct proto_cursor *c, uint64_t *value);

static inline bool proto_varint(struct proto_cursor *c, uint64_t *value)
{
    if (LIKELY(c->at < c->end && *c->at < 0x80)) {
        *value = *c->at++;
        return true;
    }
    return proto_long_varint(c, value);
}

/* Everything but the most common field kinds. */
bool proto_rare_field(struct proto_cursor *c, struct proto_field *field, uint64_t tag);

/* The next field.  False at the end and on failure: then `problem` is set. */
static inline bool proto_next(struct proto_cursor *c, struct proto_field *field)
{
    uint64_t tag, size;

    if (c->at >= c->end)
        return false;
    field->begin = c->at;
    if (UNLIKELY(!proto_varint(c, &tag)))
        return false;
    if (UNLIKELY((tag & 7) != PROTO_BYTES || tag < 8 || tag > UINT32_MAX))
        return proto_rare_field(c, field, tag);
    if (UNLIKELY(!proto_varint(c, &size)))
        return false;
    if (UNLIKELY(size > (uint64_t)(c->end - c->at)))
        return proto_fail(c, field->begin, "a field runs past the end of its message");
    field->number = (uint32_t)(tag >> 3);
    field->type = PROTO_BYTES;
    field->bytes = slice_of(c->at, (size_t)size);
    c->at += size;
    return true;
}

/* Does `field` have the wire type that its definition wants?  Sets the problem if not. */
static inline bool proto_expect(struct proto_cursor *c, const struct proto_field *field,
                                enum proto_type type)
{
    return LIKELY(field->type == type) ||
           proto_fail(c, field->begin, "a known field has the wrong wire type");
}

/* Hand the problem of a cursor over a message inside to the one around it. */
static inline bool proto_lift(struct proto_cursor *outer, const struct proto_cursor *inner)
{
    return proto_fail(outer, inner->problem_at, inner->problem);
}

/* Fill `err` with ERR_INVALID from the cursor's problem; false. */
bool proto_error(const struct proto_cursor *c, const char *what, struct error *err);

/* Writing: tag and value; proto3 leaves out zero and empty values, the caller decides. */
void proto_put_bytes(struct buffer *out, uint32_t number, struct slice bytes);
void proto_put_varint(struct buffer *out, uint32_t number, uint64_t value);
void proto_put_fixed64(struct buffer *out, uint32_t number, uint64_t value);
/* Only tag and size of a message that the caller writes next. */
void proto_put_header(struct buffer *out, uint32_t number, size_t size);
/* Bytes that proto_put_bytes (or _varint) will take. */
size_t proto_bytes_size(uint32_t number, size_t size);
size_t proto_varint_field_size(uint32_t number, uint64_t value);

#endif
