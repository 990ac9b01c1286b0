/*
 * log_delete.h - deleting the log entries that a LogQL query selects.
 *
 * A query of nothing but matchers is one delete in storage.  One with a pipeline is run
 * here, a UTC day at a time: what passes is noted by series, time and content, and
 * handed to storage piece by piece, so that memory is bounded whatever the query finds.
 *
 * Any number of threads may use different ones; each is used by one at a time.
 */
#ifndef QUERY_LOG_DELETE_H
#define QUERY_LOG_DELETE_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct log_delete; /* opaque: log_delete.c */
struct store;

/* ERR_INVALID for what is no LogQL, or a query whose result is not lines.  The text is copied. */
struct log_delete *log_delete_new(struct slice text, struct error *err) MUST_CHECK;
void log_delete_free(struct log_delete *query); /* NULL is fine */

/* Nothing but matchers: then one call of log_delete_run() is quick. */
bool log_delete_is_selector(const struct log_delete *query);

/* What to run it on; times are both included. */
struct log_delete_range {
    struct store *store;
    struct slice tenant;
    int64_t start_ns, end_ns;
    const bool *cancel; /* read with __atomic; NULL: never */
    unsigned *percent;  /* atomic: how far it is; NULL is fine */
    uint64_t *deleted;  /* entries that the pipeline let through; NULL is fine */
};
bool log_delete_run(const struct log_delete *query, const struct log_delete_range *range,
                    struct error *err) MUST_CHECK;

#endif
