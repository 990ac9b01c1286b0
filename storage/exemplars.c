/*
 * exemplars.c - per tenant a ring, and the series that stand in it (see exemplars.h).
 *
 * Label sets are kept as they stand in the record: one block of bytes per series, shared
 * by its exemplars, and one per exemplar.
 */
#include "storage/exemplars.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/ledger.h"
#include "base/matcher.h"
#include "base/table.h"

#include <pthread.h>
#include <stdlib.h>

struct ring_series {
    char *labels; /* NULL: a free place */
    uint32_t size;
    uint32_t items;  /* in the ring */
    uint32_t newest; /* its place in the ring */
};

struct ring_item {
    char *labels;
    uint32_t size;
    uint32_t series;
    int64_t time_ms;
    uint64_t bits;
};

struct ring {
    char *tenant;
    size_t tenant_size;
    ARRAY(struct ring_item) items; /* a ring once it is full: `first` is the oldest */
    size_t first;
    size_t capacity; /* less than what was asked for when memory is short */
    ARRAY(struct ring_series) series;
    ARRAY(uint32_t) spare; /* free places of series */
    struct table table;
};

struct exemplars {
    size_t per_tenant;
    pthread_mutex_t lock; /* guards all below */
    ARRAY(struct ring) rings;
    size_t bytes, count;
    size_t counted; /* in the ledger of memory */
};

struct exemplars *exemplars_new(size_t per_tenant)
{
    struct exemplars *e = xcalloc(1, sizeof(*e));
    e->per_tenant = per_tenant;
    pthread_mutex_init(&e->lock, NULL);
    return e;
}

void exemplars_free(struct exemplars *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->rings.count; i++) {
        struct ring *ring = &e->rings.items[i];
        for (size_t k = 0; k < ring->items.count; k++)
            free(ring->items.items[k].labels);
        for (size_t k = 0; k < ring->series.count; k++)
            free(ring->series.items[k].labels);
        array_done(&ring->items);
        array_done(&ring->series);
        array_done(&ring->spare);
        table_done(&ring->table);
        free(ring->tenant);
    }
    array_done(&e->rings);
    ledger_update(LEDGER_TABLES, &e->counted, 0);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- forms ------------------------------------------------------------------ */

static void write_labels(struct buffer *out, struct labels labels)
{
    buffer_put_varint(out, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        buffer_put_sized(out, labels.items[i].name);
        buffer_put_sized(out, labels.items[i].value);
    }
}

void exemplar_write(struct buffer *out, struct labels series, const struct exemplar *exemplar)
{
    write_labels(out, series);
    write_labels(out, exemplar->labels);
    buffer_put_zigzag(out, exemplar->time_ns / NS_PER_MS);
    buffer_put64(out, double_bits(exemplar->value));
}

/* The bytes of a label set; the reader moves behind them. */
static struct slice skip_labels(struct reader *in)
{
    const char *start = (const char *)in->at;
    uint64_t count = read_varint(in);
    for (uint64_t i = 0; i < count && !in->failed; i++) {
        read_sized(in);
        read_sized(in);
    }
    return slice_of(start, in->failed ? 0 : (size_t)((const char *)in->at - start));
}

struct read_item {
    struct slice series, labels;
    int64_t time_ms;
    uint64_t bits;
};

static bool read_item(struct reader *in, struct read_item *item)
{
    item->series = skip_labels(in);
    item->labels = skip_labels(in);
    item->time_ms = read_zigzag(in);
    item->bits = read64(in);
    return !in->failed && item->series.size <= UINT32_MAX && item->labels.size <= UINT32_MAX &&
           item->time_ms <= INT64_MAX / NS_PER_MS && item->time_ms >= INT64_MIN / NS_PER_MS;
}

/* Label sets that were written by us; NULL items over the arena's limit. */
static struct labels decode_labels(struct slice bytes, struct arena *arena)
{
    struct reader in = reader_of(bytes);
    size_t count = read_varint(&in);
    struct label *items = arena_calloc(arena, count, sizeof(*items));
    for (size_t i = 0; items && i < count; i++) {
        items[i].name = arena_copy(arena, read_sized(&in));
        items[i].value = arena_copy(arena, read_sized(&in));
    }
    return (struct labels){items, items ? count : 0};
}

bool exemplars_check(struct slice payload)
{
    struct reader in = reader_of(payload);
    struct read_item item;
    struct slice tenant = read_sized(&in);
    uint64_t count = read_varint(&in);
    if (in.failed || tenant.size == 0 || tenant.size > TENANT_NAME_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!read_item(&in, &item))
            return false;
    }
    return reader_left(&in) == 0;
}

/* ---- the ring ---------------------------------------------------------------- */

static struct ring *find_ring(struct exemplars *e, struct slice tenant)
{
    for (size_t i = 0; i < e->rings.count; i++) {
        struct ring *ring = &e->rings.items[i];
        if (slice_equal(slice_of(ring->tenant, ring->tenant_size), tenant))
            return ring;
    }
    return NULL;
}

static bool series_equal(const void *items, uint32_t index, const void *key)
{
    const struct ring_series *series = &((const struct ring *)items)->series.items[index];
    return slice_equal(slice_of(series->labels, series->size), *(const struct slice *)key);
}

static uint64_t labels_key(struct slice bytes)
{
    return hash64(bytes.data, bytes.size, hash_seed());
}

static size_t series_bytes(const struct ring_series *series)
{
    return sizeof(*series) + series->size;
}

static size_t item_bytes(const struct ring_item *item)
{
    return sizeof(*item) + item->size;
}

static uint32_t series_of(struct exemplars *e, struct ring *ring, struct slice labels)
{
    uint32_t at = table_find(&ring->table, labels_key(labels), series_equal, ring, &labels);
    if (at != TABLE_NONE)
        return at;
    struct ring_series fresh = {.labels = xmemdup(labels.data, labels.size),
                                .size = (uint32_t)labels.size};
    if (ring->spare.count > 0) {
        at = ring->spare.items[--ring->spare.count];
        ring->series.items[at] = fresh;
    } else {
        at = (uint32_t)ring->series.count;
        array_push(&ring->series, fresh);
    }
    table_insert(&ring->table, labels_key(labels), at);
    e->bytes += series_bytes(&fresh);
    return at;
}

/* Nothing of the series stands in the ring any more. */
static void series_remove(struct exemplars *e, struct ring *ring, uint32_t at)
{
    struct ring_series *series = &ring->series.items[at];
    table_remove(&ring->table, labels_key(slice_of(series->labels, series->size)), at);
    e->bytes -= series_bytes(series);
    free(series->labels);
    series->labels = NULL;
    array_push(&ring->spare, at);
}

/* Let go of what an item holds; its place is the caller's. */
static void item_clear(struct exemplars *e, struct ring *ring, struct ring_item *item)
{
    e->bytes -= item_bytes(item);
    e->count--;
    free(item->labels);
    if (--ring->series.items[item->series].items == 0)
        series_remove(e, ring, item->series);
}

/* Less than 0: older than `newest`; 0: equal to it. */
static int compare_to_newest(const struct read_item *item, const struct ring_item *newest)
{
    double value = double_from_bits(item->bits);
    double other = double_from_bits(newest->bits);
    if (item->time_ms != newest->time_ms)
        return item->time_ms < newest->time_ms ? -1 : 1;
    if (value < other || value > other)
        return value < other ? -1 : 1;
    int order = slice_compare(item->labels, slice_of(newest->labels, newest->size));
    return order == 0 && item->bits != newest->bits ? 1 : order;
}

static void ring_add(struct exemplars *e, struct ring *ring, const struct read_item *item,
                     uint64_t *dropped)
{
    uint32_t at = series_of(e, ring, item->series);
    struct ring_series *series = &ring->series.items[at];
    if (series->items > 0) {
        int order = compare_to_newest(item, &ring->items.items[series->newest]);
        if (order < 0 && dropped)
            ++*dropped;
        if (order <= 0)
            return;
    }
    if (e->bytes > EXEMPLARS_BYTES_MAX && ring->items.count > 0)
        ring->capacity = ring->items.count; /* it grows no more */
    struct ring_item fresh = {.labels = xmemdup(item->labels.data, item->labels.size),
                              .size = (uint32_t)item->labels.size,
                              .series = at,
                              .time_ms = item->time_ms,
                              .bits = item->bits};
    series->items++; /* before the oldest goes, which may be of the same series */
    e->bytes += item_bytes(&fresh);
    e->count++;
    if (ring->items.count < ring->capacity) {
        series->newest = (uint32_t)ring->items.count;
        array_push(&ring->items, fresh);
        return;
    }
    series->newest = (uint32_t)ring->first;
    item_clear(e, ring, &ring->items.items[ring->first]);
    ring->items.items[ring->first] = fresh;
    ring->first = (ring->first + 1) % ring->items.count;
}

bool exemplars_apply(struct exemplars *e, struct slice tenant, struct slice list, uint64_t *dropped)
{
    struct reader in = reader_of(list);
    struct read_item item;
    uint64_t count = read_varint(&in);
    bool ok = !in.failed;
    pthread_mutex_lock(&e->lock);
    struct ring *ring = find_ring(e, tenant);
    if (ring == NULL && e->per_tenant > 0) {
        struct ring fresh = {.tenant = xmemdup(tenant.data, tenant.size),
                             .tenant_size = tenant.size,
                             .capacity = e->per_tenant};
        array_push(&e->rings, fresh);
        ring = &e->rings.items[e->rings.count - 1];
    }
    for (uint64_t i = 0; ok && i < count; i++) {
        ok = read_item(&in, &item);
        if (ok && ring)
            ring_add(e, ring, &item, dropped);
    }
    ledger_update(LEDGER_TABLES, &e->counted, e->bytes);
    pthread_mutex_unlock(&e->lock);
    return ok && reader_left(&in) == 0;
}

bool exemplars_write(struct exemplars *e, size_t index, struct buffer *out)
{
    pthread_mutex_lock(&e->lock);
    bool found = index < e->rings.count;
    if (found) {
        const struct ring *ring = &e->rings.items[index];
        buffer_put_sized(out, slice_of(ring->tenant, ring->tenant_size));
        buffer_put_varint(out, ring->items.count);
        for (size_t i = 0; i < ring->items.count; i++) {
            size_t at = (ring->first + i) % ring->items.count;
            const struct ring_item *item = &ring->items.items[at];
            const struct ring_series *series = &ring->series.items[item->series];
            buffer_append(out, series->labels, series->size);
            buffer_append(out, item->labels, item->size);
            buffer_put_zigzag(out, item->time_ms);
            buffer_put64(out, item->bits);
        }
    }
    pthread_mutex_unlock(&e->lock);
    return found;
}

/* ---- reading ------------------------------------------------------------------ */

struct choice {
    struct exemplar_series *out; /* NULL: not wanted */
};

static int satisfies(const struct exemplars_request *request, struct labels labels,
                     struct error *err)
{
    for (size_t i = 0; i < request->count; i++) {
        const struct view_selector *selector = &request->selectors[i];
        int hit = matchers_test(selector->matchers, selector->count, labels, err);
        if (hit != 0)
            return hit;
    }
    return 0;
}

/* Which series are wanted, and room for as many exemplars as the ring has of each. */
static bool choose(const struct ring *ring, const struct exemplars_request *request,
                   struct arena *arena, struct choice *choices, struct exemplar_series *out,
                   size_t *count, struct error *err)
{
    *count = 0;
    for (size_t i = 0; i < ring->series.count; i++) {
        const struct ring_series *series = &ring->series.items[i];
        if (series->labels == NULL)
            continue;
        struct labels labels = decode_labels(slice_of(series->labels, series->size), arena);
        int hit = satisfies(request, labels, err);
        if (hit < 0 || !arena_check(arena, "exemplars", err))
            return false;
        if (hit == 0)
            continue;
        struct exemplar_series *chosen = &out[(*count)++];
        chosen->labels = labels;
        chosen->items = arena_calloc(arena, series->items, sizeof(*chosen->items));
        choices[i].out = chosen;
    }
    return arena_check(arena, "exemplars", err);
}

static bool fill(const struct ring *ring, const struct exemplars_request *request,
                 struct arena *arena, const struct choice *choices, struct error *err)
{
    for (size_t i = 0; i < ring->items.count; i++) {
        const struct ring_item *item = &ring->items.items[(ring->first + i) % ring->items.count];
        struct exemplar_series *to = choices[item->series].out;
        int64_t time_ns = item->time_ms * NS_PER_MS;
        if (to == NULL || time_ns < request->start_ns || time_ns > request->end_ns)
            continue;
        to->items[to->count++] =
            (struct exemplar){decode_labels(slice_of(item->labels, item->size), arena), time_ns,
                              double_from_bits(item->bits)};
    }
    return arena_check(arena, "exemplars", err);
}

static int by_labels(const void *a, const void *b)
{
    return labels_compare(((const struct exemplar_series *)a)->labels,
                          ((const struct exemplar_series *)b)->labels);
}

bool exemplars_select(struct exemplars *e, const struct exemplars_request *request,
                      struct arena *arena, struct exemplar_series **series, size_t *count,
                      struct error *err)
{
    bool ok = true;
    size_t found = 0, kept = 0;
    struct exemplar_series *out = NULL;
    pthread_mutex_lock(&e->lock);
    const struct ring *ring = find_ring(e, request->tenant);
    if (ring) {
        struct choice *choices = arena_calloc(arena, ring->series.count + 1, sizeof(*choices));
        out = arena_calloc(arena, ring->series.count + 1, sizeof(*out));
        ok = arena_check(arena, "exemplars", err) &&
             choose(ring, request, arena, choices, out, &found, err) &&
             fill(ring, request, arena, choices, err);
    }
    pthread_mutex_unlock(&e->lock);
    if (!ok)
        return false;
    for (size_t i = 0; i < found; i++) {
        if (out[i].count > 0)
            out[kept++] = out[i];
    }
    if (kept > 1)
        qsort(out, kept, sizeof(*out), by_labels);
    *series = out;
    *count = kept;
    return true;
}

size_t exemplars_count(struct exemplars *e)
{
    pthread_mutex_lock(&e->lock);
    size_t count = e->count;
    pthread_mutex_unlock(&e->lock);
    return count;
}
