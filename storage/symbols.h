/*
 * symbols.h - every distinct label name or value of a head, stored once.
 *
 * A symbol is a number; its text never moves and lives as long as the table, so
 * cursors may keep slices of it.  Guarded by the head's lock, texts excepted.
 */
#ifndef STORAGE_SYMBOLS_H
#define STORAGE_SYMBOLS_H

#include "base/array.h"
#include "base/slice.h"
#include "base/table.h"

#include <stdint.h>

struct symbols {
    ARRAY(struct slice) texts;
    struct table table;
    struct arena *arena;
};

void symbols_init(struct symbols *symbols);
void symbols_done(struct symbols *symbols);

/* The symbol of `text`, new if need be. */
uint32_t symbols_intern(struct symbols *symbols, struct slice text);

/* The symbol of `text`, or TABLE_NONE. */
uint32_t symbols_find(const struct symbols *symbols, struct slice text);

static inline struct slice symbols_text(const struct symbols *symbols, uint32_t symbol)
{
    return symbols->texts.items[symbol];
}

size_t symbols_memory(const struct symbols *symbols);

#endif
