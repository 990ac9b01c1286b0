/*
 * store.h - the storage engine: the only header that other folders include.
 *
 * A store holds series of two kinds, metric and log, for any number of
 * tenants, in one data directory.  Nothing here knows PromQL, HTTP or JSON, and
 * nothing outside storage/ may assume LMDB.
 *
 * Writing: a batch collects series and their entries, then batch_commit() hands
 * it to the WAL writer.  The log is the order: the WAL writer writes (and, in
 * durable mode, syncs) a group of batches, applies them to the head in that
 * order, publishes them to readers at once, and calls each batch's `done`.
 * Replay applies the same records through the same code, so the head is a
 * function of the log.
 *
 * Reading: a cursor selects series by matchers and a time range, then reads
 * them one by one, merging head and partitions, in time order, without
 * duplicates.
 *
 * Times are int64_t nanoseconds since the epoch; metric samples are whole
 * milliseconds.  Threads: every function may be called from any thread unless
 * it says otherwise; one batch, cursor or reader is used by one thread at a time.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"
#include "storage/damage.h"
#include "storage/store_changes.h"
#include "storage/store_exemplars.h"
#include "storage/store_options.h"
#include "storage/store_read.h"
#include "storage/store_stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct histogram;
struct matcher;
struct predicate;
struct store; /* opaque: fields in store.c */

/* Opens or creates; replays the WAL.  Fails when another process holds the directory. */
struct store *store_open(const struct store_options *options, struct error *err) MUST_CHECK;

/*
 * The same in two steps, so that a server can answer meanwhile: the first takes the
 * directory, the second replays.  Between them batches can be filled and committed: they
 * wait in a queue that is bounded as always, are written behind what was replayed and
 * answered then.  Statistics can be read; nothing else, until store_is_ready().  When the
 * second fails, those batches are refused; the store is then only good for store_close().
 */
struct store *store_open_begin(const struct store_options *options, struct error *err) MUST_CHECK;
bool store_open_finish(struct store *store, struct error *err) MUST_CHECK;

/* From another thread: store_open_finish() shall fail soon, with ERR_CANCELED. */
void store_open_cancel(struct store *store);
bool store_is_ready(const struct store *store);

/* Commits what was enqueued, seals the head, removes the WAL it no longer needs. */
bool store_close(struct store *store, struct error *err);

/* For tests of crashes: lets go of everything without writing anything more. */
void store_abandon(struct store *store);

/* What replay did at open, or has done so far: any thread. */
void store_replay_report(const struct store *store, struct store_replay *report);

/* ---- writing ---------------------------------------------------------- */

struct batch; /* opaque: fields in batch.c */

/*
 * A batch of one tenant and kind.  Fails with ERR_INVALID for a bad tenant name,
 * ERR_RATE when too many tenants exist, ERR_UNAVAILABLE when the store takes no
 * writes now (disk full, failed sync, over its memory).
 */
struct batch *batch_new(struct store *store, struct slice tenant, enum store_kind kind,
                        struct error *err) MUST_CHECK;
void batch_free(struct batch *batch); /* one that was not committed; NULL is fine */

/*
 * The batch's number of the series whose raw label bytes are `key` in wire
 * format `format` (a small number that the caller chooses per format), or -1
 * when the lookup cache does not know them.
 */
int64_t batch_find(struct batch *batch, uint32_t format, struct slice key);

/* The same for `count` keys, at most 32, in one go: much cheaper. */
void batch_find_many(struct batch *batch, uint32_t format, const struct slice *keys, size_t count,
                     int64_t *numbers);

/*
 * The same for parsed labels, which are canonicalised in place: creates the
 * series when it is new, and remembers `key` (NULL data: nothing to remember)
 * for batch_find.  -1 and ERR_INVALID for bad labels, ERR_RATE over the
 * tenant's series limit; the batch stays usable.
 */
int64_t batch_define(struct batch *batch, uint32_t format, struct slice key, struct label *labels,
                     size_t count, struct error *err);

/* The times between which the batch takes entries. */
void batch_bounds(const struct batch *batch, int64_t *oldest_ns, int64_t *newest_ns);

/* The canonical labels of series number `series` (valid while the batch lives). */
struct labels batch_labels(struct batch *batch, uint32_t series);

/*
 * Add one sample or entry.  False and ERR_INVALID when its time is out of range (the batch
 * stays usable and goes on without it), ERR_UNAVAILABLE when the batch grows too large.
 */
bool batch_sample(struct batch *batch, uint32_t series, int64_t time_ns, double value,
                  struct error *err);

/*
 * As many samples from the first on as have, in whole milliseconds, the time of the sample
 * that was added last: nothing is left to check for those.  How many; then the caller adds
 * the next one with batch_sample().
 */
size_t batch_samples(struct batch *batch, const uint32_t *series, const int64_t *times_ms,
                     const double *values, size_t count);

/*
 * The same with `start_ns`, when the counter began (whole milliseconds; 0: not
 * known), and for native histograms.  A histogram is copied.  ERR_INVALID, too,
 * when its spans, buckets and bounds do not fit each other; what else
 * histogram_check() asks for is the caller's to check.
 */
bool batch_sample_start(struct batch *batch, uint32_t series, int64_t time_ns, int64_t start_ns,
                        double value, struct error *err);
bool batch_histogram(struct batch *batch, uint32_t series, int64_t time_ns, int64_t start_ns,
                     const struct histogram *histogram, struct error *err);
bool batch_entry(struct batch *batch, uint32_t series, int64_t time_ns, struct slice line,
                 struct label *metadata, size_t metadata_count, struct error *err);

/* Metric metadata, stored with the batch. */
void batch_metadata(struct batch *batch, struct slice family, struct slice type, struct slice help,
                    struct slice unit);

/* The producer's batch id: a repeat stores nothing and succeeds. */
void batch_set_producer(struct batch *batch, struct slice producer, uint64_t epoch,
                        uint64_t sequence);

enum { BATCH_REFUSALS_SHOWN = 10 };

struct batch_result {
    struct error *error; /* NULL, or why NOTHING of the batch was stored */
    uint64_t lsn;
    uint64_t stored; /* samples or entries, silent duplicates included */
    uint64_t refused[REFUSED_REASONS];
    size_t shown; /* the first refusals, in order */
    struct {
        enum refusal_reason reason;
        uint32_t series;  /* the batch's number */
        int64_t time_ns;  /* of the entry */
        int64_t bound_ns; /* the limit that it missed */
    } first[BATCH_REFUSALS_SHOWN];
    bool repeated; /* the producer sent this batch before */
};

/*
 * Hand the batch over.  `done` is called exactly once, on the WAL writer's
 * thread (or on this one when the store takes no writes), and must be quick; the
 * batch and `result` die after it returns.  What `done` sees is published:
 * any cursor opened from now on finds it.
 */
typedef void batch_done(void *context, struct batch *batch, const struct batch_result *result);
void batch_commit(struct batch *batch, batch_done *done, void *context);

/* batch_commit and wait: for tests, tools and imports.  `result->error` points to `err`. */
bool batch_commit_wait(struct batch *batch, struct batch_result *result, struct error *err);

/* ---- names ------------------------------------------------------------ */

struct names_request {
    struct slice tenant;
    enum store_kind kind;
    const struct matcher *matchers; /* none: all series */
    size_t matcher_count;
    int64_t start_ns, end_ns;    /* by whole days at least */
    struct slice label;          /* values of this label; empty: label names */
    size_t limit;                /* 0: none */
    struct store_damage *damage; /* NULL: damage is an error */
};

/* Sorted names in `arena`; `*truncated` when the limit cut them. */
bool store_names(struct store *store, const struct names_request *request, struct arena *arena,
                 struct slice **names, size_t *count, bool *truncated, struct error *err)
    MUST_CHECK;

struct metric_metadata {
    struct slice family, type, help, unit;
};
/* All metadata of a tenant (or of one family), sorted by family, in `arena`. */
bool store_metadata(struct store *store, struct slice tenant, struct slice family,
                    struct arena *arena, struct metric_metadata **items, size_t *count,
                    struct error *err) MUST_CHECK;

/* ---- upkeep ----------------------------------------------------------- */

/* Seal every open chunk now and wait for it (tests, tools, shutdown). */
bool store_seal(struct store *store, struct error *err) MUST_CHECK;

/*
 * Seal everything, then rewrite each day that is over at `now_ns` with its out-of-order window
 * and that is not closed yet, or got late data since.  The sealer does that by itself.
 */
bool store_close_days(struct store *store, int64_t now_ns, struct error *err) MUST_CHECK;

/* Apply retention by age and size now. */
bool store_retention(struct store *store, struct error *err) MUST_CHECK;

/*
 * When the clock has moved by more than a day since it was last looked at, nothing is deleted
 * by age until somebody says that it is right (or it has run on for a day).
 */
bool store_retention_held(const struct store *store);
bool store_confirm_clock(struct store *store, struct error *err) MUST_CHECK;

/* Memory is short: seal and give back what can be, soon.  Any thread. */
void store_make_room(struct store *store);

/* Does the store take writes?  False fills `err` with the reason, which is an ERR_UNAVAILABLE. */
bool store_writable(struct store *store, struct error *err) MUST_CHECK;

/* The same, but during replay, too: batches wait then. */
bool store_takes_batches(struct store *store, struct error *err) MUST_CHECK;

/*
 * Has the last write to the log or the last seal pass failed?  True fills `err`.  Other than
 * store_writable() it stays so until one succeeds.
 */
bool store_problem(struct store *store, struct error *err);

/* Counters since the start and gauges of now. */
void store_stats_read(struct store *store, struct store_stats *stats);

#include "storage/store_delete.h" /* the manual's chapter on deleting */

#endif
