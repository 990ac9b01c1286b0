/*
 * line_pattern.h - the pattern language of `| pattern`, `|>` and `!>`.
 *
 * Literal text with captures: <name> or <_>, which keeps nothing.  Two captures
 * never touch.
 */
#ifndef QUERY_LINE_PATTERN_H
#define QUERY_LINE_PATTERN_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

struct pattern_part {
    bool capture;
    struct slice text; /* literal, or the capture's name; empty for <_> */
};

struct line_pattern {
    const struct pattern_part *parts;
    size_t count;
};

/*
 * Compile in `arena`.  `named`: for the parser stage, which needs at least one named
 * capture; else for filters, where named captures are refused.
 */
const struct line_pattern *line_pattern_new(struct arena *arena, struct slice text, bool named,
                                            struct error *err) MUST_CHECK;

/* Does the whole line match? */
bool line_pattern_test(const struct line_pattern *pattern, struct slice line);

#endif
