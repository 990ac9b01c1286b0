/* head_chunk.c - appending to and decoding the chunks of the head (see head_chunk.h). */
#include "storage/head_chunk.h"

#include "base/bytes.h"
#include "base/duration.h"

#include <assert.h>

enum {
    SAMPLE_SIZE_MAX = 1 + VARINT_SIZE_MAX + 8,
    DATA_FIRST = 48,
    SIDE_SAMPLE_SIZE = 16,
    PIECE_FIRST = 512,
    SAME_TIME_SEARCH_MAX = 64
};

struct head_chunk *head_chunk_new(bool log, bool side, uint32_t now_s)
{
    uint32_t capacity = log ? 0 : DATA_FIRST;
    struct head_chunk *chunk = xmalloc(sizeof(*chunk) + capacity);
    memset(chunk, 0, sizeof(*chunk));
    chunk->refs = 1;
    chunk->created_s = chunk->touched_s = now_s;
    chunk->capacity = capacity;
    chunk->log = log;
    chunk->side = side;
    return chunk;
}

struct head_chunk *head_chunk_ref(struct head_chunk *chunk)
{
    __atomic_add_fetch(&chunk->refs, 1, __ATOMIC_RELAXED);
    return chunk;
}

void head_chunk_unref(struct head_chunk *chunk)
{
    if (chunk == NULL || __atomic_sub_fetch(&chunk->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (struct log_piece *piece = chunk->log ? chunk->pieces : NULL; piece;) {
        struct log_piece *next = piece->next;
        log_piece_unref(piece);
        piece = next;
    }
    free(chunk);
}

size_t head_chunk_memory(const struct head_chunk *chunk)
{
    return sizeof(*chunk) + chunk->capacity;
}

/* Nobody can begin to hold it meanwhile: that takes the head's lock. */
static bool is_shared(const uint32_t *refs)
{
    return __atomic_load_n(refs, __ATOMIC_ACQUIRE) > 1;
}

/* The chunk with another capacity; a reader's one stays as it is. */
static struct head_chunk *resize(struct head_chunk *chunk, uint32_t capacity)
{
    if (!is_shared(&chunk->refs)) {
        chunk = xrealloc(chunk, sizeof(*chunk) + capacity);
    } else {
        size_t behind = offsetof(struct head_chunk, refs) + sizeof(chunk->refs);
        struct head_chunk *copy = xmalloc(sizeof(*copy) + capacity);
        memcpy(copy, chunk, offsetof(struct head_chunk, refs));
        copy->refs = 1;
        memcpy((uint8_t *)copy + behind, (uint8_t *)chunk + behind,
               sizeof(*chunk) - behind + chunk->size);
        head_chunk_unref(chunk);
        chunk = copy;
    }
    chunk->capacity = capacity;
    return chunk;
}

static struct head_chunk *reserve(struct head_chunk *chunk, uint32_t size)
{
    uint32_t needed = chunk->size + size;
    if (LIKELY(needed <= chunk->capacity))
        return chunk;
    uint32_t grown = chunk->capacity + (chunk->capacity < 192 ? 64 : chunk->capacity / 3);
    if (grown < needed)
        grown = needed;
    return resize(chunk, grown);
}

struct head_chunk *head_chunk_shrink(struct head_chunk *chunk)
{
    if (!chunk->log && chunk->capacity - chunk->size >= 32) {
        chunk = resize(chunk, chunk->size);
    } else if (chunk->log && chunk->tail && chunk->tail->capacity > chunk->tail->size &&
               !is_shared(&chunk->tail->refs)) {
        chunk->capacity -= chunk->tail->capacity - chunk->tail->size;
        chunk->tail->data = xrealloc(chunk->tail->data, chunk->tail->size);
        chunk->tail->capacity = chunk->tail->size;
    }
    return chunk;
}

static void note(struct head_chunk *chunk, int64_t time_ns, uint64_t lsn, uint32_t now_s)
{
    if (chunk->count == 0) {
        chunk->first_ns = chunk->last_ns = time_ns;
        chunk->first_lsn = lsn;
    }
    if (time_ns > chunk->last_ns)
        chunk->last_ns = time_ns;
    else if (time_ns < chunk->first_ns) /* read only now: it may lie in another cache line */
        chunk->first_ns = time_ns;
    chunk->last_lsn = lsn;
    chunk->touched_s = now_s;
    chunk->count++;
}

static int64_t bucket_end(int64_t time_ns, int64_t length_ns)
{
    int64_t into = time_ns % length_ns;
    if (into < 0)
        into += length_ns;
    return ns_add(ns_sub(time_ns, into), length_ns);
}

/*
 * Chunks of series with one sampling interval are cut at the same moments, so
 * that they share their times: 30 minutes, or less for fast series.  All
 * lengths divide a day.
 */
static int64_t bucket_length(int64_t delta_ms)
{
    if (delta_ms < 2000)
        return 5 * NS_PER_MINUTE;
    return delta_ms < 8000 ? 15 * NS_PER_MINUTE : 30 * NS_PER_MINUTE;
}

void head_chunk_set_interval(struct head_chunk *chunk, int64_t second_ns)
{
    int64_t delta_ms = ns_sub(second_ns, chunk->first_ns) / NS_PER_MS;
    chunk->end_ns = bucket_end(chunk->first_ns, bucket_length(delta_ms));
}

/* ---- decimal values ------------------------------------------------------- */

enum { DIGITS_MAX = 6, DIGITS_NONE = 8, INTEGER_FORM = 8, INTEGER_SIZE_MAX = 4 };

static const double powers[DIGITS_NONE] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7};

/* The integer nearest to value * 10^digits; false when that is not a safe one. */
static inline bool scale(double value, unsigned digits, int64_t *scaled)
{
    double product = value * powers[digits];
    if (!(product < 9e15 && product > -9e15)) /* NaN, too */
        return false;
    *scaled = (int64_t)(product < 0 ? product - 0.5 : product + 0.5);
    return true;
}

static inline uint64_t unscale(int64_t scaled, unsigned digits)
{
    double value = (double)scaled; /* whole numbers need no division */
    return double_bits(digits > 0 ? value / powers[digits] : value);
}

static inline bool is_decimal(uint64_t bits, unsigned digits, int64_t *scaled)
{
    return scale(double_from_bits(bits), digits, scaled) && unscale(*scaled, digits) == bits;
}

/*
 * The difference of two values as an integer: its bytes in `*difference`, at most
 * INTEGER_SIZE_MAX; 0 when it is none.
 */
static unsigned integer_difference(struct head_chunk *chunk, uint64_t bits, uint64_t *difference)
{
    int64_t now, before;
    unsigned digits = chunk->digits;
    if (UNLIKELY(!is_decimal(bits, digits, &now))) {
        for (digits = 0; digits <= DIGITS_MAX; digits++) {
            if (is_decimal(bits, digits, &now))
                break;
        }
        if (digits > DIGITS_MAX)
            return 0;
        chunk->digits = (uint8_t)digits;
    }
    if (!is_decimal(chunk->last_bits, digits, &before))
        return 0;
    *difference = zigzag_encode(now - before);
    if (*difference >> (INTEGER_SIZE_MAX * 8) != 0)
        return 0;
    return (71 - (unsigned)__builtin_clzll(*difference | 1)) / 8;
}

struct head_chunk *head_chunk_add_sample(struct head_chunk *chunk, int64_t time_ns, uint64_t bits,
                                         uint64_t lsn, uint32_t now_s)
{
    chunk = reserve(chunk, SAMPLE_SIZE_MAX);
    uint8_t *at = chunk->data + chunk->size;
    if (chunk->count == 0) {
        bytes_put64(at, bits);
        chunk->size += 8;
        chunk->end_ns = bucket_end(time_ns, bucket_length(INT64_MAX));
    } else {
        int64_t delta = (time_ns - chunk->last_ns) / NS_PER_MS;
        int64_t change = delta - chunk->delta_ms;
        uint64_t differs = bits ^ chunk->last_bits;
        unsigned low = differs ? (unsigned)__builtin_ctzll(differs) / 8 : 0;
        unsigned size = differs ? 8 - low - (unsigned)__builtin_clzll(differs) / 8 : 0;
        unsigned form = low << 4 | size;
        uint64_t follows = differs >> (low * 8);
        if (size > 1) {
            uint64_t difference;
            unsigned shorter = integer_difference(chunk, bits, &difference);
            if (shorter > 0 && shorter < size) {
                form = (unsigned)chunk->digits << 4 | (INTEGER_FORM + shorter);
                follows = difference;
                size = shorter;
            }
        }
        *at++ = (uint8_t)((change != 0 ? 0x80 : 0) | form);
        if (change != 0)
            at += varint_put(at, zigzag_encode(change));
        bytes_put64(at, follows); /* the room behind is ours */
        at += size;
        chunk->size = (uint32_t)(at - chunk->data);
        chunk->delta_ms = delta;
    }
    chunk->last_bits = bits;
    note(chunk, time_ns, lsn, now_s);
    return chunk;
}

struct head_chunk *head_chunk_add_side(struct head_chunk *chunk, int64_t time_ns, uint64_t bits,
                                       uint64_t lsn, uint32_t now_s)
{
    chunk = reserve(chunk, SIDE_SAMPLE_SIZE);
    bytes_put64(chunk->data + chunk->size, (uint64_t)time_ns);
    bytes_put64(chunk->data + chunk->size + 8, bits);
    chunk->size += SIDE_SAMPLE_SIZE;
    note(chunk, time_ns, lsn, now_s);
    return chunk;
}

struct head_chunk *head_chunk_add_rich(struct head_chunk *chunk, int64_t time_ns,
                                       struct slice bytes, uint64_t lsn, uint32_t now_s)
{
    assert(chunk->rich);
    chunk = reserve(chunk, RICH_SAMPLE_HEAD + (uint32_t)bytes.size);
    uint8_t *at = chunk->data + chunk->size;
    bytes_put64(at, (uint64_t)time_ns);
    bytes_put32(at + 8, (uint32_t)bytes.size);
    memcpy(at + RICH_SAMPLE_HEAD, bytes.data, bytes.size);
    chunk->size += RICH_SAMPLE_HEAD + (uint32_t)bytes.size;
    if (chunk->count == 0)
        chunk->end_ns = bucket_end(time_ns, bucket_length(INT64_MAX));
    note(chunk, time_ns, lsn, now_s);
    return chunk;
}

struct head_chunk *head_chunk_make_rich(struct head_chunk *chunk)
{
    assert(chunk->side && !chunk->rich);
    struct head_chunk *rich = head_chunk_new(false, true, chunk->created_s);
    rich->rich = true;
    const uint8_t *at = chunk->data;
    for (uint32_t i = 0; i < chunk->count; i++, at += SIDE_SAMPLE_SIZE) {
        uint8_t bytes[1 + sizeof(double)] = {0}; /* no flags: a float */
        memcpy(bytes + 1, at + 8, sizeof(double));
        rich = head_chunk_add_rich(rich, (int64_t)bytes_get64(at), slice_of(bytes, sizeof(bytes)),
                                   chunk->last_lsn, chunk->touched_s);
    }
    rich->first_lsn = chunk->first_lsn;
    head_chunk_unref(chunk);
    return rich;
}

bool head_chunk_next_rich(const struct head_chunk *chunk, uint32_t size, uint32_t *at,
                          struct rich_bytes *sample)
{
    if (*at >= size)
        return false;
    const uint8_t *p = chunk->data + *at;
    uint32_t bytes = bytes_get32(p + 8);
    sample->time_ns = (int64_t)bytes_get64(p);
    sample->bytes = slice_of(p + RICH_SAMPLE_HEAD, bytes);
    *at += RICH_SAMPLE_HEAD + bytes;
    return true;
}

/* Of n low bytes; more than 8 are not written. */
static const uint64_t byte_mask[16] = {
    0x0,          0xff,           0xffff,           0xffffff,           0xffffffff,
    0xffffffffff, 0xffffffffffff, 0xffffffffffffff, 0xffffffffffffffff,
};

void head_chunk_decode(const struct head_chunk *chunk, uint32_t count, int64_t *times_ns,
                       uint64_t *bits)
{
    assert(!chunk->log && !chunk->rich);
    const uint8_t *at = chunk->data;
    if (chunk->side) {
        for (uint32_t i = 0; i < count; i++, at += SIDE_SAMPLE_SIZE) {
            times_ns[i] = (int64_t)bytes_get64(at);
            bits[i] = bytes_get64(at + 8);
        }
        return;
    }
    int64_t time = chunk->first_ns;
    int64_t delta_ns = 0;
    uint64_t value = bytes_get64(at);
    times_ns[0] = time;
    bits[0] = value;
    at += 8;
    int64_t scaled = 0;
    unsigned digits = DIGITS_NONE; /* of `scaled`; NONE: it is not that of `value` */
    for (uint32_t i = 1; i < count; i++) {
        uint8_t head = *at++;
        if (head & 0x80) {
            uint64_t change = 0;
            at += varint_get(at, VARINT_SIZE_MAX, &change);
            delta_ns += zigzag_decode(change) * NS_PER_MS;
        }
        unsigned size = head & 0xf;
        bool integer = size > INTEGER_FORM;
        size -= integer ? INTEGER_FORM : 0;
        uint64_t differs = 0;
        if (LIKELY(count - i > sizeof(differs))) /* each sample to come has a byte at least */
            differs = bytes_get64(at) & byte_mask[size];
        else
            memcpy(&differs, at, size);
        at += size;
        if (integer) {
            if (digits != (head >> 4 & 7u)) {
                digits = head >> 4 & 7u;
                (void)scale(double_from_bits(value), digits, &scaled); /* it was, when encoding */
            }
            scaled += zigzag_decode(differs);
            value = unscale(scaled, digits);
        } else if (size > 0) {
            value ^= differs << ((head >> 4 & 7) * 8);
            digits = DIGITS_NONE;
        }
        time += delta_ns;
        times_ns[i] = time;
        bits[i] = value;
    }
}

/* ---- logs -------------------------------------------------------------- */

struct log_piece *log_piece_ref(struct log_piece *piece)
{
    __atomic_add_fetch(&piece->refs, 1, __ATOMIC_RELAXED);
    return piece;
}

void log_piece_unref(struct log_piece *piece)
{
    if (piece == NULL || __atomic_sub_fetch(&piece->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(piece->data);
    free(piece);
}

/*
 * The piece that takes `size` more bytes: the last one, grown, or a new one behind it
 * when that is full or cannot grow because somebody reads it.
 */
static struct log_piece *piece_for(struct head_chunk *chunk, size_t size)
{
    struct log_piece *tail = chunk->tail;
    bool fits = tail && tail->size + size <= LOG_PIECE_SIZE;
    bool held = fits && tail->size + size > tail->capacity && is_shared(&tail->refs);
    size_t first = held ? tail->capacity : PIECE_FIRST; /* as if it had doubled */
    if (!fits || held) {
        struct log_piece *fresh = xcalloc(1, sizeof(*fresh));
        fresh->refs = 1;
        if (tail)
            tail->next = fresh;
        else
            chunk->pieces = fresh;
        chunk->tail = tail = fresh;
        chunk->capacity += (uint32_t)sizeof(*fresh);
    }
    if (tail->size + size > tail->capacity) {
        size_t grown = tail->capacity ? (size_t)tail->capacity * 2 : first;
        if (grown > LOG_PIECE_SIZE)
            grown = LOG_PIECE_SIZE;
        if (grown < tail->size + size)
            grown = tail->size + size;
        tail->data = xrealloc(tail->data, grown);
        chunk->capacity += (uint32_t)grown - tail->capacity;
        tail->capacity = (uint32_t)grown;
    }
    return tail;
}

void head_chunk_add_entry(struct head_chunk *chunk, int64_t time_ns, struct slice line,
                          struct slice metadata, uint64_t lsn, uint32_t now_s)
{
    size_t size = LOG_ENTRY_HEAD + line.size + metadata.size;
    struct log_piece *piece = piece_for(chunk, size);
    if (chunk->count == 0 || time_ns > chunk->last_ns) {
        chunk->same_piece = piece;
        chunk->same_at = piece->size;
    }
    uint8_t *at = piece->data + piece->size;
    bytes_put64(at, (uint64_t)time_ns);
    bytes_put32(at + 8, (uint32_t)line.size);
    bytes_put32(at + 12, (uint32_t)metadata.size);
    if (line.size > 0)
        memcpy(at + LOG_ENTRY_HEAD, line.data, line.size);
    if (metadata.size > 0)
        memcpy(at + LOG_ENTRY_HEAD + line.size, metadata.data, metadata.size);
    if (piece->count == 0)
        piece->first_ns = piece->last_ns = time_ns;
    if (time_ns < piece->first_ns)
        piece->first_ns = time_ns;
    if (time_ns > piece->last_ns)
        piece->last_ns = time_ns;
    piece->size += (uint32_t)size;
    piece->count++;
    chunk->size += (uint32_t)size;
    note(chunk, time_ns, lsn, now_s);
}

bool log_entry_next(struct slice bytes, uint32_t *at, struct log_entry *entry)
{
    if (*at >= bytes.size)
        return false;
    const uint8_t *p = (const uint8_t *)bytes.data + *at;
    uint32_t line_size = bytes_get32(p + 8);
    uint32_t metadata_size = bytes_get32(p + 12);
    entry->time_ns = (int64_t)bytes_get64(p);
    entry->line = slice_of(p + LOG_ENTRY_HEAD, line_size);
    entry->metadata = slice_of(p + LOG_ENTRY_HEAD + line_size, metadata_size);
    *at += LOG_ENTRY_HEAD + line_size + metadata_size;
    return true;
}

bool log_piece_next(const struct log_piece *piece, uint32_t *at, struct log_entry *entry)
{
    return log_entry_next(slice_of(piece->data, piece->size), at, entry);
}

bool head_chunk_has_entry(const struct head_chunk *chunk, int64_t time_ns, struct slice line,
                          struct slice metadata)
{
    if (chunk->count == 0 || time_ns != chunk->last_ns)
        return false;
    const struct log_piece *piece = chunk->same_piece;
    uint32_t at = chunk->same_at;
    struct log_entry entry;
    for (int looked = 0; piece && looked < SAME_TIME_SEARCH_MAX; looked++) {
        if (!log_piece_next(piece, &at, &entry)) {
            piece = piece->next;
            at = 0;
            continue;
        }
        if (entry.time_ns == time_ns && slice_equal(entry.line, line) &&
            slice_equal(entry.metadata, metadata))
            return true;
    }
    return false;
}
