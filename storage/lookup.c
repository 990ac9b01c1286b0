/* lookup.c - open addressing behind one lock (see lookup.h). */
#include "storage/lookup.h"

#include "base/compiler.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "storage/head.h"

#include <assert.h>
#include <sys/mman.h>

enum { SLOTS_FIRST = 256, CACHE_LINE = 64, HUGE_PAGE = 2 * 1024 * 1024 };

_Static_assert(sizeof(struct lookup_slot) == 32, "two slots in a cache line");

void lookup_init(struct lookup *lookup)
{
    static uint64_t made; /* every cache has a seed of its own */
    *lookup = (struct lookup){0};
    lookup->seed = hash_seed() ^
                   (__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED) * UINT64_C(0x9e3779b97f4a7c15));
    pthread_rwlock_init(&lookup->lock, NULL);
}

void lookup_done(struct lookup *lookup)
{
    free(lookup->slots);
    ledger_update(LEDGER_LOOKUP, &lookup->counted, 0);
    pthread_rwlock_destroy(&lookup->lock);
}

struct hash128 lookup_key(const struct lookup *lookup, uint32_t format, struct slice raw)
{
    uint64_t seed = lookup->seed + format * UINT64_C(0xd6e8feb86659fd93);
    return hash128(raw.size ? raw.data : "", raw.size, seed);
}

/* The slot with `key`, or the free one where it belongs.  Needs the lock. */
static struct lookup_slot *slot_find(const struct lookup *lookup, struct hash128 key)
{
    uint32_t mask = lookup->slot_count - 1;
    uint32_t at = (uint32_t)key.low & mask;
    while (lookup->slots[at].series && !hash128_equal(lookup->slots[at].key, key))
        at = (at + 1) & mask;
    return &lookup->slots[at];
}

void lookup_find(struct lookup *lookup, const struct hash128 *keys, size_t count, uint32_t now_s,
                 struct series **series, uint32_t *ids)
{
    assert(count <= LOOKUP_KEYS_MAX);
    pthread_rwlock_rdlock(&lookup->lock);
    bool empty = lookup->slot_count == 0;
    for (size_t i = 0; i < count && !empty; i++)
        __builtin_prefetch(&lookup->slots[(uint32_t)keys[i].low & (lookup->slot_count - 1)], 1);
    for (size_t i = 0; i < count; i++) {
        struct lookup_slot *slot = empty ? NULL : slot_find(lookup, keys[i]);
        series[i] = slot ? slot->series : NULL;
        if (series[i] == NULL)
            continue;
        ids[i] = slot->id;
        if (__atomic_load_n(&slot->used_s, __ATOMIC_RELAXED) < now_s) /* several may, to the same */
            __atomic_store_n(&slot->used_s, now_s, __ATOMIC_RELAXED);
    }
    pthread_rwlock_unlock(&lookup->lock);
}

/* ---- growing and forgetting, with the lock alone -------------------------- */

static struct lookup_slot *slots_new(uint32_t count)
{
    size_t size = (size_t)count * sizeof(struct lookup_slot);
    bool huge = size >= HUGE_PAGE;
    struct lookup_slot *slots = aligned_alloc(huge ? HUGE_PAGE : CACHE_LINE, size);
    if (slots == NULL)
        abort();
    if (huge)
        madvise(slots, size, MADV_HUGEPAGE); /* a favour: it works without, too */
    memset(slots, 0, size);
    return slots;
}

static void place(struct lookup *lookup, struct lookup_slot fresh)
{
    struct lookup_slot *slot = slot_find(lookup, fresh.key);
    if (slot->series == NULL)
        lookup->count++;
    else
        series_touch(slot->series, slot->used_s);
    *slot = fresh;
}

/* Copy what is alive into fresh slots. */
static void rebuild(struct lookup *lookup, uint32_t slot_count)
{
    struct lookup_slot *old = lookup->slots;
    uint32_t old_count = lookup->slot_count;
    lookup->slots = slots_new(slot_count);
    lookup->slot_count = slot_count;
    lookup->count = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].series && !old[i].series->dead)
            place(lookup, old[i]);
    }
    free(old);
    ledger_update(LEDGER_LOOKUP, &lookup->counted, slot_count * sizeof(struct lookup_slot));
}

/* The series learn when their slots were last used. */
static void hand_marks_on(const struct lookup *lookup)
{
    for (uint32_t i = 0; i < lookup->slot_count; i++) {
        if (lookup->slots[i].series)
            series_touch(lookup->slots[i].series, lookup->slots[i].used_s);
    }
}

/* Twice the slots; at the limit everything is forgotten. */
static void grow(struct lookup *lookup)
{
    if (lookup->slot_count < LOOKUP_SLOTS_MAX) {
        rebuild(lookup, lookup->slot_count ? lookup->slot_count * 2 : SLOTS_FIRST);
        return;
    }
    hand_marks_on(lookup);
    memset(lookup->slots, 0, (size_t)lookup->slot_count * sizeof(*lookup->slots));
    lookup->count = 0;
}

void lookup_put(struct lookup *lookup, struct hash128 key, struct series *series)
{
    pthread_rwlock_wrlock(&lookup->lock);
    if (lookup->count >= lookup->slot_count / 5 * 4)
        grow(lookup);
    place(lookup, (struct lookup_slot){.key = key, .series = series, .id = series->id});
    pthread_rwlock_unlock(&lookup->lock);
}

/* As many slots as what is alive needs: fewer only when a quarter would do. */
static uint32_t fitting_slots(const struct lookup *lookup)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < lookup->slot_count; i++)
        alive += lookup->slots[i].series && !lookup->slots[i].series->dead;
    uint32_t slots = lookup->slot_count;
    while (slots > SLOTS_FIRST && alive < slots / 8)
        slots /= 2;
    return slots;
}

void lookup_sweep(struct lookup *lookup, void (*judge)(void *context), void *context)
{
    pthread_rwlock_wrlock(&lookup->lock);
    hand_marks_on(lookup);
    judge(context);
    if (lookup->slot_count > 0)
        rebuild(lookup, fitting_slots(lookup));
    pthread_rwlock_unlock(&lookup->lock);
}

size_t lookup_memory(struct lookup *lookup)
{
    pthread_rwlock_rdlock(&lookup->lock);
    uint32_t count = lookup->slot_count;
    pthread_rwlock_unlock(&lookup->lock);
    return (size_t)count * sizeof(struct lookup_slot);
}
