/*
 * labels.h - label sets.
 *
 * A canonical label set is sorted by name (bytewise), has no duplicate name
 * and no empty value.  That is what identifies a series (with tenant and
 * kind).  A struct labels never owns its bytes: an arena, a symbol table or a
 * request body does.  Sets built by the query layer may hold empty values
 * where a language needs them; nothing here depends on their absence except
 * labels_canonicalise.
 */
#ifndef BASE_LABELS_H
#define BASE_LABELS_H

#include "base/compiler.h"
#include "base/hash.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buffer;
struct error;

struct label {
    struct slice name;
    struct slice value;
};

struct labels {
    const struct label *items; /* sorted by name */
    size_t count;
};

#define LABEL_NAME_METRIC SLICE("__name__")

/* Limits on what comes from outside; a zero means no limit. */
struct label_limits {
    size_t count_max;      /* labels in a set */
    size_t name_size_max;  /* bytes */
    size_t value_size_max; /* bytes */
};

/*
 * Sort `items` in place, drop those with an empty value, refuse duplicate
 * names, empty names, names or values that are not UTF-8, and sets over the
 * limits.  `*count` becomes what is left.
 */
bool labels_canonicalise(struct label *items, size_t *count, const struct label_limits *limits,
                         struct error *err) MUST_CHECK;

/* The value of label `name`; the empty slice (data NULL) when there is none. */
struct slice labels_get(struct labels labels, struct slice name);
bool labels_has(struct labels labels, struct slice name);

bool labels_equal(struct labels a, struct labels b);

/* Prometheus' order: label by label, name then value, bytewise; a prefix sorts first. */
int labels_compare(struct labels a, struct labels b);

/*
 * The 128-bit fingerprint that is stored on disk: XXH3-128 (seed 0) over
 * name 0xFF value 0xFF for each label in order.
 */
struct hash128 labels_fingerprint(struct labels labels);

/* A 64-bit hash for tables in memory (seeded per process). */
uint64_t labels_hash(struct labels labels);

/* Prometheus' and Loki's hash of a label set: by it Loki orders streams with equal times. */
uint64_t labels_hash_foreign(struct labels labels);

/*
 * Copies into an arena; `items` NULL when over the arena's limit.  labels_copy
 * copies names and values too; the others share them.
 */
struct labels labels_copy(struct arena *arena, struct labels labels);
/* Only the named labels (`keep`), or all but them; `names` need not be sorted. */
struct labels labels_select(struct arena *arena, struct labels labels, const struct slice *names,
                            size_t name_count, bool keep);
/* With `name` set to `value` (an empty value removes it). */
struct labels labels_with(struct arena *arena, struct labels labels, struct slice name,
                          struct slice value);

/* {a="b", c="d"} with Go-style escapes in the values; Loki's and Prometheus' text form. */
void labels_append_text(struct buffer *out, struct labels labels);

/* A valid label name of the classic kind: [a-zA-Z_][a-zA-Z0-9_]*; a metric name may have ':'. */
bool label_name_is_classic(struct slice name);
bool metric_name_is_classic(struct slice name);

/* For qsort: struct label by name, then value. */
int label_compare(const void *a, const void *b);

#endif
