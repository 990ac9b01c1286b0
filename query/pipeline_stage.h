/*
 * pipeline_stage.h - between pipeline.c and the files of the stage families.
 *
 * Each family compiles a struct log_stage into a struct stage: a function and
 * its constant state, in the pipeline's arena.
 */
#ifndef QUERY_PIPELINE_STAGE_H
#define QUERY_PIPELINE_STAGE_H

#include "base/array.h"
#include "base/predicate.h"
#include "query/pipeline.h"

struct arena;
struct regex;

struct stage {
    /* 1: go on, 0: the entry is filtered out, -1: failed, run->err is filled. */
    int (*run)(const struct stage *stage, struct pipeline_run *run);
    const void *state;
    bool in_predicate; /* log_program_predicate() covers it */
};

struct stages ARRAY_BODY(struct stage);

struct log_program {
    struct arena *arena;
    struct stages stages;
    ARRAY(struct regex *) regexes; /* freed with the pipeline */
    ARRAY(struct line_condition) conditions;
    struct predicate predicate;
    bool needs_line;
    bool only_predicate;
    /* Labels that parsers must extract; all of them unless `restricted`. */
    bool restricted;
    ARRAY(struct slice) needed;
};

/* A regex that dies with the pipeline. */
const struct regex *log_program_regex(struct log_program *p, struct slice pattern, unsigned flags,
                                      struct error *err);

/*
 * Compilers, one per kind: add stages to `p`.  False fills `err` with what is wrong;
 * pipeline.c puts "stage '...' : " before it.
 */
bool stage_line_filter(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_json(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_json_paths(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_unpack(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_logfmt(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_regexp(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_pattern(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_label_filter(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_drop(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_keep(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_label_format(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_line_format(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_decolorize(struct log_program *p, const struct log_stage *spec, struct error *err);
bool stage_unwrap(struct log_program *p, const struct log_unwrap *unwrap, struct error *err);

/* Append a stage. */
void log_program_add(struct log_program *p, int (*run)(const struct stage *, struct pipeline_run *),
                     const void *state);

/* ---- what parsers share ------------------------------------------------ */

/* Does anybody need a label of that name, and has no parser set it on this line yet? */
bool run_wants(const struct pipeline_run *run, struct slice name);
/*
 * Can a field of that key, below `prefix`, become a label that anybody needs?  Quick; true when it
 * would have to look closer.
 */
bool run_may_want(const struct pipeline_run *run, struct slice prefix, struct slice key);
/* No parser needs to do anything. */
bool run_wants_nothing(const struct pipeline_run *run);

/*
 * Store a field under its final name; true when everything that is needed is
 * there, so that the parser may stop.
 */
bool run_extract(struct pipeline_run *run, struct slice name, struct slice value);

/*
 * A field's key as a label name: blanks trimmed, every other character than
 * [A-Za-z0-9_] one '_', with `first` a leading digit prefixed by '_'.
 */
struct slice label_name_sanitise(struct slice key, bool first, struct arena *scratch);

/* Without U+FFFD and invalid UTF-8, as Loki stores values. */
struct slice value_sanitise(struct slice value, struct arena *scratch);

#define ERROR_JSON         "JSONParserErr"
#define ERROR_LOGFMT       "LogfmtParserErr"
#define ERROR_LABEL_FILTER "LabelFilterErr"
#define ERROR_SAMPLE       "SampleExtractionErr"
#define ERROR_TEMPLATE     "TemplateFormatErr"

#endif
