/*
 * pipeline.h - a compiled log pipeline, and running entries through it.
 *
 * A struct log_program is what a struct pipeline compiles to.  It is immutable and may be shared by
 * threads.  Each thread has a struct pipeline_run with its labels and its scratch memory, which is
 * rewound per entry: a line costs no allocation.
 *
 *     pipeline_run_stream(run, labels_of_the_stream);
 *     for each entry: switch (pipeline_run_entry(run, time, line, metadata, err))
 *         1: run->line and run->labels are the result, 0: filtered out, -1: failed
 */
#ifndef QUERY_PIPELINE_H
#define QUERY_PIPELINE_H

#include "base/buffer.h"
#include "base/compiler.h"
#include "query/log_labels.h"
#include "query/log_stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct log_program; /* opaque: fields in pipeline_stage.h */
struct predicate;

/*
 * What a metric query needs.  Parsers extract only labels that somebody needs:
 * those of `needed` and those that the stages themselves use.
 */
struct pipeline_hints {
    bool restricted;            /* false: every label may matter */
    const struct slice *needed; /* labels of the grouping */
    size_t needed_count;
};

/*
 * `pipeline` must outlive the program; `hints` NULL means that all labels matter.  Fails
 * with ERR_INVALID and Loki's text ("parse error : stage '| regexp ...' : ...") for stages
 * that cannot be built, ERR_UNSUPPORTED for those that are not there yet.
 */
struct log_program *log_program_new(const struct pipeline *pipeline,
                                    const struct pipeline_hints *hints, struct error *err)
    MUST_CHECK;
void log_program_free(struct log_program *program); /* NULL is fine */

/*
 * The line filters that stand before any stage which rewrites the line or stops
 * depending on the line alone, as conditions on the raw line.  Owned by the program.
 */
const struct predicate *log_program_predicate(const struct log_program *program);

/* Does a stage look at the line's text?  Else its length is enough for bytes_*. */
bool log_program_needs_line(const struct log_program *program);
/* Can the pipeline's outcome be told from the stream alone (no stages at all)? */
bool log_program_is_empty(const struct log_program *program);
/* Can a label of that name, given as metadata, change anything but the labels that all are shown?
 */
bool log_program_uses(const struct log_program *program, struct slice name);
/* Nothing but line filters that log_program_predicate covers. */
bool log_program_is_predicate(const struct log_program *program);

struct pipeline_run {
    const struct log_program *program;
    struct log_labels labels;
    struct arena *scratch; /* until the next entry */
    struct slice line;     /* rewritten by stages; may lie in `scratch` */
    struct buffer text;    /* of a template, before it is copied to `scratch` */
    int64_t time_ns;
    double value;      /* the unwrapped number */
    size_t found;      /* needed labels extracted from this line */
    struct error *err; /* the current call's */
};

/* `scratch_max` bounds the memory that one entry may need. */
struct pipeline_run *pipeline_run_new(const struct log_program *program, size_t scratch_max);
void pipeline_run_free(struct pipeline_run *run); /* NULL is fine */

void pipeline_run_stream(struct pipeline_run *run, struct labels stream);
int pipeline_run_entry(struct pipeline_run *run, int64_t time_ns, struct slice line,
                       struct labels metadata, struct error *err) MUST_CHECK;

/*
 * The same for an entry whose line was already tested against log_program_predicate().
 */
int pipeline_run_tested(struct pipeline_run *run, int64_t time_ns, struct slice line,
                        struct labels metadata, struct error *err) MUST_CHECK;

#endif
