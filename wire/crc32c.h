/*
 * crc32c.h - the checksum of Prometheus' block files: CRC-32 with Castagnoli's polynomial.
 */
#ifndef WIRE_CRC32C_H
#define WIRE_CRC32C_H

#include "base/slice.h"

#include <stdint.h>

uint32_t crc32c(struct slice bytes);

#endif
