/*
 * label_text.h - label sets as text: {app="x", "dotted.name"="y\n"}.
 *
 * Prometheus' syntax with Go's string escapes, as Loki's protobuf push carries it.
 */
#ifndef WIRE_LABEL_TEXT_H
#define WIRE_LABEL_TEXT_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

/*
 * Parse `text` into at most `count_max` labels, in the order in which they stand;
 * escaped values lie in `arena`, the others in `text`.  Fails with ERR_INVALID and the byte
 * offset, or ERR_LIMIT.  Duplicates and empty values are the caller's to judge.
 */
bool label_text_parse(struct arena *arena, struct slice text, struct label *labels,
                      size_t count_max, size_t *count, struct error *err) MUST_CHECK;

#endif
