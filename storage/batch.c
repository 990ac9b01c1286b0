/*
 * batch.c - filling a batch on a request thread.
 *
 * The record's body is encoded as samples and entries come: nothing is allocated
 * per sample once the buffers have grown, and batches are reused with their
 * buffers.  A batch is in store->live from its start to its end, so that the
 * sealer does not remove a series that it may hold.
 */
#include "storage/batch_internal.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/ledger.h"
#include "storage/committer.h"
#include "storage/compress.h"
#include "storage/retention.h"
#include "storage/rich_sample.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"
#include "storage/wal_record.h"

#include <assert.h>

enum {
    SPARE_MAX = 8,
    SPARE_BYTES_MAX = 4 * 1024 * 1024,
    GROUP_COUNT_MAX = UINT16_MAX,
    SAMPLE_BYTES_MAX = 2 + VARINT_SIZE_MAX + VARINT_SIZE_MAX + 8,
    RICH_BYTES_MAX = 4 * 1024 * 1024,
    PACK_SIZE_MIN = 4096,
    BODY_MAX = WAL_PAYLOAD_MAX - 32 * 1024 * 1024,
    METADATA_PAIRS_MAX = 1024
};

/* ---- life -------------------------------------------------------------- */

static void list_add(struct store *store, struct batch *batch)
{
    batch->before = NULL;
    batch->next = store->live;
    if (store->live)
        store->live->before = batch;
    store->live = batch;
}

static void list_remove(struct store *store, struct batch *batch)
{
    if (batch->before)
        batch->before->next = batch->next;
    else
        store->live = batch->next;
    if (batch->next)
        batch->next->before = batch->before;
}

uint32_t store_oldest_batch_s(struct store *store)
{
    uint32_t oldest = UINT32_MAX;
    pthread_mutex_lock(&store->batches_lock);
    for (const struct batch *batch = store->live; batch; batch = batch->next) {
        if (batch->started_s < oldest)
            oldest = batch->started_s;
    }
    pthread_mutex_unlock(&store->batches_lock);
    return oldest;
}

/* Tell the ledger what the batch holds by now. */
static void batch_count(struct batch *batch)
{
    ledger_update(LEDGER_BATCHES, &batch->counted,
                  sizeof(*batch) + batch->body.capacity + batch->packed.capacity +
                      batch->rich.capacity + batch->metadata.capacity + batch->exemplars.capacity +
                      batch->head_bytes.capacity +
                      batch->table.capacity * sizeof(*batch->table.items) +
                      batch->ids.capacity * sizeof(*batch->ids.items));
}

static void batch_destroy(struct batch *batch)
{
    ledger_update(LEDGER_BATCHES, &batch->counted, 0);
    array_done(&batch->table);
    array_done(&batch->ids);
    buffer_done(&batch->body);
    buffer_done(&batch->packed);
    buffer_done(&batch->rich);
    buffer_done(&batch->metadata);
    buffer_done(&batch->exemplars);
    buffer_done(&batch->head_bytes);
    free(batch);
}

void store_free_batches(struct store *store)
{
    assert(store->live == NULL);
    while (store->spare) {
        struct batch *next = store->spare->next;
        batch_destroy(store->spare);
        store->spare = next;
    }
}

static struct batch *batch_take(struct store *store)
{
    pthread_mutex_lock(&store->batches_lock);
    struct batch *batch = store->spare;
    if (batch) {
        store->spare = batch->next;
        store->spare_count--;
    } else {
        batch = xcalloc(1, sizeof(*batch));
        batch->store = store;
        buffer_init(&batch->body, BODY_MAX);
        buffer_init(&batch->packed, WAL_PAYLOAD_MAX);
        buffer_init(&batch->rich, RICH_BYTES_MAX);
        buffer_init(&batch->metadata, WAL_PAYLOAD_MAX / 16);
        buffer_init(&batch->exemplars, WAL_PAYLOAD_MAX / 8);
        buffer_init(&batch->head_bytes, WAL_PAYLOAD_MAX / 8);
    }
    batch->started_s = store_now_s();
    list_add(store, batch);
    pthread_mutex_unlock(&store->batches_lock);
    return batch;
}

static void batch_reset(struct batch *batch)
{
    arena_free(TAKE(batch->labels));
    tombstone_unref(TAKE(batch->tombstone));
    batch->table.count = batch->ids.count = 0;
    buffer_clear(&batch->body);
    buffer_clear(&batch->packed);
    buffer_clear(&batch->metadata);
    buffer_clear(&batch->exemplars);
    buffer_clear(&batch->head_bytes);
    batch->metadata_count = batch->exemplar_count = batch->entries = 0;
    batch->group_at = SIZE_MAX;
    batch->group_count = 0;
    batch->last_time = 0;
    batch->last_number = -1;
    batch->has_producer = batch->repeated = false;
    memset(batch->refused, 0, sizeof(batch->refused));
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    struct store *store = batch->store;
    batch_reset(batch);
    batch_count(batch);
    bool keep = batch->counted <= SPARE_BYTES_MAX && ledger_pressure() == LEDGER_CALM;
    pthread_mutex_lock(&store->batches_lock);
    list_remove(store, batch);
    keep = keep && store->spare_count < SPARE_MAX;
    if (keep) {
        batch->next = store->spare;
        store->spare = batch;
        store->spare_count++;
    }
    pthread_mutex_unlock(&store->batches_lock);
    if (!keep)
        batch_destroy(batch);
}

/* The bounds on times that depend on the clock are fixed when the batch starts. */
static void set_bounds(struct batch *batch, enum store_kind kind)
{
    const struct store_options *options = &batch->store->options;
    int64_t now = store_now_ns(batch->store);
    int64_t past = options->past_ns[kind];
    int64_t kept = retention_longest(options, slice_from_text(batch->head->tenant), kind);
    if (kept >= 0 && (past < 0 || past > kept))
        past = kept;
    batch->oldest_ns = past < 0 ? INT64_MIN : ns_sub(now, past);
    batch->newest_ns = options->future_ns < 0 ? INT64_MAX : ns_add(now, options->future_ns);
}

struct batch *batch_new(struct store *store, struct slice tenant, enum store_kind kind,
                        struct error *err)
{
    if (!store_takes_batches(store, err))
        return NULL;
    struct head *head = store_head(store, tenant, kind);
    if (head == NULL)
        head = store_head_make(store, tenant, kind, err);
    if (head == NULL)
        return NULL;
    struct batch *batch = batch_take(store);
    batch_reset(batch);
    batch->head = head;
    set_bounds(batch, kind);
    return batch;
}

/* ---- series ------------------------------------------------------------ */

static int64_t add_series(struct batch *batch, struct series *series, uint32_t id)
{
    array_push(&batch->table, series);
    array_push(&batch->ids, id);
    return (int64_t)batch->table.count - 1;
}

void batch_find_many(struct batch *batch, uint32_t format, const struct slice *keys, size_t count,
                     int64_t *numbers)
{
    struct lookup *lookup = &batch->head->lookup;
    struct hash128 hashes[LOOKUP_KEYS_MAX] = {0};
    struct series *series[LOOKUP_KEYS_MAX];
    uint32_t ids[LOOKUP_KEYS_MAX];
    assert(count <= LOOKUP_KEYS_MAX);
    for (size_t i = 0; i < count; i++)
        hashes[i] = lookup_key(lookup, format, keys[i]);
    /* Marked with a second that is not before the batch's start: store_oldest_batch_s(). */
    lookup_find(lookup, hashes, count, batch->started_s, series, ids);
    for (size_t i = 0; i < count; i++)
        numbers[i] = series[i] ? add_series(batch, series[i], ids[i]) : -1;
}

int64_t batch_find(struct batch *batch, uint32_t format, struct slice key)
{
    int64_t number;
    batch_find_many(batch, format, &key, 1, &number);
    return number;
}

int64_t batch_define(struct batch *batch, uint32_t format, struct slice key, struct label *labels,
                     size_t count, struct error *err)
{
    const struct store_options *options = &batch->store->options;
    struct head *head = batch->head;
    if (!labels_canonicalise(labels, &count, &options->label_limits[head->kind], err))
        return -1;
    if (count == 0) {
        error_set(err, ERR_INVALID, "a series needs at least one label");
        return -1;
    }
    struct series *series = head_define(head, (struct labels){labels, count}, options->series_max,
                                        batch->started_s, err);
    if (series == NULL)
        return -1;
    if (key.data)
        lookup_put(&head->lookup, lookup_key(&head->lookup, format, key), series);
    return add_series(batch, series, series->id);
}

void batch_bounds(const struct batch *batch, int64_t *oldest_ns, int64_t *newest_ns)
{
    *oldest_ns = batch->oldest_ns;
    *newest_ns = batch->newest_ns;
}

struct labels batch_labels(struct batch *batch, uint32_t number)
{
    assert(number < batch->table.count);
    if (batch->labels == NULL)
        batch->labels = arena_new(SIZE_MAX);
    const struct series *series = batch->table.items[number];
    struct label *items = arena_calloc(batch->labels, series->pair_count, sizeof(*items));
    pthread_mutex_lock(&batch->head->lock);
    struct labels labels = head_labels(batch->head, series, items);
    pthread_mutex_unlock(&batch->head->lock);
    return labels;
}

/* ---- entries ----------------------------------------------------------- */

static bool check_time(struct batch *batch, int64_t time_ns, struct error *err)
{
    if (time_ns > batch->newest_ns) {
        batch->refused[REFUSED_TOO_NEW]++;
        store_count(&batch->store->counters.refused[batch->head->kind][REFUSED_TOO_NEW], 1);
        return error_set(err, ERR_INVALID,
                         "time %lld ns is too far in the future, the limit is %lld",
                         (long long)time_ns, (long long)batch->newest_ns);
    }
    if (time_ns < batch->oldest_ns) {
        batch->refused[REFUSED_TOO_OLD]++;
        store_count(&batch->store->counters.refused[batch->head->kind][REFUSED_TOO_OLD], 1);
        return error_set(err, ERR_INVALID, "time %lld ns is too old, the oldest allowed is %lld",
                         (long long)time_ns, (long long)batch->oldest_ns);
    }
    return true;
}

static bool too_large(struct batch *batch, struct error *err)
{
    batch->body.failed = false; /* what fits stays good */
    return error_set(err, ERR_UNAVAILABLE, "a batch of over %d bytes", BODY_MAX);
}

static int64_t floor_ms(int64_t time_ns)
{
    int64_t ms = time_ns / NS_PER_MS;
    return time_ns % NS_PER_MS < 0 ? ms - 1 : ms;
}

bool batch_sample(struct batch *batch, uint32_t number, int64_t time_ns, double value,
                  struct error *err)
{
    assert(batch->head->kind == STORE_METRIC && number < batch->table.count);
    if (UNLIKELY(time_ns > batch->newest_ns || time_ns < batch->oldest_ns))
        return check_time(batch, time_ns, err);
    uint8_t *at = (uint8_t *)buffer_reserve(&batch->body, SAMPLE_BYTES_MAX);
    if (at == NULL)
        return too_large(batch, err);
    uint8_t *start = at;
    int64_t time_ms = floor_ms(time_ns);
    if (batch->group_at == SIZE_MAX || time_ms != batch->last_time ||
        batch->group_count == GROUP_COUNT_MAX) {
        batch->group_at = batch->body.size;
        batch->group_count = 0;
        at += 2;
        at += varint_put(at, zigzag_encode(time_ms - batch->last_time));
        batch->last_time = time_ms;
    }
    int64_t step = (int64_t)number - batch->last_number - 1;
    if (LIKELY(step == 0))
        *at++ = 0;
    else
        at += varint_put(at, zigzag_encode(step));
    bytes_put64(at, double_bits(value));
    buffer_advance(&batch->body, (size_t)(at + 8 - start));
    batch->group_count++;
    bytes_put16(batch->body.data + batch->group_at, (uint16_t)batch->group_count);
    batch->last_number = number;
    batch->entries++;
    return true;
}

size_t batch_samples(struct batch *batch, const uint32_t *numbers, const int64_t *times_ms,
                     const double *values, size_t count)
{
    assert(batch->head->kind == STORE_METRIC);
    if (batch->group_at == SIZE_MAX || count > GROUP_COUNT_MAX - batch->group_count)
        return 0;
    uint8_t *start = (uint8_t *)buffer_reserve(&batch->body, count * SAMPLE_BYTES_MAX);
    if (start == NULL) {
        batch->body.failed = false;
        return 0;
    }
    uint8_t *at = start;
    int64_t expected = batch->last_number + 1;
    size_t done = 0;
    for (; done < count && times_ms[done] == batch->last_time; done++) {
        assert(numbers[done] < batch->table.count);
        int64_t step = (int64_t)numbers[done] - expected;
        expected = (int64_t)numbers[done] + 1;
        if (LIKELY(step == 0))
            *at++ = 0;
        else
            at += varint_put(at, zigzag_encode(step));
        bytes_put64(at, double_bits(values[done]));
        at += 8;
    }
    buffer_advance(&batch->body, (size_t)(at - start));
    batch->group_count += (uint32_t)done;
    bytes_put16(batch->body.data + batch->group_at, (uint16_t)batch->group_count);
    batch->last_number = expected - 1;
    batch->entries += done;
    return done;
}

/* An empty group announces a sample that is more than a float (docs/format-wal.md). */
static bool add_rich(struct batch *batch, uint32_t number, const struct rich_sample *sample,
                     struct error *err)
{
    assert(batch->head->kind == STORE_METRIC && number < batch->table.count);
    if (!check_time(batch, sample->time_ns, err))
        return false;
    buffer_clear(&batch->rich);
    rich_sample_write(&batch->rich, sample);
    if (!buffer_check(&batch->rich, "a histogram", err))
        return false;
    size_t before = batch->body.size;
    int64_t time_ms = floor_ms(sample->time_ns);
    buffer_put16(&batch->body, 0);
    buffer_put_zigzag(&batch->body, time_ms - batch->last_time);
    buffer_put_zigzag(&batch->body, (int64_t)number - batch->last_number - 1);
    buffer_put_sized(&batch->body, buffer_slice(&batch->rich));
    if (batch->body.failed) {
        buffer_truncate(&batch->body, before);
        return too_large(batch, err);
    }
    batch->group_at = SIZE_MAX;
    batch->last_time = time_ms;
    batch->last_number = number;
    batch->entries++;
    return true;
}

bool batch_sample_start(struct batch *batch, uint32_t number, int64_t time_ns, int64_t start_ns,
                        double value, struct error *err)
{
    if (start_ns / NS_PER_MS == 0)
        return batch_sample(batch, number, time_ns, value, err);
    struct rich_sample sample = {.time_ns = time_ns, .start_ns = start_ns, .value = value};
    return add_rich(batch, number, &sample, err);
}

bool batch_histogram(struct batch *batch, uint32_t number, int64_t time_ns, int64_t start_ns,
                     const struct histogram *histogram, struct error *err)
{
    struct rich_sample sample = {
        .time_ns = time_ns, .start_ns = start_ns, .value = histogram->sum, .histogram = histogram};
    return histogram_check_shape(histogram, err) && add_rich(batch, number, &sample, err);
}

/* Sorted pairs without empty values; a name that comes twice keeps its last value. */
static size_t sort_metadata(struct label *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct label moving = items[i];
        size_t at = i;
        for (; at > 0 && slice_compare(items[at - 1].name, moving.name) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && slice_equal(items[kept - 1].name, items[i].name))
            kept--;
        items[kept++] = items[i];
    }
    return kept;
}

static size_t metadata_size(const struct label *items, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += varint_size(items[i].name.size) + items[i].name.size +
                varint_size(items[i].value.size) + items[i].value.size;
    return size;
}

bool batch_entry(struct batch *batch, uint32_t number, int64_t time_ns, struct slice line,
                 struct label *metadata, size_t metadata_count, struct error *err)
{
    assert(batch->head->kind == STORE_LOG && number < batch->table.count);
    if (!check_time(batch, time_ns, err))
        return false;
    if (metadata_count > METADATA_PAIRS_MAX)
        return error_set(err, ERR_INVALID, "an entry has %zu metadata pairs, the limit is %d",
                         metadata_count, METADATA_PAIRS_MAX);
    struct buffer *body = &batch->body;
    size_t before = body->size;
    size_t count = metadata_count > 1 ? sort_metadata(metadata, metadata_count) : metadata_count;
    buffer_put_varint(body, number);
    buffer_put_zigzag(body, (int64_t)((uint64_t)time_ns - (uint64_t)batch->last_time));
    buffer_put_sized(body, line);
    buffer_put_varint(body, metadata_size(metadata, count));
    for (size_t i = 0; i < count; i++) {
        buffer_put_sized(body, metadata[i].name);
        buffer_put_sized(body, metadata[i].value);
    }
    if (body->failed) {
        buffer_truncate(body, before);
        return too_large(batch, err);
    }
    batch->last_time = time_ns;
    batch->entries++;
    return true;
}

void batch_metadata(struct batch *batch, struct slice family, struct slice type, struct slice help,
                    struct slice unit)
{
    struct metric_metadata item = {family, slice_sub(type, 0, METADATA_TEXT_MAX),
                                   slice_sub(help, 0, METADATA_TEXT_MAX),
                                   slice_sub(unit, 0, METADATA_TEXT_MAX)};
    if (family.size == 0 || family.size > METADATA_NAME_MAX ||
        batch->metadata_count >= METADATA_FAMILIES_MAX ||
        metadata_knows(batch->store->metadata, slice_from_text(batch->head->tenant), &item))
        return;
    size_t before = batch->metadata.size;
    metadata_write_item(&batch->metadata, &item);
    if (batch->metadata.failed) {
        batch->metadata.failed = false;
        buffer_truncate(&batch->metadata, before);
        return;
    }
    batch->metadata_count++;
}

static size_t characters_of(const struct label *labels, size_t count)
{
    size_t characters = 0;
    for (size_t i = 0; i < count; i++) {
        const struct slice texts[] = {labels[i].name, labels[i].value};
        for (size_t k = 0; k < COUNT_OF(texts); k++) {
            for (size_t at = 0; at < texts[k].size; at++) /* not the bytes that continue one */
                characters += ((uint8_t)texts[k].data[at] & 0xc0) != 0x80;
        }
    }
    return characters;
}

bool batch_exemplar(struct batch *batch, uint32_t number, struct label *labels, size_t count,
                    int64_t time_ns, double value, struct error *err)
{
    assert(batch->head->kind == STORE_METRIC && number < batch->table.count);
    const struct label_limits limits = {.count_max = EXEMPLAR_LABELS_MAX};
    if (!labels_canonicalise(labels, &count, &limits, err))
        return false;
    size_t characters = characters_of(labels, count);
    if (characters > EXEMPLAR_CHARACTERS_MAX)
        return error_set(err, ERR_INVALID,
                         "the labels of an exemplar have %zu characters, the limit is %d",
                         characters, EXEMPLAR_CHARACTERS_MAX);
    if (batch->store->options.exemplars_max < 0)
        return true;
    size_t before = batch->exemplars.size;
    struct exemplar exemplar = {{labels, count}, floor_ms(time_ns) * NS_PER_MS, value};
    exemplar_write(&batch->exemplars, batch_labels(batch, number), &exemplar);
    if (batch->exemplars.failed) {
        batch->exemplars.failed = false;
        buffer_truncate(&batch->exemplars, before);
        return error_set(err, ERR_INVALID, "a batch has more exemplars than fit");
    }
    batch->exemplar_count++;
    return true;
}

void batch_set_producer(struct batch *batch, struct slice producer, uint64_t epoch,
                        uint64_t sequence)
{
    struct slice name = slice_sub(producer, 0, PRODUCER_NAME_MAX);
    memcpy(batch->producer, name.data, name.size);
    batch->producer_size = name.size;
    batch->epoch = epoch;
    batch->sequence = sequence;
    batch->has_producer = true;
}

/* ---- committing -------------------------------------------------------- */

/* The record up to the body. */
static void encode_head(struct batch *batch)
{
    struct buffer list;
    buffer_init(&list, WAL_PAYLOAD_MAX / 8);
    if (batch->metadata_count > 0) {
        buffer_put_varint(&list, batch->metadata_count);
        buffer_append_slice(&list, buffer_slice(&batch->metadata));
    }
    struct wal_batch head = {
        .tenant = slice_from_text(batch->head->tenant),
        .kind = batch->head->kind,
        .has_producer = batch->has_producer,
        .id = {.producer = slice_of(batch->producer, batch->producer_size),
               .epoch = batch->epoch,
               .sequence = batch->sequence},
        .metadata = buffer_slice(&list),
        .has_window =
            batch->head->window_ns != batch->store->options.out_of_order_ns[batch->head->kind],
        .window_ns = batch->head->window_ns,
        .series_count = batch->table.count,
    };
    wal_batch_write(&batch->head_bytes, &head);
    int64_t before = 0;
    for (size_t i = 0; i < batch->ids.count; i++) {
        buffer_put_zigzag(&batch->head_bytes, (int64_t)batch->ids.items[i] - before);
        before = batch->ids.items[i];
    }
    buffer_done(&list);
}

/*
 * Text is written to the log compressed when it is worth it: the disk writes a third of it,
 * for little more CPU than writing all of it takes.  Here, so that the WAL writer need not.
 */
static void pack(struct batch *batch)
{
    struct error ignored = {0};
    const struct buffer *body = &batch->body;
    if (batch->head->kind != STORE_LOG || body->size < PACK_SIZE_MIN ||
        batch->store->options.wal_plain)
        return;
    buffer_put_varint(&batch->packed, body->size);
    if (!compress_block(buffer_slice(body), COMPRESS_LOG, &batch->packed, &ignored) ||
        batch->packed.failed || batch->packed.size > body->size - body->size / 4)
        buffer_clear(&batch->packed);
}

void batch_commit(struct batch *batch, batch_done *done, void *context)
{
    struct error err = {0};
    struct batch_result result = {0};
    bool nothing = batch->entries == 0 && batch->metadata_count == 0 && !batch->has_producer &&
                   batch->exemplar_count == 0 && batch->tombstone == NULL;
    batch->done = done;
    batch->context = context;
    memcpy(result.refused, batch->refused, sizeof(result.refused));
    if (!nothing) {
        if (batch->tombstone == NULL) {
            encode_head(batch);
            pack(batch);
        }
        batch_count(batch);
        if (buffer_check(&batch->head_bytes, "a batch's series", &err) &&
            committer_enqueue(batch->store->committer, batch, &err))
            return;
        result.error = &err;
    }
    done(context, batch, &result);
    batch_free(batch);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    struct batch_result *result;
    struct error *err;
};

static void wake_waiting(void *context, struct batch *batch, const struct batch_result *result)
{
    (void)batch;
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    *waiting->result = *result;
    if (result->error) {
        *waiting->err = *result->error;
        waiting->result->error = waiting->err;
    }
    waiting->done = true;
    pthread_cond_signal(&waiting->wake);
    pthread_mutex_unlock(&waiting->lock);
}

bool batch_commit_wait(struct batch *batch, struct batch_result *result, struct error *err)
{
    struct batch_result own_result;
    struct error own_error = {0};
    struct waiting waiting = {.result = result ? result : &own_result,
                              .err = err ? err : &own_error};
    pthread_mutex_init(&waiting.lock, NULL);
    pthread_cond_init(&waiting.wake, NULL);
    batch_commit(batch, wake_waiting, &waiting);
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.done)
        pthread_cond_wait(&waiting.wake, &waiting.lock);
    pthread_mutex_unlock(&waiting.lock);
    pthread_mutex_destroy(&waiting.lock);
    pthread_cond_destroy(&waiting.wake);
    return waiting.result->error == NULL;
}
