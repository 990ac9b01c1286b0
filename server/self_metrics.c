/*
 * self_metrics.c - GET /metrics: the server about itself, in Prometheus' text format.
 *
 * Where a number means the same as one of Prometheus', it has Prometheus' name, so
 * that existing dashboards and alerts work; everything else is etinde_*.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/ledger.h"
#include "base/log.h"
#include "base/number.h"
#include "query/result_cache.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "server/routes.h"
#include "storage/store.h"
#include "wire/exposition.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "version.h"

#define COUNTER "counter"
#define GAUGE   "gauge"

static void one(struct buffer *out, const char *name, const char *type, const char *help,
                double value)
{
    exposition_family(out, name, type, help);
    exposition_value(out, name, NULL, 0, value);
}

static void labelled(struct buffer *out, const char *name, const char *label, const char *text,
                     double value)
{
    struct label pair = {slice_from_text(label), slice_from_text(text)};
    exposition_value(out, name, &pair, 1, value);
}

static double number(uint64_t value)
{
    return (double)value;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static const char *const kind_names[STORE_KINDS] = {"metric", "log"};

/* ---- the store -------------------------------------------------------- */

static void append_appends(struct buffer *out, const struct store_stats *s)
{
    one(out, "prometheus_tsdb_head_samples_appended_total", COUNTER, "Samples stored.",
        number(s->samples_appended));
    one(out, "etinde_log_entries_appended_total", COUNTER, "Log entries stored.",
        number(s->entries_appended));
    one(out, "etinde_log_line_bytes_appended_total", COUNTER, "Bytes of log lines stored.",
        number(s->line_bytes_appended));
    one(out, "prometheus_tsdb_head_series", GAUGE, "Active metric series.",
        number(s->series[STORE_METRIC]));
    one(out, "prometheus_tsdb_head_series_created_total", COUNTER, "Metric series created.",
        number(s->series_created[STORE_METRIC]));
    one(out, "prometheus_tsdb_head_series_removed_total", COUNTER, "Metric series gone idle.",
        number(s->series_removed[STORE_METRIC]));
    one(out, "etinde_log_streams", GAUGE, "Active log streams.", number(s->series[STORE_LOG]));
    one(out, "etinde_log_streams_created_total", COUNTER, "Log streams created.",
        number(s->series_created[STORE_LOG]));
    one(out, "etinde_tenants", GAUGE, "Tenants that exist.", number(s->tenants));
    one(out, "etinde_batches_repeated_total", COUNTER,
        "Batches that a producer sent again and that were not stored twice.",
        number(s->batches_repeated));
    one(out, "prometheus_tsdb_exemplar_exemplars_in_storage", GAUGE, "Exemplars kept.",
        number(s->exemplars));
    one(out, "prometheus_tsdb_exemplar_exemplars_appended_total", COUNTER, "Exemplars stored.",
        number(s->exemplars_appended));
    one(out, "prometheus_tsdb_exemplar_out_of_order_exemplars_total", COUNTER,
        "Exemplars dropped for being older than the newest of their series.",
        number(s->exemplars_refused));
    one(out, "prometheus_tsdb_out_of_order_samples_total", COUNTER,
        "Samples refused for being older than the out-of-order window.",
        number(s->refused[STORE_METRIC][REFUSED_OUT_OF_ORDER]));
}

static void append_refusals(struct buffer *out, const struct store_stats *s)
{
    static const char *const reasons[REFUSED_REASONS] = {"duplicate", "out_of_order", "too_old",
                                                         "too_new"};
    const char *name = "etinde_store_refused_total";
    exposition_family(out, name, COUNTER, "Samples and entries refused by the store.");
    for (size_t kind = 0; kind < STORE_KINDS; kind++) {
        for (size_t reason = 0; reason < REFUSED_REASONS; reason++) {
            struct label pairs[] = {{SLICE("kind"), slice_from_text(kind_names[kind])},
                                    {SLICE("reason"), slice_from_text(reasons[reason])}};
            exposition_value(out, name, pairs, 2, number(s->refused[kind][reason]));
        }
    }
}

/* What the last start did, or does now. */
static void append_replay(struct buffer *out, const struct server *server)
{
    struct store_replay r;
    store_replay_report(server->store, &r);
    one(out, "etinde_ready", GAUGE, "0 while the log is being replayed after a start.",
        store_is_ready(server->store) ? 1 : 0);
    one(out, "prometheus_tsdb_data_replay_duration_seconds", GAUGE,
        "Time the log's replay took at the start.", (double)r.duration_ns / 1e9);
    one(out, "etinde_replay_bytes", GAUGE, "Bytes of the log replayed at the start.",
        number(r.bytes));
    one(out, "etinde_replay_log_bytes", GAUGE, "Bytes of the log found at the start.",
        number(r.bytes_all));
    one(out, "etinde_replay_samples", GAUGE, "Samples in what was replayed.", number(r.samples));
    one(out, "etinde_replay_entries", GAUGE, "Log entries in what was replayed.",
        number(r.entries));
    one(out, "etinde_replay_sealed", GAUGE, "Of both, what was in partitions already.",
        number(r.skipped));
    one(out, "etinde_replay_torn_bytes", GAUGE, "Bytes cut off at damaged or torn places.",
        number(r.torn_bytes));
}

static void append_store(struct buffer *out, const struct server *server,
                         const struct store_stats *s)
{
    struct error err = {0};
    one(out, "etinde_store_writable", GAUGE, "1 while the store takes writes.",
        store_writable(server->store, &err) ? 1 : 0);
    one(out, "etinde_acked_durability", GAUGE,
        "1: a write is acknowledged after its sync to disk; 0: after its write to the page cache.",
        server->options->ack == OPTION_ACK_DURABLE ? 1 : 0);
    one(out, "prometheus_tsdb_head_chunks", GAUGE, "Chunks in memory.", number(s->head_chunks));
    one(out, "etinde_head_memory_bytes", GAUGE, "Memory of data that is not sealed.",
        number(s->head_memory_bytes));
    one(out, "etinde_index_memory_bytes", GAUGE, "Memory of the series index.",
        number(s->index_memory_bytes));
    one(out, "prometheus_tsdb_head_min_time_seconds", GAUGE, "Oldest sample in the head.",
        (double)s->oldest_ns / 1e9);
    one(out, "prometheus_tsdb_head_max_time_seconds", GAUGE, "Newest sample in the head.",
        (double)s->newest_ns / 1e9);
    one(out, "etinde_wal_records_total", COUNTER, "Records written to the log.",
        number(s->wal_records));
    one(out, "etinde_wal_written_bytes_total", COUNTER, "Bytes written to the log.",
        number(s->wal_bytes_written));
    one(out, "etinde_wal_segments", GAUGE, "Files of the log.", number(s->wal_segments));
    one(out, "etinde_wal_bytes", GAUGE, "Size of the log.", number(s->wal_bytes));
    exposition_family(out, "prometheus_tsdb_wal_fsync_duration_seconds", "summary",
                      "Time of the log's syncs.");
    exposition_value(out, "prometheus_tsdb_wal_fsync_duration_seconds_sum", NULL, 0,
                     seconds(s->wal_sync_ns_total));
    exposition_value(out, "prometheus_tsdb_wal_fsync_duration_seconds_count", NULL, 0,
                     number(s->wal_syncs));
    one(out, "etinde_wal_sync_seconds_max", GAUGE, "The slowest sync of the log so far.",
        seconds(s->wal_sync_ns_max));
    one(out, "etinde_seals_total", COUNTER, "Times that chunks were moved into partitions.",
        number(s->seals));
    one(out, "etinde_seal_failures_total", COUNTER, "Seals that failed.", number(s->seal_failures));
    one(out, "etinde_chunks_sealed_total", COUNTER, "Chunks moved into partitions.",
        number(s->chunks_sealed));
    one(out, "etinde_seal_seconds_total", COUNTER, "Time spent sealing.",
        seconds(s->seal_ns_total));
    one(out, "prometheus_tsdb_blocks_loaded", GAUGE, "Partitions on disk.", number(s->partitions));
    one(out, "prometheus_tsdb_storage_blocks_bytes", GAUGE, "Size of the partitions.",
        number(s->partition_bytes));
    one(out, "etinde_partitions_deleted_total", COUNTER, "Partitions deleted by retention.",
        number(s->partitions_deleted));
    one(out, "etinde_deletes_waiting", GAUGE, "Deletes that are not in the files yet.",
        number(s->tombstones));
    one(out, "etinde_deletes_waiting_bytes", GAUGE, "Size of the deletes that wait.",
        number(s->tombstone_bytes));
    one(out, "etinde_retention_held", GAUGE,
        "1: the clock has jumped by more than a day, nothing is deleted by age.",
        store_retention_held(server->store) ? 1 : 0);
    one(out, "etinde_retention_seconds", GAUGE, "How long data is kept; 0 keeps everything.",
        (double)server->options->retention_ns / 1e9);
}

/* ---- pushes, queries, HTTP -------------------------------------------- */

static void append_pushes(struct buffer *out, const struct counters *c)
{
    static const char *const reasons[INGEST_REFUSALS] = {
        "bad_body", "bad_series", "series_limit", "bad_entry", "not_supported", "bad_exemplar"};
    exposition_family(out, "etinde_push_requests_total", COUNTER, "Pushes received.");
    for (size_t k = 0; k < STORE_KINDS; k++)
        labelled(out, "etinde_push_requests_total", "kind", kind_names[k],
                 number(count_get(&c->push_requests[k])));
    exposition_family(out, "etinde_push_bytes_total", COUNTER, "Bytes of pushes, as sent.");
    for (size_t k = 0; k < STORE_KINDS; k++)
        labelled(out, "etinde_push_bytes_total", "kind", kind_names[k],
                 number(count_get(&c->push_bytes[k])));
    exposition_family(out, "etinde_push_decoded_bytes_total", COUNTER,
                      "Bytes of pushes after decompression.");
    for (size_t k = 0; k < STORE_KINDS; k++)
        labelled(out, "etinde_push_decoded_bytes_total", "kind", kind_names[k],
                 number(count_get(&c->push_decoded_bytes[k])));
    exposition_family(out, "etinde_push_refused_total", COUNTER,
                      "Parts of pushes that were refused before the store.");
    for (size_t k = 0; k < STORE_KINDS; k++) {
        for (size_t r = 0; r < INGEST_REFUSALS; r++) {
            struct label pairs[] = {{SLICE("kind"), slice_from_text(kind_names[k])},
                                    {SLICE("reason"), slice_from_text(reasons[r])}};
            exposition_value(out, "etinde_push_refused_total", pairs, 2,
                             number(count_get(&c->refused[k][r])));
        }
    }
    one(out, "prometheus_api_remote_write_invalid_labels_samples_total", COUNTER,
        "Series left out of remote-write requests for their labels.",
        number(count_get(&c->refused[STORE_METRIC][INGEST_BAD_SERIES])));
}

static void append_queries(struct buffer *out, const struct server *server)
{
    static const char *const languages[2] = {"promql", "logql"};
    const struct counters *c = &server->counters;
    exposition_family(out, "etinde_queries_total", COUNTER, "Queries run.");
    for (size_t i = 0; i < 2; i++)
        labelled(out, "etinde_queries_total", "language", languages[i],
                 number(count_get(&c->queries[i])));
    exposition_family(out, "etinde_queries_failed_total", COUNTER, "Queries that failed.");
    for (size_t i = 0; i < 2; i++)
        labelled(out, "etinde_queries_failed_total", "language", languages[i],
                 number(count_get(&c->queries_failed[i])));
    exposition_family(out, "etinde_query_seconds_total", COUNTER, "Time spent in queries.");
    for (size_t i = 0; i < 2; i++)
        labelled(out, "etinde_query_seconds_total", "language", languages[i],
                 seconds(count_get(&c->query_ns[i])));
    one(out, "prometheus_engine_queries", GAUGE, "Queries that run or wait.",
        number(count_get(&c->queries_running) + count_get(&c->queries_waiting)));
    one(out, "prometheus_engine_queries_concurrent_max", GAUGE, "Queries that may run at once.",
        number(server->options->query_concurrency));
    one(out, "prometheus_engine_query_samples_total", COUNTER, "Samples read by queries.",
        number(count_get(&c->query_samples)));
    one(out, "etinde_query_lines_total", COUNTER, "Log lines read by queries.",
        number(count_get(&c->query_lines)));
    one(out, "etinde_query_line_bytes_total", COUNTER, "Bytes of log lines read by queries.",
        number(count_get(&c->query_line_bytes)));
    if (server->results) {
        static const char *const outcomes[] = {"hit", "partial", "miss", "skipped"};
        struct result_cache_stats cache;
        result_cache_stats_read(server->results, &cache);
        uint64_t counts[] = {cache.hits, cache.partial, cache.misses, cache.skipped};
        exposition_family(out, "etinde_query_cache_total", COUNTER,
                          "Range queries by what the cache of results had of them.");
        for (size_t i = 0; i < COUNT_OF(outcomes); i++)
            labelled(out, "etinde_query_cache_total", "outcome", outcomes[i], number(counts[i]));
        one(out, "etinde_query_cache_bytes", GAUGE, "Memory of the cache of results.",
            number(cache.bytes));
        one(out, "etinde_query_cache_entries", GAUGE, "Results that are kept.",
            number(cache.entries));
    }
    one(out, "etinde_queries_rejected_total", COUNTER,
        "Queries refused because the queue was full.", number(count_get(&c->queries_rejected)));
}

static struct slice handler_name(size_t route)
{
    size_t count;
    const struct route *routes = routes_all(&count);
    return route < count ? slice_from_text(routes[route].path) : SLICE("unknown");
}

static void append_statuses(struct buffer *out, const struct counters *c, size_t routes)
{
    const char *name = "prometheus_http_requests_total";
    exposition_family(out, name, COUNTER, "Requests by handler and status.");
    for (size_t i = 0; i <= routes; i++) {
        for (size_t slot = 0; slot < STATUS_SLOTS; slot++) {
            uint64_t count = count_get(&c->routes[i].by_status[slot]);
            char text[16] = "other";
            if (count == 0)
                continue;
            if (counters_status(slot) != 0)
                snprintf(text, sizeof(text), "%d", counters_status(slot));
            struct label pairs[] = {{SLICE("code"), slice_from_text(text)},
                                    {SLICE("handler"), handler_name(i)}};
            exposition_value(out, name, pairs, 2, number(count));
        }
    }
}

static void append_durations(struct buffer *out, const struct counters *c, size_t routes)
{
    const char *name = "prometheus_http_request_duration_seconds";
    exposition_family(out, name, "histogram", "Time of requests by handler.");
    for (size_t i = 0; i <= routes; i++) {
        const struct route_counters *r = &c->routes[i];
        uint64_t sum = 0;
        struct label pairs[] = {{SLICE("handler"), handler_name(i)}, {SLICE("le"), SLICE("+Inf")}};
        for (size_t b = 0; b <= DURATION_BUCKETS; b++)
            sum += count_get(&r->duration_buckets[b]);
        if (sum == 0)
            continue;
        uint64_t below = 0;
        for (size_t b = 0; b < DURATION_BUCKETS; b++) {
            char text[DOUBLE_TEXT_MAX];
            below += count_get(&r->duration_buckets[b]);
            pairs[1].value = slice_of(text, double_format(text, counters_duration_bound(b), 'f'));
            exposition_value(out, "prometheus_http_request_duration_seconds_bucket", pairs, 2,
                             number(below));
        }
        pairs[1].value = SLICE("+Inf");
        exposition_value(out, "prometheus_http_request_duration_seconds_bucket", pairs, 2,
                         number(sum));
        exposition_value(out, "prometheus_http_request_duration_seconds_sum", pairs, 1,
                         seconds(count_get(&r->duration_ns)));
        exposition_value(out, "prometheus_http_request_duration_seconds_count", pairs, 1,
                         number(sum));
    }
}

static void append_http(struct buffer *out, const struct server *server)
{
    struct http_stats http;
    size_t routes;
    routes_all(&routes);
    http_server_stats(server->http, &http);
    append_statuses(out, &server->counters, routes);
    append_durations(out, &server->counters, routes);
    one(out, "etinde_http_connections", GAUGE, "Open connections.", number(http.connections));
    one(out, "etinde_http_requests_active", GAUGE, "Requests being answered.",
        number(http.requests_active));
    one(out, "etinde_http_requests_waiting", GAUGE, "Requests that wait for a commit or a query.",
        number(http.requests_suspended));
    one(out, "etinde_http_body_bytes", GAUGE, "Request bodies held in memory.",
        number(http.body_bytes));
    one(out, "etinde_http_slow_clients_total", COUNTER, "Clients cut off for being slow.",
        number(http.clients_cut));
    one(out, "etinde_http_hangups_total", COUNTER, "Clients that left while a query ran.",
        number(http.hangups));
}

/* ---- the process ------------------------------------------------------ */

static double open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = 0;
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* ".", ".." and the directory itself */
}

static void append_memory(struct buffer *out)
{
    const char *name = "etinde_memory_bytes";
    exposition_family(out, name, GAUGE, "Memory by what it is for, as counted.");
    for (int part = 0; part < LEDGER_PARTS; part++)
        labelled(out, name, "component", ledger_part_name((enum ledger_part)part),
                 number(ledger_used((enum ledger_part)part)));
    one(out, "etinde_memory_counted_bytes", GAUGE, "The sum of etinde_memory_bytes.",
        number(ledger_total()));
    one(out, "etinde_memory_anonymous_bytes", GAUGE, "Anonymous memory, as the system counts it.",
        number(ledger_anonymous()));
    one(out, "etinde_memory_budget_bytes", GAUGE, "The budget of memory: the setting `memory`.",
        number(ledger_limit()));
    one(out, "etinde_memory_pressure", GAUGE,
        "0: enough memory; 1: sealing early, caches dropped; 2: writes and queries get 503.",
        (double)ledger_pressure());
}

static void append_process(struct buffer *out, const struct server *server)
{
    struct rlimit limit = {0};
    unsigned long pages = 0, resident = 0;
    AUTO(buffer_done) struct buffer statm;
    buffer_init(&statm, 4096);
    if (file_load("/proc/self/statm", &statm, NULL)) {
        char *end = NULL;
        buffer_append_byte(&statm, '\0');
        pages = strtoul(statm.data, &end, 10);
        resident = strtoul(end, NULL, 10);
    }
    double page = (double)sysconf(_SC_PAGESIZE);
    getrlimit(RLIMIT_NOFILE, &limit);
    one(out, "process_cpu_seconds_total", COUNTER, "User and system CPU time.",
        (double)clock_cpu_ns() / 1e9);
    one(out, "process_resident_memory_bytes", GAUGE, "Resident memory.", (double)resident * page);
    one(out, "process_virtual_memory_bytes", GAUGE, "Virtual memory.", (double)pages * page);
    one(out, "process_open_fds", GAUGE, "Open file descriptors.", open_descriptors());
    one(out, "process_max_fds", GAUGE, "Most file descriptors that may be open.",
        (double)limit.rlim_cur);
    one(out, "process_start_time_seconds", GAUGE, "Start, in seconds since the epoch.",
        (double)server->started_ns / 1e9);
}

void status_metrics(struct call *call)
{
    struct buffer *out = call_body(call);
    struct store_stats stats;
    store_stats_read(call->server->store, &stats);
    struct label build[] = {{SLICE("revision"), SLICE(ETINDE_COMMIT)},
                            {SLICE("version"), SLICE(ETINDE_VERSION)}};
    exposition_family(out, "etinde_build_info", GAUGE, "Version and commit; always 1.");
    exposition_value(out, "etinde_build_info", build, COUNT_OF(build), 1);
    append_appends(out, &stats);
    append_refusals(out, &stats);
    append_store(out, call->server, &stats);
    append_replay(out, call->server);
    append_pushes(out, &call->server->counters);
    append_queries(out, call->server);
    append_http(out, call->server);
    append_memory(out);
    append_process(out, call->server);
    call->request->response.status = 200;
    call->request->response.content_type = EXPOSITION_CONTENT_TYPE;
}
