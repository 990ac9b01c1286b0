/*
 * api.h - the handlers of all endpoints, as the route table names them.
 *
 * Each fills the response of its call.  Pooled ones run on a query thread and
 * may take their time; the others answer at once, or suspend their request.
 */
#ifndef SERVER_API_H
#define SERVER_API_H

#include <stdbool.h>

struct call;
struct http_request;

/* start_page.c */
void page_start(struct call *call);

/* status.c */
void status_ready(struct call *call);
void status_ready_prometheus(struct call *call);
void status_healthy(struct call *call);
void status_state(struct call *call);

/* self_metrics.c */
void status_metrics(struct call *call);

/* ingest_metrics.c, ingest_logs.c */
bool push_metrics_check(struct http_request *request);
void push_metrics(struct call *call);
bool push_logs_check(struct http_request *request);
void push_logs(struct call *call);

/* prometheus_query.c */
void prometheus_query(struct call *call);
void prometheus_query_range(struct call *call);
void prometheus_exemplars(struct call *call);
void prometheus_memory(struct call *call);
void prometheus_format_query(struct call *call);
void prometheus_parse_query(struct call *call);
void prometheus_explain(struct call *call);
void prometheus_federate(struct call *call);

/* prometheus_names.c */
void prometheus_labels(struct call *call);
void prometheus_label_values(struct call *call);
void prometheus_series(struct call *call);
void prometheus_metadata(struct call *call);

/* prometheus_status.c */
void prometheus_rules(struct call *call);
void prometheus_alerts(struct call *call);
void prometheus_targets(struct call *call);
void prometheus_alertmanagers(struct call *call);
void prometheus_buildinfo(struct call *call);
void prometheus_runtimeinfo(struct call *call);
void prometheus_flags(struct call *call);
void prometheus_config(struct call *call);
void prometheus_tsdb(struct call *call);

/* prometheus_admin.c */
void prometheus_snapshot(struct call *call);
void prometheus_delete_series(struct call *call);
void prometheus_clean_tombstones(struct call *call);
void admin_confirm_clock(struct call *call);

/* loki_query.c */
void loki_query(struct call *call);
void loki_query_range(struct call *call);
void loki_legacy_query(struct call *call);
void loki_format_query(struct call *call);
void loki_index_stats(struct call *call);

/* loki_volume.c */
void loki_volume(struct call *call);
void loki_volume_range(struct call *call);

/* loki_fields.c */
void loki_detected_fields(struct call *call);
void loki_detected_field_values(struct call *call);

/* loki_delete.c */
void loki_delete(struct call *call);

/* loki_tail.c */
void loki_tail(struct call *call);

/* loki_patterns.c */
void loki_patterns(struct call *call);

/* loki_drilldown.c */
void loki_detected_labels(struct call *call);
void loki_drilldown_limits(struct call *call);
void loki_config(struct call *call);

/* loki_names.c */
void loki_labels(struct call *call);
void loki_label_values(struct call *call);
void loki_series(struct call *call);
void loki_legacy_labels(struct call *call);
void loki_legacy_label_values(struct call *call);
void loki_buildinfo(struct call *call);

#endif
