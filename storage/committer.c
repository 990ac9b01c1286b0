/*
 * committer.c - group commit (see committer.h).
 *
 * For each group: leave out repeats, define series that the segment does not
 * know yet, put everything into one buffer, write it, sync it, then apply the
 * batches in log order and answer them.  When writing fails nothing was applied,
 * and what was noted (LSNs, which series the segment defines) is taken back.
 */
#include "storage/committer.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/ledger.h"
#include "storage/batch_internal.h"
#include "storage/crash_point.h"
#include "storage/sealer.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"
#include "storage/wal_record.h"

enum {
    GROUP_SIZE_AIM = 8 * 1024 * 1024,
    GROUP_RECORDS_MAX = 1 << 20,
    FROZEN_BYTES_WAKE = 8 * 1024 * 1024,
    PREFETCH_AHEAD = 12,
    BUFFER_KEPT = 4 * 1024 * 1024,
    LOGS_HELD_MS = 5000,
    HELD_LOOK_MS = 5,
    ROOM_MIN = 1024 * 1024 /* so much must be free before writes are let through again */
};

struct committer {
    struct store *store;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards the queue and the state */
    pthread_cond_t wake;
    struct batch *first, *last;
    size_t queued; /* bytes of the batches from first on */
    bool stopping, abandoned;
    bool full;          /* the last write failed: none is tried before there is room again */
    bool problem;       /* no write has succeeded since one failed */
    bool failed;        /* for good */
    int64_t retry_ns;   /* monotonic: when to look for room after `full` */
    int64_t held_ns;    /* monotonic: since when batches of logs wait; 0: they do not */
    struct error cause; /* of full or failed */

    /* of the thread alone */
    struct buffer bytes;
    uint64_t records;           /* in `bytes` */
    struct series_list defined; /* by this group */
    ARRAY(struct label) labels; /* scratch */
    size_t counted;             /* of `bytes`, in the ledger of memory */
};

/* ---- the queue --------------------------------------------------------- */

static bool writable_locked(const struct committer *c, struct error *err)
{
    if (c->stopping)
        return error_set(err, ERR_UNAVAILABLE, "the store is closing");
    if (c->failed || c->full)
        return error_set(err, ERR_UNAVAILABLE, "no writes are taken: %s", c->cause.message);
    return true;
}

bool committer_writable(struct committer *c, struct error *err)
{
    pthread_mutex_lock(&c->lock);
    bool ok = writable_locked(c, err);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool committer_problem(struct committer *c, struct error *err)
{
    pthread_mutex_lock(&c->lock);
    bool found = c->failed || c->problem;
    if (found)
        *err = c->cause;
    pthread_mutex_unlock(&c->lock);
    return found;
}

static size_t batch_size(const struct batch *batch)
{
    return batch->body.size + batch->packed.size + batch->head_bytes.size + batch->exemplars.size;
}

/* While a sync hangs, senders must not fill the memory: half of what the head may take. */
static bool fits_locked(const struct committer *c, size_t size, struct error *err)
{
    size_t limit = c->store->options.head_memory_max / 2;
    if (c->queued == 0 || (c->queued <= limit && size <= limit - c->queued))
        return true;
    return error_set(err, ERR_UNAVAILABLE,
                     "the log is behind: batches that wait for it take %zu bytes, the limit is %zu",
                     c->queued, limit);
}

bool committer_enqueue(struct committer *c, struct batch *batch, struct error *err)
{
    batch->queue_next = NULL;
    pthread_mutex_lock(&c->lock);
    bool ok = writable_locked(c, err) && fits_locked(c, batch_size(batch), err);
    if (ok) {
        c->queued += batch_size(batch);
        if (c->last)
            c->last->queue_next = batch;
        else
            c->first = batch;
        c->last = batch;
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

/*
 * Log text that is not sealed has a cap.  Over it batches of logs wait for the sealer, which
 * was woken, while others go on; but not for longer than LOGS_HELD_MS, lest a disk that
 * takes no partitions stop the log.
 */
static bool logs_are_held(struct committer *c)
{
    const struct store *store = c->store;
    size_t cap = store->options.log_text_max;
    if (c->stopping || store->options.seal_interval_ns < 0 ||
        store_log_memory(store) <= cap + cap / 2) {
        c->held_ns = 0;
        return false;
    }
    int64_t now_ns = clock_monotonic_ns();
    if (c->held_ns == 0)
        c->held_ns = now_ns;
    return now_ns - c->held_ns < LOGS_HELD_MS * NS_PER_MS;
}

/* Cut out of the queue what goes into a group: all that may go, up to a size. */
static struct batch *cut_group(struct committer *c)
{
    struct batch *group = NULL;
    struct batch **end = &group;
    struct batch **at = &c->first;
    size_t size = 0;
    bool hold_logs = logs_are_held(c);
    bool closed = false; /* nothing may join any more */
    c->last = NULL;
    while (*at) {
        struct batch *batch = *at;
        /* A delete is a group of its own: it changes what definitions of series say. */
        closed = closed || size >= GROUP_SIZE_AIM || (group != NULL && batch->tombstone != NULL);
        if (closed || (hold_logs && batch->head->kind == STORE_LOG)) {
            c->last = batch;
            at = &batch->queue_next;
            continue;
        }
        *at = batch->queue_next;
        batch->queue_next = NULL;
        *end = batch;
        end = &batch->queue_next;
        size += batch_size(batch);
        closed = batch->tombstone != NULL;
    }
    c->queued -= size;
    return group;
}

/* Wait for a call, at most so long.  Caller holds the lock. */
static void wait_for(struct committer *c, int64_t wait_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += wait_ns % NS_PER_SECOND;
    until.tv_sec += wait_ns / NS_PER_SECOND + until.tv_nsec / NS_PER_SECOND;
    until.tv_nsec %= NS_PER_SECOND;
    pthread_cond_timedwait(&c->wake, &c->lock, &until);
}

/*
 * After a failed write: when the file system takes a file again, writes are let through.  Nothing
 * is tried with a sender's batch, so /ready does not change with every try.  Caller holds the
 * lock, which is let go meanwhile.
 */
static void look_for_room(struct committer *c)
{
    if (c->failed || clock_monotonic_ns() < c->retry_ns)
        return;
    struct error err = {0};
    pthread_mutex_unlock(&c->lock);
    bool room = wal_has_room(c->store->wal, ROOM_MIN, &err);
    pthread_mutex_lock(&c->lock);
    c->full = !room;
    c->retry_ns = clock_monotonic_ns() + NS_PER_SECOND;
}

/* NULL when the thread must end. */
static struct batch *take_group(struct committer *c)
{
    struct batch *group = NULL;
    pthread_mutex_lock(&c->lock);
    while (group == NULL && !(c->stopping && c->first == NULL)) {
        if (c->first == NULL && c->full && !c->failed)
            wait_for(c, NS_PER_SECOND / 4);
        else if (c->first == NULL)
            pthread_cond_wait(&c->wake, &c->lock);
        if (c->full)
            look_for_room(c);
        group = cut_group(c);
        if (group == NULL && c->first != NULL) /* only logs, and they are held */
            wait_for(c, HELD_LOOK_MS * NS_PER_MS);
    }
    pthread_mutex_unlock(&c->lock);
    return group;
}

/* ---- encoding ---------------------------------------------------------- */

static uint64_t next_lsn(const struct committer *c)
{
    return wal_next_lsn(c->store->wal) + c->records;
}

static size_t record_begin(struct committer *c, enum wal_type type, uint32_t in_group)
{
    size_t start = wal_record_begin(&c->bytes, next_lsn(c), type, in_group);
    c->records++;
    return start;
}

/* What every segment starts with: see docs/format-wal.md. */
static bool roll(struct committer *c, struct error *err)
{
    struct store *store = c->store;
    buffer_clear(&c->bytes);
    c->records = 0;
    size_t start = record_begin(c, WAL_PRODUCERS, 0);
    producers_write(store->producers, &c->bytes);
    wal_record_end(&c->bytes, start);
    for (size_t i = 0;; i++) {
        size_t before = c->bytes.size;
        start = record_begin(c, WAL_METADATA, (uint32_t)c->records);
        if (!metadata_write(store->metadata, i, &c->bytes)) {
            buffer_truncate(&c->bytes, before);
            c->records--;
            break;
        }
        wal_record_end(&c->bytes, start);
    }
    for (size_t i = 0;; i++) {
        size_t before = c->bytes.size;
        start = record_begin(c, WAL_EXEMPLARS, (uint32_t)c->records);
        if (!exemplars_write(store->exemplars, i, &c->bytes)) {
            buffer_truncate(&c->bytes, before);
            c->records--;
            break;
        }
        wal_record_end(&c->bytes, start);
    }
    bool ok = buffer_check(&c->bytes, "the start of a log segment", err) &&
              wal_roll(store->wal, buffer_slice(&c->bytes), c->records, err);
    buffer_clear(&c->bytes);
    c->records = 0;
    return ok;
}

/* Needs the head's lock: labels are read from its tables. */
static void write_definition(struct committer *c, const struct head *head,
                             const struct series *series)
{
    array_reserve(&c->labels, series->pair_count);
    struct wal_series definition = {series->id, series->last_ns != INT64_MIN, series->last_ns,
                                    series->last_bits};
    wal_series_write(&c->bytes, &definition, head_labels(head, series, c->labels.items));
}

/* A series record for those of the batch's series that the segment does not know yet. */
static void define_series(struct committer *c, struct batch *batch)
{
    uint32_t segment = (uint32_t)wal_segment_number(c->store->wal);
    size_t first = c->defined.count;
    for (size_t i = 0; i < batch->table.count; i++) {
        struct series *series = batch->table.items[i];
        if (i + PREFETCH_AHEAD < batch->table.count)
            __builtin_prefetch(&batch->table.items[i + PREFETCH_AHEAD]->defined_in, 1);
        if (series->defined_in == segment)
            continue;
        series->defined_in = segment;
        array_push(&c->defined, series);
    }
    if (c->defined.count == first)
        return;
    struct head *head = batch->head;
    size_t start = record_begin(c, WAL_SERIES, (uint32_t)c->records);
    buffer_put_sized(&c->bytes, slice_from_text(head->tenant));
    buffer_put8(&c->bytes, (uint8_t)head->kind);
    buffer_put_varint(&c->bytes, c->defined.count - first);
    pthread_mutex_lock(&head->lock);
    for (size_t i = first; i < c->defined.count; i++)
        write_definition(c, head, c->defined.items[i]);
    pthread_mutex_unlock(&head->lock);
    wal_record_end(&c->bytes, start);
}

static struct batch_id id_of(const struct batch *batch)
{
    return (struct batch_id){slice_from_text(batch->head->tenant), batch->head->kind,
                             slice_of(batch->producer, batch->producer_size), batch->epoch,
                             batch->sequence};
}

static bool same_id(const struct batch *a, const struct batch *b)
{
    return a->has_producer && b->has_producer && a->head == b->head && a->epoch == b->epoch &&
           a->sequence == b->sequence &&
           slice_equal(slice_of(a->producer, a->producer_size),
                       slice_of(b->producer, b->producer_size));
}

static bool is_repeated(const struct committer *c, const struct batch *group,
                        const struct batch *batch)
{
    if (!batch->has_producer)
        return false;
    struct batch_id id = id_of(batch);
    if (producers_knows(c->store->producers, &id))
        return true;
    for (const struct batch *other = group; other != batch; other = other->queue_next) {
        if (same_id(other, batch))
            return true;
    }
    return false;
}

static void encode_batch(struct committer *c, struct batch *batch)
{
    define_series(c, batch);
    batch->lsn = next_lsn(c);
    bool packed = batch->packed.size > 0;
    enum wal_type type = batch->tombstone                    ? WAL_TOMBSTONE
                         : batch->head->kind == STORE_METRIC ? WAL_SAMPLES
                         : packed                            ? WAL_PACKED_ENTRIES
                                                             : WAL_ENTRIES;
    size_t start = record_begin(c, type, (uint32_t)c->records);
    buffer_append_slice(&c->bytes, buffer_slice(&batch->head_bytes));
    buffer_append_slice(&c->bytes, buffer_slice(packed ? &batch->packed : &batch->body));
    wal_record_end(&c->bytes, start);
    if (batch->exemplar_count == 0)
        return;
    start = record_begin(c, WAL_EXEMPLARS, (uint32_t)c->records);
    buffer_put_sized(&c->bytes, slice_from_text(batch->head->tenant));
    buffer_put_varint(&c->bytes, batch->exemplar_count);
    buffer_append_slice(&c->bytes, buffer_slice(&batch->exemplars));
    wal_record_end(&c->bytes, start);
}

static void encode_group(struct committer *c, struct batch *group)
{
    buffer_clear(&c->bytes);
    c->records = 0;
    c->defined.count = 0;
    for (struct batch *batch = group; batch; batch = batch->queue_next) {
        batch->repeated = is_repeated(c, group, batch);
        if (!batch->repeated)
            encode_batch(c, batch);
    }
}

/* ---- applying and answering -------------------------------------------- */

static void count_result(struct store *store, const struct batch *batch,
                         const struct apply_result *applied)
{
    struct store_counters *counters = &store->counters;
    if (batch->head->kind == STORE_METRIC)
        store_count(&counters->samples_appended, applied->stored);
    else
        store_count(&counters->entries_appended, applied->stored);
    store_count(&counters->line_bytes_appended, applied->line_bytes);
    for (int i = 0; i < REFUSED_REASONS; i++) {
        if (applied->refused[i] > 0)
            store_count(&counters->refused[batch->head->kind][i], applied->refused[i]);
    }
}

static void apply_tombstone(struct committer *c, struct batch *batch, struct batch_result *result)
{
    struct tombstone *tombstone = TAKE(batch->tombstone);
    tombstone->lsn = result->lsn = batch->lsn;
    head_hide(batch->head, c->store->tombstones, tombstone);
    sealer_wake(c->store->sealer);
}

static void apply_batch(struct committer *c, struct batch *batch, struct batch_result *result)
{
    struct store *store = c->store;
    struct apply_result applied = {0};
    struct apply_batch apply = {.body = buffer_slice(&batch->body),
                                .table = batch->table.items,
                                .table_count = batch->table.count,
                                .lsn = batch->lsn,
                                .now_s = store_now_s(),
                                .window_ns = batch->head->window_ns};
    bool ok = head_apply(batch->head, &apply, &applied);
    if (!ok) /* our own encoder wrote it */
        abort();
    if (batch->has_producer) {
        struct batch_id id = id_of(batch);
        producers_add(store->producers, &id);
    }
    __atomic_add_fetch(&store->head_memory, (uint64_t)applied.memory, __ATOMIC_RELAXED);
    if (batch->head->kind == STORE_LOG)
        __atomic_add_fetch(&store->log_memory, (uint64_t)applied.memory, __ATOMIC_RELAXED);
    if (applied.frozen_bytes > FROZEN_BYTES_WAKE || sealer_is_wanted(store))
        sealer_wake(store->sealer);
    count_result(store, batch, &applied);
    result->lsn = batch->lsn;
    result->stored = applied.stored;
    memcpy(result->refused, applied.refused, sizeof(result->refused));
    result->shown = applied.shown;
    for (size_t i = 0; i < applied.shown; i++) {
        result->first[i].reason = applied.first[i].reason;
        result->first[i].series = applied.first[i].series;
        result->first[i].time_ns = applied.first[i].time_ns;
        result->first[i].bound_ns = applied.first[i].bound_ns;
    }
}

static void apply_metadata(struct committer *c, const struct batch *batch)
{
    if (batch->metadata_count == 0)
        return;
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    buffer_put_varint(&list, batch->metadata_count);
    buffer_append_slice(&list, buffer_slice(&batch->metadata));
    if (!metadata_apply(c->store->metadata, slice_from_text(batch->head->tenant),
                        buffer_slice(&list)))
        abort();
    buffer_done(&list);
}

static void apply_exemplars(struct committer *c, const struct batch *batch)
{
    if (batch->exemplar_count == 0)
        return;
    struct store_counters *counters = &c->store->counters;
    uint64_t dropped = 0;
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    buffer_put_varint(&list, batch->exemplar_count);
    buffer_append_slice(&list, buffer_slice(&batch->exemplars));
    if (!exemplars_apply(c->store->exemplars, slice_from_text(batch->head->tenant),
                         buffer_slice(&list), &dropped))
        abort();
    store_count(&counters->exemplars_appended, batch->exemplar_count - dropped);
    store_count(&counters->exemplars_refused, dropped);
    buffer_done(&list);
}

static void answer(struct batch *batch, struct batch_result *result)
{
    for (int i = 0; i < REFUSED_REASONS; i++)
        result->refused[i] += batch->refused[i];
    batch->done(batch->context, batch, result);
    batch_free(batch);
}

static void apply_group(struct committer *c, struct batch *group)
{
    for (struct batch *batch = group; batch;) {
        struct batch *next = batch->queue_next;
        struct batch_result result = {0};
        if (batch->repeated) {
            result.repeated = true;
            store_count(&c->store->counters.batches_repeated, 1);
        } else {
            __atomic_store_n(&c->store->applied_lsn, batch->lsn - 1, __ATOMIC_RELEASE);
            if (batch->tombstone)
                apply_tombstone(c, batch, &result);
            else
                apply_batch(c, batch, &result);
            apply_metadata(c, batch);
            apply_exemplars(c, batch);
        }
        crash_point("wal.acknowledged");
        answer(batch, &result);
        batch = next;
    }
    __atomic_store_n(&c->store->applied_lsn, wal_next_lsn(c->store->wal) - 1, __ATOMIC_RELEASE);
}

static void refuse_group(struct committer *c, struct batch *group, const struct error *cause)
{
    for (size_t i = 0; i < c->defined.count; i++)
        c->defined.items[i]->defined_in = 0;
    struct error err = *cause;
    err.code = ERR_UNAVAILABLE; /* for the sender it is temporary either way */
    for (struct batch *batch = group; batch;) {
        struct batch *next = batch->queue_next;
        struct batch_result result = {.error = &err};
        answer(batch, &result);
        batch = next;
    }
}

static void note_outcome(struct committer *c, bool ok, const struct error *err)
{
    pthread_mutex_lock(&c->lock);
    c->failed = c->failed || wal_failed(c->store->wal);
    c->full = c->problem = !ok;
    if (!ok) {
        c->cause = *err;
        c->retry_ns = clock_monotonic_ns() + NS_PER_SECOND;
    }
    pthread_mutex_unlock(&c->lock);
}

static void commit_group(struct committer *c, struct batch *group)
{
    struct error err = {0};
    crash_point("wal.group_taken");
    if (group->tombstone)
        crash_point("delete.taken");
    encode_group(c, group);
    if (wal_is_full(c->store->wal, c->bytes.size) && c->records > 0) {
        /* The next segment knows none of the series: encode again for it. */
        for (size_t i = 0; i < c->defined.count; i++)
            c->defined.items[i]->defined_in = 0;
        c->defined.count = 0;
        if (!roll(c, &err)) {
            note_outcome(c, false, &err);
            refuse_group(c, group, &err);
            return;
        }
        encode_group(c, group);
    }
    bool ok =
        buffer_check(&c->bytes, "a group of batches", &err) &&
        (c->records == 0 || wal_append(c->store->wal, buffer_slice(&c->bytes), c->records, &err));
    if (c->records > 0 || !ok) /* repeats alone write nothing, so they tell nothing */
        note_outcome(c, ok, &err);
    if (ok)
        apply_group(c, group);
    else
        refuse_group(c, group, &err);
    ledger_update(LEDGER_WAL, &c->counted, c->bytes.capacity);
    if (c->bytes.capacity > BUFFER_KEPT) {
        buffer_done(&c->bytes);
        buffer_init(&c->bytes, UINT32_MAX);
    }
}

static void *run(void *context)
{
    struct committer *c = context;
    for (struct batch *group; (group = take_group(c)) != NULL;) {
        if (__atomic_load_n(&c->abandoned, __ATOMIC_ACQUIRE)) {
            struct error err = {0};
            error_set(&err, ERR_UNAVAILABLE, "the store was abandoned");
            c->defined.count = 0;
            refuse_group(c, group, &err);
        } else {
            commit_group(c, group);
        }
    }
    return NULL;
}

/* ---- life -------------------------------------------------------------- */

struct committer *committer_new(struct store *store)
{
    struct committer *c = xcalloc(1, sizeof(*c));
    c->store = store;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    buffer_init(&c->bytes, UINT32_MAX);
    return c;
}

bool committer_start(struct committer *c, struct error *err)
{
    int failed = pthread_create(&c->thread, NULL, run, c);
    if (failed != 0)
        return error_set(err, ERR_IO, "starting the log's thread: %s", strerror(failed));
    c->started = true;
    pthread_setname_np(c->thread, "wal");
    return true;
}

void committer_refuse(struct committer *c, const struct error *cause)
{
    pthread_mutex_lock(&c->lock);
    struct batch *waiting = c->first;
    c->first = c->last = NULL;
    c->queued = 0;
    c->failed = true;
    c->cause = *cause;
    pthread_mutex_unlock(&c->lock);
    c->defined.count = 0;
    refuse_group(c, waiting, cause);
}

void committer_stop(struct committer *c, bool abandon)
{
    if (c == NULL || !c->started)
        return;
    __atomic_store_n(&c->abandoned, abandon, __ATOMIC_RELEASE);
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->started = false;
}

void committer_free(struct committer *c)
{
    if (c == NULL)
        return;
    committer_stop(c, true);
    ledger_update(LEDGER_WAL, &c->counted, 0);
    buffer_done(&c->bytes);
    array_done(&c->defined);
    array_done(&c->labels);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->wake);
    free(c);
}

bool committer_roll(struct committer *c, struct error *err)
{
    return roll(c, err);
}
