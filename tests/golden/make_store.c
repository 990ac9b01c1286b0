/*
 * make_store.c - a small data directory with everything that a store can hold.
 *
 *     golden-store DIR
 *
 * Two tenants; metrics and logs of a closed day and of an open one, sealed in part, the rest
 * in the log that a crash left: floats of all codecs, odd values, histograms of every
 * kind, start times, late samples, structured metadata, lines that are no UTF-8, deletes that
 * wait for their day, batch ids, metric metadata.  The clock stands still, so every run
 * writes the same entries.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/matcher.h"
#include "storage/store.h"
#include "storage/store_delete.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t day_ns = INT64_C(19675) * NS_PER_DAY; /* 2023-11-14 */

enum { STEP_S = 60, CLOSED = 1440, SEALED = 300, OPEN = 30 }; /* samples of each part */

static int64_t now_ns(void *context)
{
    return *(const int64_t *)context;
}

static void check(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "golden-store: %s\n", err->message);
    exit(1);
}

static struct batch *begin(struct store *store, const char *tenant, enum store_kind kind)
{
    struct error err = {0};
    struct batch *batch = batch_new(store, slice_from_text(tenant), kind, &err);
    check(batch != NULL, &err);
    return batch;
}

static void commit(struct batch *batch)
{
    struct error err = {0};
    struct batch_result result;
    check(batch_commit_wait(batch, &result, &err), &err);
}

static uint32_t series(struct batch *batch, const char *name, const char *label, const char *value)
{
    struct error err = {0};
    struct label labels[] = {{LABEL_NAME_METRIC, slice_from_text(name)},
                             {SLICE("job"), SLICE("golden \"\xc3\xa9\"")},
                             {slice_from_text(label), slice_from_text(value)}};
    int64_t number = batch_define(batch, 1, slice_from_text(NULL), labels, 3, &err);
    check(number >= 0, &err);
    return (uint32_t)number;
}

/* ---- metrics ---------------------------------------------------------------------- */

/* A value for each codec: constant, whole, decimal, growing, odd, binary. */
static double value_of(int shape, int i)
{
    static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, 1e-310, 1e300, 5};
    switch (shape) {
    case 0:
        return 42;
    case 1:
        return (i * 7919) % 1000;
    case 2:
        return ((i * 31) % 977) / 100.0;
    case 3:
        return 1e6 + i * 13.0 + (i % 5);
    case 4:
        return odd[i % 7];
    case 5:
        return 1.0 / (i + 3);
    default:
        return i % 10 < 8 ? i / 20 : i * 1.5;
    }
}

enum { SHAPES = 7 };

static void add_floats(struct batch *batch, int i, int64_t time_ns)
{
    struct error err = {0};
    static const char *const numbers[] = {"0", "1", "2", "3", "4", "5", "6"};
    for (int shape = 0; shape < SHAPES; shape++) {
        uint32_t number = series(batch, "golden_float", "shape", numbers[shape]);
        int64_t jitter = shape == 5 ? (i * 37) % 500 * NS_PER_MS : 0;
        check(batch_sample(batch, number, time_ns + jitter, value_of(shape, i), &err), &err);
    }
    if (i % 100 == 99) { /* gone for a while */
        uint64_t bits = UINT64_C(0x7ff0000000000002);
        double stale;
        memcpy(&stale, &bits, sizeof(stale));
        check(
            batch_sample(batch, series(batch, "golden_stale", "shape", "0"), time_ns, stale, &err),
            &err);
    }
    if (i % 10 == 0)
        check(batch_sample_start(batch, series(batch, "golden_started", "shape", "0"), time_ns,
                                 day_ns + NS_PER_HOUR, i, &err),
              &err);
}

static void add_histogram(struct batch *batch, const char *kind, int i, int64_t time_ns)
{
    struct error err = {0};
    struct histogram_span spans[] = {{0, 2}, {1, 2}};
    struct histogram_span one[] = {{-3, 1}}, all[] = {{0, 3}};
    double buckets[] = {i, 2.0 * i, 3, i % 4}, negative[] = {i + 1}, bounds[] = {0.1, 1, 2.5};
    bool floats = strcmp(kind, "float") == 0, custom = strcmp(kind, "custom") == 0;
    struct histogram h = {.schema = custom ? HISTOGRAM_SCHEMA_CUSTOM : 2,
                          .integer = !floats,
                          .zero_threshold = custom ? 0 : 0.001,
                          .zero_count = custom ? 0 : i % 3,
                          .sum = i * 1.25};
    h.positive = (struct histogram_side){spans, 2, buckets, 4};
    h.negative = (struct histogram_side){one, 1, negative, 1};
    if (custom) {
        h.positive = (struct histogram_side){all, 1, buckets, 3};
        h.negative = (struct histogram_side){.spans = NULL};
        h.custom = bounds;
        h.custom_count = 3;
    }
    if (floats) {
        buckets[0] += 0.5;
        h.hint = HISTOGRAM_GAUGE;
    }
    h.count = h.zero_count;
    for (size_t k = 0; k < h.positive.bucket_count; k++)
        h.count += h.positive.buckets[k];
    for (size_t k = 0; k < h.negative.bucket_count; k++)
        h.count += h.negative.buckets[k];
    check(batch_histogram(batch, series(batch, "golden_histogram", "kind", kind), time_ns,
                          i % 2 ? day_ns : 0, &h, &err),
          &err);
}

static void write_metrics(struct store *store, int from, int to)
{
    struct error err = {0};
    for (int i = from; i < to; i++) {
        int64_t time_ns = day_ns + i * STEP_S * NS_PER_SECOND;
        struct batch *batch = begin(store, "default", STORE_METRIC);
        add_floats(batch, i, time_ns);
        if (i % 20 == 0) {
            add_histogram(batch, "integer", i, time_ns);
            add_histogram(batch, "float", i, time_ns);
            add_histogram(batch, "custom", i, time_ns);
        }
        if (i % 50 == 7) { /* late */
            uint32_t number = series(batch, "golden_float", "shape", "1");
            check(batch_sample(batch, number, time_ns - 90 * NS_PER_SECOND + NS_PER_MS, -i, &err),
                  &err);
        }
        if (i % 40 == 3) {
            char trace[32];
            struct label own[] = {
                {SLICE("trace_id"),
                 slice_of(trace, (size_t)snprintf(trace, sizeof(trace), "trace-%d", i))}};
            check(batch_exemplar(batch, series(batch, "golden_float", "shape", "3"), own, 1,
                                 time_ns, i / 4.0, &err),
                  &err);
        }
        if (i == from)
            batch_metadata(batch, SLICE("golden_float"), SLICE("gauge"), SLICE("Shapes.\n\"x\""),
                           SLICE("bytes"));
        batch_set_producer(batch, SLICE("golden-producer"), 3, (uint64_t)i + 1);
        commit(batch);
    }
    struct batch *batch = begin(store, "other-tenant", STORE_METRIC);
    check(batch_sample(batch, series(batch, "golden_other", "part", "x"),
                       day_ns + from * STEP_S * NS_PER_SECOND, from, &err),
          &err);
    commit(batch);
}

/* ---- logs ---------------------------------------------------------------------------- */

static void write_logs(struct store *store, int from, int to)
{
    struct error err = {0};
    for (int i = from; i < to; i += 3) {
        char line[200], number[16];
        struct batch *batch = begin(store, "default", STORE_LOG);
        int64_t time_ns = day_ns + i * STEP_S * NS_PER_SECOND + i;
        snprintf(number, sizeof(number), "%d", i % 6);
        struct label labels[] = {{SLICE("app"), SLICE("shop")},
                                 {SLICE("n"), i % 2 ? SLICE("1") : SLICE("0")}};
        int64_t stream = batch_define(batch, 1, slice_from_text(NULL), labels, 2, &err);
        check(stream >= 0, &err);
        int n = snprintf(line, sizeof(line),
                         "level=info msg=\"order %d paid\" user=%d took=%dms id=%08x%08x%08x %s", i,
                         i * 7 % 100, i % 50, (unsigned)i / 9 * 2654435761u, (unsigned)i * 40503u,
                         (unsigned)i * 2246822519u, i % 9 == 0 ? "\xff\xfe no UTF-8" : "\xc3\xa9");
        struct slice text = slice_of(line, (size_t)n);
        struct label pairs[] = {{SLICE("trace"), slice_from_text(number)},
                                {SLICE("user"), SLICE("42")}};
        check(batch_entry(batch, (uint32_t)stream, time_ns, text, pairs, i % 4 ? 0 : 2, &err),
              &err);
        if (i % 30 == 0 &&
            i > 0) { /* the same time: another line, an empty one, the same again, a late one */
            check(batch_entry(batch, (uint32_t)stream, time_ns, SLICE("second"), NULL, 0, &err),
                  &err);
            check(batch_entry(batch, (uint32_t)stream, time_ns, SLICE(""), NULL, 0, &err), &err);
            check(batch_entry(batch, (uint32_t)stream, time_ns, SLICE("second"), NULL, 0, &err),
                  &err);
            check(batch_entry(batch, (uint32_t)stream, time_ns - 200 * NS_PER_SECOND,
                              SLICE("late\0nul"), NULL, 0, &err),
                  &err);
        }
        commit(batch);
    }
}

/* One batch of so many lines that it stands packed in the log. */
static void write_large(struct store *store, int at)
{
    struct error err = {0};
    struct batch *batch = begin(store, "default", STORE_LOG);
    struct label labels[] = {{SLICE("app"), SLICE("large")}};
    int64_t stream = batch_define(batch, 1, slice_from_text(NULL), labels, 1, &err);
    check(stream >= 0, &err);
    for (int i = 0; i < 80; i++) {
        char line[200];
        int n = snprintf(line, sizeof(line),
                         "line %d of a batch, which has enough of them to be worth packing: %d", i,
                         i * i);
        struct label pair = {SLICE("n"), SLICE("v")};
        int64_t time_ns = day_ns + at * STEP_S * NS_PER_SECOND + i;
        check(batch_entry(batch, (uint32_t)stream, time_ns, slice_of(line, (size_t)n), &pair,
                          (size_t)i % 2, &err),
              &err);
    }
    commit(batch);
}

/* ---- all ------------------------------------------------------------------------------- */

static void delete_some(struct store *store, const char *shape, int from, int to)
{
    struct error err = {0};
    struct matcher matcher;
    check(matcher_init(&matcher, MATCH_REGEX, SLICE("shape"), slice_from_text(shape), &err), &err);
    struct view_selector selector = {&matcher, 1};
    struct store_delete request = {.tenant = SLICE("default"),
                                   .kind = STORE_METRIC,
                                   .start_ns = day_ns + from * STEP_S * NS_PER_SECOND,
                                   .end_ns = day_ns + to * STEP_S * NS_PER_SECOND,
                                   .selectors = &selector,
                                   .selector_count = 1};
    check(store_delete(store, &request, NULL, &err), &err);
    matcher_done(&matcher);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    int64_t now = day_ns + NS_PER_DAY;
    struct clock clock = {now_ns, &now};
    struct store_options options = {.directory = argc > 1 ? argv[1] : "",
                                    .clock = &clock,
                                    .ack = STORE_ACK_PROCESS,
                                    .wal_segment_size = 32 * 1024,
                                    .seal_interval_ns = -1,
                                    .retention_ns = -1,
                                    .past_ns = {-1, -1}};
    if (argc != 2) {
        fprintf(stderr, "usage: golden-store DIR\n");
        return 2;
    }
    struct store *store = store_open(&options, &err);
    check(store != NULL, &err);
    write_metrics(store, 0, CLOSED / 2);
    write_logs(store, 0, CLOSED / 2);
    check(store_seal(store, &err), &err);
    write_metrics(store, CLOSED / 2, CLOSED);
    write_logs(store, CLOSED / 2, CLOSED);
    now = day_ns + 2 * NS_PER_DAY;
    check(store_close_days(store, now, &err), &err);
    write_metrics(store, CLOSED, CLOSED + SEALED);
    write_logs(store, CLOSED, CLOSED + SEALED);
    check(store_seal(store, &err), &err);
    delete_some(store, "2|3", CLOSED - 60, CLOSED + 60); /* of both days, waits */
    write_metrics(store, CLOSED + SEALED, CLOSED + SEALED + OPEN);
    write_logs(store, CLOSED + SEALED, CLOSED + SEALED + OPEN);
    write_large(store, CLOSED + SEALED + OPEN);
    delete_some(store, "6", CLOSED + SEALED + 5, CLOSED + SEALED + 10);
    store_abandon(store); /* as a crash leaves it */
    return 0;
}
