/*
 * prometheus_admin.c - requests that act on the data as a whole, as Prometheus'
 * admin API; off unless web.enable_admin_api is on.
 */
#include "base/json_writer.h"
#include "base/log.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"
#include "storage/snapshot.h"
#include "storage/store.h"

static bool is_enabled(struct call *call)
{
    if (call->server->options->web_enable_admin_api)
        return call_has_one_tenant(call);
    call_fail_text(call, ERR_UNAVAILABLE, "admin APIs disabled");
    return false;
}

/*
 * The answer names a folder under DATA/snapshots.  skip_head makes no difference:
 * the copy always has what is not sealed yet, as log.
 */
void prometheus_snapshot(struct call *call)
{
    char name[SNAPSHOT_NAME_SIZE];
    struct error err = {0};
    struct json_writer w;
    if (!is_enabled(call))
        return;
    if (!store_snapshot(call->server->store, name, &err)) {
        log_error("snapshot", LOG_ERR(&err));
        call_fail(call, &err);
        return;
    }
    log_info("made a snapshot", LOG_TEXT("name", name));
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("name"));
    json_write_string(&w, slice_from_text(name));
    json_write_object_end(&w);
    call_json_end(call, &w);
}

/* Every selector is a delete of its own, done in turn: the first that fails ends it. */
static bool delete_selectors(struct call *call, const struct selectors *selectors,
                             const int64_t range_ns[2], struct error *err)
{
    for (size_t i = 0; i < selectors->count; i++) {
        struct view_selector selector = {selectors->items[i].matchers, selectors->items[i].count};
        struct store_delete request = {.tenant = call->tenant,
                                       .kind = STORE_METRIC,
                                       .start_ns = range_ns[0],
                                       .end_ns = range_ns[1],
                                       .selectors = &selector,
                                       .selector_count = 1};
        if (!store_delete(call->server->store, &request, NULL, err))
            return false;
    }
    return true;
}

void prometheus_delete_series(struct call *call)
{
    struct error err = {0};
    struct selectors selectors = {0};
    int64_t range_ns[2];
    if (!is_enabled(call))
        return;
    size_t at = 0;
    struct slice text;
    bool ok = form_next(&call->form, SLICE("match[]"), &at, &text) ||
              error_set(&err, ERR_INVALID, "no match[] parameter provided");
    ok = ok && form_time_prometheus(&call->form, "start", INT64_MIN, &range_ns[0], &err) &&
         form_time_prometheus(&call->form, "end", INT64_MAX, &range_ns[1], &err) &&
         selectors_read(call, QUERY_PROMQL, "match[]", &selectors, &err);
    if (ok && range_ns[0] <= range_ns[1])
        ok = delete_selectors(call, &selectors, range_ns, &err);
    if (ok)
        log_info("deleted series", LOG_SLICE("tenant", call->tenant),
                 LOG_INT("selectors", selectors.count));
    selectors_done(&selectors);
    if (ok)
        call_answer_nothing(call);
    else
        call_fail(call, &err);
}

/* Ours: retention waits for this after the clock has jumped. */
void admin_confirm_clock(struct call *call)
{
    struct error err = {0};
    if (!is_enabled(call))
        return;
    if (!store_confirm_clock(call->server->store, &err)) {
        call_fail(call, &err);
        return;
    }
    log_info("the clock was confirmed: retention goes on");
    call_answer_nothing(call);
}

void prometheus_clean_tombstones(struct call *call)
{
    struct error err = {0};
    if (!is_enabled(call))
        return;
    if (!store_clean_tombstones(call->server->store, &err)) {
        log_error("clean_tombstones", LOG_ERR(&err));
        call_fail(call, &err);
        return;
    }
    call_answer_nothing(call);
}
