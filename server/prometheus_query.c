/*
 * prometheus_query.c - /api/v1/query, query_range and format_query.
 *
 * Parameters are judged in Prometheus' order with its texts.  Times are whole
 * milliseconds from here on, as PromQL counts them.
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

static int64_t whole_ms(int64_t ns)
{
    int64_t rest = ns % NS_PER_MS;
    return rest < 0 ? ns_sub(ns, NS_PER_MS + rest) : ns - rest;
}

/* timeout, lookback_delta and limit, which both endpoints know. */
static bool read_common(const struct call *call, struct query_request *request, uint64_t *limit,
                        struct error *err)
{
    int64_t timeout_ns;
    int64_t preset_ns = request->limits.timeout_ns;
    if (!form_count(&call->form, "limit", 0, limit, err) ||
        !form_duration(&call->form, "timeout", preset_ns, &timeout_ns, err) ||
        !form_duration(&call->form, "lookback_delta", request->lookback_ns, &request->lookback_ns,
                       err))
        return false;
    if (timeout_ns > 0 && timeout_ns < preset_ns)
        request->limits.timeout_ns = timeout_ns;
    return true;
}

static void write_seconds(struct json_writer *w, const char *name, int64_t ns)
{
    json_write_key(w, slice_from_text(name));
    json_write_double(w, (double)ns / 1e9, 'j', false);
}

/* How many samples each step looks at, for stats=all. */
static void write_steps(struct json_writer *w, const struct query_stats *stats,
                        const struct query_request *request)
{
    json_write_key(w, SLICE("totalQueryableSamplesPerStep"));
    json_write_array_begin(w);
    for (size_t i = 0; i < stats->steps; i++) {
        int64_t ns =
            request->instant ? request->end_ns : request->start_ns + (int64_t)i * request->step_ns;
        json_write_array_begin(w);
        json_write_double(w, (double)(ns / NS_PER_MS) / 1000, 'j', false);
        json_write_u64(w, stats->step_samples[i]);
        json_write_array_end(w);
    }
    json_write_array_end(w);
}

/* `request` is NULL where steps are not wanted. */
static void append_stats(struct buffer *out, const struct query_stats *stats,
                         const struct query_request *request)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("timings"));
    json_write_object_begin(&w);
    write_seconds(&w, "evalTotalTime", stats->parse_ns + stats->evaluate_ns);
    write_seconds(&w, "resultSortTime", 0);
    write_seconds(&w, "queryPreparationTime", stats->parse_ns);
    write_seconds(&w, "innerEvalTime", stats->evaluate_ns);
    write_seconds(&w, "execQueueTime", stats->queue_ns);
    write_seconds(&w, "execTotalTime", stats->queue_ns + stats->parse_ns + stats->evaluate_ns);
    json_write_object_end(&w);
    json_write_key(&w, SLICE("samples"));
    json_write_object_begin(&w);
    if (request && stats->step_samples)
        write_steps(&w, stats, request);
    json_write_key(&w, SLICE("totalQueryableSamples"));
    json_write_u64(&w, stats->queryable);
    json_write_key(&w, SLICE("samplesRead"));
    json_write_u64(&w, stats->samples);
    json_write_key(&w, SLICE("peakSamples"));
    json_write_u64(&w, stats->peak_samples);
    json_write_object_end(&w);
    json_write_object_end(&w);
}

static void append_notes(struct buffer *out, const char *name, const struct slice *notes,
                         size_t count, bool truncated)
{
    enum { SHOWN_MAX = 10 };
    if (count == 0 && !truncated)
        return;
    buffer_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_append_string(out, notes[i], false);
    }
    if (truncated)
        buffer_printf(out, "%s\"results truncated due to limit\"", count > 0 ? "," : "");
    buffer_append_byte(out, ']');
}

static void answer_query(struct call *call, const struct query_request *request,
                         const struct query_result *result, uint64_t limit)
{
    struct buffer *out = call_body(call);
    bool list = result->type == RESULT_VECTOR || result->type == RESULT_MATRIX;
    size_t series_max = limit > 0 && list ? (size_t)limit : SIZE_MAX;
    bool truncated = list && result->series_count > series_max;
    buffer_printf(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":",
                  answer_type_name(result));
    answer_result(out, result, series_max, ANSWER_PROMETHEUS);
    struct slice stats = form_get(&call->form, SLICE("stats"));
    if (stats.size > 0) {
        buffer_append_text(out, ",\"stats\":");
        append_stats(out, &result->stats, slice_equal(stats, SLICE("all")) ? request : NULL);
    }
    buffer_append_byte(out, '}');
    append_notes(out, "warnings", result->warnings, result->warning_count, truncated);
    append_notes(out, "infos", result->infos, result->info_count, false);
    buffer_append_byte(out, '}');
    call_answer_json(call);
}

static void fail_query(struct call *call, const struct query_request *request, struct error *err)
{
    bool unread = err->position > 0 || request->text.size > request->limits.text_max;
    if (err->code == ERR_INVALID || unread) { /* a limit met while parsing is bad_data, too */
        err->code = ERR_INVALID;
        error_prefix(err, "invalid parameter \"query\"");
    }
    call_fail(call, err);
}

static void run_and_answer(struct call *call, struct query_request *request, uint64_t limit)
{
    struct error err = {0};
    request->count_steps = form_get(&call->form, SLICE("stats")).size > 0;
    struct query_result *result = query_call_run(call, request, &err);
    if (!result) {
        fail_query(call, request, &err);
        return;
    }
    answer_query(call, request, result, limit);
    query_result_free(result);
}

void prometheus_query(struct call *call)
{
    struct error err = {0};
    uint64_t limit;
    struct query_request request =
        query_call_request(call, QUERY_PROMQL, form_get(&call->form, SLICE("query")));
    request.instant = true;
    if (!read_common(call, &request, &limit, &err) ||
        !form_time_prometheus(&call->form, "time", call->now_ns, &request.end_ns, &err)) {
        call_fail(call, &err);
        return;
    }
    request.end_ns = request.start_ns = whole_ms(request.end_ns);
    run_and_answer(call, &request, limit);
}

/* A time or step that may not be absent. */
static bool required(const struct call *call, const char *name, const char *what, struct error *err)
{
    if (form_get(&call->form, slice_from_text(name)).size > 0)
        return true;
    return error_set(err, ERR_INVALID, "invalid parameter \"%s\": cannot parse \"\" to a valid %s",
                     name, what);
}

static bool read_range(const struct call *call, struct query_request *request, struct error *err)
{
    const struct form *form = &call->form;
    if (!required(call, "start", "timestamp", err) ||
        !form_time_prometheus(form, "start", 0, &request->start_ns, err) ||
        !required(call, "end", "timestamp", err) ||
        !form_time_prometheus(form, "end", 0, &request->end_ns, err))
        return false;
    request->start_ns = whole_ms(request->start_ns);
    request->end_ns = whole_ms(request->end_ns);
    if (request->end_ns < request->start_ns)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"end\": end timestamp must not be "
                         "before start time");
    if (!required(call, "step", "duration", err) ||
        !form_duration(form, "step", 0, &request->step_ns, err))
        return false;
    if (request->step_ns <= 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"step\": zero or negative query resolution step "
                         "widths are not accepted. Try a positive integer");
    request->step_ns = whole_ms(request->step_ns);
    if (request->step_ns == 0)
        request->step_ns = NS_PER_MS;
    return check_resolution(request->start_ns, request->end_ns, request->step_ns,
                            request->limits.points_max, "timeseries",
                            "Try decreasing the query resolution (?step=XX)", err);
}

void prometheus_query_range(struct call *call)
{
    struct error err = {0};
    uint64_t limit;
    struct query_request request =
        query_call_request(call, QUERY_PROMQL, form_get(&call->form, SLICE("query")));
    if (!read_range(call, &request, &err) || !read_common(call, &request, &limit, &err)) {
        call_fail(call, &err);
        return;
    }
    run_and_answer(call, &request, limit);
}

void prometheus_format_query(struct call *call)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 1024 * 1024);
    if (!query_format(QUERY_PROMQL, form_get(&call->form, SLICE("query")),
                      call->server->options->feature_bits, &text, &err)) {
        error_prefix(&err, "invalid parameter \"query\"");
        call_fail(call, &err);
        return;
    }
    struct json_writer w;
    call_json_begin(call, &w);
    json_write_string(&w, buffer_slice(&text));
    call_json_end(call, &w);
}

void prometheus_parse_query(struct call *call)
{
    struct error err = {0};
    struct buffer *out = call_body(call);
    buffer_append_text(out, "{\"status\":\"success\",\"data\":");
    if (!query_tree(form_get(&call->form, SLICE("query")), call->server->options->feature_bits, out,
                    &err)) {
        error_prefix(&err, "invalid parameter \"query\"");
        call_fail(call, &err);
        return;
    }
    buffer_append_byte(out, '}');
    call_answer_json(call);
}

/* With start, end and step as query_range, otherwise as query; the plan instead of the result. */
void prometheus_explain(struct call *call)
{
    struct error err = {0};
    uint64_t limit;
    struct query_request request =
        query_call_request(call, QUERY_PROMQL, form_get(&call->form, SLICE("query")));
    request.instant = form_get(&call->form, SLICE("start")).size == 0;
    bool ok = read_common(call, &request, &limit, &err);
    if (ok && request.instant) {
        ok = form_time_prometheus(&call->form, "time", call->now_ns, &request.end_ns, &err);
        request.end_ns = request.start_ns = whole_ms(request.end_ns);
    } else if (ok) {
        ok = read_range(call, &request, &err);
    }
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    struct query_stats stats;
    struct buffer *out = call_body(call);
    request.count_steps = true;
    buffer_append_text(out, "{\"status\":\"success\",\"data\":{\"plan\":");
    if (!query_explain(call->server->store, &request, out, &stats, &err)) {
        fail_query(call, &request, &err);
        return;
    }
    stats.queue_ns = call->queued_ns;
    buffer_append_text(out, ",\"stats\":");
    append_stats(out, &stats, NULL);
    buffer_append_text(out, "}}");
    call_answer_json(call);
}
