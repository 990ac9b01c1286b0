/*
 * query_call.h - running a query for a call, and reading selectors of name endpoints.
 */
#ifndef SERVER_QUERY_CALL_H
#define SERVER_QUERY_CALL_H

#include "base/compiler.h"
#include "query/query.h"
#include "server/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct matcher;

/* A request with the call's tenant, the server's limits and the call's cancel flag. */
struct query_request query_call_request(const struct call *call, enum query_language language,
                                        struct slice text);

/* Runs it, counts it, logs it when it was slow.  NULL: `err` says why. */
struct query_result *query_call_run(struct call *call, struct query_request *request,
                                    struct error *err) MUST_CHECK;

/* The selectors of repeated parameters, each a list of matchers. */
struct selector {
    struct matcher *matchers;
    size_t count;
};
struct selectors {
    struct selector *items; /* in the call's arena */
    size_t count, capacity;
};

enum { SELECTORS_MAX = 1000 };

/* Add the selectors of every parameter called `name`.  Fails with a bad_data text. */
bool selectors_read(struct call *call, enum query_language language, const char *name,
                    struct selectors *selectors, struct error *err) MUST_CHECK;
void selectors_done(struct selectors *selectors);

/* A list of texts in the call's arena, united over the selectors, sorted, each once. */
struct name_list {
    struct slice *items;
    size_t count;
    bool truncated;
};

/*
 * Label names (empty `label`) or the values of `label` in a time range; `limit` 0: none.
 * Without selectors those of all series.
 */
bool names_read(struct call *call, enum query_language language, const struct selectors *selectors,
                struct slice label, const int64_t range_ns[2], size_t limit,
                struct name_list *names, struct error *err) MUST_CHECK;

/*
 * Append the label sets of all series that fit a selector, each once, in order, as a
 * JSON list; at most `limit` (0: no limit).
 */
bool series_append(struct call *call, enum query_language language,
                   const struct selectors *selectors, const int64_t range_ns[2], size_t limit,
                   struct buffer *out, bool *truncated, struct error *err) MUST_CHECK;

/* How many series fit the selectors: of one selector exactly, of several in sum. */
bool series_count(struct call *call, enum query_language language,
                  const struct selectors *selectors, const int64_t range_ns[2], size_t *count,
                  struct error *err) MUST_CHECK;

#endif
