/*
 * sealer.c - the sealing thread and the seal protocol (docs/format-wal.md).
 *
 * A pass over a head: freeze what is due, take the list of frozen chunks, write
 * them day by day (chunks and marks in one transaction), and let go of a chunk
 * when all its days are committed.  When a write fails nothing is let go of; the
 * next pass tries again.  Passes exclude each other by store->seal_lock.
 */
#include "storage/sealer.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/ledger.h"
#include "storage/crash_point.h"
#include "storage/day_close.h"
#include "storage/day_deletes.h"
#include "storage/import.h"
#include "storage/retention.h"
#include "storage/seal_encode.h"
#include "storage/store_internal.h"

#include <malloc.h>

enum {
    MADE_S = 2 * 3600,
    SIDE_S = 5 * 60,
    UNUSED_S = 10 * 60,
    REMOVE_EVERY_S = 60,
    RETENTION_EVERY_S = 3600,
    CLOCK_TRUSTED_S = 24 * 3600,
    SIZE_EVERY_S = 60,
    CLOSE_EVERY_S = 60,
    CLOSE_AFTER_FAILURE_S = 600,
    CLOSE_QUIET_S = 300,
    CLOSE_SHARE = 40, /* percent of a core */
    LOG_CHUNK_LARGE = 32 * 1024,
    SMALL_HEAD = 1024 * 1024, /* its log is replayed in milliseconds */
    SHORT_UNUSED_S = 30,      /* when memory is short */
    TRIM_EVERY_S = 2,
    TRIM_BYTES = 8 * 1024 * 1024,
    LABELS_MAX = 65535
};

struct sealer {
    struct store *store;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, woken;
    uint32_t removed_s, retention_s; /* when last done; of the thread */
    uint32_t jumped_s;               /* when the clock was found to have jumped */
    uint32_t size_s;                 /* when the total size was last looked at */
    uint32_t close_s;                /* when to look for days to close */
    uint32_t between_s;              /* when the last pass was, while a day is rewritten */
    uint32_t trimmed_s;              /* when memory was last given back */
};

/* ---- one head ---------------------------------------------------------- */

struct seal_item {
    struct series *series;
    struct head_chunk *chunk; /* referenced */
    int32_t first_day, last_day;
    bool dropped;
};

struct pass {
    struct store *store;
    struct head *head;
    struct seal_encoder *encoder;
    uint64_t above_lsn; /* all that the head holds has a higher one */
    ARRAY(struct seal_item) items;
    ARRAY(struct label) labels;
};

/* Take the queue: all frozen chunks of its series. */
static void take_frozen(struct pass *pass)
{
    struct head *head = pass->head;
    pthread_mutex_lock(&head->lock);
    struct id_list queue = head->queue;
    head->queue = (struct id_list){0};
    for (size_t i = 0; i < queue.count; i++) {
        struct series *series = head_series(head, queue.items[i]);
        series->queued = false;
        for (struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next) {
            struct seal_item item = {series, head_chunk_ref(chunk), partition_day(chunk->first_ns),
                                     partition_day(chunk->last_ns), false};
            array_push(&pass->items, item);
        }
    }
    pthread_mutex_unlock(&head->lock);
    array_done(&queue);
}

/* What was not sealed goes back into the queue. */
static void give_back(struct pass *pass)
{
    struct head *head = pass->head;
    pthread_mutex_lock(&head->lock);
    for (size_t i = 0; i < pass->items.count; i++) {
        struct seal_item *item = &pass->items.items[i];
        if (!item->dropped && !item->series->queued) {
            item->series->queued = true;
            array_push(&head->queue, item->series->id);
        }
        head_chunk_unref(item->chunk);
    }
    pthread_mutex_unlock(&head->lock);
    array_done(&pass->items);
    array_done(&pass->labels);
}

static void drop_chunk(struct store *store, struct head *head, struct seal_item *item)
{
    struct head_chunk **at = &item->series->frozen;
    while (*at != item->chunk)
        at = &(*at)->next;
    *at = item->chunk->next;
    size_t bytes = head_chunk_memory(item->chunk);
    head->chunk_bytes -= bytes;
    head->frozen_bytes -= bytes;
    store->dropped_bytes += bytes;
    if (head->kind == STORE_LOG) /* batches may wait for this */
        __atomic_sub_fetch(&store->log_memory, bytes, __ATOMIC_RELAXED);
    head->chunk_count--;
    head_chunk_unref(item->chunk); /* the series' reference; the item has its own */
    item->dropped = true;
}

/* Items before `end` whose last day is `day` are committed in all their days. */
static void drop_committed(struct pass *pass, size_t end, int32_t day)
{
    struct head *head = pass->head;
    uint64_t dropped = 0;
    pthread_mutex_lock(&head->lock);
    for (size_t i = 0; i < end; i++) {
        struct seal_item *item = &pass->items.items[i];
        if (!item->dropped && item->last_day == day) {
            drop_chunk(pass->store, head, item);
            dropped++;
        }
    }
    head_count_memory(head);
    pthread_mutex_unlock(&head->lock);
    store_count(&pass->store->counters.chunks_sealed, dropped);
}

static bool commit(struct pass *pass, struct seal *seal, size_t end, int32_t day, struct error *err)
{
    if (!seal_commit(seal, err))
        return false;
    crash_point("seal.committed");
    drop_committed(pass, end, day);
    crash_point("seal.dropped");
    return true;
}

static bool add_series(struct pass *pass, struct seal *seal, const struct series *series,
                       uint32_t *number, struct error *err)
{
    array_reserve(&pass->labels, series->pair_count);
    pthread_mutex_lock(&pass->head->lock);
    struct labels labels = head_labels(pass->head, series, pass->labels.items);
    pthread_mutex_unlock(&pass->head->lock);
    return seal_series(seal, labels, number, err);
}

/*
 * All items of one day.  A commit may fall between series only: a mark speaks
 * for all out-of-order entries of a series up to its LSN.
 */
static bool seal_items(struct pass *pass, struct seal *seal, int32_t day, struct error *err)
{
    const struct series *series = NULL;
    uint32_t number = 0;
    for (size_t i = 0; i < pass->items.count; i++) {
        const struct seal_item *item = &pass->items.items[i];
        if (item->dropped || day < item->first_day || day > item->last_day)
            continue;
        if (item->series != series) {
            if (seal_is_full(seal) && !commit(pass, seal, i, day, err))
                return false;
            series = item->series;
            if (!add_series(pass, seal, series, &number, err))
                return false;
        }
        if (!seal_encode(pass->encoder, seal, number, item->chunk, day, err))
            return false;
    }
    return commit(pass, seal, pass->items.count, day, err);
}

/* The smallest day above `after` that has items; false: none. */
static bool next_day(const struct pass *pass, int64_t after, int32_t *day)
{
    int64_t best = INT64_MAX;
    for (size_t i = 0; i < pass->items.count; i++) {
        const struct seal_item *item = &pass->items.items[i];
        int64_t candidate = item->first_day > after ? item->first_day : after + 1;
        if (candidate <= item->last_day && candidate < best)
            best = candidate;
    }
    *day = (int32_t)best;
    return best != INT64_MAX;
}

static bool seal_day(struct pass *pass, int32_t day, struct error *err)
{
    struct partition_id id = {slice_from_text(pass->head->tenant), pass->head->kind, day};
    struct seal *seal = seal_begin(pass->store->partitions, &id, err);
    if (seal == NULL)
        return error_prefix(err, "sealing day %d of tenant %s", day, pass->head->tenant);
    seal_is_above(seal, pass->above_lsn);
    bool ok = seal_items(pass, seal, day, err);
    seal_end(seal);
    return ok || error_prefix(err, "sealing day %d of tenant %s", day, pass->head->tenant);
}

/* A damaged day keeps its chunks in the head; the others are sealed all the same. */
static bool seal_days(struct pass *pass, struct error *err)
{
    int32_t day;
    bool all = true;
    for (int64_t after = INT64_MIN; next_day(pass, after, &day); after = day) {
        struct error own = {0};
        if (seal_day(pass, day, &own))
            continue;
        *err = own;
        all = false;
        if (own.code != ERR_CORRUPT)
            return false;
    }
    return all;
}

static bool seal_head(struct store *store, struct head *head, struct error *err)
{
    struct pass pass = {.store = store, .head = head};
    take_frozen(&pass);
    if (pass.items.count == 0)
        return true;
    crash_point("seal.frozen");
    uint64_t oldest = head_oldest_lsn(head);
    pass.above_lsn = oldest != UINT64_MAX ? oldest - 1 : 0;
    int64_t start = clock_monotonic_ns();
    pass.encoder = seal_encoder_new(!store->options.no_skip_index);
    bool ok = seal_days(&pass, err);
    seal_encoder_free(pass.encoder);
    give_back(&pass);
    store_count(ok ? &store->counters.seals : &store->counters.seal_failures, 1);
    store_count(&store->counters.seal_ns_total, (uint64_t)(clock_monotonic_ns() - start));
    return ok;
}

/* ---- all heads --------------------------------------------------------- */

static void freeze_all(struct store *store, const struct freeze_rule *rule, bool logs_only)
{
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        if (!logs_only || head->kind == STORE_LOG)
            head_freeze(head, rule);
    }
}

static bool seal_all_heads(struct store *store, struct error *err)
{
    bool ok = true;
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++)
        ok = seal_head(store, head, err) && ok;
    store_measure_heads(store);
    return ok;
}

/* Segments whose every entry is in a partition. */
static bool remove_segments(struct store *store, struct error *err)
{
    if (store->wal == NULL) /* replay: later */
        return true;
    /* Read first: what is applied during the scan is above this. */
    uint64_t bound = store_counter(&store->applied_lsn) + 1;
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        uint64_t oldest = head_oldest_lsn(head);
        if (oldest < bound)
            bound = oldest;
    }
    return tombstones_save(store, err) && wal_remove_below(store->wal, bound, err) &&
           catalog_forget_gone(store->catalog, wal_removed_lsn(store->wal), err);
}

bool sealer_seal_all(struct store *store, struct error *err)
{
    struct freeze_rule rule = {.all = true};
    pthread_mutex_lock(&store->seal_lock);
    freeze_all(store, &rule, false);
    bool ok = seal_all_heads(store, err) && remove_segments(store, err);
    pthread_mutex_unlock(&store->seal_lock);
    return ok;
}

struct sized_head {
    struct head *head;
    size_t bytes;
};

static int larger_first(const void *a, const void *b)
{
    size_t left = ((const struct sized_head *)a)->bytes;
    size_t right = ((const struct sized_head *)b)->bytes;
    return left > right ? -1 : left < right;
}

bool sealer_seal_at_end(struct store *store, int64_t budget_ns, bool *all, struct error *err)
{
    struct freeze_rule rule = {.all = true};
    ARRAY(struct sized_head) sizes = {0};
    struct head *head;
    int64_t until_ns = ns_add(clock_monotonic_ns(), budget_ns);
    bool ok = true;
    *all = true;
    pthread_mutex_lock(&store->seal_lock);
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        pthread_mutex_lock(&head->lock);
        struct sized_head sized = {head, head->chunk_bytes};
        pthread_mutex_unlock(&head->lock);
        array_push(&sizes, sized);
    }
    if (sizes.count > 1)
        qsort(sizes.items, sizes.count, sizeof(*sizes.items), larger_first);
    for (size_t i = 0; i < sizes.count && sizes.items[i].bytes > 0; i++) {
        if (sizes.items[i].bytes < SMALL_HEAD && clock_monotonic_ns() >= until_ns) {
            *all = false;
            break;
        }
        head_freeze(sizes.items[i].head, &rule);
        ok = seal_head(store, sizes.items[i].head, err) && ok;
    }
    store_measure_heads(store);
    ok = ok && remove_segments(store, err);
    pthread_mutex_unlock(&store->seal_lock);
    array_done(&sizes);
    return ok;
}

static uint32_t ago(uint32_t now_s, uint32_t seconds)
{
    return now_s > seconds ? now_s - seconds : 0;
}

static uint32_t idle_s(const struct store *store)
{
    return (uint32_t)(store->options.series_idle_ns / NS_PER_SECOND);
}

/* Open text of all logs. */
static size_t log_bytes(struct store *store)
{
    size_t bytes = 0;
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        if (head->kind != STORE_LOG)
            continue;
        pthread_mutex_lock(&head->lock);
        bytes += head->chunk_bytes - head->frozen_bytes;
        pthread_mutex_unlock(&head->lock);
    }
    return bytes;
}

/* Chunks are worth sealing for their memory: they hold an eighth of the budget at least. */
static bool chunks_are_large(const struct store *store)
{
    return store_counter(&store->head_memory) > ledger_limit() / 8;
}

bool sealer_is_wanted(const struct store *store)
{
    return store_log_memory(store) > store->options.log_text_max ||
           (chunks_are_large(store) && ledger_pressure() != LEDGER_CALM);
}

static int by_age(const void *a, const void *b)
{
    uint32_t left = ((const struct log_age *)a)->created_s;
    uint32_t right = ((const struct log_age *)b)->created_s;
    return left < right ? -1 : left > right;
}

/* Log text over its cap: first what is worth a chunk, then the oldest of what is left. */
static void freeze_logs(struct store *store, struct freeze_rule *rule)
{
    size_t cap = store->options.log_text_max;
    if (log_bytes(store) <= cap / 4 * 3)
        return;
    rule->log_bytes_over = LOG_CHUNK_LARGE;
    freeze_all(store, rule, true);
    size_t left = log_bytes(store);
    if (left <= cap / 2)
        return;
    struct log_ages ages = {0};
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        if (head->kind == STORE_LOG)
            head_log_ages(head, &ages);
    }
    if (ages.count > 1)
        qsort(ages.items, ages.count, sizeof(*ages.items), by_age);
    for (size_t i = 0; i < ages.count && left > cap / 2; i++) {
        left = left > ages.items[i].bytes ? left - ages.items[i].bytes : 0;
        rule->log_before_s = ages.items[i].created_s + 1;
    }
    array_done(&ages);
    freeze_all(store, rule, true);
}

static void freeze_due(struct store *store)
{
    uint32_t now_s = store_now_s();
    struct freeze_rule rule = {.idle_before_s = ago(now_s, idle_s(store)),
                               .made_before_s = ago(now_s, MADE_S),
                               .side_before_s = ago(now_s, SIDE_S)};
    struct wal_stats wal;
    wal_stats_read(store->wal, &wal);
    if (wal.bytes > store->options.wal_size_max)
        rule.lsn_until = wal_oldest_last_lsn(store->wal);
    if (store_counter(&store->head_memory) > store->options.head_memory_max / 10 * 6 ||
        (chunks_are_large(store) && ledger_pressure() != LEDGER_CALM))
        rule.all = true;
    freeze_all(store, &rule, false);
    freeze_logs(store, &rule);
}

/*
 * What was freed goes back to the system when it was much, or when memory is short: malloc
 * keeps the pages between what is alive, and the next chunks begin small.
 */
static void trim(struct sealer *sealer)
{
    struct store *store = sealer->store;
    uint32_t now_s = store_now_s();
    bool much = store->dropped_bytes >= TRIM_BYTES;
    if (!much && (ledger_pressure() == LEDGER_CALM || now_s - sealer->trimmed_s < TRIM_EVERY_S))
        return;
    sealer->trimmed_s = now_s;
    store->dropped_bytes = 0;
    malloc_trim(0);
    ledger_measure();
}

static void remove_idle(struct sealer *sealer)
{
    struct store *store = sealer->store;
    uint32_t now_s = store_now_s();
    uint32_t unused_s = idle_s(store) < UNUSED_S ? idle_s(store) : UNUSED_S;
    uint32_t every_s = unused_s < REMOVE_EVERY_S ? unused_s : REMOVE_EVERY_S;
    if (ledger_pressure() == LEDGER_FULL) {
        unused_s = unused_s < SHORT_UNUSED_S ? unused_s : SHORT_UNUSED_S;
        every_s = every_s < TRIM_EVERY_S ? every_s : TRIM_EVERY_S;
    }
    if (now_s - sealer->removed_s < every_s)
        return;
    sealer->removed_s = now_s;
    uint32_t used_before = ago(now_s, unused_s);
    uint32_t oldest = store_oldest_batch_s(store);
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++)
        head_remove_idle(head, oldest < used_before ? oldest : used_before);
}

/* ---- retention --------------------------------------------------------- */

/* Over the limit of the total size the oldest days go, but never those of today. */
static bool size_locked(struct store *store, struct error *err)
{
    uint64_t deleted = 0;
    if (store->options.retention_size == 0)
        return true;
    bool ok = partitions_delete_oldest(store->partitions, store->options.retention_size,
                                       partition_day(store_now_ns(store)),
                                       store_counter(&store->applied_lsn), &deleted, err);
    store_count(&store->counters.partitions_deleted, deleted);
    return ok || error_prefix(err, "deleting the oldest days");
}

static bool size_due(struct sealer *sealer, struct error *err)
{
    uint32_t now_s = store_now_s();
    if (now_s - sealer->size_s < SIZE_EVERY_S)
        return true;
    sealer->size_s = now_s;
    return size_locked(sealer->store, err);
}

struct expiry {
    struct store *store;
    int64_t now_ns;
};

static bool is_expired(void *context, const struct catalog_day *day)
{
    const struct expiry *expiry = context;
    int64_t kept = retention_longest(&expiry->store->options, day->tenant, day->kind);
    return kept >= 0 && day->day < partition_day(ns_sub(expiry->now_ns, kept));
}

static bool retention_locked(struct store *store, struct error *err)
{
    uint64_t deleted = 0;
    struct expiry expiry = {store, store_now_ns(store)};
    uint64_t lsn = store_counter(&store->applied_lsn);
    if (!partitions_delete_expired(store->partitions, is_expired, &expiry, lsn, &deleted, err))
        return error_prefix(err, "deleting old days");
    store_count(&store->counters.partitions_deleted, deleted);
    return store_confirm_clock(store, err);
}

bool sealer_retention(struct store *store, struct error *err)
{
    pthread_mutex_lock(&store->seal_lock);
    bool ok = retention_locked(store, err) && size_locked(store, err);
    pthread_mutex_unlock(&store->seal_lock);
    return ok;
}

/* More than a day between the clock as it was last seen and now: it may be wrong. */
static bool clock_has_jumped(struct store *store)
{
    int64_t now = store_now_ns(store), seen = catalog_clock(store->catalog);
    return seen != 0 && (ns_sub(now, seen) > NS_PER_DAY || ns_sub(seen, now) > NS_PER_DAY);
}

/*
 * Once an hour.  After a jump nothing is deleted until the clock is confirmed: by
 * store_confirm_clock(), by going back, or by running on for a day.
 */
static bool retention_due(struct sealer *sealer, struct error *err)
{
    struct store *store = sealer->store;
    uint32_t now_s = store_now_s();
    if (sealer->retention_s != 0 && now_s - sealer->retention_s < RETENTION_EVERY_S)
        return true;
    sealer->retention_s = now_s;
    if (!clock_has_jumped(store))
        return retention_locked(store, err);
    if (!store_retention_held(store))
        sealer->jumped_s = now_s;
    __atomic_store_n(&store->retention_held, true, __ATOMIC_RELAXED);
    return now_s - sealer->jumped_s < CLOCK_TRUSTED_S || retention_locked(store, err);
}

/* ---- closing days ------------------------------------------------------- */

bool sealer_close_days(struct store *store, int64_t now_ns, struct error *err)
{
    uint32_t closed;
    struct day_close_rule rule = {
        .now_ns = now_ns, .at_once = true, .no_skip_index = store->options.no_skip_index};
    struct freeze_rule all = {.all = true};
    pthread_mutex_lock(&store->seal_lock);
    freeze_all(store, &all, false);
    bool ok = seal_all_heads(store, err) && day_close_due(store, &rule, &closed, err);
    pthread_mutex_unlock(&store->seal_lock);
    return ok;
}

bool sealer_clean_tombstones(struct store *store, struct error *err)
{
    uint32_t closed;
    struct freeze_rule all = {.all = true};
    struct day_close_rule rule = {.now_ns = store_now_ns(store),
                                  .at_once = true,
                                  .deletes_only = true,
                                  .no_skip_index = store->options.no_skip_index};
    pthread_mutex_lock(&store->seal_lock);
    freeze_all(store, &all, false);
    bool ok = seal_all_heads(store, err) && day_close_due(store, &rule, &closed, err) &&
              tombstones_drop(store, err);
    pthread_mutex_unlock(&store->seal_lock);
    return ok;
}

/* While a day is rewritten the head must not fill up. */
static bool close_goes_on(void *context)
{
    struct sealer *sealer = context;
    struct store *store = sealer->store;
    struct error ignored = {0}; /* the next pass meets it again and reports it */
    pthread_mutex_lock(&sealer->lock);
    bool stopping = sealer->stopping;
    pthread_mutex_unlock(&sealer->lock);
    int64_t interval_s = store->options.seal_interval_ns / NS_PER_SECOND;
    if (stopping || store_now_s() - sealer->between_s < (uint64_t)interval_s)
        return !stopping;
    freeze_due(store);
    bool sealed = seal_all_heads(store, &ignored) && remove_segments(store, &ignored);
    sealer->between_s = store_now_s();
    return sealed;
}

/* One day at a time: the passes between have their turn. */
static bool close_due(struct sealer *sealer, struct error *err)
{
    struct store *store = sealer->store;
    uint32_t closed, now_s = store_now_s();
    if (now_s < sealer->close_s)
        return true;
    sealer->between_s = now_s;
    struct day_close_rule rule = {.now_ns = store_now_ns(store),
                                  .quiet_s = CLOSE_QUIET_S,
                                  .days_max = 1,
                                  .no_skip_index = store->options.no_skip_index,
                                  .share = CLOSE_SHARE,
                                  .go_on = close_goes_on,
                                  .context = sealer};
    bool ok = day_close_due(store, &rule, &closed, err);
    if (!ok)
        sealer->close_s = store_now_s() + CLOSE_AFTER_FAILURE_S;
    else if (closed == 0)
        sealer->close_s = store_now_s() + CLOSE_EVERY_S;
    return ok || err->code == ERR_CANCELED;
}

/* ---- the thread -------------------------------------------------------- */

static void run_pass(struct sealer *sealer)
{
    struct store *store = sealer->store;
    struct error err = {0};
    pthread_mutex_lock(&store->seal_lock);
    freeze_due(store);
    bool ok = seal_all_heads(store, &err) && remove_segments(store, &err);
    ok = import_adopt_all(store, &err) && ok;
    remove_idle(sealer);
    trim(sealer);
    ok = retention_due(sealer, &err) && ok;
    ok = size_due(sealer, &err) && ok;
    ok = close_due(sealer, &err) && ok;
    ok = tombstones_drop(store, &err) && ok;
    pthread_mutex_unlock(&store->seal_lock);
    pthread_mutex_lock(&sealer->lock);
    store->seal_error = ok ? (struct error){0} : err;
    pthread_mutex_unlock(&sealer->lock);
}

/* Until the interval is over or somebody wakes; false: the thread must end. */
static bool wait_turn(struct sealer *sealer)
{
    int64_t interval = sealer->store->options.seal_interval_ns;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (interval > 0) {
        until.tv_sec += interval / NS_PER_SECOND;
        until.tv_nsec += interval % NS_PER_SECOND;
        if (until.tv_nsec >= NS_PER_SECOND) {
            until.tv_sec++;
            until.tv_nsec -= NS_PER_SECOND;
        }
    }
    pthread_mutex_lock(&sealer->lock);
    int outcome = 0;
    while (!sealer->stopping && !sealer->woken && outcome == 0)
        outcome = interval > 0 ? pthread_cond_timedwait(&sealer->wake, &sealer->lock, &until)
                               : pthread_cond_wait(&sealer->wake, &sealer->lock);
    sealer->woken = false;
    bool go_on = !sealer->stopping;
    pthread_mutex_unlock(&sealer->lock);
    return go_on;
}

static void *run(void *context)
{
    struct sealer *sealer = context;
    while (wait_turn(sealer)) {
        /* interval -1: tests seal by hand only */
        if (sealer->store->options.seal_interval_ns > 0)
            run_pass(sealer);
    }
    return NULL;
}

struct sealer *sealer_start(struct store *store, struct error *err)
{
    struct sealer *sealer = xcalloc(1, sizeof(*sealer));
    pthread_condattr_t attributes;
    sealer->store = store;
    sealer->removed_s = store_now_s();
    pthread_mutex_init(&sealer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sealer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int failed = pthread_create(&sealer->thread, NULL, run, sealer);
    if (failed != 0) {
        sealer_free(sealer);
        return error_null(err, ERR_IO, "starting the sealer: %s", strerror(failed));
    }
    sealer->started = true;
    pthread_setname_np(sealer->thread, "sealer");
    return sealer;
}

void sealer_wake(struct sealer *sealer)
{
    if (sealer == NULL)
        return;
    pthread_mutex_lock(&sealer->lock);
    sealer->woken = true;
    pthread_cond_signal(&sealer->wake);
    pthread_mutex_unlock(&sealer->lock);
}

bool sealer_problem(struct sealer *sealer, struct error *err)
{
    pthread_mutex_lock(&sealer->lock);
    bool found = sealer->store->seal_error.code != ERR_NONE;
    if (found)
        *err = sealer->store->seal_error;
    pthread_mutex_unlock(&sealer->lock);
    return found;
}

void sealer_stop(struct sealer *sealer)
{
    if (sealer == NULL || !sealer->started)
        return;
    pthread_mutex_lock(&sealer->lock);
    sealer->stopping = true;
    pthread_cond_signal(&sealer->wake);
    pthread_mutex_unlock(&sealer->lock);
    pthread_join(sealer->thread, NULL);
    sealer->started = false;
}

void sealer_free(struct sealer *sealer)
{
    if (sealer == NULL)
        return;
    sealer_stop(sealer);
    pthread_mutex_destroy(&sealer->lock);
    pthread_cond_destroy(&sealer->wake);
    free(sealer);
}
