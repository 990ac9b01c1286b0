/* buffer.c - geometric growth up to a limit (see buffer.h). */
#include "base/buffer.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>

void buffer_init(struct buffer *b, size_t size_max)
{
    *b = (struct buffer){.size_max = size_max};
}

void buffer_done(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
}

char *buffer_reserve(struct buffer *b, size_t size)
{
    if (b->failed || size > b->size_max - b->size) {
        b->failed = true;
        return NULL;
    }
    size_t needed = b->size + size;
    if (needed > b->capacity || b->data == NULL) {
        size_t grown = b->capacity < 64 ? 64 : b->capacity * 2;
        if (grown < needed)
            grown = needed;
        if (grown > b->size_max)
            grown = b->size_max > needed ? b->size_max : needed;
        char *bigger = realloc(b->data, grown ? grown : 1);
        if (bigger == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = bigger;
        b->capacity = grown;
    }
    return b->data + b->size;
}

void buffer_advance(struct buffer *b, size_t size)
{
    assert(size <= b->capacity - b->size);
    b->size += size;
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    char *room = buffer_reserve(b, size);
    if (room == NULL)
        return;
    memcpy(room, data, size);
    b->size += size;
}

void buffer_append_slice(struct buffer *b, struct slice s)
{
    buffer_append(b, s.data, s.size);
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_byte(struct buffer *b, char byte)
{
    buffer_append(b, &byte, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        b->failed = true;
        return;
    }
    char *room = buffer_reserve(b, (size_t)size + 1);
    if (room == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(room, (size_t)size + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)size;
}

void buffer_truncate(struct buffer *b, size_t size)
{
    assert(size <= b->size);
    b->size = size;
}

bool buffer_check(const struct buffer *b, const char *what, struct error *err)
{
    if (!b->failed)
        return true;
    return error_set(err, ERR_LIMIT, "%s needs more than %zu bytes, the limit", what, b->size_max);
}
