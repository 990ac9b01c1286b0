/* array.c - the growth step behind array.h. */
#include "base/array.h"

#include <stdint.h>

void *array_grow(void *items, size_t *capacity, size_t needed, size_t size)
{
    size_t grown = *capacity < 8 ? 8 : *capacity + *capacity / 2;
    if (grown < needed)
        grown = needed;
    if (grown > SIZE_MAX / size)
        grown = SIZE_MAX / size; /* xrealloc ends the process on such a size */
    *capacity = grown;
    return xrealloc(items, grown * size);
}
