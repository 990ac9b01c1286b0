/*
 * line_grams.h - which pieces of lines and needles line_index.h notes: their minimizers.
 */
#ifndef STORAGE_LINE_GRAMS_H
#define STORAGE_LINE_GRAMS_H

#include "base/array.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Elements as numbers below 2^63; words once each, ids perhaps several times. */
struct line_grams {
    ARRAY(uint64_t) words;
    ARRAY(uint64_t) ids;
    size_t count_max;
};

/* Of lines with `text` bytes in all; false: more than count_max different ones of a kind. */
bool line_grams_of_lines(struct line_grams *grams, const struct slice *lines, size_t count,
                         size_t text);

/*
 * Of a needle, which may begin and end inside a code point; `fold`: it stands for other cases, too,
 * so that only ASCII counts.
 */
void line_grams_of_needle(struct line_grams *grams, struct slice needle, bool fold);

void line_grams_done(struct line_grams *grams);

/* Use no special instructions from now on, or again (tests). */
void line_grams_plain(bool plain);

#endif
