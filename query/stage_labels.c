/*
 * stage_labels.c - drop, keep, label_format and line_format.
 *
 * A template that fails on a line leaves the line, or the label, as it is and sets
 * the error.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/template.h"
#include "query/pipeline_stage.h"

struct label_list {
    const struct stage_label *specs;
    const struct matcher *matchers; /* parallel; only where has_matcher */
    size_t count;
};

static int matches(const struct label_list *list, size_t i, struct slice value,
                   struct pipeline_run *run)
{
    return matcher_test(&list->matchers[i], value, run->err);
}

static int drop_error_label(const struct label_list *list, size_t i, struct pipeline_run *run,
                            struct slice *field)
{
    int hit = list->specs[i].has_matcher ? matches(list, i, *field, run) : 1;
    if (hit == 1 && field->size > 0) {
        *field = (struct slice){NULL, 0};
        run->labels.changed = true;
    }
    return hit < 0 ? -1 : 1;
}

static int drop_one(const struct label_list *list, size_t i, struct pipeline_run *run)
{
    struct slice name = list->specs[i].name;
    if (slice_equal(name, LABEL_ERROR)) {
        if (!list->specs[i].has_matcher) /* without a matcher the details go, too */
            drop_error_label(list, i, run, &run->labels.error_details);
        return drop_error_label(list, i, run, &run->labels.error);
    }
    if (slice_equal(name, LABEL_ERROR_DETAILS))
        return drop_error_label(list, i, run, &run->labels.error_details);
    const struct log_label *label = log_labels_find(&run->labels, name);
    if (label == NULL)
        return 1;
    int hit = list->specs[i].has_matcher ? matches(list, i, label->value, run) : 1;
    if (hit == 1)
        log_labels_delete(&run->labels, name);
    return hit < 0 ? -1 : 1;
}

static int drop_labels(const struct stage *stage, struct pipeline_run *run)
{
    const struct label_list *list = stage->state;
    for (size_t i = 0; i < list->count; i++) {
        if (drop_one(list, i, run) < 0)
            return -1;
    }
    return 1;
}

static int is_kept(const struct label_list *list, const struct log_label *label,
                   struct pipeline_run *run)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!slice_equal(list->specs[i].name, label->name))
            continue;
        int hit = list->specs[i].has_matcher ? matches(list, i, label->value, run) : 1;
        if (hit != 0)
            return hit;
    }
    return 0;
}

static bool is_special(struct slice name)
{
    return slice_equal(name, LABEL_ERROR) || slice_equal(name, LABEL_ERROR_DETAILS) ||
           slice_equal(name, SLICE("__preserve_error__"));
}

static int keep_labels(const struct stage *stage, struct pipeline_run *run)
{
    const struct label_list *list = stage->state;
    struct log_labels *labels = &run->labels;
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->items[i].deleted || is_special(labels->items[i].name))
            continue;
        int kept = is_kept(list, &labels->items[i], run);
        if (kept < 0)
            return -1;
        if (!kept) {
            labels->items[i].deleted = labels->stream_changed = true;
            labels->changed = true;
        }
    }
    return 1;
}

/* Compiled matchers own a regex each; the pipeline frees those. */
static bool compile_list(struct log_program *p, const struct log_stage *spec,
                         int (*run)(const struct stage *, struct pipeline_run *), struct error *err)
{
    struct label_list *list = arena_calloc(p->arena, 1, sizeof(*list));
    struct matcher *matchers = arena_calloc(p->arena, spec->label_count + 1, sizeof(*matchers));
    if (list == NULL || matchers == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    for (size_t i = 0; i < spec->label_count; i++) {
        const struct stage_label *label = &spec->labels[i];
        if (!label->has_matcher)
            continue;
        if (!matcher_init(&matchers[i], label->matcher, label->name, label->value, err))
            return error_prefix(err, "error parsing regexp");
        if (matchers[i].regex)
            array_push(&p->regexes, matchers[i].regex);
    }
    *list = (struct label_list){spec->labels, matchers, spec->label_count};
    log_program_add(p, run, list);
    return true;
}

bool stage_drop(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    return compile_list(p, spec, drop_labels, err);
}

bool stage_keep(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    return compile_list(p, spec, keep_labels, err);
}

/* ---- templates ---------------------------------------------------------------- */

static struct slice lookup(void *context, struct slice name)
{
    return log_labels_value(&((struct pipeline_run *)context)->labels, name);
}

static struct labels all_labels(void *context, struct arena *arena)
{
    return log_labels_all(&((struct pipeline_run *)context)->labels, arena);
}

/* 1: the result is in `*result`; 0: the template failed on this line; -1: over a limit. */
static int expand(const struct text_template *t, struct pipeline_run *run, struct slice *result)
{
    struct slice plain;
    if (template_is_plain(t, &plain)) {
        *result = plain;
        return 1;
    }
    struct error why = {0};
    struct template_input input = {lookup, all_labels, run, run->line, run->time_ns};
    buffer_clear(&run->text);
    if (!template_run(t, &input, run->scratch, &run->text, &why)) {
        if (why.code == ERR_LIMIT) {
            *run->err = why;
            return -1;
        }
        log_labels_fail(&run->labels, ERROR_TEMPLATE,
                        arena_copy(run->scratch, slice_from_text(why.message)));
        return 0;
    }
    *result = arena_copy(run->scratch, buffer_slice(&run->text));
    return 1;
}

static const struct text_template *compile_template(struct log_program *p, struct slice text,
                                                    const char *name, struct error *err)
{
    return template_new(text, name, p->arena, err);
}

static int format_line(const struct stage *stage, struct pipeline_run *run)
{
    struct slice line;
    int done = expand(stage->state, run, &line);
    if (done == 1)
        run->line = line;
    return done < 0 ? -1 : 1; /* a line whose template fails stays as it is */
}

bool stage_line_format(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    const struct text_template *t = compile_template(p, spec->text, "line", err);
    if (t == NULL)
        return false;
    log_program_add(p, format_line, t);
    return true;
}

/* ---- label_format ---------------------------------------------------------------- */

struct label_formats {
    const struct stage_assignment *items;
    const struct text_template **templates; /* parallel; NULL for renames */
    size_t count;
};

static void rename_label(struct pipeline_run *run, const struct stage_assignment *item)
{
    const struct log_label *from = log_labels_find(&run->labels, item->value);
    if (from == NULL)
        return;
    struct slice value = from->value;
    log_labels_set(&run->labels, CATEGORY_PARSED, item->name, value);
    log_labels_delete(&run->labels, item->value);
}

/* The values of the stage's templates from `first` on; false over a limit. */
static bool expand_all(const struct label_formats *formats, size_t first, struct slice *values,
                       bool *good, struct pipeline_run *run)
{
    for (size_t i = first; i < formats->count; i++) {
        if (formats->items[i].rename)
            continue;
        int done = expand(formats->templates[i], run, &values[i]);
        if (done < 0)
            return false;
        good[i] = done == 1;
    }
    return true;
}

/*
 * Renames take effect one by one; the templates all see the labels as they are
 * at the stage's first template.
 */
static int format_labels(const struct stage *stage, struct pipeline_run *run)
{
    const struct label_formats *formats = stage->state;
    struct slice *values = NULL;
    bool *good = NULL;
    for (size_t i = 0; i < formats->count; i++) {
        const struct stage_assignment *item = &formats->items[i];
        if (item->rename) {
            rename_label(run, item);
            continue;
        }
        if (values == NULL) {
            values = arena_calloc(run->scratch, formats->count, sizeof(*values));
            good = arena_calloc(run->scratch, formats->count, sizeof(*good));
            if (values == NULL || good == NULL)
                return 1; /* pipeline.c reports the exhausted arena */
            if (!expand_all(formats, i, values, good, run))
                return -1;
        }
        if (good[i])
            log_labels_set(&run->labels, CATEGORY_PARSED, item->name, values[i]);
    }
    return 1;
}

static bool check_formats(const struct log_stage *spec, struct error *err)
{
    for (size_t i = 0; i < spec->assignment_count; i++) {
        struct slice name = spec->assignments[i].name;
        if (slice_equal(name, LABEL_ERROR))
            return error_set(err, ERR_INVALID, "%.*s cannot be formatted", SLICE_ARG(name));
        for (size_t k = 0; k < i; k++) {
            if (slice_equal(spec->assignments[k].name, name))
                return error_set(
                    err, ERR_INVALID,
                    "multiple label name '%.*s' not allowed in a single format operation",
                    SLICE_ARG(slice_sub(name, 0, 100)));
        }
    }
    return true;
}

bool stage_label_format(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    struct label_formats *formats = arena_calloc(p->arena, 1, sizeof(*formats));
    const struct text_template **templates =
        arena_calloc(p->arena, spec->assignment_count, sizeof(*templates));
    if (formats == NULL || templates == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    if (!check_formats(spec, err))
        return false;
    for (size_t i = 0; i < spec->assignment_count; i++) {
        const struct stage_assignment *item = &spec->assignments[i];
        if (item->rename)
            continue;
        templates[i] = compile_template(p, item->value, "label", err);
        if (templates[i] == NULL)
            return false;
    }
    *formats = (struct label_formats){spec->assignments, templates, spec->assignment_count};
    log_program_add(p, format_labels, formats);
    return true;
}
