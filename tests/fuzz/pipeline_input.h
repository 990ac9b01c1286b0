/*
 * pipeline_input.h - for fuzz targets of the log pipeline: run lines through a query.
 */
#ifndef TESTS_FUZZ_PIPELINE_INPUT_H
#define TESTS_FUZZ_PIPELINE_INPUT_H

#include "base/arena.h"
#include "base/error.h"
#include "query/dialect.h"
#include "query/parse.h"
#include "query/pipeline.h"

enum { SCRATCH_MAX = 4 << 20 };

/* Names sorted and each once: what every consumer of labels relies on. */
static inline void check_labels(struct labels labels)
{
    for (size_t i = 1; i < labels.count; i++) {
        if (slice_compare(labels.items[i - 1].name, labels.items[i].name) >= 0)
            __builtin_trap();
    }
}

/* Each line of `lines`, with a stream and metadata, through the log query `query`. */
static inline void run_lines(struct slice query, struct slice lines)
{
    static const struct label stream[] = {{{"app", 3}, {"t", 1}}, {{"level", 5}, {"x", 1}}};
    static const struct label metadata[] = {{{"app", 3}, {"m", 1}}, {{"id", 2}, {"7", 1}}};
    struct error err = {0};
    struct ast *ast = parse_query(&dialect_logql, query, 0, 0, &err);
    const struct node *root = ast ? node_unwrap(ast_root(ast)) : NULL;
    struct log_program *program = NULL;
    if (root && root->type == TYPE_LINES)
        program = log_program_new(root->selector.pipeline, NULL, &err);
    if (program) {
        struct pipeline_run *run = pipeline_run_new(program, SCRATCH_MAX);
        struct slice line;
        pipeline_run_stream(run, (struct labels){stream, 2});
        while (slice_split(&lines, '\n', &line)) {
            struct labels extra = {metadata, line.size % 3 ? 2 : 0};
            if (pipeline_run_entry(run, 1, line, extra, &err) == 1)
                check_labels(log_labels_all(&run->labels, run->scratch));
        }
        pipeline_run_free(run);
    }
    log_program_free(program);
    ast_free(ast);
}

#endif
