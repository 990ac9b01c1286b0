/* producers.c - a ring of batch ids per producer (see producers.h). */
#include "storage/producers.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/table.h"

struct stored_id {
    uint64_t epoch, sequence;
};

struct producer {
    char *tenant, *name;
    size_t tenant_size, name_size;
    enum store_kind kind;
    uint64_t used; /* of producers->clock */
    size_t next;   /* where the ring goes on once it is full */
    ARRAY(struct stored_id) ids;
};

struct producers {
    ARRAY(struct producer) items;
    struct table table;
    uint64_t clock;
};

struct producers *producers_new(void)
{
    return xcalloc(1, sizeof(struct producers));
}

static void clear(struct producers *producers)
{
    for (size_t i = 0; i < producers->items.count; i++) {
        free(producers->items.items[i].tenant);
        free(producers->items.items[i].name);
        array_done(&producers->items.items[i].ids);
    }
    array_done(&producers->items);
    table_done(&producers->table);
}

void producers_free(struct producers *producers)
{
    if (producers == NULL)
        return;
    clear(producers);
    free(producers);
}

static bool producer_equal(const void *items, uint32_t index, const void *key)
{
    const struct producer *p = &((const struct producers *)items)->items.items[index];
    const struct batch_id *id = key;
    return p->kind == id->kind && slice_equal(slice_of(p->tenant, p->tenant_size), id->tenant) &&
           slice_equal(slice_of(p->name, p->name_size), id->producer);
}

static uint64_t producer_hash(struct slice tenant, enum store_kind kind, struct slice name)
{
    uint64_t hash = hash64(tenant.data, tenant.size, hash_seed() + kind);
    return hash64(name.size ? name.data : "", name.size, hash);
}

static uint32_t find(const struct producers *producers, const struct batch_id *id)
{
    return table_find(&producers->table, producer_hash(id->tenant, id->kind, id->producer),
                      producer_equal, producers, id);
}

bool producers_knows(const struct producers *producers, const struct batch_id *id)
{
    uint32_t at = find(producers, id);
    if (at == TABLE_NONE)
        return false;
    const struct producer *p = &producers->items.items[at];
    for (size_t i = 0; i < p->ids.count; i++) {
        if (p->ids.items[i].sequence == id->sequence && p->ids.items[i].epoch == id->epoch)
            return true;
    }
    return false;
}

/* A place for one more producer: a new one, or that of the one quiet for longest. */
static uint32_t make_room(struct producers *producers)
{
    if (producers->items.count < PRODUCERS_MAX) {
        array_push(&producers->items, (struct producer){0});
        return (uint32_t)producers->items.count - 1;
    }
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < producers->items.count; i++) {
        if (producers->items.items[i].used < producers->items.items[oldest].used)
            oldest = i;
    }
    struct producer *p = &producers->items.items[oldest];
    uint64_t hash = producer_hash(slice_of(p->tenant, p->tenant_size), p->kind,
                                  slice_of(p->name, p->name_size));
    table_remove(&producers->table, hash, oldest);
    free(p->tenant);
    free(p->name);
    array_done(&p->ids);
    *p = (struct producer){0};
    return oldest;
}

void producers_add(struct producers *producers, const struct batch_id *id)
{
    uint32_t at = find(producers, id);
    if (at == TABLE_NONE) {
        at = make_room(producers);
        struct producer *fresh = &producers->items.items[at];
        fresh->tenant = xmemdup(id->tenant.data, id->tenant.size);
        fresh->tenant_size = id->tenant.size;
        fresh->name = xmemdup(id->producer.data, id->producer.size);
        fresh->name_size = id->producer.size;
        fresh->kind = id->kind;
        table_insert(&producers->table, producer_hash(id->tenant, id->kind, id->producer), at);
    }
    struct producer *p = &producers->items.items[at];
    p->used = ++producers->clock;
    struct stored_id stored = {id->epoch, id->sequence};
    if (p->ids.count < PRODUCER_IDS_MAX) {
        array_push(&p->ids, stored);
    } else {
        p->ids.items[p->next] = stored;
        p->next = (p->next + 1) % PRODUCER_IDS_MAX;
    }
}

/* The producer after `used`, in order of use: so reading them back keeps that order. */
static const struct producer *next_used(const struct producers *producers, uint64_t used)
{
    const struct producer *next = NULL;
    for (size_t i = 0; i < producers->items.count; i++) {
        const struct producer *p = &producers->items.items[i];
        if (p->used > used && (next == NULL || p->used < next->used))
            next = p;
    }
    return next;
}

void producers_write(const struct producers *producers, struct buffer *out)
{
    buffer_put_varint(out, producers->items.count);
    uint64_t used = 0;
    for (const struct producer *p; (p = next_used(producers, used)) != NULL; used = p->used) {
        buffer_put_sized(out, slice_of(p->tenant, p->tenant_size));
        buffer_put8(out, (uint8_t)p->kind);
        buffer_put_sized(out, slice_of(p->name, p->name_size));
        buffer_put_varint(out, p->ids.count);
        for (size_t i = 0; i < p->ids.count; i++) {
            const struct stored_id *id = &p->ids.items[(p->next + i) % p->ids.count];
            buffer_put_varint(out, id->epoch);
            buffer_put_varint(out, id->sequence);
        }
    }
}

bool producers_read(struct producers *producers, struct slice payload)
{
    struct reader in = reader_of(payload);
    clear(producers);
    uint64_t count = read_varint(&in);
    for (uint64_t i = 0; i < count && !in.failed; i++) {
        struct batch_id id;
        id.tenant = read_sized(&in);
        uint8_t kind = read8(&in);
        id.kind = kind == STORE_LOG ? STORE_LOG : STORE_METRIC;
        id.producer = read_sized(&in);
        uint64_t ids = read_varint(&in);
        if (in.failed || kind >= STORE_KINDS || id.tenant.size == 0 ||
            id.tenant.size > TENANT_NAME_MAX || id.producer.size > PRODUCER_NAME_MAX ||
            ids > PRODUCER_IDS_MAX || count > PRODUCERS_MAX)
            return false;
        for (uint64_t k = 0; k < ids && !in.failed; k++) {
            id.epoch = read_varint(&in);
            id.sequence = read_varint(&in);
            producers_add(producers, &id);
        }
    }
    return !in.failed && reader_left(&in) == 0;
}
