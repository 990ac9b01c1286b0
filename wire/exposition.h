/*
 * exposition.h - Prometheus' text format 0.0.4.
 *
 * A writer for /metrics:
 *
 *     exposition_family(out, "etinde_up", "gauge", "Whether it is up.");
 *     exposition_value(out, "etinde_up", labels, count, 1);
 *
 * A full buffer sets its `failed`, which the caller checks at the end.
 */
#ifndef WIRE_EXPOSITION_H
#define WIRE_EXPOSITION_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct error;

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The HELP and TYPE lines; `type` is counter, gauge, histogram, summary or untyped. */
void exposition_family(struct buffer *out, const char *name, const char *type, const char *help);

/* One sample line.  Integers up to 2^53 are printed without an exponent. */
void exposition_value(struct buffer *out, const char *name, const struct label *labels,
                      size_t count, double value);

/* What a parser finds in exposition text. */
struct exposition_handler {
    void *context;
    /* `labels` begins with __name__; `*time_ms` is NULL when the line has no time.  False stops. */
    bool (*sample)(void *context, struct label *labels, size_t count, double value,
                   const int64_t *time_ms);
    /* A TYPE or HELP line; the other slice has data NULL.  May be NULL.  False stops. */
    bool (*metadata)(void *context, struct slice family, struct slice type, struct slice help);
    bool (*unit)(void *context, struct slice family, struct slice unit); /* UNIT; may be NULL */
};

/*
 * Parse text line by line.  A malformed line fails with ERR_INVALID and its line
 * number.  Names and escaped values live until the handler returns.  When the
 * handler stops, false with `err` untouched.
 */
bool exposition_parse(struct slice text, const struct exposition_handler *handler,
                      struct error *err) MUST_CHECK;

/*
 * The same for OpenMetrics text, which may come in pieces of whole lines.  Every sample needs a
 * time: seconds, which are rounded to milliseconds.  Exemplars are skipped.  `ended` says whether
 * "# EOF" was seen; text behind it is an error.
 */
struct openmetrics {
    size_t lines;
    bool ended;
};
bool openmetrics_parse(struct openmetrics *state, struct slice text,
                       const struct exposition_handler *handler, struct error *err) MUST_CHECK;

#endif
