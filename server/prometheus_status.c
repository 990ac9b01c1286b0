/*
 * prometheus_status.c - what Prometheus' clients ask about the server itself.
 *
 * Each answer is true: what this server does not do (scrape targets, rules,
 * alerts) is an empty list, as a Prometheus without them answers.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/ledger.h"
#include "base/number.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "storage/cardinality.h"
#include "storage/store.h"

#include <stdlib.h>
#include <unistd.h>

#include "version.h"

/* The Prometheus whose API this is: Grafana chooses features by it. */
#define PROMETHEUS_VERSION "3.5.0"

enum { RANKING_DEFAULT = 10, RANKING_MAX = 10000 };

static void write_text(struct json_writer *w, const char *key, const char *value)
{
    json_write_key(w, slice_from_text(key));
    json_write_string(w, slice_from_text(value));
}

static void write_number(struct json_writer *w, const char *key, int64_t value)
{
    json_write_key(w, slice_from_text(key));
    json_write_i64(w, value);
}

static void write_time(struct json_writer *w, const char *key, int64_t ns)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64);
    buffer_append_rfc3339(&text, ns);
    json_write_key(w, slice_from_text(key));
    json_write_string(w, buffer_slice(&text));
}

static void answer_fixed(struct call *call, const char *data)
{
    buffer_printf(call_body(call), "{\"status\":\"success\",\"data\":%s}", data);
    call_answer_json(call);
}

void prometheus_rules(struct call *call)
{
    answer_fixed(call, "{\"groups\":[]}");
}

void prometheus_alerts(struct call *call)
{
    answer_fixed(call, "{\"alerts\":[]}");
}

void prometheus_targets(struct call *call)
{
    answer_fixed(call, "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
}

void prometheus_alertmanagers(struct call *call)
{
    answer_fixed(call, "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}");
}

/* Never with `features`: Grafana takes a server that has them for another product. */
void prometheus_buildinfo(struct call *call)
{
    struct json_writer w;
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    write_text(&w, "version", PROMETHEUS_VERSION);
    write_text(&w, "revision", ETINDE_COMMIT);
    write_text(&w, "branch", "");
    write_text(&w, "buildUser", "");
    write_text(&w, "buildDate", "");
    write_text(&w, "goVersion", "");
    write_text(&w, "application", "Etinde");
    write_text(&w, "appVersion", ETINDE_VERSION);
    json_write_object_end(&w);
    call_json_end(call, &w);
}

void prometheus_runtimeinfo(struct call *call)
{
    struct server *server = call->server;
    struct store_stats stats;
    struct json_writer w;
    char host[256] = "", directory[4096] = "";
    store_stats_read(server->store, &stats);
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    if (!getcwd(directory, sizeof(directory)))
        directory[0] = '\0';
    AUTO(buffer_done) struct buffer retention;
    buffer_init(&retention, 64);
    buffer_append_duration_prometheus(&retention, server->options->retention_ns);
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    write_time(&w, "startTime", server->started_ns);
    write_text(&w, "CWD", directory);
    write_text(&w, "hostname", host);
    write_time(&w, "serverTime", call->now_ns);
    json_write_key(&w, SLICE("reloadConfigSuccess"));
    json_write_bool(&w, true);
    write_time(&w, "lastConfigTime", server->started_ns);
    write_number(&w, "timeSeriesCount", (int64_t)stats.series[STORE_METRIC]);
    write_number(&w, "corruptionCount", 0);
    write_number(&w, "goroutineCount", 0);
    write_number(&w, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    json_write_key(&w, SLICE("storageRetention"));
    json_write_string(&w, buffer_slice(&retention));
    json_write_object_end(&w);
    call_json_end(call, &w);
}

/* Where memory goes: ours alone, Prometheus has no such request. */
void prometheus_memory(struct call *call)
{
    static const char *const levels[] = {"calm", "high", "full"};
    struct json_writer w;
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    write_number(&w, "budgetBytes", (int64_t)ledger_limit());
    write_number(&w, "countedBytes", (int64_t)ledger_total());
    write_number(&w, "anonymousBytes", (int64_t)ledger_anonymous());
    write_text(&w, "pressure", levels[ledger_pressure()]);
    json_write_key(&w, SLICE("components"));
    json_write_object_begin(&w);
    for (int part = 0; part < LEDGER_PARTS; part++)
        write_number(&w, ledger_part_name((enum ledger_part)part),
                     (int64_t)ledger_used((enum ledger_part)part));
    json_write_object_end(&w);
    json_write_object_end(&w);
    call_json_end(call, &w);
}

void prometheus_flags(struct call *call)
{
    struct json_writer w;
    AUTO(buffer_done) struct buffer value;
    buffer_init(&value, 64 * 1024);
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    for (size_t i = 0; i < options_table.count; i++) {
        const struct config_key *key = &options_table.keys[i];
        buffer_clear(&value);
        options_append_value(&value, call->server->options, key);
        json_write_key(&w, slice_from_text(key->name));
        json_write_string(&w, buffer_slice(&value));
    }
    json_write_object_end(&w);
    call_json_end(call, &w);
}

void prometheus_config(struct call *call)
{
    struct json_writer w;
    AUTO(buffer_done) struct buffer yaml;
    buffer_init(&yaml, 256 * 1024);
    options_append_yaml(&yaml, call->server->options);
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("yaml"));
    json_write_string(&w, buffer_slice(&yaml));
    json_write_object_end(&w);
    call_json_end(call, &w);
}

static void write_ranking(struct json_writer *w, const char *key, const struct ranking *ranking)
{
    json_write_key(w, slice_from_text(key));
    json_write_array_begin(w);
    for (size_t i = 0; i < ranking->count; i++) {
        json_write_object_begin(w);
        json_write_key(w, SLICE("name"));
        json_write_string(w, ranking->items[i].name);
        write_number(w, "value", (int64_t)ranking->items[i].value);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static bool read_limit(struct call *call, int64_t *limit, struct error *err)
{
    struct slice text = form_get(&call->form, SLICE("limit"));
    *limit = RANKING_DEFAULT;
    if (text.size == 0)
        return true;
    if (!slice_parse_i64(text, limit) || *limit < 1)
        return error_set(err, ERR_INVALID, "limit must be a positive number");
    return *limit <= RANKING_MAX ||
           error_set(err, ERR_INVALID, "limit must not exceed %d", RANKING_MAX);
}

/* Of the head of the tenant, as Prometheus: series that have samples not sealed yet, or lately. */
void prometheus_tsdb(struct call *call)
{
    struct cardinality c;
    struct json_writer w;
    struct error err = {0};
    int64_t limit;
    if (!read_limit(call, &limit, &err) ||
        !store_cardinality(call->server->store, call->tenant, STORE_METRIC, (size_t)limit,
                           call->arena, &c, &err)) {
        call_fail(call, &err);
        return;
    }
    bool empty = c.oldest_ns > c.newest_ns;
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("headStats"));
    json_write_object_begin(&w);
    write_number(&w, "numSeries", (int64_t)c.series);
    write_number(&w, "numLabelPairs", (int64_t)c.label_pairs);
    write_number(&w, "chunkCount", (int64_t)c.chunks);
    write_number(&w, "minTime", empty ? INT64_MAX : c.oldest_ns / NS_PER_MS);
    write_number(&w, "maxTime", empty ? INT64_MIN : c.newest_ns / NS_PER_MS);
    json_write_object_end(&w);
    write_ranking(&w, "seriesCountByMetricName", &c.metrics);
    write_ranking(&w, "labelValueCountByLabelName", &c.label_values);
    write_ranking(&w, "memoryInBytesByLabelName", &c.label_bytes);
    write_ranking(&w, "seriesCountByLabelValuePair", &c.pairs);
    json_write_object_end(&w);
    call_json_end(call, &w);
}
