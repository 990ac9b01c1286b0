// links: query
/*
 * fuzz_evaluate.c - random expressions run over counters, gauges with odd values, native
 * histograms, classic buckets and lines: no crash, no leak, limits hold, and one thread and
 * two give the same answer.
 *
 * The input steers a generator that walks the languages' own function tables, so almost
 * every expression has right types; the rest of the parser's errors is for fuzz_promql
 * and fuzz_logql.  An input that starts with 't' is the text of a query itself.
 */
#include "../result_same.h"
#include "../temporary_store.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/pool.h"
#include "query/dialect.h"
#include "query/function.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START           (1700000000 * NS_PER_SECOND)
#define TENANT          SLICE("t")
#define PICK(in, array) ((array)[choose(in, sizeof(array) / sizeof((array)[0]))])

enum {
    SAMPLES = 120,
    INTERVAL_S = 15,
    DEPTH = 5,
    TEXT_MAX = 64 << 10,
    MEMORY_MAX = 32 << 20,
    RESULT_SERIES_MAX = 1000
};

static struct store *store;
static struct pool *helpers;

/* ---- data -------------------------------------------------------------------------------------
 */

static void must(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", err->message);
    abort();
}

static uint32_t add_series(struct batch *batch, const char *name, const char *job, const char *more,
                           const char *value)
{
    struct error err = {0};
    struct label labels[] = {{LABEL_NAME_METRIC, slice_from_text(name)},
                             {SLICE("job"), slice_from_text(job)},
                             {slice_from_text(more), slice_from_text(value)}};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 3, &err);
    must(series >= 0, &err);
    return (uint32_t)series;
}

static double odd_value(int i)
{
    static const double odd[] = {0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300, 3, -7.25};
    static const uint64_t bits[] = {UINT64_C(0x7ff0000000000002), UINT64_C(0x7ff8000000000001),
                                    UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000)};
    return i % 3 == 0 ? double_from_bits(bits[i / 3 % 4]) : odd[i % 8];
}

static void add_floats(struct batch *batch)
{
    static const char *const jobs[] = {"api", "db", ""};
    static const char *const zones[] = {"eu", "us", "1", "0.5", "+Inf"};
    struct error err = {0};
    for (int s = 0; s < 15; s++) {
        const char *job = jobs[s % 3], *zone = zones[s / 3];
        uint32_t counter = add_series(batch, "c", job, "zone", zone);
        uint32_t gauge = add_series(batch, "g", job, "zone", zone);
        uint32_t odd = add_series(batch, "odd", job, "zone", zone);
        uint32_t bucket = add_series(batch, "b_bucket", job, "le", zone);
        for (int i = s % 4 * 10; i < SAMPLES; i++) {
            int64_t t = START + i * INTERVAL_S * NS_PER_SECOND;
            int64_t began = i % 50 == 0 ? t : START;
            bool ok = batch_sample_start(batch, counter, t, began, i % 50 * s, &err) &&
                      batch_sample(batch, gauge, t, (i * 7919 + s * 31) % 101 - 50, &err) &&
                      batch_sample(batch, odd, t, odd_value(i + s), &err) &&
                      batch_sample(batch, bucket, t, i * (s / 3 + 1), &err);
            must(ok, &err);
        }
    }
}

static void add_histograms(struct batch *batch)
{
    static const double bounds[] = {-1, 0.5, 2};
    struct error err = {0};
    for (int s = 0; s < 6; s++) {
        uint32_t series = add_series(batch, "h", s % 2 ? "api" : "db", "zone", s < 3 ? "eu" : "us");
        if (s == 5)
            series = add_series(batch, "h", "mixed", "zone", "eu");
        for (int i = 0; i < SAMPLES; i++) {
            int64_t t = START + i * INTERVAL_S * NS_PER_SECOND;
            double n = i % 40 * (s + 1);
            double counts[] = {n, 2 * n, 0, n};
            struct histogram_span span = {s - 1, 4};
            struct histogram h = {.schema = s == 4 ? HISTOGRAM_SCHEMA_CUSTOM : s % 3,
                                  .zero_threshold = 0.001,
                                  .zero_count = s == 4 ? 0 : n,
                                  .count = (s == 4 ? 4 : 5) * n,
                                  .sum = n * 3.5,
                                  .positive = {&span, 1, counts, 4}};
            if (s == 4) {
                span.offset = 0;
                h.zero_threshold = 0;
                h.custom = bounds;
                h.custom_count = 3;
            }
            bool plain = s == 5 && i % 7 == 0;
            must(plain ? batch_sample(batch, series, t, n, &err)
                       : batch_histogram(batch, series, t, 0, &h, &err),
                 &err);
        }
    }
}

static void write_line(struct buffer *line, int form, int i)
{
    const char *level = i % 3 ? "info" : "error";
    if (form == 0)
        buffer_printf(line, "level=%s msg=\"it is %d\" dur=%dms size=%dKB ip=10.0.0.%d", level, i,
                      i % 17, i % 29, i % 250);
    else if (form == 1)
        buffer_printf(line, "{\"level\":\"%s\",\"n\":%d,\"a\":{\"b\":[%d,2]},\"u\":\"\\u00e9\"}",
                      level, i, i % 17);
    else if (form == 2)
        buffer_printf(line, "%s %d GET /path/%d HTTP/1.1 200 \xff\xfe \x1b[31m", level, i, i % 17);
    else
        buffer_printf(line, "%s=%d {\"broken\": %d,", level, i, i % 17);
}

static void add_lines(struct batch *batch)
{
    struct error err = {0};
    for (int s = 0; s < 4; s++) {
        struct label labels[] = {{SLICE("app"), slice_from_text(s % 2 ? "web" : "api")},
                                 {SLICE("zone"), slice_from_text(s / 2 ? "eu" : "us")}};
        int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 2, &err);
        must(series >= 0, &err);
        for (int i = 0; i < SAMPLES; i++) {
            struct buffer line;
            buffer_init(&line, TEXT_MAX);
            write_line(&line, (i + s) % 4, i);
            struct label metadata[] = {{SLICE("trace"), slice_from_text(i % 2 ? "a" : "b")}};
            must(batch_entry(batch, (uint32_t)series, START + i * INTERVAL_S * NS_PER_SECOND,
                             buffer_slice(&line), metadata, (size_t)(i % 3 == 0), &err),
                 &err);
            buffer_done(&line);
        }
    }
}

static void close_store(void)
{
    pool_free(helpers);
    temporary_store_close(store);
}

static void commit(enum store_kind kind, void (*add)(struct batch *))
{
    struct error err = {0};
    struct batch *batch = batch_new(store, TENANT, kind, &err);
    must(batch != NULL, &err);
    add(batch);
    struct batch_result result = {0};
    must(batch_commit_wait(batch, &result, &err), &err);
}

static void open_store(void)
{
    struct error err = {0};
    store = temporary_store_open(&err);
    must(store != NULL, &err);
    helpers = pool_new("help", 1, 16, &err);
    must(helpers != NULL, &err);
    atexit(close_store);
    commit(STORE_METRIC, add_floats);
    commit(STORE_METRIC, add_histograms);
    commit(STORE_LOG, add_lines);
}

/* ---- expressions ------------------------------------------------------------------------------
 */

struct input {
    const uint8_t *data;
    size_t size;
    struct buffer *out;
    bool logs; /* which language */
};

static size_t choose(struct input *in, size_t bound)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++ % bound;
}

static void vector(struct input *in, int depth);

static void text(struct input *in, const char *piece)
{
    buffer_append_text(in->out, piece);
}

static void number(struct input *in)
{
    static const char *const numbers[] = {"1",   "0",   "2",    "0.5",   "3",          "100",
                                          "1e9", "0.9", "1e-5", "1e308", "12345678901"};
    text(in, PICK(in, numbers));
}

static void duration(struct input *in)
{
    static const char *const durations[] = {"5m", "1m", "15s", "1ms", "16s", "1h", "3h", "7d"};
    text(in, PICK(in, durations));
}

static void shift(struct input *in)
{
    static const char *const shifts[] = {"",
                                         "",
                                         "",
                                         "",
                                         " offset 1m",
                                         " offset 1h",
                                         " offset -5m",
                                         " @ end()",
                                         " @ start()",
                                         " @ 1700000600 offset 15s"};
    static const char *const plain[] = {"", "", " offset 1m", " offset 1h"};
    text(in, in->logs ? PICK(in, plain) : PICK(in, shifts));
}

static void metric(struct input *in)
{
    static const char *const selectors[] = {"c",
                                            "g",
                                            "odd",
                                            "h",
                                            "b_bucket",
                                            "c{job=\"api\"}",
                                            "g{zone=~\"e.*|1\"}",
                                            "h{job!=\"mixed\"}",
                                            "odd{job=\"\"}",
                                            "nothing",
                                            "{__name__=~\"c|g\"}"};
    text(in, PICK(in, selectors));
}

static void lines(struct input *in)
{
    static const char *const selectors[] = {"{app=\"web\"}", "{app=~\".+\"}", "{zone!=\"eu\"}"};
    static const char *const stages[] = {
        " |= \"info\"",
        " |~ \"(?i)ERR|path\"",
        " |= \"\" != \"it\"",
        " | json",
        " | logfmt",
        " | json | n > 10",
        " | logfmt | dur < 10ms or size > 3KB",
        " | pattern \"<level> <n> <_> <path> <_>\"",
        " | regexp \"(?P<w>[a-z]+)\"",
        " | decolorize | line_format \"{{.app}} {{ __line__ | upper }}\"",
        " | label_format x=app,y=\"{{.zone}}\"",
        " | logfmt | ip = ip(\"10.0.0.0/25\")",
        " | drop trace",
        " | keep app",
        " | unpack",
        " |> \"<_>=<_> <_>\"",
        " | json v=\"a.b[0]\""};
    text(in, PICK(in, selectors));
    if (!in->logs)
        text(in, " |= \"\"");
    for (size_t i = choose(in, 3); i > 0; i--)
        text(in, PICK(in, stages));
}

static const struct function *any_function(struct input *in, const struct function *table,
                                           size_t count)
{
    return &table[(choose(in, 256) * 256 + choose(in, 256)) % count];
}

static void log_range(struct input *in)
{
    static const char *const unwraps[] = {" | logfmt | unwrap dur", " | json | unwrap n",
                                          " | logfmt | unwrap duration(dur)",
                                          " | logfmt | unwrap bytes(size)"};
    const struct function *f = any_function(in, log_range_functions, log_range_function_count);
    buffer_printf(in->out, "%.*s(", SLICE_ARG(f->name));
    if (f->parameter_count > 1 && f->parameters[0] == TYPE_SCALAR)
        text(in, "0.5, ");
    lines(in);
    if (choose(in, 2))
        text(in, PICK(in, unwraps));
    text(in, " [");
    duration(in);
    text(in, "]");
    shift(in);
    text(in, ")");
}

static void range(struct input *in, int depth)
{
    if (!in->logs && depth > 0 && choose(in, 4) == 0) {
        text(in, "(");
        vector(in, depth - 1);
        text(in, ")[");
        duration(in);
        text(in, ":");
        duration(in);
        text(in, "]");
    } else {
        metric(in);
        text(in, "[");
        duration(in);
        text(in, "]");
    }
    shift(in);
}

static void scalar(struct input *in, int depth)
{
    if (in->logs || depth <= 0 || choose(in, 4) > 0) {
        number(in);
        return;
    }
    bool shifted = choose(in, 2);
    text(in, shifted ? "(time() - scalar(" : "-scalar(");
    vector(in, depth - 1);
    text(in, shifted ? "))" : ")");
}

static void argument(struct input *in, enum value_type type, int depth)
{
    static const char *const texts[] = {"\"job\"", "\"zone\"", "\"$1x\"", "\"(.*)\"",
                                        "\"le\"",  "\"\"",     "\"new\""};
    switch (type) {
    case TYPE_SCALAR:
        scalar(in, depth);
        return;
    case TYPE_STRING:
        text(in, PICK(in, texts));
        return;
    case TYPE_MATRIX:
        range(in, depth);
        return;
    default:
        vector(in, depth - 1);
    }
}

static void call(struct input *in, int depth)
{
    const struct dialect *d = in->logs ? &dialect_logql : &dialect_promql;
    bool ranged = choose(in, 2);
    const struct function *f =
        ranged ? any_function(in, metric_range_functions, metric_range_function_count)
               : any_function(in, d->functions, d->function_count);
    size_t count = f->parameter_count;
    if (f->variadic != 0 && count > 0)
        count += choose(in, 3) - 1;
    buffer_printf(in->out, "%.*s(", SLICE_ARG(f->name));
    for (size_t i = 0; i < count; i++) {
        size_t at = i < f->parameter_count ? i : f->parameter_count - 1u;
        if (i > 0)
            text(in, ", ");
        argument(in, f->parameters[at], depth - 1);
    }
    text(in, ")");
}

static void labels(struct input *in)
{
    static const char *const lists[] = {"()",   "(job)", "(zone)", "(job, zone)",
                                        "(le)", "(app)", "(none)"};
    text(in, PICK(in, lists));
}

static void aggregation(struct input *in, int depth)
{
    enum aggregator op = (enum aggregator)choose(in, AGG_KINDS);
    buffer_printf(in->out, "%s", aggregator_text(op));
    if (choose(in, 3) > 0) {
        text(in, choose(in, 2) ? " by " : " without ");
        labels(in);
    }
    text(in, " (");
    if (op == AGG_COUNT_VALUES) {
        text(in, "\"v\", ");
    } else if (op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE || op == AGG_LIMITK ||
               op == AGG_LIMIT_RATIO || op == AGG_APPROX_TOPK) {
        scalar(in, depth - 1);
        text(in, ", ");
    }
    vector(in, depth - 1);
    text(in, ")");
}

static void binary(struct input *in, int depth)
{
    static const char *const operators[] = {"+",      "-",     "*",      "/",       "%",   "^",
                                            "==",     "!=",    "<",      ">=",      "and", "or",
                                            "unless", "atan2", "> bool", "== bool", "</",  ">/"};
    static const char *const matchings[] = {"", "", " on ", " ignoring "};
    static const char *const groups[] = {"", "", " group_left ", " group_right "};
    static const char *const fills[] = {
        "", "", "", " fill (0)", " fill_left (1)", " fill_right (2)"};
    text(in, "(");
    vector(in, depth - 1);
    buffer_printf(in->out, ") %s", PICK(in, operators));
    const char *matching = PICK(in, matchings);
    if (*matching) {
        text(in, matching);
        labels(in);
        const char *group = PICK(in, groups);
        if (*group) {
            text(in, group);
            labels(in);
        }
    }
    text(in, PICK(in, fills));
    text(in, " (");
    if (choose(in, 4) == 0)
        scalar(in, depth - 1);
    else
        vector(in, depth - 1);
    text(in, ")");
}

static void vector(struct input *in, int depth)
{
    if (depth <= 0 || in->size == 0 || buffer_slice(in->out).size > TEXT_MAX / 4) {
        if (in->logs || choose(in, 8) == 0)
            log_range(in);
        else
            metric(in);
        shift(in);
        return;
    }
    switch (choose(in, 8)) {
    case 0:
        text(in, "-(");
        vector(in, depth - 1);
        text(in, ")");
        return;
    case 1:
    case 2:
        aggregation(in, depth);
        return;
    case 3:
    case 4:
        binary(in, depth);
        return;
    case 5:
        log_range(in);
        return;
    default:
        call(in, depth);
    }
}

/* ---- running them -----------------------------------------------------------------------------
 */

static struct query_result *run(const struct query_request *request, struct error *err)
{
    struct query_result *result = query_run(store, request, err);
    bool expected = result != NULL || err->code == ERR_INVALID || err->code == ERR_EXECUTION ||
                    err->code == ERR_LIMIT || err->code == ERR_TIMEOUT;
    if (!expected || (result && result->series_count > RESULT_SERIES_MAX)) {
        fprintf(stderr, "%.*s: %s\n", SLICE_ARG(request->text), result ? "too many" : err->message);
        abort();
    }
    return result;
}

/* What is refused for its time may be refused in one run only. */
static void run_twice(struct query_request *request)
{
    struct error one_error = {0}, two_error = {0};
    struct query_result *one = run(request, &one_error);
    request->helpers = helpers;
    request->helpers_from = 1;
    request->threads = 2;
    struct query_result *two = run(request, &two_error);
    bool timed = one_error.code == ERR_TIMEOUT || two_error.code == ERR_TIMEOUT ||
                 one_error.code == ERR_LIMIT || two_error.code == ERR_LIMIT;
    if (!timed && ((one == NULL) != (two == NULL) || (one && !result_same(one, two)))) {
        fprintf(stderr, "%.*s: two threads answer otherwise: %s, %s\n", SLICE_ARG(request->text),
                one_error.message, two_error.message);
        abort();
    }
    query_result_free(one);
    query_result_free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (store == NULL)
        open_store();
    if (size < 4)
        return 0;
    struct buffer out;
    buffer_init(&out, TEXT_MAX);
    struct input in = {data + 2, size - 2, &out, data[0] & 1};
    if (data[0] == 't')
        buffer_append(&out, data + 2, size - 2);
    else
        vector(&in, DEPTH);
    bool instant = data[1] & 1;
    int64_t step = INTERVAL_S * NS_PER_SECOND * (data[1] >> 2 & 3 ? 4 : 1);
    struct query_request request = {.language = in.logs ? QUERY_LOGQL : QUERY_PROMQL,
                                    .text = buffer_slice(&out),
                                    .tenant = TENANT,
                                    .instant = instant,
                                    .start_ns = instant ? START + 1000 * NS_PER_SECOND : START,
                                    .end_ns = START + 1000 * NS_PER_SECOND,
                                    .step_ns = step,
                                    .features = QUERY_FEATURES_ALL &
                                                ~(data[1] & 2 ? QUERY_DELAYED_NAME_REMOVAL : 0u),
                                    .limits = {.series_max = 100,
                                               .samples_max = 200000,
                                               .points_max = 200,
                                               .memory_max = MEMORY_MAX,
                                               .timeout_ns = NS_PER_SECOND,
                                               .depth_max = 30,
                                               .result_series_max = RESULT_SERIES_MAX}};
    run_twice(&request);
    buffer_done(&out);
    return 0;
}
