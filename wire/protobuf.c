/* protobuf.c - the rarer half of walking Protocol Buffers, and writing them (see protobuf.h). */
#include "wire/protobuf.h"

#include "base/buffer.h"
#include "base/error.h"

bool proto_long_varint(struct proto_cursor *c, uint64_t *value)
{
    uint64_t sum = 0;
    const uint8_t *begin = c->at;

    for (unsigned i = 0; i < VARINT_SIZE_MAX; i++) {
        if (c->at >= c->end)
            return proto_fail(c, begin, "a number is cut off");
        uint8_t byte = *c->at++;
        if (i == VARINT_SIZE_MAX - 1 && byte > 1)
            return proto_fail(c, begin, "a number has more than 64 bits");
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = sum;
            return true;
        }
    }
    return proto_fail(c, begin, "a number has more than 64 bits");
}

static bool take_fixed(struct proto_cursor *c, struct proto_field *field, size_t size)
{
    if ((size_t)(c->end - c->at) < size)
        return proto_fail(c, field->begin, "a field runs past the end of its message");
    field->value = size == 8 ? bytes_get64(c->at) : bytes_get32(c->at);
    c->at += size;
    return true;
}

bool proto_rare_field(struct proto_cursor *c, struct proto_field *field, uint64_t tag)
{
    if (tag > UINT32_MAX)
        return proto_fail(c, field->begin, "a field number is out of range");
    if (tag < 8)
        return proto_fail(c, field->begin, "a field has number 0");
    field->number = (uint32_t)(tag >> 3);
    field->bytes = (struct slice){NULL, 0};
    switch (tag & 7) {
    case PROTO_VARINT:
        field->type = PROTO_VARINT;
        return proto_varint(c, &field->value);
    case PROTO_FIXED64:
        field->type = PROTO_FIXED64;
        return take_fixed(c, field, 8);
    case PROTO_FIXED32:
        field->type = PROTO_FIXED32;
        return take_fixed(c, field, 4);
    default:
        return proto_fail(c, field->begin, "a field has a wire type that does not exist");
    }
}

bool proto_error(const struct proto_cursor *c, const char *what, struct error *err)
{
    size_t offset = (size_t)(c->problem_at - c->start);
    return error_set_at(err, ERR_INVALID, offset, "%s: %s, at byte %zu", what, c->problem, offset);
}

static uint64_t tag_of(uint32_t number, enum proto_type type)
{
    return (uint64_t)number << 3 | (uint64_t)type;
}

void proto_put_header(struct buffer *out, uint32_t number, size_t size)
{
    buffer_put_varint(out, tag_of(number, PROTO_BYTES));
    buffer_put_varint(out, size);
}

void proto_put_bytes(struct buffer *out, uint32_t number, struct slice bytes)
{
    proto_put_header(out, number, bytes.size);
    buffer_append_slice(out, bytes);
}

void proto_put_varint(struct buffer *out, uint32_t number, uint64_t value)
{
    buffer_put_varint(out, tag_of(number, PROTO_VARINT));
    buffer_put_varint(out, value);
}

void proto_put_fixed64(struct buffer *out, uint32_t number, uint64_t value)
{
    buffer_put_varint(out, tag_of(number, PROTO_FIXED64));
    buffer_put64(out, value);
}

size_t proto_bytes_size(uint32_t number, size_t size)
{
    return varint_size(tag_of(number, PROTO_BYTES)) + varint_size(size) + size;
}

size_t proto_varint_field_size(uint32_t number, uint64_t value)
{
    return varint_size(tag_of(number, PROTO_VARINT)) + varint_size(value);
}
