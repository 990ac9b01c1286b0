/*
 * Chunks written by earlier versions decode to what went in: tests/golden/chunk-v1-*.bin.
 *
 * The contents follow from formulas here, so the files need no companion.  With
 * ETINDE_WRITE_GOLDEN=1 missing files are written; existing ones never change.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/chunk_rich.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { COUNT = 300, LONG_COUNT = 1500, GOLDEN_SIZE_MAX = 1 << 20 };

static const char *const shapes[] = {"constant", "counter", "gauge",     "odd",   "xor",
                                     "repeats",  "large",   "irregular", "jitter"};
/* Long ones have directories of their vectors. */
static const char *const long_shapes[] = {NULL, "long-counter", "long-gauge", "long-odd",   NULL,
                                          NULL, "long-large",   NULL,         "long-jitter"};

/* Contents by formula: exact in IEEE arithmetic, so the same on every machine. */
static void samples_make(size_t shape, size_t count, int64_t *times, double *values)
{
    uint64_t state = 88172645463325252u;
    uint64_t level = 1000000;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        times[i] = INT64_C(1700000000000000000) + (int64_t)i * INT64_C(15000000000);
        if (shape == 7)
            times[i] += (int64_t)(state % 14999) * 1000003;
        if (shape == 8)
            times[i] += (int64_t)(state % 9) * 1000000;
        level += state >> 33 & 1023;
        switch (shape) {
        case 0:
            values[i] = 0.25;
            break;
        case 2:
            values[i] = (double)(int64_t)(level % 20000) / 100;
            break;
        case 3:
            values[i] = i % 40 == 7   ? double_from_bits(0x7ff0000000000002u)
                        : i % 40 == 9 ? -0.0
                                      : (double)level;
            break;
        case 4:
            values[i] = double_from_bits(0x3ff0000000000000u | state >> 12);
            break;
        case 5:
            values[i] =
                i % 10 ? values[i - 1] : double_from_bits(0x4010000000000000u | state >> 12);
            break;
        case 6:
            values[i] = 9007199254740992.0 + (double)(level * 4);
            break;
        default:
            values[i] = (double)level;
        }
    }
}

/* With `ids` most lines carry one of 32 hexadecimal digits, some of them twice. */
static struct chunk_entries entries_make(struct arena *arena, bool ids)
{
    int64_t *times = arena_calloc(arena, COUNT, sizeof(*times));
    struct slice *lines = arena_calloc(arena, COUNT, sizeof(*lines));
    struct labels *metadata = arena_calloc(arena, COUNT, sizeof(*metadata));
    uint64_t *sequences = arena_calloc(arena, COUNT, sizeof(*sequences));
    for (unsigned i = 0; i < COUNT; i++) {
        struct label *items = arena_calloc(arena, 1, sizeof(*items));
        times[i] = INT64_C(1700000000000000000) + (int64_t)i / 2 * 1234567;
        lines[i] =
            arena_printf(arena, "level=info msg=\"request %u done\" took=%ums", i, i * 7 % 300);
        if (ids)
            lines[i] = arena_printf(arena, "%.*s trace_id=%08x%08x%08x%08x", SLICE_ARG(lines[i]),
                                    (i - i % 5) * 2654435761u, i * 40503u, i - i % 5, ~i);
        items[0] = (struct label){SLICE("trace_id"), arena_printf(arena, "%08x", i * 2654435761u)};
        metadata[i] = (struct labels){items, i % 3 == 0};
        sequences[i] = 5000 + i / 4;
    }
    return (struct chunk_entries){times,     NULL,  lines,           metadata,
                                  sequences, COUNT, CHUNK_LEVEL_HOT, false};
}

/* The golden bytes; written first when asked to. */
static void golden_load(const char *name, struct slice fresh, struct buffer *out)
{
    struct error err = {0};
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/chunk-v1-%s.bin", name);
    if (getenv("ETINDE_WRITE_GOLDEN") != NULL && access(path, F_OK) != 0) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(fresh.data, 1, fresh.size, file), fresh.size);
        fclose(file);
    }
    if (!file_load(path, out, &err))
        fail_msg("%s", err.message);
}

static void check_shape(size_t shape, size_t samples, const char *name)
{
    int64_t times[LONG_COUNT], got_times[LONG_COUNT + CHUNK_VECTOR];
    double values[LONG_COUNT], got_values[LONG_COUNT + CHUNK_VECTOR];
    size_t count;
    struct error err = {0};
    struct buffer fresh, golden;
    buffer_init(&fresh, GOLDEN_SIZE_MAX);
    buffer_init(&golden, GOLDEN_SIZE_MAX);
    samples_make(shape, samples, times, values);
    assert_true(chunk_encode_samples(times, values, samples, 4711, 0, &fresh, &err));
    golden_load(name, buffer_slice(&fresh), &golden);
    for (size_t from = 0; from < samples; from += 97) {
        size_t to = from == 0 ? samples : from + (samples - from) / 5;
        int64_t end = from == 0 ? INT64_MAX : times[to] - 1;
        assert_true(chunk_decode_samples(buffer_slice(&golden), times[from], end, got_times,
                                         got_values, &count, &err));
        assert_int_equal(count, to - from);
        assert_memory_equal(got_times, times + from, count * sizeof(*times));
        assert_memory_equal(got_values, values + from, count * sizeof(*values));
    }
    buffer_done(&fresh);
    buffer_done(&golden);
}

static void sample_chunks_of_version_1_decode_to_what_went_in(void **state)
{
    (void)state;
    for (size_t shape = 0; shape < COUNT_OF(shapes); shape++) {
        check_shape(shape, COUNT, shapes[shape]);
        if (long_shapes[shape] != NULL)
            check_shape(shape, LONG_COUNT, long_shapes[shape]);
    }
}

static void check_entries(const char *name, bool ids, enum chunk_level level)
{
    struct error err = {0};
    struct arena *arena = arena_new(64 << 20);
    struct chunk_entries in = entries_make(arena, ids), got;
    struct buffer fresh, golden;
    in.level = level;
    buffer_init(&fresh, GOLDEN_SIZE_MAX);
    buffer_init(&golden, GOLDEN_SIZE_MAX);
    assert_true(chunk_encode_entries(&in, 4711, CHUNK_OVERLAPS, &fresh, &err));
    golden_load(name, buffer_slice(&fresh), &golden);
    assert_true(chunk_decode_entries(buffer_slice(&golden), 31, arena, &got, &err));
    assert_int_equal(got.count, COUNT);
    assert_memory_equal(got.times_ns, in.times_ns, COUNT * sizeof(int64_t));
    assert_memory_equal(got.sequences, in.sequences, COUNT * sizeof(uint64_t));
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(slice_equal(got.lines[i], in.lines[i]));
        assert_true(labels_equal(got.metadata[i], in.metadata[i]));
    }
    buffer_done(&fresh);
    buffer_done(&golden);
    arena_free(arena);
}

static void log_chunks_of_version_1_decode_to_what_went_in(void **state)
{
    (void)state;
    check_entries("log", false, CHUNK_LEVEL_HOT);
    check_entries("log-ids", true, CHUNK_LEVEL_CLOSED);
    check_entries("log-plain", false, CHUNK_LEVEL_PLAIN);
}

static struct slice filter_of(struct slice chunk)
{
    struct error err = {0};
    struct chunk_parts parts;
    struct entries_view view;
    assert_true(chunk_split(chunk, &parts, &err) && chunk_entries_open(&parts, &view, &err));
    return chunk_entries_filter(&view);
}

/* Filters ask for what earlier versions noted: the choice of elements is a part of the format. */
static void filters_of_version_1_are_made_alike_for_ever(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(64 << 20);
    struct chunk_entries in = entries_make(arena, true), got;
    struct buffer fresh, golden;
    in.skip_index = true;
    buffer_init(&fresh, GOLDEN_SIZE_MAX);
    buffer_init(&golden, GOLDEN_SIZE_MAX);
    assert_true(chunk_encode_entries(&in, 4711, 0, &fresh, &err));
    golden_load("log-filter", buffer_slice(&fresh), &golden);
    struct slice filter = filter_of(buffer_slice(&golden));
    assert_true(filter.size > 64);
    assert_true(slice_equal(filter, filter_of(buffer_slice(&fresh))));
    assert_true(chunk_decode_entries(buffer_slice(&golden), 63, arena, &got, &err));
    assert_int_equal(got.count, COUNT);
    buffer_done(&fresh);
    buffer_done(&golden);
    arena_free(arena);
}

/* Three layouts, floats at the end, a start time from the middle on. */
static struct rich_sample *rich_make(struct arena *arena)
{
    static const struct histogram_span near[] = {{-3, 4}}, far[] = {{-3, 4}, {5, 2}},
                                       one[] = {{0, 3}};
    static const double bounds[] = {0.1, 2.5};
    struct rich_sample *samples = arena_calloc(arena, COUNT, sizeof(*samples));
    for (unsigned i = 0; i < COUNT; i++) {
        samples[i] = (struct rich_sample){
            .time_ns = INT64_C(1700000000000000000) + (int64_t)i * INT64_C(15001000000),
            .start_ns = i < COUNT / 2 ? 0 : INT64_C(1699999000000000000),
            .value = (double)i / 4};
        if (i > COUNT - 20)
            continue;
        struct histogram *h = arena_calloc(arena, 1, sizeof(*h));
        double *counts = arena_calloc(arena, 9, sizeof(*counts));
        for (unsigned k = 0; k < 9; k++)
            counts[k] = (double)(i * (k + 1)) + (k == 2 && i % 2 ? 0.5 : 0);
        *h = (struct histogram){.schema = 4,
                                .hint = i == 30 ? HISTOGRAM_RESET : 0,
                                .zero_threshold = 0x1p-128,
                                .zero_count = i,
                                .count = 100.0 * i,
                                .sum = samples[i].value};
        h->integer = i % 2 == 0 && i < 40;
        h->positive = i < 100   ? (struct histogram_side){near, 1, counts, 4}
                      : i < 200 ? (struct histogram_side){far, 2, counts, 6}
                                : (struct histogram_side){one, 1, counts, 3};
        if (i >= 100 && i < 200)
            h->negative = (struct histogram_side){one, 1, counts + 6, 3};
        if (i >= 200)
            h->schema = HISTOGRAM_SCHEMA_CUSTOM, h->custom = bounds, h->custom_count = 2;
        samples[i].histogram = h;
    }
    return samples;
}

static void rich_chunks_of_version_1_decode_to_what_went_in(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(64 << 20);
    const struct rich_sample *in = rich_make(arena), *got;
    size_t count;
    struct buffer fresh, golden;
    buffer_init(&fresh, GOLDEN_SIZE_MAX);
    buffer_init(&golden, GOLDEN_SIZE_MAX);
    assert_true(chunk_encode_rich(in, COUNT, 4711, 0, &fresh, &err));
    golden_load("rich", buffer_slice(&fresh), &golden);
    assert_true(
        chunk_decode_rich(buffer_slice(&golden), INT64_MIN, INT64_MAX, arena, &got, &count, &err));
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const struct histogram *a = in[i].histogram, *b = got[i].histogram;
        assert_true(in[i].time_ns == got[i].time_ns && in[i].start_ns == got[i].start_ns);
        assert_true(in[i].value == got[i].value && !a == !b);
        if (a)
            assert_true(histogram_same(a, b) && a->hint == b->hint && a->integer == b->integer);
    }
    buffer_done(&fresh);
    buffer_done(&golden);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_chunks_of_version_1_decode_to_what_went_in),
        cmocka_unit_test(rich_chunks_of_version_1_decode_to_what_went_in),
        cmocka_unit_test(log_chunks_of_version_1_decode_to_what_went_in),
        cmocka_unit_test(filters_of_version_1_are_made_alike_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
