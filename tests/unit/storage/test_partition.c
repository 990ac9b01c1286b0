/* Partitions: what is sealed is found again, by any matcher, after reopening, growth and faults. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/memory.h"
#include "storage/catalog.h"
#include "storage/lmdb_env.h"
#include "storage/partition.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY = 19700, PER_CHUNK = 60 };

struct fixture {
    char directory[64];
    struct catalog *catalog;
    struct partitions *partitions;
    struct arena *arena;
};

static void must(bool ok, const struct error *err)
{
    if (!ok)
        fail_msg("%s", err->message);
}

static void open_all_with(struct fixture *f, size_t open_max, size_t map_size)
{
    struct error err = {0};
    f->catalog = catalog_open(f->directory, &err);
    must(f->catalog != NULL, &err);
    struct partitions_options options = {f->directory, f->catalog, open_max, map_size};
    f->partitions = partitions_open(&options, &err);
    must(f->partitions != NULL, &err);
}

static void open_all(struct fixture *f)
{
    open_all_with(f, 0, 64 * 1024);
}

static void close_all(struct fixture *f)
{
    partitions_close(f->partitions);
    catalog_close(f->catalog);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/etinde-partition-XXXXXX");
    if (mkdtemp(f->directory) == NULL)
        return -1;
    f->arena = arena_new((size_t)256 << 20);
    open_all(f);
    *state = f;
    return 0;
}

static void remove_tree(const char *path)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char inside[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
        if (unlink(inside) != 0)
            remove_tree(inside);
    }
    if (folder != NULL)
        closedir(folder);
    rmdir(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_all(f);
    remove_tree(f->directory);
    arena_free(f->arena);
    free(f);
    return 0;
}

static struct partition_id id_of(int32_t day)
{
    return (struct partition_id){SLICE("default"), STORE_METRIC, day};
}

/* Series number i: metric_<i%3>, host h<i>, one job for most, and every other has a zone. */
static struct labels labels_of(struct arena *arena, unsigned i)
{
    struct label *items = arena_calloc(arena, 4, sizeof(*items));
    size_t count = 0;
    items[count++] = (struct label){SLICE("__name__"), arena_printf(arena, "metric_%u", i % 3)};
    items[count++] = (struct label){SLICE("host"), arena_printf(arena, "h%u", i)};
    if (i % 50 != 49)
        items[count++] = (struct label){SLICE("job"), SLICE("node")};
    if (i % 2 == 0)
        items[count++] = (struct label){SLICE("zone"), arena_printf(arena, "z%u", i % 4)};
    return (struct labels){items, count};
}

/* Chunk `part` of a series: PER_CHUNK samples every 15 s with the target's own jitter. */
static void samples_of(unsigned series, unsigned part, int32_t day, int64_t *times, double *values)
{
    for (unsigned k = 0; k < PER_CHUNK; k++) {
        unsigned at = part * PER_CHUNK + k;
        times[k] = day * NS_PER_DAY + (int64_t)at * 15 * NS_PER_SECOND +
                   (int64_t)(at * 7919 % 11 + series % 5) * NS_PER_MS;
        values[k] = series + at / 4.0;
    }
}

static bool add_chunk(struct seal *seal, uint32_t number, unsigned series, unsigned part,
                      int32_t day, unsigned flags, struct error *err)
{
    int64_t times[PER_CHUNK];
    double values[PER_CHUNK];
    struct buffer chunk;
    buffer_init(&chunk, 1 << 20);
    samples_of(series, part, day, times, values);
    bool ok = chunk_encode_samples(times, values, PER_CHUNK, 100 + part, flags, &chunk, err) &&
              seal_chunk(seal, number, buffer_slice(&chunk), err);
    buffer_done(&chunk);
    return ok;
}

/* Seal chunk `part` of series [0, count). */
static bool seal_part(struct fixture *f, int32_t day, unsigned count, unsigned part,
                      struct error *err)
{
    struct partition_id id = id_of(day);
    struct seal *seal = seal_begin(f->partitions, &id, err);
    if (seal == NULL)
        return false;
    bool ok = true;
    for (unsigned i = 0; i < count && ok; i++) {
        uint32_t number = 0;
        ok = seal_series(seal, labels_of(f->arena, i), &number, err) &&
             add_chunk(seal, number, i, part, day, 0, err) &&
             (!seal_is_full(seal) || seal_commit(seal, err));
    }
    ok = ok && seal_commit(seal, err);
    seal_end(seal);
    return ok;
}

/* Every sample of series [0, count), parts [0, parts) is there, once. */
static void check_contents(struct fixture *f, int32_t day, unsigned count, unsigned parts)
{
    struct error err = {0};
    struct partition_id id = id_of(day);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    must(p != NULL, &err);
    assert_int_equal(partition_series_count(p), count);
    struct series_numbers numbers = {0};
    struct chunk_refs refs = {0};
    must(partition_select(p, NULL, 0, NULL, &numbers, &err), &err);
    assert_int_equal(numbers.count, count);
    must(partition_chunks(p, numbers.items, numbers.count, INT64_MIN, INT64_MAX, NULL, &refs, &err),
         &err);
    assert_int_equal(refs.count, (size_t)count * parts);
    struct labels *labels = xcalloc(count, sizeof(*labels));
    must(partition_labels(p, numbers.items, count, f->arena, labels, &err), &err);
    struct buffer bytes;
    buffer_init(&bytes, (size_t)256 << 20);
    struct slice *chunks = xcalloc(refs.count, sizeof(*chunks));
    must(partition_fetch(p, refs.items, refs.count, &bytes, chunks, &err), &err);
    for (size_t i = 0; i < refs.count; i++) {
        int64_t times[PER_CHUNK], got_times[PER_CHUNK + CHUNK_VECTOR];
        double values[PER_CHUNK], got_values[PER_CHUNK + CHUNK_VECTOR];
        size_t n;
        unsigned series = (unsigned)(i / parts);
        assert_true(labels_equal(labels[series], labels_of(f->arena, series)));
        samples_of(series, (unsigned)(i % parts), day, times, values);
        must(chunk_decode_samples(chunks[i], INT64_MIN, INT64_MAX, got_times, got_values, &n, &err),
             &err);
        assert_int_equal(n, PER_CHUNK);
        assert_memory_equal(got_times, times, sizeof(times));
        assert_memory_equal(got_values, values, sizeof(values));
    }
    free(chunks);
    free(labels);
    buffer_done(&bytes);
    array_done(&numbers);
    array_done(&refs);
    partition_release(p);
}

static void what_is_sealed_is_found_after_reopening(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 500, 0, &err), &err);
    check_contents(f, DAY, 500, 1);
    must(seal_part(f, DAY, 700, 1, &err), &err);
    close_all(f);
    open_all(f);
    must(seal_part(f, DAY, 700, 0, &err),
         &err); /* 500 of them twice: that is the caller's choice */
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    assert_int_equal(partition_series_count(p), 700);
    partition_release(p);
}

static void several_parts_come_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (unsigned part = 0; part < 5; part++)
        must(seal_part(f, DAY, 300, part, &err), &err);
    check_contents(f, DAY, 300, 5);
    close_all(f);
    open_all(f);
    check_contents(f, DAY, 300, 5);
}

static void chunks_are_listed_by_range_and_series(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (unsigned part = 0; part < 4; part++)
        must(seal_part(f, DAY, 200, part, &err), &err);
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    uint32_t wanted[] = {3, 77, 150, 199};
    struct chunk_refs refs = {0};
    /* 15 minutes a part: a point in the third. */
    int64_t at = DAY * NS_PER_DAY + 35 * NS_PER_MINUTE;
    must(partition_chunks(p, wanted, 4, at, at, NULL, &refs, &err), &err);
    assert_int_equal(refs.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(refs.items[i].series, wanted[i]);
        assert_int_equal(refs.items[i].lsn_max, 102);
        assert_true(refs.items[i].first_ns <= at && refs.items[i].last_ns >= at);
    }
    refs.count = 0;
    must(partition_chunks(p, wanted, 4, 0, 5, NULL, &refs, &err), &err);
    assert_int_equal(refs.count, 0);
    array_done(&refs);
    partition_release(p);
}

/* Matchers give exactly the series whose labels satisfy them, tested one by one. */
static void every_shape_of_matcher_selects_what_its_labels_say(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    enum { COUNT = 130 };
    must(seal_part(f, DAY, COUNT, 0, &err), &err);
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    static const char *const names[] = {"__name__", "host", "zone", "job", "absent"};
    static const char *const values[] = {"",     "metric_1", "h7",       "z2",
                                         ".*",   ".+",       "h1|h2|h9", "z0|",
                                         "h1.*", "|h3|z2",   "n[a-z]+",  "(?i)H1[0-9]"};
    for (size_t round = 0; round < 5 * 4 * COUNT_OF(values) * 5; round++) {
        struct matcher m[2];
        size_t r = round;
        size_t n0 = r % 5, t0 = r / 5 % 4, v0 = r / 20 % COUNT_OF(values);
        size_t n1 = r / 20 / COUNT_OF(values) % 5, t1 = (t0 + r) % 4,
               v1 = (v0 * 5 + 3) % COUNT_OF(values);
        must(matcher_init(&m[0], (enum matcher_type)t0, slice_from_text(names[n0]),
                          slice_from_text(values[v0]), &err),
             &err);
        must(matcher_init(&m[1], (enum matcher_type)t1, slice_from_text(names[n1]),
                          slice_from_text(values[v1]), &err),
             &err);
        struct series_numbers got = {0};
        must(partition_select(p, m, 1 + round % 2, NULL, &got, &err), &err);
        size_t at = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            int hit = matchers_test(m, 1 + round % 2, labels_of(f->arena, i), &err);
            bool in = at < got.count && got.items[at] == i;
            if (hit != in)
                fail_msg("series %u: %s%s%s [and %s%s%s] says %d, the index %d", i, names[n0],
                         matcher_operator(m[0].type), values[v0], names[n1],
                         matcher_operator(m[1].type), values[v1], hit, in);
            at += in;
        }
        assert_int_equal(at, got.count);
        array_done(&got);
        matcher_done(&m[0]);
        matcher_done(&m[1]);
    }
    partition_release(p);
}

static void names_and_values_are_sorted_and_follow_matchers(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 40, 0, &err), &err);
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    struct slice *names;
    size_t count;
    must(partition_names(p, NULL, 0, (struct slice){0}, NULL, f->arena, &names, &count, &err),
         &err);
    assert_int_equal(count, 4);
    assert_true(slice_equal(names[0], SLICE("__name__")));
    assert_true(slice_equal(names[3], SLICE("zone")));
    must(partition_names(p, NULL, 0, SLICE("__name__"), NULL, f->arena, &names, &count, &err),
         &err);
    assert_int_equal(count, 3);
    must(partition_names(p, NULL, 0, SLICE("host"), NULL, f->arena, &names, &count, &err), &err);
    assert_int_equal(count, 40);
    assert_true(slice_equal(names[1], SLICE("h1")));
    assert_true(slice_equal(names[2], SLICE("h10")));
    struct matcher m;
    must(matcher_init(&m, MATCH_EQUAL, SLICE("zone"), SLICE("z2"), &err), &err);
    must(partition_names(p, &m, 1, SLICE("zone"), NULL, f->arena, &names, &count, &err), &err);
    assert_int_equal(count, 1);
    matcher_done(&m);
    must(matcher_init(&m, MATCH_EQUAL, SLICE("zone"), SLICE(""), &err), &err);
    must(partition_names(p, &m, 1, (struct slice){0}, NULL, f->arena, &names, &count, &err), &err);
    assert_int_equal(count, 3);
    matcher_done(&m);
    must(partition_names(p, NULL, 0, SLICE("absent"), NULL, f->arena, &names, &count, &err), &err);
    assert_int_equal(count, 0);
    partition_release(p);
}

static void replay_is_told_what_is_sealed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 50, 0, &err), &err);
    struct partition_id id = id_of(DAY);
    struct seal *seal = seal_begin(f->partitions, &id, &err);
    uint32_t number;
    must(seal_series(seal, labels_of(f->arena, 7), &number, &err), &err);
    assert_int_equal(number, 7);
    must(add_chunk(seal, number, 7, 3, DAY, 0, &err), &err);
    must(add_chunk(seal, number, 7, 2, DAY, CHUNK_OUT_OF_ORDER, &err), &err);
    must(seal_commit(seal, &err), &err);
    seal_end(seal);
    for (int round = 0; round < 2; round++) {
        struct partition *p = partition_acquire(f->partitions, &id, &err);
        struct sealed_state sealed;
        int64_t times[PER_CHUNK];
        double values[PER_CHUNK], value;
        must(partition_sealed(p, labels_of(f->arena, 7), &sealed, &err), &err);
        assert_true(sealed.known);
        assert_int_equal(sealed.series, 7);
        assert_int_equal(sealed.lsn[0], 103);
        assert_int_equal(sealed.lsn[1], 102);
        samples_of(7, 3, DAY, times, values);
        assert_int_equal(sealed.last_ns, times[PER_CHUNK - 1]);
        must(partition_last_value(p, &sealed, &value, &err), &err);
        assert_true(value == values[PER_CHUNK - 1]);
        must(partition_sealed(p, labels_of(f->arena, 50), &sealed, &err), &err);
        assert_false(sealed.known);
        assert_int_equal(partition_lsn_max(p), 103);
        partition_release(p);
        close_all(f);
        open_all(f);
    }
}

static void what_is_not_committed_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct partition_id id = id_of(DAY);
    struct seal *seal = seal_begin(f->partitions, &id, &err);
    uint32_t number;
    must(seal_series(seal, labels_of(f->arena, 7), &number, &err), &err);
    must(add_chunk(seal, number, 7, 0, DAY, 0, &err), &err);
    seal_end(seal);
    assert_null(partition_acquire(f->partitions, &id, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    must(seal_part(f, DAY, 5, 0, &err), &err);
    seal = seal_begin(f->partitions, &id, &err);
    must(seal_series(seal, labels_of(f->arena, 9), &number, &err), &err);
    seal_end(seal);
    must(seal_part(f, DAY, 6, 1, &err), &err);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    assert_int_equal(partition_series_count(p), 6);
    partition_release(p);
}

static void columns_are_shared_from_one_transaction_of_a_seal_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct partition_id id = id_of(DAY);
    struct seal *seal = seal_begin(f->partitions, &id, &err);
    for (unsigned i = 0; i < 400; i++) { /* a transaction each: none has a column twice */
        uint32_t number = 0;
        must(seal_series(seal, labels_of(f->arena, i), &number, &err) &&
                 add_chunk(seal, number, i, 0, DAY, 0, &err) && seal_commit(seal, &err),
             &err);
    }
    seal_end(seal);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    struct series_numbers numbers = {0};
    struct chunk_refs refs = {0};
    must(partition_select(p, NULL, 0, NULL, &numbers, &err), &err);
    must(partition_chunks(p, numbers.items, numbers.count, INT64_MIN, INT64_MAX, NULL, &refs, &err),
         &err);
    uint32_t columns = 0;
    size_t inside = 0;
    for (size_t i = 0; i < refs.count; i++) {
        inside += refs.items[i].column == 0;
        columns = refs.items[i].column > columns ? refs.items[i].column : columns;
    }
    /* The first use of each stays in its chunk, all later ones name the stored column. */
    assert_true(columns >= 1 && columns <= 5);
    assert_int_equal(inside, columns);
    array_done(&numbers);
    array_done(&refs);
    partition_release(p);
    check_contents(f, DAY, 400, 1);
}

static void equal_time_columns_are_stored_once(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 400, 0, &err), &err);
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    struct series_numbers numbers = {0};
    struct chunk_refs refs = {0};
    must(partition_select(p, NULL, 0, NULL, &numbers, &err), &err);
    must(partition_chunks(p, numbers.items, numbers.count, INT64_MIN, INT64_MAX, NULL, &refs, &err),
         &err);
    uint32_t columns = 0;
    for (size_t i = 0; i < refs.count; i++) {
        assert_true(refs.items[i].column != 0);
        columns = refs.items[i].column > columns ? refs.items[i].column : columns;
    }
    assert_true(columns >= 1 &&
                columns <= 5); /* one jitter pattern; five phases are the same column */
    array_done(&numbers);
    array_done(&refs);
    partition_release(p);
    check_contents(f, DAY, 400, 1);
}

static void unnamed_files_are_removed_at_start(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 5, 0, &err), &err);
    char path[256], kept[256];
    snprintf(path, sizeof(path), "%s/default/metric/2023-12-09/2.mdb", f->directory);
    snprintf(kept, sizeof(kept), "%s/default/metric/2023-12-09/1.mdb", f->directory);
    assert_int_equal(access(kept, F_OK), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    close_all(f);
    open_all(f);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(access(kept, F_OK), 0);
    check_contents(f, DAY, 5, 1);
}

static bool before_last(void *context, const struct catalog_day *day)
{
    (void)context;
    return day->day < DAY + 2;
}

static void retention_deletes_whole_days_and_spares_readers(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (int32_t day = DAY; day < DAY + 4; day++)
        must(seal_part(f, day, 20, 0, &err), &err);
    struct partition_id id = id_of(DAY + 1);
    struct partition *reader = partition_acquire(f->partitions, &id, &err);
    uint64_t deleted;
    must(partitions_delete_expired(f->partitions, before_last, NULL, 0, &deleted, &err), &err);
    assert_int_equal(deleted, 2);
    assert_null(partition_acquire(f->partitions, &id, &err));
    struct series_numbers numbers = {0};
    must(partition_select(reader, NULL, 0, NULL, &numbers, &err), &err);
    assert_int_equal(numbers.count, 20);
    array_done(&numbers);
    /* Late data makes the day anew while the old one is still read. */
    must(seal_part(f, DAY + 1, 3, 0, &err), &err);
    check_contents(f, DAY + 1, 3, 1);
    partition_release(reader);
    check_contents(f, DAY + 1, 3, 1);
    check_contents(f, DAY + 2, 20, 1);
    struct partitions_stats stats;
    partitions_stats_read(f->partitions, &stats);
    assert_int_equal(stats.count, 3);
    assert_true(stats.bytes > 0);
}

static void many_days_stay_under_the_limit_of_open_ones(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    close_all(f);
    open_all_with(f, 4, 64 * 1024);
    struct partition *held[6];
    for (int32_t day = DAY; day < DAY + 20; day++)
        must(seal_part(f, day, 3, 0, &err), &err);
    struct partitions_stats stats;
    partitions_stats_read(f->partitions, &stats);
    assert_int_equal(stats.count, 20);
    assert_true(stats.open <= 4);
    for (int i = 0; i < 6; i++) {
        struct partition_id id = id_of(DAY + i);
        held[i] = partition_acquire(f->partitions, &id, &err);
        must(held[i] != NULL, &err);
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(partition_series_count(held[i]), 3);
        partition_release(held[i]);
    }
    partitions_stats_read(f->partitions, &stats);
    assert_true(stats.open <= 4);
    for (int32_t day = DAY; day < DAY + 20; day++)
        check_contents(f, day, 3, 1);
}

static void the_map_grows_under_a_large_seal(void **state)
{
    struct fixture *f = *state; /* its maps start at 64 KiB */
    struct error err = {0};
    must(seal_part(f, DAY, 6000, 0, &err), &err);
    must(seal_part(f, DAY, 6000, 1, &err), &err);
    check_contents(f, DAY, 6000, 2);
}

static int fault_at, fault_code;

static int fault_hook(const char *call)
{
    (void)call;
    return --fault_at == 0 ? fault_code : 0;
}

static void a_fault_at_any_call_loses_nothing_that_was_committed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 30, 0, &err), &err);
    unsigned parts = 1;
    bool failed = true;
    for (int n = 1; failed; n++) {
        fault_at = n;
        fault_code = n % 2 ? ENOSPC : MDB_MAP_FULL;
        lmdb_fault = fault_hook;
        failed = !seal_part(f, DAY, 30, parts, &err);
        bool hit = fault_at <= 0;
        lmdb_fault = NULL;
        if (failed && fault_code == ENOSPC)
            assert_int_equal(err.code, ERR_UNAVAILABLE);
        parts += !failed;
        if (n % 10 == 1 || !failed)
            check_contents(f, DAY, 30, parts);
        failed = hit; /* go on until a run meets no fault */
        if (parts > 60)
            break;
    }
    assert_true(parts > 1);
    check_contents(f, DAY, 30, parts);
}

static void a_fault_at_any_call_of_a_new_day_leaves_it_whole_or_absent(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    bool hit = true;
    for (int n = 1; hit; n++) {
        int32_t day = DAY + n;
        fault_at = n;
        fault_code = ENOSPC;
        lmdb_fault = fault_hook;
        bool ok = seal_part(f, day, 4, 0, &err);
        hit = fault_at <= 0;
        lmdb_fault = NULL;
        assert_true(ok != hit);
        if (!ok) {
            struct partition_id id = id_of(day);
            assert_null(partition_acquire(f->partitions, &id, &err));
            must(seal_part(f, day, 4, 0, &err), &err);
        }
        check_contents(f, day, 4, 1);
    }
}

static void a_kill_between_seals_keeps_every_commit(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    close_all(f);
    for (int round = 0; round < 6; round++) {
        int pipe_ends[2];
        assert_int_equal(pipe(pipe_ends), 0);
        pid_t child = fork();
        if (child == 0) {
            open_all(f);
            for (unsigned part = 0; part < 40; part++) {
                if (!seal_part(f, DAY + round, 100, part, &err))
                    _exit(1);
                char byte = 1;
                if (write(pipe_ends[1], &byte, 1) != 1)
                    _exit(1);
            }
            _exit(0);
        }
        close(pipe_ends[1]);
        unsigned told = 0;
        char byte;
        while (told < 3 + (unsigned)round * 3 && read(pipe_ends[0], &byte, 1) == 1)
            told++;
        usleep((useconds_t)round * 700);
        kill(child, SIGKILL);
        while (read(pipe_ends[0], &byte, 1) == 1)
            told++;
        waitpid(child, NULL, 0);
        close(pipe_ends[0]);
        open_all(f);
        struct partition_id id = id_of(DAY + round);
        struct partition *p = partition_acquire(f->partitions, &id, &err);
        must(p != NULL, &err);
        unsigned parts = (unsigned)(partition_lsn_max(p) - 99);
        partition_release(p);
        assert_true(parts == told || parts == told + 1);
        check_contents(f, DAY + round, 100, parts);
        close_all(f);
    }
    open_all(f);
}

/* Flip bytes of chunks in the file itself: reading says so and names the place. */
static void damaged_chunks_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(seal_part(f, DAY, 300, 0, &err), &err);
    close_all(f);
    char path[256];
    snprintf(path, sizeof(path), "%s/default/metric/2023-12-09/1.mdb", f->directory);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    char *bytes = xmalloc((size_t)info.st_size);
    assert_int_equal(fread(bytes, 1, (size_t)info.st_size, file), (size_t)info.st_size);
    char *group = memmem(bytes, (size_t)info.st_size, "ETG1", 4);
    assert_non_null(group);
    uint32_t directory;
    memcpy(&directory, group + 8, sizeof(directory));
    char *chunks = group + 16 + directory;
    chunks[40] ^= 4; /* inside the first chunk's columns */
    fseek(file, 0, SEEK_SET);
    assert_int_equal(fwrite(bytes, 1, (size_t)info.st_size, file), (size_t)info.st_size);
    fclose(file);
    free(bytes);
    open_all(f);
    struct partition_id id = id_of(DAY);
    struct partition *p = partition_acquire(f->partitions, &id, &err);
    must(p != NULL, &err);
    struct series_numbers numbers = {0};
    struct chunk_refs refs = {0};
    must(partition_select(p, NULL, 0, NULL, &numbers, &err), &err);
    must(partition_chunks(p, numbers.items, numbers.count, INT64_MIN, INT64_MAX, NULL, &refs, &err),
         &err);
    size_t bad = 0;
    for (size_t i = 0; i < refs.count; i++) {
        struct buffer out;
        struct slice chunk;
        buffer_init(&out, 1 << 20);
        if (!partition_fetch(p, &refs.items[i], 1, &out, &chunk, &err)) {
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_non_null(strstr(err.message, "1.mdb"));
            bad++;
        }
        buffer_done(&out);
    }
    assert_int_equal(bad, 1);
    array_done(&numbers);
    array_done(&refs);
    partition_release(p);
}

struct reader_task {
    struct fixture *f;
    bool stop;
    unsigned rounds, failures;
};

/* Whatever a reader sees while others seal: whole chunks of whole commits. */
static void *reader_run(void *context)
{
    struct reader_task *task = context;
    struct partition_id id = id_of(DAY);
    while (!__atomic_load_n(&task->stop, __ATOMIC_RELAXED) || task->rounds == 0) {
        struct error err = {0};
        struct partition *p = partition_acquire(task->f->partitions, &id, &err);
        struct series_numbers numbers = {0};
        struct chunk_refs refs = {0};
        struct buffer bytes;
        buffer_init(&bytes, 64 << 20);
        bool ok = p != NULL && partition_select(p, NULL, 0, NULL, &numbers, &err) &&
                  partition_chunks(p, numbers.items, numbers.count, INT64_MIN, INT64_MAX, NULL,
                                   &refs, &err) &&
                  refs.count >= numbers.count;
        struct slice *chunks = xcalloc(refs.count + 1, sizeof(*chunks));
        ok = ok && partition_fetch(p, refs.items, refs.count, &bytes, chunks, &err);
        task->failures += !ok;
        task->rounds++;
        free(chunks);
        buffer_done(&bytes);
        array_done(&numbers);
        array_done(&refs);
        partition_release(p);
    }
    return NULL;
}

static void readers_go_on_while_a_seal_grows_the_map(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct reader_task tasks[2] = {{.f = f}, {.f = f}};
    pthread_t threads[2];
    must(seal_part(f, DAY, 200, 0, &err), &err);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &tasks[i]), 0);
    for (unsigned part = 1; part < 40; part++)
        must(seal_part(f, DAY, 200, part, &err), &err);
    for (int i = 0; i < 2; i++) {
        __atomic_store_n(&tasks[i].stop, true, __ATOMIC_RELAXED);
        pthread_join(threads[i], NULL);
        assert_int_equal(tasks[i].failures, 0);
    }
    check_contents(f, DAY, 200, 40);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_is_sealed_is_found_after_reopening),
        WITH_FIXTURE(several_parts_come_back_in_order),
        WITH_FIXTURE(chunks_are_listed_by_range_and_series),
        WITH_FIXTURE(every_shape_of_matcher_selects_what_its_labels_say),
        WITH_FIXTURE(names_and_values_are_sorted_and_follow_matchers),
        WITH_FIXTURE(replay_is_told_what_is_sealed),
        WITH_FIXTURE(what_is_not_committed_leaves_no_trace),
        WITH_FIXTURE(equal_time_columns_are_stored_once),
        WITH_FIXTURE(columns_are_shared_from_one_transaction_of_a_seal_to_the_next),
        WITH_FIXTURE(unnamed_files_are_removed_at_start),
        WITH_FIXTURE(retention_deletes_whole_days_and_spares_readers),
        WITH_FIXTURE(many_days_stay_under_the_limit_of_open_ones),
        WITH_FIXTURE(the_map_grows_under_a_large_seal),
        WITH_FIXTURE(a_fault_at_any_call_loses_nothing_that_was_committed),
        WITH_FIXTURE(a_fault_at_any_call_of_a_new_day_leaves_it_whole_or_absent),
        WITH_FIXTURE(a_kill_between_seals_keeps_every_commit),
        WITH_FIXTURE(readers_go_on_while_a_seal_grows_the_map),
        WITH_FIXTURE(damaged_chunks_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
