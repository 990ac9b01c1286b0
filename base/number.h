/*
 * number.h - numbers and quoted text as Go (and so Prometheus and Loki) reads
 * and prints them.  Nothing here depends on the locale.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buffer;
struct error;

enum { DOUBLE_TEXT_MAX = 400 }; /* the longest output of double_format, NUL included */

/* Whole-text parses; false (output untouched) on anything else or when out of range. */
bool slice_parse_u64(struct slice s, uint64_t *value);
bool slice_parse_i64(struct slice s, int64_t *value);

/*
 * As Go's strconv.ParseFloat(s, 64): decimal, exponent, hex floats, inf, infinity,
 * nan in any case, '_' between digits only with `underscores`.  Out of range
 * gives +-Inf and true (Go reports ErrRange; callers that care compare with isinf).
 */
bool slice_parse_double(struct slice s, bool underscores, double *value);

/*
 * Shortest text that reads back as the same double.  Returns the size; `out`
 * has DOUBLE_TEXT_MAX bytes and is NUL-terminated.
 *   'f'  strconv.FormatFloat(v, 'f', -1, 64)
 *   'e'  ... 'e'
 *   'g'  strconv.FormatFloat(v, 'g', -1, 64), which is Go's %v: 0.0001, 1e-05, 123456, 1e+06
 *   'j'  what Prometheus' JSON API prints: 'f', but 'e' when |v| < 1e-6 or >= 1e21;
 *        (the caller adds quotes)
 * All forms print NaN, +Inf and -Inf by name.
 */
size_t double_format(char out[DOUBLE_TEXT_MAX], double v, char form);
void buffer_append_double(struct buffer *b, double v, char form);

void buffer_append_u64(struct buffer *b, uint64_t v);
void buffer_append_i64(struct buffer *b, int64_t v);

/* As Go's strconv.Quote: "..." with escapes. */
void buffer_append_quoted(struct buffer *b, struct slice s);

/*
 * The value of a quoted string literal `s` (quotes included): "..." and '...'
 * with Go's escapes, `...` raw.  With `single` false '...' is refused, as in
 * LogQL.  The result lies in `arena` (or in `s` itself when nothing is escaped).
 */
bool slice_unquote(struct arena *arena, struct slice s, bool single, struct slice *value,
                   struct error *err) MUST_CHECK;

#endif
