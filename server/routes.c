/*
 * routes.c - see routes.h.
 *
 * The way of a request: begin() finds its route and judges method and headers
 * before the body is read; handle() makes the call and either runs it here, on
 * a thread of the HTTP library (cheap answers), or suspends the request and
 * hands it to the query threads; done() counts it and frees the call.
 */
#include "server/routes.h"

#include "base/clock.h"
#include "base/ledger.h"
#include "base/log.h"
#include "base/pool.h"
#include "server/api.h"
#include "server/options.h"
#include "storage/store.h"

#include <assert.h>

enum {
    FORM_BODY_MAX = 10 * 1024 * 1024,
    PUSH_INLINE_MAX = 256 * 1024,
    PACKED_INLINE_MAX = 16 * 1024,
    GET = HTTP_GET | HTTP_HEAD,
    GET_POST = HTTP_GET | HTTP_HEAD | HTTP_POST,
    POST = HTTP_POST,
    POST_PUT = HTTP_POST | HTTP_PUT,
    ALL = GET_POST | HTTP_PUT | HTTP_DELETE
};

#define PROM API_PROMETHEUS
#define LOKI API_LOKI

static const struct route routes[] = {
    {"/", GET, API_PLAIN, page_start, false, false, NULL},
    {"/ready", GET, API_PLAIN, status_ready, false, false, NULL},
    {"/-/ready", GET, API_PLAIN, status_ready_prometheus, false, false, NULL},
    {"/-/healthy", GET, API_PLAIN, status_healthy, false, false, NULL},
    {"/metrics", GET, API_PLAIN, status_metrics, false, false, NULL},
    {"/federate", GET, API_PLAIN, prometheus_federate, true, false, NULL},
    {"/api/etinde/state", GET, API_PLAIN, status_state, false, false, NULL},

    {"/api/v1/write", POST, API_PLAIN, push_metrics, false, true, push_metrics_check},
    {"/api/v1/query", GET_POST, PROM, prometheus_query, true, false, NULL},
    {"/api/v1/query_range", GET_POST, PROM, prometheus_query_range, true, false, NULL},
    {"/api/v1/query_exemplars", GET_POST, PROM, prometheus_exemplars, true, false, NULL},
    {"/api/v1/format_query", GET_POST, PROM, prometheus_format_query, false, false, NULL},
    {"/api/v1/explain", GET_POST, PROM, prometheus_explain, true, false, NULL},
    {"/api/v1/parse_query", GET_POST, PROM, prometheus_parse_query, false, false, NULL},
    {"/api/v1/labels", GET_POST, PROM, prometheus_labels, true, false, NULL},
    {"/api/v1/label/{}/values", GET_POST, PROM, prometheus_label_values, true, false, NULL},
    {"/api/v1/series", GET_POST, PROM, prometheus_series, true, false, NULL},
    {"/api/v1/metadata", GET, PROM, prometheus_metadata, true, false, NULL},
    {"/api/v1/rules", GET, PROM, prometheus_rules, false, false, NULL},
    {"/api/v1/alerts", GET, PROM, prometheus_alerts, false, false, NULL},
    {"/api/v1/targets", GET, PROM, prometheus_targets, false, false, NULL},
    {"/api/v1/alertmanagers", GET, PROM, prometheus_alertmanagers, false, false, NULL},
    {"/api/v1/status/buildinfo", GET, PROM, prometheus_buildinfo, false, false, NULL},
    {"/api/v1/status/runtimeinfo", GET, PROM, prometheus_runtimeinfo, false, false, NULL},
    {"/api/v1/status/flags", GET, PROM, prometheus_flags, false, false, NULL},
    {"/api/v1/status/config", GET, PROM, prometheus_config, false, false, NULL},
    {"/api/v1/status/memory", GET, PROM, prometheus_memory, false, false, NULL},
    {"/api/v1/status/tsdb", GET, PROM, prometheus_tsdb, false, false, NULL},
    {"/api/v1/admin/tsdb/snapshot", POST_PUT, PROM, prometheus_snapshot, true, false, NULL},
    {"/api/v1/admin/tsdb/delete_series", POST_PUT, PROM, prometheus_delete_series, true, false,
     NULL},
    {"/api/v1/admin/confirm_clock", POST_PUT, PROM, admin_confirm_clock, true, false, NULL},
    {"/api/v1/admin/tsdb/clean_tombstones", POST_PUT, PROM, prometheus_clean_tombstones, true,
     false, NULL},

    {"/loki/api/v1/push", POST, LOKI, push_logs, false, true, push_logs_check},
    {"/api/prom/push", POST, LOKI, push_logs, false, true, push_logs_check},
    {"/loki/api/v1/query", GET_POST, LOKI, loki_query, true, false, NULL},
    {"/loki/api/v1/query_range", GET_POST, LOKI, loki_query_range, true, false, NULL},
    {"/loki/api/v1/labels", GET_POST, LOKI, loki_labels, true, false, NULL},
    {"/loki/api/v1/label", GET_POST, LOKI, loki_labels, true, false, NULL},
    {"/loki/api/v1/label/{}/values", GET_POST, LOKI, loki_label_values, true, false, NULL},
    {"/loki/api/v1/series", GET_POST, LOKI, loki_series, true, false, NULL},
    {"/loki/api/v1/format_query", GET_POST, LOKI, loki_format_query, false, false, NULL},
    {"/loki/api/v1/index/stats", GET_POST, LOKI, loki_index_stats, true, false, NULL},
    {"/loki/api/v1/index/volume", GET_POST, LOKI, loki_volume, true, false, NULL},
    {"/loki/api/v1/index/volume_range", GET_POST, LOKI, loki_volume_range, true, false, NULL},
    {"/loki/api/v1/detected_labels", GET_POST, LOKI, loki_detected_labels, true, false, NULL},
    {"/loki/api/v1/detected_fields", GET_POST, LOKI, loki_detected_fields, true, false, NULL},
    {"/loki/api/v1/detected_field/{}/values", GET_POST, LOKI, loki_detected_field_values, true,
     false, NULL},
    {"/loki/api/v1/patterns", GET_POST, LOKI, loki_patterns, true, false, NULL},
    {"/loki/api/v1/delete", ALL, LOKI, loki_delete, true, false, NULL},
    {"/loki/api/v1/tail", GET, LOKI, loki_tail, false, false, NULL},
    {"/api/prom/tail", GET, LOKI, loki_tail, false, false, NULL},
    {"/loki/api/v1/drilldown-limits", GET, LOKI, loki_drilldown_limits, false, false, NULL},
    {"/config", GET, LOKI, loki_config, false, false, NULL},
    {"/api/prom/query", GET_POST, LOKI, loki_legacy_query, true, false, NULL},
    {"/api/prom/label", GET_POST, LOKI, loki_legacy_labels, true, false, NULL},
    {"/api/prom/label/{}/values", GET_POST, LOKI, loki_legacy_label_values, true, false, NULL},
    {"/api/prom/series", GET_POST, LOKI, loki_series, true, false, NULL},
    {"/loki/api/v1/status/buildinfo", GET, LOKI, loki_buildinfo, false, false, NULL},
    {"/prometheus/api/v1/rules", GET, PROM, prometheus_rules, false, false, NULL},
    {"/prometheus/api/v1/alerts", GET, PROM, prometheus_alerts, false, false, NULL},
};

_Static_assert(COUNT_OF(routes) <= ROUTES_MAX, "counters have room for every route");

const struct route *routes_all(size_t *count)
{
    *count = COUNT_OF(routes);
    return routes;
}

size_t route_number(const struct route *route)
{
    return route ? (size_t)(route - routes) : COUNT_OF(routes);
}

/* Compare segment by segment; "{}" takes any one that is not empty. */
static bool path_fits(struct slice pattern, struct slice path, struct slice *name)
{
    struct slice want, have;
    while (slice_split(&pattern, '/', &want)) {
        if (!slice_split(&path, '/', &have))
            return false;
        if (slice_equal(want, SLICE("{}")) && have.size > 0)
            *name = have;
        else if (!slice_equal(want, have))
            return false;
    }
    return path.data == NULL;
}

const struct route *route_find(struct slice path, struct slice *name)
{
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        *name = SLICE("");
        if (path_fits(slice_from_text(routes[i].path), path, name))
            return &routes[i];
    }
    return NULL;
}

/* ---- before the body -------------------------------------------------- */

static const char *allow_text(unsigned methods)
{
    switch (methods) {
    case GET:
        return "GET, HEAD, OPTIONS";
    case GET_POST:
        return "GET, HEAD, POST, OPTIONS";
    case POST_PUT:
        return "POST, PUT, OPTIONS";
    case ALL:
        return "GET, HEAD, POST, PUT, DELETE, OPTIONS";
    default:
        return "POST, OPTIONS";
    }
}

/* Browsers elsewhere may read the APIs, as Prometheus lets them by default. */
static void add_cors(struct http_response *response)
{
    http_response_header(response, "Access-Control-Allow-Origin", "*");
    http_response_header(response, "Access-Control-Allow-Headers",
                         "Accept, Accept-Language, Authorization, Content-Type, X-Scope-OrgID");
    http_response_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    http_response_header(response, "Access-Control-Expose-Headers", "Date");
}

static bool routes_begin(void *context, struct http_request *request)
{
    struct server *server = context;
    struct http_response *response = &request->response;
    struct slice name;
    const struct route *route = route_find(request->path, &name);
    request->route = route;
    if (!route) {
        http_response_text(response, 404, "404 page not found");
        return false;
    }
    if (route->family != API_PLAIN)
        add_cors(response);
    if (request->method == HTTP_OPTIONS) {
        response->status = 204;
        return false;
    }
    struct error err = {0};
    if (route->family != API_PLAIN && !route->is_push && !store_is_ready(server->store) &&
        !store_writable(server->store, &err)) {
        http_response_text(response, 503, "%s", err.message);
        response->retry_after_s = 1;
        return false;
    }
    if (!(route->methods & request->method)) {
        http_response_text(response, 405, "Method Not Allowed");
        http_response_header(response, "Allow", allow_text(route->methods));
        return false;
    }
    const struct options *o = server->options;
    request->body_max =
        route->is_push ? options_memory_share(o, o->http_body_size, 4) : FORM_BODY_MAX;
    return !route->check || route->check(request);
}

/* ---- after the body --------------------------------------------------- */

static void run_pooled(void *context)
{
    struct call *call = context;
    struct server *server = call->server;
    call->queued_ns = clock_now_ns(NULL) - call->now_ns;
    __atomic_fetch_sub(&server->counters.queries_waiting, 1, __ATOMIC_RELAXED);
    count_add(&server->counters.queries_running, 1);
    if (__atomic_load_n(&call->request->cancel, __ATOMIC_ACQUIRE))
        call_fail_text(call, ERR_CANCELED, "the client went away before the query ran");
    else
        call->route->run(call);
    __atomic_fetch_sub(&server->counters.queries_running, 1, __ATOMIC_RELAXED);
    call_resume(call);
}

static void run_on_query_thread(struct server *server, struct call *call)
{
    struct error err = {0};
    if (ledger_is_full(&err)) { /* those that run may end, no more begin */
        count_add(&server->counters.queries_rejected, 1);
        store_make_room(server->store);
        call_fail(call, &err);
        return;
    }
    http_request_suspend(call->request, true);
    count_add(&server->counters.queries_waiting, 1);
    if (pool_submit(server->queries, NULL, run_pooled, call))
        return;
    __atomic_fetch_sub(&server->counters.queries_waiting, 1, __ATOMIC_RELAXED);
    count_add(&server->counters.queries_rejected, 1);
    call_fail_text(call, ERR_UNAVAILABLE, "too many queries: %llu run and %llu wait, try again",
                   (unsigned long long)server->options->query_concurrency,
                   (unsigned long long)server->options->query_queue);
    call_resume(call);
}

/* Large and compressed pushes would keep an HTTP thread, and its connections, too long. */
static bool push_is_heavy(const struct http_request *request)
{
    if (request->body.size > PUSH_INLINE_MAX)
        return true;
    struct slice encoding = http_request_header(request, "Content-Encoding");
    bool packed = encoding.size > 0 && !slice_equal(encoding, SLICE("snappy"));
    return packed && request->body.size > PACKED_INLINE_MAX;
}

static void run_push(void *context)
{
    struct call *call = context;
    bool handed_over = false;
    call->handed_over = &handed_over;
    call->route->run(call);
    if (!handed_over) /* else it is no longer ours */
        call_resume(call);
}

static void run_on_push_thread(struct server *server, struct call *call)
{
    http_request_suspend(call->request, false);
    if (!pool_submit(server->pushes, NULL, run_push, call))
        run_push(call);
}

void call_resume(struct call *call)
{
    http_request_resume(call->request);
}

static void routes_handle(void *context, struct http_request *request)
{
    struct server *server = context;
    const struct route *route = request->route;
    struct slice name;
    route_find(request->path, &name);
    struct call *call = call_new(server, request, route, name);
    if (!call)
        return;
    request->user = call;
    if (route->pooled)
        run_on_query_thread(server, call);
    else if (route->is_push && push_is_heavy(request))
        run_on_push_thread(server, call);
    else
        route->run(call);
}

static void routes_done(void *context, struct http_request *request)
{
    struct server *server = context;
    counters_request(&server->counters, route_number(request->route), request);
    call_free(request->user);
    request->user = NULL;
}

static void log_library(void *context, const char *text)
{
    (void)context;
    log_debug("http", LOG_TEXT("text", text));
}

void routes_handler(struct server *server, struct http_handler *handler)
{
    *handler = (struct http_handler){
        .context = server,
        .begin = routes_begin,
        .handle = routes_handle,
        .done = routes_done,
        .log = log_library,
    };
}
