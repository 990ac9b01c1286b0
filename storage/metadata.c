/* metadata.c - per tenant a sorted array of families (see metadata.h). */
#include "storage/metadata.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"

#include <pthread.h>

struct tenant_metadata {
    char *name;
    size_t name_size;
    ARRAY(struct metric_metadata) items; /* by family; each owns one block, at family.data */
};

struct metadata {
    pthread_mutex_t lock;
    ARRAY(struct tenant_metadata) tenants;
    size_t bytes;
};

struct metadata *metadata_new(void)
{
    struct metadata *metadata = xcalloc(1, sizeof(*metadata));
    pthread_mutex_init(&metadata->lock, NULL);
    return metadata;
}

static void item_free(struct metric_metadata *item)
{
    char *block = (char *)(uintptr_t)item->family.data;
    free(block);
}

void metadata_free(struct metadata *metadata)
{
    if (metadata == NULL)
        return;
    for (size_t i = 0; i < metadata->tenants.count; i++) {
        struct tenant_metadata *tenant = &metadata->tenants.items[i];
        for (size_t k = 0; k < tenant->items.count; k++)
            item_free(&tenant->items.items[k]);
        array_done(&tenant->items);
        free(tenant->name);
    }
    array_done(&metadata->tenants);
    pthread_mutex_destroy(&metadata->lock);
    free(metadata);
}

static struct tenant_metadata *find_tenant(struct metadata *metadata, struct slice name)
{
    for (size_t i = 0; i < metadata->tenants.count; i++) {
        struct tenant_metadata *tenant = &metadata->tenants.items[i];
        if (slice_equal(slice_of(tenant->name, tenant->name_size), name))
            return tenant;
    }
    return NULL;
}

/* Where `family` is or belongs. */
static size_t position(const struct tenant_metadata *tenant, struct slice family, bool *found)
{
    size_t low = 0;
    size_t high = tenant->items.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(tenant->items.items[middle].family, family);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static bool items_equal(const struct metric_metadata *a, const struct metric_metadata *b)
{
    return slice_equal(a->type, b->type) && slice_equal(a->help, b->help) &&
           slice_equal(a->unit, b->unit);
}

bool metadata_knows(struct metadata *metadata, struct slice tenant_name,
                    const struct metric_metadata *item)
{
    bool found = false;
    pthread_mutex_lock(&metadata->lock);
    const struct tenant_metadata *tenant = find_tenant(metadata, tenant_name);
    if (tenant) {
        size_t at = position(tenant, item->family, &found);
        found = found && items_equal(&tenant->items.items[at], item);
    }
    pthread_mutex_unlock(&metadata->lock);
    return found;
}

static size_t item_size(const struct metric_metadata *item)
{
    return item->family.size + item->type.size + item->help.size + item->unit.size;
}

static struct slice copy_part(char **at, struct slice part)
{
    struct slice copy = {*at, part.size};
    if (part.size > 0)
        *at = mempcpy(*at, part.data, part.size);
    return copy;
}

static struct metric_metadata item_copy(const struct metric_metadata *item)
{
    char *at = xmalloc(item_size(item));
    struct metric_metadata copy;
    copy.family = copy_part(&at, item->family);
    copy.type = copy_part(&at, item->type);
    copy.help = copy_part(&at, item->help);
    copy.unit = copy_part(&at, item->unit);
    return copy;
}

static void put(struct metadata *metadata, struct tenant_metadata *tenant,
                const struct metric_metadata *item)
{
    bool found;
    size_t at = position(tenant, item->family, &found);
    if (found) {
        metadata->bytes -= item_size(&tenant->items.items[at]);
        item_free(&tenant->items.items[at]);
    } else {
        if (tenant->items.count >= METADATA_FAMILIES_MAX)
            return;
        array_push(&tenant->items, *item); /* makes room; its content is set below */
        struct metric_metadata *items = tenant->items.items;
        memmove(&items[at + 1], &items[at], (tenant->items.count - 1 - at) * sizeof(*items));
    }
    tenant->items.items[at] = item_copy(item);
    metadata->bytes += item_size(item);
}

void metadata_write_item(struct buffer *out, const struct metric_metadata *item)
{
    buffer_put_sized(out, item->family);
    buffer_put_sized(out, item->type);
    buffer_put_sized(out, item->help);
    buffer_put_sized(out, item->unit);
}

bool metadata_apply(struct metadata *metadata, struct slice tenant_name, struct slice list)
{
    struct reader in = reader_of(list);
    uint64_t count = read_varint(&in);
    pthread_mutex_lock(&metadata->lock);
    struct tenant_metadata *tenant = find_tenant(metadata, tenant_name);
    if (tenant == NULL) {
        struct tenant_metadata fresh = {.name = xmemdup(tenant_name.data, tenant_name.size),
                                        .name_size = tenant_name.size};
        array_push(&metadata->tenants, fresh);
        tenant = &metadata->tenants.items[metadata->tenants.count - 1];
    }
    for (uint64_t i = 0; i < count && !in.failed; i++) {
        struct metric_metadata item;
        item.family = read_sized(&in);
        item.type = read_sized(&in);
        item.help = read_sized(&in);
        item.unit = read_sized(&in);
        if (!in.failed)
            put(metadata, tenant, &item);
    }
    pthread_mutex_unlock(&metadata->lock);
    return !in.failed && reader_left(&in) == 0;
}

bool metadata_write(struct metadata *metadata, size_t index, struct buffer *out)
{
    pthread_mutex_lock(&metadata->lock);
    bool found = index < metadata->tenants.count;
    if (found) {
        const struct tenant_metadata *tenant = &metadata->tenants.items[index];
        buffer_put_sized(out, slice_of(tenant->name, tenant->name_size));
        buffer_put_varint(out, tenant->items.count);
        for (size_t i = 0; i < tenant->items.count; i++)
            metadata_write_item(out, &tenant->items.items[i]);
    }
    pthread_mutex_unlock(&metadata->lock);
    return found;
}

bool metadata_list(struct metadata *metadata, struct slice tenant_name, struct slice family,
                   struct arena *arena, struct metric_metadata **items, size_t *count,
                   struct error *err)
{
    size_t first = 0;
    size_t end = 0;
    struct metric_metadata *list = NULL;
    pthread_mutex_lock(&metadata->lock);
    const struct tenant_metadata *tenant = find_tenant(metadata, tenant_name);
    if (tenant && family.size > 0) {
        bool found;
        first = position(tenant, family, &found);
        end = first + (found ? 1 : 0);
    } else if (tenant) {
        end = tenant->items.count;
    }
    list = arena_calloc(arena, end - first, sizeof(*list));
    for (size_t i = first; list && i < end; i++) {
        const struct metric_metadata *item = &tenant->items.items[i];
        list[i - first] =
            (struct metric_metadata){arena_copy(arena, item->family), arena_copy(arena, item->type),
                                     arena_copy(arena, item->help), arena_copy(arena, item->unit)};
    }
    pthread_mutex_unlock(&metadata->lock);
    if (!arena_check(arena, "metric metadata", err))
        return false;
    *items = list;
    *count = end - first;
    return true;
}

size_t metadata_memory(struct metadata *metadata)
{
    pthread_mutex_lock(&metadata->lock);
    size_t bytes = metadata->bytes;
    pthread_mutex_unlock(&metadata->lock);
    return bytes;
}
