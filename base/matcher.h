/*
 * matcher.h - one condition on a label: =, !=, =~ or !~.
 *
 * A label that a series lacks counts as the empty string.  Regexes are fully
 * anchored and their `.` matches newlines.
 */
#ifndef BASE_MATCHER_H
#define BASE_MATCHER_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>

struct error;
struct regex;

enum matcher_type { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct matcher {
    enum matcher_type type;
    struct slice name;
    struct slice value;  /* the literal or the pattern */
    struct regex *regex; /* owned, for the last two types */
};

/* `name` and `value` must outlive the matcher.  Fails when a pattern is not valid. */
bool matcher_init(struct matcher *m, enum matcher_type type, struct slice name, struct slice value,
                  struct error *err) MUST_CHECK;
void matcher_done(struct matcher *m);

/* 1 yes, 0 no, -1 a regex could not decide (err is filled). */
int matcher_test(const struct matcher *m, struct slice value, struct error *err) MUST_CHECK;

/* The same for all of `matchers` on a label set. */
int matchers_test(const struct matcher *matchers, size_t count, struct labels labels,
                  struct error *err) MUST_CHECK;

bool matcher_matches_empty(const struct matcher *m);

/* "=", "!=", "=~" or "!~". */
const char *matcher_operator(enum matcher_type type);

#endif
