/*
 * byte_size.h - sizes in bytes as text, the way go-humanize reads and prints
 * them: KB is 1,000, KiB is 1,024, units in any case.
 */
#ifndef BASE_BYTE_SIZE_H
#define BASE_BYTE_SIZE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;

/* "5 MB", "1.5KiB", "100", "1,000kb". */
bool byte_size_parse(struct slice text, uint64_t *bytes);

/* "2.6kB", "5.0kB", "512B": decimal units, one digit below 10. */
void buffer_append_byte_size(struct buffer *b, uint64_t bytes);

#endif
