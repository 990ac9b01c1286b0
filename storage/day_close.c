/*
 * day_close.c - which days are due, and what goes into their new generation.
 *
 * A day is due when it and its out-of-order window are over and nothing was
 * sealed into it for some minutes; one that got late data after its close is due
 * again after an hour of quiet, or after those minutes when more than 5% is late.  It must have
 * left the head: then one LSN says for the whole day what is sealed, and replay skips all up to it,
 * also of entries that are now in a chunk with others.
 *
 * The content comes from the readers that answer queries, with the old
 * generation as their only source, so what is given out before and after is the
 * same by construction.  A series that would take too much memory is copied as it is.
 */
#include "storage/day_close.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "storage/chunk_filter.h"
#include "storage/cursor_internal.h"
#include "storage/day_deletes.h"
#include "storage/retention.h"

enum {
    SERIES_AT_ONCE = 256,
    HEAD_SERIES_AT_ONCE = 2048,
    ENTRIES_MEMORY_MAX =
        64 * 1024 * 1024, /* one huge log line must fit; usually it is below 4 MiB */
    SAMPLES_MEMORY_MAX = 16 * 1024 * 1024,
    SAMPLES_MAX = 256 * 1024, /* of one series that is merged in memory */
    COUNTS_AIM = 128 * 1024,  /* of the histograms in a chunk: 1 MiB for who reads it */
    RICH_COUNT_MIN = 120,
    COPY_MEMORY_MAX = 64 * 1024 * 1024,
    CLOSED_SAMPLES_AIM = 2048, /* in a chunk: longer ones save nothing and make short reads slow */
    PARTS_MAX = 4096,
    LATE_PERCENT_MAX = 5,
    QUIET_S = 3600,
    BREATH_NS = 50 * 1000 * 1000,
    REST_NS_MAX = 300 * 1000 * 1000,
    DAYS_LIST_MAX = 64 * 1024 * 1024
};

/* A day at work. */
struct closing {
    const struct day_close_rule *rule;
    int64_t breath_ns; /* when it last let others work */
    struct rewrite *rewrite;
    struct partition *source;
    uint64_t lsn_max;     /* of the source: all new chunks bear it */
    struct cursor cursor; /* with the source alone, one series at a time */
    struct cursor_reader *reader;
    struct part part;
    struct part_range range;
    struct cursor_series series;
    struct chunk_refs batch;           /* of some series at once */
    const struct day_deletes *deletes; /* NULL: nothing is deleted */
    struct arena *names;               /* labels of the batch, when something is */
    struct labels labels[SERIES_AT_ONCE];
    struct buffer bytes; /* of a new chunk */
    /* Log entries of the next chunk. */
    struct arena *arena;
    ARRAY(int64_t) times;
    ARRAY(struct slice) lines;
    ARRAY(struct labels) metadata;
    size_t text;
    bool no_skip_index;
};

/* Between pieces of work: may it go on, and leave the others their share of the time. */
static bool breathe(struct closing *c, struct error *err)
{
    const struct day_close_rule *rule = c->rule;
    int64_t now_ns = clock_monotonic_ns(), worked_ns = now_ns - c->breath_ns;
    if (worked_ns < BREATH_NS)
        return true;
    if (rule->share > 0) {
        int64_t rest_ns = worked_ns / rule->share * (100 - rule->share);
        struct timespec rest = {0, (long)(rest_ns < REST_NS_MAX ? rest_ns : REST_NS_MAX)};
        nanosleep(&rest, NULL);
    }
    if (rule->go_on != NULL && !rule->go_on(rule->context))
        return error_set(err, ERR_CANCELED, "closing a day was given up");
    c->breath_ns = clock_monotonic_ns();
    return true;
}

/* ---- copying -------------------------------------------------------------- */

static bool copy_chunks(struct closing *c, size_t position, const struct chunk_ref *refs,
                        size_t count, struct error *err)
{
    bool ok = true;
    AUTO(buffer_done) struct buffer bytes;
    buffer_init(&bytes, COPY_MEMORY_MAX);
    for (size_t i = 0; ok && i < count; i++) {
        struct slice chunk;
        bool empty = false;
        buffer_clear(&bytes);
        buffer_clear(&c->bytes);
        ok = partition_fetch(c->source, &refs[i], 1, &bytes, &chunk, err) &&
             chunk_filter(&chunk, c->cursor.hides.items, c->cursor.hides.count, &c->bytes, &empty,
                          err) &&
             (empty || rewrite_chunk(c->rewrite, position, chunk, err));
    }
    return ok;
}

/* ---- samples --------------------------------------------------------------- */

/*
 * The length of the parts into which the day is cut, a power of two of them: so that series of one
 * interval are cut at the same times and share their columns, even when one starts late.
 */
static int64_t part_of_day_ns(const struct sample_column *column)
{
    int64_t parts = 1;
    if (column->count < 2)
        return NS_PER_DAY;
    int64_t span = column->times_ns[column->count - 1] - column->times_ns[0];
    int64_t step = span / (int64_t)(column->count - 1);
    while (parts < PARTS_MAX && NS_PER_DAY / parts > step * CLOSED_SAMPLES_AIM)
        parts *= 2;
    return NS_PER_DAY / parts;
}

/* How many of the samples from `at` on lie in the same part of the day. */
static size_t count_in_part(const struct sample_column *column, size_t at, int64_t part_ns)
{
    size_t low = at + 1, high = column->count;
    int64_t time = column->times_ns[at];
    int64_t end = time - time % part_ns + part_ns; /* a day before 1970 is cut elsewhere: fine */
    if (high - at > CHUNK_SAMPLES_MAX)
        high = at + CHUNK_SAMPLES_MAX;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (column->times_ns[middle] < end)
            low = middle + 1;
        else
            high = middle;
    }
    return low - at;
}

static bool merge_samples(struct closing *c, size_t position, struct error *err)
{
    struct sample_column column;
    if (!cursor_read_samples(c->reader, 0, &column, err))
        return false;
    int64_t part_ns = part_of_day_ns(&column);
    for (size_t at = 0; at < column.count;) {
        size_t count = count_in_part(&column, at, part_ns);
        buffer_clear(&c->bytes);
        if (!chunk_encode_samples(column.times_ns + at, column.values + at, count, c->lsn_max, 0,
                                  &c->bytes, err) ||
            !rewrite_chunk(c->rewrite, position, buffer_slice(&c->bytes), err))
            return false;
        at += count;
    }
    return true;
}

/* ---- histograms ------------------------------------------------------------ */

/* How many of the samples from `at` on make a chunk. */
static size_t count_of_rich(const struct sample_column *column, const struct rich_sample *samples,
                            size_t at, int64_t part_ns)
{
    size_t count = count_in_part(column, at, part_ns);
    size_t counts = 0, some = 0;
    while (some < count && (some < RICH_COUNT_MIN || counts < COUNTS_AIM)) {
        const struct histogram *h = samples[at + some++].histogram;
        counts += h ? h->positive.bucket_count + h->negative.bucket_count : 0;
    }
    return chunk_rich_fit(samples + at, some);
}

static bool write_rich(struct closing *c, size_t position, const struct sample_column *column,
                       const struct rich_sample *samples, struct error *err)
{
    int64_t part_ns = part_of_day_ns(column);
    for (size_t at = 0; at < column->count;) {
        size_t some = count_of_rich(column, samples, at, part_ns);
        buffer_clear(&c->bytes);
        if (!chunk_encode_rich(samples + at, some, c->lsn_max, 0, &c->bytes, err) ||
            !rewrite_chunk(c->rewrite, position, buffer_slice(&c->bytes), err))
            return false;
        at += some;
    }
    return true;
}

/* Histograms may turn out too large when they are decoded: then their chunks stay. */
static bool merge_rich(struct closing *c, size_t position, const struct chunk_ref *refs,
                       size_t count, struct error *err)
{
    struct sample_column column;
    const struct rich_sample *samples;
    struct error failure = {0};
    if (!cursor_read_samples(c->reader, 0, &column, &failure) ||
        !cursor_rich_stored(c->reader, &samples, &failure)) {
        if (failure.code == ERR_LIMIT)
            return copy_chunks(c, position, refs, count, err);
        *err = failure;
        return false;
    }
    return write_rich(c, position, &column, samples, err);
}

/* ---- log entries ------------------------------------------------------------- */

static void entries_clear(struct closing *c)
{
    arena_free(c->arena);
    c->arena = arena_new(ENTRIES_MEMORY_MAX);
    c->times.count = c->lines.count = c->metadata.count = 0;
    c->text = 0;
}

static bool entries_flush(struct closing *c, size_t position, struct error *err)
{
    if (c->times.count == 0)
        return true;
    struct chunk_entries entries = {.times_ns = c->times.items,
                                    .lines = c->lines.items,
                                    .metadata = c->metadata.items,
                                    .count = c->times.count,
                                    .level = c->text < CHUNK_TEXT_SMALL ? CHUNK_LEVEL_PLAIN
                                                                        : CHUNK_LEVEL_CLOSED,
                                    .skip_index = !c->no_skip_index};
    buffer_clear(&c->bytes);
    bool ok = chunk_encode_entries(&entries, c->lsn_max, 0, &c->bytes, err) &&
              rewrite_chunk(c->rewrite, position, buffer_slice(&c->bytes), err);
    entries_clear(c);
    return ok && breathe(c, err);
}

/* Is the chunk full before this entry?  Equal times stay together where they can. */
static bool entries_full(const struct closing *c, int64_t time_ns, size_t size)
{
    size_t count = c->times.count;
    if (count == 0)
        return false;
    bool same_time = c->times.items[count - 1] == time_ns;
    return count >= CHUNK_ENTRIES_MAX || c->text + size > (size_t)4 * CHUNK_TEXT_AIM ||
           (!same_time && (c->text >= CHUNK_TEXT_AIM || count >= CHUNK_ENTRIES_MAX / 2));
}

static bool entries_add(struct closing *c, size_t position, const struct entry_block *block,
                        struct error *err)
{
    for (size_t i = 0; i < block->count; i++) {
        struct slice line = block->lines[i];
        if (entries_full(c, block->times_ns[i], line.size) && !entries_flush(c, position, err))
            return false;
        struct slice text = line.size > 0 ? arena_copy(c->arena, line) : SLICE("");
        struct labels metadata = labels_copy(c->arena, block->metadata[i]);
        array_push(&c->times, block->times_ns[i]);
        array_push(&c->lines, text);
        array_push(&c->metadata, metadata);
        c->text += line.size;
        if (!arena_check(c->arena, "a log chunk", err))
            return false;
    }
    return true;
}

static bool merge_entries(struct closing *c, size_t position, struct error *err)
{
    struct entry_block block = {.count = 1};
    struct entry_stream *stream = entry_stream_open(c->reader, 0, err);
    if (stream == NULL)
        return false;
    bool ok = true;
    entries_clear(c);
    while (ok && block.count > 0)
        ok = entry_stream_next(stream, &block, err) && entries_add(c, position, &block, err);
    entry_stream_close(stream);
    return ok && entries_flush(c, position, err);
}

/* ---- one series ---------------------------------------------------------------- */

/* May the readers merge these chunks? */
static bool can_merge(const struct closing *c, const struct chunk_ref *refs, size_t count)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < count; i++)
        samples += refs[i].count;
    return c->cursor.request.kind == STORE_LOG || samples <= SAMPLES_MAX;
}

static bool close_series(struct closing *c, size_t position, const struct chunk_ref *refs,
                         size_t count, struct error *err)
{
    bool is_late = c->cursor.hides.count > 0; /* not a chunk that can be taken as it is */
    bool is_rich = false;
    for (size_t i = 0; i < count; i++) {
        is_late |= (refs[i].flags & CHUNK_OUT_OF_ORDER) != 0;
        is_rich |= refs[i].kind == CHUNK_RICH;
    }
    if (count == 0)
        return true;
    bool is_alone = count == 1 && !is_late &&
                    (refs[0].kind != CHUNK_ENTRIES || partition_is_of_close(c->source, &refs[0]));
    if (is_alone || !can_merge(c, refs, count))
        return copy_chunks(c, position, refs, count, err);
    struct part *part = &c->cursor.parts.items[0];
    part->refs.count = 0;
    for (size_t i = 0; i < count; i++)
        array_push(&part->refs, refs[i]);
    c->cursor.ranges.items[0].count = count;
    c->cursor.series.items[0].hide_count = (uint32_t)c->cursor.hides.count;
    if (c->cursor.request.kind == STORE_LOG)
        return merge_entries(c, position, err);
    return is_rich ? merge_rich(c, position, refs, count, err) : merge_samples(c, position, err);
}

/* ---- one day --------------------------------------------------------------------- */

static int number_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The chunks of `series` among the refs, which are sorted by series. */
static const struct chunk_ref *refs_find(const struct chunk_refs *refs, uint32_t series,
                                         size_t *count)
{
    size_t low = 0, high = refs->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (refs->items[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < refs->count && refs->items[high].series == series;)
        high++;
    *count = high - low;
    return refs->items + low;
}

/* Labels are needed only where something is deleted. */
static bool batch_labels_read(struct closing *c, const uint32_t *numbers, size_t count,
                              struct error *err)
{
    if (c->deletes == NULL)
        return true;
    arena_free(c->names);
    c->names = arena_new(ENTRIES_MEMORY_MAX);
    return partition_labels(c->source, numbers, count, c->names, c->labels, err);
}

/* Some series next to each other in the new order: their chunks are listed at once. */
static bool close_batch(struct closing *c, const uint32_t *order, size_t from, size_t count,
                        struct error *err)
{
    uint32_t numbers[SERIES_AT_ONCE];
    memcpy(numbers, order + from, count * sizeof(*numbers));
    qsort(numbers, count, sizeof(*numbers), number_order);
    c->batch.count = 0;
    if (!partition_chunks(c->source, numbers, count, INT64_MIN, INT64_MAX, NULL, &c->batch, err) ||
        !batch_labels_read(c, order + from, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t ref_count;
        const struct chunk_ref *refs = refs_find(&c->batch, order[from + i], &ref_count);
        c->cursor.hides.count = 0;
        if (c->deletes && !day_deletes_hides(c->deletes, c->labels[i], &c->cursor.hides, err))
            return false;
        if (!close_series(c, from + i, refs, ref_count, err) || !breathe(c, err))
            return false;
    }
    return true;
}

static bool close_all_series(struct closing *c, struct error *err)
{
    size_t count;
    const uint32_t *order = rewrite_order(c->rewrite, &count);
    for (size_t at = 0; at < count; at += SERIES_AT_ONCE) {
        size_t some = count - at < SERIES_AT_ONCE ? count - at : SERIES_AT_ONCE;
        if (!close_batch(c, order, at, some, err))
            return false;
    }
    return true;
}

static void closing_init(struct closing *c, enum store_kind kind)
{
    c->source = rewrite_source(c->rewrite);
    /* Not more than what a view of a quiet head has seen, or the view would leave them out. */
    c->lsn_max = partition_chunks_lsn_max(c->source);
    c->cursor.request =
        (struct cursor_request){.kind = kind,
                                .start_ns = INT64_MIN,
                                .end_ns = INT64_MAX,
                                .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LENGTHS |
                                              CURSOR_LINES | CURSOR_METADATA};
    c->cursor.memory_max = kind == STORE_LOG ? ENTRIES_MEMORY_MAX : SAMPLES_MEMORY_MAX;
    c->part.partition = c->source;
    c->range.next = UINT32_MAX;
    array_push(&c->cursor.parts, c->part);
    array_push(&c->cursor.ranges, c->range);
    array_push(&c->cursor.series, c->series);
    c->reader = cursor_reader_new(&c->cursor);
    buffer_init(&c->bytes, COPY_MEMORY_MAX);
}

static void closing_done(struct closing *c)
{
    cursor_reader_free(c->reader);
    array_done(&c->cursor.parts.items[0].refs);
    array_done(&c->cursor.parts);
    array_done(&c->cursor.ranges);
    array_done(&c->cursor.series);
    array_done(&c->cursor.hides);
    array_done(&c->batch);
    arena_free(c->names);
    buffer_done(&c->bytes);
    arena_free(c->arena);
    array_done(&c->times);
    array_done(&c->lines);
    array_done(&c->metadata);
}

static bool rewrite_day(struct partitions *partitions, const struct partition_id *id, uint64_t lsn,
                        const struct day_close_rule *rule, const struct day_deletes *deletes,
                        struct error *err)
{
    uint64_t retained = deletes->any ? retention_state(deletes->options, id->tenant, id->kind,
                                                       id->day, deletes->now_ns)
                                     : 0;
    struct closing *c = xcalloc(1, sizeof(*c));
    c->no_skip_index = rule->no_skip_index;
    c->deletes = deletes->touched > 0 ? deletes : NULL;
    c->rewrite = rewrite_begin(partitions, id, deletes->dropped, err);
    bool ok = c->rewrite != NULL;
    if (ok) {
        c->rule = rule;
        c->breath_ns = clock_monotonic_ns();
        closing_init(c, id->kind);
        ok = close_all_series(c, err) && rewrite_commit(c->rewrite, lsn, retained, err);
        closing_done(c);
    }
    rewrite_end(c->rewrite);
    free(c);
    return ok;
}

/* A day of which nothing is left goes; one that deletes do not touch stays as it is. */
static bool close_day(struct store *store, const struct catalog_day *day, uint64_t lsn,
                      const struct day_close_rule *rule, struct error *err)
{
    struct partition_id id = {day->tenant, day->kind, day->day};
    struct catalog_day row = *day;
    struct day_deletes deletes;
    if (!day_deletes_find(store, &id, rule->now_ns, &deletes, err))
        return false;
    row.clean_lsn = lsn;
    row.retained = retention_state(&store->options, id.tenant, id.kind, id.day, deletes.now_ns);
    bool ok;
    if (deletes.series > 0 && deletes.left == 0)
        ok = partitions_delete_day(store->partitions, day, lsn, err);
    else if (day->closed && deletes.touched == 0)
        ok = catalog_set_day(store->catalog, &row, err);
    else
        ok = rewrite_day(store->partitions, &id, lsn, rule, &deletes, err);
    day_deletes_done(&deletes);
    return ok;
}

bool day_close_import(struct partitions *partitions, const struct partition_id *id,
                      struct error *err)
{
    struct day_close_rule rule = {.at_once = true};
    struct day_deletes none = {.set = NULL};
    return rewrite_day(partitions, id, 0, &rule, &none, err);
}

/* ---- which days --------------------------------------------------------------------- */

static bool chunk_in_day(const struct head_chunk *chunk, int32_t day)
{
    return chunk != NULL && partition_day(chunk->first_ns) <= day &&
           partition_day(chunk->last_ns) >= day;
}

static bool series_in_day(const struct series *series, int32_t day)
{
    if (series == NULL)
        return false;
    for (const struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next)
        if (chunk_in_day(chunk, day))
            return true;
    return chunk_in_day(series->open, day) || chunk_in_day(series->side, day);
}

/* Does the head hold anything of the day? */
static bool head_in_day(struct head *head, int32_t day)
{
    bool found = false, more = head != NULL;
    for (size_t at = 0; more && !found;) {
        pthread_mutex_lock(&head->lock);
        size_t end = at + HEAD_SERIES_AT_ONCE;
        more = end < head->series.count;
        if (!more)
            end = head->series.count;
        for (; !found && at < end; at++)
            found = series_in_day(head_series(head, at), day);
        pthread_mutex_unlock(&head->lock);
    }
    return found;
}

/* Everything of this tenant and kind up to here is in the head or was. */
static uint64_t applied_lsn(struct store *store, struct head *head)
{
    uint64_t lsn = store_counter(&store->applied_lsn); /* may lag within a group */
    if (head != NULL) {
        pthread_mutex_lock(&head->lock);
        if (head->applied_lsn > lsn)
            lsn = head->applied_lsn;
        pthread_mutex_unlock(&head->lock);
    }
    return lsn;
}

static bool is_over(const struct store *store, const struct catalog_day *day, int64_t now_ns)
{
    int64_t window = retention_window(&store->options, day->tenant, day->kind);
    int64_t end = (day->day + 1) * NS_PER_DAY;
    return ns_sub(now_ns, end) >= (window >= 0 ? window : NS_PER_HOUR);
}

static bool is_due(struct store *store, const struct catalog_day *day,
                   const struct day_close_rule *rule, bool *due, struct error *err)
{
    struct partition_id id = {day->tenant, day->kind, day->day};
    struct partition_lateness lateness;
    bool deleted = day_deletes_wait(store, day, rule->now_ns);
    *due = (!day->closed || deleted) && is_over(store, day, rule->now_ns) &&
           (deleted || !rule->deletes_only);
    if (!*due || rule->at_once || (deleted && day->closed))
        return true;
    if (!partition_lateness_read(store->partitions, &id, &lateness, err))
        return false;
    int64_t now_s = clock_now_ns(NULL) / NS_PER_SECOND;
    int64_t quiet_s = now_s - lateness.changed_s;
    bool much = lateness.late * 100 > lateness.all * LATE_PERCENT_MAX; /* all, before a close */
    *due = quiet_s >= (much ? rule->quiet_s : QUIET_S);
    return true;
}

static bool consider_day(struct store *store, const struct catalog_day *day,
                         const struct day_close_rule *rule, uint32_t *closed, struct error *err)
{
    bool due;
    if (!is_due(store, day, rule, &due, err))
        return false;
    if (!due)
        return true;
    /* Read first: what is applied during the scan is above it. */
    struct head *head = store_head(store, day->tenant, day->kind);
    uint64_t lsn = applied_lsn(store, head);
    if (head_in_day(head, day->day))
        return true;
    if (!close_day(store, day, lsn, rule, err))
        return error_prefix(err, "closing day %d of tenant %.*s", day->day, SLICE_ARG(day->tenant));
    (*closed)++;
    return true;
}

bool day_close_due(struct store *store, const struct day_close_rule *rule, uint32_t *closed,
                   struct error *err)
{
    struct catalog_day *days;
    size_t count;
    AUTO(arena_drop) struct arena *arena = arena_new(DAYS_LIST_MAX);
    *closed = 0;
    if (!catalog_all_days(store->catalog, arena, &days, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        struct error failure = {0};
        if (rule->days_max > 0 && *closed >= rule->days_max)
            break;
        if (consider_day(store, &days[i], rule, closed, &failure))
            continue;
        if (ok)
            *err = failure;
        ok = false;
        if (failure.code == ERR_CANCELED)
            break;
    }
    return ok;
}
