/*
 * simd.h - the inner loops of the codecs, for this machine.
 *
 * Each loop exists twice: in plain C, which says what it does, and for AVX2.  Both
 * give the same bits; tests compare them.  Any thread.
 */
#ifndef STORAGE_SIMD_H
#define STORAGE_SIMD_H

#include <stddef.h>
#include <stdint.h>

enum { SIMD_SLACK = 16 /* unpack reads up to so many bytes behind its input */ };

struct simd {
    const char *name;
    /* `count` numbers of `width` (0 to 64) bits, the lowest bit first, each plus `base`. */
    void (*unpack)(const uint8_t *in, size_t count, unsigned width, uint64_t base, uint64_t *out);
    /* In place: numbers[i] = first + (x << shift), x the sum of numbers up to i and `*sum`. */
    void (*sum)(uint64_t *numbers, size_t count, unsigned shift, uint64_t first, uint64_t *sum);
    /* In place: from integers to doubles, divided by `divisor` unless that is 1. */
    void (*to_doubles)(void *numbers, size_t count, double divisor);
    /* numbers[i] = first + i * step */
    void (*line)(uint64_t *numbers, size_t count, uint64_t first, uint64_t step);
};

extern const struct simd simd_plain;

/* The fastest for this machine. */
const struct simd *simd_best(void);

#endif
