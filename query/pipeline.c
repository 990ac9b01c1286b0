/*
 * pipeline.c - compiling stages and running entries through them (see pipeline.h).
 *
 * The leading line filters also become the predicate that storage may use to
 * skip.  Parsers of a metric query are told which labels anybody needs.
 */
#include "query/pipeline.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "query/pipeline_stage.h"

#include <assert.h>

enum { PIPELINE_ARENA_MAX = 16 * 1024 * 1024, SCRATCH_FIRST = 64 * 1024, STAGE_SHOWN = 300 };

const struct regex *log_program_regex(struct log_program *p, struct slice pattern, unsigned flags,
                                      struct error *err)
{
    struct regex *regex = regex_new(pattern, flags, err);
    if (regex)
        array_push(&p->regexes, regex);
    return regex;
}

void log_program_add(struct log_program *p, int (*run)(const struct stage *, struct pipeline_run *),
                     const void *state)
{
    struct stage stage = {run, state, false};
    array_push(&p->stages, stage);
}

static bool compile_stage(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    switch (spec->kind) {
    case LOG_LINE_FILTER:
        return stage_line_filter(p, spec, err);
    case LOG_JSON:
        return spec->assignment_count > 0 ? stage_json_paths(p, spec, err)
                                          : stage_json(p, spec, err);
    case LOG_LOGFMT:
        return stage_logfmt(p, spec, err);
    case LOG_REGEXP:
        return stage_regexp(p, spec, err);
    case LOG_PATTERN:
        return stage_pattern(p, spec, err);
    case LOG_UNPACK:
        return stage_unpack(p, spec, err);
    case LOG_LABEL_FILTER:
        return stage_label_filter(p, spec, err);
    case LOG_LINE_FORMAT:
        return stage_line_format(p, spec, err);
    case LOG_LABEL_FORMAT:
        return stage_label_format(p, spec, err);
    case LOG_DECOLORIZE:
        return stage_decolorize(p, spec, err);
    case LOG_DROP:
        return stage_drop(p, spec, err);
    case LOG_KEEP:
        return stage_keep(p, spec, err);
    }
    return error_set(err, ERR_INTERNAL, "unknown kind of stage");
}

static void need(struct log_program *p, struct slice name)
{
    for (size_t i = 0; i < p->needed.count; i++) {
        if (slice_equal(p->needed.items[i], name))
            return;
    }
    array_push(&p->needed, name);
}

static void need_label(struct log_program *p, struct slice name)
{
    static const struct slice suffix = {"_extracted", 10};
    need(p, name);
    if (slice_ends_with(name, suffix))
        need(p, slice_of(name.data, name.size - suffix.size));
}

static void need_condition(struct log_program *p, const struct label_condition *condition)
{
    while (condition->kind == CONDITION_AND || condition->kind == CONDITION_OR) {
        need_condition(p, condition->right); /* the parser limits the depth */
        condition = condition->left;
    }
    need_label(p, condition->name);
}

/* Which labels do the stages use?  False: a stage may use any label. */
static bool collect_needed(struct log_program *p, const struct log_stage *stages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct log_stage *stage = &stages[i];
        switch (stage->kind) {
        case LOG_LABEL_FILTER:
            need_condition(p, stage->condition);
            break;
        case LOG_LABEL_FORMAT:
        case LOG_LINE_FORMAT:
        case LOG_DROP:
        case LOG_KEEP:
            return false; /* renames and templates: every label may matter */
        default:
            break;
        }
    }
    return true;
}

static void set_hints(struct log_program *p, const struct pipeline *pipeline,
                      const struct pipeline_hints *hints)
{
    if (hints == NULL || !hints->restricted)
        return;
    for (size_t i = 0; i < hints->needed_count; i++)
        need_label(p, hints->needed[i]);
    p->restricted = collect_needed(p, pipeline->stages, pipeline->count);
    if (pipeline->unwrap)
        need_label(p, pipeline->unwrap->label);
    if (pipeline->unwrap &&
        !collect_needed(p, pipeline->unwrap->filters, pipeline->unwrap->filter_count))
        p->restricted = false;
}

/* "parse error : " goes before what a stage says about itself, as in Loki. */
static bool fail_stage(const struct log_stage *stage, struct error *err)
{
    if (err == NULL || err->code != ERR_INVALID)
        return false;
    error_prefix(err, "stage '%.*s' ", SLICE_ARG(slice_sub(stage->source, 0, STAGE_SHOWN)));
    return error_prefix(err, "parse error ");
}

static bool compile_all(struct log_program *p, const struct pipeline *pipeline, struct error *err)
{
    bool leading = true; /* only line filters so far */
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct log_stage *stage = &pipeline->stages[i];
        size_t first = p->stages.count;
        size_t conditions = p->conditions.count;
        if (!compile_stage(p, stage, err))
            return fail_stage(stage, err);
        leading = leading && stage->kind == LOG_LINE_FILTER;
        bool covered = p->conditions.count > conditions;
        if (!leading)
            p->conditions.count = conditions; /* not a condition on the raw line */
        for (size_t k = first; k < p->stages.count; k++)
            p->stages.items[k].in_predicate = leading && covered;
        if (stage->kind != LOG_LABEL_FILTER && stage->kind != LOG_DROP && stage->kind != LOG_KEEP &&
            stage->kind != LOG_LABEL_FORMAT)
            p->needs_line = true;
    }
    return true;
}

static bool compile_unwrap(struct log_program *p, const struct log_unwrap *unwrap,
                           struct error *err)
{
    if (unwrap == NULL)
        return true;
    if (!stage_unwrap(p, unwrap, err))
        return false;
    for (size_t i = 0; i < unwrap->filter_count; i++) {
        if (!stage_label_filter(p, &unwrap->filters[i], err))
            return fail_stage(&unwrap->filters[i], err);
    }
    return true;
}

struct log_program *log_program_new(const struct pipeline *pipeline,
                                    const struct pipeline_hints *hints, struct error *err)
{
    struct log_program *p = xcalloc(1, sizeof(*p));
    p->arena = arena_new_in_budget(PIPELINE_ARENA_MAX);
    set_hints(p, pipeline, hints);
    if (!compile_all(p, pipeline, err) || !compile_unwrap(p, pipeline->unwrap, err) ||
        !arena_check(p->arena, "a log pipeline", err)) {
        log_program_free(p);
        return NULL;
    }
    p->only_predicate = true;
    for (size_t i = 0; i < p->stages.count; i++)
        p->only_predicate = p->only_predicate && p->stages.items[i].in_predicate;
    p->predicate = (struct predicate){p->conditions.items, p->conditions.count};
    return p;
}

void log_program_free(struct log_program *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->regexes.count; i++)
        regex_free(p->regexes.items[i]);
    array_done(&p->regexes);
    array_done(&p->conditions);
    array_done(&p->stages);
    array_done(&p->needed);
    arena_free(p->arena);
    free(p);
}

const struct predicate *log_program_predicate(const struct log_program *program)
{
    return &program->predicate;
}

bool log_program_needs_line(const struct log_program *program)
{
    return program->needs_line;
}

bool log_program_is_empty(const struct log_program *program)
{
    return program->stages.count == 0;
}

bool log_program_is_predicate(const struct log_program *program)
{
    return program->only_predicate;
}

struct pipeline_run *pipeline_run_new(const struct log_program *program, size_t scratch_max)
{
    struct pipeline_run *run = xcalloc(1, sizeof(*run));
    assert(scratch_max >= SCRATCH_FIRST);
    run->program = program;
    buffer_init(&run->text, scratch_max);
    run->scratch = arena_new_in_budget(scratch_max);
    arena_alloc(run->scratch, SCRATCH_FIRST); /* the block that arena_reset keeps */
    return run;
}

void pipeline_run_free(struct pipeline_run *run)
{
    if (run == NULL)
        return;
    log_labels_done(&run->labels);
    buffer_done(&run->text);
    arena_free(run->scratch);
    free(run);
}

void pipeline_run_stream(struct pipeline_run *run, struct labels stream)
{
    log_labels_stream(&run->labels, stream);
}

static int run_stages(struct pipeline_run *run, bool tested, struct error *err)
{
    const struct log_program *p = run->program;
    for (size_t i = 0; i < p->stages.count; i++) {
        const struct stage *stage = &p->stages.items[i];
        if (tested && stage->in_predicate)
            continue;
        int kept = stage->run(stage, run);
        if (kept <= 0)
            return kept;
    }
    return arena_check(run->scratch, "one log line in a pipeline", err) ? 1 : -1;
}

static int run_entry(struct pipeline_run *run, int64_t time_ns, struct slice line,
                     struct labels metadata, bool tested, struct error *err)
{
    arena_reset(run->scratch);
    run->err = err;
    run->line = line;
    run->time_ns = time_ns;
    run->found = 0;
    log_labels_entry(&run->labels, metadata, run->scratch);
    return run_stages(run, tested, err);
}

int pipeline_run_entry(struct pipeline_run *run, int64_t time_ns, struct slice line,
                       struct labels metadata, struct error *err)
{
    return run_entry(run, time_ns, line, metadata, false, err);
}

int pipeline_run_tested(struct pipeline_run *run, int64_t time_ns, struct slice line,
                        struct labels metadata, struct error *err)
{
    return run_entry(run, time_ns, line, metadata, true, err);
}

/* ---- what parsers share ------------------------------------------------ */

static bool is_needed(const struct log_program *p, struct slice name)
{
    for (size_t i = 0; i < p->needed.count; i++) {
        if (slice_equal(p->needed.items[i], name))
            return true;
    }
    return false;
}

bool run_wants(const struct pipeline_run *run, struct slice name)
{
    if (run->program->restricted && !is_needed(run->program, name))
        return false;
    return !log_labels_is_extracted(&run->labels, name);
}

bool log_program_uses(const struct log_program *program, struct slice name)
{
    static const struct slice suffix = {"_extracted", 10};
    if (!program->restricted || slice_starts_with(name, SLICE("__error")))
        return true;
    if (is_needed(program, name))
        return true;
    /* A label of the stream of that name would make it name_extracted. */
    for (size_t i = 0; i < program->needed.count; i++) {
        struct slice needed = program->needed.items[i];
        if (needed.size == name.size + suffix.size && slice_starts_with(needed, name) &&
            slice_ends_with(needed, suffix))
            return true;
    }
    return false;
}

bool run_wants_nothing(const struct pipeline_run *run)
{
    return run->program->restricted && run->program->needed.count == 0;
}

bool run_extract(struct pipeline_run *run, struct slice name, struct slice value)
{
    log_labels_extract(&run->labels, name, value);
    if (!run->program->restricted)
        return false;
    run->found++;
    return run->found == run->program->needed.count;
}

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

static bool is_clean_name(struct slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        if (!is_label_byte(key.data[i]))
            return false;
    }
    return true;
}

static struct slice trim_blanks(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || (s.data[0] >= '\t' && s.data[0] <= '\r'))) {
        s.data++;
        s.size--;
    }
    while (s.size > 0) {
        char last = s.data[s.size - 1];
        if (last != ' ' && !(last >= '\t' && last <= '\r'))
            break;
        s.size--;
    }
    return s;
}

bool run_may_want(const struct pipeline_run *run, struct slice prefix, struct slice key)
{
    const struct log_program *p = run->program;
    if (!p->restricted || key.size == 0 || !is_clean_name(key) || prefix.size >= 64)
        return true;
    for (size_t i = 0; i < p->needed.count; i++) {
        struct slice name = p->needed.items[i];
        if (prefix.size == 0 ? slice_equal(name, key) : slice_starts_with(name, prefix))
            return true;
    }
    return prefix.size == 0 && key.data[0] >= '0' && key.data[0] <= '9';
}

struct slice label_name_sanitise(struct slice key, bool first, struct arena *scratch)
{
    key = trim_blanks(key);
    if (key.size == 0)
        return key;
    bool digit = first && key.data[0] >= '0' && key.data[0] <= '9';
    if (!digit && is_clean_name(key))
        return key;
    char *name = arena_alloc(scratch, key.size + 1);
    if (name == NULL)
        return (struct slice){NULL, 0}; /* pipeline.c reports the exhausted arena */
    size_t size = 0;
    if (digit)
        name[size++] = '_';
    for (size_t at = 0; at < key.size;) {
        char c = key.data[at];
        if (is_label_byte(c)) {
            name[size++] = c;
            at++;
        } else {
            utf8_next(key, &at, NULL);
            name[size++] = '_';
        }
    }
    return slice_of(name, size);
}

struct slice value_sanitise(struct slice value, struct arena *scratch)
{
    bool ascii = true;
    for (size_t i = 0; i < value.size && ascii; i++)
        ascii = (unsigned char)value.data[i] < 0x80;
    if (ascii)
        return value;
    if (utf8_is_valid(value) && slice_find(value, SLICE("\xEF\xBF\xBD"), 0) == SLICE_NOT_FOUND)
        return value;
    char *clean = arena_alloc(scratch, value.size);
    if (clean == NULL)
        return (struct slice){NULL, 0};
    size_t size = 0;
    for (size_t at = 0; at < value.size;) {
        size_t from = at;
        uint32_t code = utf8_next(value, &at, NULL);
        if (code == UTF8_REPLACEMENT)
            continue;
        memcpy(clean + size, value.data + from, at - from);
        size += at - from;
    }
    return slice_of(clean, size);
}
