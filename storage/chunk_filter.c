/*
 * chunk_filter.c - see chunk_filter.h.  Decode, drop, encode, for each kind of chunk.
 */
#include "storage/chunk_filter.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "storage/chunk_rich.h"

enum { FILTER_MEMORY_MAX = 256 * 1024 * 1024 };

struct filtering {
    struct slice chunk;
    struct chunk_header header;
    const struct hide *hides;
    size_t count;
    struct arena *arena;
    struct buffer *out;
    size_t left;
};

static bool hides_time(const struct filtering *f, int64_t time_ns)
{
    return hides_sample(f->hides, f->count, time_ns, f->header.lsn_max);
}

static bool filter_samples(struct filtering *f, struct error *err)
{
    size_t room = chunk_room(f->header.count), count = 0;
    int64_t *times = arena_calloc(f->arena, room, sizeof(*times));
    double *values = arena_calloc(f->arena, room, sizeof(*values));
    if (!arena_check(f->arena, "a chunk", err) ||
        !chunk_decode_samples(f->chunk, INT64_MIN, INT64_MAX, times, values, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (hides_time(f, times[i]))
            continue;
        times[f->left] = times[i];
        values[f->left++] = values[i];
    }
    return f->left == 0 || chunk_encode_samples(times, values, f->left, f->header.lsn_max,
                                                f->header.flags, f->out, err);
}

static bool filter_rich(struct filtering *f, struct error *err)
{
    const struct rich_sample *samples;
    size_t count;
    if (!chunk_decode_rich(f->chunk, INT64_MIN, INT64_MAX, f->arena, &samples, &count, err))
        return false;
    struct rich_sample *left = arena_calloc(f->arena, count, sizeof(*left));
    if (!arena_check(f->arena, "a chunk", err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!hides_time(f, samples[i].time_ns))
            left[f->left++] = samples[i];
    return f->left == 0 ||
           chunk_encode_rich(left, f->left, f->header.lsn_max, f->header.flags, f->out, err);
}

static bool filter_entries(struct filtering *f, struct error *err)
{
    struct chunk_entries all;
    if (!chunk_decode_entries(f->chunk,
                              CHUNK_TIMES | CHUNK_LINES | CHUNK_METADATA | CHUNK_SEQUENCES,
                              f->arena, &all, err))
        return false;
    int64_t *times = arena_calloc(f->arena, all.count, sizeof(*times));
    struct slice *lines = arena_calloc(f->arena, all.count, sizeof(*lines));
    struct labels *metadata = arena_calloc(f->arena, all.count, sizeof(*metadata));
    uint64_t *sequences = arena_calloc(f->arena, all.count, sizeof(*sequences));
    if (!arena_check(f->arena, "a chunk", err))
        return false;
    for (size_t i = 0; i < all.count; i++) {
        struct labels pairs = all.metadata ? all.metadata[i] : (struct labels){NULL, 0};
        if (hides_entry(f->hides, f->count, all.times_ns[i], f->header.lsn_max, all.lines[i],
                        pairs))
            continue;
        times[f->left] = all.times_ns[i];
        lines[f->left] = all.lines[i];
        sequences[f->left] = all.sequences ? all.sequences[i] : 0;
        metadata[f->left++] = pairs;
    }
    struct chunk_entries left = {.times_ns = times,
                                 .lines = lines,
                                 .metadata = all.metadata ? metadata : NULL,
                                 .sequences = all.sequences ? sequences : NULL,
                                 .count = f->left};
    return f->left == 0 ||
           chunk_encode_entries(&left, f->header.lsn_max, f->header.flags, f->out, err);
}

static bool filter(struct filtering *f, struct error *err)
{
    switch (f->header.kind) {
    case CHUNK_SAMPLES:
        return filter_samples(f, err);
    case CHUNK_RICH:
        return filter_rich(f, err);
    case CHUNK_ENTRIES:
        return filter_entries(f, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "a chunk of kind %d, which this version cannot rewrite",
                     (int)f->header.kind);
}

bool chunk_filter(struct slice *chunk, const struct hide *hides, size_t count, struct buffer *out,
                  bool *empty, struct error *err)
{
    struct filtering f = {.chunk = *chunk, .hides = hides, .count = count, .out = out};
    *empty = false;
    if (count == 0)
        return true;
    if (!chunk_peek(*chunk, &f.header, err))
        return false;
    if (!hides_touch(hides, count, f.header.first_ns, f.header.last_ns, f.header.lsn_max))
        return true;
    if (hides_cover(hides, count, f.header.first_ns, f.header.last_ns, f.header.lsn_max)) {
        *empty = true;
        return true;
    }
    size_t at = out->size;
    f.arena = arena_new(FILTER_MEMORY_MAX);
    bool ok = filter(&f, err);
    arena_free(f.arena);
    if (!ok)
        return false;
    *empty = f.left == 0;
    *chunk = slice_of(out->data + at, out->size - at);
    return true;
}
