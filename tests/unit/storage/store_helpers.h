/*
 * store_helpers.h - writing to and reading from a store in few words, for tests.
 *
 * Series are named by one text: `app="a"` becomes {__name__="m", app="a"} for
 * metrics and {app="a"} for logs.
 */
#ifndef TESTS_STORE_HELPERS_H
#define TESTS_STORE_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/matcher.h"
#include "storage/store.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0 (INT64_C(1700000000) * NS_PER_SECOND) /* 2023-11-14 22:13:20 UTC */

static inline int64_t test_now(void *context)
{
    return *(const int64_t *)context;
}

struct fixture {
    char directory[64];
    int64_t now_ns;
    struct clock clock;
    struct store_options options;
    struct store *store;
};

static inline void fixture_open(struct fixture *f)
{
    struct error err = {0};
    f->store = store_open(&f->options, &err);
    if (f->store == NULL)
        fail_msg("store_open: %s", err.message);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(f->directory, sizeof(f->directory), "%s/etinde-store-XXXXXX", base);
    assert_non_null(mkdtemp(f->directory));
    f->now_ns = T0 + NS_PER_HOUR;
    f->clock = (struct clock){test_now, &f->now_ns};
    f->options = (struct store_options){.directory = f->directory,
                                        .ack = STORE_ACK_PROCESS,
                                        .clock = &f->clock,
                                        .seal_interval_ns = -1,
                                        .retention_ns = -1};
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    store_abandon(f->store);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    int status = system(command);
    free(f);
    return status;
}

/* As after kill -9. */
static inline void fixture_crash(struct fixture *f)
{
    store_abandon(f->store);
    fixture_open(f);
}

static inline void fixture_restart(struct fixture *f)
{
    struct error err = {0};
    if (!store_close(f->store, &err))
        fail_msg("store_close: %s", err.message);
    f->store = NULL;
    fixture_open(f);
}

static inline struct batch *new_batch(struct fixture *f, enum store_kind kind)
{
    struct error err = {0};
    struct batch *batch = batch_new(f->store, SLICE("t"), kind, &err);
    if (batch == NULL)
        fail_msg("batch_new: %s", err.message);
    return batch;
}

static inline uint32_t define(struct batch *batch, const char *name, const char *app)
{
    struct error err = {0};
    struct label labels[2] = {{SLICE("app"), slice_from_text(app)},
                              {LABEL_NAME_METRIC, slice_from_text(name)}};
    int64_t number = batch_define(batch, 1, slice_from_text(NULL), labels, name ? 2 : 1, &err);
    if (number < 0)
        fail_msg("batch_define: %s", err.message);
    return (uint32_t)number;
}

static inline struct batch_result commit(struct batch *batch)
{
    struct error err = {0};
    struct batch_result result;
    if (!batch_commit_wait(batch, &result, &err))
        fail_msg("batch_commit: %s", err.message);
    return result;
}

static inline struct batch_result put_sample(struct fixture *f, const char *app, int64_t time_ns,
                                             double value)
{
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", app);
    batch_sample(batch, series, time_ns, value, NULL);
    return commit(batch);
}

static inline struct batch_result put_line(struct fixture *f, const char *app, int64_t time_ns,
                                           const char *line)
{
    struct batch *batch = new_batch(f, STORE_LOG);
    uint32_t series = define(batch, NULL, app);
    batch_entry(batch, series, time_ns, slice_from_text(line), NULL, 0, NULL);
    return commit(batch);
}

/* The hint, count, sum, start and count of each bucket. */
static inline void dump_histogram(struct buffer *out, const struct histogram *h)
{
    static const char hints[] = "?RNG";
    const struct histogram_side *sides[] = {&h->positive, &h->negative};
    buffer_printf(out, "{%c%d c%g s%g z%g/%g", hints[h->hint], h->schema, h->count, h->sum,
                  h->zero_count, h->zero_threshold);
    for (size_t i = 0; i < COUNT_OF(sides); i++) {
        buffer_append_text(out, i == 0 ? " +" : " -");
        for (size_t k = 0; k < sides[i]->span_count; k++)
            buffer_printf(out, "[%d:%u]", sides[i]->spans[k].offset, sides[i]->spans[k].length);
        for (size_t k = 0; k < sides[i]->bucket_count; k++)
            buffer_printf(out, ",%g", sides[i]->buckets[k]);
    }
    for (size_t i = 0; i < h->custom_count; i++)
        buffer_printf(out, " le%g", h->custom[i]);
    buffer_append_byte(out, '}');
}

static inline void dump_sample(struct buffer *out, const struct sample_column *column, size_t i)
{
    buffer_printf(out, " %lld=", (long long)((column->times_ns[i] - T0) / NS_PER_MS));
    if (column->histograms && column->histograms[i])
        dump_histogram(out, column->histograms[i]);
    else
        buffer_printf(out, "%g", column->values[i]);
    if (column->starts_ns && column->starts_ns[i] != 0)
        buffer_printf(out, "@%lld", (long long)((column->starts_ns[i] - T0) / NS_PER_MS));
}

/*
 * Everything that matches as text, one line per series: `labels: time=value ...` with
 * times in ms after T0, or `labels: time=line ...`.  The caller frees it.
 */
static inline char *dump_range(struct fixture *f, enum store_kind kind,
                               const struct matcher *matchers, size_t count, int64_t start_ns,
                               int64_t end_ns, bool backward)
{
    struct error err = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = kind,
                                     .matchers = matchers,
                                     .matcher_count = count,
                                     .start_ns = start_ns,
                                     .end_ns = end_ns,
                                     .backward = backward,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LENGTHS |
                                                   CURSOR_LINES | CURSOR_METADATA};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    if (cursor == NULL)
        fail_msg("cursor_open: %s", err.message);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    struct buffer out;
    buffer_init(&out, 64 << 20);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        labels_append_text(&out, cursor_labels(cursor, i));
        buffer_append_byte(&out, ':');
        if (kind == STORE_METRIC) {
            struct sample_column column;
            if (!cursor_read_samples(reader, i, &column, &err))
                fail_msg("cursor_read_samples: %s", err.message);
            for (size_t k = 0; k < column.count; k++)
                dump_sample(&out, &column, k);
        } else {
            struct entry_block block;
            struct entry_stream *stream = entry_stream_open(reader, i, &err);
            if (stream == NULL)
                fail_msg("entry_stream_open: %s", err.message);
            do {
                if (!entry_stream_next(stream, &block, &err))
                    fail_msg("entry_stream_next: %s", err.message);
                for (size_t k = 0; k < block.count; k++) {
                    buffer_printf(&out, " %lld=%.*s",
                                  (long long)((block.times_ns[k] - T0) / NS_PER_MS),
                                  SLICE_ARG(block.lines[k]));
                    if (block.metadata[k].count > 0)
                        labels_append_text(&out, block.metadata[k]);
                }
            } while (block.count > 0);
            entry_stream_close(stream);
        }
        buffer_append_byte(&out, '\n');
    }
    buffer_append_byte(&out, '\0');
    cursor_reader_free(reader);
    cursor_close(cursor);
    return out.data;
}

static inline char *dump(struct fixture *f, enum store_kind kind)
{
    return dump_range(f, kind, NULL, 0, INT64_MIN, INT64_MAX, false);
}

static inline void expect_dump(struct fixture *f, enum store_kind kind, const char *expected)
{
    char *text = dump(f, kind);
    size_t at = 0;
    while (text[at] != '\0' && text[at] == expected[at])
        at++;
    if (text[at] != expected[at]) {
        size_t from = at < 150 ? 0 : at - 150;
        fail_msg("differs at %zu:\n  got      %.300s\n  expected %.300s", at, text + from,
                 expected + from);
    }
    free(text);
}

static inline void seal(struct fixture *f)
{
    struct error err = {0};
    if (!store_seal(f->store, &err))
        fail_msg("store_seal: %s", err.message);
}

#endif
