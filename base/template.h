/*
 * template.h - Go's text/template over one log line, with the functions of Loki.
 *
 *     {{ .label | upper }}  {{ if eq .level "error" }}!{{ end }}  {{ __line__ }}
 *
 * The dot is the map of labels, a missing label is the empty text.  Parsing knows
 * all functions, so that a wrong name is an error of the query, not of a line.  A
 * compiled template is immutable; running it costs memory in the caller's arena
 * only, depth and output are limited.
 */
#ifndef BASE_TEMPLATE_H
#define BASE_TEMPLATE_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buffer;
struct error;
struct text_template; /* opaque: fields in template_tree.h */

/* What a line offers. */
struct template_input {
    struct slice (*lookup)(void *context, struct slice label); /* "" when there is none */
    struct labels (*all)(void *context, struct arena *arena);  /* sorted by name */
    void *context;
    struct slice line;
    int64_t time_ns;
};

/*
 * Compile `text` in `arena`, which it must not outlive; `name` stands in messages
 * ("line", "label").  NULL and ERR_INVALID with Go's text for a template that is wrong.
 */
const struct text_template *template_new(struct slice text, const char *name, struct arena *arena,
                                         struct error *err) MUST_CHECK;

/* The whole text when it is plain, without any action. */
bool template_is_plain(const struct text_template *t, struct slice *text);

/*
 * Append the result to `out`.  False and ERR_EXECUTION when an action fails (what was
 * appended is then of no use), ERR_LIMIT over the limits of `scratch` or `out`.
 */
bool template_run(const struct text_template *t, const struct template_input *input,
                  struct arena *scratch, struct buffer *out, struct error *err) MUST_CHECK;

#endif
