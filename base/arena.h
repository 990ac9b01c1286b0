/*
 * arena.h - memory that dies together, with a limit.
 *
 * One arena per query, request or batch; it is passed explicitly and used by
 * one thread at a time.  Allocations are aligned to 16 bytes and never freed
 * one by one.  When the limit is reached arena_alloc returns NULL and the
 * arena stays "exhausted" until it is reset, so a caller may check once at
 * the end.  Under AddressSanitizer freed and rewound memory is poisoned.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct error;
struct arena; /* opaque: fields in arena.c */

/* `limit` bounds the bytes handed out; the caller owns the arena. */
struct arena *arena_new(size_t limit);

/*
 * The same for a query or a request: its blocks come out of the process' budget of memory
 * (base/ledger.h) and are refused when that is used up.  arena_check says ERR_UNAVAILABLE then.
 */
struct arena *arena_new_in_budget(size_t limit);
/*
 * The same for one of several arenas of a query, perhaps on several threads, that share
 * `budget` as well: each block is taken from it.  It must outlive the arena; NULL: none.
 */
struct budget;
struct arena *arena_new_shared(size_t limit, struct budget *budget);

/* For what is kept for the next time: refused as a query's, counted as a cache's. */
struct arena *arena_new_cache(size_t limit);
void arena_free(struct arena *arena); /* NULL is fine */
void arena_drop(struct arena **arena);

/* NULL when the limit would be exceeded.  arena_calloc also checks count * size. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/*
 * `count` more items of `size` bytes for an array that had `*capacity` of them:
 * grows geometrically by copying.  NULL over the limit, `items` stays valid.
 */
void *arena_grow(struct arena *arena, void *items, size_t used, size_t *capacity, size_t needed,
                 size_t size);

/* A copy with the arena's life.  Over the limit: the empty slice with data NULL. */
struct slice arena_copy(struct arena *arena, struct slice s);
struct slice arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

bool arena_exhausted(const struct arena *arena);

/* False when the arena is exhausted: fills `err` with ERR_LIMIT (its own) or ERR_UNAVAILABLE. */
bool arena_check(const struct arena *arena, const char *what, struct error *err) MUST_CHECK;

/* Bytes handed out now, and the limit. */
size_t arena_used(const struct arena *arena);
size_t arena_limit(const struct arena *arena);

/* Forget everything after `mark`; marks nest like a stack. */
struct arena_mark {
    void *block;
    size_t offset;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

/* Forget everything; keeps one block for reuse. */
void arena_reset(struct arena *arena);

/* A test's hook: true makes the allocation of a block fail. */
extern bool (*arena_fault)(void);

#endif
