/* postings.c - label pairs and their ascending series ids (see postings.h). */
#include "storage/postings.h"

#include "base/hash.h"

#include <assert.h>

void postings_init(struct postings *postings)
{
    *postings = (struct postings){0};
    symbols_init(&postings->symbols);
}

void postings_done(struct postings *postings)
{
    for (size_t i = 0; i < postings->pairs.count; i++)
        free(postings->pairs.items[i].ids);
    for (size_t i = 0; i < postings->names.count; i++)
        array_done(&postings->names.items[i].pairs);
    array_done(&postings->pairs);
    array_done(&postings->names);
    table_done(&postings->pair_table);
    table_done(&postings->name_table);
    symbols_done(&postings->symbols);
}

struct pair_key {
    uint32_t name, value;
};

static uint64_t pair_hash(struct pair_key key)
{
    return hash64(&key, sizeof(key), hash_seed());
}

static bool pair_equal(const void *items, uint32_t index, const void *key)
{
    const struct label_pair *pair = &((const struct postings *)items)->pairs.items[index];
    const struct pair_key *wanted = key;
    return pair->name == wanted->name && pair->value == wanted->value;
}

static bool name_equal(const void *items, uint32_t index, const void *key)
{
    return ((const struct postings *)items)->names.items[index].symbol == *(const uint32_t *)key;
}

static uint64_t name_hash(uint32_t symbol)
{
    return hash64(&symbol, sizeof(symbol), hash_seed());
}

static uint32_t name_intern(struct postings *postings, uint32_t symbol)
{
    uint64_t hash = name_hash(symbol);
    uint32_t at = table_find(&postings->name_table, hash, name_equal, postings, &symbol);
    if (at != TABLE_NONE)
        return at;
    at = (uint32_t)postings->names.count;
    array_push(&postings->names, ((struct label_name){.symbol = symbol}));
    table_insert(&postings->name_table, hash, at);
    return at;
}

uint32_t postings_find(const struct postings *postings, struct slice name, struct slice value)
{
    struct pair_key key = {symbols_find(&postings->symbols, name),
                           symbols_find(&postings->symbols, value)};
    if (key.name == TABLE_NONE || key.value == TABLE_NONE)
        return TABLE_NONE;
    return table_find(&postings->pair_table, pair_hash(key), pair_equal, postings, &key);
}

uint32_t postings_intern(struct postings *postings, struct slice name, struct slice value)
{
    struct pair_key key = {symbols_intern(&postings->symbols, name),
                           symbols_intern(&postings->symbols, value)};
    uint64_t hash = pair_hash(key);
    uint32_t at = table_find(&postings->pair_table, hash, pair_equal, postings, &key);
    if (at != TABLE_NONE)
        return at;
    at = (uint32_t)postings->pairs.count;
    array_push(&postings->pairs, ((struct label_pair){.name = key.name, .value = key.value}));
    table_insert(&postings->pair_table, hash, at);
    uint32_t index = name_intern(postings, key.name);
    array_push(&postings->names.items[index].pairs, at);
    return at;
}

void postings_add(struct postings *postings, uint32_t pair_index, uint32_t id)
{
    struct label_pair *pair = &postings->pairs.items[pair_index];
    if (pair->count == 0 && pair->capacity == 0) {
        pair->one = id;
        pair->count = 1;
        return;
    }
    if (pair->capacity == 0 || pair->count == pair->capacity) {
        uint32_t grown = pair->capacity == 0 ? 4 : pair->capacity + pair->capacity / 2;
        postings->list_bytes += (size_t)(grown - pair->capacity) * sizeof(uint32_t);
        pair->ids = xrealloc(pair->ids, grown * sizeof(uint32_t));
        if (pair->capacity == 0)
            pair->ids[0] = pair->one;
        pair->capacity = grown;
    }
    assert(pair->count == 0 || pair->ids[pair->count - 1] < id);
    pair->ids[pair->count++] = id;
}

void postings_remove(struct postings *postings, uint32_t pair_index,
                     bool (*gone)(const void *context, uint32_t id), const void *context)
{
    struct label_pair *pair = &postings->pairs.items[pair_index];
    if (pair->capacity == 0) {
        if (pair->count == 1 && gone(context, pair->one))
            pair->count = 0;
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pair->count; i++) {
        if (!gone(context, pair->ids[i]))
            pair->ids[kept++] = pair->ids[i];
    }
    pair->count = kept;
    if (kept <= 1) {
        pair->one = kept == 1 ? pair->ids[0] : 0;
        postings->list_bytes -= (size_t)pair->capacity * sizeof(uint32_t);
        free(pair->ids);
        pair->ids = NULL;
        pair->capacity = 0;
    }
}

struct label postings_label(const struct postings *postings, uint32_t pair_index)
{
    const struct label_pair *pair = &postings->pairs.items[pair_index];
    return (struct label){symbols_text(&postings->symbols, pair->name),
                          symbols_text(&postings->symbols, pair->value)};
}

size_t postings_memory(const struct postings *postings)
{
    size_t bytes = symbols_memory(&postings->symbols) + postings->list_bytes;
    bytes += table_memory(&postings->pair_table) + table_memory(&postings->name_table);
    bytes += postings->pairs.capacity * sizeof(struct label_pair);
    bytes += postings->pairs.count * sizeof(uint32_t); /* the names' lists of values */
    return bytes + postings->names.capacity * sizeof(struct label_name);
}
