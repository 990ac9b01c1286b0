/*
 * log_labels.c - labels of an entry in a pipeline (see log_labels.h).
 *
 * Few labels are searched linearly; from INDEX_FROM on an open-addressing index
 * of names is built, so that a line with thousands of fields stays linear.
 */
#include "query/log_labels.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/memory.h"

enum { INDEX_FROM = 24 };

#define EXTRACTED_SUFFIX SLICE("_extracted")

void log_labels_init(struct log_labels *l)
{
    *l = (struct log_labels){0};
}

void log_labels_done(struct log_labels *l)
{
    free(l->items);
    free(l->slots);
    *l = (struct log_labels){0};
}

static void index_clear(struct log_labels *l)
{
    free(l->slots);
    l->slots = NULL;
    l->slot_count = 0;
}

static void index_put(struct log_labels *l, size_t index)
{
    struct slice name = l->items[index].name;
    size_t mask = l->slot_count - 1;
    size_t at = (size_t)hash64(name.data, name.size, hash_seed()) & mask;
    while (l->slots[at] != 0)
        at = (at + 1) & mask;
    l->slots[at] = (uint32_t)index + 1;
}

static void index_build(struct log_labels *l)
{
    index_clear(l);
    l->slot_count = 64;
    while (l->slot_count < l->count * 4)
        l->slot_count *= 2;
    l->slots = xcalloc(l->slot_count, sizeof(*l->slots));
    for (size_t i = 0; i < l->count; i++)
        index_put(l, i);
}

/* Index of `name` among the items, deleted ones too, or SIZE_MAX. */
static size_t find_item(const struct log_labels *l, struct slice name)
{
    if (l->slots) {
        size_t mask = l->slot_count - 1;
        size_t at = (size_t)hash64(name.data, name.size, hash_seed()) & mask;
        for (; l->slots[at] != 0; at = (at + 1) & mask) {
            if (slice_equal(l->items[l->slots[at] - 1].name, name))
                return l->slots[at] - 1;
        }
        return SIZE_MAX;
    }
    for (size_t i = 0; i < l->count; i++) {
        if (slice_equal(l->items[i].name, name))
            return i;
    }
    return SIZE_MAX;
}

static void add_item(struct log_labels *l, struct log_label item)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->items = xrealloc(l->items, l->capacity * sizeof(*l->items));
    }
    l->items[l->count++] = item;
    if (l->slots && l->count * 2 <= l->slot_count)
        index_put(l, l->count - 1);
    else if (l->count > INDEX_FROM)
        index_build(l);
}

static void restore_stream(struct log_labels *l)
{
    l->count = l->stream.count;
    for (size_t i = 0; l->stream_changed && i < l->count; i++) {
        const struct label *label = &l->stream.items[i];
        l->items[i] = (struct log_label){label->name, label->value, CATEGORY_STREAM, false, false};
    }
    index_clear(l);
    l->error = l->error_details = (struct slice){0};
    l->changed = l->stream_changed = false;
    if (l->count > INDEX_FROM)
        index_build(l);
}

void log_labels_stream(struct log_labels *l, struct labels stream)
{
    if (l->capacity < stream.count) {
        l->capacity = stream.count + 16;
        l->items = xrealloc(l->items, l->capacity * sizeof(*l->items));
    }
    l->stream = stream;
    l->stream_changed = true;
    restore_stream(l);
}

static struct slice with_suffix(struct slice name, struct arena *scratch)
{
    struct slice suffix = EXTRACTED_SUFFIX;
    char *text = arena_alloc(scratch, name.size + suffix.size);
    if (text == NULL)
        return name; /* the caller checks the arena once per line */
    if (name.size > 0)
        memcpy(text, name.data, name.size);
    memcpy(text + name.size, suffix.data, suffix.size);
    return slice_of(text, name.size + suffix.size);
}

void log_labels_entry(struct log_labels *l, struct labels metadata, struct arena *scratch)
{
    if (l->changed)
        restore_stream(l);
    for (size_t i = 0; i < metadata.count; i++) {
        struct slice name = metadata.items[i].name;
        if (slice_equal(name, LABEL_ERROR)) {
            l->error = metadata.items[i].value;
            l->changed = true;
        } else if (slice_equal(name, LABEL_ERROR_DETAILS)) {
            l->error_details = metadata.items[i].value;
            l->changed = true;
        } else {
            if (labels_has(l->stream, name))
                name = with_suffix(name, scratch);
            log_labels_set(l, CATEGORY_METADATA, name, metadata.items[i].value);
        }
    }
}

bool log_labels_has(const struct log_labels *l, struct slice name)
{
    return find_item(l, name) != SIZE_MAX;
}

const struct log_label *log_labels_find(const struct log_labels *l, struct slice name)
{
    size_t at = find_item(l, name);
    return at == SIZE_MAX || l->items[at].deleted ? NULL : &l->items[at];
}

struct slice log_labels_value(const struct log_labels *l, struct slice name)
{
    if (slice_equal(name, LABEL_ERROR))
        return l->error;
    if (slice_equal(name, LABEL_ERROR_DETAILS))
        return l->error_details;
    const struct log_label *label = log_labels_find(l, name);
    return label ? label->value : (struct slice){NULL, 0};
}

struct slice log_labels_parsed_name(const struct log_labels *l, struct slice name,
                                    struct arena *scratch)
{
    size_t at = find_item(l, name);
    if (at == SIZE_MAX)
        return name;
    bool in_stream = at < l->stream.count; /* even when a stage deleted it */
    bool in_metadata = l->items[at].category == CATEGORY_METADATA && !l->items[at].deleted;
    return in_stream || in_metadata ? with_suffix(name, scratch) : name;
}

bool log_labels_is_extracted(const struct log_labels *l, struct slice name)
{
    size_t at = find_item(l, name);
    return at != SIZE_MAX && l->items[at].extracted;
}

static struct log_label *set_item(struct log_labels *l, enum label_category category,
                                  struct slice name, struct slice value)
{
    size_t at = find_item(l, name);
    l->changed = true;
    if (at == SIZE_MAX) {
        add_item(l, (struct log_label){name, value, category, false, false});
        return &l->items[l->count - 1];
    }
    struct log_label *item = &l->items[at];
    if (!item->deleted && item->category > category)
        return item; /* the stronger category stays */
    item->value = value;
    item->category = category;
    item->deleted = false;
    l->stream_changed |= at < l->stream.count;
    return item;
}

void log_labels_set(struct log_labels *l, enum label_category category, struct slice name,
                    struct slice value)
{
    set_item(l, category, name, value);
}

void log_labels_extract(struct log_labels *l, struct slice name, struct slice value)
{
    struct log_label *item = set_item(l, CATEGORY_PARSED, name, value);
    item->extracted = true;
    l->stream_changed |= item < l->items + l->stream.count;
}

void log_labels_delete(struct log_labels *l, struct slice name)
{
    size_t at = find_item(l, name);
    if (at != SIZE_MAX) {
        l->items[at].deleted = true;
        l->changed = true;
        l->stream_changed |= at < l->stream.count;
    }
}

void log_labels_fail(struct log_labels *l, const char *error, struct slice details)
{
    if (l->error.size > 0)
        return;
    l->error = slice_from_text(error);
    l->error_details = details;
    l->changed = true;
}

static size_t put_label(struct label *items, size_t count, struct slice name, struct slice value)
{
    items[count] = (struct label){name, value};
    return count + 1;
}

static void sort_labels(struct label *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (slice_compare(items[i - 1].name, items[i].name) <= 0)
            continue;
        if (count > 64) {
            qsort(items, count, sizeof(*items), label_compare);
            return;
        }
        struct label moving = items[i];
        size_t at = i;
        for (; at > 0 && slice_compare(items[at - 1].name, moving.name) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
}

/* `mask` has bit 1 << category for each category that is wanted. */
static struct labels collect(const struct log_labels *l, unsigned mask, struct arena *arena)
{
    struct label *items = arena_alloc(arena, (l->count + 2) * sizeof(*items));
    if (items == NULL)
        return (struct labels){NULL, 0};
    size_t count = 0;
    bool parsed = mask & (1u << CATEGORY_PARSED);
    for (size_t i = 0; i < l->count; i++) {
        const struct log_label *item = &l->items[i];
        if (item->deleted || !(mask & (1u << item->category)))
            continue;
        if (l->error.size > 0 && slice_equal(item->name, LABEL_ERROR))
            continue;
        if (l->error_details.size > 0 && slice_equal(item->name, LABEL_ERROR_DETAILS))
            continue;
        count = put_label(items, count, item->name, item->value);
    }
    if (parsed && l->error.size > 0)
        count = put_label(items, count, LABEL_ERROR, l->error);
    if (parsed && l->error_details.size > 0)
        count = put_label(items, count, LABEL_ERROR_DETAILS, l->error_details);
    sort_labels(items, count);
    return (struct labels){items, count};
}

struct labels log_labels_all(const struct log_labels *l, struct arena *arena)
{
    if (!l->changed)
        return l->stream;
    return collect(l, 7, arena);
}

struct labels log_labels_of(const struct log_labels *l, enum label_category category,
                            struct arena *arena)
{
    if (!l->changed)
        return category == CATEGORY_STREAM ? l->stream : (struct labels){NULL, 0};
    return collect(l, 1u << category, arena);
}
