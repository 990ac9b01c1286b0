/* annotations.c - collecting warnings and infos (see annotations.h). */
#include "query/annotations.h"

#include "base/arena.h"
#include "query/query.h"

#include <stdarg.h>
#include <stdio.h>

static void add(struct annotations *annotations, enum annotation_level level, uint32_t at,
                bool counted, const char *format, va_list arguments) PRINTF_LIKE(5, 0);

/* `occurrences` is 0 for one that is not counted. */
static void add_message(struct annotations *annotations, enum annotation_level level,
                        struct slice message, uint32_t occurrences)
{
    for (size_t i = 0; i < annotations->count[level]; i++) {
        if (slice_equal(annotations->items[level][i], message)) {
            annotations->occurrences[level][i] += occurrences;
            return;
        }
    }
    if (annotations->count[level] == ANNOTATIONS_MAX)
        return;
    struct slice copy = arena_copy(annotations->arena, message);
    if (copy.data) {
        annotations->occurrences[level][annotations->count[level]] = occurrences;
        annotations->items[level][annotations->count[level]++] = copy;
    }
}

void annotations_merge(struct annotations *to, const struct annotations *from)
{
    for (int level = 0; level < ANNOTATION_LEVELS; level++) {
        for (size_t i = 0; i < from->count[level]; i++)
            add_message(to, (enum annotation_level)level, from->items[level][i],
                        from->occurrences[level][i]);
    }
}

static void add(struct annotations *annotations, enum annotation_level level, uint32_t at,
                bool counted, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof(text), format, arguments);

    int line, column;
    query_position(annotations->text, at, &line, &column);
    char whole[1200];
    int size = snprintf(whole, sizeof(whole), "PromQL %s: %s (%d:%d)",
                        level == ANNOTATION_WARNING ? "warning" : "info", text, line, column);
    add_message(annotations, level, slice_of(whole, (size_t)size), counted);
}

void annotate(struct annotations *annotations, enum annotation_level level, uint32_t at,
              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(annotations, level, at, false, format, arguments);
    va_end(arguments);
}

void annotate_counted(struct annotations *annotations, enum annotation_level level, uint32_t at,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(annotations, level, at, true, format, arguments);
    va_end(arguments);
}

struct slice annotation_text(const struct annotations *annotations, enum annotation_level level,
                             size_t which)
{
    struct slice text = annotations->items[level][which];
    uint32_t occurrences = annotations->occurrences[level][which];
    size_t place = text.size;
    if (occurrences < 2)
        return text;
    while (place > 0 && text.data[place - 1] != '(') /* the position goes last */
        place--;
    return arena_printf(annotations->arena, "%.*s(%u occurrences) %.*s", (int)(place - 1),
                        text.data, (unsigned)occurrences, (int)(text.size - place + 1),
                        text.data + place - 1);
}
