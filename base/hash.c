/* hash.c - XXH3 from libxxhash (see hash.h). */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>

uint64_t hash64(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128(const void *data, size_t size, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(data, size, seed);
    return (struct hash128){h.low64, h.high64};
}

uint32_t checksum32(const void *data, size_t size)
{
    return (uint32_t)XXH3_64bits(data, size);
}

uint64_t hash64_foreign(const void *data, size_t size)
{
    return XXH64(data, size, 0);
}

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed;

static void seed_make(void)
{
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t hash_seed(void)
{
    pthread_once(&seed_once, seed_make);
    return seed;
}
