/*
 * cursor_rich.c - reading a series that has histograms or start times.
 *
 * Takes the way that cursor_samples.c takes for overlapping chunks: everything
 * is decoded into one list, sorted by time, and of equal times what was stored
 * last stays.  Then counter-reset hints are found by comparing neighbours, so that
 * neither the borders of chunks nor late samples matter.
 */
#include "storage/cursor_internal.h"
#include "storage/rich_sample.h"

struct rich_ranked {
    struct rich_sample sample;
    uint64_t rank; /* index of its source in order of priority, then of its arrival */
};

void cursor_rich_done(struct cursor_reader *reader)
{
    arena_free(TAKE(reader->arena));
    array_done(&reader->rich);
    array_done(&reader->histograms);
    array_done(&reader->starts);
}

static bool push(struct cursor_reader *reader, const struct rich_sample *sample, uint64_t rank,
                 struct error *err)
{
    const struct cursor_request *request = &reader->cursor->request;
    size_t max = reader->cursor->memory_max / sizeof(struct rich_ranked);
    if (sample->time_ns > request->end_ns ||
        hides_sample(reader->hides, reader->hide_count, sample->time_ns,
                     reader->sources.items[rank >> 32].lsn))
        return true;
    if (sample->time_ns < request->start_ns) {
        if (sample->time_ns >= reader->before_ns) {
            reader->before_ns = sample->time_ns;
            reader->before = sample->histogram;
        }
        return true;
    }
    if (reader->rich.count >= max)
        return error_set(err, ERR_LIMIT,
                         "a series with more than %zu samples in the range, the limit", max);
    array_push(&reader->rich, ((struct rich_ranked){*sample, rank}));
    return true;
}

static bool add_plain(struct cursor_reader *reader, const struct sample_source *source,
                      uint64_t rank, struct error *err)
{
    reader->times.count = reader->values.count = 0;
    if (!cursor_decode_plain(reader, source, err))
        return false;
    for (size_t i = 0; i < reader->times.count; i++) {
        struct rich_sample sample = {.time_ns = reader->times.items[i],
                                     .value = reader->values.items[i]};
        if (!push(reader, &sample, rank | i, err))
            return false;
    }
    return true;
}

static bool add_head(struct cursor_reader *reader, const struct sample_source *source,
                     uint64_t rank, struct error *err)
{
    const struct cursor_request *request = &reader->cursor->request;
    struct rich_bytes bytes, before = {.time_ns = INT64_MIN};
    for (uint32_t at = 0; head_chunk_next_rich(source->held, source->size, &at, &bytes); rank++) {
        struct rich_sample sample = {.time_ns = bytes.time_ns};
        if (bytes.time_ns < request->start_ns && bytes.time_ns > before.time_ns)
            before = bytes;
        if (bytes.time_ns < request->start_ns || bytes.time_ns > request->end_ns)
            continue;
        if (!rich_sample_read(bytes.bytes, reader->arena, &sample, err) ||
            !push(reader, &sample, rank, err))
            return false;
    }
    struct rich_sample sample = {.time_ns = before.time_ns};
    return before.time_ns == INT64_MIN ||
           (rich_sample_read(before.bytes, reader->arena, &sample, err) &&
            push(reader, &sample, rank, err));
}

static bool add_sealed(struct cursor_reader *reader, struct slice chunk, uint64_t rank,
                       struct error *err)
{
    const struct cursor_request *request = &reader->cursor->request;
    const struct rich_sample *samples;
    size_t count;
    if (!chunk_decode_rich(chunk, INT64_MIN, request->end_ns, reader->arena, &samples, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!push(reader, &samples[i], rank | i, err))
            return false;
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct rich_ranked *left = a;
    const struct rich_ranked *right = b;
    if (left->sample.time_ns != right->sample.time_ns)
        return left->sample.time_ns < right->sample.time_ns ? -1 : 1;
    return left->rank < right->rank ? -1 : left->rank > right->rank;
}

static bool is_sorted(const struct rich_ranked *items, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (items[i].sample.time_ns <= items[i - 1].sample.time_ns)
            return false;
    return true;
}

static void keep_last_of_equal_times(struct cursor_reader *reader)
{
    struct rich_ranked *items = reader->rich.items;
    size_t count = reader->rich.count, kept = 0;
    if (is_sorted(items, count))
        return;
    qsort(items, count, sizeof(*items), by_time);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || items[i + 1].sample.time_ns != items[i].sample.time_ns)
            items[kept++] = items[i];
    }
    reader->rich.count = kept;
}

/* A stored NOT_RESET is not believed: samples may be missing, or have come late, since. */
static enum counter_reset_hint hint_of(const struct histogram *before, const struct histogram *h)
{
    if (h->hint == HISTOGRAM_GAUGE || h->hint == HISTOGRAM_RESET)
        return h->hint;
    if (before == NULL || before->hint == HISTOGRAM_GAUGE || histogram_is_stale(before) ||
        histogram_is_stale(h))
        return HISTOGRAM_RESET_UNKNOWN;
    struct histogram unknown = *h;
    unknown.hint = HISTOGRAM_RESET_UNKNOWN;
    return histogram_was_reset(before, &unknown) ? HISTOGRAM_RESET : HISTOGRAM_NOT_RESET;
}

/* The columns of what is in reader->rich. */
static bool fill(struct cursor_reader *reader, struct sample_column *out, struct error *err)
{
    size_t count = reader->rich.count;
    const struct histogram *before = reader->before;
    bool histograms = false, starts = false;
    array_reserve(&reader->times, count);
    array_reserve(&reader->values, count);
    array_reserve(&reader->histograms, count);
    array_reserve(&reader->starts, count);
    for (size_t i = 0; i < count; i++) {
        const struct rich_sample *sample = &reader->rich.items[i].sample;
        const struct histogram *h = sample->histogram;
        struct histogram *hinted = NULL;
        if (h) {
            hinted = arena_alloc(reader->arena, sizeof(*hinted));
            if (hinted == NULL)
                return arena_check(reader->arena, "a series' histograms", err);
            *hinted = *h;
            hinted->hint = hint_of(before, h);
        }
        before = hinted;
        reader->times.items[i] = sample->time_ns;
        reader->values.items[i] = sample->value;
        reader->histograms.items[i] = hinted;
        reader->starts.items[i] = sample->start_ns;
        histograms = histograms || h != NULL;
        starts = starts || sample->start_ns != 0;
    }
    *out = (struct sample_column){.times_ns = reader->times.items,
                                  .values = reader->values.items,
                                  .count = count,
                                  .histograms = histograms ? reader->histograms.items : NULL,
                                  .starts_ns = starts ? reader->starts.items : NULL};
    return true;
}

bool cursor_rich_stored(struct cursor_reader *reader, const struct rich_sample **samples,
                        struct error *err)
{
    size_t count = reader->rich.count;
    struct rich_sample *all = arena_calloc(reader->arena, count + 1, sizeof(*all));
    if (all == NULL)
        return arena_check(reader->arena, "a series' histograms", err);
    for (size_t i = 0; i < count; i++)
        all[i] = reader->rich.items[i].sample;
    *samples = all;
    return true;
}

bool cursor_read_rich(struct cursor_reader *reader, struct sample_column *out, struct error *err)
{
    if (reader->arena == NULL)
        reader->arena = arena_new_in_budget(reader->cursor->memory_max);
    arena_reset(reader->arena);
    reader->rich.count = 0;
    reader->before_ns = INT64_MIN;
    reader->before = NULL;
    for (size_t i = 0; i < reader->sources.count; i++) {
        const struct sample_source *source = &reader->sources.items[i];
        uint64_t rank = (uint64_t)i << 32;
        bool ok = !source->rich ? add_plain(reader, source, rank, err)
                  : source->held
                      ? add_head(reader, source, rank, err)
                      : add_sealed(reader, reader->chunks.items[source->sealed], rank, err);
        if (!ok)
            return false;
    }
    keep_last_of_equal_times(reader);
    return fill(reader, out, err);
}
