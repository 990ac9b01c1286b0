/*
 * cursor_entries.c - reading the log entries of one series as a stream of blocks.
 *
 * Sources are sealed chunks and pieces of the head, each sorted in itself by
 * (time, order of ingest).  A source is decoded when the stream reaches its
 * first time and dropped when it is used up, so memory holds the sources that
 * overlap at one moment.  Sources with equal times come in the order in which
 * they were stored.  Equal entries (time, line, metadata) are given once; a
 * sealed chunk that overlaps nothing is unique in itself and skips that check.
 */
#include "storage/cursor_internal.h"

#include "base/bytes.h"
#include "base/hash.h"

enum { BLOCK_ENTRIES = 4096 };

struct log_source {
    int64_t first_ns, last_ns;
    uint64_t lsn;
    bool side;
    bool clean;                    /* touches no other source: nothing can come twice */
    const struct log_piece *piece; /* `size` bytes of it; or the sealed chunk: */
    uint32_t count, size;
    uint32_t part;
    size_t ref;
    /* once decoded: */
    struct arena *arena;
    struct chunk_entries entries;
    size_t at, end; /* what is left: [at, end) */
};

struct entry_stream {
    struct cursor *cursor;
    const struct hide *hides; /* what is deleted of the series */
    size_t hide_count;
    bool backward;
    unsigned projection;
    ARRAY(struct log_source) sources; /* in the order of being reached */
    size_t reached;                   /* sources before this one were decoded */
    ARRAY(uint32_t) active;           /* indices of decoded sources with something left */
    ARRAY(struct arena *) retired;    /* freed at the next call: the block points there */

    ARRAY(int64_t) times;
    ARRAY(uint32_t) lengths;
    ARRAY(struct slice) lines;
    ARRAY(struct labels) metadata;
    uint64_t scanned, scanned_bytes; /* since the last block */

    int64_t same_ns; /* hashes of what was given at this time */
    ARRAY(struct hash128) same;
};

/* ---- sources ----------------------------------------------------------- */

static int forward_order(const void *a, const void *b)
{
    const struct log_source *left = a;
    const struct log_source *right = b;
    return left->first_ns < right->first_ns ? -1 : left->first_ns > right->first_ns;
}

static int backward_order(const void *a, const void *b)
{
    const struct log_source *left = a;
    const struct log_source *right = b;
    return left->last_ns > right->last_ns ? -1 : left->last_ns < right->last_ns;
}

static void collect_snapshots(struct entry_stream *stream, const struct cursor_series *series)
{
    const struct cursor *cursor = stream->cursor;
    for (size_t i = 0; i < series->snapshot_count; i++) {
        const struct snapshot *s = &cursor->snapshots.items[series->snapshot_first + i];
        struct log_source source = {.first_ns = s->first_ns,
                                    .last_ns = s->last_ns,
                                    .lsn = s->lsn,
                                    .side = s->side,
                                    .piece = s->piece,
                                    .count = s->count,
                                    .size = s->size,
                                    .ref = i};
        array_push(&stream->sources, source);
    }
}

static void collect_ranges(struct entry_stream *stream, const struct cursor_series *series)
{
    const struct cursor *cursor = stream->cursor;
    for (uint32_t r = series->range_first; r != UINT32_MAX; r = cursor->ranges.items[r].next) {
        const struct part_range *range = &cursor->ranges.items[r];
        for (size_t i = range->first; i < range->first + range->count; i++) {
            const struct chunk_ref *ref = &cursor->parts.items[range->part].refs.items[i];
            struct log_source source = {.first_ns = ref->first_ns,
                                        .last_ns = ref->last_ns,
                                        .lsn = ref->lsn_max,
                                        .side = (ref->flags & CHUNK_OUT_OF_ORDER) != 0,
                                        .part = range->part,
                                        .ref = i};
            array_push(&stream->sources, source);
        }
    }
}

/* Sealed sources that share no time with another one are clean. */
static void mark_clean(struct entry_stream *stream)
{
    struct log_source *sources = stream->sources.items;
    int64_t reach = INT64_MIN;
    bool first = true;
    for (size_t i = 0; i < stream->sources.count; i++) {
        sources[i].clean = sources[i].piece == NULL && (first || sources[i].first_ns > reach);
        if (!first && sources[i].first_ns <= reach) {
            for (size_t k = i; k-- > 0;) {
                if (sources[k].last_ns >= sources[i].first_ns)
                    sources[k].clean = false;
                else if (sources[k].clean)
                    break;
            }
        }
        if (first || sources[i].last_ns > reach)
            reach = sources[i].last_ns;
        first = false;
    }
}

struct entry_stream *entry_stream_open(struct cursor_reader *reader, size_t series,
                                       struct error *err)
{
    reader = reader_for_series(reader, &series);
    struct cursor *cursor = reader->cursor;
    if (!cursor_goes_on(cursor, err))
        return NULL;
    struct entry_stream *stream = xcalloc(1, sizeof(*stream));
    stream->cursor = cursor;
    stream->backward = cursor->request.backward;
    stream->projection = cursor->request.projection;
    stream->same_ns = INT64_MIN;
    stream->hide_count = cursor->series.items[series].hide_count;
    if (stream->hide_count > 0)
        stream->hides = cursor->hides.items + cursor->series.items[series].hide_first;
    collect_snapshots(stream, &cursor->series.items[series]);
    collect_ranges(stream, &cursor->series.items[series]);
    size_t count = stream->sources.count;
    if (count > 1)
        qsort(stream->sources.items, count, sizeof(*stream->sources.items), forward_order);
    mark_clean(stream);
    if (count > 1 && stream->backward)
        qsort(stream->sources.items, count, sizeof(*stream->sources.items), backward_order);
    return stream;
}

void entry_stream_close(struct entry_stream *stream)
{
    if (stream == NULL)
        return;
    for (size_t i = 0; i < stream->sources.count; i++)
        arena_free(stream->sources.items[i].arena);
    for (size_t i = 0; i < stream->retired.count; i++)
        arena_free(stream->retired.items[i]);
    array_done(&stream->sources);
    array_done(&stream->active);
    array_done(&stream->retired);
    array_done(&stream->times);
    array_done(&stream->lengths);
    array_done(&stream->lines);
    array_done(&stream->metadata);
    array_done(&stream->same);
    free(stream);
}

/* ---- decoding ---------------------------------------------------------- */

static struct labels read_pairs(struct arena *arena, struct slice bytes)
{
    struct reader in = reader_of(bytes);
    size_t count = 0;
    for (struct reader probe = in; reader_left(&probe) > 0 && !probe.failed; count++) {
        read_sized(&probe);
        read_sized(&probe);
    }
    struct label *items = arena_calloc(arena, count, sizeof(*items));
    if (items == NULL || count == 0)
        return (struct labels){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        items[i].name = read_sized(&in);
        items[i].value = read_sized(&in);
    }
    return (struct labels){items, count};
}

static int by_entry_time(const void *a, const void *b)
{
    const struct log_entry *left = a;
    const struct log_entry *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    /* Entries of one piece lie in the order of arrival. */
    return left->line.data < right->line.data ? -1 : left->line.data > right->line.data;
}

/* Keep what satisfies the predicate; the count, SIZE_MAX: failed. */
static size_t scan_piece(struct entry_stream *stream, struct log_entry *list, size_t count,
                         struct error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int hit =
            stream->cursor->scan ? line_scan_line(stream->cursor->scan, list[i].line, err) : 1;
        if (hit < 0)
            return SIZE_MAX;
        stream->scanned_bytes += stream->cursor->scan ? list[i].line.size : 0;
        if (hit)
            list[kept++] = list[i];
    }
    stream->scanned += count;
    return kept;
}

static bool decode_piece(struct entry_stream *stream, struct log_source *source, struct error *err)
{
    struct slice bytes = slice_of(source->piece->data, source->size);
    size_t count = source->count;
    struct arena *arena = source->arena;
    struct log_entry *list = arena_calloc(arena, count, sizeof(*list));
    int64_t *times = arena_calloc(arena, count, sizeof(*times));
    uint32_t *lengths = arena_calloc(arena, count, sizeof(*lengths));
    struct slice *lines = arena_calloc(arena, count, sizeof(*lines));
    struct labels *metadata = arena_calloc(arena, count, sizeof(*metadata));
    if (!arena_check(arena, "a log stream's entries", err))
        return false;
    uint32_t offset = 0;
    for (size_t i = 0; i < count; i++)
        log_entry_next(bytes, &offset, &list[i]);
    count = scan_piece(stream, list, count, err);
    if (count == SIZE_MAX)
        return false;
    if (source->side && count > 1)
        qsort(list, count, sizeof(*list), by_entry_time);
    for (size_t i = 0; i < count; i++) {
        times[i] = list[i].time_ns;
        lines[i] = list[i].line;
        lengths[i] = (uint32_t)list[i].line.size;
        metadata[i] = read_pairs(arena, list[i].metadata);
    }
    source->entries = (struct chunk_entries){.times_ns = times,
                                             .lengths = lengths,
                                             .lines = lines,
                                             .metadata = metadata,
                                             .count = count};
    return arena_check(arena, "a log stream's entries", err);
}

struct reading_entries {
    struct entry_stream *stream;
    struct log_source *source;
};

static unsigned wanted_columns(const struct entry_stream *stream, const struct log_source *source)
{
    unsigned columns = CHUNK_TIMES;
    if (!source->clean || hides_need_content(stream->hides, stream->hide_count))
        columns |= CHUNK_LINES | CHUNK_METADATA;
    if (stream->projection & CURSOR_LENGTHS)
        columns |= CHUNK_LENGTHS;
    if (stream->projection & CURSOR_LINES)
        columns |= CHUNK_LINES;
    if (stream->projection & CURSOR_METADATA)
        columns |= CHUNK_METADATA;
    return columns;
}

/* Leave of the columns what `kept` says. */
static void keep_lines(struct chunk_entries *entries, struct slice *lines, const uint64_t *kept)
{
    int64_t *times = (int64_t *)(uintptr_t)entries->times_ns;
    uint32_t *lengths = (uint32_t *)(uintptr_t)entries->lengths;
    struct labels *metadata = (struct labels *)(uintptr_t)entries->metadata;
    size_t n = 0;
    for (size_t w = 0; w < (entries->count + 63) / 64; w++) {
        for (uint64_t bits = kept[w]; bits != 0; bits &= bits - 1) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
            times[n] = times[i];
            lengths[n] = lengths[i];
            lines[n] = lines[i];
            if (metadata)
                metadata[n] = metadata[i];
            n++;
        }
    }
    entries->count = n;
}

/* The lines that satisfy the predicate: the text is searched before anything else is decoded. */
static bool scan_chunk(struct entry_stream *stream, struct log_source *source,
                       const struct entries_view *view, unsigned columns, struct error *err)
{
    struct arena *arena = source->arena;
    size_t count = view->header.count;
    struct chunk_entries found;
    struct slice text;
    if (!chunk_entries_load(view, CHUNK_LENGTHS, arena, &found, err) ||
        !chunk_entries_text(view, arena, &text, err))
        return false;
    uint32_t *offsets = arena_calloc(arena, count + 1, sizeof(*offsets));
    uint64_t *kept = arena_calloc(arena, count / 64 + 1, sizeof(*kept));
    if (offsets == NULL || kept == NULL)
        return arena_check(arena, "a log stream's entries", err);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        end += found.lengths[i];
        offsets[i + 1] = (uint32_t)end;
        if (end > text.size)
            return error_set(err, ERR_CORRUPT, "log chunk's text is shorter than its lines");
    }
    stream->scanned += count;
    stream->scanned_bytes += end;
    if (!line_scan_block(stream->cursor->scan, text, offsets, count, kept, err))
        return false;
    bool any = false;
    for (size_t w = 0; w < (count + 63) / 64; w++)
        any |= kept[w] != 0;
    source->entries = (struct chunk_entries){.count = 0};
    if (!any)
        return true;
    columns &= ~(unsigned)(CHUNK_LENGTHS | CHUNK_LINES);
    struct slice *lines = arena_calloc(arena, count, sizeof(*lines));
    if (lines == NULL)
        return arena_check(arena, "a log stream's entries", err);
    if (!chunk_entries_load(view, columns, arena, &source->entries, err))
        return false;
    for (size_t i = 0; i < count; i++)
        lines[i] = slice_of(text.data + offsets[i], found.lengths[i]);
    source->entries.lengths = found.lengths;
    source->entries.lines = lines;
    keep_lines(&source->entries, lines, kept);
    return true;
}

static bool read_chunk(void *context, const struct entries_view *view, struct error *err)
{
    const struct reading_entries *reading = context;
    struct entry_stream *stream = reading->stream;
    struct log_source *source = reading->source;
    const struct cursor *cursor = stream->cursor;
    unsigned columns = wanted_columns(stream, source);
    source->entries = (struct chunk_entries){.count = 0};
    if (cursor->asked.conditions.count > 0 &&
        !line_index_may_hold(chunk_entries_filter(view), &cursor->asked))
        return true;
    source->arena = arena_new_in_budget(cursor->memory_max);
    if (cursor->scan)
        return scan_chunk(stream, source, view, columns, err);
    if (!chunk_entries_load(view, columns, source->arena, &source->entries, err))
        return false;
    return true;
}

static bool decode_chunk(struct entry_stream *stream, struct log_source *source, struct error *err)
{
    const struct part *part = &stream->cursor->parts.items[source->part];
    struct reading_entries reading = {stream, source};
    return partition_view_entries(part->partition, &part->refs.items[source->ref], read_chunk,
                                  &reading, err);
}

/* First index whose time is not before (`after`: is behind) `time_ns`. */
static size_t find_time(const struct chunk_entries *entries, int64_t time_ns, bool after)
{
    size_t low = 0;
    size_t high = entries->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool before =
            after ? entries->times_ns[middle] <= time_ns : entries->times_ns[middle] < time_ns;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Columns without the deleted entries. */
static bool leave_out(const struct entry_stream *stream, struct log_source *source,
                      struct error *err)
{
    const struct chunk_entries *all = &source->entries;
    struct arena *arena = source->arena;
    int64_t *times = arena_calloc(arena, all->count, sizeof(*times));
    uint32_t *lengths = arena_calloc(arena, all->count, sizeof(*lengths));
    struct slice *lines = arena_calloc(arena, all->count, sizeof(*lines));
    struct labels *metadata = arena_calloc(arena, all->count, sizeof(*metadata));
    size_t kept = 0;
    if (!arena_check(arena, "a log stream's entries", err))
        return false;
    for (size_t i = 0; i < all->count; i++) {
        struct slice line = all->lines ? all->lines[i] : SLICE("");
        struct labels pairs = all->metadata ? all->metadata[i] : (struct labels){NULL, 0};
        if (hides_entry(stream->hides, stream->hide_count, all->times_ns[i], source->lsn, line,
                        pairs))
            continue;
        times[kept] = all->times_ns[i];
        lengths[kept] = all->lengths ? all->lengths[i] : (uint32_t)line.size;
        lines[kept] = line;
        metadata[kept++] = pairs;
    }
    source->entries = (struct chunk_entries){.times_ns = times,
                                             .lengths = lengths,
                                             .lines = all->lines ? lines : NULL,
                                             .metadata = all->metadata ? metadata : NULL,
                                             .count = kept};
    return true;
}

/* What the source has, without what was deleted. */
static bool reach_entries(struct entry_stream *stream, struct log_source *source, struct error *err)
{
    if (!(source->piece ? decode_piece(stream, source, err) : decode_chunk(stream, source, err)))
        return false;
    return source->entries.count == 0 ||
           !hides_touch(stream->hides, stream->hide_count, source->first_ns, source->last_ns,
                        source->lsn) ||
           leave_out(stream, source, err);
}

static bool reach_next(struct entry_stream *stream, struct error *err)
{
    uint32_t index = (uint32_t)stream->reached;
    struct log_source *source = &stream->sources.items[index];
    if (!cursor_goes_on(stream->cursor, err))
        return false;
    if (source->piece)
        source->arena = arena_new_in_budget(stream->cursor->memory_max);
    if (!reach_entries(stream, source, err)) {
        if (!store_damage_skip(stream->cursor->request.damage, err))
            return false;
        source->entries = (struct chunk_entries){0}; /* damaged: as if it were empty */
    }
    source->at = find_time(&source->entries, stream->cursor->request.start_ns, false);
    source->end = find_time(&source->entries, stream->cursor->request.end_ns, true);
    stream->reached++;
    if (source->at < source->end)
        array_push(&stream->active, index);
    else
        arena_free(TAKE(source->arena));
    return true;
}

/* ---- merging ----------------------------------------------------------- */

/*
 * Was what `a` has of a time stored before what `b` has of it?  A late entry of
 * some time is by definition later than all in-order ones of that time.
 */
static bool stored_before(const struct log_source *a, const struct log_source *b)
{
    if (a->side != b->side)
        return !a->side;
    if (a->lsn != b->lsn)
        return a->lsn < b->lsn;
    return a->ref < b->ref;
}

static int64_t next_time(const struct entry_stream *stream, const struct log_source *source)
{
    return source->entries.times_ns[stream->backward ? source->end - 1 : source->at];
}

/* The active source whose entry comes next; SIZE_MAX: none. */
static size_t choose(const struct entry_stream *stream)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < stream->active.count; i++) {
        const struct log_source *source = &stream->sources.items[stream->active.items[i]];
        if (best == SIZE_MAX) {
            best = i;
            continue;
        }
        const struct log_source *other = &stream->sources.items[stream->active.items[best]];
        int64_t time = next_time(stream, source);
        int64_t other_time = next_time(stream, other);
        bool sooner = stream->backward ? time > other_time : time < other_time;
        if (sooner || (time == other_time && stored_before(source, other) != stream->backward))
            best = i;
    }
    return best;
}

/* Does the next source not decoded yet reach to `time_ns`, so that it must take part? */
static bool must_reach(const struct entry_stream *stream, size_t chosen)
{
    if (stream->reached == stream->sources.count)
        return false;
    if (chosen == SIZE_MAX)
        return true;
    const struct log_source *source = &stream->sources.items[stream->active.items[chosen]];
    const struct log_source *next = &stream->sources.items[stream->reached];
    int64_t time = next_time(stream, source);
    return stream->backward ? next->last_ns >= time : next->first_ns <= time;
}

static struct hash128 content_hash(struct slice line, struct labels metadata)
{
    uint64_t seed = hash_seed();
    for (size_t i = 0; i < metadata.count; i++) {
        const struct label *pair = &metadata.items[i];
        seed = hash64(pair->name.size ? pair->name.data : "", pair->name.size, seed);
        seed = hash64(pair->value.size ? pair->value.data : "", pair->value.size, seed + 1);
    }
    return hash128(line.size ? line.data : "", line.size, seed);
}

static struct labels metadata_at(const struct chunk_entries *entries, size_t i)
{
    return entries->metadata ? entries->metadata[i] : (struct labels){NULL, 0};
}

/* Was an equal entry of the same time given already?  Else it is noted. */
static bool is_repeat(struct entry_stream *stream, const struct chunk_entries *entries, size_t i)
{
    int64_t time = entries->times_ns[i];
    if (time != stream->same_ns || stream->same.count == 0) {
        stream->same.count = 0;
        stream->same_ns = time;
    }
    struct hash128 hash = content_hash(entries->lines[i], metadata_at(entries, i));
    for (size_t k = 0; k < stream->same.count; k++) {
        if (hash128_equal(stream->same.items[k], hash))
            return true;
    }
    array_push(&stream->same, hash);
    return false;
}

static void give(struct entry_stream *stream, const struct log_source *source, size_t i)
{
    const struct chunk_entries *entries = &source->entries;
    unsigned projection = stream->projection;
    array_push(&stream->times, entries->times_ns[i]);
    if (projection & (CURSOR_LENGTHS | CURSOR_LINES))
        array_push(&stream->lengths,
                   entries->lengths ? entries->lengths[i] : (uint32_t)entries->lines[i].size);
    if (projection & CURSOR_LINES)
        array_push(&stream->lines, entries->lines[i]);
    if (projection & CURSOR_METADATA)
        array_push(&stream->metadata, metadata_at(entries, i));
}

/* Move one entry of the active source number `chosen` to the block. */
static void step(struct entry_stream *stream, size_t chosen)
{
    struct log_source *source = &stream->sources.items[stream->active.items[chosen]];
    size_t i = stream->backward ? --source->end : source->at++;
    if (source->clean || !is_repeat(stream, &source->entries, i))
        give(stream, source, i);
    if (source->at == source->end) {
        array_push(&stream->retired, TAKE(source->arena));
        stream->active.items[chosen] = stream->active.items[--stream->active.count];
    }
}

int64_t entry_stream_bound(const struct entry_stream *stream)
{
    int64_t bound = stream->backward ? INT64_MIN : INT64_MAX;
    for (size_t i = 0; i < stream->active.count; i++) {
        int64_t time = next_time(stream, &stream->sources.items[stream->active.items[i]]);
        if (stream->backward ? time > bound : time < bound)
            bound = time;
    }
    if (stream->reached < stream->sources.count) {
        const struct log_source *next = &stream->sources.items[stream->reached];
        const struct cursor_request *request = &stream->cursor->request;
        if (stream->backward && next->last_ns > bound)
            bound = next->last_ns < request->end_ns ? next->last_ns : request->end_ns;
        if (!stream->backward && next->first_ns < bound)
            bound = next->first_ns > request->start_ns ? next->first_ns : request->start_ns;
    }
    return bound;
}

/*
 * A source that nothing overlaps is given as it was decoded, without a copy.
 * False: it must go entry by entry.
 */
static bool give_whole(struct entry_stream *stream, size_t chosen, struct entry_block *out)
{
    struct log_source *source = &stream->sources.items[stream->active.items[chosen]];
    const struct chunk_entries *entries = &source->entries;
    unsigned projection = stream->projection;
    if (!source->clean || stream->backward)
        return false;
    size_t at = source->at;
    *out = (struct entry_block){
        .times_ns = entries->times_ns + at, .count = source->end - at, .exact = true};
    if (projection & (CURSOR_LENGTHS | CURSOR_LINES))
        out->lengths = entries->lengths + at;
    if (projection & CURSOR_LINES)
        out->lines = entries->lines + at;
    if (projection & CURSOR_METADATA) {
        while (entries->metadata == NULL && stream->metadata.count < out->count)
            array_push(&stream->metadata, ((struct labels){NULL, 0}));
        out->metadata = entries->metadata ? entries->metadata + at : stream->metadata.items;
    }
    array_push(&stream->retired, TAKE(source->arena));
    stream->active.items[chosen] = stream->active.items[--stream->active.count];
    return true;
}

bool entry_stream_span(const struct entry_stream *stream, struct entry_span *span)
{
    const struct cursor *cursor = stream->cursor;
    if (stream->backward || stream->active.count > 0 || stream->hide_count > 0 || cursor->scan ||
        stream->reached == stream->sources.count)
        return false;
    const struct log_source *next = &stream->sources.items[stream->reached];
    if (!next->clean || next->first_ns < cursor->request.start_ns ||
        next->last_ns > cursor->request.end_ns)
        return false;
    const struct chunk_ref *ref = &cursor->parts.items[next->part].refs.items[next->ref];
    *span = (struct entry_span){next->first_ns, next->last_ns, ref->count};
    return true;
}

void entry_stream_pass(struct entry_stream *stream)
{
    stream->reached++;
}

uint64_t cursor_entry_count(const struct cursor *cursor)
{
    uint64_t count = 0;
    for (size_t i = 0; i < cursor->snapshots.count; i++)
        count += cursor->snapshots.items[i].count;
    for (size_t p = 0; p < cursor->parts.count; p++)
        for (size_t i = 0; i < cursor->parts.items[p].refs.count; i++)
            count += cursor->parts.items[p].refs.items[i].count;
    return count;
}

static bool next_block(struct entry_stream *stream, struct entry_block *out, struct error *err)
{
    for (size_t i = 0; i < stream->retired.count; i++)
        arena_free(stream->retired.items[i]);
    stream->retired.count = 0;
    stream->times.count = stream->lengths.count = 0;
    stream->lines.count = stream->metadata.count = 0;
    while (stream->times.count < BLOCK_ENTRIES) {
        size_t chosen = choose(stream);
        if (must_reach(stream, chosen)) {
            if (!reach_next(stream, err))
                return false;
            continue;
        }
        if (chosen == SIZE_MAX)
            break;
        const struct log_source *source = &stream->sources.items[stream->active.items[chosen]];
        if (source->clean && stream->times.count > 0 && !stream->backward)
            break; /* the next block will be the whole source */
        if (give_whole(stream, chosen, out))
            return true;
        step(stream, chosen);
        if (stream->active.count == 0 && stream->times.count > 0)
            break; /* whoever reads a few entries needs no further chunk */
    }
    unsigned projection = stream->projection;
    *out = (struct entry_block){
        .times_ns = stream->times.items,
        .lengths = projection & (CURSOR_LENGTHS | CURSOR_LINES) ? stream->lengths.items : NULL,
        .lines = projection & CURSOR_LINES ? stream->lines.items : NULL,
        .metadata = projection & CURSOR_METADATA ? stream->metadata.items : NULL,
        .count = stream->times.count,
        .exact = true,
    };
    return true;
}

bool entry_stream_next(struct entry_stream *stream, struct entry_block *out, struct error *err)
{
    if (!next_block(stream, out, err))
        return false;
    out->scanned = stream->cursor->scan ? stream->scanned : out->count;
    out->scanned_bytes = stream->scanned_bytes;
    for (size_t i = 0; stream->cursor->scan == NULL && i < out->count && out->lengths; i++)
        out->scanned_bytes += out->lengths[i];
    stream->scanned = stream->scanned_bytes = 0;
    return true;
}
