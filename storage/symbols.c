/* symbols.c - counted texts, an array of them and a hash table (see symbols.h). */
#include "storage/symbols.h"

#include "base/hash.h"

#include <assert.h>

enum { MALLOC_OVERHEAD = 16 }; /* header and rounding, about */

void symbols_init(struct symbols *symbols)
{
    *symbols = (struct symbols){0};
}

void symbols_done(struct symbols *symbols)
{
    for (size_t i = 0; i < symbols->items.count; i++)
        free(symbols->items.items[i]);
    array_done(&symbols->items);
    array_done(&symbols->spare);
    table_done(&symbols->table);
}

static bool text_equal(const void *items, uint32_t index, const void *key)
{
    return slice_equal(symbols_text(items, index), *(const struct slice *)key);
}

static uint64_t text_hash(struct slice text)
{
    return hash64(text.size ? text.data : "", text.size, hash_seed());
}

static size_t memory_of(uint32_t text_size)
{
    return sizeof(struct symbol) + text_size + MALLOC_OVERHEAD;
}

uint32_t symbols_find(const struct symbols *symbols, struct slice text)
{
    return table_find(&symbols->table, text_hash(text), text_equal, symbols, &text);
}

uint32_t symbols_ref(struct symbols *symbols, struct slice text)
{
    uint64_t hash = text_hash(text);
    uint32_t number = table_find(&symbols->table, hash, text_equal, symbols, &text);
    if (number != TABLE_NONE) {
        symbols->items.items[number]->refs++;
        return number;
    }
    assert(text.size < UINT32_MAX); /* label limits see to that */
    struct symbol *symbol = xmalloc(sizeof(*symbol) + text.size);
    symbol->refs = 1;
    symbol->size = (uint32_t)text.size;
    if (text.size > 0)
        memcpy(symbol->text, text.data, text.size);
    if (symbols->spare.count > 0) {
        number = symbols->spare.items[--symbols->spare.count];
        symbols->items.items[number] = symbol;
    } else {
        number = (uint32_t)symbols->items.count;
        array_push(&symbols->items, symbol);
    }
    symbols->text_bytes += memory_of(symbol->size);
    table_insert(&symbols->table, hash, number);
    return number;
}

void symbols_unref(struct symbols *symbols, uint32_t number)
{
    struct symbol *symbol = symbols->items.items[number];
    assert(symbol->refs > 0);
    if (--symbol->refs > 0)
        return;
    table_remove(&symbols->table, text_hash(slice_of(symbol->text, symbol->size)), number);
    symbols->text_bytes -= memory_of(symbol->size);
    symbols->items.items[number] = NULL;
    array_push(&symbols->spare, number);
    free(symbol);
}

size_t symbols_memory(const struct symbols *symbols)
{
    return symbols->text_bytes + symbols->items.capacity * sizeof(struct symbol *) +
           symbols->spare.capacity * sizeof(uint32_t) + table_memory(&symbols->table);
}
