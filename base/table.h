/*
 * table.h - the one hash table: from a 64-bit hash to a 32-bit index.
 *
 * The caller keeps its items in an array of its own and tells the table their
 * indexes; the table keeps (hash, index) in open addressing and asks the
 * caller's `equal` whether item `index` has the key that is looked for.
 * Deleting shifts followers back, so there are no tombstones.  Not locked:
 * whoever owns the array owns the table.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table_slot {
    uint32_t tag;   /* 32 bits folded from the hash */
    uint32_t index; /* TABLE_NONE: free */
};

struct table {
    struct table_slot *slots; /* a power of two of them, at most 3/4 full */
    uint32_t slot_count;
    uint32_t count;
};

/* Does item `index` of the caller's array have `key`? */
typedef bool table_equal(const void *items, uint32_t index, const void *key);

void table_init(struct table *t); /* a zeroed table is initialised, too */
void table_done(struct table *t);

/* The index of the item with that key, or TABLE_NONE. */
uint32_t table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *items,
                    const void *key);

/* Add `index`; the caller has checked that its key is not there yet. */
void table_insert(struct table *t, uint64_t hash, uint32_t index);

/* Remove the entry with that hash and index; false when it is not there. */
bool table_remove(struct table *t, uint64_t hash, uint32_t index);

/* Bytes of memory held. */
size_t table_memory(const struct table *t);

/* Bring the slot of `hash` into the CPU cache. */
void table_prefetch(const struct table *t, uint64_t hash);

#endif
