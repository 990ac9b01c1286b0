/*
 * loki_delete.c - /loki/api/v1/delete: asking for logs to be deleted, listing that, taking it
 * back.  Off unless web.enable_admin_api is on.
 */
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "server/api.h"
#include "server/call.h"
#include "server/deletes.h"
#include "server/options.h"
#include "server/parameters.h"

#include <stdio.h>

static bool is_enabled(struct call *call)
{
    if (call->server->options->web_enable_admin_api)
        return call_has_one_tenant(call);
    call_answer_text(call, 403,
                     "deletion is not available: the option web.enable_admin_api is off");
    return false;
}

/* Loki asks for a start, takes now for the end, and knows no deletes in the future. */
static bool read_range(struct call *call, int64_t range_ns[2], struct error *err)
{
    struct slice start = form_get(&call->form, SLICE("start"));
    struct slice end = form_get(&call->form, SLICE("end"));
    range_ns[1] = call->now_ns;
    if (start.size == 0)
        return error_set(err, ERR_INVALID, "start time not set");
    if (!time_from_loki(start, &range_ns[0]))
        return error_set(err, ERR_INVALID,
                         "invalid start time: require unix seconds or RFC3339 format");
    if (end.size > 0 && !time_from_loki(end, &range_ns[1]))
        return error_set(err, ERR_INVALID,
                         "invalid end time: require unix seconds or RFC3339 format");
    if (range_ns[1] > call->now_ns)
        return error_set(err, ERR_INVALID, "deletes in the future are not allowed");
    if (range_ns[0] > range_ns[1])
        return error_set(err, ERR_INVALID, "start time can't be greater than end time");
    return true;
}

/* Into how long pieces Loki may cut the request; here pieces have at most a day anyway. */
static bool check_interval(struct call *call, const int64_t range_ns[2], struct error *err)
{
    int64_t interval_ns;
    bool overflow;
    struct slice text = form_get(&call->form, SLICE("max_interval"));
    if (text.size == 0)
        return true;
    if (!duration_from_parameter(text, &interval_ns, &overflow) || overflow || interval_ns <= 0)
        return error_set(err, ERR_INVALID,
                         "invalid max_interval: valid time units are 's', 'm', 'h'");
    if (interval_ns > range_ns[1] - range_ns[0])
        return error_set(err, ERR_INVALID,
                         "max_interval can't be greater than the interval to be deleted");
    return true;
}

static bool add(struct call *call, struct error *err)
{
    int64_t range_ns[2];
    struct slice query = form_get(&call->form, SLICE("query"));
    if (query.size == 0)
        return error_set(err, ERR_INVALID, "query not set");
    if (!read_range(call, range_ns, err) || !check_interval(call, range_ns, err))
        return false;
    struct delete_order order = {.tenant = call->tenant,
                                 .query = query,
                                 .start_ns = range_ns[0],
                                 .end_ns = range_ns[1],
                                 .created_ns = call->now_ns};
    return deletes_add(call->server->deletes, &order, err);
}

static void ask(struct call *call)
{
    struct error err = {0};
    if (add(call, &err)) {
        log_info("took a request to delete logs", LOG_SLICE("tenant", call->tenant));
        call_answer_nothing(call);
    } else {
        call_fail(call, &err);
    }
}

/* Seconds, with milliseconds where there are any. */
static void write_time(struct json_writer *w, const char *key, int64_t ns)
{
    json_write_key(w, slice_from_text(key));
    json_write_double(w, (double)(ns / NS_PER_MS) / 1000, 'f', false);
}

static void write_state(void *context, const struct delete_state *state)
{
    struct json_writer *w = context;
    char progress[32];
    const char *status = state->processed ? "processed" : "received";
    if (!state->processed && state->percent > 0) {
        snprintf(progress, sizeof(progress), "%u%% Complete", state->percent);
        status = progress;
    }
    json_write_object_begin(w);
    json_write_key(w, SLICE("request_id"));
    json_write_string(w, slice_from_text(state->id));
    write_time(w, "start_time", state->order.start_ns);
    write_time(w, "end_time", state->order.end_ns);
    json_write_key(w, SLICE("query"));
    json_write_string(w, state->order.query);
    json_write_key(w, SLICE("status"));
    json_write_string(w, slice_from_text(status));
    write_time(w, "created_at", state->order.created_ns);
    json_write_object_end(w);
}

static void list(struct call *call)
{
    struct json_writer w;
    json_writer_init(&w, call_body(call));
    json_write_array_begin(&w);
    deletes_visit(call->server->deletes, call->tenant, write_state, &w);
    json_write_array_end(&w);
    call_answer_json(call);
}

static void take_back(struct call *call)
{
    struct error err = {0};
    struct slice id = form_get(&call->form, SLICE("request_id"));
    bool force = slice_equal(form_get(&call->form, SLICE("force")), SLICE("true"));
    bool ok = id.size > 0 || error_set(&err, ERR_INVALID, "request_id not set");
    if (ok && deletes_cancel(call->server->deletes, call->tenant, id, force, &err))
        call_answer_nothing(call);
    else
        call_fail(call, &err);
}

void loki_delete(struct call *call)
{
    if (!is_enabled(call))
        return;
    if (call->request->method & HTTP_DELETE)
        take_back(call);
    else if (call->request->method & (HTTP_POST | HTTP_PUT))
        ask(call);
    else
        list(call);
}
