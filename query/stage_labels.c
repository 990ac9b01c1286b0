/*
 * stage_labels.c - drop, keep, label_format and line_format.
 *
 * Templates know literal text and {{.label}} so far; anything else in braces is
 * refused when the query is built.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
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
            labels->items[i].deleted = true;
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

struct template_part {
    bool label; /* text is a label's name; else literal */
    struct slice text;
};

struct text_template {
    struct template_part *parts;
    size_t count;
};

static bool is_plain_name(struct slice s)
{
    return label_name_is_classic(s);
}

static bool template_new(struct text_template *t, struct slice text, const char *stage,
                         struct arena *arena, struct error *err)
{
    struct template_part *parts = arena_calloc(arena, text.size + 1, sizeof(*parts));
    if (parts == NULL)
        return error_set(err, ERR_LIMIT, "the template is too large");
    size_t count = 0;
    for (size_t at = 0; at < text.size;) {
        size_t open = slice_find(text, SLICE("{{"), at);
        size_t literal_end = open == SLICE_NOT_FOUND ? text.size : open;
        if (literal_end > at)
            parts[count++] = (struct template_part){false, slice_sub(text, at, literal_end - at)};
        if (open == SLICE_NOT_FOUND)
            break;
        size_t close = slice_find(text, SLICE("}}"), open + 2);
        if (close == SLICE_NOT_FOUND)
            return error_set(err, ERR_INVALID,
                             "invalid %s template: template: %s:1: unclosed action", stage, stage);
        struct slice action = slice_trim(slice_sub(text, open + 2, close - open - 2));
        if (action.size < 2 || action.data[0] != '.' || !is_plain_name(slice_skip(action, 1)))
            return error_set(err, ERR_UNSUPPORTED,
                             "%s_format: the template action {{%.*s}} is not supported yet", stage,
                             SLICE_ARG(slice_sub(action, 0, 100)));
        parts[count++] = (struct template_part){true, slice_skip(action, 1)};
        at = close + 2;
    }
    *t = (struct text_template){parts, count};
    return true;
}

/* A copy of the values by name, as they were before the stage's first template. */
static struct slice template_expand(const struct text_template *t, struct pipeline_run *run)
{
    size_t size = 0;
    for (size_t i = 0; i < t->count; i++)
        size += t->parts[i].label ? log_labels_value(&run->labels, t->parts[i].text).size
                                  : t->parts[i].text.size;
    char *out = arena_alloc(run->scratch, size);
    size_t at = 0;
    for (size_t i = 0; out && i < t->count; i++) {
        struct slice part =
            t->parts[i].label ? log_labels_value(&run->labels, t->parts[i].text) : t->parts[i].text;
        if (part.size > 0)
            memcpy(out + at, part.data, part.size);
        at += part.size;
    }
    return slice_of(out, at);
}

static int format_line(const struct stage *stage, struct pipeline_run *run)
{
    run->line = template_expand(stage->state, run);
    return 1;
}

bool stage_line_format(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    struct text_template *t = arena_calloc(p->arena, 1, sizeof(*t));
    if (t == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    if (!template_new(t, spec->text, "line", p->arena, err))
        return false;
    log_program_add(p, format_line, t);
    return true;
}

/* ---- label_format ---------------------------------------------------------------- */

struct label_formats {
    const struct stage_assignment *items;
    struct text_template *templates; /* parallel; unused for renames */
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

/*
 * Renames take effect one by one; the templates all see the labels as they are
 * at the stage's first template.
 */
static int format_labels(const struct stage *stage, struct pipeline_run *run)
{
    const struct label_formats *formats = stage->state;
    struct slice *values = NULL;
    for (size_t i = 0; i < formats->count; i++) {
        const struct stage_assignment *item = &formats->items[i];
        if (item->rename) {
            rename_label(run, item);
            continue;
        }
        if (values == NULL) {
            values = arena_calloc(run->scratch, formats->count, sizeof(*values));
            for (size_t k = i; values && k < formats->count; k++) {
                if (!formats->items[k].rename)
                    values[k] = template_expand(&formats->templates[k], run);
            }
            if (values == NULL)
                return 1; /* pipeline.c reports the exhausted arena */
        }
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
    struct text_template *templates =
        arena_calloc(p->arena, spec->assignment_count, sizeof(*templates));
    if (formats == NULL || templates == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    if (!check_formats(spec, err))
        return false;
    for (size_t i = 0; i < spec->assignment_count; i++) {
        const struct stage_assignment *item = &spec->assignments[i];
        if (!item->rename && !template_new(&templates[i], item->value, "label", p->arena, err))
            return false;
    }
    *formats = (struct label_formats){spec->assignments, templates, spec->assignment_count};
    log_program_add(p, format_labels, formats);
    return true;
}
