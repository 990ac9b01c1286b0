/*
 * test_many_streams.c - ten thousand slow log streams: each line comes back.
 *
 *   etinde-many-streams-test [LINES [STREAMS]]      default: 5 lines in each of 10000
 *
 * Every stream gets one line a second of the store's time, as 10,000 pods do; the sealer
 * works all the while.  Then each stream is read: from the head and the partitions, after a
 * kill, and after the day was closed.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "storage/store.h"

#include <inttypes.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { AT_ONCE = 500 };

static uint64_t lines = 5, streams = 10000;

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .seal_interval_ns = 50 * NS_PER_MS,
                                    .log_text_max = 2 * 1024 * 1024};
    return store_open(&options, err);
}

static struct slice line_of(uint64_t stream, uint64_t i, char *line, size_t size)
{
    int n = snprintf(line, size,
                     "level=info stream=%" PRIu64 " line %" PRIu64 " took=%" PRIu64
                     "ms, some words of a usual length stand here",
                     stream, i, (stream * 31 + i * 7) % 977);
    return slice_of(line, (size_t)n);
}

/* Line `i` of some streams. */
static bool send(struct store *store, uint64_t first, uint64_t i, struct error *err)
{
    struct batch_result result;
    struct batch *batch = batch_new(store, SLICE("t"), STORE_LOG, err);
    bool ok = batch != NULL;
    for (uint64_t s = first; ok && s < first + AT_ONCE && s < streams; s++) {
        char pod[32], line[160];
        snprintf(pod, sizeof(pod), "pod-%05" PRIu64, s);
        struct label labels[] = {{SLICE("app"), SLICE("web")},
                                 {SLICE("pod"), slice_from_text(pod)}};
        int64_t number = batch_define(batch, 1, (struct slice){NULL, 0}, labels, 2, err);
        ok = number >= 0 &&
             batch_entry(batch, (uint32_t)number, START_NS + (int64_t)i * NS_PER_SECOND,
                         line_of(s, i, line, sizeof(line)), NULL, 0, err);
    }
    if (!ok) {
        batch_free(batch);
        return false;
    }
    return batch_commit_wait(batch, &result, err);
}

static bool read_stream(struct cursor_reader *reader, size_t at, uint64_t stream, struct error *err)
{
    struct entry_block block;
    uint64_t seen = 0;
    struct entry_stream *entries = entry_stream_open(reader, at, err);
    bool ok = entries != NULL;
    while (ok && (ok = entry_stream_next(entries, &block, err)) && block.count > 0) {
        for (size_t i = 0; ok && i < block.count; i++, seen++) {
            char line[160];
            if (block.times_ns[i] != START_NS + (int64_t)seen * NS_PER_SECOND ||
                !slice_equal(block.lines[i], line_of(stream, seen, line, sizeof(line))))
                ok = error_set(err, ERR_INTERNAL, "stream %" PRIu64 ", line %" PRIu64 " is wrong",
                               stream, seen);
        }
    }
    entry_stream_close(entries);
    if (ok && seen != lines)
        return error_set(err, ERR_INTERNAL, "stream %" PRIu64 " has %" PRIu64 " lines", stream,
                         seen);
    return ok;
}

static bool read_all(struct store *store, const char *when, struct error *err)
{
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_LOG,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_LINES};
    struct cursor *cursor = cursor_open(store, &request, err);
    if (cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = cursor_series_count(cursor) == streams ||
              error_set(err, ERR_INTERNAL, "there are %zu streams", cursor_series_count(cursor));
    for (size_t i = 0; ok && i < streams; i++) /* sorted by pod */
        ok = read_stream(reader, i, i, err);
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok || error_prefix(err, "%s", when);
}

static bool run(const char *directory, struct error *err)
{
    struct store *store = open_store(directory, err);
    bool ok = store != NULL;
    for (uint64_t i = 0; ok && i < lines; i++)
        for (uint64_t first = 0; ok && first < streams; first += AT_ONCE)
            ok = send(store, first, i, err);
    ok = ok && read_all(store, "as written", err);
    store_abandon(store);
    store = ok ? open_store(directory, err) : NULL;
    ok = store && read_all(store, "after a kill", err) && store_seal(store, err) &&
         read_all(store, "sealed", err) &&
         store_close_days(store, START_NS + 3 * NS_PER_DAY, err) &&
         read_all(store, "after the day's close", err);
    store_abandon(store);
    return ok;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    char directory[64], command[96];
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &lines)) ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &streams)))
        return 2;
    snprintf(directory, sizeof(directory), "/tmp/etinde-streams-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return 2;
    int64_t start = clock_monotonic_ns();
    bool ok = run(directory, &err);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    ok = system(command) == 0 && ok;
    printf("%" PRIu64 " streams of %" PRIu64 " lines: %s in %.1f s\n", streams, lines,
           ok ? "all read back" : err.message, (double)(clock_monotonic_ns() - start) / 1e9);
    return ok ? 0 : 1;
}
