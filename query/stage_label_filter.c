/*
 * stage_label_filter.c - | a="x" and b>5ms or (c>=10KB): label filters, and unwrap.
 *
 * Strings compare with "" when the label is missing.  Numbers, durations and
 * bytes drop an entry that lacks the label; a value that cannot be read keeps
 * the entry and sets the error, unless there is one already.
 */
#include "base/arena.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "base/regex.h"
#include "query/ip_match.h"
#include "query/pipeline_stage.h"

/* A compiled node of the tree. */
struct filter {
    const struct label_condition *spec;
    const struct filter *left, *right;
    const struct regex *regex;
    const struct ip_matcher *ip;
};

static int test_string(const struct filter *f, struct pipeline_run *run)
{
    struct slice value = log_labels_value(&run->labels, f->spec->name);
    if (f->spec->matcher == MATCH_EQUAL)
        return slice_equal(value, f->spec->text);
    if (f->spec->matcher == MATCH_NOT_EQUAL)
        return !slice_equal(value, f->spec->text);
    int hit = regex_match(f->regex, value, run->err);
    if (hit < 0)
        return -1;
    return f->spec->matcher == MATCH_REGEX ? hit : !hit;
}

/* `order`: the value against the literal, <0, 0, >0; 2 is "not comparable" (NaN). */
static int test_order(enum compare_type compare, int order)
{
    bool comparable = order != 2;
    switch (compare) {
    case COMPARE_EQUAL:
        return order == 0;
    case COMPARE_NOT_EQUAL:
        return order != 0;
    case COMPARE_GREATER:
        return comparable && order > 0;
    case COMPARE_GREATER_EQUAL:
        return comparable && order >= 0;
    case COMPARE_LESS:
        return comparable && order < 0;
    case COMPARE_LESS_EQUAL:
        return comparable && order <= 0;
    }
    return 0;
}

static int order_of_doubles(double a, double b)
{
    if (a < b)
        return -1;
    return a > b ? 1 : a == b ? 0 : 2;
}

static int unreadable(struct pipeline_run *run, const char *reader, struct slice value)
{
    struct slice details = arena_printf(run->scratch, "%s: cannot read \"%.*s\"", reader,
                                        SLICE_ARG(slice_sub(value, 0, 200)));
    log_labels_fail(&run->labels, ERROR_LABEL_FILTER, details);
    return 1;
}

static int test_quantity(const struct filter *f, struct pipeline_run *run)
{
    const struct label_condition *spec = f->spec;
    const struct log_label *label = log_labels_find(&run->labels, spec->name);
    if (label == NULL)
        return 0;
    if (spec->kind == CONDITION_NUMBER) {
        double number;
        if (!slice_parse_double(label->value, false, &number))
            return unreadable(run, "strconv.ParseFloat", label->value);
        return test_order(spec->compare, order_of_doubles(number, spec->number));
    }
    if (spec->kind == CONDITION_DURATION) {
        int64_t ns;
        if (!duration_parse_go(label->value, &ns))
            return unreadable(run, "time: invalid duration", label->value);
        return test_order(spec->compare, (ns > spec->duration_ns) - (ns < spec->duration_ns));
    }
    uint64_t bytes;
    if (!byte_size_parse(label->value, &bytes))
        return unreadable(run, "invalid size", label->value);
    return test_order(spec->compare, (bytes > spec->bytes) - (bytes < spec->bytes));
}

/* As in Loki, an entry with an error passes this filter, though not those of numbers. */
static int test_ip(const struct filter *f, struct pipeline_run *run)
{
    if (run->labels.error.size > 0)
        return 1;
    const struct log_label *label = log_labels_find(&run->labels, f->spec->name);
    if (label == NULL)
        return 0;
    bool hit = ip_matcher_scan(f->ip, label->value);
    return f->spec->compare == COMPARE_EQUAL ? hit : !hit;
}

static int test_filter(const struct filter *f, struct pipeline_run *run)
{
    int left, right;
    switch (f->spec->kind) {
    case CONDITION_AND: /* both sides run: the right one may set an error */
        left = test_filter(f->left, run);
        right = left < 0 ? -1 : test_filter(f->right, run);
        return left < 0 || right < 0 ? -1 : left && right;
    case CONDITION_OR:
        left = test_filter(f->left, run);
        return left != 0 ? left : test_filter(f->right, run);
    case CONDITION_STRING:
        return test_string(f, run);
    case CONDITION_IP:
        return test_ip(f, run);
    case CONDITION_NUMBER:
    case CONDITION_DURATION:
    case CONDITION_BYTES:
        return test_quantity(f, run);
    }
    return 0;
}

static int filter_labels(const struct stage *stage, struct pipeline_run *run)
{
    return test_filter(stage->state, run);
}

/*
 * Loki anchors the regexes of label filters, but takes "word.*", ".*word" and
 * ".*word.*" for "contains word", and so do we.
 */
static struct slice simplify(struct slice pattern, unsigned *flags)
{
    struct slice any = SLICE(".*");
    struct slice word = pattern;
    if (slice_starts_with(word, any))
        word = slice_skip(word, any.size);
    if (slice_ends_with(word, any))
        word.size -= any.size;
    *flags = REGEX_ANCHORED;
    if (word.size == 0 || word.size == pattern.size)
        return pattern;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '\0' || strchr("\\.+*?()[]{}|^$", word.data[i]))
            return pattern;
    }
    *flags = 0;
    return word;
}

/* The parser limits how deep conditions nest. */
static const struct filter *compile(struct log_program *p, const struct label_condition *spec,
                                    struct error *err)
{
    struct filter *f = arena_calloc(p->arena, 1, sizeof(*f));
    if (f == NULL) {
        error_set(err, ERR_LIMIT, "a log pipeline is too large");
        return NULL;
    }
    f->spec = spec;
    if (spec->kind == CONDITION_AND || spec->kind == CONDITION_OR) {
        f->left = compile(p, spec->left, err);
        f->right = f->left ? compile(p, spec->right, err) : NULL;
        return f->right ? f : NULL;
    }
    if (spec->kind == CONDITION_IP) {
        f->ip = ip_matcher_new(p->arena, spec->text, err);
        return f->ip ? f : NULL;
    }
    if (spec->kind == CONDITION_STRING &&
        (spec->matcher == MATCH_REGEX || spec->matcher == MATCH_NOT_REGEX)) {
        unsigned flags;
        struct slice pattern = simplify(spec->text, &flags);
        f->regex = log_program_regex(p, pattern, flags, err);
        if (f->regex == NULL) {
            error_prefix(err, "error parsing regexp");
            return NULL;
        }
    }
    return f;
}

bool stage_label_filter(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    const struct filter *filter = compile(p, spec->condition, err);
    if (filter == NULL)
        return false;
    log_program_add(p, filter_labels, filter);
    return true;
}

/* ---- | unwrap ------------------------------------------------------------------ */

static bool convert(enum unwrap_conversion conversion, struct slice text, double *value)
{
    if (conversion == UNWRAP_BYTES) {
        uint64_t bytes;
        if (!byte_size_parse(text, &bytes))
            return false;
        *value = (double)bytes;
        return true;
    }
    if (conversion == UNWRAP_NUMBER)
        return slice_parse_double(text, false, value);
    int64_t ns;
    if (!duration_parse_go(text, &ns))
        return false;
    /* As Go's Duration.Seconds(): whole seconds and the rest apart. */
    *value = (double)(ns / NS_PER_SECOND) + (double)(ns % NS_PER_SECOND) / 1e9;
    return true;
}

static int unwrap_label(const struct stage *stage, struct pipeline_run *run)
{
    const struct log_unwrap *unwrap = stage->state;
    const struct log_label *label = log_labels_find(&run->labels, unwrap->label);
    if (label == NULL || label->value.size == 0)
        return 0; /* lines without the label are no samples */
    run->value = 0;
    if (!convert(unwrap->conversion, label->value, &run->value)) {
        run->value = 0;
        struct slice details = arena_printf(run->scratch, "cannot unwrap \"%.*s\"",
                                            SLICE_ARG(slice_sub(label->value, 0, 200)));
        run->labels.error = (struct slice){NULL, 0};
        log_labels_fail(&run->labels, ERROR_SAMPLE, details);
    }
    return 1;
}

bool stage_unwrap(struct log_program *p, const struct log_unwrap *unwrap, struct error *err)
{
    (void)err;
    log_program_add(p, unwrap_label, unwrap);
    return true;
}
