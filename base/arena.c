/*
 * arena.c - a chain of blocks, each filled from its start (see arena.h).
 *
 * Blocks grow from 4 KiB to 1 MiB; an allocation larger than a block gets a
 * block of its own size.  The limit counts bytes handed out (after rounding),
 * not the slack at the blocks' ends, which is at most one block.  malloc keeps
 * freed blocks of this size for itself, so after a large arena it is trimmed.
 */
#include "base/arena.h"

#include "base/budget.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/memory.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum {
    BLOCK_FIRST = 4096,
    BLOCK_MAX = 1 << 20,
    ALIGNMENT = 16,
    TRIM_AT = 32 << 20 /* an arena that held so much gives its pages back to the system */
};

struct block {
    struct block *before;
    size_t size; /* bytes in data[] */
    size_t used;
    _Alignas(ALIGNMENT) char data[];
};

struct arena {
    struct block *last;
    size_t used;
    size_t used_most;
    size_t limit;
    size_t next_block;
    struct budget *budget; /* NULL: none */
    bool exhausted;
    bool in_budget;     /* blocks may be refused */
    bool cache;         /* counted as a cache's */
    bool out_of_budget; /* one was */
};

bool (*arena_fault)(void);

struct arena *arena_new(size_t limit)
{
    struct arena *arena = xcalloc(1, sizeof(*arena));
    arena->limit = limit;
    arena->next_block = BLOCK_FIRST;
    return arena;
}

struct arena *arena_new_in_budget(size_t limit)
{
    struct arena *arena = arena_new(limit);
    arena->in_budget = true;
    return arena;
}

struct arena *arena_new_shared(size_t limit, struct budget *budget)
{
    struct arena *arena = arena_new_in_budget(limit);
    arena->budget = budget;
    return arena;
}

struct arena *arena_new_cache(size_t limit)
{
    struct arena *arena = arena_new_in_budget(limit);
    arena->cache = true;
    return arena;
}

static enum ledger_part part_of(const struct arena *arena)
{
    if (arena->cache)
        return LEDGER_CACHES;
    return arena->in_budget ? LEDGER_QUERIES : LEDGER_PARTITIONS;
}

static void give_bytes(const struct arena *arena, size_t bytes)
{
    if (arena->budget)
        budget_give(arena->budget, bytes);
    ledger_add(part_of(arena), -(int64_t)bytes);
}

/* For a block: out of the query's budget and the process'. */
static bool take_bytes(struct arena *arena, size_t bytes)
{
    if (arena->budget && !budget_take(arena->budget, bytes))
        return false;
    bool small = arena->last == NULL && bytes <= sizeof(struct block) + BLOCK_FIRST;
    if (!arena->in_budget || small) { /* small requests are always answered */
        ledger_add(part_of(arena), (int64_t)bytes);
        return true;
    }
    if (ledger_take(part_of(arena), bytes))
        return true;
    arena->out_of_budget = true;
    if (arena->budget)
        budget_give(arena->budget, bytes);
    return false;
}

static void block_free(const struct arena *arena, struct block *block)
{
    UNPOISON(block->data, block->size);
    give_bytes(arena, sizeof(*block) + block->size);
    free(block);
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    while (arena->last) {
        struct block *block = arena->last;
        arena->last = block->before;
        block_free(arena, block);
    }
    bool large = arena->used_most >= TRIM_AT;
    free(arena);
    if (large)
        malloc_trim(0);
}

void arena_drop(struct arena **arena)
{
    arena_free(*arena);
}

static bool block_add(struct arena *arena, size_t size)
{
    size_t block_size = size > arena->next_block ? size : arena->next_block;
    size_t bytes = sizeof(struct block) + block_size;
    if (!take_bytes(arena, bytes))
        return false;
    struct block *block = arena_fault != NULL && arena_fault() ? NULL : malloc(bytes);
    if (block == NULL) {
        give_bytes(arena, bytes);
        return false;
    }
    block->before = arena->last;
    block->size = block_size;
    block->used = 0;
    POISON(block->data, block->size);
    arena->last = block;
    if (arena->next_block < BLOCK_MAX)
        arena->next_block *= 2;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size == 0)
        rounded = ALIGNMENT;
    if (rounded < size || rounded > arena->limit - arena->used) {
        arena->exhausted = true;
        return NULL;
    }
    struct block *block = arena->last;
    if (block == NULL || block->size - block->used < rounded) {
        if (!block_add(arena, rounded)) {
            arena->exhausted = true;
            return NULL;
        }
        block = arena->last;
    }
    char *memory = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    if (arena->used > arena->used_most)
        arena->used_most = arena->used;
    UNPOISON(memory, size);
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        arena->exhausted = true;
        return NULL;
    }
    void *memory = arena_alloc(arena, total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

void *arena_grow(struct arena *arena, void *items, size_t used, size_t *capacity, size_t needed,
                 size_t size)
{
    assert(used <= *capacity);
    if (needed <= *capacity && items)
        return items;
    size_t grown = *capacity < 8 ? 8 : *capacity * 2;
    if (grown < needed)
        grown = needed;
    size_t total;
    if (__builtin_mul_overflow(grown, size, &total)) {
        arena->exhausted = true;
        return NULL;
    }
    void *bigger = arena_alloc(arena, total);
    if (bigger == NULL)
        return NULL;
    if (used > 0)
        memcpy(bigger, items, used * size);
    *capacity = grown;
    return bigger;
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.size + 1);
    if (copy == NULL)
        return (struct slice){NULL, 0};
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return slice_of(copy, s.size);
}

struct slice arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return (struct slice){NULL, 0};
    char *text = arena_alloc(arena, (size_t)size + 1);
    if (text == NULL)
        return (struct slice){NULL, 0};
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return slice_of(text, (size_t)size);
}

bool arena_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}

bool arena_check(const struct arena *arena, const char *what, struct error *err)
{
    if (!arena->exhausted)
        return true;
    if (arena->out_of_budget)
        return error_set(err, ERR_UNAVAILABLE,
                         "%s needs more memory than is left of the budget of %zu bytes, try again",
                         what, ledger_limit());
    return error_set(err, ERR_LIMIT, "%s needs more than %zu bytes of memory, the limit", what,
                     arena->limit);
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

size_t arena_limit(const struct arena *arena)
{
    return arena->limit;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->last, arena->last ? arena->last->used : 0, arena->used};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    while (arena->last != mark.block) {
        struct block *block = arena->last;
        assert(block != NULL);
        arena->last = block->before;
        block_free(arena, block);
    }
    if (arena->last) {
        POISON(arena->last->data + mark.offset, arena->last->size - mark.offset);
        arena->last->used = mark.offset;
    }
    arena->used = mark.used;
    arena->exhausted = arena->out_of_budget = false;
}

void arena_reset(struct arena *arena)
{
    struct block *kept = arena->last; /* the largest as a rule: what comes next fits, too */
    if (kept && kept->size > BLOCK_MAX)
        kept = NULL;
    while (arena->last) {
        struct block *block = arena->last;
        arena->last = block->before;
        if (block != kept)
            block_free(arena, block);
    }
    arena->last = kept;
    if (kept) {
        kept->before = NULL;
        POISON(arena->last->data, arena->last->size);
        arena->last->used = 0;
    }
    arena->used = 0;
    arena->exhausted = arena->out_of_budget = false;
}
