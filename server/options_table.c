/*
 * options_table.c - every setting of the server: name, type, default, range, meaning.
 *
 * A setting is added here and in struct options, and described in
 * docs/config.md (a test compares).
 */
#include "server/options.h"

#include "base/duration.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct options, name)
#define MIB         ((int64_t)1 << 20)
#define GIB         ((int64_t)1 << 30)
#define YEAR        (365 * NS_PER_DAY)

static const char *const acks[] = {"durable", "process", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

static const struct config_key keys[] = {
    {"data", CONFIG_TEXT, FIELD(data), NULL, 0, 0, NULL,
     "Directory that holds all data; it is created when it is missing."},
    {"listen", CONFIG_TEXT, FIELD(listen), "127.0.0.1:9201", 0, 0, NULL,
     "Address to listen on: host:port, [v6]:port or :port; port 0 takes any free one."},
    {"ack", CONFIG_CHOICE, FIELD(ack), "durable", 0, 0, acks,
     "When a write is acknowledged: durable (after fdatasync, survives a power loss) or process "
     "(after write, survives kill -9)."},
    {"retention", CONFIG_DURATION, FIELD(retention_ns), "15d", 0, 0, NULL,
     "How long data is kept; 0 keeps everything."},
    {"retention_size", CONFIG_SIZE, FIELD(retention_size), "0", 0, 0, NULL,
     "Disk space of all sealed days together; over it the oldest days are deleted, never today's. "
     "0 "
     "sets no limit."},
    {"retention_stream", CONFIG_TREE, FIELD(retention_stream), "", 0, 0, NULL,
     "Retention of series by selector, for all tenants: a list of rules with selector, priority, "
     "period and kind. See below."},
    {"tenants", CONFIG_TREE, FIELD(tenants), "", 0, 0, NULL,
     "What single tenants have of their own: retention, metrics.out_of_order, logs.out_of_order, "
     "retention_stream. See below."},
    {"memory", CONFIG_SIZE, FIELD(memory), "0", 0, 0, NULL,
     "Memory of the whole process: data that is not sealed, the index, requests, queries, caches. "
     "When it gets short, data is sealed earlier and caches are dropped, then writes and queries "
     "get 503. 0 takes a quarter of what the machine, the control group or ulimit allows; at "
     "least 32MiB."},
    {"log.level", CONFIG_CHOICE, FIELD(log_level), "info", 0, 0, levels,
     "The least severe messages that the server's own log shows."},

    {"web.enable_admin_api", CONFIG_BOOL, FIELD(web_enable_admin_api), "false", 0, 0, NULL,
     "Offer the requests under /api/v1/admin/ (snapshots, deletes) and /loki/api/v1/delete."},

    {"http.connections", CONFIG_COUNT, FIELD(http_connections), "512", 4, 100000, NULL,
     "Connections served at once."},
    {"http.threads", CONFIG_COUNT, FIELD(http_threads), "0", 0, 256, NULL,
     "Threads that serve HTTP; 0 takes one per core."},
    {"http.idle_timeout", CONFIG_DURATION, FIELD(http_idle_timeout_ns), "2m", NS_PER_SECOND,
     NS_PER_DAY, NULL, "A connection that is silent for so long is closed."},
    {"http.body_size", CONFIG_SIZE, FIELD(http_body_size), "32MiB", 1024, GIB, NULL,
     "Largest body of a push, as sent and after decompression; more is answered with 413."},
    {"http.bodies_memory", CONFIG_SIZE, FIELD(http_bodies_memory), "256MiB", 64 * 1024, 0, NULL,
     "Memory for the bodies of all requests together; over it requests get 503."},
    {"http.answer_size", CONFIG_SIZE, FIELD(http_answer_size), "1GiB", 1024, 0, NULL,
     "Largest answer of a query."},

    {"metrics.out_of_order", CONFIG_DURATION, FIELD(metrics_out_of_order_ns), "30m", 0, YEAR, NULL,
     "How much older than the newest sample of its series a sample may be."},
    {"metrics.labels", CONFIG_COUNT, FIELD(metrics_labels), "128", 1, 1024, NULL,
     "Labels of one metric series at most."},
    {"metrics.label_name_size", CONFIG_SIZE, FIELD(metrics_name_size), "1024", 1, MIB, NULL,
     "Longest label name of a metric series in bytes."},
    {"metrics.label_value_size", CONFIG_SIZE, FIELD(metrics_value_size), "8KiB", 1, MIB, NULL,
     "Longest label value of a metric series in bytes."},
    {"metrics.exemplars", CONFIG_COUNT, FIELD(metrics_exemplars), "10000", 0, 1000000, NULL,
     "Exemplars that are kept of one tenant, the newest; 0 keeps none."},
    {"ingest.future", CONFIG_DURATION, FIELD(future_ns), "10m", 0, YEAR, NULL,
     "How far ahead of the server's clock a sample or an entry may be."},

    {"logs.reject_old", CONFIG_BOOL, FIELD(logs_reject_old), "true", 0, 0, NULL,
     "Whether entries older than logs.max_age, or too far behind their stream, are refused."},
    {"logs.max_age", CONFIG_DURATION, FIELD(logs_max_age_ns), "7d", NS_PER_MINUTE, 100 * YEAR, NULL,
     "Entries older than this are refused."},
    {"logs.out_of_order", CONFIG_DURATION, FIELD(logs_out_of_order_ns), "1h", 0, YEAR, NULL,
     "How much older than the newest entry of its stream an entry may be."},
    {"logs.discover_service_name", CONFIG_BOOL, FIELD(logs_discover_service_name), "true", 0, 0,
     NULL, "Add the label service_name to streams that lack it."},
    {"logs.discover_log_levels", CONFIG_BOOL, FIELD(logs_discover_log_levels), "true", 0, 0, NULL,
     "Add detected_level to the structured metadata of every entry."},
    {"logs.skip_index", CONFIG_BOOL, FIELD(logs_skip_index), "true", 0, 0, NULL,
     "Write filters beside the lines that let searches skip blocks, and use them."},
    {"logs.line_size", CONFIG_SIZE, FIELD(logs_line_size), "256KiB", 1, 16 * MIB, NULL,
     "Longest line in bytes."},
    {"logs.labels", CONFIG_COUNT, FIELD(logs_labels), "15", 1, 1024, NULL,
     "Labels of one stream at most, service_name not counted when it was discovered."},
    {"logs.label_name_size", CONFIG_SIZE, FIELD(logs_name_size), "1024", 1, MIB, NULL,
     "Longest label name of a stream in bytes."},
    {"logs.label_value_size", CONFIG_SIZE, FIELD(logs_value_size), "2048", 1, MIB, NULL,
     "Longest label value of a stream in bytes."},
    {"logs.metadata_size", CONFIG_SIZE, FIELD(logs_metadata_size), "64KiB", 0, 16 * MIB, NULL,
     "Structured metadata of one entry in bytes, names and values together."},
    {"logs.rate", CONFIG_SIZE, FIELD(logs_rate), "0", 0, GIB, NULL,
     "Bytes of lines and structured metadata that a tenant may push in a second; a request above "
     "it gets 429 and stores nothing. 0 sets no limit."},
    {"logs.rate_burst", CONFIG_SIZE, FIELD(logs_rate_burst), "6MiB", 1024, 64 * GIB, NULL,
     "What a tenant may push at once within logs.rate; also the largest request of a tenant."},
    {"logs.metadata_count", CONFIG_COUNT, FIELD(logs_metadata_count), "128", 0, 1000, NULL,
     "Pairs of structured metadata of one entry."},

    {"storage.wal_segment", CONFIG_SIZE, FIELD(wal_segment_size), "64MiB", 64 * 1024, GIB, NULL,
     "Size at which a file of the write-ahead log is followed by the next."},
    {"storage.wal_size", CONFIG_SIZE, FIELD(wal_size_max), "1GiB", MIB, 0, NULL,
     "Above it, the data that holds the oldest file of the write-ahead log is sealed early."},
    {"storage.wal_compression", CONFIG_BOOL, FIELD(wal_compression), "true", 0, 0, NULL,
     "Write large batches of log lines to the write-ahead log compressed: a third of the bytes for "
     "about 0.7 s of CPU per GB."},
    {"storage.head_memory", CONFIG_SIZE, FIELD(head_memory), "0", 0, 0, NULL,
     "Memory for data that is not sealed yet; above it writes get 503. 0, and every larger size, "
     "takes half of `memory`."},
    {"storage.log_text", CONFIG_SIZE, FIELD(log_text), "32MiB", MIB, 0, NULL,
     "Log lines in memory that are not sealed yet, of all streams together; above it they are "
     "sealed at once, and pushes wait for that. An eighth of `memory` at most."},
    {"storage.series_idle", CONFIG_DURATION, FIELD(series_idle_ns), "35m", NS_PER_SECOND,
     NS_PER_DAY, NULL, "A series that gets nothing for so long is sealed and leaves memory."},
    {"storage.seal_interval", CONFIG_DURATION, FIELD(seal_interval_ns), "15s", NS_PER_SECOND,
     NS_PER_DAY, NULL, "How often the sealer looks for chunks to move into partitions."},
    {"storage.series", CONFIG_COUNT, FIELD(series_max), "5000000", 1, UINT32_MAX, NULL,
     "Active series per tenant and kind; new ones above it get 429."},
    {"storage.tenants", CONFIG_COUNT, FIELD(tenants_max), "1000", 1, 1000000, NULL,
     "Tenants that writing may create."},
    {"storage.repair", CONFIG_BOOL, FIELD(repair), "false", 0, 0, NULL,
     "At the start, cut the log at damaged records and set damaged days aside: what they held is "
     "gone, the rest can be used."},
    {"storage.allow_remote_fs", CONFIG_BOOL, FIELD(allow_remote_fs), "false", 0, 0, NULL,
     "Start on NFS, SMB or 9p although data can be lost there."},

    {"query.concurrency", CONFIG_COUNT, FIELD(query_concurrency), "20", 1, 256, NULL,
     "Queries that run at once."},
    {"query.threads", CONFIG_COUNT, FIELD(query_threads), "0", 0, 64, NULL,
     "Threads that may work on one query, its own included; 0: one per core."},
    {"query.queue", CONFIG_COUNT, FIELD(query_queue), "200", 1, 100000, NULL,
     "Queries that wait for their turn; more get 503."},
    {"query.timeout", CONFIG_DURATION, FIELD(query_timeout_ns), "2m", NS_PER_MS, NS_PER_DAY, NULL,
     "A query that runs longer is ended."},
    {"query.lookback", CONFIG_DURATION, FIELD(query_lookback_ns), "5m", NS_PER_MS, 30 * NS_PER_DAY,
     NULL, "How old the last sample of a series may be to count as its value in PromQL."},
    {"query.samples", CONFIG_COUNT, FIELD(query_samples), "50000000", 1, 0, NULL,
     "Samples that one query may hold in memory."},
    {"query.series", CONFIG_COUNT, FIELD(query_series), "500000", 1, 0, NULL,
     "Series that one selector may match."},
    {"query.points", CONFIG_COUNT, FIELD(query_points), "11000", 1, 10000000, NULL,
     "Points per series of a range query."},
    {"query.memory", CONFIG_SIZE, FIELD(query_memory), "512MiB", MIB, 0, NULL,
     "Memory of one query."},
    {"query.cache_memory", CONFIG_SIZE, FIELD(query_cache_memory), "32MiB", 0, 0, NULL,
     "Memory for results of range queries that are asked again; 0: none are kept."},
    {"query.text_size", CONFIG_SIZE, FIELD(query_text_size), "1MiB", 64, 8 * MIB, NULL,
     "Longest PromQL query in bytes; LogQL queries have at most 128 KiB."},
    {"query.log_entries", CONFIG_COUNT, FIELD(query_log_entries), "5000", 1, 10000000, NULL,
     "Highest limit that a log query may ask for."},
    {"query.log_series", CONFIG_COUNT, FIELD(query_log_series), "500", 1, 10000000, NULL,
     "Series that the answer of a LogQL metric query may have."},
    {"query.features", CONFIG_TEXT, FIELD(query_features), "", 0, 0, NULL,
     "Experimental parts of PromQL to allow, by Prometheus' names, comma-separated."},
};

const struct config_table options_table = {keys, COUNT_OF(keys)};
