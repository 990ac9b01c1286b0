/*
 * import_chunks.c - from items in any order to chunks of one series and day.
 *
 * Items are sorted by series and time, in their order of arrival where both are
 * equal, unless they came like that.  Of samples of one time the last stays;
 * equal log entries of one time become one.
 */
#include "storage/import_internal.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"
#include "storage/chunk.h"
#include "storage/chunk_rich.h"
#include "storage/partition.h"

enum {
    SAMPLES_AT_ONCE = 4096,          /* in a chunk: the day's close makes longer ones */
    RICH_AT_ONCE = 16 * 1024 * 1024, /* bytes of histograms decoded before a chunk is written */
    SCRATCH_MAX = 512 * 1024 * 1024  /* decoded histograms, or the metadata of a chunk */
};

/* ---- sorting ------------------------------------------------------------------- */

static bool is_before(const struct import_item *a, const struct import_item *b)
{
    return a->series != b->series ? a->series < b->series : a->time_ns < b->time_ns;
}

static bool is_sorted(const struct import_items *items)
{
    for (size_t i = 1; i < items->count; i++)
        if (is_before(&items->items[i], &items->items[i - 1]))
            return false;
    return true;
}

static void merge(const struct import_item *from, size_t start, size_t middle, size_t end,
                  struct import_item *to)
{
    size_t left = start, right = middle;
    for (size_t at = start; at < end; at++) {
        bool take_right = left == middle || (right < end && is_before(&from[right], &from[left]));
        to[at] = take_right ? from[right++] : from[left++];
    }
}

/* Stable: merges runs of 1, 2, 4... between the two arrays. */
static void items_sort(struct import *import)
{
    struct import_items *items = &import->items, *spare = &import->spare;
    size_t count = items->count;
    if (is_sorted(items))
        return;
    array_reserve(spare, count);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            merge(items->items, start, middle, end, spare->items);
        }
        struct import_items swapped = *items;
        *items = *spare;
        *spare = swapped;
        items->count = count;
    }
}

/* ---- samples --------------------------------------------------------------------- */

static struct slice payload_of(const struct import *import, const struct import_item *item)
{
    return slice_of(import->payload.data + item->at, item->size);
}

static bool put(struct import *import, const struct import_item *first, struct error *err)
{
    return spool_add(import->spool, partition_day(first->time_ns), first->series,
                     buffer_slice(&import->bytes), err);
}

/* The floats among the items of one series and day; `*others` says whether there are others. */
static bool put_floats(struct import *import, const struct import_item *items, size_t count,
                       bool *others, struct error *err)
{
    import->times.count = import->values.count = 0;
    *others = false;
    for (size_t i = 0; i < count; i++) {
        bool replaced = i + 1 < count && items[i + 1].time_ns == items[i].time_ns;
        if (items[i].size != IMPORT_FLOAT) {
            *others = true;
        } else if (!replaced) {
            array_push(&import->times, items[i].time_ns);
            array_push(&import->values, items[i].value);
        }
    }
    for (size_t at = 0, n; at < import->times.count; at += n) {
        n = import->times.count - at;
        n = n < SAMPLES_AT_ONCE ? n : SAMPLES_AT_ONCE;
        buffer_clear(&import->bytes);
        if (!chunk_encode_samples(import->times.items + at, import->values.items + at, n, 0, 0,
                                  &import->bytes, err) ||
            !put(import, items, err))
            return false;
    }
    return true;
}

/* Decode some rich samples from `*at` on, which moves behind them. */
static bool read_rich(struct import *import, const struct import_item *items, size_t count,
                      size_t *at, struct error *err)
{
    size_t bytes = 0, i = *at;
    arena_reset(import->scratch);
    import->rich.count = 0;
    for (; i < count && import->rich.count < CHUNK_RICH_MAX; i++) {
        bool replaced = i + 1 < count && items[i + 1].time_ns == items[i].time_ns;
        struct rich_sample sample = {.time_ns = items[i].time_ns};
        if (items[i].size == IMPORT_FLOAT || replaced)
            continue;
        bytes += items[i].size;
        if (import->rich.count > 0 && bytes > RICH_AT_ONCE)
            break;
        if (!rich_sample_read(payload_of(import, &items[i]), import->scratch, &sample, err))
            return false;
        array_push(&import->rich, sample);
    }
    *at = i;
    return true;
}

static bool put_rich(struct import *import, const struct import_item *items, size_t count,
                     struct error *err)
{
    for (size_t at = 0; at < count;) {
        if (!read_rich(import, items, count, &at, err))
            return false;
        for (size_t from = 0, n; from < import->rich.count; from += n) {
            n = chunk_rich_fit(import->rich.items + from, import->rich.count - from);
            buffer_clear(&import->bytes);
            if (!chunk_encode_rich(import->rich.items + from, n, 0, 0, &import->bytes, err) ||
                !put(import, items, err))
                return false;
        }
    }
    return true;
}

/* ---- log entries -------------------------------------------------------------------- */

struct same_time {
    const struct import *import;
    const struct import_item *items;
};

static bool content_equal(const void *context, uint32_t index, const void *key)
{
    const struct same_time *same = context;
    return slice_equal(payload_of(same->import, &same->items[index]), *(const struct slice *)key);
}

/* Of items of one time keep each content once, the first; those kept are in import->same. */
static void unique_entries(struct import *import, const struct import_item *items, size_t count)
{
    struct same_time same = {import, items};
    struct table table = {0};
    import->same.count = 0;
    for (size_t i = 0; i < count; i++) {
        struct slice content = payload_of(import, &items[i]);
        uint64_t hash = count > 1 ? hash64(content.data, content.size, hash_seed()) : 0;
        if (count > 1 && table_find(&table, hash, content_equal, &same, &content) != TABLE_NONE)
            continue;
        if (count > 1)
            table_insert(&table, hash, (uint32_t)i);
        array_push(&import->same, (uint32_t)i);
    }
    table_done(&table);
}

/* A line, then its pairs. */
static bool add_entry(struct import *import, const struct import_item *item, size_t *text,
                      struct error *err)
{
    struct reader in = reader_of(payload_of(import, item));
    struct labels pairs = {NULL, 0};
    struct slice line = read_sized(&in);
    uint64_t count = read_varint(&in);
    if (count > 0) {
        struct label *items = arena_calloc(import->scratch, (size_t)count, sizeof(*items));
        for (uint64_t i = 0; items && i < count; i++) {
            items[i].name = read_sized(&in);
            items[i].value = read_sized(&in);
        }
        pairs = (struct labels){items, (size_t)count};
    }
    array_push(&import->times, item->time_ns);
    array_push(&import->lines, line);
    array_push(&import->metadata, pairs);
    *text += item->size;
    return arena_check(import->scratch, "metadata of an import", err);
}

static bool entries_write(struct import *import, const struct import_item *first, struct error *err)
{
    struct chunk_entries entries = {.times_ns = import->times.items,
                                    .lines = import->lines.items,
                                    .metadata = import->metadata.items,
                                    .count = import->times.count};
    if (entries.count == 0)
        return true;
    buffer_clear(&import->bytes);
    bool ok = chunk_encode_entries(&entries, 0, CHUNK_OVERLAPS, &import->bytes, err) &&
              put(import, first, err);
    import->times.count = import->lines.count = import->metadata.count = 0;
    arena_reset(import->scratch);
    return ok;
}

static bool put_entries(struct import *import, const struct import_item *items, size_t count,
                        struct error *err)
{
    size_t text = 0;
    import->times.count = import->lines.count = import->metadata.count = 0;
    arena_reset(import->scratch);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && items[to].time_ns == items[from].time_ns; to++)
            ;
        unique_entries(import, items + from, to - from);
        for (size_t i = 0; i < import->same.count; i++) {
            const struct import_item *item = &items[from + import->same.items[i]];
            bool full = import->times.count >= CHUNK_ENTRIES_MAX ||
                        text + item->size > CHUNK_TEXT_AIM + CHUNK_TEXT_AIM / 2;
            if (full && !entries_write(import, items, err))
                return false;
            text = full ? 0 : text;
            if (!add_entry(import, item, &text, err))
                return false;
        }
    }
    return entries_write(import, items, err);
}

/* ---- all ------------------------------------------------------------------------------ */

bool import_flush(struct import *import, struct error *err)
{
    bool ok = true;
    if (import->scratch == NULL)
        import->scratch = arena_new(SCRATCH_MAX);
    items_sort(import);
    const struct import_item *items = import->items.items;
    for (size_t from = 0, to; ok && from < import->items.count; from = to) {
        int32_t day = partition_day(items[from].time_ns);
        int64_t end_ns = (day + INT64_C(1)) * NS_PER_DAY;
        bool others = false;
        for (to = from + 1; to < import->items.count && items[to].series == items[from].series &&
                            items[to].time_ns < end_ns;
             to++)
            ;
        if (import->options.kind == STORE_LOG)
            ok = put_entries(import, items + from, to - from, err);
        else
            ok = put_floats(import, items + from, to - from, &others, err) &&
                 (!others || put_rich(import, items + from, to - from, err));
    }
    import->items.count = 0;
    buffer_clear(&import->payload);
    return ok;
}
