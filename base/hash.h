/*
 * hash.h - the one hash function, XXH3, in 64 and 128 bits.
 *
 * Seed hashes of keys that come from users with hash_seed(), which is random
 * per process; checksums and stored fingerprints use seed 0.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

uint64_t hash64(const void *data, size_t size, uint64_t seed);
struct hash128 hash128(const void *data, size_t size, uint64_t seed);

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

/* A 32-bit checksum of stored bytes (the low half of XXH3-64 with seed 0). */
uint32_t checksum32(const void *data, size_t size);

/* XXH64 with seed 0: only where another program's order must be met. */
uint64_t hash64_foreign(const void *data, size_t size);

/* Random per process, the same for its whole life.  Any thread. */
uint64_t hash_seed(void);

#endif
