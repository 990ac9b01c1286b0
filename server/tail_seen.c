/*
 * tail_seen.c - see tail_seen.h.
 */
#include "server/tail_seen.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

struct seen_entry {
    struct hash128 hash;
    int64_t time_ns;
};

void tail_seen_done(struct tail_seen *seen)
{
    table_done(&seen->table);
    free(seen->items);
    *seen = (struct tail_seen){0};
}

static bool seen_equal(const void *items, uint32_t index, const void *key)
{
    const struct seen_entry *entries = items;
    return hash128_equal(entries[index].hash, *(const struct hash128 *)key);
}

static void insert(struct tail_seen *seen, struct seen_entry entry)
{
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity ? seen->capacity * 2 : 256;
        seen->items = xrealloc(seen->items, seen->capacity * sizeof(*seen->items));
    }
    table_insert(&seen->table, entry.hash.low, (uint32_t)seen->count);
    seen->items[seen->count++] = entry;
}

static struct hash128 hash_of(struct labels labels, const struct query_entry *entry)
{
    struct hash128 line = hash128(entry->line.data, entry->line.size, hash_seed());
    uint64_t parts[6] = {line.low,
                         line.high,
                         (uint64_t)entry->time_ns,
                         labels_hash(labels),
                         labels_hash(entry->metadata),
                         labels_hash(entry->parsed)};
    return hash128(parts, sizeof(parts), hash_seed());
}

/* The entries of one stream that are new move to its front. */
static size_t filter_stream(struct tail_seen *seen, struct query_stream *stream)
{
    size_t kept = 0;
    for (size_t i = 0; i < stream->count; i++) {
        struct hash128 hash = hash_of(stream->labels, &stream->entries[i]);
        if (table_find(&seen->table, hash.low, seen_equal, seen->items, &hash) != TABLE_NONE)
            continue;
        insert(seen, (struct seen_entry){hash, stream->entries[i].time_ns});
        stream->entries[kept++] = stream->entries[i];
    }
    stream->count = kept;
    return kept;
}

size_t tail_seen_filter(struct tail_seen *seen, struct query_result *result)
{
    size_t total = 0, streams = 0;
    for (size_t i = 0; i < result->stream_count; i++) {
        size_t kept = filter_stream(seen, &result->streams[i]);
        if (kept > 0)
            result->streams[streams++] = result->streams[i];
        total += kept;
    }
    result->stream_count = streams;
    return total;
}

void tail_seen_forget(struct tail_seen *seen, int64_t time_ns)
{
    size_t old = 0;
    for (size_t i = 0; i < seen->count; i++)
        old += seen->items[i].time_ns < time_ns;
    if (old * 2 < seen->count + 2)
        return; /* not worth the work yet */
    struct tail_seen fresh = {0};
    for (size_t i = 0; i < seen->count; i++)
        if (seen->items[i].time_ns >= time_ns)
            insert(&fresh, seen->items[i]);
    tail_seen_done(seen);
    *seen = fresh;
}
