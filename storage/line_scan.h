/*
 * line_scan.h - which lines of a block satisfy a predicate, found by searching the whole text.
 *
 * Every condition is turned into needles: its literals, or literals that each match of its regexes
 * has.  A needle is searched through the block at once, line borders are looked up only at hits,
 * and a regex runs only over lines with a hit, unless the needles already say it all.
 */
#ifndef STORAGE_LINE_SCAN_H
#define STORAGE_LINE_SCAN_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct line_scan; /* immutable: any number of threads; opaque: line_scan.c */
struct predicate;

/* NULL when there is nothing to test.  `predicate` must outlive it. */
struct line_scan *line_scan_new(const struct predicate *predicate);
void line_scan_free(struct line_scan *scan); /* NULL is fine */

/* One line.  1: it satisfies the predicate, 0: not, -1: failed. */
int line_scan_line(const struct line_scan *scan, struct slice line, struct error *err) MUST_CHECK;

/*
 * `count` lines that lie one behind the other in `text`, the i-th from offsets[i] to offsets[i +
 * 1]. Bit i of `kept` (room for count bits in whole words) tells whether line i satisfies the
 * predicate.
 */
bool line_scan_block(const struct line_scan *scan, struct slice text, const uint32_t *offsets,
                     size_t count, uint64_t *kept, struct error *err) MUST_CHECK;

#endif
