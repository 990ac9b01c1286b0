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
    free(postings->all.ids);
    array_done(&postings->pairs);
    array_done(&postings->names);
    array_done(&postings->spare_pairs);
    array_done(&postings->spare_names);
    array_done(&postings->removed);
    array_done(&postings->waiting);
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
    if (postings->spare_names.count > 0) {
        at = postings->spare_names.items[--postings->spare_names.count];
        postings->names.items[at].symbol = symbol;
    } else {
        at = (uint32_t)postings->names.count;
        array_push(&postings->names, ((struct label_name){.symbol = symbol}));
    }
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
    uint32_t at = postings_find(postings, name, value);
    if (at != TABLE_NONE)
        return at;
    struct pair_key key = {symbols_ref(&postings->symbols, name),
                           symbols_ref(&postings->symbols, value)};
    struct label_pair pair = {.name = key.name, .value = key.value};
    if (postings->spare_pairs.count > 0) {
        at = postings->spare_pairs.items[--postings->spare_pairs.count];
        postings->pairs.items[at] = pair;
    } else {
        at = (uint32_t)postings->pairs.count;
        array_push(&postings->pairs, pair);
    }
    table_insert(&postings->pair_table, pair_hash(key), at);
    uint32_t index = name_intern(postings, key.name);
    array_push(&postings->names.items[index].pairs, at);
    return at;
}

/* ---- ids ---------------------------------------------------------------- */

static void list_resize(struct postings *postings, struct label_pair *pair, uint32_t capacity)
{
    postings->list_bytes -= (size_t)pair->capacity * sizeof(uint32_t);
    postings->list_bytes += (size_t)capacity * sizeof(uint32_t);
    pair->ids = xrealloc(pair->ids, capacity * sizeof(uint32_t));
    pair->capacity = capacity;
}

static void list_add(struct postings *postings, struct label_pair *pair, uint32_t id)
{
    if (pair->count == 0 && pair->capacity == 0) {
        pair->one = id;
        pair->count = 1;
        return;
    }
    if (pair->capacity == 0) {
        list_resize(postings, pair, 4);
        pair->ids[0] = pair->one;
    } else if (pair->count == pair->capacity) {
        list_resize(postings, pair, pair->capacity + pair->capacity / 2);
    }
    assert(pair->count == 0 || pair->ids[pair->count - 1] < id);
    pair->ids[pair->count++] = id;
}

void postings_add(struct postings *postings, uint32_t pair, uint32_t id)
{
    list_add(postings, &postings->pairs.items[pair], id);
}

void postings_add_series(struct postings *postings, uint32_t id)
{
    list_add(postings, &postings->all, id);
}

static void list_filter(struct postings *postings, struct label_pair *pair,
                        bool (*gone)(const void *context, uint32_t id), const void *context)
{
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
    } else if (kept < pair->capacity / 4) {
        list_resize(postings, pair, kept * 2);
    }
}

/* ---- pairs that go ------------------------------------------------------- */

/* Take the removed pairs out of the list of a name's values; an empty name goes, too. */
static void name_filter(struct postings *postings, uint32_t symbol)
{
    uint32_t at =
        table_find(&postings->name_table, name_hash(symbol), name_equal, postings, &symbol);
    if (at == TABLE_NONE)
        return; /* done for another of its pairs */
    struct label_name *name = &postings->names.items[at];
    size_t kept = 0;
    for (size_t i = 0; i < name->pairs.count; i++) {
        uint32_t pair = name->pairs.items[i];
        if (postings->pairs.items[pair].capacity != PAIR_REMOVED)
            name->pairs.items[kept++] = pair;
    }
    name->pairs.count = kept;
    if (kept > 0)
        return;
    table_remove(&postings->name_table, name_hash(symbol), at);
    array_done(&name->pairs);
    name->symbol = TABLE_NONE;
    array_push(&postings->spare_names, at);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

void postings_remove(struct postings *postings, const uint32_t *pairs, size_t count,
                     bool (*gone)(const void *context, uint32_t id), const void *context)
{
    AUTO(memory_drop) bool *seen = xcalloc(postings->pairs.count, sizeof(*seen));
    struct id_list names = {0}; /* of removed pairs */
    list_filter(postings, &postings->all, gone, context);
    for (size_t i = 0; i < count; i++) {
        if (seen[pairs[i]])
            continue; /* each list is filtered once, however many of its series go */
        seen[pairs[i]] = true;
        struct label_pair *pair = &postings->pairs.items[pairs[i]];
        list_filter(postings, pair, gone, context);
        if (pair->count > 0)
            continue;
        struct pair_key key = {pair->name, pair->value};
        table_remove(&postings->pair_table, pair_hash(key), pairs[i]);
        pair->capacity = PAIR_REMOVED;
        array_push(&postings->removed, pairs[i]);
        array_push(&names, pair->name);
    }
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), compare_numbers);
    for (size_t i = 0; i < names.count; i++) {
        if (i == 0 || names.items[i] != names.items[i - 1])
            name_filter(postings, names.items[i]);
    }
    array_done(&names);
}

uint32_t postings_enter(struct postings *postings)
{
    uint32_t entered = postings->group & 1;
    __atomic_add_fetch(&postings->readers[entered], 1, __ATOMIC_RELAXED);
    return entered;
}

void postings_leave(struct postings *postings, uint32_t entered)
{
    __atomic_sub_fetch(&postings->readers[entered], 1, __ATOMIC_RELEASE);
}

static void free_pairs(struct postings *postings, struct id_list *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        struct label_pair *pair = &postings->pairs.items[pairs->items[i]];
        symbols_unref(&postings->symbols, pair->name);
        symbols_unref(&postings->symbols, pair->value);
        array_push(&postings->spare_pairs, pairs->items[i]);
    }
    array_done(pairs);
}

void postings_reclaim(struct postings *postings)
{
    for (int turn = 0; turn < 2; turn++) {
        const uint32_t *older = &postings->readers[(postings->group + 1) & 1];
        if (__atomic_load_n(older, __ATOMIC_ACQUIRE) > 0)
            return;
        free_pairs(postings, &postings->waiting);
        postings->waiting = postings->removed;
        postings->removed = (struct id_list){0};
        postings->group++;
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
    bytes +=
        (postings->spare_pairs.capacity + postings->removed.capacity + postings->waiting.capacity) *
        sizeof(uint32_t);
    return bytes + postings->names.capacity * sizeof(struct label_name);
}
