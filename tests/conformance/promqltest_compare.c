/*
 * promqltest_compare.c - is a result what a case expects?  FORMAT.md section 4.
 */
#include "promqltest.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/number.h"
#include "base/regex.h"

#include <float.h>
#include <math.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

bool same_value(double a, double b)
{
    bool stale_a = double_bits(a) == STALE_MARKER, stale_b = double_bits(b) == STALE_MARKER;
    if (stale_a || stale_b)
        return stale_a && stale_b;
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < 1e-6 * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < 1e-6;
}

/* ---- telling what came ------------------------------------------------------------------ */

static void show_number(struct buffer *out, double v)
{
    buffer_append_byte(out, ' ');
    buffer_append_double(out, v, 'g');
}

static void show_result(struct buffer *out, const struct query_result *r)
{
    buffer_append_text(out, "\n    got");
    if (r->type == RESULT_SCALAR)
        show_number(out, r->scalar.value);
    if (r->type == RESULT_STRING) {
        buffer_append_byte(out, ' ');
        buffer_append_quoted(out, r->string);
    }
    if (r->series_count == 0 && r->type != RESULT_SCALAR && r->type != RESULT_STRING)
        buffer_append_text(out, " nothing");
    for (size_t i = 0; i < r->series_count && i < 20; i++) {
        buffer_append_text(out, "\n      ");
        labels_append_text(out, r->series[i].labels);
        for (size_t j = 0; j < r->series[i].count && j < 20; j++) {
            const struct query_point *point = &r->series[i].points[j];
            if (point->histogram)
                histogram_show(out, point->histogram);
            else
                show_number(out, point->value);
            if (r->type == RESULT_MATRIX)
                buffer_printf(out, "@%lld", (long long)(r->series[i].points[j].time_ns / 1000000));
        }
    }
}

static bool refuse(struct buffer *why, const struct query_result *r, const char *text)
{
    buffer_append_text(why, text);
    show_result(why, r);
    return false;
}

static bool refuse_series(struct buffer *why, const struct query_result *r, const char *text,
                          struct labels labels)
{
    buffer_append_text(why, text);
    buffer_append_byte(why, ' ');
    labels_append_text(why, labels);
    show_result(why, r);
    return false;
}

/* ---- annotations and errors ------------------------------------------------------------------ */

static bool text_matches(const struct expectation *e, struct slice text)
{
    if (e->exact)
        return slice_equal(e->text, text);
    if (!e->is_regex)
        return true;
    struct error err = {0};
    struct regex_span span;
    struct regex *regex = regex_new(e->text, 0, &err);
    int hit = regex ? regex_find(regex, text, 0, &span, 1, &err) : -1;
    regex_free(regex);
    return hit == 1;
}

static bool compare_level(const struct eval_case *c, enum expect_kind kind, enum expect_kind none,
                          const struct slice *items, size_t count, struct buffer *why)
{
    if (case_expects(c, none) > 0 && count > 0) {
        buffer_printf(why, "expected no annotation, got: %.*s", SLICE_ARG(items[0]));
        return false;
    }
    if (case_expects(c, kind) == 0)
        return true;
    for (size_t i = 0; i < c->expect_count; i++) {
        bool found = c->expects[i].kind != kind;
        for (size_t j = 0; j < count && !found; j++)
            found = text_matches(&c->expects[i], items[j]);
        if (!found) {
            buffer_printf(why, "expected the annotation: %.*s", SLICE_ARG(c->expects[i].text));
            for (size_t j = 0; j < count; j++)
                buffer_printf(why, "\n    got: %.*s", SLICE_ARG(items[j]));
            return false;
        }
    }
    for (size_t j = 0; j < count; j++) {
        bool found = false;
        for (size_t i = 0; i < c->expect_count && !found; i++)
            found = c->expects[i].kind == kind && text_matches(&c->expects[i], items[j]);
        if (!found) {
            buffer_printf(why, "unexpected annotation: %.*s", SLICE_ARG(items[j]));
            return false;
        }
    }
    return true;
}

bool compare_error(const struct eval_case *c, const struct error *err, struct buffer *why)
{
    if (case_expects(c, EXPECT_FAIL) == 0) {
        buffer_printf(why, "error: %s", err->message);
        return false;
    }
    for (size_t i = 0; i < c->expect_count; i++) {
        const struct expectation *e = &c->expects[i];
        if (e->kind == EXPECT_FAIL && !text_matches(e, slice_from_text(err->message))) {
            buffer_printf(why, "expected the error: %.*s\n    got: %s", SLICE_ARG(e->text),
                          err->message);
            return false;
        }
    }
    return true;
}

/* ---- values
 * --------------------------------------------------------------------------------------- */

struct wanted {
    int64_t start_ms, step_ms, end_ms;
};

static bool same_point(const struct value_item *item, const struct query_point *point)
{
    if (item->histogram || point->histogram)
        return item->histogram && point->histogram && histogram_matches(item, point->histogram);
    return same_value(item->value, point->value);
}

/* Compare one line with one series: each value belongs to start + i * step. */
static bool compare_points(const struct series_line *line, const struct query_series *series,
                           const struct wanted *w)
{
    size_t at = 0;
    for (size_t i = 0; i < line->count; i++) {
        if (line->items[i].missing)
            continue;
        int64_t time = w->start_ms + (int64_t)i * w->step_ms;
        if (time > w->end_ms || at == series->count)
            return false;
        const struct query_point *point = &series->points[at++];
        if (point->time_ns != time * 1000000 || !same_point(&line->items[i], point))
            return false;
    }
    return at == series->count;
}

static const struct query_series *find_series(const struct query_result *r, struct labels labels)
{
    for (size_t i = 0; i < r->series_count; i++) {
        if (labels_equal(r->series[i].labels, labels))
            return &r->series[i];
    }
    return NULL;
}

static bool line_is_empty(const struct series_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        if (!line->items[i].missing)
            return false;
    }
    return true;
}

static bool compare_series(const struct eval_case *c, const struct query_result *r,
                           const struct wanted *w, struct buffer *why)
{
    size_t expected = 0;
    for (size_t i = 0; i < c->line_count; i++) {
        const struct series_line *line = &c->lines[i];
        if (line_is_empty(line))
            continue;
        expected++;
        const struct query_series *series = find_series(r, line->labels);
        if (series == NULL)
            return refuse_series(why, r, "missing series", line->labels);
        if (!compare_points(line, series, w)) {
            buffer_append_text(why, "expected");
            for (size_t j = 0; j < line->count && j < 20; j++) {
                if (line->items[j].histogram)
                    histogram_show(why, line->items[j].histogram);
                else
                    show_number(why, line->items[j].value);
            }
            return refuse_series(why, r, " for", line->labels);
        }
    }
    if (r->series_count > expected)
        return refuse(why, r, "unexpected series");
    return true;
}

static bool check_sorted(const struct query_result *r, struct buffer *why)
{
    for (size_t i = 1; i < r->series_count; i++) {
        if (labels_compare(r->series[i - 1].labels, r->series[i].labels) >= 0)
            return refuse(why, r, "the matrix is not sorted by labels");
    }
    return true;
}

static bool compare_vector(const struct eval_case *c, const struct query_result *r,
                           struct buffer *why)
{
    struct wanted w = {c->start_ms, 1, c->start_ms};
    /* The time of a vector's points is the evaluation's, which differs in re-runs. */
    if (r->series_count > 0)
        w.start_ms = w.end_ms = r->series[0].points[0].time_ns / 1000000;
    if (!compare_series(c, r, &w, why))
        return false;
    if (case_expects(c, EXPECT_ORDERED) == 0)
        return true;
    for (size_t i = 0; i < c->line_count; i++) {
        if (!labels_equal(c->lines[i].labels, r->series[i].labels))
            return refuse_series(why, r, "out of order", c->lines[i].labels);
    }
    return true;
}

static bool compare_range_vector(const struct eval_case *c, const struct query_result *r,
                                 struct buffer *why)
{
    if (r->type != RESULT_MATRIX)
        return refuse(why, r, "expected a range vector");
    for (size_t i = 0; i < c->expect_count; i++) {
        const struct expectation *e = &c->expects[i];
        struct wanted w = {e->from_ms, e->step_ms, e->to_ms};
        if (e->kind == EXPECT_RANGE_VECTOR)
            return check_sorted(r, why) && compare_series(c, r, &w, why);
    }
    return false;
}

static bool compare_string(const struct eval_case *c, const struct query_result *r,
                           struct buffer *why)
{
    for (size_t i = 0; i < c->expect_count; i++) {
        if (c->expects[i].kind == EXPECT_STRING)
            return (r->type == RESULT_STRING && slice_equal(r->string, c->expects[i].text)) ||
                   refuse(why, r, "expected another string");
    }
    return false;
}

/* Of a matrix the points at one time: they must be what the instant query expects. */
static bool compare_picked(const struct eval_case *c, const struct query_result *r, int64_t at_ms,
                           struct buffer *why)
{
    size_t found = 0;
    for (size_t i = 0; i < r->series_count; i++) {
        const struct query_series *series = &r->series[i];
        for (size_t j = 0; j < series->count; j++) {
            if (series->points[j].time_ns != at_ms * 1000000)
                continue;
            found++;
            if (c->scalar) {
                if (!same_value(series->points[j].value, c->scalar_value))
                    return refuse(why, r, "as a range query: another scalar");
                continue;
            }
            bool matched = false;
            for (size_t k = 0; k < c->line_count && !matched; k++) {
                const struct series_line *line = &c->lines[k];
                matched = labels_equal(line->labels, series->labels) && line->count == 1 &&
                          same_point(&line->items[0], &series->points[j]);
            }
            if (!matched)
                return refuse_series(why, r, "as a range query: unexpected value of",
                                     series->labels);
        }
    }
    size_t wanted = c->scalar ? 1 : c->line_count;
    return found == wanted || refuse(why, r, "as a range query: series are missing");
}

static bool compare_values(const struct eval_case *c, const struct compare_mode *mode,
                           const struct query_result *r, struct buffer *why)
{
    if (mode->pick)
        return check_sorted(r, why) && compare_picked(c, r, mode->only_at_ms, why);
    if (case_expects(c, EXPECT_STRING) > 0)
        return compare_string(c, r, why);
    if (case_expects(c, EXPECT_RANGE_VECTOR) > 0)
        return compare_range_vector(c, r, why);
    if (mode->range) {
        struct wanted w = {c->start_ms, c->step_ms, c->end_ms};
        return check_sorted(r, why) && compare_series(c, r, &w, why);
    }
    if (c->scalar) {
        if (r->type != RESULT_SCALAR || !same_value(r->scalar.value, c->scalar_value)) {
            buffer_append_text(why, "expected the scalar");
            show_number(why, c->scalar_value);
            return refuse(why, r, "");
        }
        return true;
    }
    if (r->type != RESULT_VECTOR)
        return refuse(why, r, "expected an instant vector");
    return compare_vector(c, r, why);
}

bool compare_result(const struct eval_case *c, const struct compare_mode *mode,
                    const struct query_result *r, struct buffer *why)
{
    if (case_expects(c, EXPECT_FAIL) > 0)
        return refuse(why, r, "expected an error");
    if (!mode->values_only &&
        (!compare_level(c, EXPECT_WARN, EXPECT_NO_WARN, r->warnings, r->warning_count, why) ||
         !compare_level(c, EXPECT_INFO, EXPECT_NO_INFO, r->infos, r->info_count, why)))
        return false;
    return compare_values(c, mode, r, why);
}
