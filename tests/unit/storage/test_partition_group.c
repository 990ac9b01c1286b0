/* Groups: chunks come back from plain and compressed frames, damage is noticed. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/compress.h"
#include "storage/partition_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CHUNKS_MAX = 400, SIZE_MAX_OF_CHUNK = 40000 };

static uint64_t random_state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

struct sample_group {
    struct chunk_ref refs[CHUNKS_MAX];
    struct slice bodies[CHUNKS_MAX];
    size_t count;
    struct buffer group;
};

/* `texts`: of a hundred chunks as many compress well. */
static void group_make(struct sample_group *g, size_t count, uint32_t texts, size_t frame_max)
{
    struct buffer plain, packed;
    struct error err = {0};
    buffer_init(&plain, FRAME_SIZE_MAX);
    buffer_init(&packed, 64 << 20);
    buffer_init(&g->group, 64 << 20);
    struct frame_packer packer = {
        .frame_max = frame_max, .effort = COMPRESS_HOT, .plain = &plain, .packed = &packed};
    g->count = count;
    for (size_t i = 0; i < count; i++) {
        bool text = below(100) < texts;
        uint32_t size = 1 + below(below(20) == 0 ? SIZE_MAX_OF_CHUNK : 900);
        char *bytes = xmalloc(size);
        for (uint32_t k = 0; k < size; k++)
            bytes[k] = text ? "level=info msg="[k % 15] : (char)below(256);
        g->bodies[i] = slice_of(bytes, size);
        g->refs[i] = (struct chunk_ref){.series = (uint32_t)i / 2,
                                        .count = 1 + below(9),
                                        .first_ns = INT64_C(1700000000000000000),
                                        .last_ns = INT64_C(1700000009000000000),
                                        .size = size,
                                        .times_size = below(size + 1),
                                        .checksum = below(UINT32_MAX),
                                        .kind = CHUNK_SAMPLES,
                                        .unit = 3};
    }
    assert_true(frames_make(&packer, g->bodies, count, &err));
    group_put(g->refs, count, g->bodies, packer.frames.items, packer.frames.count, &packed,
              &g->group);
    assert_false(g->group.failed);
    array_done(&packer.frames);
    buffer_done(&plain);
    buffer_done(&packed);
}

static void group_drop(struct sample_group *g)
{
    for (size_t i = 0; i < g->count; i++)
        free((char *)(uintptr_t)g->bodies[i].data);
    buffer_done(&g->group);
}

static void expect_all(const struct sample_group *g, uint64_t serial)
{
    struct group_reader r;
    struct chunk_ref refs[CHUNKS_MAX];
    struct error err = {0};
    struct slice group = buffer_slice(&g->group), body;
    size_t count = 0;
    assert_true(group_open(group, 7, &r));
    while (count < CHUNKS_MAX && group_next(&r, &refs[count]))
        count++;
    assert_int_equal(count, g->count);
    assert_true(group_is_sound(&r));
    for (size_t n = 0; n < 2 * count; n++) {
        size_t i = n < count ? n : below((uint32_t)count); /* in order, then in any */
        assert_int_equal(refs[i].size, g->refs[i].size);
        assert_int_equal(refs[i].checksum, g->refs[i].checksum);
        assert_true(group_body(group, serial, &refs[i], &body, &err));
        assert_true(slice_equal(body, g->bodies[i]));
    }
}

static void chunks_come_back_whatever_is_compressed(void **state)
{
    (void)state;
    static const uint32_t texts[] = {0, 10, 50, 90, 100};
    for (uint64_t round = 1; round <= 40; round++) {
        struct sample_group *g = xcalloc(1, sizeof(*g));
        group_make(g, 1 + below(CHUNKS_MAX), texts[round % COUNT_OF(texts)],
                   round % 2 ? FRAME_SIZE_METRIC : FRAME_SIZE_LOG);
        expect_all(g, round);
        expect_all(g, 0);
        group_drop(g);
        free(g);
    }
}

static void what_does_not_compress_stays_in_the_first_form(void **state)
{
    (void)state;
    struct sample_group *g = xcalloc(1, sizeof(*g));
    group_make(g, 100, 0, FRAME_SIZE_METRIC);
    assert_memory_equal(g->group.data, "ETG1", 4);
    group_drop(g);
    group_make(g, 100, 100, 0);
    assert_memory_equal(g->group.data, "ETG1", 4);
    expect_all(g, 0);
    group_drop(g);
    group_make(g, 100, 100, FRAME_SIZE_METRIC);
    assert_memory_equal(g->group.data, "ETG2", 4);
    group_drop(g);
    free(g);
}

/* Reads everything that the directory lets through; true when nothing was refused. */
static bool read_all(struct slice group)
{
    struct group_reader r;
    struct chunk_ref ref;
    struct error err = {0};
    struct slice body;
    if (!group_open(group, 7, &r))
        return false;
    bool ok = true;
    while (group_next(&r, &ref))
        ok = group_body(group, 0, &ref, &body, &err) && ok;
    return group_is_sound(&r) && ok;
}

static void damage_is_refused_and_never_read_past_the_end(void **state)
{
    (void)state;
    struct sample_group *g = xcalloc(1, sizeof(*g));
    group_make(g, 60, 70, FRAME_SIZE_METRIC);
    size_t size = g->group.size, directory = bytes_get32(g->group.data + 8) + GROUP_HEAD_SIZE;
    for (int i = 0; i < 2000; i++) {
        char *copy = xmemdup(g->group.data, size); /* of its own, for AddressSanitizer */
        size_t at = i % 2 ? below((uint32_t)directory) : below((uint32_t)size);
        copy[at] = (char)(copy[at] ^ 1 << below(8));
        bool was_read = read_all(slice_of(copy, size));
        if (at < directory)
            assert_false(was_read);
        /* A directory that only looks right must do no harm either. */
        bytes_put32(copy + 4, checksum32(copy + 8, directory - 8));
        read_all(slice_of(copy, size));
        free(copy);
    }
    for (size_t cut = 0; cut < size; cut += 1 + below(50)) {
        char *copy = xmemdup(g->group.data, cut + 1);
        assert_false(read_all(slice_of(copy, cut)));
        free(copy);
    }
    group_drop(g);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_come_back_whatever_is_compressed),
        cmocka_unit_test(what_does_not_compress_stays_in_the_first_form),
        cmocka_unit_test(damage_is_refused_and_never_read_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
