/*
 * pattern_miner.h - finds the patterns in log lines, in bounded memory.
 *
 * A pattern is a line whose variable words are <_>, written so that the line
 * filter `|> "pattern"` finds its lines.  Lines are cut into words and
 * delimiters.  A line joins the pattern of the same level and the same
 * delimiters that shares most of its words, if those are at least
 * a third; words that differ become <_>.  At most PATTERNS_MAX patterns are
 * kept: a new one takes the place of the rarest.
 */
#ifndef QUERY_PATTERN_MINER_H
#define QUERY_PATTERN_MINER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct pattern_miner; /* opaque: fields in pattern_miner.c */

enum { PATTERNS_MAX = 300, PATTERN_LINE_MAX = 3000, PATTERN_WORDS_MAX = 100 };

/* Counts by steps of `step_ns` from `start_ns` on; `steps` of them. */
struct pattern_miner *pattern_miner_new(int64_t start_ns, int64_t step_ns, size_t steps);
void pattern_miner_free(struct pattern_miner *miner); /* NULL is fine */

/* A line; times outside of the steps, empty and very long lines are left out. */
void pattern_miner_add(struct pattern_miner *miner, int64_t time_ns, struct slice level,
                       struct slice line);

/* Order the patterns, the most frequent first, and say how many there are; then look at them. */
size_t pattern_miner_finish(struct pattern_miner *miner);
void pattern_append_text(const struct pattern_miner *miner, size_t number, struct buffer *out);
struct slice pattern_level(const struct pattern_miner *miner, size_t number);
uint64_t pattern_count(const struct pattern_miner *miner, size_t number);
/* Lines in each step. */
const uint32_t *pattern_samples(const struct pattern_miner *miner, size_t number);

#endif
