/*
 * loki_query.c - /loki/api/v1/query, query_range, format_query and index/stats.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/number.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"

enum { LIMIT_PRESET = 100 };

/* What a query endpoint needs to know beside the engine's request. */
struct loki_call {
    struct query_request request;
    bool legacy;
    bool is_log;
    bool categorize;
};

static bool wants_categories(const struct http_request *request)
{
    struct slice flags = http_request_header(request, "X-Loki-Response-Encoding-Flags"), flag;
    while (flags.data && slice_split(&flags, ',', &flag))
        if (slice_equal(slice_trim(flag), SLICE("categorize-labels")))
            return true;
    return false;
}

static bool read_limit(const struct call *call, struct query_request *request, struct error *err)
{
    struct slice text = form_get(&call->form, SLICE("limit"));
    uint64_t max = call->server->options->query_log_entries;
    int64_t limit = LIMIT_PRESET;
    if (text.size > 0 && !slice_parse_i64(text, &limit))
        return error_set(err, ERR_INVALID, "could not parse 'limit' parameter: %.*s is no number",
                         SLICE_ARG(slice_sub(text, 0, 60)));
    if (limit <= 0)
        return error_set(err, ERR_INVALID, "limit must be a positive value");
    if ((uint64_t)limit > max)
        return error_set(err, ERR_INVALID,
                         "max entries limit per query exceeded, limit > "
                         "max_entries_limit_per_query (%lld > %llu)",
                         (long long)limit, (unsigned long long)max);
    request->limit = (size_t)limit;
    return true;
}

static bool read_direction(const struct call *call, struct query_request *request,
                           struct error *err)
{
    struct slice text = form_get(&call->form, SLICE("direction"));
    request->forward = slice_equal_ignore_case(text, SLICE("forward"));
    if (text.size == 0 || request->forward || slice_equal_ignore_case(text, SLICE("backward")))
        return true;
    return error_set(err, ERR_INVALID, "invalid direction '%.*s'",
                     SLICE_ARG(slice_sub(text, 0, 60)));
}

static bool read_query(struct call *call, struct loki_call *l, struct error *err)
{
    struct slice text = form_get(&call->form, SLICE("query"));
    l->request = query_call_request(call, QUERY_LOGQL, text);
    l->request.limits.result_series_max = call->server->options->query_log_series;
    l->categorize = wants_categories(call->request);
    return query_check(QUERY_LOGQL, text, l->request.features, &l->is_log, err);
}

static bool read_steps(const struct call *call, struct query_request *request, struct error *err)
{
    int64_t preset_ns = step_preset_loki(ns_sub(request->end_ns, request->start_ns));
    if (!form_duration(&call->form, "step", preset_ns, &request->step_ns, err) ||
        !form_duration(&call->form, "interval", 0, &request->interval_ns, err))
        return false;
    if (request->step_ns <= 0)
        return error_set(err, ERR_INVALID,
                         "zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    if (request->interval_ns < 0)
        return error_set(err, ERR_INVALID, "interval must be >= 0");
    return check_resolution(request->start_ns, request->end_ns, request->step_ns,
                            request->limits.points_max, "time series",
                            "Try increasing the value of the step parameter", err);
}

static void append_warnings(struct buffer *out, const struct query_result *result)
{
    if (result->warning_count == 0)
        return;
    buffer_append_text(out, ",\"warnings\":");
    answer_texts(out, result->warnings, result->warning_count);
}

/* resultType, encodingFlags, result, stats: Grafana's parser relies on this order. */
static void answer_query(struct call *call, const struct loki_call *l,
                         const struct query_result *result)
{
    struct buffer *out = call_body(call);
    buffer_printf(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",",
                  answer_type_name(result));
    bool categorize = l->categorize && result->type == RESULT_STREAMS;
    if (categorize)
        buffer_append_text(out, "\"encodingFlags\":[\"categorize-labels\"],");
    buffer_append_text(out, "\"result\":");
    if (result->type == RESULT_STREAMS)
        answer_streams(out, result, l->request.forward, categorize);
    else
        answer_result(out, result, SIZE_MAX, ANSWER_LOKI);
    buffer_append_text(out, ",\"stats\":");
    answer_loki_stats(out, &result->stats);
    buffer_append_byte(out, '}');
    append_warnings(out, result);
    buffer_append_byte(out, '}');
    call_answer_json(call);
}

/* The shape before version 1 of the API: labels as text, times as RFC 3339, streams only. */
static void answer_legacy(struct call *call, const struct query_result *result)
{
    struct buffer *out = call_body(call);
    if (result->type != RESULT_STREAMS) {
        call_fail_text(call, ERR_INVALID,
                       "legacy endpoints only support streams result type, current type is %s",
                       answer_type_name(result));
        return;
    }
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("streams"));
    json_write_value_begin(&w);
    answer_streams_legacy(out, result);
    json_write_key(&w, SLICE("stats"));
    json_write_value_begin(&w);
    answer_loki_stats(out, &result->stats);
    json_write_object_end(&w);
    call_answer_json(call);
}

static void run_and_answer(struct call *call, struct loki_call *l)
{
    struct error err = {0};
    struct query_result *result = query_call_run(call, &l->request, &err);
    if (!result) {
        call_fail(call, &err);
        return;
    }
    if (l->legacy)
        answer_legacy(call, result);
    else
        answer_query(call, l, result);
    query_result_free(result);
}

void loki_query(struct call *call)
{
    struct error err = {0};
    struct loki_call l = {0};
    if (!read_query(call, &l, &err) || !read_limit(call, &l.request, &err) ||
        !read_direction(call, &l.request, &err) ||
        !form_time_loki(&call->form, "time", call->now_ns, &l.request.end_ns, &err)) {
        call_fail(call, &err);
        return;
    }
    if (l.is_log) {
        call_fail_text(call, ERR_INVALID,
                       "log queries are not supported as an instant query type, please change "
                       "your query to a range query type");
        return;
    }
    l.request.start_ns = l.request.end_ns;
    l.request.instant = true;
    run_and_answer(call, &l);
}

static void run_range(struct call *call, bool legacy)
{
    struct error err = {0};
    struct loki_call l = {.legacy = legacy};
    int64_t range_ns[2] = {0};
    bool ok = read_query(call, &l, &err) && read_limit(call, &l.request, &err) &&
              read_direction(call, &l.request, &err) &&
              form_range_loki(&call->form, call->now_ns, range_ns, &err);
    l.request.start_ns = range_ns[0];
    l.request.end_ns = range_ns[1];
    if (ok && l.request.end_ns <= l.request.start_ns &&
        (l.is_log || l.request.end_ns < l.request.start_ns))
        ok =
            error_set(&err, ERR_INVALID, "end timestamp must not be before or equal to start time");
    if (!ok || !read_steps(call, &l.request, &err)) {
        call_fail(call, &err);
        return;
    }
    run_and_answer(call, &l);
}

void loki_query_range(struct call *call)
{
    run_range(call, false);
}

void loki_legacy_query(struct call *call)
{
    run_range(call, true);
}

void loki_format_query(struct call *call)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 1024 * 1024);
    struct json_writer w;
    if (query_format(QUERY_LOGQL, form_get(&call->form, SLICE("query")),
                     call->server->options->feature_bits, &text, &err)) {
        call_json_begin(call, &w);
        json_write_string(&w, buffer_slice(&text));
        call_json_end(call, &w);
        return;
    }
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("status"));
    json_write_string(&w, SLICE("invalid-query"));
    json_write_key(&w, SLICE("error"));
    json_write_string(&w, slice_from_text(err.message));
    json_write_object_end(&w);
    call_answer_json(call);
    call->request->response.status = 400;
}

/* ---- how much a query would read --------------------------------------- */

static bool sum_over_range(struct call *call, const char *function, struct slice selector,
                           const int64_t range_ns[2], uint64_t *sum, struct error *err)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 256 * 1024);
    int64_t seconds = ns_sub(range_ns[1], range_ns[0]) / NS_PER_SECOND + 1;
    buffer_printf(&text, "sum(%s(%.*s[%llds]))", function, SLICE_ARG(selector), (long long)seconds);
    if (!buffer_check(&text, "the query", err))
        return false;
    struct query_request request = query_call_request(call, QUERY_LOGQL, buffer_slice(&text));
    request.instant = true;
    request.start_ns = request.end_ns = range_ns[1];
    struct query_result *result = query_call_run(call, &request, err);
    if (!result)
        return false;
    bool found = result->type == RESULT_VECTOR && result->series_count == 1;
    *sum = found ? (uint64_t)result->series[0].points[0].value : 0;
    query_result_free(result);
    return true;
}

/*
 * Counted exactly, by lengths and times alone: nothing is decompressed but those
 * columns.  Chunks are not a notion of the API here, so streams stand for them.
 */
void loki_index_stats(struct call *call)
{
    struct error err = {0};
    int64_t range_ns[2];
    uint64_t entries = 0, bytes = 0;
    struct selectors selectors = {0};
    struct slice query = form_get(&call->form, SLICE("query"));
    size_t streams = 0;
    bool ok = form_range_loki(&call->form, call->now_ns, range_ns, &err) &&
              selectors_read(call, QUERY_LOGQL, "query", &selectors, &err) &&
              series_count(call, QUERY_LOGQL, &selectors, range_ns, &streams, &err);
    selectors_done(&selectors);
    if (ok && streams > 0)
        ok = sum_over_range(call, "count_over_time", query, range_ns, &entries, &err) &&
             sum_over_range(call, "bytes_over_time", query, range_ns, &bytes, &err);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    buffer_printf(call_body(call),
                  "{\"streams\":%zu,\"chunks\":%zu,\"entries\":%llu,\"bytes\":%llu}", streams,
                  streams, (unsigned long long)entries, (unsigned long long)bytes);
    call_answer_json(call);
}
