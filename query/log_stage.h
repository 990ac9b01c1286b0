/*
 * log_stage.h - the stages of a log pipeline as the parser makes them.
 *
 * These are plain immutable trees in the arena of the parsed query; pipeline.c
 * compiles them (regexes, needles, paths) into a struct log_program.  log_print.c
 * prints them in Loki's canonical form.
 */
#ifndef QUERY_LOG_STAGE_H
#define QUERY_LOG_STAGE_H

#include "base/matcher.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_stage_kind {
    LOG_LINE_FILTER,
    LOG_JSON,
    LOG_LOGFMT,
    LOG_REGEXP,
    LOG_PATTERN,
    LOG_UNPACK,
    LOG_LABEL_FILTER,
    LOG_LINE_FORMAT,
    LOG_LABEL_FORMAT,
    LOG_DECOLORIZE,
    LOG_DROP,
    LOG_KEEP
};

/* |=  !=  |~  !~  |>  !> */
enum line_filter_type {
    LINE_CONTAINS,
    LINE_CONTAINS_NOT,
    LINE_MATCHES,
    LINE_MATCHES_NOT,
    LINE_PATTERN,
    LINE_PATTERN_NOT
};

/* One alternative of an `or` chain.  A negated filter wants none of them. */
struct line_filter_text {
    struct slice text;
    bool ip; /* ip("...") */
};

enum label_condition_kind {
    CONDITION_AND,
    CONDITION_OR,
    CONDITION_STRING,   /* = != =~ !~ with a string */
    CONDITION_NUMBER,   /* number */
    CONDITION_DURATION, /* number is nanoseconds */
    CONDITION_BYTES,    /* number is bytes */
    CONDITION_IP
};

enum compare_type {
    COMPARE_EQUAL,
    COMPARE_NOT_EQUAL,
    COMPARE_GREATER,
    COMPARE_GREATER_EQUAL,
    COMPARE_LESS,
    COMPARE_LESS_EQUAL
};

/* The tree of one label filter. */
struct label_condition {
    enum label_condition_kind kind;
    const struct label_condition *left, *right; /* AND, OR */
    struct slice name;
    enum matcher_type matcher; /* STRING */
    struct slice text;         /* STRING, IP */
    enum compare_type compare; /* NUMBER, DURATION, BYTES, IP (equal and not equal) */
    double number;             /* NUMBER */
    int64_t duration_ns;       /* DURATION */
    uint64_t bytes;            /* BYTES */
};

/* name="expression" of json and logfmt; dst=src and dst="template" of label_format. */
struct stage_assignment {
    struct slice name;
    struct slice value;
    bool rename; /* label_format: `value` is a label's name */
};

/* A name or a matcher of drop and keep. */
struct stage_label {
    struct slice name;
    bool has_matcher;
    enum matcher_type matcher;
    struct slice value;
};

struct log_stage {
    enum log_stage_kind kind;
    struct slice source; /* the stage as it stands in the query, for error messages */

    enum line_filter_type filter; /* LINE_FILTER */
    const struct line_filter_text *texts;
    size_t text_count;

    bool strict, keep_empty;                    /* LOGFMT */
    const struct stage_assignment *assignments; /* JSON, LOGFMT, LABEL_FORMAT */
    size_t assignment_count;

    struct slice text; /* REGEXP, PATTERN, LINE_FORMAT */

    const struct label_condition *condition; /* LABEL_FILTER */

    const struct stage_label *labels; /* DROP, KEEP */
    size_t label_count;
};

enum unwrap_conversion { UNWRAP_NUMBER, UNWRAP_BYTES, UNWRAP_DURATION, UNWRAP_DURATION_SECONDS };

/* | unwrap label, with the label filters behind it. */
struct log_unwrap {
    struct slice label;
    enum unwrap_conversion conversion;
    const struct log_stage *filters; /* all LABEL_FILTER */
    size_t filter_count;
};

/* All that stands behind a log selector. */
struct pipeline {
    const struct log_stage *stages;
    size_t count;
    const struct log_unwrap *unwrap; /* NULL: none */
};

#endif
