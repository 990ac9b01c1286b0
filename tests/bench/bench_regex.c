/*
 * bench_regex.c - CPU time of regular expressions on log lines and label values.
 *
 *     bench-regex [rounds]
 *
 * Prints nanoseconds per line of about 150 bytes, and for a text of 64 KiB.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/regex.h"

#include <inttypes.h>
#include <time.h>

enum { LINES = 1000, ROUNDS = 20 };

static const struct {
    const char *pattern;
    unsigned flags;
} cases[] = {
    {"timeout", 0},
    {"(?i)timeout", 0},
    {"error|timeout|refused", 0},
    {"(?i)error|timeout", 0},
    {"GET /api/v[0-9]+/users", 0},
    {"status=5\\d\\d", 0},
    {".*status=(4|5)..", 0},
    {"\\b(\\d{1,3}\\.){3}\\d{1,3}\\b", 0},
    {"user=(\\w+) .*took=(\\d+)ms", 0},
    {"(\\w+\\s)*took", 0},
    {"(a*)*z", 0},
    {"level=(info|warn).*", REGEX_ANCHORED | REGEX_DOT_NEWLINE},
    {".*took.*", REGEX_ANCHORED | REGEX_DOT_NEWLINE},
    {"2026.*[0-9]ms", REGEX_ANCHORED | REGEX_DOT_NEWLINE},
    {"\\p{L}+ed", 0},
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void make_line(struct buffer *out, unsigned i)
{
    static const char *const levels[] = {"info", "info", "warn", "error"};
    buffer_printf(out,
                  "2026-11-23T18:%02u:%02u.%03uZ level=%s host=10.0.%u.%u user=u%u msg=\"request "
                  "GET /api/v1/items/%u finished\" status=%u size=%u took=%ums",
                  i / 60 % 60, i % 60, i % 1000, levels[i % 4], i % 256, i % 199, i, i * 7,
                  i % 50 ? 200U : 503U, i * 31, i % 90);
}

static int64_t time_match(const struct regex *regex, const struct slice *texts, size_t count,
                          unsigned rounds, size_t *hits)
{
    struct error err = {0};
    *hits = 0;
    int64_t start = cpu_ns();
    for (unsigned r = 0; r < rounds; r++)
        for (size_t i = 0; i < count; i++)
            *hits += regex_match(regex, texts[i], &err) == 1;
    return cpu_ns() - start;
}

int main(int argc, char **argv)
{
    uint64_t rounds = ROUNDS;
    if (argc > 1)
        (void)slice_parse_u64(slice_from_text(argv[1]), &rounds);
    struct buffer text;
    buffer_init(&text, 1 << 24);
    size_t starts[LINES + 1];
    for (unsigned i = 0; i < LINES; i++) {
        starts[i] = text.size;
        make_line(&text, i);
    }
    starts[LINES] = text.size;
    struct slice lines[LINES];
    for (unsigned i = 0; i < LINES; i++)
        lines[i] = slice_of(text.data + starts[i], starts[i + 1] - starts[i]);
    struct slice block = slice_of(text.data, 64 * 1024);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        size_t hits, block_hits;
        int64_t start = cpu_ns();
        struct regex *regex = regex_new(slice_from_text(cases[i].pattern), cases[i].flags, &err);
        int64_t compile = cpu_ns() - start;
        int64_t per_line = time_match(regex, lines, LINES, (unsigned)rounds, &hits);
        int64_t per_block = time_match(regex, &block, 1, (unsigned)rounds, &block_hits);
        printf("%-30s %7.0f ns/line (%zu hits), 64 KiB %9.0f ns, compile %7.0f ns\n",
               cases[i].pattern, (double)per_line / (double)rounds / LINES, hits / rounds,
               (double)per_block / (double)rounds, (double)compile);
        regex_free(regex);
    }
    buffer_done(&text);
    return 0;
}
