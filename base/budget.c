/* budget.c - atomic counting against a limit (see budget.h). */
#include "base/budget.h"

#include <assert.h>

void budget_init(struct budget *b, size_t limit)
{
    atomic_init(&b->used, 0);
    atomic_init(&b->limit, limit);
}

bool budget_take(struct budget *b, size_t size)
{
    size_t limit = atomic_load_explicit(&b->limit, memory_order_relaxed);
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    do {
        if (used > limit || size > limit - used)
            return false;
    } while (!atomic_compare_exchange_weak(&b->used, &used, used + size));
    return true;
}

void budget_force(struct budget *b, size_t size)
{
    atomic_fetch_add(&b->used, size);
}

void budget_give(struct budget *b, size_t size)
{
    size_t before = atomic_fetch_sub(&b->used, size);
    assert(before >= size);
    (void)before;
}

size_t budget_used(const struct budget *b)
{
    return atomic_load_explicit(&b->used, memory_order_relaxed);
}

size_t budget_limit(const struct budget *b)
{
    return atomic_load_explicit(&b->limit, memory_order_relaxed);
}
