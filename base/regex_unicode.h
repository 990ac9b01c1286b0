/*
 * regex_unicode.h - what regular expressions need to know of Unicode: general
 * categories, scripts and simple case folding.
 *
 * The tables are constant and compact; a set of code points is built from them
 * when a pattern asks for it.  Private to base/regex_*.c.
 */
#ifndef BASE_REGEX_UNICODE_H
#define BASE_REGEX_UNICODE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNE_MAX = 0x10FFFF };

/* One category ("Lu") or script ("Greek"): `count` ranges from byte `start` on. */
struct unicode_table {
    const char *name;
    uint16_t start;
    uint16_t count;
};

/*
 * The code points lo..hi and their successors in the ring of those that fold
 * alike: c + delta, or, when delta is 0, the other one of each pair lo+2k, lo+2k+1.
 */
struct unicode_fold {
    uint32_t lo, hi;
    int32_t delta;
};

extern const uint8_t unicode_table_bytes[];
extern const struct unicode_table unicode_tables[];
extern const size_t unicode_table_count;
extern const struct unicode_fold unicode_folds[];
extern const size_t unicode_fold_count;

/* Called for each range of a property, in ascending order within one table. */
typedef void unicode_range_visit(void *context, uint32_t lo, uint32_t hi);

/*
 * Visit the ranges of "Any", of a category ("L" is the union of Ll, Lm, ...) or
 * of a script.  False when there is no such name.
 */
bool unicode_property(struct slice name, unicode_range_visit *visit, void *context);

/* The next code point of those that fold alike; `rune` itself when it is alone. */
uint32_t unicode_fold_next(uint32_t rune);

/* The first run whose end is at or after `rune`; unicode_fold_count when there is none. */
size_t unicode_fold_find(uint32_t rune);

#endif
