/*
 * bench_base.c - numbers as text, JSON in and out, the hash table.
 *
 * Prints "name value unit" lines, the best of five rounds with a fixed seed.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/table.h"

enum { ROUNDS = 5, COUNT = 1000000 };

static uint64_t random_state = 20261123;
static double numbers[COUNT];
static uint64_t keys[COUNT];

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Nanoseconds that `run` takes for the whole job, at best. */
static int64_t best_of(void (*run)(void *), void *argument)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = clock_monotonic_ns();
        run(argument);
        int64_t took = clock_monotonic_ns() - start;
        if (took < best)
            best = took;
    }
    return best;
}

static void print_each(const char *name, int64_t ns)
{
    printf("%s %.1f ns\n", name, (double)ns / COUNT);
}

static size_t sink;

static void format_numbers(void *argument)
{
    (void)argument;
    char text[DOUBLE_TEXT_MAX];
    for (size_t i = 0; i < COUNT; i++)
        sink += double_format(text, numbers[i], 'j');
}

static void parse_numbers(void *argument)
{
    char(*texts)[32] = argument;
    double v;
    for (size_t i = 0; i < COUNT; i++)
        sink += slice_parse_double(slice_from_text(texts[i]), false, &v);
}

static void bench_numbers(const char *kind, double (*make)(void))
{
    char name[64];
    char(*texts)[32] = xcalloc(COUNT, sizeof(*texts));
    for (size_t i = 0; i < COUNT; i++) {
        char text[DOUBLE_TEXT_MAX];
        numbers[i] = make();
        size_t size = double_format(text, numbers[i], 'e');
        memcpy(texts[i], text, size + 1);
    }
    snprintf(name, sizeof(name), "double_format_%s", kind);
    print_each(name, best_of(format_numbers, NULL));
    snprintf(name, sizeof(name), "double_parse_%s", kind);
    print_each(name, best_of(parse_numbers, texts));
    free(texts);
}

static double make_whole(void)
{
    return (double)(next_random() % 100000000);
}

static double make_decimal(void)
{
    return (double)(next_random() % 10000000) / 100;
}

static double make_full(void)
{
    return double_from_bits(next_random() % 0x7fe0000000000000);
}

/* A push body as a Loki client sends it. */
static void write_push(void *argument)
{
    struct buffer *out = argument;
    struct json_writer w;
    buffer_clear(out);
    json_writer_init(&w, out);
    json_write_array_begin(&w);
    for (int i = 0; i < 80000; i++) {
        char text[256];
        json_write_array_begin(&w);
        int size = snprintf(text, sizeof(text), "17000000000%08d", i);
        json_write_string(&w, slice_of(text, (size_t)size));
        size = snprintf(text, sizeof(text),
                        "level=info ts=2026-11-23T17:00:00.%03dZ caller=main.go:%d msg=%srequest "
                        "served%s path=/api/v1/query duration=12.%dms status=200 bytes=%d",
                        i % 1000, i, i % 2 ? "\"" : "", i % 2 ? "\"" : "", i, i * 3);
        json_write_string(&w, slice_of(text, (size_t)size));
        json_write_array_end(&w);
    }
    json_write_array_end(&w);
}

static void read_push(void *argument)
{
    struct arena *arena = arena_new((size_t)256 << 20);
    struct json_reader r;
    struct slice text;
    json_reader_init(&r, buffer_slice(argument), JSON_UTF8_REPLACE);
    while (json_next(&r) > JSON_ERROR) {
        if (r.event == JSON_STRING && json_text(&r, arena, &text, NULL))
            sink += text.size;
    }
    arena_free(arena);
}

static void bench_json(void)
{
    struct buffer body;
    buffer_init(&body, (size_t)256 << 20);
    int64_t written = best_of(write_push, &body);
    printf("json_write %.0f MB/s\n", (double)body.size * 1e3 / (double)written);
    printf("json_read %.0f MB/s\n", (double)body.size * 1e3 / (double)best_of(read_push, &body));
    buffer_done(&body);
}

static bool key_equal(const void *items, uint32_t index, const void *key)
{
    return ((const uint64_t *)items)[index] == *(const uint64_t *)key;
}

static void fill_table(void *argument)
{
    struct table *t = argument;
    table_done(t);
    table_init(t);
    for (uint32_t i = 0; i < COUNT; i++)
        table_insert(t, hash64(&keys[i], sizeof(keys[i]), 1), i);
}

static void find_all(void *argument)
{
    for (uint32_t i = 0; i < COUNT; i++)
        sink +=
            table_find(argument, hash64(&keys[i], sizeof(keys[i]), 1), key_equal, keys, &keys[i]);
}

int main(void)
{
    bench_numbers("whole", make_whole);
    bench_numbers("decimal", make_decimal);
    bench_numbers("full", make_full);
    bench_json();
    struct table t = {0};
    for (size_t i = 0; i < COUNT; i++)
        keys[i] = next_random();
    print_each("table_insert", best_of(fill_table, &t));
    print_each("table_find", best_of(find_all, &t));
    table_done(&t);
    return sink == 0;
}
