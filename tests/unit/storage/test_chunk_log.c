/* Log chunks: every column comes back, alone or together, and damage is refused. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/chunk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* Entries with random lines and metadata; all memory in `arena`. */
static struct chunk_entries entries_make(struct arena *arena, size_t count, bool metadata,
                                         bool sequences)
{
    int64_t *times = arena_calloc(arena, count, sizeof(*times));
    struct slice *lines = arena_calloc(arena, count, sizeof(*lines));
    struct labels *sets = arena_calloc(arena, count, sizeof(*sets));
    uint64_t *numbers = arena_calloc(arena, count, sizeof(*numbers));
    int64_t t = INT64_C(1700000000123456789);
    for (size_t i = 0; i < count; i++) {
        times[i] = t;
        numbers[i] = 1000 + i / 3;
        if (below(4) > 0)
            t += (int64_t)below(1000000);
        size_t size = below(10) == 0 ? 0 : below(120);
        char *text = arena_alloc(arena, size + 1);
        for (size_t k = 0; k < size; k++)
            text[k] = (char)(below(20) == 0 ? below(256) : 'a' + below(6));
        lines[i] = slice_of(text, size);
        size_t pairs = below(3);
        struct label *items = arena_calloc(arena, 2, sizeof(*items));
        items[0] = (struct label){SLICE("trace"),
                                  lines[i].size > 8 ? slice_sub(lines[i], 0, 8) : SLICE("none")};
        items[1] = (struct label){SLICE("user"), below(2) ? SLICE("root") : SLICE("nobody")};
        sets[i] = (struct labels){items, pairs};
    }
    return (struct chunk_entries){times,
                                  NULL,
                                  lines,
                                  metadata ? sets : NULL,
                                  sequences ? numbers : NULL,
                                  count,
                                  (enum chunk_level)below(3),
                                  below(2) == 1};
}

static void every_column_comes_back(void **state)
{
    (void)state;
    struct error err = {0};
    for (int round = 0; round < 300; round++) {
        struct arena *arena = arena_new(64 << 20);
        struct buffer out;
        buffer_init(&out, 64 << 20);
        bool metadata = below(2), sequences = below(2);
        struct chunk_entries in = entries_make(arena, 1 + below(700), metadata, sequences), got;
        assert_true(chunk_encode_entries(&in, 9, CHUNK_OVERLAPS, &out, &err));
        struct slice chunk = buffer_slice(&out);
        struct chunk_header h;
        assert_true(chunk_peek(chunk, &h, &err));
        assert_int_equal(h.kind, CHUNK_ENTRIES);
        assert_int_equal(h.flags, CHUNK_OVERLAPS);
        assert_int_equal(h.count, in.count);
        assert_int_equal(h.first_ns, in.times_ns[0]);
        assert_int_equal(h.last_ns, in.times_ns[in.count - 1]);
        assert_true(chunk_decode_entries(chunk, 31, arena, &got, &err));
        assert_int_equal(got.count, in.count);
        assert_memory_equal(got.times_ns, in.times_ns, in.count * sizeof(int64_t));
        for (size_t i = 0; i < in.count; i++) {
            assert_int_equal(got.lengths[i], in.lines[i].size);
            assert_true(slice_equal(got.lines[i], in.lines[i]));
            if (got.metadata != NULL)
                assert_true(labels_equal(got.metadata[i], in.metadata[i]));
            else if (metadata)
                assert_int_equal(in.metadata[i].count, 0);
            if (sequences)
                assert_int_equal(got.sequences[i], in.sequences[i]);
        }
        assert_true(sequences == (got.sequences != NULL));
        buffer_done(&out);
        arena_free(arena);
    }
}

static void columns_are_decoded_alone(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(64 << 20);
    struct buffer out;
    buffer_init(&out, 64 << 20);
    struct chunk_entries in = entries_make(arena, 500, true, false), got;
    assert_true(chunk_encode_entries(&in, 9, 0, &out, &err));
    /* Damage in the last column does not stop a reader of times and lengths. */
    out.data[out.size - 1] ^= 1;
    struct slice chunk = buffer_slice(&out);
    assert_true(chunk_decode_entries(chunk, CHUNK_TIMES, arena, &got, &err));
    assert_non_null(got.times_ns);
    assert_null(got.lengths);
    assert_null(got.lines);
    assert_true(chunk_decode_entries(chunk, CHUNK_LENGTHS, arena, &got, &err));
    assert_null(got.times_ns);
    assert_int_equal(got.lengths[7], in.lines[7].size);
    assert_true(chunk_decode_entries(chunk, CHUNK_LINES, arena, &got, &err));
    assert_false(chunk_decode_entries(chunk, CHUNK_METADATA, arena, &got, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    buffer_done(&out);
    arena_free(arena);
}

static void damage_is_always_noticed(void **state)
{
    (void)state;
    struct error err = {0};
    for (int round = 0; round < 60; round++) {
        struct arena *arena = arena_new(64 << 20);
        struct buffer out;
        buffer_init(&out, 64 << 20);
        struct chunk_entries in = entries_make(arena, 1 + below(100), true, true), got;
        assert_true(chunk_encode_entries(&in, 9, 0, &out, &err));
        for (int k = 0; k < 60; k++) {
            size_t size = out.size;
            char *bytes = xmemdup(out.data, out.size);
            if (below(3) == 0)
                size = below(out.size);
            else
                bytes[below(size)] ^= (char)(1u << below(8));
            assert_false(chunk_decode_entries(slice_of(bytes, size), 31, arena, &got, &err));
            assert_true(err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED);
            free(bytes);
        }
        buffer_done(&out);
        arena_free(arena);
    }
}

static void lines_over_the_limit_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 64 << 20);
    char *text = xcalloc(1, CHUNK_TEXT_MAX + 1);
    int64_t time = 5;
    struct slice line = slice_of(text, CHUNK_TEXT_MAX + 1);
    struct chunk_entries in = {&time, NULL, &line, NULL, NULL, 1, CHUNK_LEVEL_HOT, false};
    assert_false(chunk_encode_entries(&in, 9, 0, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    line.size = CHUNK_TEXT_MAX;
    assert_true(chunk_encode_entries(&in, 9, 0, &out, &err));
    free(text);
    buffer_done(&out);
}

static void decoding_respects_the_arenas_limit(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(64 << 20), *small = arena_new(1000);
    struct buffer out;
    buffer_init(&out, 64 << 20);
    struct chunk_entries in = entries_make(arena, 500, true, false), got;
    assert_true(chunk_encode_entries(&in, 9, 0, &out, &err));
    assert_false(chunk_decode_entries(buffer_slice(&out), 31, small, &got, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buffer_done(&out);
    arena_free(arena);
    arena_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_column_comes_back),
        cmocka_unit_test(columns_are_decoded_alone),
        cmocka_unit_test(damage_is_always_noticed),
        cmocka_unit_test(lines_over_the_limit_are_refused),
        cmocka_unit_test(decoding_respects_the_arenas_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
