/*
 * store_read.h - views, cursors and entry streams; a part of store.h, which includes it.
 */
#ifndef STORAGE_STORE_READ_H
#define STORAGE_STORE_READ_H

#include "base/compiler.h"
#include "base/labels.h"
#include "storage/store_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct histogram;
struct matcher;
struct predicate;
struct store;

enum cursor_projection {
    CURSOR_TIMES = 1,
    CURSOR_VALUES = 2,
    CURSOR_LENGTHS = 4, /* line lengths without the text */
    CURSOR_LINES = 8,
    CURSOR_METADATA = 16, /* structured metadata */
    CURSOR_LAST = 32      /* metrics: only the last sample in the range matters, others may lack */
};

/*
 * Cursors of their own see one moment each.  Those that are opened with a view all see
 * the view's, so that a query with several selectors sees the same batches in each.  A
 * view is taken for the matchers that will be asked for; the cursor is told the very
 * same array, and sees a moment of its own for another one.
 */
struct store_view; /* opaque: fields in view.h */
struct view_selector {
    const struct matcher *matchers; /* must outlive the view */
    size_t count;
};
struct store_view *store_view_open(struct store *store, struct slice tenant, enum store_kind kind,
                                   const struct view_selector *selectors, size_t count,
                                   size_t memory_max, const bool *cancel, struct error *err)
    MUST_CHECK;
void store_view_close(struct store_view *view); /* NULL is fine */

struct cursor_request {
    struct slice tenant;
    enum store_kind kind;
    const struct matcher *matchers;
    size_t matcher_count;
    int64_t start_ns, end_ns; /* both included */
    bool backward;            /* entries newest first (logs only) */
    unsigned projection;
    const struct predicate *predicate; /* logs; NULL: none.  Must outlive the cursor. */
    size_t series_max;                 /* ERR_LIMIT when more match; 0: no limit */
    size_t memory_max;                 /* for labels and decoded columns; 0: 256 MiB */
    const bool *cancel; /* read with __atomic; NULL: never; true ends with ERR_CANCELED */
    const struct store_view *view; /* of the same tenant and kind; NULL: this moment's */
    struct store_damage *damage;   /* NULL: damage is an error; must outlive the cursor */
};

struct cursor; /* opaque: fields in cursor.c */

/*
 * Select the series that match and may have entries in the range, in the order of
 * labels_compare().  An unknown tenant gives an empty cursor.
 *
 * Wherever something is read (here, in views and in store_names) a tenant may be several,
 * "a|b", at most STORE_TENANTS_MAX: their series get the label __tenant_id__, and matchers on
 * it choose among them.
 */
struct cursor *cursor_open(struct store *store, const struct cursor_request *request,
                           struct error *err) MUST_CHECK;
void cursor_close(struct cursor *cursor); /* NULL is fine */

size_t cursor_series_count(const struct cursor *cursor);
/* Valid until the cursor is closed.  Any thread. */
struct labels cursor_labels(const struct cursor *cursor, size_t series);

/* A reader decodes the cursor's series; several threads may use one each. */
struct cursor_reader;
struct cursor_reader *cursor_reader_new(struct cursor *cursor);
void cursor_reader_free(struct cursor_reader *reader); /* NULL is fine */

/*
 * Metric samples of one series in the range, ascending; arrays and histograms are
 * valid until the reader's next call.  The value of a histogram is its sum (so the
 * value of a stale marker is one, too).  The hint of a histogram is what was
 * stored when that was RESET or GAUGE; otherwise RESET or NOT_RESET by comparison
 * with the sample before it, UNKNOWN when none is at hand, or it is a
 * float, stale, or a gauge.
 */
struct sample_column {
    const int64_t *times_ns;
    const double *values;
    size_t count;
    const struct histogram *const *histograms; /* NULL: floats only; NULL entries: floats */
    const int64_t *starts_ns;                  /* NULL: none known; 0: not known */
};
bool cursor_read_samples(struct cursor_reader *reader, size_t series, struct sample_column *out,
                         struct error *err) MUST_CHECK;

/*
 * Log entries of one series, block by block in the cursor's direction.  Entries
 * with equal times come in ingest order (forward) or reverse ingest order
 * (backward).  NULL columns were not asked for.
 */
struct entry_block {
    const int64_t *times_ns;
    const uint32_t *lengths; /* of the lines */
    const struct slice *lines;
    const struct labels *metadata; /* sorted */
    size_t count;
    bool exact; /* the predicate was applied exactly: every line here satisfies it */
    /* What was looked at for it, lines without a hit included. */
    uint64_t scanned, scanned_bytes;
};
struct entry_stream; /* opaque: fields in cursor.c */

struct entry_stream *entry_stream_open(struct cursor_reader *reader, size_t series,
                                       struct error *err) MUST_CHECK;
void entry_stream_close(struct entry_stream *stream); /* NULL is fine */

/*
 * No entry still to come lies before (backward: after) this time; INT64_MAX
 * (backward: INT64_MIN) when there is none.  Cheap: decodes nothing.
 */
int64_t entry_stream_bound(const struct entry_stream *stream);

/*
 * Whole chunks can be counted without reading them: when all that comes next is one chunk within
 * the range that overlaps nothing and has nothing deleted, and there is no predicate, this tells
 * what it holds; entry_stream_pass() goes on behind it.  Not for streams that are read backward.
 */
struct entry_span {
    int64_t first_ns, last_ns;
    uint64_t count;
};
bool entry_stream_span(const struct entry_stream *stream, struct entry_span *span);
void entry_stream_pass(struct entry_stream *stream);

/* About how many entries the cursor's chunks have, those outside the range included. */
uint64_t cursor_entry_count(const struct cursor *cursor);

/* The next block, valid until the stream's next call; count 0 at the end. */
bool entry_stream_next(struct entry_stream *stream, struct entry_block *out, struct error *err)
    MUST_CHECK;

#endif
