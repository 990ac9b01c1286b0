/*
 * promql_queries.c - runs the list of compliance queries: each must succeed or fail as its
 * flags say, over made-up data of a demo service.
 *
 * One query a line: FLAGS, a tab, the query; flags are "-" or a list with should_fail,
 * skip_comparison, v3_succeeds.
 */
#include "promqltest.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/store.h"

#include <math.h>
#include <stdio.h>

#define START_NS  INT64_C(1700000000000000000)
#define SECOND_NS INT64_C(1000000000)

enum { SAMPLES = 1600, INTERVAL_S = 5, FILE_MAX = 1 << 20 };

struct demo_series {
    const char *name, *label, *value; /* one label beside job and instance; NULL: none */
    double start, slope, wave;        /* value = start + slope * t + wave * sin(t / 100) */
    const char *bound;                /* le */
};

static const struct demo_series demo[] = {
    {"demo_memory_usage_bytes", "type", "used", 4e9, 0, 3e8, NULL},
    {"demo_memory_usage_bytes", "type", "cached", 2e9, 0, 1e8, NULL},
    {"demo_memory_usage_bytes", "type", "buffers", 1e9, 0, 1e8, NULL},
    {"demo_memory_usage_bytes", "type", "free", 1e9, 0, 2e8, NULL},
    {"demo_cpu_usage_seconds_total", "mode", "user", 10, 0.7, 0, NULL},
    {"demo_cpu_usage_seconds_total", "mode", "system", 10, 0.3, 0, NULL},
    {"demo_cpu_usage_seconds_total", "mode", "idle", 10, 3, 0, NULL},
    {"demo_num_cpus", NULL, NULL, 4, 0, 0, NULL},
    {"demo_disk_usage_bytes", NULL, NULL, 1e11, 1e6, 0, NULL},
    {"demo_disk_total_bytes", NULL, NULL, 2.5e11, 0, 0, NULL},
    {"demo_batch_last_success_timestamp_seconds", NULL, NULL, 1.7e9, 1, 10, NULL},
    {"demo_api_http_requests_in_progress", NULL, NULL, 3, 0, 2, NULL},
    {"demo_intermittent_metric", NULL, NULL, 1, 0, 0, NULL},
    {"demo_api_request_duration_seconds_bucket", "method", "GET", 1, 0.2, 0, "0.1"},
    {"demo_api_request_duration_seconds_bucket", "method", "GET", 2, 0.5, 0, "1"},
    {"demo_api_request_duration_seconds_bucket", "method", "GET", 2, 0.6, 0, "+Inf"},
    {"demo_api_request_duration_seconds_count", "method", "GET", 2, 0.6, 0, NULL},
    {"demo_api_request_duration_seconds_sum", "method", "GET", 2, 0.4, 0, NULL},
};

static struct slice text_of(const char *text)
{
    return slice_from_text(text);
}

static bool add_series(struct batch *batch, const struct demo_series *d, const char *instance,
                       struct error *err)
{
    struct label labels[5] = {{LABEL_NAME_METRIC, text_of(d->name)},
                              {SLICE("job"), SLICE("demo")},
                              {SLICE("instance"), text_of(instance)}};
    size_t count = 3;
    if (d->label)
        labels[count++] = (struct label){text_of(d->label), text_of(d->value)};
    if (d->bound)
        labels[count++] = (struct label){SLICE("le"), text_of(d->bound)};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, count, err);
    if (series < 0)
        return false;
    for (int i = 0; i < SAMPLES; i++) {
        double t = i * INTERVAL_S;
        double value = d->start + d->slope * t + d->wave * sin(t / 100);
        if (!batch_sample(batch, (uint32_t)series, START_NS + (int64_t)t * SECOND_NS, value, err))
            return false;
    }
    return true;
}

static bool add_demo(struct run_context *context, struct error *err)
{
    static const char *const instances[] = {"demo.promlabs.com:10000", "demo.promlabs.com:10001",
                                            "demo.promlabs.com:10002"};
    struct batch *batch = batch_new(context->store, context->tenant, STORE_METRIC, err);
    bool ok = batch != NULL;
    for (size_t i = 0; ok && i < COUNT_OF(instances); i++) {
        for (size_t j = 0; ok && j < COUNT_OF(demo); j++)
            ok = add_series(batch, &demo[j], instances[i], err);
    }
    struct batch_result result = {0};
    if (!ok)
        batch_free(batch);
    return ok && batch_commit_wait(batch, &result, err);
}

static bool query_ok(struct run_context *context, struct slice query, struct slice flags,
                     struct buffer *why)
{
    struct query_request request = {
        .language = QUERY_PROMQL,
        .text = query,
        .tenant = context->tenant,
        .start_ns = START_NS + 6000 * SECOND_NS,
        .end_ns = START_NS + 6600 * SECOND_NS,
        .step_ns = 10 * SECOND_NS,
    };
    struct error err = {0};
    struct query_result *result = query_run(context->store, &request, &err);
    bool failed = result == NULL;
    query_result_free(result);
    bool should_fail = slice_find(flags, SLICE("should_fail"), 0) != SLICE_NOT_FOUND &&
                       slice_find(flags, SLICE("v3_succeeds"), 0) == SLICE_NOT_FOUND;
    if (failed == should_fail)
        return true;
    buffer_printf(why, "%s", failed ? err.message : "an error was expected");
    return false;
}

bool run_queries(struct run_context *context, const char *path, size_t *passed, size_t *failed,
                 struct error *err)
{
    struct buffer text, why;
    buffer_init(&text, FILE_MAX);
    buffer_init(&why, FILE_MAX);
    bool ok = file_load(path, &text, err) && add_demo(context, err);
    struct slice rest = buffer_slice(&text), line;
    int number = 0;
    while (ok && rest.data && slice_split(&rest, '\n', &line)) {
        number++;
        size_t tab = slice_find_byte(line, '\t', 0);
        if (line.size == 0 || line.data[0] == '#' || tab == SLICE_NOT_FOUND)
            continue;
        buffer_clear(&why);
        if (query_ok(context, slice_skip(line, tab + 1), slice_sub(line, 0, tab), &why)) {
            (*passed)++;
        } else {
            (*failed)++;
            printf("FAILED %s:%d: %.*s\n    %.*s\n", path, number,
                   SLICE_ARG(slice_skip(line, tab + 1)), SLICE_ARG(buffer_slice(&why)));
        }
    }
    buffer_done(&text);
    buffer_done(&why);
    return ok;
}
