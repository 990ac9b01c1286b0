/*
 * annotations.h - the warnings and infos of one query, each text once.
 *
 * Texts end with the position of the expression they are about, as in
 * "PromQL warning: ... (1:5)".  They live in the query's arena; beyond a small
 * number of different ones the rest is dropped.
 */
#ifndef QUERY_ANNOTATIONS_H
#define QUERY_ANNOTATIONS_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

struct arena;

enum annotation_level { ANNOTATION_WARNING, ANNOTATION_INFO };
enum { ANNOTATION_LEVELS = 2, ANNOTATIONS_MAX = 100 };

struct annotations {
    struct arena *arena;
    struct slice text; /* of the query, for positions */
    struct slice items[ANNOTATION_LEVELS][ANNOTATIONS_MAX];
    size_t count[ANNOTATION_LEVELS];
    uint32_t occurrences[ANNOTATION_LEVELS][ANNOTATIONS_MAX]; /* of counted ones; else 0 */
};

/* `at` is a byte offset in the query's text. */
void annotate(struct annotations *annotations, enum annotation_level level, uint32_t at,
              const char *format, ...) PRINTF_LIKE(4, 5);

/* The same for one whose text says how often it occurred, when that is more than once. */
void annotate_counted(struct annotations *annotations, enum annotation_level level, uint32_t at,
                      const char *format, ...) PRINTF_LIKE(4, 5);

/* Note what `from` has as if it had been noted here; the texts are copied. */
void annotations_merge(struct annotations *to, const struct annotations *from);

/* An annotation as the result shows it; empty over the arena's limit. */
struct slice annotation_text(const struct annotations *annotations, enum annotation_level level,
                             size_t which);

#endif
