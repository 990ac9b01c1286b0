/*
 * loki_drilldown.c - what Grafana's Logs Drilldown asks about the data and about the server.
 *
 * detected_labels: the stream labels worth a tab of their own.  As in Loki,
 * labels whose values are all numbers or all UUIDs are taken for ids and left
 * out, but for the few that name a place in a cluster.
 * drilldown-limits: this server's limits by Loki's names; /config: all settings.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "base/number.h"
#include "server/api.h"
#include "server/log_level.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct slice text)
{
    if (text.size != 36)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : !is_hex(text.data[i]))
            return false;
    }
    return true;
}

static bool is_id(struct slice text)
{
    double number;
    return is_uuid(text) || slice_parse_double(text, false, &number);
}

static bool worth_a_tab(struct slice label, const struct name_list *values)
{
    static const struct slice kept[] = {SLICE("cluster"), SLICE("namespace"), SLICE("instance"),
                                        SLICE("pod")};
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (slice_equal(label, kept[i]))
            return values->count > 0;
    for (size_t i = 0; i < values->count; i++)
        if (!is_id(values->items[i]))
            return true;
    return false;
}

static bool write_labels(struct call *call, const struct selectors *selectors,
                         const int64_t range_ns[2], struct json_writer *w, struct error *err)
{
    struct name_list names, values;
    if (!names_read(call, QUERY_LOGQL, selectors, SLICE(""), range_ns, 0, &names, err))
        return false;
    for (size_t i = 0; i < names.count; i++) {
        struct arena_mark mark = arena_mark(call->arena);
        if (!names_read(call, QUERY_LOGQL, selectors, names.items[i], range_ns, 0, &values, err))
            return false;
        if (worth_a_tab(names.items[i], &values)) {
            json_write_object_begin(w);
            json_write_key(w, SLICE("label"));
            json_write_string(w, names.items[i]);
            json_write_key(w, SLICE("cardinality"));
            json_write_u64(w, values.count);
            json_write_object_end(w);
        }
        arena_rewind(call->arena, mark);
    }
    return true;
}

void loki_detected_labels(struct call *call)
{
    struct error err = {0};
    struct selectors selectors = {0};
    int64_t range_ns[2];
    struct json_writer w;
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("detectedLabels"));
    json_write_array_begin(&w);
    bool ok = form_range_loki(&call->form, call->now_ns, range_ns, &err) &&
              selectors_read(call, QUERY_LOGQL, "query", &selectors, &err) &&
              write_labels(call, &selectors, range_ns, &w, &err);
    selectors_done(&selectors);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_answer_json(call);
}

/* ---- about the server ----------------------------------------------------- */

static void write_number(struct json_writer *w, const char *key, uint64_t value)
{
    json_write_key(w, slice_from_text(key));
    json_write_u64(w, value);
}

static void write_flag(struct json_writer *w, const char *key, bool value)
{
    json_write_key(w, slice_from_text(key));
    json_write_bool(w, value);
}

static void write_duration(struct json_writer *w, const char *key, int64_t ns)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64);
    buffer_append_duration_prometheus(&text, ns);
    json_write_key(w, slice_from_text(key));
    json_write_string(w, buffer_slice(&text));
}

static void write_texts(struct json_writer *w, const char *key, const struct slice *texts,
                        size_t count)
{
    json_write_key(w, slice_from_text(key));
    json_write_array_begin(w);
    for (size_t i = 0; i < count; i++)
        json_write_string(w, texts[i]);
    json_write_array_end(w);
}

static void write_limits(struct json_writer *w, const struct options *o)
{
    size_t sources, fields;
    const struct slice *source_names = log_service_labels(&sources);
    const struct slice *field_names = log_level_fields(&fields);
    json_write_object_begin(w);
    write_flag(w, "discover_log_levels", o->logs_discover_log_levels);
    write_texts(w, "discover_service_name", source_names,
                o->logs_discover_service_name ? sources : 0);
    write_texts(w, "log_level_fields", field_names, fields);
    write_number(w, "max_entries_limit_per_query", o->query_log_entries);
    write_number(w, "max_line_size", o->logs_line_size);
    write_number(w, "max_query_series", o->query_log_series);
    write_duration(w, "max_query_length", 0);
    write_duration(w, "max_query_range", 0);
    write_duration(w, "query_timeout", o->query_timeout_ns);
    write_duration(w, "retention_period", o->retention_ns);
    write_flag(w, "volume_enabled", true);
    write_flag(w, "metric_aggregation_enabled", false);
    write_flag(w, "pattern_persistence_enabled", false);
    json_write_object_end(w);
}

/* Bare, without the envelope, as Loki does it. */
void loki_drilldown_limits(struct call *call)
{
    struct json_writer w;
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("limits"));
    write_limits(&w, call->server->options);
    write_flag(&w, "pattern_ingester_enabled", true);
    json_write_key(&w, SLICE("version"));
    json_write_string(&w, SLICE(LOKI_API_VERSION));
    json_write_object_end(&w);
    call_answer_json(call);
}

void loki_config(struct call *call)
{
    options_append_yaml(call_body(call), call->server->options);
    call->request->response.status = 200;
    call->request->response.content_type = "text/plain; charset=utf-8";
}
