/*
 * tombstones.c - deletes as bytes, their registry, and what they hide (see tombstones.h).
 */
#include "storage/tombstones.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/matcher.h"

#include <pthread.h>

struct tombstones {
    pthread_mutex_t lock; /* guards everything; innermost */
    ARRAY(struct tombstone_set *) sets;
    uint64_t lsn_max;
};

/* ---- bytes ------------------------------------------------------------- */

static bool request_check(const struct store_delete *request, struct error *err)
{
    size_t count = request->selector_count;
    if (count == 0 && request->series_count == 0)
        return error_set(err, ERR_INVALID, "nothing to delete: no selector");
    if (count > TOMBSTONE_SELECTORS_MAX)
        return error_set(err, ERR_INVALID, "a delete has %zu selectors, the limit is %d", count,
                         TOMBSTONE_SELECTORS_MAX);
    if (request->start_ns > request->end_ns)
        return error_set(err, ERR_INVALID, "a delete ends before it starts");
    for (size_t i = 0; i < count; i++) {
        if (request->selectors[i].count == 0)
            return error_set(err, ERR_INVALID, "an empty selector would delete everything");
        if (request->selectors[i].count > TOMBSTONE_MATCHERS_MAX)
            return error_set(err, ERR_INVALID, "a selector has %zu matchers, the limit is %d",
                             request->selectors[i].count, TOMBSTONE_MATCHERS_MAX);
    }
    return true;
}

static void write_series(struct buffer *out, const struct delete_series *series)
{
    int64_t before = 0;
    buffer_put_varint(out, series->labels.count);
    for (size_t i = 0; i < series->labels.count; i++) {
        buffer_put_sized(out, series->labels.items[i].name);
        buffer_put_sized(out, series->labels.items[i].value);
    }
    buffer_put_varint(out, series->count);
    for (size_t i = 0; i < series->count; i++) {
        const struct delete_entry *entry = &series->entries[i];
        buffer_put_zigzag(out, (int64_t)((uint64_t)entry->time_ns - (uint64_t)before));
        buffer_put64(out, entry->hash.low);
        buffer_put64(out, entry->hash.high);
        before = entry->time_ns;
    }
}

bool tombstone_write(struct buffer *out, const struct store_delete *request, struct error *err)
{
    if (!request_check(request, err))
        return false;
    size_t before = out->size;
    buffer_put_sized(out, request->tenant);
    buffer_put8(out, (uint8_t)request->kind);
    buffer_put_zigzag(out, request->start_ns);
    buffer_put_zigzag(out, request->end_ns);
    buffer_put_varint(out, request->selector_count);
    for (size_t i = 0; i < request->selector_count; i++) {
        const struct view_selector *selector = &request->selectors[i];
        buffer_put_varint(out, selector->count);
        for (size_t k = 0; k < selector->count; k++) {
            buffer_put8(out, (uint8_t)selector->matchers[k].type);
            buffer_put_sized(out, selector->matchers[k].name);
            buffer_put_sized(out, selector->matchers[k].value);
        }
    }
    buffer_put_varint(out, request->series_count);
    for (size_t i = 0; i < request->series_count; i++)
        write_series(out, &request->series[i]);
    if (out->size - before > TOMBSTONE_SIZE_MAX)
        return error_set(err, ERR_INVALID, "a delete has %zu bytes, the limit is %d",
                         out->size - before, TOMBSTONE_SIZE_MAX);
    return buffer_check(out, "a delete", err);
}

static bool read_matchers(struct tombstone *t, struct reader *in, struct view_selector *selector,
                          struct error *err)
{
    uint64_t count = read_varint(in);
    if (in->failed || count == 0 || count > TOMBSTONE_MATCHERS_MAX)
        return false;
    struct matcher *matchers = arena_calloc(t->arena, count, sizeof(*matchers));
    if (matchers == NULL)
        return false;
    selector->matchers = matchers;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t type = read8(in);
        struct slice name = read_sized(in);
        struct slice value = read_sized(in);
        if (in->failed || type > MATCH_NOT_REGEX ||
            !matcher_init(&matchers[i], (enum matcher_type)type, name, value, err))
            return false;
        selector->count++;
    }
    return true;
}

static bool read_series(struct tombstone *t, struct reader *in, struct delete_series *series)
{
    uint64_t labels = read_varint(in);
    if (in->failed || labels > reader_left(in))
        return false;
    struct label *items = arena_calloc(t->arena, labels, sizeof(*items));
    for (uint64_t i = 0; items && i < labels; i++) {
        items[i].name = read_sized(in);
        items[i].value = read_sized(in);
    }
    series->labels = (struct labels){items, labels};
    uint64_t count = read_varint(in);
    if (in->failed || count > reader_left(in) || (labels > 0 && items == NULL))
        return false;
    struct delete_entry *entries = arena_calloc(t->arena, count, sizeof(*entries));
    int64_t time = 0;
    for (uint64_t i = 0; entries && i < count; i++) {
        int64_t rise = read_zigzag(in);
        time = (int64_t)((uint64_t)time + (uint64_t)rise);
        entries[i].time_ns = time;
        entries[i].hash.low = read64(in);
        entries[i].hash.high = read64(in);
        if (i > 0 && entries[i - 1].time_ns > time)
            return false;
    }
    series->entries = entries;
    series->count = count;
    return !in->failed && (count == 0 || entries != NULL);
}

static bool read_all(struct tombstone *t, struct error *err)
{
    struct reader in = reader_of(t->payload);
    t->tenant = read_sized(&in);
    uint8_t kind = read8(&in);
    t->kind = kind == STORE_LOG ? STORE_LOG : STORE_METRIC;
    t->start_ns = read_zigzag(&in);
    t->end_ns = read_zigzag(&in);
    uint64_t selectors = read_varint(&in);
    if (in.failed || kind >= STORE_KINDS || t->tenant.size == 0 ||
        t->tenant.size > TENANT_NAME_MAX || selectors > TOMBSTONE_SELECTORS_MAX)
        return false;
    t->selectors = arena_calloc(t->arena, selectors, sizeof(*t->selectors));
    for (uint64_t i = 0; t->selectors && i < selectors; i++) {
        t->selector_count++; /* also of one that fails half-way: its matchers are freed */
        if (!read_matchers(t, &in, &t->selectors[i], err))
            return false;
    }
    uint64_t count = read_varint(&in);
    if (in.failed || count > reader_left(&in))
        return false;
    struct delete_series *series = arena_calloc(t->arena, count, sizeof(*series));
    for (uint64_t i = 0; series && i < count; i++) {
        if (!read_series(t, &in, &series[i]) ||
            (i > 0 && labels_compare(series[i - 1].labels, series[i].labels) >= 0))
            return false;
    }
    t->series = series;
    t->series_count = count;
    return !in.failed && reader_left(&in) == 0 && !arena_exhausted(t->arena);
}

static uint64_t pair_key(struct slice name, struct slice value)
{
    uint64_t seed = hash64(name.size ? name.data : "", name.size, 0);
    return hash64(value.size ? value.data : "", value.size, seed) | 1;
}

/* An equality of the only selector; of several rather one that is not the metric's name. */
static uint64_t key_of(const struct tombstone *t)
{
    uint64_t key = 0;
    if (t->selector_count != 1 || t->series_count > 0)
        return 0;
    for (size_t i = 0; i < t->selectors[0].count; i++) {
        const struct matcher *m = &t->selectors[0].matchers[i];
        bool is_metric = slice_equal(m->name, LABEL_NAME_METRIC);
        if (m->type == MATCH_EQUAL && m->value.size > 0 && (key == 0 || !is_metric))
            key = pair_key(m->name, m->value);
    }
    return key;
}

struct tombstone *tombstone_read(struct slice payload, uint64_t lsn, struct error *err)
{
    struct tombstone *t = xcalloc(1, sizeof(*t));
    t->refs = 1;
    t->lsn = lsn;
    t->arena = arena_new((size_t)16 * TOMBSTONE_SIZE_MAX);
    t->payload =
        payload.size <= TOMBSTONE_SIZE_MAX ? arena_copy(t->arena, payload) : (struct slice){0};
    struct error why = {0};
    if (read_all(t, &why)) {
        t->key = key_of(t);
        return t;
    }
    if (!arena_check(t->arena, "a delete", err)) {
        tombstone_unref(t);
        return NULL;
    }
    tombstone_unref(t);
    return error_null(err, ERR_CORRUPT, "malformed tombstone%s%s", why.message[0] ? ": " : "",
                      why.message);
}

void tombstone_unref(struct tombstone *t)
{
    if (t == NULL || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < t->selector_count; i++) {
        struct view_selector *selector = &t->selectors[i];
        struct matcher *matchers = (struct matcher *)(uintptr_t)selector->matchers; /* ours */
        for (size_t k = 0; k < selector->count; k++)
            matcher_done(&matchers[k]);
    }
    arena_free(t->arena);
    free(t);
}

/* ---- the registry ------------------------------------------------------ */

struct tombstones *tombstones_new(void)
{
    struct tombstones *ts = xcalloc(1, sizeof(*ts));
    pthread_mutex_init(&ts->lock, NULL);
    return ts;
}

void tombstone_set_unref(struct tombstone_set *set)
{
    if (set == NULL || __atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < set->count; i++)
        tombstone_unref(set->items[i]);
    free(set->keys);
    free(set);
}

void tombstones_free(struct tombstones *ts)
{
    if (ts == NULL)
        return;
    for (size_t i = 0; i < ts->sets.count; i++)
        tombstone_set_unref(ts->sets.items[i]);
    array_done(&ts->sets);
    pthread_mutex_destroy(&ts->lock);
    free(ts);
}

/* The set's place; the sets' count when there is none.  Sets are never empty. */
static size_t set_find(const struct tombstones *ts, struct slice tenant, enum store_kind kind)
{
    size_t i = 0;
    while (i < ts->sets.count && (ts->sets.items[i]->items[0]->kind != kind ||
                                  !slice_equal(ts->sets.items[i]->items[0]->tenant, tenant)))
        i++;
    return i;
}

static struct tombstone_set *set_make(size_t count)
{
    struct tombstone_set *set = xcalloc(1, sizeof(*set) + count * sizeof(struct tombstone *));
    set->refs = 1;
    return set;
}

static void set_push(struct tombstone_set *set, struct tombstone *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    set->items[set->count++] = t;
}

static int key_order(const void *a, const void *b)
{
    uint64_t x = ((const struct tombstone_key *)a)->key, y = ((const struct tombstone_key *)b)->key;
    return x < y ? -1 : x > y;
}

/* When all are in it. */
static struct tombstone_set *set_finish(struct tombstone_set *set)
{
    set->keys = xcalloc(set->count, sizeof(*set->keys));
    for (size_t i = 0; i < set->count; i++) {
        set->keys[i] = (struct tombstone_key){set->items[i]->key, set->items[i]};
        set->unkeyed += set->items[i]->key == 0;
    }
    if (set->count > 1)
        qsort(set->keys, set->count, sizeof(*set->keys), key_order);
    return set;
}

/* A new set with `t` in it, in the place of its LSN; NULL when it has that already. */
static struct tombstone_set *set_with(const struct tombstone_set *old, struct tombstone *t)
{
    size_t count = old ? old->count : 0, i = 0;
    struct tombstone_set *set = set_make(count + 1);
    for (; i < count && old->items[i]->lsn < t->lsn; i++)
        set_push(set, old->items[i]);
    if (i < count && old->items[i]->lsn == t->lsn) {
        tombstone_set_unref(set);
        return NULL;
    }
    set_push(set, t);
    for (; i < count; i++)
        set_push(set, old->items[i]);
    return set_finish(set);
}

void tombstones_add(struct tombstones *ts, struct tombstone *t)
{
    struct tombstone_set *old = NULL;
    pthread_mutex_lock(&ts->lock);
    size_t at = set_find(ts, t->tenant, t->kind);
    old = at < ts->sets.count ? ts->sets.items[at] : NULL;
    struct tombstone_set *set = set_with(old, t);
    if (set == NULL) {
        old = NULL; /* it stays */
    } else if (old) {
        ts->sets.items[at] = set;
    } else {
        array_push(&ts->sets, set);
    }
    if (t->lsn > ts->lsn_max)
        ts->lsn_max = t->lsn;
    pthread_mutex_unlock(&ts->lock);
    tombstone_set_unref(old);
    tombstone_unref(t);
}

bool tombstones_room(struct tombstones *ts, struct slice tenant, enum store_kind kind, size_t size,
                     struct error *err)
{
    struct tombstones_stats stats;
    tombstones_stats_read(ts, &stats);
    struct tombstone_set *set = tombstones_get(ts, tenant, kind);
    size_t count = set ? set->count : 0;
    tombstone_set_unref(set);
    if (count >= TOMBSTONES_MAX)
        return error_set(err, ERR_RATE,
                         "%zu deletes wait until their days are rewritten, the limit", count);
    if (stats.bytes + size > TOMBSTONES_BYTES_MAX)
        return error_set(err, ERR_RATE,
                         "deletes that wait until their days are rewritten take %llu bytes, the "
                         "limit is %d",
                         (unsigned long long)stats.bytes, TOMBSTONES_BYTES_MAX);
    return true;
}

struct tombstone_set *tombstones_get(struct tombstones *ts, struct slice tenant,
                                     enum store_kind kind)
{
    struct tombstone_set *set = NULL;
    pthread_mutex_lock(&ts->lock);
    size_t at = set_find(ts, tenant, kind);
    if (at < ts->sets.count) {
        set = ts->sets.items[at];
        __atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&ts->lock);
    return set;
}

static bool is_among(uint64_t lsn, const uint64_t *lsns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (lsns[i] == lsn)
            return true;
    return false;
}

void tombstones_remove(struct tombstones *ts, const uint64_t *lsns, size_t count)
{
    ARRAY(struct tombstone_set *) dropped = {0};
    pthread_mutex_lock(&ts->lock);
    for (size_t i = ts->sets.count; i-- > 0;) {
        struct tombstone_set *old = ts->sets.items[i];
        struct tombstone_set *set = set_make(old->count);
        for (size_t k = 0; k < old->count; k++)
            if (!is_among(old->items[k]->lsn, lsns, count))
                set_push(set, old->items[k]);
        array_push(&dropped, set->count < old->count ? old : set);
        if (set->count < old->count)
            ts->sets.items[i] = set_finish(set);
        if (set->count == 0) {
            ts->sets.items[i] = ts->sets.items[--ts->sets.count];
            array_push(&dropped, set);
        }
    }
    pthread_mutex_unlock(&ts->lock);
    for (size_t i = 0; i < dropped.count; i++)
        tombstone_set_unref(dropped.items[i]);
    array_done(&dropped);
}

void tombstones_all(struct tombstones *ts, struct tombstone_list *list)
{
    pthread_mutex_lock(&ts->lock);
    for (size_t i = 0; i < ts->sets.count; i++) {
        for (size_t k = 0; k < ts->sets.items[i]->count; k++) {
            struct tombstone *t = ts->sets.items[i]->items[k];
            __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
            array_push(list, t);
        }
    }
    pthread_mutex_unlock(&ts->lock);
}

void tombstone_list_done(struct tombstone_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        tombstone_unref(list->items[i]);
    array_done(list);
}

void tombstones_stats_read(struct tombstones *ts, struct tombstones_stats *stats)
{
    pthread_mutex_lock(&ts->lock);
    *stats = (struct tombstones_stats){.lsn_max = ts->lsn_max};
    for (size_t i = 0; i < ts->sets.count; i++) {
        stats->count += ts->sets.items[i]->count;
        for (size_t k = 0; k < ts->sets.items[i]->count; k++)
            stats->bytes += ts->sets.items[i]->items[k]->payload.size;
    }
    pthread_mutex_unlock(&ts->lock);
}

/* ---- hiding ------------------------------------------------------------ */

static int series_order(const void *key, const void *item)
{
    return labels_compare(*(const struct labels *)key,
                          ((const struct delete_series *)item)->labels);
}

static const struct delete_series *find_series(const struct tombstone *t, struct labels labels)
{
    return t->series_count == 0
               ? NULL
               : bsearch(&labels, t->series, t->series_count, sizeof(*t->series), series_order);
}

static int selectors_test(const struct tombstone *t, struct labels labels, struct error *err)
{
    for (size_t i = 0; i < t->selector_count; i++) {
        int hit = matchers_test(t->selectors[i].matchers, t->selectors[i].count, labels, err);
        if (hit != 0)
            return hit;
    }
    return 0;
}

int tombstone_touches(const struct tombstone *t, struct labels labels, struct error *err)
{
    return find_series(t, labels) ? 1 : selectors_test(t, labels, err);
}

static bool add_hide(const struct tombstone *t, struct labels labels, int64_t start_ns,
                     int64_t end_ns, struct hides *hides, struct error *err)
{
    if (t->start_ns > end_ns || t->end_ns < start_ns)
        return true;
    struct hide hide = {t->start_ns, t->end_ns, t->lsn, NULL};
    int hit = selectors_test(t, labels, err);
    if (hit < 0)
        return false;
    if (hit == 0)
        hide.entries = find_series(t, labels);
    if (hit > 0 || hide.entries)
        array_push(hides, hide);
    return true;
}

/* The first with this key or a higher one. */
static size_t key_find(const struct tombstone_set *set, uint64_t key)
{
    size_t low = set->unkeyed, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->keys[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool tombstone_set_hides(const struct tombstone_set *set, struct labels labels, int64_t start_ns,
                         int64_t end_ns, struct hides *hides, struct error *err)
{
    if (set == NULL)
        return true;
    for (size_t i = 0; i < set->unkeyed; i++)
        if (!add_hide(set->keys[i].tombstone, labels, start_ns, end_ns, hides, err))
            return false;
    for (size_t k = 0; set->unkeyed < set->count && k < labels.count; k++) {
        uint64_t key = pair_key(labels.items[k].name, labels.items[k].value);
        for (size_t i = key_find(set, key); i < set->count && set->keys[i].key == key; i++)
            if (!add_hide(set->keys[i].tombstone, labels, start_ns, end_ns, hides, err))
                return false;
    }
    return true;
}

bool hides_cover(const struct hide *hides, size_t count, int64_t first_ns, int64_t last_ns,
                 uint64_t lsn)
{
    int64_t at = first_ns;
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t i = 0; i < count; i++) {
            if (hides[i].entries || lsn >= hides[i].lsn || hides[i].start_ns > at ||
                hides[i].end_ns < at)
                continue;
            if (hides[i].end_ns >= last_ns)
                return true;
            at = hides[i].end_ns + 1;
            progress = true;
        }
    }
    return false;
}

bool hides_touch(const struct hide *hides, size_t count, int64_t first_ns, int64_t last_ns,
                 uint64_t lsn)
{
    for (size_t i = 0; i < count; i++)
        if (lsn < hides[i].lsn && hides[i].start_ns <= last_ns && hides[i].end_ns >= first_ns)
            return true;
    return false;
}

struct hash128 store_entry_hash(struct slice line, struct labels metadata)
{
    uint64_t seed = 0;
    for (size_t i = 0; i < metadata.count; i++) {
        const struct label *pair = &metadata.items[i];
        seed = hash64(pair->name.size ? pair->name.data : "", pair->name.size, seed);
        seed = hash64(pair->value.size ? pair->value.data : "", pair->value.size, seed + 1);
    }
    return hash128(line.size ? line.data : "", line.size, seed);
}

/* The first entry at `time_ns` or later. */
static size_t entry_find(const struct delete_series *series, int64_t time_ns)
{
    size_t low = 0, high = series->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (series->entries[middle].time_ns < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool lists_entry(const struct delete_series *series, int64_t time_ns, struct slice line,
                        struct labels metadata)
{
    size_t i = entry_find(series, time_ns);
    if (i == series->count || series->entries[i].time_ns != time_ns)
        return false;
    struct hash128 hash = store_entry_hash(line, metadata);
    for (; i < series->count && series->entries[i].time_ns == time_ns; i++)
        if (hash128_equal(series->entries[i].hash, hash))
            return true;
    return false;
}

bool hides_entry(const struct hide *hides, size_t count, int64_t time_ns, uint64_t lsn,
                 struct slice line, struct labels metadata)
{
    for (size_t i = 0; i < count; i++) {
        if (lsn >= hides[i].lsn || time_ns < hides[i].start_ns || time_ns > hides[i].end_ns)
            continue;
        if (hides[i].entries == NULL || lists_entry(hides[i].entries, time_ns, line, metadata))
            return true;
    }
    return false;
}
