/*
 * cursor_sort.c - the series of a cursor in the order of labels_compare().
 *
 * Series of the head come with their labels as numbers of pairs.  A selection of tens of
 * thousands of series has some hundreds of distinct pairs: those are sorted as texts,
 * once, and then a series is a row of ranks.  As many ranks as fit make one number, and
 * numbers are sorted by their bytes (radix); only series whose numbers are equal are
 * compared as texts.  Series that only partitions know are sorted apart and merged in.
 */
#include "storage/cursor_internal.h"

enum { RADIX_MIN = 256, PAIRS_PER_SERIES_MAX = 64 };

struct sort_key {
    uint64_t ranks;
    uint32_t series;
};

struct distinct_pair {
    struct label label;
    uint32_t pair;
};
struct distinct_pairs ARRAY_BODY(struct distinct_pair);

static int compare_series(const void *a, const void *b)
{
    const struct cursor_series *left = a;
    const struct cursor_series *right = b;
    return labels_compare(left->labels, right->labels);
}

static int compare_distinct(const void *a, const void *b)
{
    return label_compare(&((const struct distinct_pair *)a)->label,
                         &((const struct distinct_pair *)b)->label);
}

/* Ranks from 1 on by pair; NULL when the pairs' numbers are too large for an array. */
static uint32_t *rank_pairs(const struct cursor *cursor, const struct selection *selection,
                            const struct size_list *chosen, uint32_t *rank_max)
{
    uint32_t pair_max = 0;
    for (size_t i = 0; i < selection->pairs.count; i++)
        pair_max = selection->pairs.items[i] > pair_max ? selection->pairs.items[i] : pair_max;
    if (pair_max / PAIRS_PER_SERIES_MAX > chosen->count)
        return NULL;
    uint32_t *ranks = xcalloc((size_t)pair_max + 1, sizeof(*ranks));
    struct distinct_pairs distinct = {0};
    for (size_t i = 0; i < chosen->count; i++) {
        const struct selected_series *series = &selection->series.items[chosen->items[i]];
        const uint32_t *pairs = selection->pairs.items + series->pair_first;
        for (size_t k = 0; k < cursor->series.items[i].labels.count; k++) {
            if (ranks[pairs[k]] > 0)
                continue;
            struct distinct_pair found = {cursor->series.items[i].labels.items[k], pairs[k]};
            ranks[pairs[k]] = 1;
            array_push(&distinct, found);
        }
    }
    if (distinct.count > 1)
        qsort(distinct.items, distinct.count, sizeof(*distinct.items), compare_distinct);
    for (size_t i = 0; i < distinct.count; i++)
        ranks[distinct.items[i].pair] = (uint32_t)i + 1;
    *rank_max = (uint32_t)distinct.count;
    array_done(&distinct);
    return ranks;
}

/* The first ranks of each series as one number; a label that is not there is 0, the least. */
static struct sort_key *make_keys(const struct cursor *cursor, const struct selection *selection,
                                  const struct size_list *chosen, const uint32_t *ranks,
                                  uint32_t rank_max)
{
    unsigned bits = rank_max > 0 ? 32 - (unsigned)__builtin_clz(rank_max) : 1;
    struct sort_key *keys = xcalloc(chosen->count, sizeof(*keys));
    for (size_t i = 0; i < chosen->count; i++) {
        const struct selected_series *series = &selection->series.items[chosen->items[i]];
        const uint32_t *pairs = selection->pairs.items + series->pair_first;
        size_t count = cursor->series.items[i].labels.count;
        keys[i].series = (uint32_t)i;
        for (unsigned at = 0; (at + 1) * bits <= 64; at++)
            keys[i].ranks = keys[i].ranks << bits | (at < count ? ranks[pairs[at]] : 0);
    }
    return keys;
}

/* By bytes from the lowest; bytes that all keys share are left out.  Stable. */
static void radix_sort(struct sort_key *keys, size_t count)
{
    AUTO(memory_drop) struct sort_key *spare = xcalloc(count, sizeof(*spare));
    struct sort_key *from = keys, *to = spare;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t places[257] = {0};
        for (size_t i = 0; i < count; i++)
            places[(from[i].ranks >> shift & 0xff) + 1]++;
        if (places[(from[0].ranks >> shift & 0xff) + 1] == count)
            continue;
        for (size_t i = 1; i < 257; i++)
            places[i] += places[i - 1];
        for (size_t i = 0; i < count; i++)
            to[places[from[i].ranks >> shift & 0xff]++] = from[i];
        struct sort_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof(*keys));
}

void cursor_sort_head(struct cursor *cursor, const struct selection *selection,
                      const struct size_list *chosen)
{
    uint32_t rank_max = 0;
    size_t count = chosen->count;
    if (count < RADIX_MIN || count > UINT32_MAX)
        return;
    AUTO(memory_drop) uint32_t *ranks = rank_pairs(cursor, selection, chosen, &rank_max);
    if (ranks == NULL)
        return;
    AUTO(memory_drop)
    struct sort_key *keys = make_keys(cursor, selection, chosen, ranks, rank_max);
    radix_sort(keys, count);
    struct cursor_series *sorted = xcalloc(count, sizeof(*sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = cursor->series.items[keys[i].series];
    memcpy(cursor->series.items, sorted, count * sizeof(*sorted));
    free(sorted);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && keys[end].ranks == keys[i].ranks; end++)
            ;
        if (end - i > 1)
            qsort(cursor->series.items + i, end - i, sizeof(*cursor->series.items), compare_series);
    }
    cursor->sorted = count;
}

void cursor_sort(struct cursor *cursor)
{
    struct cursor_series *items = cursor->series.items;
    size_t count = cursor->series.count, sorted = cursor->sorted;
    if (count < 2 || sorted == count)
        return;
    qsort(items + sorted, count - sorted, sizeof(*items), compare_series);
    if (sorted == 0)
        return;
    AUTO(memory_drop) struct cursor_series *merged = xcalloc(count, sizeof(*merged));
    for (size_t i = 0, k = sorted, at = 0; at < count; at++) {
        bool left = k == count || (i < sorted && compare_series(&items[i], &items[k]) < 0);
        merged[at] = left ? items[i++] : items[k++];
    }
    memcpy(items, merged, count * sizeof(*merged));
}
