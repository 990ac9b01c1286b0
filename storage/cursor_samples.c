/*
 * cursor_samples.c - reading the metric samples of one series.
 *
 * All chunks are decoded into one column.  When they do not overlap, which is
 * the rule, that column in the order of first times is the answer.  Otherwise
 * samples are sorted by time, and of equal times the one that was stored last
 * stays: out of order before in order, then the higher LSN.  A series with a
 * rich chunk goes to cursor_rich.c.
 */
#include "storage/cursor_internal.h"

#include "base/bytes.h"
#include "base/duration.h"

struct ranked_sample {
    int64_t time_ns;
    double value;
    uint64_t rank; /* index of its source in order of priority */
};

struct cursor_reader *cursor_reader_new(struct cursor *cursor)
{
    struct cursor_reader *reader = xcalloc(1, sizeof(*reader));
    reader->cursor = cursor;
    buffer_init(&reader->bytes, cursor->memory_max);
    return reader;
}

void cursor_reader_free(struct cursor_reader *reader)
{
    if (reader == NULL)
        return;
    for (size_t i = 0; reader->of_tenants && i < reader->cursor->tenant_count; i++)
        cursor_reader_free(reader->of_tenants[i]);
    free(reader->of_tenants);
    buffer_done(&reader->bytes);
    array_done(&reader->chunks);
    array_done(&reader->offsets);
    array_done(&reader->times);
    array_done(&reader->values);
    array_done(&reader->sources);
    array_done(&reader->ranked);
    cursor_rich_done(reader);
    free(reader);
}

static int by_first_time(const void *a, const void *b)
{
    const struct sample_source *left = a;
    const struct sample_source *right = b;
    return left->first_ns < right->first_ns ? -1 : left->first_ns > right->first_ns;
}

static int by_priority(const void *a, const void *b)
{
    const struct sample_source *left = a;
    const struct sample_source *right = b;
    if (left->side != right->side)
        return left->side ? 1 : -1;
    if (left->lsn != right->lsn)
        return left->lsn < right->lsn ? -1 : 1;
    return left->sealed < right->sealed ? -1 : left->sealed > right->sealed; /* of imports */
}

static int by_time(const void *a, const void *b)
{
    const struct ranked_sample *left = a;
    const struct ranked_sample *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    return left->rank < right->rank ? -1 : left->rank > right->rank;
}

static void sort_sources(struct cursor_reader *reader, int (*compare)(const void *a, const void *b))
{
    if (reader->sources.count > 1)
        qsort(reader->sources.items, reader->sources.count, sizeof(*reader->sources.items),
              compare);
}

static bool has_rich(const struct cursor_reader *reader)
{
    for (size_t i = 0; i < reader->sources.count; i++)
        if (reader->sources.items[i].rich)
            return true;
    return false;
}

/* One by one, after a damaged one was met: that one is left out and has no bytes. */
static bool fetch_undamaged(struct cursor_reader *reader, const struct part *part,
                            const struct part_range *range, struct slice *chunks, struct error *err)
{
    ARRAY(size_t) starts = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < range->count; i++) {
        array_push(&starts, reader->bytes.size);
        chunks[i] = (struct slice){0};
        ok = partition_fetch(part->partition, &part->refs.items[range->first + i], 1,
                             &reader->bytes, &chunks[i], err);
        if (!ok) {
            chunks[i] = (struct slice){0};
            reader->bytes.size = starts.items[i];
            ok = store_damage_skip(reader->cursor->request.damage, err);
        }
    }
    for (size_t i = 0; ok && i < range->count; i++)
        chunks[i].data = reader->bytes.data + starts.items[i];
    array_done(&starts);
    return ok;
}

/* The bytes of all sealed chunks of the series, one fetch per partition. */
static bool fetch(struct cursor_reader *reader, const struct cursor_series *series,
                  struct error *err)
{
    const struct cursor *cursor = reader->cursor;
    buffer_clear(&reader->bytes);
    reader->chunks.count = reader->offsets.count = 0;
    for (uint32_t r = series->range_first; r != UINT32_MAX; r = cursor->ranges.items[r].next) {
        const struct part_range *range = &cursor->ranges.items[r];
        const struct part *part = &cursor->parts.items[range->part];
        array_reserve(&reader->chunks, reader->chunks.count + range->count);
        struct slice *chunks = reader->chunks.items + reader->chunks.count;
        size_t before = reader->bytes.size;
        if (!partition_fetch(part->partition, part->refs.items + range->first, range->count,
                             &reader->bytes, chunks, err)) {
            reader->bytes.size = before;
            if (!store_damage_skip(cursor->request.damage, err) ||
                !fetch_undamaged(reader, part, range, chunks, err))
                return false;
        }
        for (size_t i = 0; i < range->count; i++)
            array_push(&reader->offsets, (size_t)(chunks[i].data - reader->bytes.data));
        reader->chunks.count += range->count;
    }
    for (size_t i = 0; i < reader->chunks.count; i++) /* the next fetch may have moved them */
        reader->chunks.items[i].data = reader->bytes.data + reader->offsets.items[i];
    return true;
}

static void collect(struct cursor_reader *reader, const struct cursor_series *series)
{
    size_t sealed = 0;
    const struct cursor *cursor = reader->cursor;
    reader->sources.count = 0;
    for (size_t i = 0; i < series->snapshot_count; i++) {
        const struct snapshot *s = &cursor->snapshots.items[series->snapshot_first + i];
        struct sample_source source = {.first_ns = s->first_ns,
                                       .last_ns = s->last_ns,
                                       .lsn = s->lsn,
                                       .count = s->count,
                                       .side = s->side,
                                       .rich = s->rich,
                                       .size = s->size,
                                       .held = s->held};
        array_push(&reader->sources, source);
    }
    for (uint32_t r = series->range_first; r != UINT32_MAX; r = cursor->ranges.items[r].next) {
        const struct part_range *range = &cursor->ranges.items[r];
        for (size_t i = range->first; i < range->first + range->count; i++) {
            const struct chunk_ref *ref = &cursor->parts.items[range->part].refs.items[i];
            struct sample_source source = {.first_ns = ref->first_ns,
                                           .last_ns = ref->last_ns,
                                           .lsn = ref->lsn_max,
                                           .count = ref->count,
                                           .side = (ref->flags & CHUNK_OUT_OF_ORDER) != 0,
                                           .rich = ref->kind == CHUNK_RICH,
                                           .sealed = sealed++};
            if (reader->chunks.items[source.sealed].size > 0) /* else it is damaged */
                array_push(&reader->sources, source);
        }
    }
}

/* Do the sources, sorted by first time, stand clear of each other, each in itself sorted? */
static bool is_disjoint(const struct cursor_reader *reader)
{
    for (size_t i = 0; i < reader->sources.count; i++) {
        const struct sample_source *source = &reader->sources.items[i];
        if (source->side && source->held)
            return false;
        if (i > 0 && source->first_ns <= reader->sources.items[i - 1].last_ns)
            return false;
    }
    return true;
}

/* Drop deleted samples; how many are left. */
static size_t leave_out(const struct cursor_reader *reader, uint64_t lsn, int64_t *times,
                        double *values, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (hides_sample(reader->hides, reader->hide_count, times[i], lsn))
            continue;
        times[kept] = times[i];
        values[kept++] = values[i];
    }
    return kept;
}

/* Decode one source behind what is in the columns; outside the range is cut off (head side
 * chunks, which are not sorted, later). */
bool cursor_decode_plain(struct cursor_reader *reader, const struct sample_source *source,
                         struct error *err)
{
    const struct cursor_request *request = &reader->cursor->request;
    size_t at = reader->times.count;
    size_t needed = at + chunk_room(source->count);
    if (needed > reader->cursor->memory_max / 16)
        return error_set(err, ERR_LIMIT,
                         "a series with more than %zu samples in the range, the limit",
                         reader->cursor->memory_max / 16);
    array_reserve(&reader->times, needed);
    array_reserve(&reader->values, needed);
    int64_t *times = reader->times.items + at;
    double *values = reader->values.items + at;
    size_t count = source->count;
    if (source->held == NULL) {
        if (!chunk_decode_samples(reader->chunks.items[source->sealed], request->start_ns,
                                  request->end_ns, times, values, &count, err))
            return false;
    } else {
        head_chunk_decode(source->held, source->count, times, (uint64_t *)values);
        if (!source->side) {
            size_t skip = 0;
            while (skip < count && times[skip] < request->start_ns)
                skip++;
            while (count > skip && times[count - 1] > request->end_ns)
                count--;
            count -= skip;
            if (skip > 0 && count > 0) {
                memmove(times, times + skip, count * sizeof(*times));
                memmove(values, values + skip, count * sizeof(*values));
            }
        }
    }
    if (UNLIKELY(reader->hide_count > 0))
        count = leave_out(reader, source->lsn, times, values, count);
    reader->times.count = reader->values.count = at + count;
    return true;
}

static bool read_merged(struct cursor_reader *reader, struct error *err)
{
    const struct cursor_request *request = &reader->cursor->request;
    reader->ranked.count = 0;
    sort_sources(reader, by_priority);
    for (size_t i = 0; i < reader->sources.count; i++) {
        reader->times.count = reader->values.count = 0;
        if (!cursor_decode_plain(reader, &reader->sources.items[i], err))
            return false;
        array_reserve(&reader->ranked, reader->ranked.count + reader->times.count);
        for (size_t k = 0; k < reader->times.count; k++) {
            int64_t time = reader->times.items[k];
            if (time < request->start_ns || time > request->end_ns)
                continue;
            /* Within a side chunk the later arrival has the higher rank. */
            struct ranked_sample sample = {time, reader->values.items[k], (uint64_t)i << 32 | k};
            array_push(&reader->ranked, sample);
        }
    }
    size_t count = reader->ranked.count;
    if (count > 1)
        qsort(reader->ranked.items, count, sizeof(*reader->ranked.items), by_time);
    array_reserve(&reader->times, count);
    array_reserve(&reader->values, count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ranked_sample *sample = &reader->ranked.items[i];
        if (i + 1 < count && reader->ranked.items[i + 1].time_ns == sample->time_ns)
            continue;
        reader->times.items[kept] = sample->time_ns;
        reader->values.items[kept++] = sample->value;
    }
    reader->times.count = reader->values.count = kept;
    return true;
}

/*
 * The last sample alone, where the head knows it without decoding: the end of an
 * in-order chunk that lies in the range and behind which nothing else reaches.
 */
static bool read_last(struct cursor_reader *reader, const struct cursor_series *series)
{
    const struct cursor *cursor = reader->cursor;
    const struct snapshot *last = NULL;
    for (size_t i = 0; i < series->snapshot_count; i++) {
        const struct snapshot *s = &cursor->snapshots.items[series->snapshot_first + i];
        if (s->side || s->rich)
            return false;
        if (last == NULL || s->last_ns > last->last_ns)
            last = s;
    }
    if (last == NULL || last->last_ns > cursor->request.end_ns)
        return false;
    for (uint32_t r = series->range_first; r != UINT32_MAX; r = cursor->ranges.items[r].next) {
        const struct part_range *range = &cursor->ranges.items[r];
        for (size_t i = range->first; i < range->first + range->count; i++) {
            if (cursor->parts.items[range->part].refs.items[i].last_ns >= last->last_ns)
                return false;
        }
    }
    reader->times.count = reader->values.count = 0;
    array_push(&reader->times, last->last_ns);
    array_push(&reader->values, double_from_bits(last->last_bits));
    return true;
}

bool cursor_read_samples(struct cursor_reader *reader, size_t series, struct sample_column *out,
                         struct error *err)
{
    reader = reader_for_series(reader, &series);
    if (!cursor_goes_on(reader->cursor, err))
        return false;
    const struct cursor_series *own = &reader->cursor->series.items[series];
    reader->hides = own->hide_count > 0 ? reader->cursor->hides.items + own->hide_first : NULL;
    reader->hide_count = own->hide_count;
    if (reader->cursor->request.projection & CURSOR_LAST && own->hide_count == 0 &&
        read_last(reader, own)) {
        *out = (struct sample_column){
            .times_ns = reader->times.items, .values = reader->values.items, .count = 1};
        return true;
    }
    if (!fetch(reader, &reader->cursor->series.items[series], err))
        return false;
    collect(reader, &reader->cursor->series.items[series]);
    if (has_rich(reader)) {
        sort_sources(reader, by_priority);
        return cursor_read_rich(reader, out, err);
    }
    sort_sources(reader, by_first_time);
    reader->times.count = reader->values.count = 0;
    if (!is_disjoint(reader)) {
        if (!read_merged(reader, err))
            return false;
    } else {
        for (size_t i = 0; i < reader->sources.count; i++) {
            if (!cursor_decode_plain(reader, &reader->sources.items[i], err))
                return false;
        }
    }
    *out = (struct sample_column){.times_ns = reader->times.items,
                                  .values = reader->values.items,
                                  .count = reader->times.count};
    return true;
}
