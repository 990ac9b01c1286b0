/*
 * partition_format.c - keys and values of a day's databases (see
 * partition_internal.h and docs/format-partition.md).
 */
#include "base/buffer.h"
#include "base/bytes.h"
#include "storage/partition_internal.h"

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

bool state_is_newer(struct slice in)
{
    return in.size >= 4 && bytes_get32(in.data) > PARTITION_FORMAT;
}

bool state_get(struct slice in, struct partition_state *s)
{
    if (in.size != STATE_SIZE || bytes_get32(in.data + 36) != checksum32(in.data, 36))
        return false;
    uint32_t format = bytes_get32(in.data);
    if (format == 0 || format > PARTITION_FORMAT)
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
