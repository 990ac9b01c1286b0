/* annotations.c - collecting warnings and infos (see annotations.h). */
#include "query/annotations.h"

#include "base/arena.h"
#include "query/query.h"

#include <stdarg.h>
#include <stdio.h>

void annotate(struct annotations *annotations, enum annotation_level level, uint32_t at,
              const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    int line, column;
    query_position(annotations->text, at, &line, &column);
    char whole[1200];
    int size = snprintf(whole, sizeof(whole), "PromQL %s: %s (%d:%d)",
                        level == ANNOTATION_WARNING ? "warning" : "info", text, line, column);
    struct slice message = slice_of(whole, (size_t)size);
    for (size_t i = 0; i < annotations->count[level]; i++) {
        if (slice_equal(annotations->items[level][i], message))
            return;
    }
    if (annotations->count[level] == ANNOTATIONS_MAX)
        return;
    struct slice copy = arena_copy(annotations->arena, message);
    if (copy.data)
        annotations->items[level][annotations->count[level]++] = copy;
}
