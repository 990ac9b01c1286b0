/*
 * regex_pcre.h - the one module that knows PCRE2.
 *
 * Takes patterns that regex_emit.c wrote.  Matching gives up early instead of
 * backtracking for long: the caller then asks the linear matcher.  Private to
 * base/regex*.c; a compiled pattern may be used by any number of threads.
 */
#ifndef BASE_REGEX_PCRE_H
#define BASE_REGEX_PCRE_H

#include "base/regex.h"

struct regex_pcre; /* opaque: fields in regex_pcre.c */

/* NULL when PCRE2 cannot take the pattern (too large, nested too deeply). */
struct regex_pcre *regex_pcre_new(struct slice pattern);
void regex_pcre_free(struct regex_pcre *pcre); /* NULL is fine */

/* `text` must be valid UTF-8.  1 match, 0 no match, -1 gave up. */
int regex_pcre_find(const struct regex_pcre *pcre, struct slice text, size_t from,
                    struct regex_span *spans, size_t span_max);

#endif
