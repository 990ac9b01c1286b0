/*
 * memory.h - small allocations that do not fail.
 *
 * xmalloc and its kin are for things of a small size that we chose ourselves:
 * when even those fail the process ends with a message, and the WAL brings the
 * data back.  Memory whose size comes from outside lives in an arena
 * (base/arena.h) or a buffer (base/buffer.h), which have limits.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/compiler.h"

#include <stddef.h>

void *xmalloc(size_t size) __attribute__((returns_nonnull, malloc));
void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));

/* A heap copy of `size` bytes at `data` with a NUL behind them. */
char *xmemdup(const void *data, size_t size) __attribute__((returns_nonnull, malloc));
char *xstrdup(const char *text) __attribute__((returns_nonnull, malloc));

/* For AUTO: frees what a pointer variable holds. */
void memory_drop(void *pointer_to_pointer);

#endif
