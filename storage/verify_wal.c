/*
 * verify_wal.c - the log's segments: framing, order, and the shape of records.
 *
 * A bad end of the last segment may be what a crash left; it is told as a note
 * unless whole records of a later write group stand behind it.
 */
#include "storage/verify_internal.h"

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/table.h"
#include "storage/exemplars.h"
#include "storage/tombstones.h"
#include "storage/wal.h"
#include "storage/wal_read.h"

#include <limits.h>

/* The series that the segment at hand has defined, by tenant, kind and id. */
struct known_series {
    uint64_t tenant; /* hash of name and kind */
    uint32_t id;
};

struct segment {
    struct verify_run *run;
    char path[PATH_MAX];
    ARRAY(struct known_series) series;
    struct table series_table;
    struct label *labels; /* room for WAL_LABELS_MAX */
};

static uint64_t tenant_key(struct slice tenant, unsigned kind)
{
    return hash64(tenant.data, tenant.size, kind);
}

static uint64_t series_hash(const struct known_series *key)
{
    return (key->tenant ^ key->id) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool series_equal(const void *items, uint32_t index, const void *key)
{
    const struct known_series *a = (const struct known_series *)items + index, *b = key;
    return a->tenant == b->tenant && a->id == b->id;
}

static bool series_known(const struct segment *s, const struct known_series *key)
{
    return table_find(&s->series_table, series_hash(key), series_equal, s->series.items, key) !=
           TABLE_NONE;
}

static const char *check_series(struct segment *s, struct slice payload)
{
    struct reader in = reader_of(payload);
    struct slice tenant = read_sized(&in);
    uint8_t kind = read8(&in);
    uint64_t count = read_varint(&in);
    if (in.failed || kind >= STORE_KINDS || tenant.size == 0 || tenant.size > TENANT_NAME_MAX)
        return "malformed series record";
    for (uint64_t i = 0; i < count; i++) {
        struct wal_series series;
        size_t labels;
        if (!wal_series_read(&in, &series, s->labels, &labels))
            return "malformed series definition";
        struct known_series key = {tenant_key(tenant, kind), series.id};
        if (series_known(s, &key))
            continue;
        table_insert(&s->series_table, series_hash(&key), (uint32_t)s->series.count);
        array_push(&s->series, key);
    }
    return reader_left(&in) == 0 ? NULL : "malformed series record";
}

static const char *check_batch(const struct segment *s, const struct wal_record *record)
{
    struct reader in = reader_of(record->payload);
    struct wal_batch batch;
    if (!wal_batch_read(&in, &batch))
        return "malformed batch";
    int64_t id = 0;
    for (uint64_t i = 0; i < batch.series_count; i++) {
        if (__builtin_add_overflow(id, read_zigzag(&in), &id) || in.failed || id < 0 ||
            id >= UINT32_MAX)
            return "malformed list of series";
        struct known_series key = {tenant_key(batch.tenant, batch.kind), (uint32_t)id};
        if (!series_known(s, &key))
            return "a batch names a series that the segment does not define";
    }
    if (record->type != WAL_PACKED_ENTRIES)
        return NULL;
    AUTO(buffer_done) struct buffer entries;
    struct slice body;
    buffer_init(&entries, WAL_PAYLOAD_MAX);
    return wal_entries_unpack(&in, &entries, &body) ? NULL : "entries that do not unpack";
}

static const char *check_record(struct segment *s, const struct wal_record *record)
{
    switch (record->type) {
    case WAL_SERIES:
        return check_series(s, record->payload);
    case WAL_SAMPLES:
    case WAL_ENTRIES:
    case WAL_PACKED_ENTRIES:
        return check_batch(s, record);
    case WAL_TOMBSTONE: {
        struct error ignored = {0};
        struct tombstone *tombstone = tombstone_read(record->payload, record->lsn, &ignored);
        bool malformed = tombstone == NULL;
        tombstone_unref(tombstone);
        return malformed ? "malformed tombstone" : NULL;
    }
    case WAL_EXEMPLARS:
        return exemplars_check(record->payload) ? NULL : "malformed exemplars record";
    default:
        return NULL; /* the checksum has been checked */
    }
}

static void tell_bad_record(struct segment *s, struct wal_reader *reader, bool last)
{
    struct error err = {0};
    bool damaged = true;
    unsigned long long offset = wal_reader_offset(reader);
    unsigned long long rest = wal_reader_size(reader) - wal_reader_offset(reader);
    if (last && !wal_reader_damaged(reader, &damaged, &err))
        verify_problem(s->run, "%s", err.message);
    else if (last && !damaged)
        verify_note(s->run,
                    "%s: offset %llu: the last %llu bytes are no whole record, as after a crash; "
                    "the next start cuts them",
                    s->path, offset, rest);
    else
        verify_problem(s->run,
                       "%s: offset %llu: record %llu is damaged, with it and behind it are %llu "
                       "bytes",
                       s->path, offset, (unsigned long long)wal_reader_next_lsn(reader), rest);
}

static void check_records(struct segment *s, struct wal_reader *reader, bool last)
{
    for (;;) {
        struct wal_record record;
        struct error err = {0};
        unsigned long long offset = wal_reader_offset(reader);
        enum wal_read outcome = wal_reader_next(reader, &record, &err);
        if (outcome == WAL_READ_END)
            return;
        if (outcome == WAL_READ_ERROR) {
            verify_problem(s->run, "%s: offset %llu: %s", s->path, offset, err.message);
            return;
        }
        if (outcome == WAL_READ_BAD) {
            tell_bad_record(s, reader, last);
            return;
        }
        s->run->report->records++;
        const char *wrong = check_record(s, &record);
        if (wrong)
            verify_problem(s->run, "%s: offset %llu: record %llu: %s", s->path, offset,
                           (unsigned long long)record.lsn, wrong);
    }
}

/* `*next_lsn` is what the segment must begin with, 0: unknown; then what the next one must. */
static void check_segment(struct segment *s, uint64_t number, bool last, uint64_t *next_lsn)
{
    bool valid;
    struct error err = {0};
    struct wal_reader *reader = wal_reader_open(s->path, &valid, &err);
    s->series.count = 0;
    table_done(&s->series_table);
    s->series_table = (struct table){0};
    s->run->file_lines = 0;
    if (reader == NULL) {
        verify_problem(s->run, "%s: %s", s->path, err.message);
        *next_lsn = 0;
        return;
    }
    s->run->report->segments++;
    if (!valid && last &&
        (wal_reader_size(reader) <= WAL_HEADER_SIZE || wal_reader_is_blank(reader))) {
        verify_note(s->run, "%s: offset 0: its start was cut short; the next start removes it",
                    s->path);
    } else if (!valid) {
        verify_problem(s->run, "%s: offset 0: no valid header", s->path);
        *next_lsn = 0;
    } else {
        const struct wal_segment_header *header = wal_reader_header(reader);
        if (header->number != number || (*next_lsn != 0 && header->first_lsn != *next_lsn))
            verify_problem(s->run,
                           "%s: offset 0: it is segment %llu from record %llu on, expected was "
                           "record %llu",
                           s->path, (unsigned long long)header->number,
                           (unsigned long long)header->first_lsn, (unsigned long long)*next_lsn);
        uint64_t problems = s->run->report->problems;
        check_records(s, reader, last);
        *next_lsn = s->run->report->problems == problems ? wal_reader_next_lsn(reader) : 0;
    }
    wal_reader_close(reader);
}

void verify_wal(struct verify_run *run)
{
    struct error err = {0};
    uint64_t *numbers, next_lsn = 0;
    size_t count;
    if (!wal_segments(run->directory, &numbers, &count, &err)) {
        verify_problem(run, "%s", err.message);
        return;
    }
    struct segment *s = xcalloc(1, sizeof(*s));
    s->run = run;
    s->labels = xcalloc(WAL_LABELS_MAX, sizeof(*s->labels));
    for (size_t i = 0; i < count; i++) {
        wal_path(run->directory, numbers[i], s->path, sizeof(s->path));
        if (i > 0 && numbers[i] != numbers[i - 1] + 1) {
            verify_problem(run, "%s: the segment before it is missing", s->path);
            next_lsn = 0;
        }
        check_segment(s, numbers[i], i + 1 == count, &next_lsn);
    }
    array_done(&s->series);
    table_done(&s->series_table);
    free(s->labels);
    free(s);
    free(numbers);
}
