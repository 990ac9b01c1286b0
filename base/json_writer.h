/*
 * json_writer.h - JSON text straight into a buffer.
 *
 *     struct json_writer w;
 *     json_writer_init(&w, &out);
 *     json_write_object_begin(&w);
 *     json_write_key(&w, SLICE("status"));
 *     json_write_string(&w, SLICE("success"));
 *     json_write_object_end(&w);
 *
 * Commas and colons are written by themselves.  That keys stand in objects
 * only, that each has a value and that every begin has its end is asserted:
 * a mistake there is our bug.  A buffer over its limit is noticed by the caller
 * with buffer_check() at the end.
 */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_WRITER_DEPTH_MAX = 64 };

struct json_writer {
    struct buffer *out;
    uint32_t depth;
    bool comma;         /* the next element needs one before it */
    bool after_key;     /* the next thing must be a value */
    uint64_t is_object; /* a bit for each level */
};

void json_writer_init(struct json_writer *w, struct buffer *out);

void json_write_object_begin(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array_begin(struct json_writer *w);
void json_write_array_end(struct json_writer *w);

void json_write_key(struct json_writer *w, struct slice key);
void json_write_string(struct json_writer *w, struct slice value);
void json_write_i64(struct json_writer *w, int64_t value);
void json_write_u64(struct json_writer *w, uint64_t value);
void json_write_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);

/* A double in `form` of double_format; `quoted` ones may be NaN or infinite, others become null. */
void json_write_double(struct json_writer *w, double value, char form, bool quoted);

/* Text that is JSON already: one whole value. */
void json_write_raw(struct json_writer *w, struct slice json);

/*
 * For whoever writes many values by hand: after json_write_value_begin, exactly one
 * value has to be appended to `out` directly.
 */
void json_write_value_begin(struct json_writer *w);

/* ASCII without anything to escape: stands as it is between quotes (false may be too careful). */
bool json_is_plain(struct slice s);

/*
 * A string with its quotes.  Escaped are the quote, the backslash and control
 * characters (\n \r \t, else \u00xx); invalid UTF-8 becomes \ufffd.  With
 * `html`, as Go's encoding/json does by default, < > & and U+2028, U+2029, too.
 */
void json_append_string(struct buffer *out, struct slice s, bool html);

#endif
