/* seal_encode.c - decoding, sorting and cutting for a partition (see seal_encode.h). */
#include "storage/seal_encode.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "storage/chunk_rich.h"
#include "storage/partition.h"

enum {
    ENCODED_MAX = 64 * 1024 * 1024,
    RICH_MEMORY_MAX = 256 * 1024 * 1024,
    RICH_AT_ONCE = 16 * 1024 * 1024 /* bytes of samples decoded before a chunk is written */
};

struct sealed_sample {
    int64_t time_ns;
    uint64_t bits;
    uint32_t arrival;
};

struct sealed_entry {
    struct log_entry entry;
    uint32_t arrival;
};

struct sealed_rich {
    struct rich_bytes sample;
    uint32_t arrival;
};

struct seal_encoder {
    bool skip_index;
    struct buffer bytes;
    ARRAY(int64_t) times;
    ARRAY(double) values;
    ARRAY(struct sealed_sample) samples;
    ARRAY(struct sealed_entry) entries;
    ARRAY(struct slice) lines;
    ARRAY(struct labels) metadata;
    ARRAY(struct label) pairs;
    ARRAY(size_t) pair_counts;
    struct arena *arena; /* of rich samples */
    ARRAY(struct sealed_rich) rich;
    ARRAY(struct rich_sample) rich_samples;
};

struct seal_encoder *seal_encoder_new(bool skip_index)
{
    struct seal_encoder *encoder = xcalloc(1, sizeof(*encoder));
    encoder->skip_index = skip_index;
    buffer_init(&encoder->bytes, ENCODED_MAX);
    encoder->arena = arena_new(RICH_MEMORY_MAX);
    return encoder;
}

void seal_encoder_free(struct seal_encoder *encoder)
{
    if (encoder == NULL)
        return;
    buffer_done(&encoder->bytes);
    array_done(&encoder->times);
    array_done(&encoder->values);
    array_done(&encoder->samples);
    array_done(&encoder->entries);
    array_done(&encoder->lines);
    array_done(&encoder->metadata);
    array_done(&encoder->pairs);
    array_done(&encoder->pair_counts);
    array_done(&encoder->rich);
    array_done(&encoder->rich_samples);
    arena_free(encoder->arena);
    free(encoder);
}

static unsigned flags_of(const struct head_chunk *chunk)
{
    return chunk->side ? CHUNK_OUT_OF_ORDER | CHUNK_OVERLAPS : 0;
}

/* ---- samples ----------------------------------------------------------- */

static int by_time_and_arrival(const void *a, const void *b)
{
    const struct sealed_sample *left = a;
    const struct sealed_sample *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

/* Sort a side chunk's samples; the last of equal times stays. */
static void sort_samples(struct seal_encoder *e, int32_t day)
{
    e->samples.count = 0;
    for (size_t i = 0; i < e->times.count; i++) {
        if (partition_day(e->times.items[i]) != day)
            continue;
        struct sealed_sample sample = {e->times.items[i], double_bits(e->values.items[i]),
                                       (uint32_t)i};
        array_push(&e->samples, sample);
    }
    if (e->samples.count > 1)
        qsort(e->samples.items, e->samples.count, sizeof(*e->samples.items), by_time_and_arrival);
    size_t kept = 0;
    for (size_t i = 0; i < e->samples.count; i++) {
        const struct sealed_sample *sample = &e->samples.items[i];
        if (i + 1 < e->samples.count && e->samples.items[i + 1].time_ns == sample->time_ns)
            continue;
        e->times.items[kept] = sample->time_ns;
        e->values.items[kept++] = double_from_bits(sample->bits);
    }
    e->times.count = e->values.count = kept;
}

static bool encode_samples(struct seal_encoder *e, struct seal *seal, uint32_t series,
                           const struct head_chunk *chunk, int32_t day, struct error *err)
{
    array_reserve(&e->times, chunk->count);
    array_reserve(&e->values, chunk->count);
    head_chunk_decode(chunk, chunk->count, e->times.items, (uint64_t *)e->values.items);
    e->times.count = e->values.count = chunk->count;
    if (chunk->side)
        sort_samples(e, day);
    for (size_t at = 0; at < e->times.count;) {
        size_t count = e->times.count - at;
        if (count > CHUNK_SAMPLES_MAX)
            count = CHUNK_SAMPLES_MAX;
        buffer_clear(&e->bytes);
        if (!chunk_encode_samples(e->times.items + at, e->values.items + at, count, chunk->last_lsn,
                                  flags_of(chunk), &e->bytes, err) ||
            !seal_chunk(seal, series, buffer_slice(&e->bytes), err))
            return false;
        at += count;
    }
    return true;
}

/* ---- samples that are more than floats ----------------------------------- */

static int by_rich_time(const void *a, const void *b)
{
    const struct sealed_rich *left = a;
    const struct sealed_rich *right = b;
    if (left->sample.time_ns != right->sample.time_ns)
        return left->sample.time_ns < right->sample.time_ns ? -1 : 1;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

/* The samples of `day` as bytes, sorted; the last of equal times stays. */
static void gather_rich(struct seal_encoder *e, const struct head_chunk *chunk, int32_t day)
{
    struct sealed_rich item;
    uint32_t at = 0;
    e->rich.count = 0;
    while (head_chunk_next_rich(chunk, chunk->size, &at, &item.sample)) {
        if (chunk->side && partition_day(item.sample.time_ns) != day)
            continue;
        item.arrival = (uint32_t)e->rich.count;
        array_push(&e->rich, item);
    }
    if (!chunk->side)
        return;
    struct sealed_rich *items = e->rich.items;
    size_t count = e->rich.count, kept = 0;
    if (count > 1)
        qsort(items, count, sizeof(*items), by_rich_time);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || items[i + 1].sample.time_ns != items[i].sample.time_ns)
            items[kept++] = items[i];
    }
    e->rich.count = kept;
}

/* Decode the samples from `at` on that are written together; false: malformed or too large. */
static bool read_rich(struct seal_encoder *e, size_t at, struct error *err)
{
    size_t bytes = 0;
    arena_reset(e->arena);
    e->rich_samples.count = 0;
    for (size_t i = at; i < e->rich.count && e->rich_samples.count < CHUNK_RICH_MAX; i++) {
        const struct rich_bytes *from = &e->rich.items[i].sample;
        struct rich_sample sample = {.time_ns = from->time_ns};
        bytes += from->bytes.size;
        if (i > at && bytes > RICH_AT_ONCE)
            break;
        if (!rich_sample_read(from->bytes, e->arena, &sample, err))
            return false;
        array_push(&e->rich_samples, sample);
    }
    return true;
}

static bool encode_rich(struct seal_encoder *e, struct seal *seal, uint32_t series,
                        const struct head_chunk *chunk, int32_t day, struct error *err)
{
    gather_rich(e, chunk, day);
    for (size_t at = 0; at < e->rich.count;) {
        if (!read_rich(e, at, err))
            return false;
        size_t count = chunk_rich_fit(e->rich_samples.items, e->rich_samples.count);
        buffer_clear(&e->bytes);
        if (!chunk_encode_rich(e->rich_samples.items, count, chunk->last_lsn, flags_of(chunk),
                               &e->bytes, err) ||
            !seal_chunk(seal, series, buffer_slice(&e->bytes), err))
            return false;
        at += count;
    }
    return true;
}

/* ---- entries ----------------------------------------------------------- */

static int by_entry(const void *a, const void *b)
{
    const struct sealed_entry *left = a;
    const struct sealed_entry *right = b;
    if (left->entry.time_ns != right->entry.time_ns)
        return left->entry.time_ns < right->entry.time_ns ? -1 : 1;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

/* For finding equal entries: by content, then arrival. */
static int by_content(const void *a, const void *b)
{
    const struct sealed_entry *left = a;
    const struct sealed_entry *right = b;
    int order = slice_compare(left->entry.line, right->entry.line);
    if (order == 0)
        order = slice_compare(left->entry.metadata, right->entry.metadata);
    if (order != 0)
        return order;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

/* Of a run with equal times keep each content once, in the order of arrival; the new count. */
static size_t unique_run(struct sealed_entry *run, size_t count)
{
    size_t kept = 1;
    qsort(run, count, sizeof(*run), by_content);
    for (size_t i = 1; i < count; i++) {
        if (!slice_equal(run[i].entry.line, run[kept - 1].entry.line) ||
            !slice_equal(run[i].entry.metadata, run[kept - 1].entry.metadata))
            run[kept++] = run[i];
    }
    qsort(run, kept, sizeof(*run), by_entry);
    return kept;
}

static void gather_entries(struct seal_encoder *e, const struct head_chunk *chunk, int32_t day)
{
    e->entries.count = 0;
    for (const struct log_piece *piece = chunk->pieces; piece; piece = piece->next) {
        struct sealed_entry sealed;
        uint32_t at = 0;
        while (log_piece_next(piece, &at, &sealed.entry)) {
            if (chunk->side && partition_day(sealed.entry.time_ns) != day)
                continue;
            sealed.arrival = (uint32_t)e->entries.count;
            array_push(&e->entries, sealed);
        }
    }
    struct sealed_entry *items = e->entries.items;
    size_t count = e->entries.count;
    if (chunk->side && count > 1)
        qsort(items, count, sizeof(*items), by_entry);
    size_t kept = 0;
    for (size_t i = 0; i < count;) {
        size_t run = 1;
        while (i + run < count && items[i + run].entry.time_ns == items[i].entry.time_ns)
            run++;
        size_t unique = run > 1 ? unique_run(items + i, run) : 1;
        memmove(items + kept, items + i, unique * sizeof(*items));
        kept += unique;
        i += run;
    }
    e->entries.count = kept;
}

/* Append the pairs of a metadata blob; how many. */
static size_t read_pairs(struct seal_encoder *e, struct slice bytes)
{
    struct reader in = reader_of(bytes);
    size_t count = 0;
    while (reader_left(&in) > 0 && !in.failed) {
        struct label pair;
        pair.name = read_sized(&in);
        pair.value = read_sized(&in);
        array_push(&e->pairs, pair);
        count++;
    }
    return count;
}

/* Fill the columns with entries from `at` on that fit one chunk; how many, and of what size. */
static size_t fill_columns(struct seal_encoder *e, size_t at, size_t *bytes)
{
    size_t text = 0;
    size_t count = 0;
    e->times.count = e->lines.count = e->metadata.count = 0;
    e->pairs.count = e->pair_counts.count = 0;
    while (at + count < e->entries.count && count < CHUNK_ENTRIES_MAX) {
        const struct log_entry *entry = &e->entries.items[at + count].entry;
        size_t size = entry->line.size + entry->metadata.size;
        if (count > 0 && text + size > CHUNK_TEXT_AIM + CHUNK_TEXT_AIM / 2)
            break;
        text += size;
        array_push(&e->times, entry->time_ns);
        array_push(&e->lines, entry->line);
        array_push(&e->pair_counts, read_pairs(e, entry->metadata));
        count++;
    }
    *bytes = text;
    const struct label *pair = e->pairs.items; /* does not move any more */
    for (size_t i = 0; i < count; i++) {
        struct labels labels = {pair, e->pair_counts.items[i]};
        array_push(&e->metadata, labels);
        pair += labels.count;
    }
    return count;
}

static bool encode_entries(struct seal_encoder *e, struct seal *seal, uint32_t series,
                           const struct head_chunk *chunk, int32_t day, struct error *err)
{
    gather_entries(e, chunk, day);
    for (size_t at = 0; at < e->entries.count;) {
        size_t text, count = fill_columns(e, at, &text);
        struct chunk_entries columns = {.times_ns = e->times.items,
                                        .lines = e->lines.items,
                                        .metadata = e->pairs.count > 0 ? e->metadata.items : NULL,
                                        .count = count,
                                        .level = text < CHUNK_TEXT_SMALL ? CHUNK_LEVEL_PLAIN
                                                                         : CHUNK_LEVEL_HOT,
                                        .skip_index = e->skip_index};
        buffer_clear(&e->bytes);
        if (!chunk_encode_entries(&columns, chunk->last_lsn, flags_of(chunk), &e->bytes, err) ||
            !seal_chunk(seal, series, buffer_slice(&e->bytes), err))
            return false;
        at += count;
    }
    return true;
}

bool seal_encode(struct seal_encoder *encoder, struct seal *seal, uint32_t series,
                 const struct head_chunk *chunk, int32_t day, struct error *err)
{
    if (chunk->log)
        return encode_entries(encoder, seal, series, chunk, day, err);
    return chunk->rich ? encode_rich(encoder, seal, series, chunk, day, err)
                       : encode_samples(encoder, seal, series, chunk, day, err);
}
