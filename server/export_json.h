/*
 * export_json.h - the parts of exported lines that JSON has no form for of its own.
 *
 * wire/import_json.c reads them back.
 */
#ifndef SERVER_EXPORT_JSON_H
#define SERVER_EXPORT_JSON_H

#include "base/slice.h"

#include <stdbool.h>

struct buffer;
struct histogram;
struct metric_metadata;

bool export_is_stale(double value);

/* A number, or "NaN", "+Inf", "-Inf", "StaleNaN". */
void export_value(struct buffer *out, double value);

/* An object with all fields that are not zero. */
void export_histogram(struct buffer *out, const struct histogram *h);

/* ","line":"..." behind a time's closing quote; bytes that are no UTF-8 as "line_hex". */
void export_line(struct buffer *out, struct slice line);

/* A line of its own. */
void export_metadata(struct buffer *out, const struct metric_metadata *item);

#endif
