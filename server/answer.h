/*
 * answer.h - query results as JSON text, as Prometheus and Loki write them.
 *
 * Both write the same shapes and differ in details that clients see: numbers,
 * fractions of timestamps, and what goes around the result.  Everything is
 * appended by hand to one buffer: an answer may have millions of points.
 */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "base/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct histogram;
struct query_result;

enum answer_style { ANSWER_PROMETHEUS, ANSWER_LOKI };

/* {"a":"b"} */
void answer_labels(struct buffer *out, struct labels labels);

/* Seconds; Prometheus writes no or three decimals, Loki as many as needed. */
void answer_seconds(struct buffer *out, int64_t ns, enum answer_style style);

/* [seconds,"value"] */
void answer_point(struct buffer *out, int64_t ns, double value, enum answer_style style);

/* [seconds,{"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}] */
void answer_histogram(struct buffer *out, int64_t ns, const struct histogram *histogram,
                      enum answer_style style);

/* The name of resultType, and the value of result, of everything but streams. */
const char *answer_type_name(const struct query_result *result);
void answer_result(struct buffer *out, const struct query_result *result, size_t series_max,
                   enum answer_style style);

/* The value of result of a log query; `categorize` as Grafana asks for it. */
bool answer_streams(struct buffer *out, const struct query_result *result, bool forward,
                    bool categorize);

/* The same for /api/prom/query, which is older than version 1 of Loki's API. */
bool answer_streams_legacy(struct buffer *out, const struct query_result *result);

/* The statistics of an answer of Loki: one JSON object with all of its keys. */
struct query_stats;
void answer_loki_stats(struct buffer *out, const struct query_stats *stats);

/* A list of texts: ["a","b"] */
struct slice;
void answer_texts(struct buffer *out, const struct slice *texts, size_t count);

#endif
