/*
 * regex.h - regular expressions with RE2's grammar and meaning, on PCRE2.
 *
 * Patterns are checked against RE2's grammar first: what RE2 does not know
 * (backreferences, lookaround, \K, verbs, possessive and atomic groups, ...) is
 * an error.  `$` is the end of the text, never before a final newline.
 * Repeats are at most 1,000.  Invalid UTF-8 in a subject reads as U+FFFD.
 * Hitting PCRE2's limits falls back to a linear matcher; when that cannot
 * decide either, the match fails with an error: it is never "no match".
 *
 * A compiled regex is immutable and may be used by any number of threads.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct regex; /* opaque: fields in regex.c */

enum regex_flags {
    REGEX_ANCHORED = 1,    /* must match the whole text: ^(?:...)$ */
    REGEX_DOT_NEWLINE = 2, /* `.` matches a newline, as in Prometheus' matchers */
    REGEX_IGNORE_CASE = 4  /* as a leading (?i) */
};

enum { REGEX_PATTERN_SIZE_MAX = 64 * 1024, REGEX_GROUPS_MAX = 200 };

/* The caller owns the result.  Errors name the offending part of the pattern. */
struct regex *regex_new(struct slice pattern, unsigned flags, struct error *err) MUST_CHECK;
void regex_free(struct regex *regex); /* NULL is fine */

/* 1 match, 0 no match, -1 failed (err is filled). */
int regex_match(const struct regex *regex, struct slice text, struct error *err) MUST_CHECK;

/* Where the match and its groups lie; group 0 is the whole match.  Start SIZE_MAX: not set. */
struct regex_span {
    size_t start, end;
};

/*
 * Search `text` from byte `from` on.  Fills up to `span_max` spans.  Returns
 * as regex_match.
 */
int regex_find(const struct regex *regex, struct slice text, size_t from, struct regex_span *spans,
               size_t span_max, struct error *err) MUST_CHECK;

/* Number of capture groups (without group 0), and the name of group 1..count ("" if unnamed). */
size_t regex_group_count(const struct regex *regex);
struct slice regex_group_name(const struct regex *regex, size_t group);

/*
 * Expand `$1`, `${1}`, `$name`, `${name}`, `$$` of Go's Regexp.Expand in `template`
 * for the match in `spans`, appending to `out`.
 */
struct buffer;
void regex_expand(const struct regex *regex, struct slice template, struct slice text,
                  const struct regex_span *spans, size_t span_count, struct buffer *out);

/*
 * Shortcuts for indexes.  When the whole (anchored) pattern is an alternation of
 * literals, `*values` lists them (owned by the regex) and true is returned: then
 * the regex matches exactly those texts.
 */
bool regex_literals(const struct regex *regex, const struct slice **values, size_t *count);

/* A literal that every match starts with (anchored patterns), or the empty slice. */
struct slice regex_prefix(const struct regex *regex);

/* A literal that every matching text contains, in exact case, or the empty slice. */
struct slice regex_required(const struct regex *regex);

/*
 * Alternatives: a text with a match contains at least one of them.  A folded one is ASCII in lower
 * case and stands there in any case, a Kelvin sign or long s for k or s included.
 */
struct regex_literal {
    struct slice text;
    bool fold;
};

/* Their number, 0 when none are known.  They live as long as the regex. */
size_t regex_alternatives(const struct regex *regex, const struct regex_literal **items);

/* Does every text match that contains one of them? */
bool regex_is_alternatives(const struct regex *regex);

bool regex_matches_empty(const struct regex *regex);

#endif
