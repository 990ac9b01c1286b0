/*
 * buffer.h - bytes that grow, up to a limit.
 *
 * Appending to a buffer whose limit would be exceeded sets `failed` and
 * changes nothing; every later append is then ignored, so an encoder checks
 * once at its end.  Only `data`, `size` and `failed` may be read from outside.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct buffer {
    char *data; /* NULL while empty */
    size_t size;
    size_t capacity;
    size_t size_max;
    bool failed; /* sticky: the limit was hit */
};

void buffer_init(struct buffer *b, size_t size_max);
void buffer_done(struct buffer *b); /* frees; for AUTO as well; a zeroed buffer is fine */

/* Empty it, keep its memory, forget `failed`. */
void buffer_clear(struct buffer *b);

/* Room for `size` more bytes at the end: a pointer to them, or NULL. */
char *buffer_reserve(struct buffer *b, size_t size);

/* Declare `size` bytes, written behind the end after buffer_reserve, as content. */
void buffer_advance(struct buffer *b, size_t size);

void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_append_slice(struct buffer *b, struct slice s);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_byte(struct buffer *b, char byte);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Cut to `size` bytes, which must not be more than there are. */
void buffer_truncate(struct buffer *b, size_t size);

static inline struct slice buffer_slice(const struct buffer *b)
{
    return slice_of(b->data, b->size);
}

/* Returns false and fills `err` with ERR_LIMIT when an append failed. */
bool buffer_check(const struct buffer *b, const char *what, struct error *err) MUST_CHECK;

#endif
