/*
 * head_apply.c - from a record's body to entries in the head.
 *
 * Live batches and replay both come here.  Every decision depends on the
 * series' last entry and the record alone; `sealed` (replay only) says what a
 * partition holds already, so that the state moves on without storing it twice.
 *
 * Plain floats take the short way.  A sample that is more (rich_sample.h) begins
 * a rich chunk; what comes after it in that chunk, floats too, is written like it.
 */
#include "storage/head.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "storage/partition.h"
#include "storage/rich_sample.h"

enum {
    PREFETCH_AHEAD = 8,
    SIDE_SAMPLES_MAX = 4096,
    SIDE_BYTES_MAX = 1024 * 1024,
    RICH_CHECK_MEMORY = 16 * 1024 * 1024
};

static void refuse(struct apply_result *result, enum refusal_reason reason, uint32_t number,
                   int64_t time_ns, int64_t bound_ns)
{
    result->refused[reason]++;
    if (result->shown == BATCH_REFUSALS_SHOWN)
        return;
    size_t i = result->shown++;
    result->first[i].reason = reason;
    result->first[i].series = number;
    result->first[i].time_ns = time_ns;
    result->first[i].bound_ns = bound_ns;
}

static bool is_sealed(const struct apply_batch *batch, const struct series *series, bool side,
                      int64_t time_ns, struct apply_result *result)
{
    if (LIKELY(batch->sealed == NULL))
        return false;
    if (!batch->sealed->covers(batch->sealed->context, series, side, time_ns, batch->lsn))
        return false;
    result->skipped++;
    return true;
}

/* Is an out-of-order time inside the window?  Refused entries are counted. */
static bool in_window(const struct apply_batch *batch, const struct series *series, uint32_t number,
                      int64_t time_ns, struct apply_result *result)
{
    int64_t bound = ns_sub(series->last_ns, batch->window_ns);
    if (batch->window_ns < 0 || time_ns >= bound)
        return true;
    refuse(result, REFUSED_OUT_OF_ORDER, number, time_ns, bound);
    return false;
}

/* `time_ns`: of what will be its first entry. */
static struct head_chunk *chunk_start(struct head *head, bool side, int64_t time_ns, uint32_t now_s)
{
    if (time_ns < head->oldest_ns)
        head->oldest_ns = time_ns;
    struct head_chunk *chunk = head_chunk_new(head->kind == STORE_LOG, side, now_s);
    head->chunk_bytes += head_chunk_memory(chunk);
    head->chunk_count++;
    return chunk;
}

/* ---- metrics ----------------------------------------------------------- */

struct head_sample {
    int64_t time_ns;
    uint64_t bits;     /* of a float, or rich_sample_bits() */
    struct slice rich; /* its bytes; data NULL: a plain float */
};

enum open_holds { HOLDS_NONE, HOLDS_SAME, HOLDS_OTHER };

static enum open_holds rich_holds(const struct head_chunk *chunk, int64_t time_ns, uint64_t bits)
{
    struct rich_bytes sample;
    for (uint32_t at = 0; head_chunk_next_rich(chunk, chunk->size, &at, &sample);)
        if (sample.time_ns == time_ns)
            return rich_sample_bits(sample.bytes) == bits ? HOLDS_SAME : HOLDS_OTHER;
    return HOLDS_NONE;
}

/* What has the open chunk at the time of a late sample? */
static enum open_holds open_holds(const struct head_chunk *chunk, int64_t time_ns, uint64_t bits)
{
    int64_t times[HEAD_CHUNK_SAMPLES_MAX];
    uint64_t values[HEAD_CHUNK_SAMPLES_MAX];
    if (chunk == NULL || time_ns < chunk->first_ns || time_ns > chunk->last_ns)
        return HOLDS_NONE;
    if (chunk->rich)
        return rich_holds(chunk, time_ns, bits);
    head_chunk_decode(chunk, chunk->count, times, values);
    uint32_t low = 0;
    uint32_t high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times[middle] < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == chunk->count || times[low] != time_ns)
        return HOLDS_NONE;
    return values[low] == bits ? HOLDS_SAME : HOLDS_OTHER;
}

static struct head_chunk *add_rich(const struct apply_batch *batch, struct head_chunk *chunk,
                                   const struct head_sample *sample)
{
    uint8_t plain[1 + sizeof(double)] = {0}; /* no flags: a float */
    bytes_put64(plain + 1, sample->bits);
    struct slice bytes = sample->rich.data ? sample->rich : slice_of(plain, sizeof(plain));
    return head_chunk_add_rich(chunk, sample->time_ns, bytes, batch->lsn, batch->now_s);
}

static struct head_chunk *add_side(const struct apply_batch *batch, struct head_chunk *side,
                                   const struct head_sample *sample)
{
    if (sample->rich.data && !side->rich)
        side = head_chunk_make_rich(side);
    if (side->rich)
        return add_rich(batch, side, sample);
    return head_chunk_add_side(side, sample->time_ns, sample->bits, batch->lsn, batch->now_s);
}

/* A sample that is not newer than the last one. */
static void apply_late_sample(struct head *head, const struct apply_batch *batch, uint32_t number,
                              const struct head_sample *sample, struct apply_result *result)
{
    struct series *series = batch->table[number];
    int64_t time_ns = sample->time_ns;
    if (time_ns == series->last_ns) {
        if (sample->bits == series->last_bits)
            result->stored++;
        else
            refuse(result, REFUSED_DUPLICATE, number, time_ns, time_ns);
        return;
    }
    if (!in_window(batch, series, number, time_ns, result))
        return;
    result->stored++;
    /* A repeat needs no place, unless a late sample of another value may have come between. */
    enum open_holds holds = open_holds(series->open, time_ns, sample->bits);
    if (holds == HOLDS_OTHER)
        series->overridden = true;
    if (is_sealed(batch, series, true, time_ns, result) ||
        (holds == HOLDS_SAME && !series->overridden))
        return;
    /* A mark covers whole batches: a side chunk ends between batches only. */
    if (series->side && series->side->last_lsn != batch->lsn &&
        (series->side->count >= SIDE_SAMPLES_MAX || series->side->size >= SIDE_BYTES_MAX))
        head_freeze_chunk(head, series, &series->side);
    if (series->side == NULL)
        series->side = chunk_start(head, true, time_ns, batch->now_s);
    head->chunk_bytes -= head_chunk_memory(series->side);
    series->side = add_side(batch, series->side, sample);
    if (time_ns < head->oldest_ns)
        head->oldest_ns = time_ns;
    head->chunk_bytes += head_chunk_memory(series->side);
}

/* Inline, so that the plain case is compiled without what only rich samples need. */
static inline __attribute__((always_inline)) void
apply_sample(struct head *head, const struct apply_batch *batch, uint32_t number,
             const struct head_sample *sample, struct apply_result *result)
{
    struct series *series = batch->table[number];
    int64_t time_ns = sample->time_ns;
    bool rich = sample->rich.data != NULL;
    if (UNLIKELY(time_ns <= series->last_ns)) {
        apply_late_sample(head, batch, number, sample, result);
        return;
    }
    series->last_ns = time_ns;
    series->last_bits = sample->bits;
    result->stored++;
    if (is_sealed(batch, series, false, time_ns, result))
        return;
    struct head_chunk *chunk = series->open;
    if (chunk == NULL || head_chunk_ends_before(chunk, time_ns) || (rich && !chunk->rich)) {
        if (chunk)
            head_freeze_chunk(head, series, &series->open);
        chunk = chunk_start(head, false, time_ns, batch->now_s);
        chunk->rich = rich;
    } else if (chunk->count == 1) {
        /* The second sample tells the interval, and so where the chunk ends. */
        head_chunk_set_interval(chunk, time_ns);
        if (head_chunk_ends_before(chunk, time_ns)) {
            head_freeze_chunk(head, series, &series->open);
            chunk = chunk_start(head, false, time_ns, batch->now_s);
            chunk->rich = rich;
        }
    }
    uint32_t before = chunk->capacity;
    if (UNLIKELY(chunk->rich))
        chunk = add_rich(batch, chunk, sample);
    else
        chunk = head_chunk_add_sample(chunk, time_ns, sample->bits, batch->lsn, batch->now_s);
    head->chunk_bytes += chunk->capacity - before;
    series->open = chunk;
    if (time_ns > head->newest_ns)
        head->newest_ns = time_ns;
}

/*
 * In three steps, each of which reads only what the one before brought into the
 * cache.  Always inline: gcc 12 sees no effect in a function that only prefetches
 * and drops calls of it.
 */
__attribute__((always_inline)) static inline void prefetch(const struct apply_batch *batch,
                                                           size_t number)
{
    if (number + 3 * PREFETCH_AHEAD >= batch->table_count)
        return;
    __builtin_prefetch(batch->table[number + 3 * PREFETCH_AHEAD], 1);
    const struct head_chunk *chunk = batch->table[number + 2 * PREFETCH_AHEAD]->open;
    if (chunk) { /* what every sample touches spans two cache lines */
        __builtin_prefetch(&chunk->last_ns, 1);
        __builtin_prefetch(&chunk->last_bits, 1);
    }
    chunk = batch->table[number + PREFETCH_AHEAD]->open;
    if (chunk)
        __builtin_prefetch(chunk->data + chunk->size, 1);
}

/* What was read from disk is looked through before it is stored. */
static bool rich_is_well_formed(const struct apply_batch *batch, struct slice bytes)
{
    if (batch->sealed == NULL)
        return true;
    struct rich_sample sample = {0};
    struct arena *arena = arena_new(RICH_CHECK_MEMORY);
    bool ok = rich_sample_read(bytes, arena, &sample, NULL);
    arena_free(arena);
    return ok;
}

/* A rich sample, behind the empty group that announces it. */
static bool apply_rich(struct head *head, const struct apply_batch *batch, struct reader *in,
                       int64_t time_ns, int64_t *number, struct apply_result *result)
{
    if (__builtin_add_overflow(*number, read_zigzag(in), number) ||
        __builtin_add_overflow(*number, 1, number))
        return false;
    struct head_sample sample = {.time_ns = time_ns, .rich = read_sized(in)};
    if (in->failed || sample.rich.size == 0 || *number < 0 ||
        (uint64_t)*number >= batch->table_count || !rich_is_well_formed(batch, sample.rich))
        return false;
    sample.bits = rich_sample_bits(sample.rich);
    apply_sample(head, batch, (uint32_t)*number, &sample, result);
    return true;
}

static bool apply_samples(struct head *head, const struct apply_batch *batch,
                          struct apply_result *result)
{
    struct reader in = reader_of(batch->body);
    int64_t time_ms = 0, lowest_ns = INT64_MAX;
    int64_t number = -1;
    while (reader_left(&in) > 0) {
        uint32_t count = read16(&in);
        if (__builtin_add_overflow(time_ms, read_zigzag(&in), &time_ms) ||
            time_ms > INT64_MAX / NS_PER_MS || time_ms < INT64_MIN / NS_PER_MS)
            return false;
        int64_t time_ns = time_ms * NS_PER_MS;
        lowest_ns = time_ns < lowest_ns ? time_ns : lowest_ns;
        if (UNLIKELY(count == 0) && !apply_rich(head, batch, &in, time_ns, &number, result))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            if (__builtin_add_overflow(number, read_zigzag(&in), &number) ||
                __builtin_add_overflow(number, 1, &number))
                return false;
            uint64_t bits = read64(&in);
            if (in.failed || number < 0 || (uint64_t)number >= batch->table_count)
                return false;
            prefetch(batch, (size_t)number);
            struct head_sample sample = {.time_ns = time_ns, .bits = bits};
            apply_sample(head, batch, (uint32_t)number, &sample, result);
        }
    }
    if (lowest_ns != INT64_MAX)
        changes_note(&head->changes, lowest_ns);
    return !in.failed;
}

/* ---- logs -------------------------------------------------------------- */

static void store_entry(struct head *head, const struct apply_batch *batch, struct series *series,
                        struct head_chunk **slot, const struct log_entry *entry)
{
    struct head_chunk *chunk = *slot;
    if (chunk && chunk->last_lsn != batch->lsn &&
        (chunk->size >= HEAD_CHUNK_TEXT_AIM || chunk->count >= HEAD_CHUNK_ENTRIES_AIM)) {
        head_freeze_chunk(head, series, slot);
        chunk = NULL;
    }
    if (chunk == NULL)
        chunk = *slot = chunk_start(head, slot == &series->side, entry->time_ns, batch->now_s);
    head->chunk_bytes -= head_chunk_memory(chunk);
    head_chunk_add_entry(chunk, entry->time_ns, entry->line, entry->metadata, batch->lsn,
                         batch->now_s);
    head->chunk_bytes += head_chunk_memory(chunk);
}

static void apply_entry(struct head *head, const struct apply_batch *batch, uint32_t number,
                        const struct log_entry *entry, struct apply_result *result)
{
    struct series *series = batch->table[number];
    bool late = entry->time_ns < series->last_ns;
    if (late && !in_window(batch, series, number, entry->time_ns, result))
        return;
    if (!late)
        series->last_ns = entry->time_ns;
    result->stored++;
    result->line_bytes += entry->line.size;
    if (is_sealed(batch, series, late, entry->time_ns, result))
        return;
    if (late) {
        store_entry(head, batch, series, &series->side, entry);
        return;
    }
    struct head_chunk *open = series->open;
    if (open && open->last_ns == entry->time_ns &&
        head_chunk_has_entry(open, entry->time_ns, entry->line, entry->metadata))
        return;
    if (open && partition_day(open->last_ns) != partition_day(entry->time_ns))
        head_freeze_chunk(head, series, &series->open);
    store_entry(head, batch, series, &series->open, entry);
    if (entry->time_ns > head->newest_ns)
        head->newest_ns = entry->time_ns;
}

static bool apply_entries(struct head *head, const struct apply_batch *batch,
                          struct apply_result *result)
{
    struct reader in = reader_of(batch->body);
    int64_t time_ns = 0;
    while (reader_left(&in) > 0) {
        uint64_t number = read_varint(&in);
        struct log_entry entry;
        if (__builtin_add_overflow(time_ns, read_zigzag(&in), &time_ns))
            return false;
        entry.time_ns = time_ns;
        entry.line = read_sized(&in);
        entry.metadata = read_sized(&in);
        if (in.failed || number >= batch->table_count)
            return false;
        apply_entry(head, batch, (uint32_t)number, &entry, result);
    }
    return !in.failed;
}

bool head_apply(struct head *head, const struct apply_batch *batch, struct apply_result *result)
{
    pthread_mutex_lock(&head->lock);
    size_t before = head->chunk_bytes;
    bool ok = head->kind == STORE_METRIC ? apply_samples(head, batch, result)
                                         : apply_entries(head, batch, result);
    head->applied_lsn = batch->lsn;
    result->memory = (int64_t)head->chunk_bytes - (int64_t)before;
    head_count_memory(head);
    result->frozen_bytes = head->frozen_bytes;
    pthread_mutex_unlock(&head->lock);
    return ok;
}
