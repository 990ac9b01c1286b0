/*
 * symbols.h - every distinct label name or value of a head, stored once.
 *
 * A symbol is a number, counted by the label pairs that use it; when the last one lets
 * go its text is freed and the number used again.  Until then the text does not move.
 * postings.h says how long readers may keep texts.  Guarded by the head's lock, texts
 * excepted.
 */
#ifndef STORAGE_SYMBOLS_H
#define STORAGE_SYMBOLS_H

#include "base/array.h"
#include "base/slice.h"
#include "base/table.h"

#include <stdint.h>

struct symbol {
    uint32_t refs, size;
    char text[];
};

struct symbols {
    ARRAY(struct symbol *) items; /* by number; NULL: free */
    ARRAY(uint32_t) spare;        /* free numbers */
    struct table table;
    size_t text_bytes;
};

void symbols_init(struct symbols *symbols);
void symbols_done(struct symbols *symbols);

/* The symbol of `text`, new if need be, with one reference more. */
uint32_t symbols_ref(struct symbols *symbols, struct slice text);
void symbols_unref(struct symbols *symbols, uint32_t symbol);

/* The symbol of `text`, or TABLE_NONE. */
uint32_t symbols_find(const struct symbols *symbols, struct slice text);

/* Every symbol is below this number. */
static inline size_t symbols_bound(const struct symbols *symbols)
{
    return symbols->items.count;
}

static inline struct slice symbols_text(const struct symbols *symbols, uint32_t symbol)
{
    const struct symbol *s = symbols->items.items[symbol];
    return slice_of(s->text, s->size);
}

size_t symbols_memory(const struct symbols *symbols);

#endif
