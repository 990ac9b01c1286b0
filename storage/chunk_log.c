/*
 * chunk_log.c - chunks of log entries, a column per aspect (see chunk.h).
 *
 * Behind the common header lies a table: a byte with the number of columns, and
 * for each its id, its encoding (0 plain, 1 zstd), its plain size and its stored
 * size as varints, and a checksum of the stored bytes.  Then the columns follow
 * in that order.  The header's checksum ends with the table, so a reader of
 * times alone never touches the text.
 */
#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/table.h"
#include "storage/chunk_internal.h"
#include "storage/compress.h"
#include "storage/integers.h"
#include "storage/line_index.h"

enum {
    COLUMN_TIMES = 1,
    COLUMN_LENGTHS = 2,
    COLUMN_TEXT = 3,
    COLUMN_METADATA = 4,
    COLUMN_SEQUENCES = 5,
    COLUMN_FILTER = 6,
    ENCODING_PLAIN = 0,
    ENCODING_ZSTD = 1,
    COMPRESS_SIZE_MIN = 64, /* shorter columns stay plain */
    CHECKSUM_FROM = 6,      /* of a header, and of the table behind it: what the checksum covers */
    HEAD_MAX = 512,
    SHARED_PAIRS = 64
};

struct columns {
    struct entries_column items[CHUNK_COLUMNS_MAX];
    size_t count;
};

/* ---- encoding ----------------------------------------------------------- */

/* Add `plain` to the table and its bytes, compressed where that pays, to `body`. */
static bool column_add(struct columns *columns, uint8_t id, enum chunk_level level,
                       struct slice plain, struct buffer *body, struct error *err)
{
    struct entries_column *c = &columns->items[columns->count++];
    *c = (struct entries_column){.id = id, .plain_size = plain.size};
    size_t start = body->size;
    if (level != CHUNK_LEVEL_PLAIN && plain.size >= COMPRESS_SIZE_MIN) {
        if (!compress_block(plain, level == CHUNK_LEVEL_CLOSED ? COMPRESS_CLOSED : COMPRESS_HOT,
                            body, err))
            return false;
        c->encoding = ENCODING_ZSTD;
    }
    if (c->encoding == ENCODING_PLAIN || body->size - start >= plain.size) {
        buffer_truncate(body, start);
        c->encoding = ENCODING_PLAIN;
        buffer_append_slice(body, plain);
    }
    if (!buffer_check(body, "a log chunk", err))
        return false;
    c->stored_size = body->size - start;
    c->checksum = checksum32(body->data + start, body->size - start);
    return true;
}

/* The strings of all metadata, each once. */
struct strings {
    struct table table;
    ARRAY(struct slice) items;
};

static bool string_equal(const void *items, uint32_t index, const void *key)
{
    return slice_equal(((const struct slice *)items)[index], *(const struct slice *)key);
}

static uint32_t string_number(struct strings *strings, struct slice s)
{
    uint64_t hash = hash64(s.data, s.size, hash_seed());
    uint32_t found = table_find(&strings->table, hash, string_equal, strings->items.items, &s);
    if (found != TABLE_NONE)
        return found;
    uint32_t number = (uint32_t)strings->items.count;
    array_push(&strings->items, s);
    table_insert(&strings->table, hash, number);
    return number;
}

/*
 * Metadata: the entries' pairs as numbers of strings (a count, then name and
 * value numbers), behind the strings in the order of their first use.
 */
static bool metadata_encode(const struct chunk_entries *e, struct buffer *out, struct error *err)
{
    struct strings strings = {0};
    AUTO(buffer_done) struct buffer pairs;
    buffer_init(&pairs, CHUNK_METADATA_MAX);
    for (size_t i = 0; i < e->count; i++) {
        struct labels set = e->metadata[i];
        buffer_put_varint(&pairs, set.count);
        for (size_t k = 0; k < set.count; k++) {
            buffer_put_varint(&pairs, string_number(&strings, set.items[k].name));
            buffer_put_varint(&pairs, string_number(&strings, set.items[k].value));
        }
    }
    buffer_put_varint(out, strings.items.count);
    for (size_t i = 0; i < strings.items.count; i++)
        buffer_put_sized(out, strings.items.items[i]);
    buffer_append_slice(out, buffer_slice(&pairs));
    table_done(&strings.table);
    array_done(&strings.items);
    return buffer_check(&pairs, "structured metadata of a chunk", err) &&
           buffer_check(out, "structured metadata of a chunk", err);
}

static bool metadata_is_empty(const struct chunk_entries *e)
{
    if (e->metadata == NULL)
        return true;
    for (size_t i = 0; i < e->count; i++)
        if (e->metadata[i].count > 0)
            return false;
    return true;
}

/* Times, lengths and sequences: plain columns of integers. */
static bool numbers_add(struct columns *columns, uint8_t id, const int64_t *numbers, size_t count,
                        struct buffer *body, struct error *err)
{
    AUTO(buffer_done) struct buffer plain;
    buffer_init(&plain, 4 * CHUNK_ENTRIES_MAX * sizeof(int64_t));
    integers_encode(numbers, count, false, &plain);
    return buffer_check(&plain, "a log chunk's numbers", err) &&
           column_add(columns, id, CHUNK_LEVEL_PLAIN, buffer_slice(&plain), body, err);
}

static bool text_gather(const struct chunk_entries *e, struct buffer *text, struct error *err)
{
    for (size_t i = 0; i < e->count; i++)
        buffer_append_slice(text, e->lines[i]);
    return buffer_check(text, "the lines of a chunk", err);
}

/* Before the text: what a search that is skipped reads lies together. */
static bool filter_add(struct columns *columns, const struct chunk_entries *e, struct buffer *body,
                       struct error *err)
{
    if (!e->skip_index)
        return true;
    AUTO(buffer_done) struct buffer filter;
    buffer_init(&filter, CHUNK_TEXT_MAX);
    line_index_build(e->lines, e->count, &filter);
    return buffer_check(&filter, "a log chunk's filter", err) &&
           (filter.size == 0 || column_add(columns, COLUMN_FILTER, CHUNK_LEVEL_PLAIN,
                                           buffer_slice(&filter), body, err));
}

static bool columns_encode(const struct chunk_entries *e, unsigned unit, struct columns *columns,
                           struct buffer *body, struct error *err)
{
    AUTO(memory_drop) int64_t *numbers = xmalloc(e->count * sizeof(*numbers));
    uint64_t first = (uint64_t)chunk_time_in_units(e->times_ns[0], unit);
    for (size_t i = 0; i < e->count; i++)
        numbers[i] = (int64_t)((uint64_t)chunk_time_in_units(e->times_ns[i], unit) - first);
    if (!numbers_add(columns, COLUMN_TIMES, numbers, e->count, body, err))
        return false;

    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, CHUNK_TEXT_MAX);
    for (size_t i = 0; i < e->count; i++)
        numbers[i] = (int64_t)e->lines[i].size;
    if (!numbers_add(columns, COLUMN_LENGTHS, numbers, e->count, body, err) ||
        !filter_add(columns, e, body, err) || !text_gather(e, &text, err) ||
        !column_add(columns, COLUMN_TEXT, e->level, buffer_slice(&text), body, err))
        return false;

    if (!metadata_is_empty(e)) {
        AUTO(buffer_done) struct buffer metadata;
        buffer_init(&metadata, CHUNK_METADATA_MAX);
        if (!metadata_encode(e, &metadata, err) ||
            !column_add(columns, COLUMN_METADATA, e->level, buffer_slice(&metadata), body, err))
            return false;
    }
    if (e->sequences == NULL)
        return true;
    for (size_t i = 0; i < e->count; i++)
        numbers[i] = (int64_t)e->sequences[i];
    return numbers_add(columns, COLUMN_SEQUENCES, numbers, e->count, body, err);
}

bool chunk_encode_entries(const struct chunk_entries *e, uint64_t lsn_max, unsigned flags,
                          struct buffer *out, struct error *err)
{
    if (e->count == 0 || e->count > CHUNK_ENTRIES_MAX)
        return error_set(err, ERR_LIMIT, "a chunk of %zu entries, the limit is %d", e->count,
                         CHUNK_ENTRIES_MAX);
    struct chunk_header h = {
        CHUNK_ENTRIES, flags, (uint32_t)e->count, e->times_ns[0], e->times_ns[e->count - 1],
        lsn_max,       0};
    unsigned unit = chunk_unit_find(e->times_ns, e->count);
    struct columns columns = {0};
    AUTO(buffer_done) struct buffer body;
    buffer_init(&body, (size_t)2 * (CHUNK_TEXT_MAX + CHUNK_METADATA_MAX));
    if (!columns_encode(e, unit, &columns, &body, err))
        return false;

    size_t start = out->size;
    chunk_header_put(&h, unit, out);
    buffer_put8(out, (uint8_t)columns.count);
    for (size_t i = 0; i < columns.count; i++) {
        const struct entries_column *c = &columns.items[i];
        buffer_put8(out, c->id);
        buffer_put8(out, c->encoding);
        buffer_put_varint(out, c->plain_size);
        buffer_put_varint(out, c->stored_size);
        buffer_put32(out, c->checksum);
    }
    chunk_seal_checksum(out, start);
    buffer_append_slice(out, buffer_slice(&body));
    return buffer_check(out, "chunks", err);
}

/* ---- decoding ----------------------------------------------------------- */

static bool table_read(struct reader *r, struct columns *columns, struct error *err)
{
    size_t count = read8(r);
    if (r->failed || count > CHUNK_COLUMNS_MAX)
        return error_set(err, ERR_CORRUPT, "log chunk has a malformed column table");
    for (size_t i = 0; i < count; i++) {
        struct entries_column *c = &columns->items[i];
        c->id = read8(r);
        c->encoding = read8(r);
        c->plain_size = read_varint(r);
        c->stored_size = read_varint(r);
        c->checksum = read32(r);
        if (r->failed || c->encoding > ENCODING_ZSTD || c->plain_size > CHUNK_TEXT_MAX ||
            (c->encoding == ENCODING_PLAIN && c->plain_size != c->stored_size))
            return error_set(err, ERR_CORRUPT, "log chunk has a malformed column table");
    }
    columns->count = count;
    return true;
}

static bool columns_read(struct slice chunk, struct chunk_header *h, unsigned *unit,
                         struct columns *columns, size_t *covered, struct error *err)
{
    struct reader r = reader_of(chunk);
    if (!chunk_header_get(&r, h, unit, err))
        return false;
    if (h->kind != CHUNK_ENTRIES)
        return error_set(err, ERR_CORRUPT, "chunk holds samples where log entries are expected");
    if (!table_read(&r, columns, err))
        return false;
    *covered = chunk.size - reader_left(&r);
    for (size_t i = 0; i < columns->count; i++)
        columns->items[i].stored = read_bytes(&r, columns->items[i].stored_size);
    if (r.failed || reader_left(&r) != 0)
        return error_set(err, ERR_CORRUPT, "log chunk ends before its columns do");
    return true;
}

bool chunk_entries_table(struct slice chunk, size_t *covered, struct error *err)
{
    struct chunk_header h;
    struct columns columns = {0};
    unsigned unit;
    return columns_read(chunk, &h, &unit, &columns, covered, err);
}

/* The plain bytes of column `id` (in `arena` when they were compressed); `*found` when it exists.
 */
static bool column_load(const struct entries_view *columns, uint8_t id, struct arena *arena,
                        struct slice *plain, bool *found, struct error *err)
{
    *found = false;
    for (size_t i = 0; i < columns->count; i++) {
        const struct entries_column *c = &columns->columns[i];
        if (c->id != id)
            continue;
        *found = true;
        if (checksum32(c->stored.data, c->stored.size) != c->checksum)
            return error_set(err, ERR_CORRUPT, "column %d of a log chunk has a wrong checksum", id);
        if (c->plain_size == 0) {
            *plain = SLICE("");
            return true;
        }
        char *bytes = arena_alloc(arena, c->plain_size);
        if (bytes == NULL)
            return arena_check(arena, "log lines", err);
        *plain = slice_of(bytes, c->plain_size);
        if (c->encoding == ENCODING_ZSTD)
            return decompress_block(c->stored, bytes, c->plain_size, err);
        memcpy(bytes, c->stored.data, c->stored.size);
        return true;
    }
    return true;
}

/* A column of integers in `arena`; NULL when the chunk does not have it. */
static bool numbers_load(const struct entries_view *columns, uint8_t id, size_t count,
                         struct arena *arena, int64_t **numbers, struct error *err)
{
    struct slice plain;
    bool found;
    *numbers = NULL;
    if (!column_load(columns, id, arena, &plain, &found, err))
        return false;
    if (!found)
        return true;
    int64_t *items = arena_calloc(arena, count + INTEGERS_VECTOR, sizeof(*items));
    if (items == NULL)
        return arena_check(arena, "log entries", err);
    struct reader r = reader_of(plain);
    if (!integers_decode(&r, count, count, items))
        return error_set(err, ERR_CORRUPT, "column %d of a log chunk is malformed", id);
    *numbers = items;
    return true;
}

static bool times_load(const struct entries_view *view, struct arena *arena,
                       struct chunk_entries *out, struct error *err)
{
    int64_t *times;
    const struct chunk_header *h = &view->header;
    if (!numbers_load(view, COLUMN_TIMES, h->count, arena, &times, err))
        return false;
    if (times == NULL)
        return error_set(err, ERR_CORRUPT, "log chunk has no times");
    uint64_t first = (uint64_t)h->first_ns, scale = (uint64_t)chunk_unit_ns(view->unit);
    for (uint32_t i = 0; i < h->count; i++)
        times[i] = (int64_t)(first + (uint64_t)times[i] * scale);
    out->times_ns = times;
    return true;
}

static bool lengths_load(const struct entries_view *view, struct arena *arena,
                         struct chunk_entries *out, struct error *err)
{
    int64_t *numbers;
    size_t count = view->header.count;
    if (!numbers_load(view, COLUMN_LENGTHS, count, arena, &numbers, err))
        return false;
    if (numbers == NULL)
        return error_set(err, ERR_CORRUPT, "log chunk has no line lengths");
    uint32_t *lengths = (uint32_t *)(void *)numbers; /* narrowed in place, front to back */
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < 0 || numbers[i] > CHUNK_TEXT_MAX)
            return error_set(err, ERR_CORRUPT, "log chunk claims a line of %jd bytes",
                             (intmax_t)numbers[i]);
        lengths[i] = (uint32_t)numbers[i];
    }
    out->lengths = lengths;
    return true;
}

bool chunk_entries_text(const struct entries_view *view, struct arena *arena, struct slice *text,
                        struct error *err)
{
    bool found;
    if (!column_load(view, COLUMN_TEXT, arena, text, &found, err))
        return false;
    return found || error_set(err, ERR_CORRUPT, "log chunk has no text");
}

static bool lines_load(const struct entries_view *view, struct arena *arena,
                       struct chunk_entries *out, struct error *err)
{
    struct slice text;
    size_t count = view->header.count;
    if (!chunk_entries_text(view, arena, &text, err))
        return false;
    struct slice *lines = arena_calloc(arena, count, sizeof(*lines));
    if (lines == NULL)
        return arena_check(arena, "log lines", err);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (out->lengths[i] > text.size - at)
            return error_set(err, ERR_CORRUPT, "log chunk's text is shorter than its lines");
        lines[i] = slice_of(text.data + at, out->lengths[i]);
        at += out->lengths[i];
    }
    out->lines = lines;
    return true;
}

static bool metadata_read(struct reader *r, size_t count, struct arena *arena, struct labels *sets,
                          struct error *err)
{
    uint64_t string_count = read_varint(r);
    if (r->failed || string_count > reader_left(r))
        return error_set(err, ERR_CORRUPT, "log chunk has malformed metadata");
    struct slice *strings = arena_calloc(arena, string_count + 1, sizeof(*strings));
    if (strings == NULL)
        return arena_check(arena, "structured metadata", err);
    for (uint64_t i = 0; i < string_count; i++)
        strings[i] = read_sized(r);
    struct label *known[SHARED_PAIRS] = {0}; /* entries with one pair mostly repeat each other */
    for (size_t i = 0; i < count; i++) {
        uint64_t pairs = read_varint(r);
        if (r->failed || pairs > reader_left(r) / 2)
            return error_set(err, ERR_CORRUPT, "log chunk has malformed metadata");
        if (pairs == 1) {
            uint64_t name = read_varint(r), value = read_varint(r);
            if (r->failed || name >= string_count || value >= string_count)
                return error_set(err, ERR_CORRUPT, "log chunk has malformed metadata");
            struct label **slot = &known[(name * 7 + value) % SHARED_PAIRS];
            if (*slot == NULL || (*slot)->name.data != strings[name].data ||
                (*slot)->value.data != strings[value].data) {
                *slot = arena_calloc(arena, 1, sizeof(**slot));
                if (*slot == NULL)
                    return arena_check(arena, "structured metadata", err);
                **slot = (struct label){strings[name], strings[value]};
            }
            sets[i] = (struct labels){*slot, 1};
            continue;
        }
        struct label *items = pairs ? arena_calloc(arena, pairs, sizeof(*items)) : NULL;
        if (items == NULL && pairs > 0)
            return arena_check(arena, "structured metadata", err);
        for (uint64_t k = 0; k < pairs; k++) {
            uint64_t name = read_varint(r), value = read_varint(r);
            if (r->failed || name >= string_count || value >= string_count)
                return error_set(err, ERR_CORRUPT, "log chunk has malformed metadata");
            items[k] = (struct label){strings[name], strings[value]};
        }
        sets[i] = (struct labels){items, pairs};
    }
    return true;
}

static bool metadata_load(const struct entries_view *view, struct arena *arena,
                          struct chunk_entries *out, struct error *err)
{
    struct slice plain;
    bool found;
    size_t count = view->header.count;
    if (!column_load(view, COLUMN_METADATA, arena, &plain, &found, err))
        return false;
    if (!found)
        return true;
    struct labels *sets = arena_calloc(arena, count, sizeof(*sets));
    if (sets == NULL)
        return arena_check(arena, "structured metadata", err);
    struct reader r = reader_of(plain);
    if (!metadata_read(&r, count, arena, sets, err))
        return false;
    out->metadata = sets;
    return true;
}

struct slice chunk_entries_filter(const struct entries_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->columns[i].id == COLUMN_FILTER && view->columns[i].encoding == ENCODING_PLAIN)
            return view->columns[i].stored;
    return (struct slice){NULL, 0};
}

static bool filter_check(const struct entries_view *view, struct error *err)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct entries_column *c = &view->columns[i];
        if (c->id == COLUMN_FILTER && checksum32(c->stored.data, c->stored.size) != c->checksum)
            return error_set(err, ERR_CORRUPT, "the filter of a log chunk has a wrong checksum");
    }
    return true;
}

/* Does the checksum fit header and table? */
static bool head_check(const struct chunk_parts *parts, size_t table, struct error *err)
{
    AUTO(buffer_done) struct buffer bytes;
    buffer_init(&bytes, HEAD_MAX);
    struct chunk_parts covered = *parts;
    covered.rest = slice_sub(parts->rest, 0, table);
    if (!chunk_join(&covered, &bytes, err))
        return false;
    uint32_t sum = chunk_checksum((uint8_t)bytes.data[0], (uint8_t)bytes.data[1],
                                  slice_skip(buffer_slice(&bytes), CHECKSUM_FROM));
    return sum == parts->header.checksum ||
           error_set(err, ERR_CORRUPT, "chunk has checksum %08x instead of %08x", sum,
                     parts->header.checksum);
}

bool chunk_entries_open(const struct chunk_parts *parts, struct entries_view *view,
                        struct error *err)
{
    struct columns columns;
    struct reader r = reader_of(parts->rest);
    if (parts->header.kind != CHUNK_ENTRIES)
        return error_set(err, ERR_CORRUPT, "chunk holds samples where log entries are expected");
    if (!table_read(&r, &columns, err))
        return false;
    size_t table = parts->rest.size - reader_left(&r);
    for (size_t i = 0; i < columns.count; i++)
        columns.items[i].stored = read_bytes(&r, columns.items[i].stored_size);
    if (r.failed || reader_left(&r) != 0)
        return error_set(err, ERR_CORRUPT, "log chunk ends before its columns do");
    if (!head_check(parts, table, err))
        return false;
    view->header = parts->header;
    view->unit = parts->unit;
    memcpy(view->columns, columns.items, sizeof(columns.items));
    view->count = columns.count;
    return true;
}

bool chunk_entries_load(const struct entries_view *view, unsigned columns, struct arena *arena,
                        struct chunk_entries *entries, struct error *err)
{
    struct chunk_entries out = {.count = view->header.count};
    if ((columns & CHUNK_TIMES) && !times_load(view, arena, &out, err))
        return false;
    if ((columns & (CHUNK_LENGTHS | CHUNK_LINES)) && !lengths_load(view, arena, &out, err))
        return false;
    if ((columns & CHUNK_LINES) && !lines_load(view, arena, &out, err))
        return false;
    if ((columns & CHUNK_METADATA) && !metadata_load(view, arena, &out, err))
        return false;
    if ((columns & CHUNK_FILTER) && !filter_check(view, err))
        return false;
    if (columns & CHUNK_SEQUENCES) {
        int64_t *numbers;
        if (!numbers_load(view, COLUMN_SEQUENCES, out.count, arena, &numbers, err))
            return false;
        out.sequences = (const uint64_t *)numbers;
    }
    *entries = out;
    return true;
}

bool chunk_decode_entries(struct slice chunk, unsigned columns_wanted, struct arena *arena,
                          struct chunk_entries *entries, struct error *err)
{
    struct chunk_parts parts;
    struct entries_view view;
    return chunk_split(chunk, &parts, err) && chunk_entries_open(&parts, &view, err) &&
           chunk_entries_load(&view, columns_wanted, arena, entries, err);
}
