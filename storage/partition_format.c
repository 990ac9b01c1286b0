/*
 * partition_format.c - keys and values of a day's databases (see
 * partition_internal.h and docs/format-partition.md).
 */
#include "base/buffer.h"
#include "base/bytes.h"
#include "storage/chunk_internal.h"
#include "storage/partition_internal.h"

enum { GROUP_MAGIC = 0x31475445, ROW_SIZE_MAX = 96, ROW_RICH = 128 }; /* "ETG1" */

struct slice key_u32(char key[4], uint32_t a)
{
    bytes_put32_big(key, a);
    return slice_of(key, 4);
}

struct slice key_u64(char key[8], uint32_t a, uint32_t b)
{
    bytes_put32_big(key, a);
    bytes_put32_big(key + 4, b);
    return slice_of(key, 8);
}

struct slice key_postings(char key[12], uint32_t name, uint32_t value, uint32_t first)
{
    bytes_put32_big(key, name);
    bytes_put32_big(key + 4, value);
    bytes_put32_big(key + 8, first);
    return slice_of(key, 12);
}

void state_put(char out[STATE_SIZE], const struct partition_state *s)
{
    bytes_put32(out, PARTITION_FORMAT);
    bytes_put32(out + 4, s->series);
    bytes_put32(out + 8, s->symbols);
    bytes_put32(out + 12, s->groups);
    bytes_put32(out + 16, s->columns);
    bytes_put64(out + 20, s->chunks);
    bytes_put64(out + 28, s->lsn_max);
    bytes_put32(out + 36, checksum32(out, 36));
}

bool state_get(struct slice in, struct partition_state *s)
{
    if (in.size != STATE_SIZE || bytes_get32(in.data + 36) != checksum32(in.data, 36))
        return false;
    if (bytes_get32(in.data) != PARTITION_FORMAT)
        return false;
    s->series = bytes_get32(in.data + 4);
    s->symbols = bytes_get32(in.data + 8);
    s->groups = bytes_get32(in.data + 12);
    s->columns = bytes_get32(in.data + 16);
    s->chunks = bytes_get64(in.data + 20);
    s->lsn_max = bytes_get64(in.data + 28);
    return true;
}

void closed_put(char out[CLOSED_SIZE], const struct partition_closed *c)
{
    bytes_put64(out, c->lsn);
    bytes_put32(out + 8, c->groups);
    bytes_put32(out + 12, checksum32(out, 12));
}

bool closed_get(struct slice in, struct partition_closed *c)
{
    if (in.size != CLOSED_SIZE || bytes_get32(in.data + 12) != checksum32(in.data, 12))
        return false;
    c->lsn = bytes_get64(in.data);
    c->groups = bytes_get32(in.data + 8);
    return true;
}

void summary_put(char out[SUMMARY_SIZE], const struct group_summary *s)
{
    bytes_put32(out, s->series_min);
    bytes_put32(out + 4, s->series_max);
    bytes_put64(out + 8, (uint64_t)s->first_ns);
    bytes_put64(out + 16, (uint64_t)s->last_ns);
    bytes_put64(out + 24, s->lsn_max);
    bytes_put32(out + 32, s->chunks);
    bytes_put32(out + 36, s->size);
    bytes_put32(out + 40, 0);
    bytes_put32(out + 44, checksum32(out, 44));
}

bool summary_get(struct slice key, struct slice value, struct group_summary *s)
{
    if (key.size != 8 || value.size != SUMMARY_SIZE ||
        bytes_get32(value.data + 44) != checksum32(value.data, 44))
        return false;
    s->key = bytes_get64_big(key.data);
    s->series_min = bytes_get32(value.data);
    s->series_max = bytes_get32(value.data + 4);
    s->first_ns = (int64_t)bytes_get64(value.data + 8);
    s->last_ns = (int64_t)bytes_get64(value.data + 16);
    s->lsn_max = bytes_get64(value.data + 24);
    s->chunks = bytes_get32(value.data + 32);
    s->size = bytes_get32(value.data + 36);
    return true;
}

/* ---- series ---------------------------------------------------------------- */

void series_put(struct hash128 fingerprint, const struct label_pair *pairs, size_t count,
                struct buffer *out)
{
    buffer_put64(out, fingerprint.low);
    buffer_put64(out, fingerprint.high);
    buffer_put_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        buffer_put_varint(out, pairs[i].name);
        buffer_put_varint(out, pairs[i].value);
    }
}

bool series_get(struct slice in, struct hash128 *fingerprint, struct label_pair *pairs,
                size_t *count)
{
    struct reader r = reader_of(in);
    fingerprint->low = read64(&r);
    fingerprint->high = read64(&r);
    uint64_t n = read_varint(&r);
    if (r.failed || n > SERIES_LABELS_MAX)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t name = read_varint(&r), value = read_varint(&r);
        if (name > UINT32_MAX || value > UINT32_MAX)
            return false;
        pairs[i] = (struct label_pair){(uint32_t)name, (uint32_t)value};
    }
    *count = (size_t)n;
    return !r.failed && reader_left(&r) == 0;
}

/* ---- postings --------------------------------------------------------------- */

/* How many numbers from `at` on each follow the one before by 1. */
static size_t run_length(const uint32_t *numbers, size_t count, size_t at)
{
    size_t run = 0;
    while (at + run < count && numbers[at + run] == numbers[at + run - 1] + 1)
        run++;
    return run;
}

size_t postings_put(const uint32_t *numbers, size_t count, struct buffer *out)
{
    size_t start = out->size, done = 1;
    buffer_put32(out, 0);
    while (done < count && out->size - start < POSTINGS_PIECE_MAX) {
        size_t run = run_length(numbers, count, done);
        if (run >= POSTINGS_RUN_MIN) {
            buffer_put8(out, 0);
            buffer_put_varint(out, run);
            done += run;
        } else {
            buffer_put_varint(out, numbers[done] - numbers[done - 1]);
            done++;
        }
    }
    if (!out->failed)
        bytes_put32(out->data + start,
                    checksum32(out->data + start + 4, out->size - start - 4) ^ numbers[0]);
    return done;
}

bool postings_get(uint32_t first, struct slice in, struct series_numbers *numbers)
{
    struct reader r = reader_of(in);
    uint32_t sum = read32(&r);
    if (r.failed || sum != (checksum32(r.at, reader_left(&r)) ^ first))
        return false;
    array_push(numbers, first);
    uint64_t number = first;
    while (reader_left(&r) > 0) {
        uint64_t rise = read_varint(&r);
        uint64_t run = rise == 0 ? read_varint(&r) : 1;
        if (r.failed || run == 0 || run > UINT32_MAX - number || rise > UINT32_MAX - number)
            return false;
        array_reserve(numbers, numbers->count + run);
        for (uint64_t i = 0; i < run; i++) {
            number += rise == 0 ? 1 : rise;
            numbers->items[numbers->count++] = (uint32_t)number;
        }
    }
    return true;
}

/* ---- groups ------------------------------------------------------------------ */

/* Differences to the row before keep a row at about 14 bytes. */
static void row_put(const struct chunk_ref *ref, struct directory_row *before, struct buffer *out)
{
    const struct chunk_ref *old = &before->ref;
    int64_t unit = chunk_unit_ns(ref->unit);
    int64_t first = chunk_time_in_units(ref->first_ns, ref->unit);
    int64_t span = (int64_t)(((uint64_t)ref->last_ns - (uint64_t)ref->first_ns) / (uint64_t)unit);
    int64_t first_before = ref->unit == old->unit ? before->first_units : 0;
    buffer_put_varint(out, ref->series - old->series);
    buffer_put8(out, (uint8_t)((ref->kind == CHUNK_ENTRIES) | ref->flags << 1 | ref->unit << 4 |
                               (ref->kind == CHUNK_RICH ? ROW_RICH : 0)));
    buffer_put_zigzag(out, (int64_t)ref->count - (int64_t)old->count);
    buffer_put_zigzag(out, (int64_t)((uint64_t)first - (uint64_t)first_before));
    buffer_put_zigzag(out, (int64_t)((uint64_t)span - (uint64_t)before->span_units));
    buffer_put_zigzag(out, (int64_t)(ref->lsn_max - old->lsn_max));
    buffer_put_varint(out, ref->size);
    buffer_put_varint(out, ref->times_size);
    buffer_put_varint(out, ref->column);
    buffer_put32(out, ref->checksum);
    *before = (struct directory_row){first, span, *ref};
}

static bool row_get(struct reader *r, struct directory_row *row)
{
    struct chunk_ref *ref = &row->ref;
    unsigned unit_before = ref->unit;
    uint64_t series = ref->series + read_varint(r);
    uint8_t flags = read8(r);
    int64_t count = (int64_t)ref->count + read_zigzag(r);
    ref->unit = flags >> 4 & 7;
    uint64_t first = (uint64_t)read_zigzag(r);
    if (ref->unit == unit_before)
        first += (uint64_t)row->first_units;
    uint64_t span = (uint64_t)row->span_units + (uint64_t)read_zigzag(r);
    ref->lsn_max += (uint64_t)read_zigzag(r);
    uint64_t size = read_varint(r), times_size = read_varint(r), column = read_varint(r);
    ref->checksum = read32(r);
    if (r->failed || series > UINT32_MAX || count <= 0 || count > UINT32_MAX || size > UINT32_MAX ||
        times_size > size || column > UINT32_MAX || ref->unit >= CHUNK_UNITS)
        return false;
    ref->series = (uint32_t)series;
    ref->kind = flags & ROW_RICH ? CHUNK_RICH : flags & 1 ? CHUNK_ENTRIES : CHUNK_SAMPLES;
    ref->flags = flags >> 1 & 7;
    ref->count = (uint32_t)count;
    uint64_t unit = (uint64_t)chunk_unit_ns(ref->unit);
    ref->first_ns = (int64_t)(first * unit);
    ref->last_ns = (int64_t)((first + span) * unit);
    ref->size = (uint32_t)size;
    ref->times_size = (uint32_t)times_size;
    ref->column = (uint32_t)column;
    row->first_units = (int64_t)first;
    row->span_units = (int64_t)span;
    return true;
}

void group_put(const struct chunk_ref *refs, size_t count, const struct slice *bodies,
               struct buffer *out)
{
    size_t start = out->size;
    struct directory_row before = {0};
    buffer_put32(out, GROUP_MAGIC);
    buffer_put32(out, 0);
    buffer_put32(out, 0);
    buffer_put32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        row_put(&refs[i], &before, out);
    if (out->failed)
        return;
    char *group = out->data + start;
    size_t head = out->size - start;
    bytes_put32(group + 8, (uint32_t)(head - GROUP_HEAD_SIZE));
    bytes_put32(group + 4, checksum32(group + 8, head - 8));
    for (size_t i = 0; i < count; i++)
        buffer_append_slice(out, bodies[i]);
}

bool group_open(struct slice group, uint64_t key, struct group_reader *g)
{
    if (group.size < GROUP_HEAD_SIZE || bytes_get32(group.data) != GROUP_MAGIC)
        return false;
    uint32_t directory = bytes_get32(group.data + 8);
    if (directory > group.size - GROUP_HEAD_SIZE ||
        bytes_get32(group.data + 4) != checksum32(group.data + 8, directory + 8))
        return false;
    *g = (struct group_reader){.group = group, .key = key};
    g->at = (const uint8_t *)group.data + GROUP_HEAD_SIZE;
    g->end = g->at + directory;
    g->left = bytes_get32(group.data + 12);
    g->offset = GROUP_HEAD_SIZE + directory;
    return true;
}

bool group_next(struct group_reader *g, struct chunk_ref *ref)
{
    if (g->left == 0)
        return false;
    struct reader r = {g->at, g->end, false};
    if (!row_get(&r, &g->row) || g->row.ref.size > g->group.size - g->offset)
        return false;
    g->at = r.at;
    g->left--;
    g->row.ref.group = g->key;
    g->row.ref.offset = g->offset;
    g->offset += g->row.ref.size;
    *ref = g->row.ref;
    return true;
}

bool group_is_sound(const struct group_reader *g)
{
    return g->left == 0 && g->at == g->end && g->offset == g->group.size;
}
