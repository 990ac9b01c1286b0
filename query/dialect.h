/*
 * dialect.h - everything in which PromQL and LogQL differ, as data.
 *
 * Two constants exist: dialect_promql (promql.c) and dialect_logql (logql's
 * parser file).  The endpoint chooses one; the parser copies it into every node.
 * Lexer, parser and evaluator read fields, they never compare with one of the
 * two.  A leaf of the other language keeps the endpoint's dialect: only
 * range functions go by the leaf's kind (see function.h).
 */
#ifndef QUERY_DIALECT_H
#define QUERY_DIALECT_H

#include "base/slice.h"
#include "query/ast.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct function;
struct parser;

struct dialect {
    const char *name; /* "PromQL", "LogQL": for messages only */

    /* -- text -- */
    bool single_quotes;         /* 'text' is a string */
    bool trailing_commas;       /* by (a, b,) */
    bool number_forms;          /* hex, octal and binary integers, '_' between digits */
    bool go_durations;          /* 1.5h, 10us beside Prometheus' 1d2h */
    bool byte_sizes;            /* 5KB is a token */
    bool flags;                 /* --strict is a token */
    bool keywords_any_case;     /* BY, Offset */
    bool named_numbers;         /* Inf and NaN are numbers */
    bool quoted_names;          /* label and metric names may be written as strings */
    bool durations_are_numbers; /* 5m stands for 300 */

    /* -- grammar -- */
    bool unary_any;       /* unary minus before any expression; else before number literals only */
    bool subqueries;      /* [5m:1m] */
    bool at_modifier;     /* @ */
    bool range_after_log; /* {..} | json [5m] and {..}[5m] | json */
    bool strings_alone;   /* "text" is an expression */
    bool selector_alone_is_lines; /* a log selector alone is a query */
    bool set_grouping;            /* group_left and group_right may follow a set operator */
    bool fold_literals;           /* number op number becomes a number when parsed (1 == 2 too) */
    bool comparison_needs_bool;   /* between two scalars */
    uint32_t aggregators;         /* bit per enum aggregator */
    uint32_t operators;           /* bit per enum binary_operator */
    const struct function *functions; /* sorted by name; plain functions */
    size_t function_count;
    enum leaf_kind leaf; /* the leaf of a selector without further signs */

    /*
     * Parse a selector whose first token ("{" or a name) is the parser's current
     * one, with its range, pipeline, offset and @, in whatever order the language has.
     */
    struct node *(*parse_selector)(struct parser *parser, struct error *err);
    /* "1:5: parse error: " or "parse error at line 1, col 5: syntax error: " goes before a message.
     */
    void (*parse_error_prefix)(struct error *err, int line, int column);

    /* NULL, or more rules on the finished tree. */
    bool (*check)(struct parser *parser, struct node *root, struct error *err);

    const char *empty_selector_text; /* when every matcher of a selector matches "" */

    /* -- meaning -- */
    bool zero_divides_to_nan;  /* x / 0 is NaN, not an infinity */
    bool lookback;             /* instant selectors see the last sample within the lookback */
    bool stale_markers;        /* a marker ends a series; in windows it is left out */
    bool metadata_labels;      /* __name__, __type__ and __unit__ are dropped by operations */
    bool empty_labels_count;   /* a label with an empty value differs from an absent one */
    bool error_label_fails;    /* a sample with a label __error__ fails the query */
    bool extra_label_error;    /* group_left's label collisions are errors */
    bool sort_vectors;         /* instant vectors come sorted by labels unless sort() or topk() */
    bool scalar_result;        /* number literals give a scalar in instant queries */
    bool scalar_as_matrix;     /* ... and a label-less series in range queries (both do) */
    bool quantile_annotations; /* warn about quantiles outside of 0 to 1 */
};

extern const struct dialect dialect_promql;
extern const struct dialect dialect_logql;

#endif
