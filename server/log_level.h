/*
 * log_level.h - finding the level of a log entry, and the name of its service.
 *
 * Loki's rules, so that Grafana colours its volume bars: the level comes from
 * the stream's labels, else from the structured metadata, else from the line
 * as JSON, as logfmt, or as plain words.
 */
#ifndef SERVER_LOG_LEVEL_H
#define SERVER_LOG_LEVEL_H

#include "base/labels.h"
#include "base/slice.h"

#include <stddef.h>

#define DETECTED_LEVEL SLICE("detected_level")
#define SERVICE_NAME   SLICE("service_name")

/* trace, debug, info, warn, error, critical, fatal; another word stays as it is. */
struct slice log_level_normal(struct slice level);

/* The level in a label set (sorted or not), or data NULL. */
struct slice log_level_of_labels(const struct label *labels, size_t count);

/* The level that a line tells; "unknown" when it tells none. */
struct slice log_level_of_line(struct slice line);

/* The service a stream belongs to, by the first of Loki's labels that it has, or unknown_service.
 */
struct slice service_name_of(const struct label *labels, size_t count);

/* The names that these rules look at, in their order. */
const struct slice *log_level_fields(size_t *count);
const struct slice *log_service_labels(size_t *count);

#endif
