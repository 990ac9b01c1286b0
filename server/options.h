/*
 * options.h - what the server can be told, by its configuration file and its flags.
 *
 * One table (options_table) lists every setting: it reads the file and the
 * flags, and docs/config.md and --help are checked against it.  Flags override
 * the file, the file overrides the defaults.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "base/compiler.h"
#include "net/config.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct error;
struct overrides;
struct query_limits;
struct store_options;

enum option_ack { OPTION_ACK_DURABLE, OPTION_ACK_PROCESS };

/* Sizes and counts are uint64_t, durations int64_t nanoseconds: the config reader's types. */
struct options {
    char *data, *listen;
    int ack;              /* enum option_ack */
    int64_t retention_ns; /* 0: keep everything */
    uint64_t retention_size;
    char *retention_stream, *tenants; /* JSON, see overrides.h */
    uint64_t memory;                  /* 0: a quarter; see options_memory() */
    int log_level;

    uint64_t http_connections, http_body_size, http_bodies_memory, http_answer_size;
    int64_t http_idle_timeout_ns;
    uint64_t http_threads; /* 0: one per core */

    int64_t metrics_out_of_order_ns, logs_out_of_order_ns, future_ns, logs_max_age_ns;
    uint64_t metrics_labels, metrics_name_size, metrics_value_size, metrics_exemplars;
    bool logs_reject_old, logs_discover_service_name, logs_discover_log_levels;
    bool logs_skip_index;
    uint64_t logs_line_size, logs_labels, logs_name_size, logs_value_size;
    uint64_t logs_metadata_size, logs_metadata_count;
    uint64_t logs_rate, logs_rate_burst;

    uint64_t wal_segment_size, wal_size_max, head_memory, log_text, series_max, tenants_max;
    int64_t seal_interval_ns, series_idle_ns;
    bool wal_compression;
    bool allow_remote_fs, repair;

    uint64_t query_concurrency, query_threads, query_cache_memory, query_queue, query_samples,
        query_series, query_memory;
    uint64_t query_points, query_text_size, query_log_entries, query_log_series;
    int64_t query_timeout_ns, query_lookback_ns;
    bool web_enable_admin_api;
    char *query_features; /* Prometheus' feature names, comma-separated */

    /* Flags that are no settings. */
    char *config_path;
    bool check_config, show_version, show_help;
    bool retention_given;        /* by file or flag */
    struct overrides *overrides; /* from retention_stream and tenants */
    unsigned feature_bits;       /* enum query_features, from query_features */
};

extern const struct config_table options_table;

/*
 * Defaults, then the file that --config names, then the flags.  Fails with
 * ERR_INVALID and what is wrong.  options_done() frees it in either case.
 */
bool options_read(struct options *options, int argc, char **argv, struct error *err) MUST_CHECK;
void options_done(struct options *options);

/* Only the defaults: for tests. */
void options_preset(struct options *options);

/* Every flag with its meaning. */
void options_append_help(struct buffer *out);

/* Every setting with its current value, as YAML: /api/v1/status/config. */
void options_append_yaml(struct buffer *out, const struct options *options);

/* The value of one setting as text: for status/flags. */
void options_append_value(struct buffer *out, const struct options *options,
                          const struct config_key *key);

/* The budget of memory; and what a part of it with its own `setting` may take at most. */
uint64_t options_memory(const struct options *options);
uint64_t options_memory_share(const struct options *options, uint64_t setting, unsigned divisor);

/* What the other parts are told. */
void options_for_store(const struct options *options, struct store_options *out);
void options_for_query(const struct options *options, struct query_limits *out);

#endif
