/* lookup.c - striped open addressing (see lookup.h). */
#include "storage/lookup.h"

#include "base/memory.h"
#include "storage/head.h"

enum { SLOTS_FIRST = 64, CACHE_LINE = 64 };

_Static_assert(sizeof(struct lookup_slot) == 32, "two slots in a cache line");

void lookup_init(struct lookup *lookup)
{
    static uint64_t made; /* every cache has a seed of its own */
    *lookup = (struct lookup){0};
    lookup->seed = hash_seed() ^
                   (__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED) * UINT64_C(0x9e3779b97f4a7c15));
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_init(&lookup->stripes[i].lock, NULL);
}

void lookup_done(struct lookup *lookup)
{
    for (int i = 0; i < LOOKUP_STRIPES; i++) {
        free(lookup->stripes[i].slots);
        pthread_mutex_destroy(&lookup->stripes[i].lock);
    }
}

struct hash128 lookup_key(const struct lookup *lookup, uint32_t format, struct slice raw)
{
    uint64_t seed = lookup->seed + format * UINT64_C(0xd6e8feb86659fd93);
    return hash128(raw.size ? raw.data : "", raw.size, seed);
}

static struct lookup_stripe *stripe_of(struct lookup *lookup, struct hash128 key)
{
    return &lookup->stripes[key.high % LOOKUP_STRIPES];
}

void lookup_prefetch(const struct lookup *lookup, struct hash128 key)
{
    /* No lock: a stale address is only a wasted prefetch. */
    const struct lookup_stripe *stripe = &lookup->stripes[key.high % LOOKUP_STRIPES];
    uint32_t count = __atomic_load_n(&stripe->slot_count, __ATOMIC_RELAXED);
    const struct lookup_slot *slots = __atomic_load_n(&stripe->slots, __ATOMIC_RELAXED);
    if (count > 0)
        __builtin_prefetch((const char *)slots + ((size_t)key.low & (count - 1)) * sizeof(*slots),
                           1);
}

struct series *lookup_find(struct lookup *lookup, struct hash128 key, uint32_t now_s, uint32_t *id)
{
    struct lookup_stripe *stripe = stripe_of(lookup, key);
    struct series *found = NULL;
    pthread_mutex_lock(&stripe->lock);
    if (stripe->slot_count > 0) {
        uint32_t mask = stripe->slot_count - 1;
        uint32_t at = (uint32_t)key.low & mask;
        while (stripe->slots[at].series) {
            if (hash128_equal(stripe->slots[at].key, key)) {
                found = stripe->slots[at].series;
                *id = stripe->slots[at].id;
                if (stripe->slots[at].used_s < now_s)
                    stripe->slots[at].used_s = now_s;
                break;
            }
            at = (at + 1) & mask;
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

static void place(struct lookup_stripe *stripe, struct lookup_slot slot)
{
    uint32_t mask = stripe->slot_count - 1;
    uint32_t at = (uint32_t)slot.key.low & mask;
    while (stripe->slots[at].series && !hash128_equal(stripe->slots[at].key, slot.key))
        at = (at + 1) & mask;
    if (stripe->slots[at].series == NULL)
        stripe->count++;
    else
        series_touch(stripe->slots[at].series, stripe->slots[at].used_s);
    stripe->slots[at] = slot;
}

/* The series learn when their slots were last used. */
static void hand_marks_on(const struct lookup_stripe *stripe)
{
    for (uint32_t i = 0; i < stripe->slot_count; i++)
        if (stripe->slots[i].series)
            series_touch(stripe->slots[i].series, stripe->slots[i].used_s);
}

static struct lookup_slot *slots_new(uint32_t count)
{
    size_t size = count * sizeof(struct lookup_slot);
    struct lookup_slot *slots = aligned_alloc(CACHE_LINE, size);
    if (slots == NULL)
        abort();
    memset(slots, 0, size);
    return slots;
}

/* Copy what is alive into `slot_count` fresh slots. */
static void rebuild(struct lookup_stripe *stripe, uint32_t slot_count)
{
    struct lookup_slot *old = stripe->slots;
    uint32_t old_count = stripe->slot_count;
    __atomic_store_n(&stripe->slots, slots_new(slot_count), __ATOMIC_RELAXED);
    __atomic_store_n(&stripe->slot_count, slot_count, __ATOMIC_RELAXED);
    stripe->count = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].series && !old[i].series->dead)
            place(stripe, old[i]);
    }
    free(old);
}

void lookup_put(struct lookup *lookup, struct hash128 key, struct series *series)
{
    struct lookup_stripe *stripe = stripe_of(lookup, key);
    pthread_mutex_lock(&stripe->lock);
    if (stripe->slot_count == 0) {
        rebuild(stripe, SLOTS_FIRST);
    } else if (stripe->count >= stripe->slot_count / 4 * 3) {
        if (stripe->slot_count < LOOKUP_STRIPE_SLOTS_MAX) {
            rebuild(stripe, stripe->slot_count * 2);
        } else {
            hand_marks_on(stripe);
            memset(stripe->slots, 0, stripe->slot_count * sizeof(*stripe->slots));
            stripe->count = 0;
        }
    }
    place(stripe, (struct lookup_slot){.key = key, .series = series, .id = series->id});
    pthread_mutex_unlock(&stripe->lock);
}

void lookup_sweep(struct lookup *lookup, void (*judge)(void *context), void *context)
{
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_lock(&lookup->stripes[i].lock);
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        hand_marks_on(&lookup->stripes[i]);
    judge(context);
    for (int i = 0; i < LOOKUP_STRIPES; i++) {
        struct lookup_stripe *stripe = &lookup->stripes[i];
        if (stripe->slot_count > 0)
            rebuild(stripe, stripe->slot_count);
        pthread_mutex_unlock(&stripe->lock);
    }
}

size_t lookup_memory(const struct lookup *lookup)
{
    size_t bytes = 0;
    for (int i = 0; i < LOOKUP_STRIPES; i++) {
        uint32_t count = __atomic_load_n(&lookup->stripes[i].slot_count, __ATOMIC_RELAXED);
        bytes += (size_t)count * sizeof(struct lookup_slot);
    }
    return bytes;
}
