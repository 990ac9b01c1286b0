/*
 * partition_group.c - groups of chunks and their compressed frames (see partition_group.h).
 *
 * Rows hold differences to the row before.  A group without compressed frames has the first
 * form ("ETG1"), in which chunks simply follow each other.
 *
 * Who reads one small chunk after the other would decompress their frame each time, so a
 * thread keeps the last frames.  A group never changes while its file is open; a frame is
 * known by the opening of its file, its group and its place in it.
 */
#include "storage/partition_group.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/chunk_internal.h"
#include "storage/compress.h"
#include "storage/partition_internal.h"

enum {
    GROUP_MAGIC = 0x31475445,        /* "ETG1" */
    GROUP_MAGIC_FRAMES = 0x32475445, /* "ETG2" */
    ROW_RICH = 128,
    FRAMES_KEPT = 8 /* by a thread */
};

/* ---- rows ------------------------------------------------------------------------ */

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

/* ---- writing --------------------------------------------------------------------- */

/* The frame with what is in `packer->plain`: compressed when that saves a tenth. */
static bool frame_close(struct frame_packer *packer, uint32_t chunks, struct error *err)
{
    struct group_frame frame = {
        .chunks = chunks, .plain = (uint32_t)packer->plain->size, .at = packer->packed->size};
    if (!compress_block(buffer_slice(packer->plain), packer->effort, packer->packed, err))
        return false;
    size_t size = packer->packed->size - frame.at;
    if (size * 10 <= (size_t)frame.plain * 9)
        frame.stored = (uint32_t)size;
    else
        buffer_truncate(packer->packed, frame.at);
    array_push(&packer->frames, frame);
    buffer_clear(packer->plain);
    return true;
}

static void frame_add_plain(struct frame_packer *packer, struct slice body)
{
    struct group_frame frame = {.chunks = 1, .plain = (uint32_t)body.size};
    array_push(&packer->frames, frame);
}

bool frames_make(struct frame_packer *packer, const struct slice *bodies, size_t count,
                 struct error *err)
{
    uint32_t chunks = 0;
    buffer_clear(packer->plain);
    for (size_t i = 0; i < count; i++) {
        bool small = bodies[i].size <= packer->frame_max / 2 && packer->frame_max > 0;
        bool fits = small && packer->plain->size + bodies[i].size <= packer->frame_max;
        if (chunks > 0 && !fits) {
            if (!frame_close(packer, chunks, err))
                return false;
            chunks = 0;
        }
        if (!small) {
            frame_add_plain(packer, bodies[i]);
            continue;
        }
        buffer_append_slice(packer->plain, bodies[i]);
        chunks++;
    }
    return chunks == 0 || frame_close(packer, chunks, err);
}

/* Frames that are not compressed are one in the table, with their neighbours. */
static void table_put(const struct group_frame *frames, size_t count, struct buffer *out)
{
    AUTO(buffer_done) struct buffer table;
    buffer_init(&table, 1 << 20);
    uint32_t rows = 0;
    for (size_t i = 0; i < count; rows++) {
        uint64_t chunks = frames[i].chunks, plain = frames[i].plain;
        bool stored = frames[i].stored > 0;
        buffer_put_varint(&table, frames[i].stored);
        for (i++; !stored && i < count && frames[i].stored == 0; i++) {
            chunks += frames[i].chunks;
            plain += frames[i].plain;
        }
        buffer_put_varint(&table, chunks);
        buffer_put_varint(&table, plain);
    }
    buffer_put_sized(out, buffer_slice(&table));
}

void group_put(const struct chunk_ref *refs, size_t count, const struct slice *bodies,
               const struct group_frame *frames, size_t frame_count, const struct buffer *packed,
               struct buffer *out)
{
    size_t start = out->size;
    struct directory_row before = {0};
    bool compressed = false;
    for (size_t i = 0; i < frame_count; i++)
        compressed |= frames[i].stored > 0;
    buffer_put32(out, compressed ? GROUP_MAGIC_FRAMES : GROUP_MAGIC);
    buffer_put32(out, 0);
    buffer_put32(out, 0);
    buffer_put32(out, (uint32_t)count);
    if (compressed)
        table_put(frames, frame_count, out);
    for (size_t i = 0; i < count; i++)
        row_put(&refs[i], &before, out);
    if (out->failed)
        return;
    char *group = out->data + start;
    size_t head = out->size - start;
    bytes_put32(group + 8, (uint32_t)(head - GROUP_HEAD_SIZE));
    bytes_put32(group + 4, checksum32(group + 8, head - 8));
    for (size_t i = 0, chunk = 0; i < frame_count; chunk += frames[i++].chunks) {
        if (frames[i].stored > 0)
            buffer_append(out, packed->data + frames[i].at, frames[i].stored);
        for (size_t k = 0; frames[i].stored == 0 && k < frames[i].chunks; k++)
            buffer_append_slice(out, bodies[chunk + k]);
    }
}

/* ---- reading --------------------------------------------------------------------- */

bool group_open(struct slice group, uint64_t key, struct group_reader *g)
{
    if (group.size < GROUP_HEAD_SIZE)
        return false;
    uint32_t magic = bytes_get32(group.data);
    uint32_t directory = bytes_get32(group.data + 8);
    if ((magic != GROUP_MAGIC && magic != GROUP_MAGIC_FRAMES) ||
        directory > group.size - GROUP_HEAD_SIZE ||
        bytes_get32(group.data + 4) != checksum32(group.data + 8, (size_t)directory + 8))
        return false;
    *g = (struct group_reader){.group = group, .key = key};
    g->at = (const uint8_t *)group.data + GROUP_HEAD_SIZE;
    g->end = g->at + directory;
    g->left = bytes_get32(group.data + 12);
    g->offset = GROUP_HEAD_SIZE + directory;
    if (magic == GROUP_MAGIC)
        return true;
    struct reader r = {g->at, g->end, false};
    struct slice table = read_sized(&r);
    g->at = r.at;
    g->frame_table = (const uint8_t *)table.data;
    g->frame_end = g->frame_table + table.size;
    return !r.failed;
}

/* The next frame begins behind the last one. */
static bool frame_next(struct group_reader *g)
{
    struct reader r = {g->frame_table, g->frame_end, false};
    uint64_t stored = read_varint(&r), chunks = read_varint(&r), plain = read_varint(&r);
    uint64_t size = stored > 0 ? stored : plain;
    g->offset += g->frame_stored;
    if (r.failed || g->frame_at != g->frame_plain || chunks == 0 || chunks > g->left ||
        size > g->group.size - g->offset || (stored > 0 && plain > FRAME_SIZE_MAX))
        return false;
    g->frame_table = r.at;
    g->frame_left = (uint32_t)chunks;
    g->frame_plain = (uint32_t)plain;
    g->frame_stored = (uint32_t)stored;
    g->frame_at = 0;
    return true;
}

bool group_next(struct group_reader *g, struct chunk_ref *ref)
{
    if (g->left == 0 || (g->frame_table != NULL && g->frame_left == 0 && !frame_next(g)))
        return false;
    struct reader r = {g->at, g->end, false};
    size_t room = g->frame_table != NULL ? g->frame_plain - g->frame_at : g->group.size - g->offset;
    if (!row_get(&r, &g->row) || g->row.ref.size > room)
        return false;
    struct chunk_ref *row = &g->row.ref;
    g->at = r.at;
    g->left--;
    row->group = g->key;
    row->offset = g->offset;
    row->frame_stored = g->frame_stored;
    row->frame_plain = g->frame_stored > 0 ? g->frame_plain : 0;
    row->frame_at = g->frame_stored > 0 ? g->frame_at : 0;
    if (g->frame_stored == 0)
        g->offset += row->size;
    if (g->frame_table != NULL) {
        g->frame_at += row->size;
        g->frame_left--;
    }
    *ref = *row;
    return true;
}

bool group_is_sound(const struct group_reader *g)
{
    return g->left == 0 && g->at == g->end && g->frame_table == g->frame_end &&
           g->offset + g->frame_stored == g->group.size && g->frame_left == 0 &&
           g->frame_at == g->frame_plain;
}

/* ---- frames a thread has read ------------------------------------------------------- */

struct kept_frame {
    uint64_t serial, group;
    uint32_t offset;
    uint32_t size;
    char *plain;
};

struct kept_frames {
    struct kept_frame items[FRAMES_KEPT];
    size_t next; /* to be replaced */
};

static pthread_once_t kept_once = PTHREAD_ONCE_INIT;
static pthread_key_t kept_key;

static void kept_free(void *p)
{
    struct kept_frames *kept = p;
    for (size_t i = 0; i < FRAMES_KEPT; i++)
        free(kept->items[i].plain);
    free(kept);
}

static void kept_key_make(void)
{
    if (pthread_key_create(&kept_key, kept_free) != 0)
        abort();
}

static struct kept_frames *kept_get(void)
{
    pthread_once(&kept_once, kept_key_make);
    struct kept_frames *kept = pthread_getspecific(kept_key);
    if (kept == NULL) {
        kept = xcalloc(1, sizeof(*kept));
        if (pthread_setspecific(kept_key, kept) != 0)
            abort();
    }
    return kept;
}

static bool frame_load(struct slice group, uint64_t serial, const struct chunk_ref *ref,
                       struct slice *plain, struct error *err)
{
    struct kept_frames *kept = kept_get();
    for (size_t i = 0; i < FRAMES_KEPT && serial != 0; i++) {
        const struct kept_frame *k = &kept->items[i];
        if (k->serial == serial && k->group == ref->group && k->offset == ref->offset &&
            k->size == ref->frame_plain) {
            *plain = slice_of(k->plain, k->size);
            return true;
        }
    }
    struct kept_frame *k = &kept->items[kept->next];
    kept->next = (kept->next + 1) % FRAMES_KEPT;
    k->serial = 0;
    k->plain = xrealloc(k->plain, (size_t)ref->frame_plain + 1);
    if (!decompress_block(slice_of(group.data + ref->offset, ref->frame_stored), k->plain,
                          ref->frame_plain, err))
        return false;
    k->serial = serial;
    k->group = ref->group;
    k->offset = ref->offset;
    k->size = ref->frame_plain;
    *plain = slice_of(k->plain, k->size);
    return true;
}

bool group_body(struct slice group, uint64_t serial, const struct chunk_ref *ref,
                struct slice *body, struct error *err)
{
    uint32_t size = ref->frame_stored > 0 ? ref->frame_stored : ref->size;
    struct slice from = group;
    uint32_t at = ref->offset;
    if (group.data == NULL || size > group.size || ref->offset > group.size - size ||
        ref->times_size > ref->size || ref->frame_plain > FRAME_SIZE_MAX ||
        (ref->frame_stored > 0 &&
         (ref->size > ref->frame_plain || ref->frame_at > ref->frame_plain - ref->size)))
        return error_set(err, ERR_CORRUPT, "the chunk lies outside its group");
    if (ref->frame_stored > 0) {
        if (!frame_load(group, serial, ref, &from, err))
            return false;
        at = ref->frame_at;
    }
    *body = slice_of(from.data + at, ref->size);
    return true;
}
