/*
 * loki_names.c - /loki/api/v1/labels, label values, series and buildinfo.
 */
#include "base/buffer.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"

#include "version.h"

#define DATA        "{\"status\":\"success\",\"data\":"
#define LEGACY_DATA "{\"values\":"

static void answer_names(struct call *call, struct slice label, const char *prefix)
{
    struct error err = {0};
    struct selectors selectors = {0};
    struct name_list names;
    int64_t range_ns[2];
    bool ok = form_range_loki(&call->form, call->now_ns, range_ns, &err) &&
              selectors_read(call, QUERY_LOGQL, "query", &selectors, &err) &&
              names_read(call, QUERY_LOGQL, &selectors, label, range_ns, 0, &names, &err);
    selectors_done(&selectors);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    buffer_append_text(call_body(call), prefix);
    answer_texts(call_body(call), names.items, names.count);
    buffer_append_byte(call_body(call), '}');
    call_answer_json(call);
}

void loki_labels(struct call *call)
{
    answer_names(call, SLICE(""), DATA);
}

void loki_label_values(struct call *call)
{
    answer_names(call, call->name, DATA);
}

/* Under /api/prom, older than version 1 of the API. */
void loki_legacy_labels(struct call *call)
{
    answer_names(call, SLICE(""), LEGACY_DATA);
}

void loki_legacy_label_values(struct call *call)
{
    answer_names(call, call->name, LEGACY_DATA);
}

void loki_series(struct call *call)
{
    struct error err = {0};
    struct selectors selectors = {0};
    int64_t range_ns[2];
    bool truncated;
    buffer_append_text(call_body(call), "{\"status\":\"success\",\"data\":");
    bool ok = form_range_loki(&call->form, call->now_ns, range_ns, &err) &&
              selectors_read(call, QUERY_LOGQL, "match[]", &selectors, &err) &&
              selectors_read(call, QUERY_LOGQL, "match", &selectors, &err) &&
              series_append(call, QUERY_LOGQL, &selectors, range_ns, 0, call_body(call), &truncated,
                            &err);
    selectors_done(&selectors);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    buffer_append_byte(call_body(call), '}');
    call_answer_json(call);
}

/* Bare, without the envelope, as Loki does it. */
void loki_buildinfo(struct call *call)
{
    buffer_append_text(
        call_body(call),
        "{\"version\":\"" LOKI_API_VERSION "\",\"revision\":\"" ETINDE_COMMIT
        "\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\","
        "\"application\":\"Etinde\",\"appVersion\":\"" ETINDE_VERSION "\"}");
    call_answer_json(call);
}
