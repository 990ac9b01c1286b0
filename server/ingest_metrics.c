/*
 * ingest_metrics.c - POST /api/v1/write: remote-write 1.0 into the store.
 *
 * A series without a metric name or with invalid labels, and a sample that the
 * store refuses (out of order, duplicate with another value, too far ahead),
 * cost only themselves: the answer is 400 with counts, and the others are stored.
 */
#include "base/arena.h"
#include "base/duration.h"
#include "base/histogram.h"
#include "server/api.h"
#include "server/push.h"
#include "wire/ingest.h"
#include "wire/media_type.h"
#include "wire/remote_write.h"

enum { FORMAT_REMOTE_WRITE = 1 };

static int64_t find_series(void *context, struct slice key)
{
    struct push *push = context;
    return batch_find(push->batch, FORMAT_REMOTE_WRITE, key);
}

static void find_many_series(void *context, const struct slice *keys, size_t count, int64_t *series)
{
    struct push *push = context;
    batch_find_many(push->batch, FORMAT_REMOTE_WRITE, keys, count, series);
}

static bool has_name(const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (labels[i].value.size > 0 && slice_equal(labels[i].name, LABEL_NAME_METRIC))
            return true;
    return false;
}

static int64_t define_series(void *context, struct slice key, struct label *labels, size_t count)
{
    struct push *push = context;
    struct error err = {0};
    if (!has_name(labels, count)) {
        push_refuse(push, INGEST_BAD_SERIES, 1, "series without a metric name");
        return INGEST_SKIP;
    }
    int64_t number = batch_define(push->batch, FORMAT_REMOTE_WRITE, key, labels, count, &err);
    if (number >= 0)
        return number;
    switch (err.code) {
    case ERR_RATE:
        push_refuse(push, INGEST_SERIES_LIMIT, 1, "%s", err.message);
        return INGEST_SKIP;
    case ERR_INVALID:
    case ERR_LIMIT:
        push_refuse(push, INGEST_BAD_SERIES, 1, "%s", err.message);
        return INGEST_SKIP;
    default:
        push_stop(push, &err);
        return INGEST_STOP;
    }
}

static bool add_sample(void *context, uint32_t series, int64_t time_ms, double value)
{
    struct push *push = context;
    struct error err = {0};
    int64_t time_ns;
    if (__builtin_mul_overflow(time_ms, NS_PER_MS, &time_ns)) {
        push_refuse(push, INGEST_BAD_ENTRY, 1, "out of bounds: the time of a sample is %lld ms",
                    (long long)time_ms);
        return true;
    }
    if (LIKELY(batch_sample(push->batch, series, time_ns, value, &err))) {
        push->taken++;
        return true;
    }
    if (err.code == ERR_INVALID) {
        push_refuse_time(push, series, time_ns);
        return true;
    }
    push_stop(push, &err);
    return false;
}

static bool add_samples(void *context, const uint32_t *series, const int64_t *times_ms,
                        const double *values, size_t count)
{
    struct push *push = context;
    for (size_t i = 0; i < count;) {
        size_t done = batch_samples(push->batch, series + i, times_ms + i, values + i, count - i);
        push->taken += done;
        i += done;
        if (i < count) { /* another time, or the first one: with all checks */
            if (!add_sample(context, series[i], times_ms[i], values[i]))
                return false;
            i++;
        }
    }
    return true;
}

static bool add_histogram(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                          const struct histogram *histogram)
{
    struct push *push = context;
    struct error err = {0};
    int64_t time_ns, start_ns;
    if (__builtin_mul_overflow(time_ms, NS_PER_MS, &time_ns) ||
        __builtin_mul_overflow(start_ms, NS_PER_MS, &start_ns)) {
        push_refuse(push, INGEST_BAD_ENTRY, 1, "out of bounds: the time of a histogram is %lld ms",
                    (long long)time_ms);
        return true;
    }
    if (!histogram_check(histogram, &err)) {
        push_refuse(push, INGEST_BAD_ENTRY, 1, "invalid histogram: %s", err.message);
        return true;
    }
    if (batch_histogram(push->batch, series, time_ns, start_ns, histogram, &err)) {
        push->taken++;
        return true;
    }
    if (err.code == ERR_INVALID) {
        push_refuse_time(push, series, time_ns);
        return true;
    }
    push_stop(push, &err);
    return false;
}

static bool add_metadata(void *context, struct slice family, struct slice type, struct slice help,
                         struct slice unit)
{
    struct push *push = context;
    batch_metadata(push->batch, family, type, help, unit);
    return true;
}

/* An exemplar that is wrong costs only itself, and the request does not hear of it. */
static bool add_exemplar(void *context, uint32_t series, struct label *labels, size_t count,
                         int64_t time_ms, double value)
{
    struct push *push = context;
    struct error err = {0};
    int64_t time_ns;
    if (__builtin_mul_overflow(time_ms, NS_PER_MS, &time_ns) ||
        !batch_exemplar(push->batch, series, labels, count, time_ns, value, &err))
        count_add(&push->call->server->counters.refused[STORE_METRIC][INGEST_BAD_EXEMPLAR], 1);
    return true;
}

static void drop_part(void *context, uint32_t series, const char *what)
{
    struct push *push = context;
    (void)series, (void)what;
    push->refused[INGEST_NOT_SUPPORTED]++;
    count_add(&push->call->server->counters.refused[STORE_METRIC][INGEST_NOT_SUPPORTED], 1);
}

static void refuse_series(void *context, size_t samples, const struct error *reason)
{
    push_refuse(context, INGEST_BAD_SERIES, samples > 0 ? samples : 1, "%s", reason->message);
}

bool push_metrics_check(struct http_request *request)
{
    struct body_coding coding;
    struct error err = {0};
    if (media_type_remote_write(http_request_header(request, "Content-Type"),
                                http_request_header(request, "Content-Encoding"), &coding, &err))
        return true;
    http_response_text(&request->response, 415, "%s", err.message);
    return false;
}

void push_metrics(struct call *call)
{
    struct body_coding coding = {BODY_SNAPPY, BODY_IDENTITY};
    struct error err = {0};
    if (!media_type_remote_write(http_request_header(call->request, "Content-Type"),
                                 http_request_header(call->request, "Content-Encoding"), &coding,
                                 &err)) {
        call_answer_text(call, 415, err.message);
        return;
    }
    struct push *push = arena_calloc(call->arena, 1, sizeof(*push));
    if (!push || !push_begin(push, call, STORE_METRIC, coding))
        return;
    struct metric_sink sink = {
        .context = push,
        .find = find_series,
        .define = define_series,
        .sample = add_sample,
        .histogram = add_histogram,
        .metadata = add_metadata,
        .exemplar = add_exemplar,
        .dropped = drop_part,
        .refused = refuse_series,
        .find_many = find_many_series,
        .samples = add_samples,
    };
    bool ok = remote_write_decode(push->body, &sink, &err);
    push_end(push, ok, &err);
}

void push_describe_sample(struct buffer *out, const struct refusal *refusal)
{
    static const char *const reasons[REFUSED_REASONS] = {
        [REFUSED_DUPLICATE] = "duplicate sample for timestamp",
        [REFUSED_OUT_OF_ORDER] = "out of order sample",
        [REFUSED_TOO_OLD] = "out of bounds: too old sample",
        [REFUSED_TOO_NEW] = "out of bounds: sample too far in the future",
    };
    buffer_append_text(out, reasons[refusal->reason]);
    buffer_append_text(out, ": series ");
    labels_append_text(out, refusal->labels);
    buffer_append_text(out, " at ");
    buffer_append_rfc3339(out, refusal->time_ns);
    if (refusal->reason == REFUSED_DUPLICATE)
        return;
    buffer_append_text(out, ", the limit is ");
    buffer_append_rfc3339(out, refusal->bound_ns);
}
