/*
 * regex_set.c - sets of code points, as sorted ranges.
 *
 * A collector takes ranges in any order and sorts and merges them once at the
 * end.  Case folding adds to each range the ranges that its members fold to;
 * runs of the folding table are handled as a whole, so a class such as \pL
 * costs hundreds of steps, not a hundred thousand.
 */
#include "base/arena.h"
#include "base/regex_tree.h"
#include "base/regex_unicode.h"

#include <stdlib.h>

static void collector_append(struct rune_collector *c, uint32_t lo, uint32_t hi)
{
    if (c->failed)
        return;
    if (c->count == c->capacity) {
        struct rune_range *items = arena_grow(c->arena, c->items, c->count, &c->capacity,
                                              c->count + 1, sizeof(c->items[0]));
        if (items == NULL) {
            c->failed = true;
            return;
        }
        c->items = items;
    }
    c->items[c->count++] = (struct rune_range){lo, hi};
}

void rune_collect(struct rune_collector *c, uint32_t lo, uint32_t hi)
{
    if (c->count > 0 && c->items[c->count - 1].hi + 1 == lo)
        c->items[c->count - 1].hi = hi;
    else
        collector_append(c, lo, hi);
}

/* What the part lo..hi of a run maps to, one step along the ring. */
static struct rune_range fold_step(const struct unicode_fold *run, uint32_t lo, uint32_t hi)
{
    if (run->delta != 0)
        return (struct rune_range){(uint32_t)((int32_t)lo + run->delta),
                                   (uint32_t)((int32_t)hi + run->delta)};
    uint32_t first = run->lo + ((lo - run->lo) & ~1U);
    uint32_t last = run->lo + ((hi - run->lo) | 1U);
    return (struct rune_range){first, last};
}

/*
 * Each step along the rings maps ranges to ranges; rings have at most four
 * members, so three rounds over the ranges found last see them all.
 */
void rune_collect_folded(struct rune_collector *c, uint32_t lo, uint32_t hi)
{
    enum { RING_MAX = 4 };
    rune_collect(c, lo, hi);
    size_t run = unicode_fold_find(lo);
    if (run == unicode_fold_count || unicode_folds[run].lo > hi)
        return;
    size_t from = 0;
    struct rune_collector step = {.arena = c->arena};
    collector_append(&step, lo, hi);
    for (int round = 1; round < RING_MAX; round++) {
        size_t until = step.count;
        for (size_t i = from; i < until && !step.failed; i++) {
            struct rune_range range = step.items[i];
            for (run = unicode_fold_find(range.lo);
                 run < unicode_fold_count && unicode_folds[run].lo <= range.hi; run++) {
                const struct unicode_fold *f = &unicode_folds[run];
                struct rune_range next = fold_step(f, range.lo > f->lo ? range.lo : f->lo,
                                                   range.hi < f->hi ? range.hi : f->hi);
                collector_append(&step, next.lo, next.hi);
                rune_collect(c, next.lo, next.hi);
            }
        }
        from = until;
    }
    c->failed |= step.failed;
}

static int range_compare(const void *a, const void *b)
{
    const struct rune_range *x = a, *y = b;
    if (x->lo != y->lo)
        return x->lo < y->lo ? -1 : 1;
    return x->hi < y->hi ? -1 : x->hi > y->hi;
}

static void collector_normalise(struct rune_collector *c)
{
    if (c->failed || c->count == 0)
        return;
    qsort(c->items, c->count, sizeof(c->items[0]), range_compare);
    size_t kept = 0;
    for (size_t i = 1; i < c->count; i++) {
        struct rune_range *last = &c->items[kept];
        if (c->items[i].lo <= last->hi + 1) {
            if (c->items[i].hi > last->hi)
                last->hi = c->items[i].hi;
        } else {
            c->items[++kept] = c->items[i];
        }
    }
    c->count = kept + 1;
}

void rune_collect_negate(struct rune_collector *c)
{
    collector_normalise(c);
    struct rune_collector other = {.arena = c->arena, .failed = c->failed};
    uint32_t next = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].lo > next)
            rune_collect(&other, next, c->items[i].lo - 1);
        next = c->items[i].hi + 1;
    }
    if (next <= RUNE_MAX)
        rune_collect(&other, next, RUNE_MAX);
    *c = other;
}

struct rune_set *rune_collect_done(struct rune_collector *c)
{
    collector_normalise(c);
    return c->failed ? NULL : rune_set_new(c->arena, c->items, c->count);
}

struct rune_set *rune_set_new(struct arena *arena, const struct rune_range *ranges, size_t count)
{
    struct rune_set *set = arena_alloc(arena, sizeof(*set));
    struct rune_range *items = arena_calloc(arena, count ? count : 1, sizeof(*items));
    if (set == NULL || items == NULL)
        return NULL;
    if (count > 0)
        memcpy(items, ranges, count * sizeof(*items));
    *set = (struct rune_set){items, count};
    return set;
}

bool rune_set_has(const struct rune_set *set, uint32_t rune)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->items[middle].hi < rune)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && set->items[low].lo <= rune;
}

bool rune_is_word(uint32_t rune)
{
    return (rune >= '0' && rune <= '9') || (rune >= 'A' && rune <= 'Z') ||
           (rune >= 'a' && rune <= 'z') || rune == '_';
}
