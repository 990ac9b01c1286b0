/*
 * predicate.h - what a log reader may assume about the lines that are wanted.
 *
 * A conjunction of conditions on the raw line.  Storage may use it to skip
 * blocks or lines, but never loses a line for which all conditions hold; the
 * cursor says whether it applied the predicate exactly.
 */
#ifndef BASE_PREDICATE_H
#define BASE_PREDICATE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct regex;

struct line_text {
    struct slice literal;      /* the line contains it; used when regex is NULL */
    const struct regex *regex; /* not owned; the line has a match of it */
};

/* One of the texts is there, or (negated) none of them. */
struct line_condition {
    bool negated;
    const struct line_text *texts;
    size_t count;
};

struct predicate {
    const struct line_condition *items;
    size_t count;
};

#endif
