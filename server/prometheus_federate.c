/*
 * prometheus_federate.c - /federate: the last samples of some series as exposition text.
 *
 * For another Prometheus to scrape.  Each series that fits a match[] gives its newest
 * sample of the lookback with its own time, unless it ended (stale marker).  Series are
 * sorted by name and then by labels, untyped as in Prometheus, and have an empty
 * instance when they have none, so that the scraper does not put its own there.  The
 * text format has no native histograms: they are left out.
 */
#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/labels.h"
#include "base/number.h"
#include "server/api.h"
#include "server/options.h"
#include "server/query_call.h"
#include "storage/store.h"
#include "wire/exposition.h"

#include <stdlib.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

struct federated {
    struct labels labels;
    struct slice name;
    double value;
    int64_t time_ns;
};
struct federated_list ARRAY_BODY(struct federated);

static int compare_federated(const void *a, const void *b)
{
    const struct federated *x = a, *y = b;
    int order = slice_compare(x->name, y->name);
    return order != 0 ? order : labels_compare(x->labels, y->labels);
}

static bool read_all(struct cursor *cursor, struct arena *arena, struct federated_list *list,
                     struct error *err)
{
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        struct sample_column samples;
        ok = cursor_read_samples(reader, i, &samples, err);
        if (!ok || samples.count == 0)
            continue;
        size_t last = samples.count - 1;
        if (double_bits(samples.values[last]) == STALE_MARKER ||
            (samples.histograms && samples.histograms[last]))
            continue;
        struct federated found = {.labels = labels_copy(arena, cursor_labels(cursor, i)),
                                  .value = samples.values[last],
                                  .time_ns = samples.times_ns[last]};
        found.name = labels_get(found.labels, LABEL_NAME_METRIC);
        ok = arena_check(arena, "the answer", err);
        array_push(list, found);
    }
    cursor_reader_free(reader);
    return ok;
}

static bool collect(struct call *call, const struct selectors *selectors,
                    struct federated_list *list, struct error *err)
{
    for (size_t i = 0; i < selectors->count; i++) {
        struct cursor_request request = {
            .tenant = call->tenant,
            .kind = STORE_METRIC,
            .matchers = selectors->items[i].matchers,
            .matcher_count = selectors->items[i].count,
            .start_ns = ns_sub(call->now_ns, call->server->options->query_lookback_ns),
            .end_ns = call->now_ns,
            .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LAST,
            .series_max = call->server->limits.series_max,
            .cancel = &call->request->cancel,
        };
        struct cursor *cursor = cursor_open(call->server->store, &request, err);
        bool ok = cursor != NULL && read_all(cursor, call->arena, list, err);
        cursor_close(cursor);
        if (!ok)
            return false;
    }
    return true;
}

static void append_escaped(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\\' || c == '"')
            buffer_append_byte(out, '\\');
        if (c == '\n')
            buffer_append_text(out, "\\n");
        else
            buffer_append_byte(out, c);
    }
    buffer_append_byte(out, '"');
}

/* A name that is not a classic one stands in quotes, and a metric's inside the braces. */
static void append_name(struct buffer *out, struct slice name, bool classic)
{
    if (classic)
        buffer_append_slice(out, name);
    else
        append_escaped(out, name);
}

static void append_sample(struct buffer *out, const struct federated *f, bool classic)
{
    char text[DOUBLE_TEXT_MAX];
    bool instance = false;
    if (classic)
        buffer_append_slice(out, f->name);
    buffer_append_byte(out, '{');
    if (!classic && f->name.size > 0) {
        append_escaped(out, f->name);
        buffer_append_byte(out, ',');
    }
    for (size_t i = 0; i < f->labels.count; i++) {
        const struct label *label = &f->labels.items[i];
        if (slice_equal(label->name, LABEL_NAME_METRIC))
            continue;
        instance = instance || slice_equal(label->name, SLICE("instance"));
        append_name(out, label->name, label_name_is_classic(label->name));
        buffer_append_byte(out, '=');
        append_escaped(out, label->value);
        buffer_append_byte(out, ',');
    }
    if (instance)
        buffer_truncate(out, out->size - (out->failed ? 0 : 1)); /* the last comma */
    else
        buffer_append_text(out, "instance=\"\"");
    buffer_append_text(out, "} ");
    buffer_append(out, text, double_format(text, f->value, 'g'));
    buffer_append_byte(out, ' ');
    buffer_append_i64(out, f->time_ns / NS_PER_MS);
    buffer_append_byte(out, '\n');
}

static void append_all(struct buffer *out, const struct federated_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct federated *f = &list->items[i];
        if (i > 0 && compare_federated(f - 1, f) == 0)
            continue; /* fits several selectors */
        bool classic = f->name.size > 0 && metric_name_is_classic(f->name);
        if (i == 0 || !slice_equal(f[-1].name, f->name)) {
            buffer_append_text(out, "# TYPE ");
            append_name(out, f->name, classic);
            buffer_append_text(out, " untyped\n");
        }
        append_sample(out, f, classic);
    }
}

void prometheus_federate(struct call *call)
{
    struct error err = {0};
    struct selectors selectors = {0};
    struct federated_list list = {0};
    bool ok = selectors_read(call, QUERY_PROMQL, "match[]", &selectors, &err) &&
              collect(call, &selectors, &list, &err);
    if (ok) {
        if (list.count > 1)
            qsort(list.items, list.count, sizeof(*list.items), compare_federated);
        append_all(call_body(call), &list);
        call->request->response.status = 200;
        call->request->response.content_type = EXPOSITION_CONTENT_TYPE;
    } else {
        call_fail(call, &err);
    }
    array_done(&list);
    selectors_done(&selectors);
}
