/*
 * table.c - open addressing with linear probing (see table.h).
 *
 * A slot keeps a 32-bit tag folded from the hash, and its home is computed from
 * the tag alone, so that slots can move (when the table grows, when an entry is
 * deleted) without asking the caller for the hash again.
 */
#include "base/table.h"

#include "base/memory.h"

#include <assert.h>

enum { SLOTS_FIRST = 16 };

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static uint32_t home_of(uint32_t tag, uint32_t slot_count)
{
    return (uint32_t)(((uint64_t)tag * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (slot_count - 1);
}

void table_init(struct table *t)
{
    *t = (struct table){0};
}

void table_done(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}

uint32_t table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *items,
                    const void *key)
{
    if (t->slot_count == 0)
        return TABLE_NONE;
    uint32_t tag = tag_of(hash);
    uint32_t mask = t->slot_count - 1;
    for (uint32_t at = home_of(tag, t->slot_count);; at = (at + 1) & mask) {
        struct table_slot slot = t->slots[at];
        if (slot.index == TABLE_NONE)
            return TABLE_NONE;
        if (slot.tag == tag && equal(items, slot.index, key))
            return slot.index;
    }
}

static void place(struct table_slot *slots, uint32_t slot_count, struct table_slot new)
{
    uint32_t at = home_of(new.tag, slot_count);
    while (slots[at].index != TABLE_NONE)
        at = (at + 1) & (slot_count - 1);
    slots[at] = new;
}

static void grow(struct table *t)
{
    uint32_t bigger = t->slot_count ? t->slot_count * 2 : SLOTS_FIRST;
    assert(bigger > t->slot_count);
    struct table_slot *slots = xmalloc(bigger * sizeof(*slots));
    for (uint32_t i = 0; i < bigger; i++)
        slots[i].index = TABLE_NONE;
    for (uint32_t i = 0; i < t->slot_count; i++) {
        if (t->slots[i].index != TABLE_NONE)
            place(slots, bigger, t->slots[i]);
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = bigger;
}

void table_insert(struct table *t, uint64_t hash, uint32_t index)
{
    assert(index != TABLE_NONE);
    if (t->slot_count == 0 || t->count >= t->slot_count / 4 * 3)
        grow(t);
    place(t->slots, t->slot_count, (struct table_slot){tag_of(hash), index});
    t->count++;
}

/* Close the gap at `hole` by moving back every follower that may stand there. */
static void close_gap(struct table *t, uint32_t hole)
{
    uint32_t mask = t->slot_count - 1;
    for (uint32_t at = (hole + 1) & mask; t->slots[at].index != TABLE_NONE; at = (at + 1) & mask) {
        uint32_t home = home_of(t->slots[at].tag, t->slot_count);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            t->slots[hole] = t->slots[at];
            hole = at;
        }
    }
    t->slots[hole].index = TABLE_NONE;
}

bool table_remove(struct table *t, uint64_t hash, uint32_t index)
{
    if (t->slot_count == 0)
        return false;
    uint32_t tag = tag_of(hash);
    uint32_t mask = t->slot_count - 1;
    for (uint32_t at = home_of(tag, t->slot_count);; at = (at + 1) & mask) {
        if (t->slots[at].index == TABLE_NONE)
            return false;
        if (t->slots[at].index == index && t->slots[at].tag == tag) {
            close_gap(t, at);
            t->count--;
            return true;
        }
    }
}

size_t table_memory(const struct table *t)
{
    return (size_t)t->slot_count * sizeof(*t->slots);
}

void table_prefetch(const struct table *t, uint64_t hash)
{
    if (t->slot_count > 0)
        __builtin_prefetch(&t->slots[home_of(tag_of(hash), t->slot_count)]);
}
