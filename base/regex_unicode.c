/*
 * regex_unicode.c - looking things up in the Unicode tables.
 *
 * Properties are found by name in a short sorted list and unpacked range by
 * range; case folding is a binary search over runs.  Nothing here allocates.
 */
#include "base/regex_unicode.h"

#include "base/bytes.h"

static void table_visit(const struct unicode_table *table, unicode_range_visit *visit,
                        void *context)
{
    const uint8_t *at = unicode_table_bytes + table->start;
    uint32_t end = 0;
    for (uint16_t i = 0; i < table->count; i++) {
        uint64_t gap = 0, more = 0;
        at += varint_get(at, VARINT_SIZE_MAX, &gap);
        at += varint_get(at, VARINT_SIZE_MAX, &more);
        uint32_t lo = end + (uint32_t)gap;
        end = lo + (uint32_t)more + 1;
        visit(context, lo, end - 1);
    }
}

bool unicode_property(struct slice name, unicode_range_visit *visit, void *context)
{
    if (slice_equal(name, SLICE("Any"))) {
        visit(context, 0, RUNE_MAX);
        return true;
    }
    bool found = false;
    for (size_t i = 0; i < unicode_table_count; i++) {
        struct slice own = slice_from_text(unicode_tables[i].name);
        bool group = name.size == 1 && own.size == 2 && own.data[0] == name.data[0];
        if (group || slice_equal(own, name)) {
            table_visit(&unicode_tables[i], visit, context);
            found = true;
        }
    }
    return found;
}

size_t unicode_fold_find(uint32_t rune)
{
    size_t low = 0, high = unicode_fold_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (unicode_folds[middle].hi < rune)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t unicode_fold_next(uint32_t rune)
{
    size_t i = unicode_fold_find(rune);
    if (i == unicode_fold_count || rune < unicode_folds[i].lo)
        return rune;
    if (unicode_folds[i].delta == 0)
        return unicode_folds[i].lo + ((rune - unicode_folds[i].lo) ^ 1);
    return (uint32_t)((int32_t)rune + unicode_folds[i].delta);
}
