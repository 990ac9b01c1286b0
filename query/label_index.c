/*
 * label_index.c - numbers for label sets, in order of first sight.
 */
#include "base/array.h"
#include "base/memory.h"
#include "base/table.h"
#include "query/eval_internal.h"

struct label_index {
    struct arena *arena;
    struct table table;
    struct labels *sets; /* in the arena */
    size_t count, capacity;
};

struct label_index *label_index_new(struct arena *arena)
{
    struct label_index *index = xcalloc(1, sizeof(*index));
    index->arena = arena;
    return index;
}

void label_index_free(struct label_index *index)
{
    if (index == NULL)
        return;
    table_done(&index->table);
    free(index);
}

static bool same_labels(const void *items, uint32_t at, const void *key)
{
    return labels_equal(((const struct labels *)items)[at], *(const struct labels *)key);
}

uint32_t label_index_put(struct label_index *index, struct labels labels, bool *added)
{
    uint64_t hash = labels_hash(labels);
    *added = false;
    uint32_t found = table_find(&index->table, hash, same_labels, index->sets, &labels);
    if (found != TABLE_NONE)
        return found;
    struct labels *sets = arena_grow(index->arena, index->sets, index->count, &index->capacity,
                                     index->count + 1, sizeof(*sets));
    if (sets == NULL || index->count >= UINT32_MAX - 1)
        return UINT32_MAX;
    index->sets = sets;
    struct labels copy = labels_copy(index->arena, labels);
    if (arena_exhausted(index->arena))
        return UINT32_MAX;
    sets[index->count] = copy;
    table_insert(&index->table, hash, (uint32_t)index->count);
    *added = true;
    return (uint32_t)index->count++;
}

struct labels label_index_get(const struct label_index *index, uint32_t number)
{
    return index->sets[number];
}

uint32_t label_index_count(const struct label_index *index)
{
    return (uint32_t)index->count;
}
