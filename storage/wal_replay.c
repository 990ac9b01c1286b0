/*
 * wal_replay.c - from the log back to the head, at start.
 *
 * Runs before the store's threads; meanwhile request threads fill batches, which create
 * series but change nothing on which decisions depend, and wait for its end.  Segments are
 * read in order, records go through the same head_apply as live batches; what a partition's
 * marks cover is decided again but not stored again.  When the head grows over half its
 * limit it is sealed on the way.  Bad bytes: docs/format-wal.md.
 */
#include "storage/store_internal.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/sealer.h"
#include "storage/tombstones.h"
#include "storage/wal_read.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096, DAYS_HELD_MAX = 32, DIRECT_IDS_MAX = 1 << 22 };

/* The series that the segment at hand has defined for one head. */
struct defined {
    uint32_t id;
    struct series *series;
};

/* The mark that a series needed last, which nearly always is the one that it needs next. */
struct recent {
    int32_t day;
    uint32_t mark; /* its number plus one; 0: none yet */
};

struct id_map {
    struct head *head;
    ARRAY(struct series *) direct; /* by id: ids are dense; NULL: not defined */
    struct table table;            /* of ids from DIRECT_IDS_MAX on, to index in items */
    ARRAY(struct defined) items;
    ARRAY(struct recent) recent; /* by the head's own id */
};

struct day {
    struct head *head;
    int32_t day;
    struct partition *partition; /* NULL: nothing sealed */
};

struct mark {
    const struct series *series;
    int32_t day;
    uint64_t gone_lsn; /* retention took the day with everything up to it */
    struct sealed_state state;
};

struct replay {
    struct store *store;
    const struct wal_segment_header *header;
    ARRAY(struct id_map) maps;
    ARRAY(struct day) days;
    ARRAY(struct mark) marks;
    struct table mark_table;
    ARRAY(struct label) labels; /* scratch */
    struct series_list table;   /* scratch: of the batch at hand */
    struct buffer unpacked;     /* scratch: its entries */
    struct id_map *covering;    /* of the batch at hand */
    ARRAY(struct wal_known) known;
    uint64_t next_lsn; /* 0: not known yet */
    struct error error;
};

/* ---- what partitions hold already --------------------------------------- */

static void days_release(struct replay *r)
{
    for (size_t i = 0; i < r->days.count; i++)
        partition_release(r->days.items[i].partition);
    r->days.count = 0;
}

static struct day *find_day(struct replay *r, struct head *head, int32_t number)
{
    for (size_t i = r->days.count; i-- > 0;) {
        if (r->days.items[i].head == head && r->days.items[i].day == number)
            return &r->days.items[i];
    }
    /* A log may touch more days than there are descriptors; marks are kept anyway. */
    if (r->days.count == DAYS_HELD_MAX)
        days_release(r);
    struct day day = {head, number, NULL};
    struct partition_id id = {slice_from_text(head->tenant), head->kind, number};
    if (catalog_generation(r->store->catalog, id.tenant, id.kind, number) != 0) {
        day.partition = partition_acquire(r->store->partitions, &id, &r->error);
        /* Of a damaged day nothing counts as sealed: what the log has stays readable. */
        if (day.partition == NULL && r->error.code == ERR_CORRUPT)
            r->error = (struct error){0};
        else if (day.partition == NULL)
            return NULL;
    }
    array_push(&r->days, day);
    return &r->days.items[r->days.count - 1];
}

static bool mark_equal(const void *items, uint32_t index, const void *key)
{
    const struct mark *mark = &((const struct replay *)items)->marks.items[index];
    const struct mark *wanted = key;
    return mark->series == wanted->series && mark->day == wanted->day;
}

static const struct mark *find_mark(struct replay *r, const struct series *series, int32_t number)
{
    struct mark wanted = {.series = series, .day = number};
    uint64_t hash = ((uint64_t)(uintptr_t)series ^ ((uint64_t)(uint32_t)number << 40)) *
                    UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = table_find(&r->mark_table, hash, mark_equal, r, &wanted);
    if (at != TABLE_NONE)
        return &r->marks.items[at];
    struct head *head = r->covering->head;
    const struct day *day = find_day(r, head, number);
    if (day == NULL)
        return NULL;
    wanted.gone_lsn =
        catalog_gone_lsn(r->store->catalog, slice_from_text(head->tenant), head->kind, number);
    if (day->partition) {
        array_reserve(&r->labels, series->pair_count);
        struct labels labels = head_labels(head, series, r->labels.items);
        if (!partition_sealed(day->partition, labels, &wanted.state, &r->error))
            return NULL;
    }
    table_insert(&r->mark_table, hash, (uint32_t)r->marks.count);
    array_push(&r->marks, wanted);
    return &r->marks.items[r->marks.count - 1];
}

static const struct mark *find_mark_fast(struct replay *r, const struct series *series,
                                         int32_t number)
{
    struct id_map *map = r->covering;
    if (series->id < map->recent.count) {
        const struct recent *recent = &map->recent.items[series->id];
        if (LIKELY(recent->mark != 0 && recent->day == number))
            return &r->marks.items[recent->mark - 1];
    }
    const struct mark *mark = find_mark(r, series, number);
    if (mark == NULL)
        return NULL;
    array_reserve(&map->recent, (size_t)series->id + 1);
    while (map->recent.count <= series->id)
        array_push(&map->recent, ((struct recent){0, 0}));
    uint32_t at = (uint32_t)(mark - r->marks.items);
    map->recent.items[series->id] = (struct recent){number, at + 1};
    return mark;
}

/* apply_sealed: runs inside head_apply, with the head's lock held (nobody else is there). */
static bool covers(void *context, const struct series *series, bool side, int64_t time_ns,
                   uint64_t lsn)
{
    struct replay *r = context;
    if (r->error.code != ERR_NONE)
        return false;
    const struct mark *mark = find_mark_fast(r, series, partition_day(time_ns));
    if (mark == NULL)
        return false;
    if (lsn <= mark->gone_lsn)
        return true;
    const struct sealed_state *state = &mark->state;
    if (lsn <= state->day_lsn)
        return true;
    if (!state->known)
        return false;
    if (side)
        return lsn <= state->lsn[1];
    return lsn < state->lsn[0] || (lsn == state->lsn[0] && time_ns <= state->last_ns);
}

/* ---- records ----------------------------------------------------------- */

static struct id_map *find_map(struct replay *r, struct slice tenant, enum store_kind kind,
                               struct error *err)
{
    for (size_t i = 0; i < r->maps.count; i++) {
        struct head *head = r->maps.items[i].head;
        if (head->kind == kind && slice_equal(slice_from_text(head->tenant), tenant))
            return &r->maps.items[i];
    }
    struct id_map map = {.head = store_head(r->store, tenant, kind)};
    if (map.head == NULL)
        map.head = store_head_make(r->store, tenant, kind, err);
    if (map.head == NULL)
        return NULL;
    array_push(&r->maps, map);
    return &r->maps.items[r->maps.count - 1];
}

static bool id_equal(const void *items, uint32_t index, const void *key)
{
    return ((const struct id_map *)items)->items.items[index].id == *(const uint32_t *)key;
}

static uint64_t id_hash(uint32_t id)
{
    return id * UINT64_C(0x9e3779b97f4a7c15);
}

static struct series *map_find(const struct id_map *map, uint32_t id)
{
    if (LIKELY(id < map->direct.count))
        return map->direct.items[id];
    uint32_t at = table_find(&map->table, id_hash(id), id_equal, map, &id);
    return at == TABLE_NONE ? NULL : map->items.items[at].series;
}

static void map_put(struct id_map *map, uint32_t id, struct series *series)
{
    if (id < DIRECT_IDS_MAX) {
        array_reserve(&map->direct, (size_t)id + 1);
        while (map->direct.count <= id)
            array_push(&map->direct, NULL);
        map->direct.items[id] = series;
        return;
    }
    uint32_t at = table_find(&map->table, id_hash(id), id_equal, map, &id);
    if (at != TABLE_NONE) {
        map->items.items[at].series = series;
        return;
    }
    table_insert(&map->table, id_hash(id), (uint32_t)map->items.count);
    array_push(&map->items, ((struct defined){id, series}));
}

static bool malformed(const char *what, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "malformed %s", what);
}

static bool replay_series(struct replay *r, struct slice payload, struct error *err)
{
    struct reader in = reader_of(payload);
    struct slice tenant = read_sized(&in);
    uint8_t kind = read8(&in);
    uint64_t count = read_varint(&in);
    if (in.failed || kind >= STORE_KINDS || tenant.size == 0 || tenant.size > TENANT_NAME_MAX)
        return malformed("series record", err);
    struct id_map *map = find_map(r, tenant, kind == STORE_LOG ? STORE_LOG : STORE_METRIC, err);
    if (map == NULL)
        return false;
    array_reserve(&r->labels, WAL_LABELS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct wal_series definition;
        size_t labels;
        if (!wal_series_read(&in, &definition, r->labels.items, &labels))
            return malformed("series definition", err);
        struct series *series =
            head_define(map->head, (struct labels){r->labels.items, labels}, 0, store_now_s(), err);
        if (series == NULL)
            return false;
        series->last_ns = definition.last_ns;
        series->last_bits = definition.last_bits;
        map_put(map, definition.id, series);
    }
    return reader_left(&in) == 0 || malformed("series record", err);
}

/* The series that the batch names, in r->table. */
static bool read_table(struct replay *r, struct reader *in, const struct id_map *map,
                       uint64_t count, struct error *err)
{
    int64_t id = 0;
    r->table.count = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(id, read_zigzag(in), &id) || in->failed)
            return malformed("list of series", err);
        struct series *series = id < 0 || id >= TABLE_NONE ? NULL : map_find(map, (uint32_t)id);
        if (series == NULL)
            return error_set(err, ERR_CORRUPT, "series %lld is not defined in this segment",
                             (long long)id);
        array_push(&r->table, series);
    }
    return true;
}

static bool replay_batch(struct replay *r, const struct wal_record *record, struct error *err)
{
    struct reader in = reader_of(record->payload);
    struct wal_batch batch;
    if (!wal_batch_read(&in, &batch) ||
        (record->type == WAL_SAMPLES) != (batch.kind == STORE_METRIC))
        return malformed("batch", err);
    struct id_map *map = find_map(r, batch.tenant, batch.kind, err);
    if (map == NULL || !read_table(r, &in, map, batch.series_count, err))
        return false;
    r->covering = map;
    struct slice body = slice_of(in.at, reader_left(&in));
    if (record->type == WAL_PACKED_ENTRIES && !wal_entries_unpack(&in, &r->unpacked, &body))
        return malformed("batch of packed entries", err);
    struct apply_sealed sealed = {covers, r};
    struct apply_result applied = {0};
    struct apply_batch apply = {.body = body,
                                .table = r->table.items,
                                .table_count = r->table.count,
                                .lsn = record->lsn,
                                .now_s = store_now_s(),
                                .window_ns = batch.has_window ? batch.window_ns
                                                              : r->header->window_ns[batch.kind],
                                .sealed = &sealed};
    bool ok = head_apply(map->head, &apply, &applied);
    if (r->error.code != ERR_NONE) {
        *err = r->error;
        return false;
    }
    if (!ok || (batch.metadata.size > 0 &&
                !metadata_apply(r->store->metadata, batch.tenant, batch.metadata)))
        return malformed("batch", err);
    if (batch.has_producer)
        producers_add(r->store->producers, &batch.id);
    struct store_replay *report = &r->store->replay;
    store_count(batch.kind == STORE_METRIC ? &report->samples : &report->entries, applied.stored);
    store_count(&report->skipped, applied.skipped);
    __atomic_add_fetch(&r->store->head_memory, (uint64_t)applied.memory, __ATOMIC_RELAXED);
    if (batch.kind == STORE_LOG)
        __atomic_add_fetch(&r->store->log_memory, (uint64_t)applied.memory, __ATOMIC_RELAXED);
    return true;
}

static bool replay_metadata(struct replay *r, struct slice payload, struct error *err)
{
    struct reader in = reader_of(payload);
    struct slice tenant = read_sized(&in);
    if (in.failed || tenant.size == 0 || tenant.size > TENANT_NAME_MAX ||
        !metadata_apply(r->store->metadata, tenant, slice_of(in.at, reader_left(&in))))
        return malformed("metadata record", err);
    return true;
}

static bool replay_tombstone(struct replay *r, const struct wal_record *record, struct error *err)
{
    struct tombstone *tombstone = tombstone_read(record->payload, record->lsn, err);
    if (tombstone == NULL)
        return false;
    struct id_map *map = find_map(r, tombstone->tenant, tombstone->kind, err);
    if (map == NULL) {
        tombstone_unref(tombstone);
        return false;
    }
    head_hide(map->head, r->store->tombstones, tombstone);
    return true;
}

static bool replay_exemplars(struct replay *r, struct slice payload, struct error *err)
{
    struct reader in = reader_of(payload);
    struct slice tenant = read_sized(&in);
    if (!exemplars_check(payload) ||
        !exemplars_apply(r->store->exemplars, tenant, slice_of(in.at, reader_left(&in)), NULL))
        return malformed("exemplars record", err);
    return true;
}

static bool replay_record(struct replay *r, const struct wal_record *record, struct error *err)
{
    store_count(&r->store->replay.records, 1);
    switch (record->type) {
    case WAL_SERIES:
        return replay_series(r, record->payload, err);
    case WAL_SAMPLES:
    case WAL_ENTRIES:
    case WAL_PACKED_ENTRIES:
        return replay_batch(r, record, err);
    case WAL_METADATA:
        return replay_metadata(r, record->payload, err);
    case WAL_EXEMPLARS:
        return replay_exemplars(r, record->payload, err);
    case WAL_TOMBSTONE:
        return replay_tombstone(r, record, err);
    default:
        return producers_read(r->store->producers, record->payload) ||
               malformed("producers record", err);
    }
}

/* ---- segments ---------------------------------------------------------- */

static void maps_clear(struct replay *r)
{
    for (size_t i = 0; i < r->maps.count; i++) {
        array_done(&r->maps.items[i].direct);
        array_done(&r->maps.items[i].recent);
        array_done(&r->maps.items[i].items);
        table_done(&r->maps.items[i].table);
    }
    r->maps.count = 0;
}

/* Cut the segment behind its last good record. */
static bool cut(struct replay *r, const char *path, const struct wal_reader *reader,
                struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_RDWR | O_CLOEXEC, 0, err);
    if (fd < 0 || !file_truncate(fd, wal_reader_offset(reader), err) || !file_sync(fd, err))
        return error_prefix(err, "cutting the torn end of %s", path);
    store_count(&r->store->replay.torn_bytes, wal_reader_size(reader) - wal_reader_offset(reader));
    return true;
}

static bool bad_record(struct replay *r, const char *path, struct wal_reader *reader, bool last,
                       struct error *err)
{
    bool damaged = true;
    if (last) {
        if (!wal_reader_damaged(reader, &damaged, err))
            return false;
        damaged = damaged && (r->header->flags & WAL_DURABLE);
    }
    if (damaged && !r->store->options.repair)
        return error_set(err, ERR_CORRUPT,
                         "%s is damaged at offset %llu (record %llu): acknowledged entries would "
                         "be lost; a start with --repair cuts it there",
                         path, (unsigned long long)wal_reader_offset(reader),
                         (unsigned long long)wal_reader_next_lsn(reader));
    return cut(r, path, reader, err);
}

static bool replay_records(struct replay *r, const char *path, struct wal_reader *reader, bool last,
                           struct error *err)
{
    struct wal_record record;
    for (;;) {
        uint64_t offset = wal_reader_offset(reader);
        enum wal_read outcome = wal_reader_next(reader, &record, err);
        if (outcome == WAL_READ_END)
            return true;
        if (outcome == WAL_READ_ERROR)
            return error_prefix(err, "%s", path);
        if (outcome == WAL_READ_BAD)
            return bad_record(r, path, reader, last, err);
        if (!replay_record(r, &record, err))
            return error_prefix(err, "%s, offset %llu", path, (unsigned long long)offset);
        store_count(&r->store->replay.bytes, wal_reader_offset(reader) - offset);
        if (UNLIKELY(__atomic_load_n(&r->store->cancel_open, __ATOMIC_ACQUIRE)))
            return error_set(err, ERR_CANCELED, "replay was ended early");
        if (store_counter(&r->store->head_memory) > r->store->options.head_memory_max / 2 &&
            !sealer_seal_all(r->store, err))
            return error_prefix(err, "sealing during replay");
    }
}

/* A header that is not whole: the roll was cut short, or the file is damaged. */
static bool bad_header(struct replay *r, const char *path, struct wal_reader *reader, bool last,
                       struct error *err)
{
    uint64_t size = wal_reader_size(reader);
    bool cut_short = last && (size <= WAL_HEADER_SIZE || wal_reader_is_blank(reader));
    if (!cut_short && !r->store->options.repair)
        return error_set(err, ERR_CORRUPT, "%s is damaged at offset 0 (no valid header)", path);
    store_count(&r->store->replay.torn_bytes, size);
    return file_unlink(path, err);
}

static bool replay_segment(struct replay *r, uint64_t number, bool last, struct error *err)
{
    char path[PATH_SIZE];
    bool valid;
    wal_path(r->store->directory, number, path, sizeof(path));
    struct wal_reader *reader = wal_reader_open(path, &valid, err);
    if (reader == NULL)
        return false;
    bool ok;
    const struct wal_segment_header *header = wal_reader_header(reader);
    if (!valid) {
        ok = bad_header(r, path, reader, last, err);
    } else if (!r->store->options.repair &&
               (header->number != number ||
                (r->next_lsn != 0 && header->first_lsn != r->next_lsn))) {
        ok =
            error_set(err, ERR_CORRUPT,
                      "%s begins with record %llu where %llu was expected: a segment is missing",
                      path, (unsigned long long)header->first_lsn, (unsigned long long)r->next_lsn);
    } else {
        r->header = header;
        maps_clear(r);
        ok = replay_records(r, path, reader, last, err);
        r->next_lsn = wal_reader_next_lsn(reader);
        struct wal_known known = {number, r->next_lsn - 1, wal_reader_offset(reader)};
        array_push(&r->known, known);
        store_count(&r->store->replay.segments, 1);
    }
    wal_reader_close(reader);
    return ok;
}

/* Without any segment LSNs must go on behind what partitions have seen. */
static bool lsn_from_partitions(struct replay *r, struct error *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new((size_t)256 << 20);
    struct catalog_day *days;
    size_t count;
    struct tombstones_stats tombstones;
    if (!catalog_all_days(r->store->catalog, arena, &days, &count, err))
        return false;
    if (!catalog_forget_gone(r->store->catalog, UINT64_MAX, err))
        return false;
    tombstones_stats_read(r->store->tombstones, &tombstones);
    if (tombstones.lsn_max >= r->next_lsn)
        r->next_lsn = tombstones.lsn_max + 1;
    for (size_t i = 0; i < count; i++) {
        struct partition_id id = {days[i].tenant, days[i].kind, days[i].day};
        struct partition *partition = partition_acquire(r->store->partitions, &id, err);
        if (partition == NULL)
            return false;
        uint64_t lsn = partition_lsn_max(partition);
        partition_release(partition);
        if (days[i].clean_lsn > lsn)
            lsn = days[i].clean_lsn;
        if (days[i].gone_lsn > lsn)
            lsn = days[i].gone_lsn;
        if (lsn >= r->next_lsn)
            r->next_lsn = lsn + 1;
    }
    return true;
}

/* For the report of how far it is; a file that is gone will be missed later. */
static void measure_all(struct replay *r, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char path[PATH_SIZE];
        struct stat info;
        wal_path(r->store->directory, numbers[i], path, sizeof(path));
        if (stat(path, &info) == 0)
            store_count(&r->store->replay.bytes_all, (uint64_t)info.st_size);
    }
}

static bool replay_all(struct replay *r, const uint64_t *numbers, size_t count, struct error *err)
{
    measure_all(r, numbers, count);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && numbers[i] != numbers[i - 1] + 1 && !r->store->options.repair)
            return error_set(err, ERR_CORRUPT, "log segment %llu is missing",
                             (unsigned long long)numbers[i - 1] + 1);
        if (!replay_segment(r, numbers[i], i + 1 == count, err))
            return false;
    }
    if (r->next_lsn == 0) {
        r->next_lsn = 1;
        return lsn_from_partitions(r, err);
    }
    return true;
}

static void replay_done(struct replay *r)
{
    maps_clear(r);
    array_done(&r->maps);
    days_release(r);
    array_done(&r->days);
    array_done(&r->marks);
    table_done(&r->mark_table);
    buffer_done(&r->unpacked);
    array_done(&r->labels);
    array_done(&r->table);
    array_done(&r->known);
}

bool store_replay_wal(struct store *store, struct error *err)
{
    int64_t start = clock_monotonic_ns();
    struct replay r = {.store = store};
    buffer_init(&r.unpacked, WAL_PAYLOAD_MAX);
    uint64_t *numbers;
    size_t count;
    if (!wal_segments(store->directory, &numbers, &count, err))
        return false;
    bool ok = replay_all(&r, numbers, count, err);
    if (ok) {
        const struct store_options *o = &store->options;
        struct wal_options options = {.directory = store->directory,
                                      .durable = o->ack == STORE_ACK_DURABLE,
                                      .segment_size = o->wal_segment_size,
                                      .window_ns = {o->out_of_order_ns[0], o->out_of_order_ns[1]},
                                      .now_ns = store_now_ns(store)};
        /* The number of a removed segment is used again: a gap would look like damage. */
        uint64_t next_number = r.known.count > 0 ? r.known.items[r.known.count - 1].number + 1
                               : count > 0       ? numbers[count - 1]
                                                 : 1;
        store->start_lsn = store->applied_lsn = r.next_lsn - 1;
        store->wal = wal_new(&options, r.known.items, r.known.count, next_number, r.next_lsn);
    }
    free(numbers);
    replay_done(&r);
    __atomic_store_n(&store->replay.duration_ns, clock_monotonic_ns() - start, __ATOMIC_RELAXED);
    return ok;
}
