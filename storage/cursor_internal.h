/*
 * cursor_internal.h - what a cursor holds: a view of one moment.
 *
 * The moment is when the view was taken, under the head's lock: LSN `view->lsn`
 * (see view.h).  Partitions are listed after that,
 * and the sealer lets go of a head chunk only after its transaction; so nothing
 * is missing.  Sealed chunks with a higher LSN than that were in the
 * head at that moment and are left out; what is in both is found equal and
 * given once.  So a cursor sees whole batches only.
 */
#ifndef STORAGE_CURSOR_INTERNAL_H
#define STORAGE_CURSOR_INTERNAL_H

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "storage/chunk_rich.h"
#include "storage/line_index.h"
#include "storage/line_scan.h"
#include "storage/partition.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"
#include "storage/view.h"

enum { CURSOR_MEMORY_DEFAULT = 256 * 1024 * 1024, CANCEL_STEP = 1024 };

/* A series' chunks in one partition. */
struct part_range {
    uint32_t part;
    uint32_t next; /* of the same series, UINT32_MAX: none */
    size_t first, count;
};

struct part {
    struct partition *partition;
    struct chunk_refs refs;
};

struct cursor_series {
    struct labels labels;
    size_t snapshot_first, snapshot_count;
    uint32_t range_first; /* UINT32_MAX: none */
    uint32_t hide_count;  /* what is deleted of it: */
    size_t hide_first;    /* in cursor->hides */
};

/* Of a cursor over several tenants: whose series it is, and which. */
struct tenant_series {
    struct labels labels; /* with the tenant's */
    uint32_t tenant, series;
};

struct cursor {
    struct store *store;
    struct cursor_request request;
    size_t memory_max;
    size_t snapshot_bytes;
    struct arena *arena;           /* labels */
    struct line_scan *scan;        /* the request's predicate; NULL: none */
    struct line_index_query asked; /* what it asks of skip filters */
    const struct store_view *view;
    struct store_view *own_view;      /* when the request had none */
    ARRAY(struct snapshot) snapshots; /* held by the view */
    ARRAY(struct part) parts;
    ARRAY(struct part_range) ranges;
    ARRAY(struct cursor_series) series;
    struct hides hides;

    /* Of several tenants (cursor_tenants.c); then nothing between `view` and here is used. */
    struct cursor **of_tenants; /* NULL: of one */
    size_t tenant_count;
    ARRAY(struct tenant_series) tenant_series;
    size_t sorted; /* the first of `series` that are in order already */
};

struct size_list ARRAY_BODY(size_t);

/* cursor_sort.c: the series from the head, `chosen` of the selection, if that is worth it. */
void cursor_sort_head(struct cursor *cursor, const struct selection *selection,
                      const struct size_list *chosen);
/* All of them. */
void cursor_sort(struct cursor *cursor);

/* A chunk of samples, in the head or sealed. */
struct sample_source {
    int64_t first_ns, last_ns;
    uint64_t lsn;
    uint32_t count, size;
    bool side, rich;
    const struct head_chunk *held; /* of the head, `size` bytes of it; or the sealed one: */
    size_t sealed;                 /* its number in reader->chunks */
};
struct ranked_sample; /* cursor_samples.c */
struct rich_ranked;   /* cursor_rich.c */

struct cursor_reader {
    struct cursor *cursor;
    struct cursor_reader **of_tenants; /* of a cursor over several tenants, made when needed */
    const struct hide *hides;          /* of the series at hand */
    size_t hide_count;
    struct buffer bytes; /* of sealed chunks */
    ARRAY(struct slice) chunks;
    ARRAY(size_t) offsets; /* of the chunks in bytes */
    ARRAY(int64_t) times;
    ARRAY(double) values;
    ARRAY(struct sample_source) sources;
    ARRAY(struct ranked_sample) ranked;

    /* of series with histograms or start times */
    struct arena *arena;
    ARRAY(struct rich_ranked) rich;
    ARRAY(const struct histogram *) histograms;
    ARRAY(int64_t) starts;
    /* the last sample before the range, when a chunk of the range holds one: for hints */
    int64_t before_ns;
    const struct histogram *before; /* NULL: none, or a float */
};

struct cursor *cursor_new(struct store *store, const struct cursor_request *request);
struct cursor *cursor_open_one(struct store *store, const struct cursor_request *request,
                               struct error *err) MUST_CHECK;

/* The reader that reads the series, and the series' number there (cursor_tenants.c). */
struct cursor_reader *reader_for_series(struct cursor_reader *reader, size_t *series);

/* Note what is hidden of each series, and drop those of which nothing is left (cursor_hide.c). */
bool cursor_hide(struct cursor *cursor, const struct tombstone_set *set, struct error *err)
    MUST_CHECK;

/* Decode a source of plain samples behind what is in the reader's columns. */
bool cursor_decode_plain(struct cursor_reader *reader, const struct sample_source *source,
                         struct error *err) MUST_CHECK;

/* The samples of reader->sources, which stand in order of priority. */
bool cursor_read_rich(struct cursor_reader *reader, struct sample_column *out, struct error *err)
    MUST_CHECK;
/* After that: the same samples as they were stored, with the senders' hints. */
bool cursor_rich_stored(struct cursor_reader *reader, const struct rich_sample **samples,
                        struct error *err) MUST_CHECK;
void cursor_rich_done(struct cursor_reader *reader);

/* True unless the cursor's owner canceled. */
static inline bool cursor_goes_on(const struct cursor *cursor, struct error *err)
{
    const bool *cancel = cursor->request.cancel;
    if (cancel == NULL || !__atomic_load_n(cancel, __ATOMIC_RELAXED))
        return true;
    return error_set(err, ERR_CANCELED, "the query was canceled");
}

#endif
