/*
 * store.c - opening, closing and watching a store (see store.h).
 *
 * Opening: defaults, directory, lock file, catalog, partitions, the queue of batches;
 * then replay of the log and the two threads: the WAL writer (committer.c), which
 * finds what has queued up meanwhile, and the sealer.
 * Closing seals everything that does not take long and then leaves a log without
 * entries, so that the next start has nothing to replay.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/ledger.h"
#include "storage/committer.h"
#include "storage/crash_point.h"
#include "storage/guard.h"
#include "storage/retention.h"
#include "storage/sealer.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

#include <assert.h>

/* ---- options ----------------------------------------------------------- */

#define DEFAULT(field, value) ((field) = (field) != 0 ? (field) : (value))

static void fill_defaults(struct store_options *o)
{
    DEFAULT(o->retention_ns, 15 * NS_PER_DAY);
    DEFAULT(o->out_of_order_ns[STORE_METRIC], 30 * NS_PER_MINUTE);
    DEFAULT(o->out_of_order_ns[STORE_LOG], NS_PER_HOUR);
    DEFAULT(o->future_ns, 10 * NS_PER_MINUTE);
    DEFAULT(o->past_ns[STORE_METRIC], -1);
    DEFAULT(o->past_ns[STORE_LOG], 7 * NS_PER_DAY);
    DEFAULT(o->wal_segment_size, (size_t)64 << 20);
    DEFAULT(o->wal_size_max, (size_t)1 << 30);
    DEFAULT(o->seal_interval_ns, 15 * NS_PER_SECOND);
    DEFAULT(o->head_memory_max, (size_t)512 << 20);
    DEFAULT(o->log_text_max, (size_t)32 << 20);
    DEFAULT(o->close_seal_ns, 3 * NS_PER_SECOND);
    DEFAULT(o->series_idle_ns, 35 * NS_PER_MINUTE);
    DEFAULT(o->exemplars_max, 10000);
    DEFAULT(o->tenants_max, 1000);
    DEFAULT(o->series_max, 5000000);
    for (int kind = 0; kind < STORE_KINDS; kind++) {
        struct label_limits *limits = &o->label_limits[kind];
        if (limits->count_max == 0)
            limits->count_max = 255;
        if (limits->name_size_max == 0)
            limits->name_size_max = 1024;
        if (limits->value_size_max == 0)
            limits->value_size_max = 16384;
    }
}

uint32_t store_now_s(void)
{
    return (uint32_t)(clock_monotonic_ns() / NS_PER_SECOND) + 1;
}

int64_t store_now_ns(const struct store *store)
{
    return clock_now_ns(store->options.clock);
}

/* ---- heads ------------------------------------------------------------- */

struct head_key {
    struct slice tenant;
    enum store_kind kind;
};

static bool head_equal(const void *items, uint32_t index, const void *key)
{
    const struct head *head = ((const struct store *)items)->heads.items[index];
    const struct head_key *wanted = key;
    return head->kind == wanted->kind && slice_equal(slice_from_text(head->tenant), wanted->tenant);
}

static uint64_t head_hash(const struct head_key *key)
{
    return hash64(key->tenant.size ? key->tenant.data : "", key->tenant.size,
                  hash_seed() + key->kind);
}

static struct head *find_head(struct store *store, const struct head_key *key)
{
    uint32_t at = table_find(&store->heads_table, head_hash(key), head_equal, store, key);
    return at == TABLE_NONE ? NULL : store->heads.items[at];
}

struct head *store_head(struct store *store, struct slice tenant, enum store_kind kind)
{
    struct head_key key = {tenant, kind};
    pthread_rwlock_rdlock(&store->heads_lock);
    struct head *head = find_head(store, &key);
    pthread_rwlock_unlock(&store->heads_lock);
    return head;
}

struct head *store_head_make(struct store *store, struct slice tenant, enum store_kind kind,
                             struct error *err)
{
    struct head_key key = {tenant, kind};
    if (!catalog_add_tenant(store->catalog, tenant, store->options.tenants_max, err))
        return NULL;
    pthread_rwlock_wrlock(&store->heads_lock);
    struct head *head = find_head(store, &key);
    if (head == NULL) {
        head = head_new(tenant, kind);
        head->window_ns = retention_window(&store->options, tenant, kind);
        table_insert(&store->heads_table, head_hash(&key), (uint32_t)store->heads.count);
        array_push(&store->heads, head);
    }
    pthread_rwlock_unlock(&store->heads_lock);
    return head;
}

struct head *store_head_at(struct store *store, size_t index)
{
    pthread_rwlock_rdlock(&store->heads_lock);
    struct head *head = index < store->heads.count ? store->heads.items[index] : NULL;
    pthread_rwlock_unlock(&store->heads_lock);
    return head;
}

/* ---- opening ----------------------------------------------------------- */

static bool open_parts(struct store *store, struct error *err)
{
    const char *directory = store->directory;
    if (!directory_make(directory, err) ||
        (!store->options.allow_remote_fs && !guard_filesystem(directory, err)))
        return false;
    store->lock_fd = guard_lock(directory, err);
    if (store->lock_fd < 0)
        return false;
    store->catalog = catalog_open(directory, err);
    if (store->catalog == NULL)
        return false;
    struct partitions_options options = {.directory = directory, .catalog = store->catalog};
    store->partitions = partitions_open(&options, err);
    uint64_t set_aside;
    if (store->partitions == NULL ||
        (store->options.repair &&
         !partitions_set_aside(store->partitions, store->catalog, &set_aside, err)) ||
        !catalog_load_tombstones(store->catalog, store->tombstones, err))
        return false;
    store->committer = committer_new(store);
    return true;
}

static void store_destroy(struct store *store)
{
    sealer_free(store->sealer);
    committer_free(store->committer);
    wal_free(store->wal);
    for (size_t i = 0; i < store->heads.count; i++)
        head_free(store->heads.items[i]);
    array_done(&store->heads);
    table_done(&store->heads_table);
    store_free_batches(store);
    producers_free(store->producers);
    metadata_free(store->metadata);
    exemplars_free(store->exemplars);
    tombstones_free(store->tombstones);
    partitions_close(store->partitions);
    catalog_close(store->catalog);
    fd_drop(&store->lock_fd);
    pthread_rwlock_destroy(&store->heads_lock);
    pthread_mutex_destroy(&store->batches_lock);
    pthread_mutex_destroy(&store->seal_lock);
    free(store->directory);
    free(store);
}

struct store *store_open_begin(const struct store_options *options, struct error *err)
{
    struct store *store = xcalloc(1, sizeof(*store));
    store->options = *options;
    fill_defaults(&store->options);
    store->directory = xstrdup(options->directory);
    store->options.directory = store->directory;
    store->lock_fd = -1;
    pthread_rwlock_init(&store->heads_lock, NULL);
    pthread_mutex_init(&store->batches_lock, NULL);
    pthread_mutex_init(&store->seal_lock, NULL);
    store->producers = producers_new();
    store->metadata = metadata_new();
    int64_t exemplars = store->options.exemplars_max;
    store->exemplars = exemplars_new(exemplars < 0 ? 0 : (size_t)exemplars);
    store->tombstones = tombstones_new();
    if (!open_parts(store, err)) {
        store_destroy(store);
        error_prefix(err, "opening the store in %s", options->directory);
        return NULL;
    }
    return store;
}

/* The sealer first: from the first group on the WAL writer wakes it. */
static bool start_threads(struct store *store, struct error *err)
{
    if (!committer_roll(store->committer, err))
        return false;
    store->sealer = sealer_start(store, err);
    return store->sealer != NULL && committer_start(store->committer, err);
}

bool store_open_finish(struct store *store, struct error *err)
{
    struct error cause = {0};
    if (store_replay_wal(store, &cause) && start_threads(store, &cause)) {
        __atomic_store_n(&store->ready, true, __ATOMIC_RELEASE);
        return true;
    }
    committer_refuse(store->committer, &cause);
    if (err)
        *err = cause;
    return error_prefix(err, "opening the store in %s", store->directory);
}

void store_open_cancel(struct store *store)
{
    __atomic_store_n(&store->cancel_open, true, __ATOMIC_RELEASE);
}

bool store_is_ready(const struct store *store)
{
    return __atomic_load_n(&store->ready, __ATOMIC_ACQUIRE);
}

struct store *store_open(const struct store_options *options, struct error *err)
{
    struct store *store = store_open_begin(options, err);
    if (store && !store_open_finish(store, err)) {
        store_abandon(store);
        store = NULL;
    }
    return store;
}

void store_abandon(struct store *store)
{
    if (store == NULL)
        return;
    committer_stop(store->committer, true);
    sealer_stop(store->sealer);
    store_destroy(store);
}

/*
 * Sealed, and nothing but an empty segment left.  With thousands of tenants, each of whose days
 * is a file to be synced, that would take minutes: then the log keeps what is small.
 */
static bool leave_empty(struct store *store, struct error *err)
{
    bool all;
    if (!sealer_seal_at_end(store, store->options.close_seal_ns, &all, err))
        return error_prefix(err, "sealing at the end (the log keeps everything)");
    crash_point("close.sealed");
    if (!all)
        return true;
    if (!committer_roll(store->committer, err))
        return false;
    crash_point("close.rolled");
    if (!wal_remove_below(store->wal, wal_next_lsn(store->wal), err))
        return false;
    crash_point("close.removed");
    return true;
}

bool store_close(struct store *store, struct error *err)
{
    if (store == NULL)
        return true;
    if (!store_is_ready(store)) { /* nothing is known of the log's end: leave all as it is */
        store_abandon(store);
        return true;
    }
    committer_stop(store->committer, false);
    sealer_stop(store->sealer);
    bool ok = wal_failed(store->wal) ? error_set(err, ERR_IO, "the log failed before")
                                     : leave_empty(store, err);
    store_destroy(store);
    return ok;
}

void store_replay_report(const struct store *store, struct store_replay *report)
{
    const struct store_replay *r = &store->replay;
    *report = (struct store_replay){
        .segments = store_counter(&r->segments),
        .records = store_counter(&r->records),
        .samples = store_counter(&r->samples),
        .entries = store_counter(&r->entries),
        .skipped = store_counter(&r->skipped),
        .torn_bytes = store_counter(&r->torn_bytes),
        .bytes = store_counter(&r->bytes),
        .bytes_all = store_counter(&r->bytes_all),
        .duration_ns = __atomic_load_n(&r->duration_ns, __ATOMIC_RELAXED),
    };
}

/* ---- upkeep ------------------------------------------------------------ */

bool store_seal(struct store *store, struct error *err)
{
    return sealer_seal_all(store, err);
}

bool store_close_days(struct store *store, int64_t now_ns, struct error *err)
{
    return sealer_close_days(store, now_ns, err);
}

bool store_clean_tombstones(struct store *store, struct error *err)
{
    return sealer_clean_tombstones(store, err);
}

bool store_retention_held(const struct store *store)
{
    return __atomic_load_n(&store->retention_held, __ATOMIC_RELAXED);
}

bool store_confirm_clock(struct store *store, struct error *err)
{
    if (!catalog_set_clock(store->catalog, store_now_ns(store), err))
        return false;
    __atomic_store_n(&store->retention_held, false, __ATOMIC_RELAXED);
    return true;
}

bool store_retention(struct store *store, struct error *err)
{
    return sealer_retention(store, err);
}

void store_make_room(struct store *store)
{
    sealer_wake(store->sealer);
}

static bool memory_is_short(struct store *store, struct error *err)
{
    uint64_t memory = store_counter(&store->head_memory);
    if (memory <= store->options.head_memory_max)
        return ledger_is_full(err);
    error_set(err, ERR_UNAVAILABLE, "entries in memory take %llu bytes, the limit is %zu",
              (unsigned long long)memory, store->options.head_memory_max);
    return true;
}

bool store_takes_batches(struct store *store, struct error *err)
{
    if (!committer_writable(store->committer, err))
        return false;
    if (!memory_is_short(store, err))
        return true;
    if (store_is_ready(store))
        sealer_wake(store->sealer);
    return false;
}

bool store_writable(struct store *store, struct error *err)
{
    if (!store_is_ready(store))
        return error_set(err, ERR_UNAVAILABLE, "the log is being replayed: %llu of %llu bytes",
                         (unsigned long long)store_counter(&store->replay.bytes),
                         (unsigned long long)store_counter(&store->replay.bytes_all));
    return store_takes_batches(store, err);
}

bool store_problem(struct store *store, struct error *err)
{
    return committer_problem(store->committer, err) || sealer_problem(store->sealer, err);
}

bool store_metadata(struct store *store, struct slice tenant, struct slice family,
                    struct arena *arena, struct metric_metadata **items, size_t *count,
                    struct error *err)
{
    return metadata_list(store->metadata, tenant, family, arena, items, count, err);
}

bool store_exemplars(struct store *store, struct slice tenant,
                     const struct view_selector *selectors, size_t count, int64_t start_ns,
                     int64_t end_ns, struct arena *arena, struct exemplar_series **series,
                     size_t *series_count, struct error *err)
{
    struct exemplars_request request = {tenant, selectors, count, start_ns, end_ns};
    return exemplars_select(store->exemplars, &request, arena, series, series_count, err);
}

void store_measure_heads(struct store *store)
{
    uint64_t bytes[STORE_KINDS] = {0};
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        pthread_mutex_lock(&head->lock);
        bytes[head->kind] += head->chunk_bytes;
        pthread_mutex_unlock(&head->lock);
    }
    __atomic_store_n(&store->log_memory, bytes[STORE_LOG], __ATOMIC_RELAXED);
    __atomic_store_n(&store->head_memory, bytes[STORE_METRIC] + bytes[STORE_LOG], __ATOMIC_RELAXED);
}

static void read_head_stats(struct head *head, struct store_stats *stats)
{
    pthread_mutex_lock(&head->lock);
    stats->series[head->kind] += head->series_count;
    stats->series_created[head->kind] += head->series_created;
    stats->series_removed[head->kind] += head->series_removed;
    stats->head_chunks += head->chunk_count;
    stats->head_memory_bytes += head->chunk_bytes;
    stats->index_memory_bytes += head_index_memory(head);
    if (head->kind == STORE_METRIC && head->oldest_ns != INT64_MAX &&
        (stats->oldest_ns == 0 || head->oldest_ns < stats->oldest_ns))
        stats->oldest_ns = head->oldest_ns;
    if (head->kind == STORE_METRIC && head->newest_ns != INT64_MIN &&
        (stats->newest_ns == 0 || head->newest_ns > stats->newest_ns))
        stats->newest_ns = head->newest_ns;
    pthread_mutex_unlock(&head->lock);
    stats->index_memory_bytes += lookup_memory(&head->lookup);
}

void store_stats_read(struct store *store, struct store_stats *stats)
{
    *stats = (struct store_stats){0};
    struct store_counters *counters = &store->counters;
    stats->samples_appended = store_counter(&counters->samples_appended);
    stats->entries_appended = store_counter(&counters->entries_appended);
    stats->line_bytes_appended = store_counter(&counters->line_bytes_appended);
    for (int kind = 0; kind < STORE_KINDS; kind++) {
        for (int i = 0; i < REFUSED_REASONS; i++)
            stats->refused[kind][i] = store_counter(&counters->refused[kind][i]);
    }
    stats->batches_repeated = store_counter(&counters->batches_repeated);
    stats->exemplars = exemplars_count(store->exemplars);
    stats->exemplars_appended = store_counter(&counters->exemplars_appended);
    stats->exemplars_refused = store_counter(&counters->exemplars_refused);
    stats->seals = store_counter(&counters->seals);
    stats->seal_failures = store_counter(&counters->seal_failures);
    stats->chunks_sealed = store_counter(&counters->chunks_sealed);
    stats->seal_ns_total = store_counter(&counters->seal_ns_total);
    stats->partitions_deleted = store_counter(&counters->partitions_deleted);
    struct head *head;
    for (size_t i = 0; (head = store_head_at(store, i)) != NULL; i++) {
        read_head_stats(head, stats);
        stats->tenants += i == 0 || head->kind == STORE_METRIC ||
                          store_head(store, slice_from_text(head->tenant), STORE_METRIC) == NULL;
    }
    stats->index_memory_bytes += metadata_memory(store->metadata);
    struct wal_stats wal = {.bytes = store_counter(&store->replay.bytes_all)};
    if (store_is_ready(store))
        wal_stats_read(store->wal, &wal);
    stats->wal_records = wal.records;
    stats->wal_bytes_written = wal.bytes_written;
    stats->wal_syncs = wal.syncs;
    stats->wal_segments = wal.segments;
    stats->wal_bytes = wal.bytes;
    stats->wal_sync_ns_total = wal.sync_ns_total;
    stats->wal_sync_ns_max = wal.sync_ns_max;
    struct partitions_stats partitions;
    partitions_stats_read(store->partitions, &partitions);
    stats->partitions = partitions.count;
    stats->partition_bytes = partitions.bytes;
    struct tombstones_stats tombstones;
    tombstones_stats_read(store->tombstones, &tombstones);
    stats->tombstones = tombstones.count;
    stats->tombstone_bytes = tombstones.bytes;
}
