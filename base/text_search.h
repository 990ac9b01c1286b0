/*
 * text_search.h - searching large texts for a needle, many bytes at a time.
 *
 * A needle is prepared once: the two of its bytes that are rarest in logs are compared with 32
 * places at once (AVX2, where the processor has it), and only where both stand the rest is
 * compared.  A folded needle is found in any case of its ASCII letters.
 */
#ifndef BASE_TEXT_SEARCH_H
#define BASE_TEXT_SEARCH_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct needle {
    struct slice text; /* not owned; folded: in lower case, ASCII only */
    bool fold;
    uint32_t at[2];   /* offsets of two rare bytes, ascending */
    uint8_t byte[2];  /* the bytes there */
    uint8_t other[2]; /* 0x20 when a letter in any case is meant, else 0 */
};

/* `text` must outlive the needle. */
struct needle needle_of(struct slice text, bool fold);

/* The first place at or behind `from`, or SLICE_NOT_FOUND.  An empty needle stands everywhere. */
size_t needle_find(const struct needle *needle, struct slice text, size_t from);
/* The same without special instructions. */
size_t needle_find_plain(const struct needle *needle, struct slice text, size_t from);

/* Has the text a Kelvin sign or a long s?  Those fold to k and s, which bytes do not tell. */
bool text_has_odd_folds(struct slice text);

#endif
