/* memory.c - allocation that ends the process when it fails (see memory.h). */
#include "base/memory.h"

#include <stdint.h>
#include <unistd.h>

static _Noreturn void out_of_memory(size_t size)
{
    char text[96];
    int length = snprintf(text, sizeof(text), "fatal: out of memory allocating %zu bytes\n", size);
    ssize_t written = write(STDERR_FILENO, text, (size_t)length);
    (void)written;
    abort();
}

void *xmalloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory == NULL)
        out_of_memory(count > SIZE_MAX / (size ? size : 1) ? SIZE_MAX : count * size);
    return memory;
}

void *xrealloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

char *xmemdup(const void *data, size_t size)
{
    char *copy = xmalloc(size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *xstrdup(const char *text)
{
    return xmemdup(text, strlen(text));
}

void memory_drop(void *pointer_to_pointer)
{
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    free(memory);
}
