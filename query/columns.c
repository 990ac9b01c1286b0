/*
 * columns.c - making, copying and uniting columns (see eval.h).
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/memory.h"
#include "query/eval_internal.h"

#include <string.h>

bool column_init(struct column *column, struct labels labels, size_t steps, struct arena *arena)
{
    uint8_t *cells = arena_calloc(arena, steps, 1);
    double *values = arena_alloc(arena, steps * sizeof(*values));
    if (cells == NULL || values == NULL)
        return false;
    *column = (struct column){.labels = labels, .cells = cells, .values = values};
    return true;
}

bool column_add_histograms(struct column *column, size_t steps, struct arena *arena)
{
    if (column->histograms == NULL)
        column->histograms = arena_calloc(arena, steps, sizeof(*column->histograms));
    return column->histograms != NULL;
}

void column_drop_histograms(struct column *column, size_t steps)
{
    for (size_t i = 0; column->histograms && i < steps; i++) {
        if (column->cells[i] == CELL_HISTOGRAM)
            column->cells[i] = CELL_NONE;
    }
    column->histograms = NULL;
}

/* What stands at several steps is copied once. */
static void copy_histograms(struct column *out, const struct column *column, size_t steps,
                            struct arena *arena)
{
    const struct histogram *from = NULL, *copy = NULL;
    for (size_t i = 0; i < steps; i++) {
        if (out->cells[i] != CELL_HISTOGRAM)
            continue;
        if (column->histograms[i] != from)
            copy = histogram_copy(arena, column->histograms[i]);
        from = column->histograms[i];
        out->histograms[i] = copy;
    }
}

bool column_copy(struct column *out, const struct column *column, size_t steps, struct arena *arena)
{
    struct labels labels = labels_copy(arena, column->labels);
    if (arena_exhausted(arena) || !column_init(out, labels, steps, arena))
        return false;
    out->drop_name = column->drop_name;
    memcpy(out->cells, column->cells, steps);
    memcpy(out->values, column->values, steps * sizeof(*out->values));
    if (column->histograms) {
        if (!column_add_histograms(out, steps, arena))
            return false;
        copy_histograms(out, column, steps, arena);
    }
    return !arena_exhausted(arena);
}

bool columns_push(struct columns *columns, struct column column, struct arena *arena)
{
    struct column *items = arena_grow(arena, columns->items, columns->count, &columns->capacity,
                                      columns->count + 1, sizeof(*items));
    if (items == NULL)
        return false;
    columns->items = items;
    items[columns->count++] = column;
    return true;
}

bool column_is_empty(const struct column *column, size_t steps)
{
    return steps == 0 || (column->cells[0] == CELL_NONE &&
                          memcmp(column->cells, column->cells + 1, steps - 1) == 0);
}

void columns_release(struct evaluation *ev, struct columns *columns)
{
    ev->samples_held -= (uint64_t)columns->held;
    columns->held = 0;
}

bool columns_emit(struct evaluation *ev, struct columns *columns, struct sink *sink,
                  struct error *err)
{
    struct arena *scratch = eval_arena(ev);
    bool ok = true;
    for (size_t at = 0; ok && at < columns->count; at += BATCH_SERIES) {
        size_t left = columns->count - at;
        struct column_batch batch = {.items = columns->items + at,
                                     .count = left < BATCH_SERIES ? left : BATCH_SERIES,
                                     .arena = scratch};
        ok = sink->take(sink, &batch, err);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return ok;
}

static bool is_metadata(struct slice name)
{
    return slice_equal(name, SLICE("__name__")) || slice_equal(name, SLICE("__type__")) ||
           slice_equal(name, SLICE("__unit__"));
}

struct labels labels_drop_metadata(struct arena *arena, struct labels labels)
{
    size_t drop = 0;
    for (size_t i = 0; i < labels.count; i++)
        drop += is_metadata(labels.items[i].name);
    if (drop == 0)
        return labels;
    struct label *items = arena_calloc(arena, labels.count - drop, sizeof(*items));
    if (items == NULL)
        return (struct labels){NULL, 0};
    size_t used = 0;
    for (size_t i = 0; i < labels.count; i++) {
        if (!is_metadata(labels.items[i].name))
            items[used++] = labels.items[i];
    }
    return (struct labels){items, used};
}

bool column_drop_name(const struct evaluation *ev, struct column *column, struct arena *arena)
{
    column->drop_name = true;
    if ((ev->request->features & QUERY_DELAYED_NAME_REMOVAL) == 0)
        column->labels = labels_drop_metadata(arena, column->labels);
    return !arena_exhausted(arena);
}

/* Put `from`'s cells into `to`, where `to` has none; false where both have one. */
static bool merge_cells(struct column *to, const struct column *from, size_t steps,
                        struct arena *arena, bool *clash)
{
    if (from->histograms && !column_add_histograms(to, steps, arena))
        return false;
    for (size_t i = 0; i < steps; i++) {
        if (from->cells[i] == CELL_NONE)
            continue;
        if (to->cells[i] != CELL_NONE) {
            *clash = true;
            return false;
        }
        to->cells[i] = from->cells[i];
        to->values[i] = from->values[i];
        if (from->histograms)
            to->histograms[i] = from->histograms[i];
    }
    return true;
}

bool columns_unite(struct evaluation *ev, struct columns *columns, size_t steps,
                   struct arena *arena, struct error *err)
{
    (void)ev;
    if (columns->count < 2)
        return true;
    struct label_index *index = label_index_new(arena);
    size_t kept = 0;
    bool ok = true, clash = false;
    for (size_t i = 0; ok && i < columns->count; i++) {
        bool added;
        uint32_t at = label_index_put(index, columns->items[i].labels, &added);
        if (at == UINT32_MAX)
            ok = false;
        else if (added)
            columns->items[kept++] = columns->items[i];
        else
            ok = merge_cells(&columns->items[at], &columns->items[i], steps, arena, &clash);
    }
    label_index_free(index);
    if (clash)
        return error_set(err, ERR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    if (!ok)
        return arena_check(arena, "the query", err);
    columns->count = kept;
    return true;
}

/* Bottom-up merge sort: stable, unlike qsort. */
void columns_sort(struct columns *columns,
                  int (*compare)(const void *a, const void *b, void *context), void *context)
{
    struct column *from = columns->items;
    struct column *spare = xcalloc(columns->count + 1, sizeof(*spare));
    struct column *to = spare;
    for (size_t width = 1; width < columns->count; width *= 2) {
        for (size_t start = 0; start < columns->count; start += 2 * width) {
            size_t middle = start + width < columns->count ? start + width : columns->count;
            size_t end = middle + width < columns->count ? middle + width : columns->count;
            size_t i = start, j = middle;
            for (size_t k = start; k < end; k++) {
                bool left = i < middle && (j >= end || compare(&from[i], &from[j], context) <= 0);
                to[k] = left ? from[i++] : from[j++];
            }
        }
        struct column *swap = from;
        from = to;
        to = swap;
    }
    if (from != columns->items)
        memcpy(columns->items, from, columns->count * sizeof(*from));
    free(spare);
}

const char *labels_text(struct arena *arena, struct labels labels)
{
    struct buffer text;
    buffer_init(&text, 4096);
    labels_append_text(&text, labels);
    const char *copy = text.failed ? "{...}" : arena_copy(arena, buffer_slice(&text)).data;
    buffer_done(&text);
    return copy ? copy : "{...}";
}
