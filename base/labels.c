/* labels.c - canonical form, order, hashes and copies of label sets (see labels.h). */
#include "base/labels.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/utf8.h"

enum { SHORT_NAME = 200 }; /* a name in an error message is cut to this many bytes */

/* Labels of one origin share their texts: the same place is the same text. */
static int compare_text(struct slice a, struct slice b)
{
    return a.data == b.data && a.size == b.size ? 0 : slice_compare(a, b);
}

int label_compare(const void *a, const void *b)
{
    const struct label *left = a;
    const struct label *right = b;
    int order = compare_text(left->name, right->name);
    return order != 0 ? order : compare_text(left->value, right->value);
}

/* Label sets are small and mostly sorted already: insertion sort wins. */
static void sort_by_name(struct label *items, size_t count)
{
    if (count > 32) {
        qsort(items, count, sizeof(*items), label_compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct label moving = items[i];
        size_t at = i;
        for (; at > 0 && slice_compare(items[at - 1].name, moving.name) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
}

static bool check_label(const struct label *label, const struct label_limits *limits,
                        struct error *err)
{
    struct slice name = label->name;
    struct slice shown = slice_sub(name, 0, SHORT_NAME);

    if (name.size == 0)
        return error_set(err, ERR_INVALID, "label name is empty");
    if (limits->name_size_max > 0 && name.size > limits->name_size_max)
        return error_set(err, ERR_INVALID, "label name \"%.*s\" has %zu bytes, the limit is %zu",
                         SLICE_ARG(shown), name.size, limits->name_size_max);
    if (!utf8_is_valid(name))
        return error_set(err, ERR_INVALID, "label name is not valid UTF-8");
    if (limits->value_size_max > 0 && label->value.size > limits->value_size_max)
        return error_set(err, ERR_INVALID,
                         "value of label \"%.*s\" has %zu bytes, the limit is %zu",
                         SLICE_ARG(shown), label->value.size, limits->value_size_max);
    if (!utf8_is_valid(label->value))
        return error_set(err, ERR_INVALID, "value of label \"%.*s\" is not valid UTF-8",
                         SLICE_ARG(shown));
    return true;
}

bool labels_canonicalise(struct label *items, size_t *count, const struct label_limits *limits,
                         struct error *err)
{
    if (limits->count_max > 0 && *count > limits->count_max)
        return error_set(err, ERR_INVALID, "a series has %zu labels, the limit is %zu", *count,
                         limits->count_max);
    sort_by_name(items, *count);
    for (size_t i = 0; i < *count; i++) {
        if (!check_label(&items[i], limits, err))
            return false;
        if (i > 0 && slice_equal(items[i].name, items[i - 1].name))
            return error_set(err, ERR_INVALID, "duplicate label name \"%.*s\"",
                             SLICE_ARG(slice_sub(items[i].name, 0, SHORT_NAME)));
    }
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (items[i].value.size > 0)
            items[kept++] = items[i];
    }
    *count = kept;
    return true;
}

static const struct label *find(struct labels labels, struct slice name)
{
    for (size_t i = 0; i < labels.count; i++) {
        if (slice_equal(labels.items[i].name, name))
            return &labels.items[i];
    }
    return NULL;
}

struct slice labels_get(struct labels labels, struct slice name)
{
    const struct label *label = find(labels, name);
    return label ? label->value : (struct slice){NULL, 0};
}

bool labels_has(struct labels labels, struct slice name)
{
    return find(labels, name) != NULL;
}

bool labels_equal(struct labels a, struct labels b)
{
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++) {
        if (!slice_equal(a.items[i].name, b.items[i].name) ||
            !slice_equal(a.items[i].value, b.items[i].value))
            return false;
    }
    return true;
}

int labels_compare(struct labels a, struct labels b)
{
    size_t common = a.count < b.count ? a.count : b.count;
    for (size_t i = 0; i < common; i++) {
        int order = label_compare(&a.items[i], &b.items[i]);
        if (order != 0)
            return order;
    }
    return a.count < b.count ? -1 : a.count > b.count;
}

enum { HASH_BUFFER = 1024 };

/* The bytes that both hashes see, in `small` when they fit, else on the heap. */
static char *hash_input(struct labels labels, char small[HASH_BUFFER], size_t *size)
{
    size_t total = 0;
    for (size_t i = 0; i < labels.count; i++)
        total += labels.items[i].name.size + labels.items[i].value.size + 2;
    char *bytes = total <= HASH_BUFFER ? small : xmalloc(total);
    char *at = bytes;
    for (size_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];
        if (label->name.size > 0)
            at = mempcpy(at, label->name.data, label->name.size);
        *at++ = (char)0xff;
        if (label->value.size > 0)
            at = mempcpy(at, label->value.data, label->value.size);
        *at++ = (char)0xff;
    }
    *size = total;
    return bytes;
}

struct hash128 labels_fingerprint(struct labels labels)
{
    char small[HASH_BUFFER];
    size_t size;
    char *bytes = hash_input(labels, small, &size);
    struct hash128 hash = hash128(bytes, size, 0);
    if (bytes != small)
        free(bytes);
    return hash;
}

uint64_t labels_hash(struct labels labels)
{
    char small[HASH_BUFFER];
    size_t size;
    char *bytes = hash_input(labels, small, &size);
    uint64_t hash = hash64(bytes, size, hash_seed());
    if (bytes != small)
        free(bytes);
    return hash;
}

uint64_t labels_hash_foreign(struct labels labels)
{
    char small[HASH_BUFFER];
    size_t size;
    char *bytes = hash_input(labels, small, &size);
    uint64_t hash = hash64_foreign(bytes, size);
    if (bytes != small)
        free(bytes);
    return hash;
}

static struct labels nothing(void)
{
    return (struct labels){NULL, 0};
}

struct labels labels_copy(struct arena *arena, struct labels labels)
{
    struct label *items = arena_calloc(arena, labels.count, sizeof(*items));
    if (items == NULL)
        return nothing();
    for (size_t i = 0; i < labels.count; i++) {
        items[i].name = arena_copy(arena, labels.items[i].name);
        items[i].value = arena_copy(arena, labels.items[i].value);
    }
    return arena_exhausted(arena) ? nothing() : (struct labels){items, labels.count};
}

static bool is_among(struct slice name, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(name, names[i]))
            return true;
    }
    return false;
}

struct labels labels_select(struct arena *arena, struct labels labels, const struct slice *names,
                            size_t name_count, bool keep)
{
    struct label *items = arena_calloc(arena, labels.count, sizeof(*items));
    if (items == NULL)
        return nothing();
    size_t count = 0;
    for (size_t i = 0; i < labels.count; i++) {
        if (is_among(labels.items[i].name, names, name_count) == keep)
            items[count++] = labels.items[i];
    }
    return (struct labels){items, count};
}

struct labels labels_with(struct arena *arena, struct labels labels, struct slice name,
                          struct slice value)
{
    struct label *items = arena_calloc(arena, labels.count + 1, sizeof(*items));
    if (items == NULL)
        return nothing();
    size_t count = 0;
    bool placed = value.size == 0;
    for (size_t i = 0; i < labels.count; i++) {
        int order = slice_compare(labels.items[i].name, name);
        if (!placed && order >= 0) {
            items[count++] = (struct label){name, value};
            placed = true;
        }
        if (order != 0)
            items[count++] = labels.items[i];
    }
    if (!placed)
        items[count++] = (struct label){name, value};
    return (struct labels){items, count};
}

void labels_append_text(struct buffer *out, struct labels labels)
{
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0)
            buffer_append_text(out, ", ");
        if (label_name_is_classic(labels.items[i].name))
            buffer_append_slice(out, labels.items[i].name);
        else
            buffer_append_quoted(out, labels.items[i].name);
        buffer_append_byte(out, '=');
        buffer_append_quoted(out, labels.items[i].value);
    }
    buffer_append_byte(out, '}');
}

static bool is_name(struct slice name, bool colon)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9' && i > 0;
        if (!letter && !digit && !(colon && c == ':'))
            return false;
    }
    return name.size > 0;
}

bool label_name_is_classic(struct slice name)
{
    return is_name(name, false);
}

bool metric_name_is_classic(struct slice name)
{
    return is_name(name, true);
}
