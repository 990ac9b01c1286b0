/*
 * crc32c.c - eight bytes a step by tables (see crc32c.h).
 *
 * The tables are made at the first use; making them twice at once writes the
 * same numbers, and `pthread_once` keeps even that from happening.
 */
#include "wire/crc32c.h"

#include "base/bytes.h"

#include <pthread.h>

enum { STEP = 8 };

static uint32_t tables[STEP][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
    const uint32_t polynomial = 0x82f63b78; /* bits reversed */
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < STEP; k++)
            tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 255];
}

uint32_t crc32c(struct slice bytes)
{
    uint32_t crc = UINT32_MAX;
    const char *at = bytes.data;
    size_t left = bytes.size;
    pthread_once(&once, tables_make);
    for (; left >= STEP; left -= STEP, at += STEP) {
        uint32_t low = bytes_get32(at) ^ crc, high = bytes_get32(at + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
              tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
              tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; left > 0; left--)
        crc = crc >> 8 ^ tables[0][(crc ^ (uint8_t)*at++) & 255];
    return ~crc;
}
