/*
 * query.h - the query engine: the only header that server/ and tests include.
 *
 * query_run() parses a text in the dialect of its endpoint, plans it, reads
 * storage through cursors and returns a result that owns all its memory.
 * One evaluator serves PromQL and LogQL; what differs lies in a constant
 * struct dialect (dialect.h).
 *
 * Any number of queries may run at once on different threads.
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "base/budget.h"
#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct error;
struct pool;
struct store;

enum query_language { QUERY_PROMQL, QUERY_LOGQL };

/* Zero in a field means its default. */
struct query_limits {
    size_t series_max;        /* 500,000 selected series per leaf */
    uint64_t samples_max;     /* 50 million samples in memory at once, as Prometheus counts */
    uint64_t points_max;      /* 11,000 points per series */
    size_t memory_max;        /* 512 MiB */
    int64_t timeout_ns;       /* 2 min */
    size_t text_max;          /* 128 KiB */
    uint32_t depth_max;       /* 100 nested expressions */
    size_t result_series_max; /* series in an answer; 0: no limit */
};

/* Experimental parts of PromQL, Prometheus' flag names. */
enum query_features {
    QUERY_EXPERIMENTAL_FUNCTIONS = 1,   /* promql-experimental-functions */
    QUERY_DURATION_EXPRESSIONS = 2,     /* promql-duration-expr */
    QUERY_EXTENDED_RANGE_SELECTORS = 4, /* promql-extended-range-selectors */
    QUERY_BINOP_FILL = 8,               /* promql-binop-fill-modifiers */
    QUERY_DELAYED_NAME_REMOVAL = 16,    /* promql-delayed-name-removal */
    QUERY_START_TIMESTAMPS = 32,        /* use-start-timestamps */
    QUERY_FEATURES_ALL = 63
};

struct query_request {
    enum query_language language;
    struct slice text;
    struct slice tenant;
    bool instant;             /* evaluate once, at end_ns */
    int64_t start_ns, end_ns; /* range: both included for metrics; logs: end excluded */
    int64_t step_ns;          /* range queries of metrics; > 0 */
    int64_t lookback_ns;      /* PromQL; 0: 5 min */
    int64_t default_step_ns;  /* PromQL subqueries without a step; 0: 1 min */
    size_t limit;             /* log entries; 0: no limit */
    bool forward;             /* log entries oldest first */
    int64_t interval_ns;      /* log entries: at most one per interval and stream; 0: all */
    unsigned features;
    struct query_limits limits;
    bool count_steps;      /* fill stats.queryable and stats.step_samples */
    const bool *cancel;    /* read with __atomic; NULL: never */
    struct pool *helpers;  /* threads that may help; NULL: the query runs on the caller's alone.
                              Never the pool that runs queries. */
    uint64_t helpers_from; /* samples and cells of a selector from which they help; 0: 65,536 */
    size_t threads;        /* that may work on this query, the caller's included */
};

enum query_result_type {
    RESULT_SCALAR,
    RESULT_STRING,
    RESULT_VECTOR,
    RESULT_MATRIX,
    RESULT_STREAMS
};

struct histogram; /* native histograms: opaque until they are stored */

struct query_point {
    int64_t time_ns;
    double value;
    const struct histogram *histogram; /* NULL: `value` counts */
};

struct query_series {
    struct labels labels;
    struct query_point *points; /* one for a vector */
    size_t count;
};

/* Where a log entry's labels come from. */
struct query_entry {
    int64_t time_ns;
    struct slice line;
    struct labels metadata; /* structured metadata that survived the pipeline */
    struct labels parsed;   /* labels made by the pipeline, errors included */
};

/* Entries that share one label set after the pipeline, in the query's direction. */
struct query_stream {
    struct labels labels; /* stream labels, structured metadata and parsed labels merged */
    struct labels stream; /* the stream's own labels that survived */
    struct query_entry *entries;
    size_t count;
};

struct query_stats {
    uint64_t series, samples, peak_samples;         /* samples read; most held at once */
    uint64_t lines, line_bytes, lines_after_filter; /* logs */
    uint64_t entries_returned;
    int64_t parse_ns, queue_ns, evaluate_ns;
    uint64_t queryable;     /* with count_steps: samples that all steps look at, in sum */
    uint64_t *step_samples; /* ... and each step; in the result's arena */
    size_t steps;
};

struct query_result {
    enum query_result_type type;
    struct query_point scalar;   /* RESULT_SCALAR; time of RESULT_STRING */
    struct slice string;         /* RESULT_STRING */
    struct query_series *series; /* RESULT_VECTOR, RESULT_MATRIX; a matrix is sorted by labels */
    size_t series_count;
    struct query_stream *streams; /* RESULT_STREAMS */
    size_t stream_count;
    struct slice *warnings, *infos; /* annotations, each once */
    size_t warning_count, info_count;
    struct query_stats stats;
    bool varies;          /* may be another one over another range, even at the same steps */
    struct arena *arena;  /* owns all of it */
    struct budget memory; /* what all arenas of the query may hold together */
};

/*
 * Run one query.  Error codes: ERR_INVALID (parse error or bad parameter; with
 * position), ERR_EXECUTION (fails while running), ERR_LIMIT (over a limit),
 * ERR_TIMEOUT, ERR_CANCELED, ERR_UNAVAILABLE, ERR_CORRUPT, ERR_IO.
 */
struct query_result *query_run(struct store *store, const struct query_request *request,
                               struct error *err) MUST_CHECK;
void query_result_free(struct query_result *result); /* NULL is fine */

/*
 * Run it, and append the plan with what each node took as JSON in place of a result (PromQL).
 * `stats` as a result's, without step_samples.
 */
bool query_explain(struct store *store, const struct query_request *request, struct buffer *out,
                   struct query_stats *stats, struct error *err) MUST_CHECK;

/* Parse only: fails as query_run would.  `*is_log` tells a log query from a metric query. */
bool query_check(enum query_language language, struct slice text, unsigned features, bool *is_log,
                 struct error *err) MUST_CHECK;

/* The text in canonical one-line form, which parses to the same tree. */
bool query_print(enum query_language language, struct slice text, unsigned features,
                 struct buffer *out, struct error *err) MUST_CHECK;

/*
 * The text as the language's format_query writes it: over several lines where one
 * would be too long.  Pipelines need not be right in all details.
 */
bool query_format(enum query_language language, struct slice text, unsigned features,
                  struct buffer *out, struct error *err) MUST_CHECK;

/* The tree as JSON, as Prometheus' parse_query gives it. */
bool query_tree(struct slice text, unsigned features, struct buffer *out, struct error *err)
    MUST_CHECK;

/*
 * The matchers of a bare selector such as a match[] parameter or Loki's `query=`
 * of label endpoints: an array that the caller frees with query_selector_free().
 */
struct matcher;
bool query_parse_selector(enum query_language language, struct slice text,
                          struct matcher **matchers, size_t *count, struct arena *arena,
                          struct error *err) MUST_CHECK;
void query_selector_free(struct matcher *matchers, size_t count);

/*
 * The selectors of metrics in a PromQL text, wherever they stand: lists of matchers in
 * `arena`.  The caller frees each with query_selector_free(), on failure nothing.
 */
struct query_selector {
    struct matcher *matchers;
    size_t count;
};
bool query_selectors(struct slice text, unsigned features, struct arena *arena,
                     struct query_selector **selectors, size_t *count, struct error *err)
    MUST_CHECK;

/* Line and column, both from 1, of a byte offset in `text`; columns count bytes as Prometheus does.
 */
void query_position(struct slice text, size_t offset, int *line, int *column);

#endif
