/*
 * prometheus_admin.c - requests that act on the data as a whole, as Prometheus'
 * admin API; off unless web.enable_admin_api is on.
 */
#include "base/json_writer.h"
#include "base/log.h"
#include "server/api.h"
#include "server/call.h"
#include "server/options.h"
#include "storage/snapshot.h"

static bool is_enabled(struct call *call)
{
    if (call->server->options->web_enable_admin_api)
        return true;
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
