/*
 * log_labels.h - the labels of one log entry while it runs through a pipeline.
 *
 * A label comes from the stream, from the entry's structured metadata, or from
 * a stage ("parsed").  There is at most one value per name: parsed wins over
 * metadata, metadata over the stream.  `__error__` and `__error_details__` of
 * the pipeline itself are kept apart, as in Loki: a line that carries a field
 * called __error__ gets an ordinary label.
 *
 * One struct per thread: log_labels_stream() when the stream changes, then
 * log_labels_entry() per line, which only forgets what stages added.  Names and
 * values are borrowed; they must live until the next entry.
 */
#ifndef QUERY_LOG_LABELS_H
#define QUERY_LOG_LABELS_H

#include "base/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define LABEL_ERROR         SLICE("__error__")
#define LABEL_ERROR_DETAILS SLICE("__error_details__")

enum label_category { CATEGORY_STREAM, CATEGORY_METADATA, CATEGORY_PARSED };

struct log_label {
    struct slice name, value;
    enum label_category category;
    bool deleted;
    bool extracted; /* a parser set it: later parsers leave it alone */
};

struct log_labels {
    struct log_label *items; /* the stream's labels first */
    size_t count, capacity;
    struct labels stream;
    bool changed;               /* differs from the bare stream */
    bool stream_changed;        /* so do the items of the stream's labels */
    struct slice error;         /* of the pipeline; empty: none */
    struct slice error_details; /* may outlive `error` when a matcher dropped that */
    uint32_t *slots;            /* name -> index + 1, once there are many labels */
    size_t slot_count;
};

void log_labels_init(struct log_labels *l); /* a zeroed struct is initialised, too */
void log_labels_done(struct log_labels *l);

/* A new stream; `stream` must live until the next one. */
void log_labels_stream(struct log_labels *l, struct labels stream);

/* A new entry of that stream: metadata that clashes with a stream label gets "_extracted". */
void log_labels_entry(struct log_labels *l, struct labels metadata, struct arena *scratch);

/* Is there an item of that name, even a deleted one? */
bool log_labels_has(const struct log_labels *l, struct slice name);

/* The label of that name that counts, or NULL. */
const struct log_label *log_labels_find(const struct log_labels *l, struct slice name);

/* As Loki's label filters see it: __error__ is the pipeline's; "" when missing. */
struct slice log_labels_value(const struct log_labels *l, struct slice name);

/*
 * The name under which a parser stores field `name`: with "_extracted" when the
 * stream or the metadata has it already.
 */
struct slice log_labels_parsed_name(const struct log_labels *l, struct slice name,
                                    struct arena *scratch);

/* Has a parser set `name` for this line?  Then the first value stays. */
bool log_labels_is_extracted(const struct log_labels *l, struct slice name);

void log_labels_set(struct log_labels *l, enum label_category category, struct slice name,
                    struct slice value);
/* The same, remembered as a parser's. */
void log_labels_extract(struct log_labels *l, struct slice name, struct slice value);
void log_labels_delete(struct log_labels *l, struct slice name);

/* An error of a stage; the first one stays. */
void log_labels_fail(struct log_labels *l, const char *error, struct slice details);

/*
 * What survived, sorted by name, in `arena`: merged, or only one category.  Errors
 * count as parsed.  NULL items and 0 when the arena is exhausted.
 */
struct labels log_labels_all(const struct log_labels *l, struct arena *arena);
struct labels log_labels_of(const struct log_labels *l, enum label_category category,
                            struct arena *arena);

#endif
