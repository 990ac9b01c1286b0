/*
 * head.c - the series of a head: making, freezing, removing (see head.h).
 *
 * Applying records is in head_apply.c.  Scans over all series let go of the
 * lock every SCAN_STEP series, so that writers wait for microseconds only.
 */
#include "storage/head.h"

#include "base/error.h"
#include "base/ledger.h"

#include <assert.h>

enum { SCAN_STEP = 2048, MALLOC_OVERHEAD = 16 };

struct head *head_new(struct slice tenant, enum store_kind kind)
{
    assert(tenant.size <= TENANT_NAME_MAX);
    struct head *head = aligned_alloc(_Alignof(struct head), sizeof(*head)); /* see lookup.h */
    if (head == NULL)
        abort();
    memset(head, 0, sizeof(*head));
    memcpy(head->tenant, tenant.data, tenant.size);
    head->kind = kind;
    head->newest_ns = INT64_MIN;
    head->oldest_ns = INT64_MAX;
    pthread_mutex_init(&head->lock, NULL);
    postings_init(&head->postings);
    lookup_init(&head->lookup);
    return head;
}

static void chunks_free(struct head_chunk *chunk)
{
    while (chunk) {
        struct head_chunk *next = chunk->next;
        head_chunk_unref(chunk);
        chunk = next;
    }
}

void head_free(struct head *head)
{
    if (head == NULL)
        return;
    for (size_t i = 0; i < head->series.count; i++) {
        struct series *series = head_series(head, i);
        if (series == NULL)
            continue;
        head_chunk_unref(series->open);
        head_chunk_unref(series->side);
        chunks_free(series->frozen);
        free(series);
    }
    for (size_t i = 0; i < head->series.pages.count; i++)
        free(head->series.pages.items[i]);
    array_done(&head->series.pages);
    ledger_update(head->kind == STORE_LOG ? LEDGER_LOG_TEXT : LEDGER_HEAD, &head->counted_chunks,
                  0);
    ledger_update(LEDGER_INDEX, &head->counted_index, 0);
    array_done(&head->changes.notes);
    array_done(&head->queue);
    table_done(&head->table);
    postings_done(&head->postings);
    lookup_done(&head->lookup);
    pthread_mutex_destroy(&head->lock);
    free(head);
}

/* ---- memory -------------------------------------------------------------- */

size_t head_index_memory(const struct head *head)
{
    return sizeof(*head) + head->series_bytes + postings_memory(&head->postings) +
           table_memory(&head->table) + head->series.bytes +
           head->series.pages.capacity * sizeof(struct series_page *);
}

void head_count_memory(struct head *head)
{
    ledger_update(head->kind == STORE_LOG ? LEDGER_LOG_TEXT : LEDGER_HEAD, &head->counted_chunks,
                  head->chunk_bytes);
    ledger_update(LEDGER_INDEX, &head->counted_index, head_index_memory(head));
}

/* ---- making series ----------------------------------------------------- */

static void pages_add(struct series_pages *pages, struct series *series)
{
    if (pages->count % SERIES_PAGE == 0) {
        struct series_page *fresh = xcalloc(1, sizeof(*fresh));
        array_push(&pages->pages, fresh);
        pages->bytes += sizeof(*fresh);
    }
    struct series_page **page = &pages->pages.items[pages->count / SERIES_PAGE];
    (*page)->items[pages->count % SERIES_PAGE] = series;
    (*page)->live++;
    pages->count++;
}

/* The last page stays: ids are still given out in it. */
static void pages_remove(struct series_pages *pages, uint32_t id)
{
    struct series_page **page = &pages->pages.items[id / SERIES_PAGE];
    (*page)->items[id % SERIES_PAGE] = NULL;
    if (--(*page)->live > 0 || id / SERIES_PAGE == pages->count / SERIES_PAGE)
        return;
    free(*page);
    *page = NULL;
    pages->bytes -= sizeof(**page);
}

struct series_key {
    struct hash128 fingerprint;
    struct labels labels;
    const struct head *head;
};

static bool has_labels(const struct head *head, const struct series *series, struct labels labels)
{
    if (series->pair_count != labels.count)
        return false;
    for (size_t i = 0; i < labels.count; i++) {
        struct label label = postings_label(&head->postings, series->pairs[i]);
        if (!slice_equal(label.name, labels.items[i].name) ||
            !slice_equal(label.value, labels.items[i].value))
            return false;
    }
    return true;
}

static bool series_equal(const void *items, uint32_t index, const void *key)
{
    const struct head *head = items;
    const struct series_key *wanted = key;
    const struct series *series = head_series(head, index);
    return hash128_equal(series->fingerprint, wanted->fingerprint) &&
           has_labels(head, series, wanted->labels);
}

static size_t series_memory(const struct series *series)
{
    return sizeof(*series) + series->pair_count * sizeof(uint32_t) + MALLOC_OVERHEAD;
}

static struct series *series_make(struct head *head, const struct series_key *key)
{
    size_t count = key->labels.count;
    struct series *series = xcalloc(1, sizeof(*series) + count * sizeof(uint32_t));
    series->last_ns = INT64_MIN;
    series->fingerprint = key->fingerprint;
    series->pair_count = (uint16_t)count;
    series->id = (uint32_t)head->series.count;
    for (size_t i = 0; i < count; i++) {
        const struct label *label = &key->labels.items[i];
        series->pairs[i] = postings_intern(&head->postings, label->name, label->value);
        postings_add(&head->postings, series->pairs[i], series->id);
    }
    pages_add(&head->series, series);
    postings_add_series(&head->postings, series->id);
    table_insert(&head->table, key->fingerprint.low, series->id);
    head->series_bytes += series_memory(series);
    head->series_count++;
    head->series_created++;
    head_count_memory(head);
    return series;
}

struct series *head_define(struct head *head, struct labels labels, uint32_t series_max,
                           uint32_t now_s, struct error *err)
{
    struct series_key key = {labels_fingerprint(labels), labels, head};
    if (labels.count > UINT16_MAX)
        return error_null(err, ERR_INVALID, "a series has %zu labels, the limit is %d",
                          labels.count, UINT16_MAX);
    pthread_mutex_lock(&head->lock);
    struct series *series = NULL;
    uint32_t id = table_find(&head->table, key.fingerprint.low, series_equal, head, &key);
    bool no_memory = false;
    if (id != TABLE_NONE)
        series = head_series(head, id);
    else if (series_max > 0 && ledger_is_spent()) /* 0: replay, which must go on */
        no_memory = true;
    else if ((series_max == 0 || head->series_count < series_max) &&
             head->series.count < TABLE_NONE)
        series = series_make(head, &key);
    if (series)
        series_touch(series, now_s);
    pthread_mutex_unlock(&head->lock);
    if (no_memory)
        error_set(err, ERR_UNAVAILABLE, "there is no memory left for new series");
    else if (series == NULL)
        error_set(err, ERR_RATE, "tenant %s has %u active series, the limit", head->tenant,
                  series_max);
    return series;
}

struct series *head_find(const struct head *head, struct labels labels)
{
    struct series_key key = {labels_fingerprint(labels), labels, head};
    uint32_t id = table_find(&head->table, key.fingerprint.low, series_equal, head, &key);
    return id == TABLE_NONE ? NULL : head_series(head, id);
}

struct labels head_labels(const struct head *head, const struct series *series, struct label *items)
{
    for (size_t i = 0; i < series->pair_count; i++)
        items[i] = postings_label(&head->postings, series->pairs[i]);
    return (struct labels){items, series->pair_count};
}

/* ---- freezing ---------------------------------------------------------- */

void head_freeze_chunk(struct head *head, struct series *series, struct head_chunk **slot)
{
    struct head_chunk *chunk = *slot;
    *slot = NULL;
    head->chunk_bytes -= head_chunk_memory(chunk);
    chunk = head_chunk_shrink(chunk);
    head->chunk_bytes += head_chunk_memory(chunk);
    head->frozen_bytes += head_chunk_memory(chunk);
    struct head_chunk **end = &series->frozen;
    while (*end)
        end = &(*end)->next;
    *end = chunk;
    if (!series->queued) {
        series->queued = true;
        array_push(&head->queue, series->id);
    }
}

static bool open_is_due(const struct head_chunk *chunk, const struct freeze_rule *rule)
{
    if (rule->all || chunk->first_lsn <= rule->lsn_until)
        return true;
    if (chunk->log && rule->log_bytes_over > 0 && chunk->capacity > rule->log_bytes_over)
        return true;
    if (chunk->log && chunk->created_s < rule->log_before_s)
        return true;
    if (chunk->side)
        return chunk->created_s < rule->side_before_s;
    return chunk->touched_s < rule->idle_before_s || chunk->created_s < rule->made_before_s;
}

/* Call `visit` for every series, with the lock held, letting go of it now and then. */
static void scan(struct head *head, void (*visit)(struct head *, struct series *, void *),
                 void *context)
{
    pthread_mutex_lock(&head->lock);
    for (size_t i = 0; i < head->series.count; i++) {
        if (i % SCAN_STEP == SCAN_STEP - 1) {
            pthread_mutex_unlock(&head->lock);
            pthread_mutex_lock(&head->lock);
        }
        struct series *series = head_series(head, i);
        if (series)
            visit(head, series, context);
    }
    pthread_mutex_unlock(&head->lock);
}

static void freeze_visit(struct head *head, struct series *series, void *context)
{
    const struct freeze_rule *rule = context;
    if (series->open && open_is_due(series->open, rule))
        head_freeze_chunk(head, series, &series->open);
    if (series->side && open_is_due(series->side, rule))
        head_freeze_chunk(head, series, &series->side);
}

void head_freeze(struct head *head, const struct freeze_rule *rule)
{
    struct freeze_rule copy = *rule;
    scan(head, freeze_visit, &copy);
}

struct oldest {
    uint64_t lsn;
    int64_t time_ns;
};

static void lower(struct oldest *oldest, const struct head_chunk *chunk)
{
    if (chunk == NULL)
        return;
    if (chunk->first_lsn < oldest->lsn)
        oldest->lsn = chunk->first_lsn;
    if (chunk->first_ns < oldest->time_ns)
        oldest->time_ns = chunk->first_ns;
}

static void oldest_visit(struct head *head, struct series *series, void *context)
{
    (void)head;
    lower(context, series->open);
    lower(context, series->side);
    for (const struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next)
        lower(context, chunk);
}

uint64_t head_oldest_lsn(struct head *head)
{
    struct oldest oldest = {UINT64_MAX, INT64_MAX};
    /* What is stored behind the scan notes its own time again: head_apply. */
    pthread_mutex_lock(&head->lock);
    head->oldest_ns = INT64_MAX;
    pthread_mutex_unlock(&head->lock);
    scan(head, oldest_visit, &oldest);
    pthread_mutex_lock(&head->lock);
    if (oldest.time_ns < head->oldest_ns)
        head->oldest_ns = oldest.time_ns;
    pthread_mutex_unlock(&head->lock);
    return oldest.lsn;
}

static void age_visit(struct head *head, struct series *series, void *context)
{
    struct log_ages *ages = context;
    (void)head;
    if (series->open)
        array_push(ages, ((struct log_age){series->open->created_s, series->open->capacity}));
    if (series->side)
        array_push(ages, ((struct log_age){series->side->created_s, series->side->capacity}));
}

void head_log_ages(struct head *head, struct log_ages *ages)
{
    scan(head, age_visit, ages);
}

/* ---- removing idle series ---------------------------------------------- */

struct removal {
    struct head *head;
    uint32_t used_before_s;
    ARRAY(struct series *) gone;
};

/* Runs with the head and all stripes of the lookup cache locked. */
static void judge_idle(void *context)
{
    struct removal *removal = context;
    struct head *head = removal->head;
    for (size_t i = 0; i < head->series.count; i++) {
        if (head->series.pages.items[i / SERIES_PAGE] == NULL) {
            i += SERIES_PAGE - 1;
            continue;
        }
        struct series *series = head_series(head, i);
        if (series == NULL || series->open || series->side || series->frozen)
            continue;
        if (__atomic_load_n(&series->used_s, __ATOMIC_RELAXED) >= removal->used_before_s)
            continue;
        series->dead = true;
        array_push(&removal->gone, series);
    }
}

static bool is_gone(const void *context, uint32_t id)
{
    const struct head *head = context;
    return head_series(head, id) == NULL;
}

size_t head_remove_idle(struct head *head, uint32_t used_before_s)
{
    struct removal removal = {.head = head, .used_before_s = used_before_s};
    pthread_mutex_lock(&head->lock);
    lookup_sweep(&head->lookup, judge_idle, &removal);
    size_t count = removal.gone.count;
    ARRAY(uint32_t) pairs = {0};
    for (size_t i = 0; i < count; i++) {
        struct series *series = removal.gone.items[i];
        pages_remove(&head->series, series->id);
        table_remove(&head->table, series->fingerprint.low, series->id);
        for (size_t k = 0; k < series->pair_count; k++)
            array_push(&pairs, series->pairs[k]);
        head->series_bytes -= series_memory(series);
        free(series);
    }
    if (count > 0)
        postings_remove(&head->postings, pairs.items, pairs.count, is_gone, head);
    postings_reclaim(&head->postings);
    head->series_count -= count;
    head->series_removed += count;
    head_count_memory(head);
    pthread_mutex_unlock(&head->lock);
    array_done(&pairs);
    array_done(&removal.gone);
    return count;
}
