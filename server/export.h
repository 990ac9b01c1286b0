/*
 * export.h - series as text: OpenMetrics and lines of JSON.
 *
 * OpenMetrics is for `promtool tsdb create-blocks-from openmetrics`: series one
 * after the other, times ascending.  Stale markers have no form there and are
 * left out, as are series without a metric name, native histograms and start
 * times.  JSON has everything, bit for bit but for the payloads of NaNs: what `etinde
 * import` makes of it is exported as the same text.
 */
#ifndef SERVER_EXPORT_H
#define SERVER_EXPORT_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct error;

enum export_form { EXPORT_OPENMETRICS, EXPORT_JSON };

struct export_request {
    struct slice tenant;
    enum store_kind kind;
    enum export_form form;    /* logs: only JSON */
    struct slice selector;    /* empty: all series */
    int64_t start_ns, end_ns; /* both included */
};

struct export_report {
    uint64_t series, values, left_out; /* samples or entries; those without a form */
};

bool export_write(struct store *store, const struct export_request *request, FILE *out,
                  struct export_report *report, struct error *err) MUST_CHECK;

#endif
