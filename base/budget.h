/*
 * budget.h - a number of bytes that many threads share.
 *
 * Whoever is about to hold memory whose size others choose (request bodies,
 * heads) takes that many bytes first and gives them back afterwards.  A budget
 * never blocks: over the limit, taking fails and the caller says "try again".
 * A zeroed budget has the limit 0.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    atomic_size_t used;
    atomic_size_t limit;
};

void budget_init(struct budget *b, size_t limit);

/* Take `size` bytes; false when fewer are left. */
bool budget_take(struct budget *b, size_t size) MUST_CHECK;

/* Take without asking: for bytes that exist already and have to be counted. */
void budget_force(struct budget *b, size_t size);

/* Give back what was taken. */
void budget_give(struct budget *b, size_t size);

size_t budget_used(const struct budget *b);
size_t budget_limit(const struct budget *b);

#endif
