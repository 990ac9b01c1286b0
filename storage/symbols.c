/* symbols.c - interned texts: an arena, an array of slices and a hash table (see symbols.h). */
#include "storage/symbols.h"

#include "base/arena.h"
#include "base/hash.h"

#include <assert.h>

void symbols_init(struct symbols *symbols)
{
    *symbols = (struct symbols){0};
    symbols->arena = arena_new(SIZE_MAX); /* the head's memory limit bounds it */
}

void symbols_done(struct symbols *symbols)
{
    arena_free(symbols->arena);
    table_done(&symbols->table);
    array_done(&symbols->texts);
}

static bool text_equal(const void *items, uint32_t index, const void *key)
{
    const struct symbols *symbols = items;
    return slice_equal(symbols->texts.items[index], *(const struct slice *)key);
}

static uint64_t text_hash(struct slice text)
{
    return hash64(text.size ? text.data : "", text.size, hash_seed());
}

uint32_t symbols_find(const struct symbols *symbols, struct slice text)
{
    return table_find(&symbols->table, text_hash(text), text_equal, symbols, &text);
}

uint32_t symbols_intern(struct symbols *symbols, struct slice text)
{
    uint64_t hash = text_hash(text);
    uint32_t symbol = table_find(&symbols->table, hash, text_equal, symbols, &text);
    if (symbol != TABLE_NONE)
        return symbol;
    struct slice copy = arena_copy(symbols->arena, text);
    assert(copy.data != NULL);
    symbol = (uint32_t)symbols->texts.count;
    array_push(&symbols->texts, copy);
    table_insert(&symbols->table, hash, symbol);
    return symbol;
}

size_t symbols_memory(const struct symbols *symbols)
{
    return arena_used(symbols->arena) + symbols->texts.capacity * sizeof(struct slice) +
           table_memory(&symbols->table);
}
