/*
 * partition_verify.c - one day's file, looked at as a whole (see verify.h).
 *
 * Symbols and series are read into memory first; postings are then compared
 * with the series' labels pair by pair, hashes with symbols, directories with
 * summaries, and every chunk is put together, checked and decoded.  Keys must
 * ascend: that keeps a walk over damaged pages finite.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/chunk_rich.h"
#include "storage/partition_internal.h"
#include "storage/verify_internal.h"

enum { KEY_MAX = 511, CHUNK_MEMORY_MAX = 256 * 1024 * 1024 };

struct day_check {
    struct verify_run *run;
    struct partition p; /* only its environment, path and state are used */
    struct arena *arena;
    ARRAY(struct slice) symbols; /* in the arena */
    ARRAY(struct label_pair) pairs;
    ARRAY(size_t) ends;   /* of each series in `pairs` */
    bool index_is_good;   /* symbols and series were read without a finding */
    bool groups_are_good; /* so were the directories */
    struct label_pair posting_pair;
    uint32_t posting_last; /* of the pair at hand */
    bool posting_any;
    uint64_t hashes, postings, groups, chunks, lsn_max;
    struct buffer bytes;
    int64_t *times; /* room for a chunk */
    double *values;
};

static void problem(struct day_check *d, const char *what)
{
    verify_problem(d->run, "%s: %s", d->p.env->path, what);
}

/* Visit the rows of a database in key order; `visit` tells what it finds and goes on. */
typedef void row_visit(struct day_check *d, struct slice key, struct slice value);

static void walk(struct day_check *d, int database, row_visit *visit)
{
    struct error err = {0};
    struct reading r;
    char last[KEY_MAX];
    size_t last_size = 0;
    MDB_val key, value;
    if (!reading_begin(&r, &d->p, database, NULL, &err)) {
        verify_problem(d->run, "%s", err.message);
        return;
    }
    int rc = mdb_cursor_get(r.cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(r.cursor, &key, &value, MDB_NEXT)) {
        struct slice k = lmdb_slice(key);
        if (k.size > KEY_MAX || (last_size > 0 && slice_compare(slice_of(last, last_size), k) >= 0))
            break;
        memcpy(last, k.data, k.size);
        last_size = k.size;
        visit(d, k, lmdb_slice(value));
    }
    if (rc == 0)
        verify_problem(d->run, "%s: %s: keys are out of order", d->p.env->path,
                       partition_databases[database]);
    else if (rc != MDB_NOTFOUND)
        verify_problem(d->run, "%s: %s: %s", d->p.env->path, partition_databases[database],
                       mdb_strerror(rc));
    reading_end(&r);
}

static void count_equals(struct day_check *d, const char *what, uint64_t have, uint64_t wanted)
{
    if (have != wanted)
        verify_problem(d->run, "%s: %s: there are %llu, the state says %llu", d->p.env->path, what,
                       (unsigned long long)have, (unsigned long long)wanted);
}

/* ---- symbols and series ------------------------------------------------------ */

static void visit_symbol(struct day_check *d, struct slice key, struct slice value)
{
    if (key.size != 4 || bytes_get32_big(key.data) != d->symbols.count) {
        verify_problem(d->run, "%s: symbols: key %zu is not the next number", d->p.env->path,
                       d->symbols.count);
        d->index_is_good = false;
        return;
    }
    struct slice copy = arena_copy(d->arena, value);
    array_push(&d->symbols, copy);
}

static void visit_hash(struct day_check *d, struct slice key, struct slice value)
{
    (void)value;
    d->hashes++;
    uint32_t symbol = key.size == 8 ? bytes_get32_big(key.data + 4) : UINT32_MAX;
    if (symbol >= d->symbols.count)
        problem(d, "hashes: a key names a symbol that does not exist");
    else if (partition_symbol_hash(d->symbols.items[symbol]) != bytes_get32_big(key.data))
        verify_problem(d->run, "%s: symbols: key %u does not have the hash under which it is found",
                       d->p.env->path, symbol);
}

static bool labels_are_good(struct day_check *d, const struct label_pair *pairs, size_t count,
                            struct hash128 fingerprint)
{
    AUTO(memory_drop) struct label *labels = xcalloc(count + 1, sizeof(*labels));
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name >= d->symbols.count || pairs[i].value >= d->symbols.count)
            return false;
        labels[i] =
            (struct label){d->symbols.items[pairs[i].name], d->symbols.items[pairs[i].value]};
    }
    return hash128_equal(labels_fingerprint((struct labels){labels, count}), fingerprint);
}

static void visit_series(struct day_check *d, struct slice key, struct slice value)
{
    struct hash128 fingerprint;
    size_t count = 0;
    array_reserve(&d->pairs, d->pairs.count + SERIES_LABELS_MAX);
    struct label_pair *pairs = d->pairs.items + d->pairs.count;
    bool good = key.size == 4 && bytes_get32_big(key.data) == d->ends.count &&
                series_get(value, &fingerprint, pairs, &count);
    if (!good || !labels_are_good(d, pairs, count, fingerprint)) {
        verify_problem(d->run, "%s: series: key %zu: %s", d->p.env->path, d->ends.count,
                       good ? "its labels do not have its fingerprint" : "malformed record");
        d->index_is_good = false;
    }
    d->pairs.count += good ? count : 0;
    array_push(&d->ends, d->pairs.count);
}

/* ---- postings ------------------------------------------------------------------ */

static bool series_has(const struct day_check *d, uint32_t series, struct label_pair pair)
{
    if (series >= d->ends.count)
        return false;
    for (size_t i = series > 0 ? d->ends.items[series - 1] : 0; i < d->ends.items[series]; i++)
        if (d->pairs.items[i].name == pair.name && d->pairs.items[i].value == pair.value)
            return true;
    return false;
}

static void visit_postings(struct day_check *d, struct slice key, struct slice value)
{
    struct series_numbers numbers = {0};
    if (key.size != 12) {
        problem(d, "postings: malformed key");
        return;
    }
    struct label_pair pair = {bytes_get32_big(key.data), bytes_get32_big(key.data + 4)};
    uint32_t first = bytes_get32_big(key.data + 8);
    if (pair.name != d->posting_pair.name || pair.value != d->posting_pair.value)
        d->posting_any = false;
    d->posting_pair = pair;
    const char *wrong = NULL;
    if (!postings_get(first, value, &numbers))
        wrong = "its bytes fail their check";
    else if (d->posting_any && first <= d->posting_last)
        wrong = "it overlaps the piece before";
    for (size_t i = 0; i < numbers.count && wrong == NULL && d->index_is_good; i++)
        if (!series_has(d, numbers.items[i], pair))
            wrong = "it names a series that does not have the pair";
    if (wrong != NULL)
        verify_problem(d->run, "%s: postings: key (%u, %u, %u): %s", d->p.env->path, pair.name,
                       pair.value, first, wrong);
    if (numbers.count > 0) {
        d->posting_last = numbers.items[numbers.count - 1];
        d->posting_any = true;
    }
    d->postings += numbers.count;
    array_done(&numbers);
}

/* ---- groups and chunks ------------------------------------------------------------ */

static const char *check_samples(struct day_check *d, struct slice chunk,
                                 const struct chunk_ref *ref, struct error *err)
{
    size_t count;
    if (ref->count > CHUNK_SAMPLES_MAX)
        return "too many samples";
    if (!chunk_decode_samples(chunk, INT64_MIN, INT64_MAX, d->times, d->values, &count, err))
        return err->message;
    d->run->report->samples += count;
    if (count != ref->count || d->times[0] != ref->first_ns || d->times[count - 1] != ref->last_ns)
        return "its samples are not those of its row";
    return NULL;
}

static const char *check_entries(struct day_check *d, struct slice chunk,
                                 const struct chunk_ref *ref, struct error *err)
{
    struct chunk_entries entries;
    AUTO(arena_drop) struct arena *arena = arena_new(CHUNK_MEMORY_MAX);
    unsigned all =
        CHUNK_TIMES | CHUNK_LENGTHS | CHUNK_LINES | CHUNK_METADATA | CHUNK_SEQUENCES | CHUNK_FILTER;
    if (!chunk_decode_entries(chunk, all, arena, &entries, err))
        return err->message;
    d->run->report->entries += entries.count;
    if (entries.count != ref->count || entries.times_ns[0] != ref->first_ns ||
        entries.times_ns[entries.count - 1] != ref->last_ns)
        return "its entries are not those of its row";
    return NULL;
}

static const char *check_rich(struct day_check *d, struct slice chunk, const struct chunk_ref *ref,
                              struct error *err)
{
    const struct rich_sample *samples;
    size_t count;
    AUTO(arena_drop) struct arena *arena = arena_new(CHUNK_MEMORY_MAX);
    if (!chunk_decode_rich(chunk, INT64_MIN, INT64_MAX, arena, &samples, &count, err))
        return err->message;
    d->run->report->samples += count;
    if (count != ref->count || samples[0].time_ns != ref->first_ns ||
        samples[count - 1].time_ns != ref->last_ns)
        return "its samples are not those of its row";
    return NULL;
}

static void check_chunk(struct day_check *d, const struct chunk_ref *ref)
{
    struct error err = {0};
    struct slice chunk;
    const char *wrong = NULL;
    buffer_clear(&d->bytes);
    if (ref->series >= d->p.state.series)
        wrong = "it belongs to a series that does not exist";
    else if (partition_day(ref->first_ns) != d->p.day || partition_day(ref->last_ns) != d->p.day)
        wrong = "it does not lie in the file's day";
    else if ((ref->kind == CHUNK_ENTRIES) != (d->p.kind == STORE_LOG))
        wrong = "it is of the other kind";
    else if (!partition_fetch(&d->p, ref, 1, &d->bytes, &chunk, &err))
        wrong = err.message;
    else if (ref->kind == CHUNK_SAMPLES)
        wrong = check_samples(d, chunk, ref, &err);
    else if (ref->kind == CHUNK_ENTRIES)
        wrong = check_entries(d, chunk, ref, &err);
    else
        wrong = check_rich(d, chunk, ref, &err);
    if (wrong == NULL)
        return;
    /* partition_fetch names the place already. */
    if (slice_starts_with(slice_from_text(wrong), slice_from_text(d->p.env->path)))
        verify_problem(d->run, "%s", wrong);
    else
        verify_problem(d->run, "%s: series %u, group %u of bucket %u, offset %u: %s",
                       d->p.env->path, ref->series, (unsigned)ref->group,
                       (unsigned)(ref->group >> 32), ref->offset, wrong);
}

static void add_to_summary(struct group_summary *sum, const struct chunk_ref *ref)
{
    sum->series_min = ref->series < sum->series_min ? ref->series : sum->series_min;
    sum->series_max = ref->series > sum->series_max ? ref->series : sum->series_max;
    sum->first_ns = ref->first_ns < sum->first_ns ? ref->first_ns : sum->first_ns;
    sum->last_ns = ref->last_ns > sum->last_ns ? ref->last_ns : sum->last_ns;
    sum->lsn_max = ref->lsn_max > sum->lsn_max ? ref->lsn_max : sum->lsn_max;
    sum->chunks++;
}

static const struct group_summary *summary_find(const struct day_check *d, uint64_t key)
{
    size_t low = 0, high = d->p.groups.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (d->p.groups.items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->p.groups.count && d->p.groups.items[low].key == key ? &d->p.groups.items[low]
                                                                        : NULL;
}

static void visit_summary(struct day_check *d, struct slice key, struct slice value)
{
    struct group_summary summary;
    if (summary_get(key, value, &summary))
        array_push(&d->p.groups, summary);
    else if (key.size == 8)
        verify_problem(d->run, "%s: groups: group %u of bucket %u: malformed summary",
                       d->p.env->path, bytes_get32_big(key.data + 4), bytes_get32_big(key.data));
    else
        problem(d, "groups: malformed key");
}

static void visit_group(struct day_check *d, struct slice key, struct slice value)
{
    struct group_reader g;
    struct chunk_ref ref;
    uint64_t number = key.size == 8 ? bytes_get64_big(key.data) : 0;
    struct group_summary sum = {.key = number,
                                .series_min = UINT32_MAX,
                                .first_ns = INT64_MAX,
                                .last_ns = INT64_MIN,
                                .size = (uint32_t)value.size};
    char a[SUMMARY_SIZE], b[SUMMARY_SIZE];
    const char *wrong = NULL;
    d->groups++;
    if (key.size != 8 || !group_open(value, number, &g)) {
        wrong = "its directory fails its check";
    } else {
        while (group_next(&g, &ref)) {
            add_to_summary(&sum, &ref);
            check_chunk(d, &ref);
        }
        const struct group_summary *known = summary_find(d, number);
        summary_put(a, &sum);
        if (known != NULL)
            summary_put(b, known);
        if (!group_is_sound(&g))
            wrong = "malformed directory";
        else if (known == NULL || memcmp(a, b, sizeof(a)) != 0)
            wrong = "its summary is missing or another one's";
    }
    d->chunks += sum.chunks;
    d->lsn_max = sum.lsn_max > d->lsn_max ? sum.lsn_max : d->lsn_max;
    if (wrong == NULL)
        return;
    d->groups_are_good = false;
    verify_problem(d->run, "%s: group %u of bucket %u: %s", d->p.env->path, (unsigned)number,
                   (unsigned)(number >> 32), wrong);
}

/* ---- the whole file ------------------------------------------------------------------ */

static bool read_state(struct day_check *d)
{
    struct error err = {0};
    struct reading r;
    struct slice value = {0};
    bool ok = reading_begin(&r, &d->p, DB_META, NULL, &err);
    if (ok) {
        ok = reading_get(&r, DB_META, SLICE("state"), &value, &err);
        if (ok && (value.data == NULL || !state_get(value, &d->p.state)))
            ok = reading_corrupt(&r, "malformed state, or a newer format", &err);
        ok = ok && reading_get(&r, DB_META, SLICE("closed"), &value, &err);
        if (ok && value.data != NULL &&
            (!closed_get(value, &d->p.closed) || d->p.closed.groups > d->p.state.groups))
            ok = reading_corrupt(&r, "malformed row of the day's close", &err);
        reading_end(&r);
    }
    if (!ok)
        verify_problem(d->run, "%s", err.message);
    return ok;
}

static void check_file(struct day_check *d)
{
    const struct partition_state *state = &d->p.state;
    if (!read_state(d))
        return;
    walk(d, DB_SYMBOLS, visit_symbol);
    count_equals(d, "symbols", d->symbols.count, state->symbols);
    walk(d, DB_HASHES, visit_hash);
    count_equals(d, "hashes", d->hashes, state->symbols);
    walk(d, DB_SERIES, visit_series);
    count_equals(d, "series", d->ends.count, state->series);
    walk(d, DB_POSTINGS, visit_postings);
    if (d->index_is_good && d->postings != d->pairs.count)
        verify_problem(d->run, "%s: postings: there are %llu, the series have %zu labels",
                       d->p.env->path, (unsigned long long)d->postings, d->pairs.count);
    walk(d, DB_GROUPS, visit_summary);
    count_equals(d, "groups", d->p.groups.count, state->groups);
    walk(d, DB_BLOCKS, visit_group);
    count_equals(d, "blocks", d->groups, state->groups);
    if (d->groups_are_good)
        count_equals(d, "chunks", d->chunks, state->chunks);
    if (d->groups_are_good && d->lsn_max != state->lsn_max)
        verify_problem(d->run, "%s: the newest record in it is %llu, the state says %llu",
                       d->p.env->path, (unsigned long long)d->lsn_max,
                       (unsigned long long)state->lsn_max);
    d->run->report->series += d->ends.count;
    d->run->report->groups += d->groups;
    d->run->report->chunks += d->chunks;
}

void verify_partition(struct verify_run *run, const char *path, enum store_kind kind, int32_t day)
{
    struct error err = {0};
    struct day_check *d = xcalloc(1, sizeof(*d));
    d->run = run;
    d->p.kind = kind;
    d->p.day = day;
    d->index_is_good = d->groups_are_good = true;
    pthread_rwlock_init(&d->p.state_lock, NULL);
    /* Damaged pages are read on all the same: the rest may have more to tell. */
    d->p.env = verify_pages(run, path)
                   ? lmdb_env_open(path, partition_databases, PARTITION_DATABASES, 0, false, &err)
                   : lmdb_env_open_unchecked(path, partition_databases, PARTITION_DATABASES, &err);
    if (d->p.env == NULL) {
        verify_problem(run, "%s", err.message);
    } else {
        d->arena = arena_new(SIZE_MAX / 2);
        buffer_init(&d->bytes, CHUNK_MEMORY_MAX);
        d->times = xcalloc(chunk_room(CHUNK_SAMPLES_MAX), sizeof(*d->times));
        d->values = xcalloc(chunk_room(CHUNK_SAMPLES_MAX), sizeof(*d->values));
        check_file(d);
        run->report->partitions++;
    }
    lmdb_env_close(d->p.env);
    arena_free(d->arena);
    buffer_done(&d->bytes);
    array_done(&d->symbols);
    array_done(&d->pairs);
    array_done(&d->ends);
    array_done(&d->p.groups);
    pthread_rwlock_destroy(&d->p.state_lock);
    free(d->times);
    free(d->values);
    free(d);
}
