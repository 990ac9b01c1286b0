/*
 * byte_size.h - sizes in bytes as text, the way go-humanize reads
 * them: KB is 1,000, KiB is 1,024, units in any case.
 */
#ifndef QUERY_BYTE_SIZE_H
#define QUERY_BYTE_SIZE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* "5 MB", "1.5KiB", "100", "1,000kb". */
bool byte_size_parse(struct slice text, uint64_t *bytes);

#endif
