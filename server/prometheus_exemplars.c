/*
 * prometheus_exemplars.c - /api/v1/query_exemplars: the exemplars of all series that a query
 * selects, whatever it does with them.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/number.h"
#include "query/query.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "server/parameters.h"
#include "storage/store.h"

static void append_exemplar(struct buffer *out, const struct exemplar *exemplar)
{
    char text[DOUBLE_TEXT_MAX];
    buffer_append_text(out, "{\"labels\":");
    answer_labels(out, exemplar->labels);
    buffer_append_text(out, ",\"value\":\"");
    buffer_append(out, text, double_format(text, exemplar->value, 'j'));
    buffer_append_text(out, "\",\"timestamp\":");
    answer_seconds(out, exemplar->time_ns, ANSWER_PROMETHEUS);
    buffer_append_byte(out, '}');
}

static void append_series(struct buffer *out, const struct exemplar_series *series)
{
    buffer_append_text(out, "{\"seriesLabels\":");
    answer_labels(out, series->labels);
    buffer_append_text(out, ",\"exemplars\":[");
    for (size_t i = 0; i < series->count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        append_exemplar(out, &series->items[i]);
    }
    buffer_append_text(out, "]}");
}

static bool read_times(struct call *call, int64_t *start_ns, int64_t *end_ns, struct error *err)
{
    if (!form_time_prometheus(&call->form, "start", INT64_MIN, start_ns, err) ||
        !form_time_prometheus(&call->form, "end", INT64_MAX, end_ns, err))
        return false;
    if (*end_ns < *start_ns)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"end\": end timestamp must not be before start "
                         "timestamp");
    return true;
}

static bool select_exemplars(struct call *call, const struct query_selector *selectors,
                             size_t count, const int64_t range_ns[2],
                             struct exemplar_series **series, size_t *found, struct error *err)
{
    struct view_selector *views = arena_calloc(call->arena, count, sizeof(*views));
    if (!views && count > 0)
        return arena_check(call->arena, "the selectors", err);
    for (size_t i = 0; i < count; i++)
        views[i] = (struct view_selector){selectors[i].matchers, selectors[i].count};
    return store_exemplars(call->server->store, call->tenant, views, count, range_ns[0],
                           range_ns[1], call->arena, series, found, err);
}

void prometheus_exemplars(struct call *call)
{
    struct error err = {0};
    int64_t range_ns[2];
    struct query_selector *selectors = NULL;
    size_t count = 0, found = 0;
    if (!read_times(call, &range_ns[0], &range_ns[1], &err)) {
        call_fail(call, &err);
        return;
    }
    if (!query_selectors(form_get(&call->form, SLICE("query")), call->server->options->feature_bits,
                         call->arena, &selectors, &count, &err)) {
        if (err.code == ERR_INVALID)
            error_prefix(&err, "invalid parameter \"query\"");
        call_fail(call, &err);
        return;
    }
    struct exemplar_series *series = NULL;
    bool ok = select_exemplars(call, selectors, count, range_ns, &series, &found, &err);
    for (size_t i = 0; i < count; i++)
        query_selector_free(selectors[i].matchers, selectors[i].count);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    struct buffer *out = call_body(call);
    buffer_append_text(out, "{\"status\":\"success\",\"data\":[");
    for (size_t i = 0; i < found; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        append_series(out, &series[i]);
    }
    buffer_append_text(out, "]}");
    call_answer_json(call);
}
