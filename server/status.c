/*
 * status.c - is it alive, is it ready, what has it taken in.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "storage/store.h"

#include "version.h"

/* Ready means: takes writes and answers queries.  False: the response says why not. */
static bool is_ready(struct call *call)
{
    struct error err = {0};
    if (server_is_stopping(call->server))
        call_answer_text(call, 503, "stopping");
    else if (!store_writable(call->server->store, &err))
        call_answer_text(call, 503, err.message);
    else
        return true;
    return false;
}

void status_ready(struct call *call)
{
    if (is_ready(call))
        call_answer_text(call, 200, "ready");
}

void status_ready_prometheus(struct call *call)
{
    bool stopping = server_is_stopping(call->server);
    http_response_header(&call->request->response, "X-Prometheus-Stopping",
                         stopping ? "true" : "false");
    if (is_ready(call))
        call_answer_text(call, 200, "Etinde is Ready.");
}

void status_healthy(struct call *call)
{
    call_answer_text(call, 200, "Etinde is Healthy.");
}

static void write_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_write_key(w, slice_from_text(key));
    json_write_u64(w, value);
}

/* A few numbers for the start page. */
void status_state(struct call *call)
{
    struct server *server = call->server;
    struct store_stats stats;
    struct json_writer w;
    struct error err = {0};
    store_stats_read(server->store, &stats);
    bool writable = store_writable(server->store, &err);
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("version"));
    json_write_string(&w, SLICE(ETINDE_VERSION));
    json_write_key(&w, SLICE("commit"));
    json_write_string(&w, SLICE(ETINDE_COMMIT));
    json_write_key(&w, SLICE("writable"));
    json_write_bool(&w, writable);
    json_write_key(&w, SLICE("problem"));
    json_write_string(&w, slice_from_text(err.message));
    json_write_key(&w, SLICE("ack"));
    json_write_string(&w, server->options->ack == OPTION_ACK_PROCESS ? SLICE("process")
                                                                     : SLICE("durable"));
    write_u64(&w, "uptime_seconds",
              (uint64_t)(clock_monotonic_ns() - server->started_monotonic_ns) / 1000000000);
    write_u64(&w, "samples", stats.samples_appended);
    write_u64(&w, "entries", stats.entries_appended);
    write_u64(&w, "line_bytes", stats.line_bytes_appended);
    write_u64(&w, "metric_series", stats.series[STORE_METRIC]);
    write_u64(&w, "log_streams", stats.series[STORE_LOG]);
    write_u64(&w, "tenants", stats.tenants);
    write_u64(&w, "head_bytes", stats.head_memory_bytes + stats.index_memory_bytes);
    write_u64(&w, "wal_bytes", stats.wal_bytes);
    write_u64(&w, "partitions", stats.partitions);
    write_u64(&w, "partition_bytes", stats.partition_bytes);
    json_write_object_end(&w);
    call_answer_json(call);
}
