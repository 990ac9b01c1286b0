/*
 * array.h - a typed array that grows.
 *
 *     ARRAY(int64_t) times = {0};
 *     array_push(&times, now);
 *     for (size_t i = 0; i < times.count; i++) use(times.items[i]);
 *     array_done(&times);
 *
 * It grows with xrealloc: use it for counts that a limit elsewhere bounds.
 * A named type is `struct things ARRAY_BODY(struct thing);`.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include "base/memory.h"

#include <stddef.h>
#include <stdlib.h>

#define ARRAY_BODY(type)                                                                           \
    {                                                                                              \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }
#define ARRAY(type) struct ARRAY_BODY(type)

/* Make room for `n` items in all. */
#define array_reserve(array, n)                                                                    \
    ((n) > (array)->capacity                                                                       \
         ? (void)((array)->items = array_grow((array)->items, &(array)->capacity, (n),             \
                                              sizeof(*(array)->items)))                            \
         : (void)0)

#define array_push(array, item)                                                                    \
    (array_reserve((array), (array)->count + 1), (void)((array)->items[(array)->count++] = (item)))

#define array_done(array)                                                                          \
    (free((array)->items), (array)->items = NULL, (array)->count = (array)->capacity = 0, (void)0)

void *array_grow(void *items, size_t *capacity, size_t needed, size_t size);

#endif
