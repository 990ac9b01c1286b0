/*
 * test_window.c - range functions against a deliberately simple reference: each
 * window is cut out anew and the function is worked out from its definition.
 */
#include "query/eval.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "query/annotations.h"
#include "query/function.h"
#include "query/window_memo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

enum { SAMPLES_MAX = 200, STEPS_MAX = 120, ROUNDS = 400 };

/* A window's samples: what a reference function sees. */
struct cut {
    double t[SAMPLES_MAX], v[SAMPLES_MAX];
    int n;
    double start, end, range, parameter;
};

typedef bool reference(const struct cut *c, double *out);

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double random_value(void)
{
    switch (random_next() % 12) {
    case 0:
        return (double)NAN;
    case 1:
        return (double)INFINITY;
    case 2:
        return -1.5;
    default:
        return (double)(random_next() % 100) / 4;
    }
}

/* ---- the reference -------------------------------------------------------------------- */

static bool ref_sum(const struct cut *c, double *out)
{
    long double sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += c->v[i];
    *out = (double)sum;
    return c->n > 0;
}

static bool ref_avg(const struct cut *c, double *out)
{
    long double sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += c->v[i];
    *out = (double)(sum / c->n);
    return c->n > 0;
}

static bool ref_extreme(const struct cut *c, double *out, double sign, bool time)
{
    int best = 0;
    for (int i = 0; i < c->n; i++) {
        bool better =
            time ? sign * c->v[i] >= sign * c->v[best] : sign * c->v[i] > sign * c->v[best];
        if (better || isnan(c->v[best]))
            best = i;
    }
    *out = time ? c->t[best] : c->v[best];
    return c->n > 0;
}

static bool ref_min(const struct cut *c, double *out)
{
    return ref_extreme(c, out, -1, false);
}

static bool ref_max(const struct cut *c, double *out)
{
    return ref_extreme(c, out, 1, false);
}

static bool ref_time_of_max(const struct cut *c, double *out)
{
    return ref_extreme(c, out, 1, true);
}

static bool ref_time_of_min(const struct cut *c, double *out)
{
    return ref_extreme(c, out, -1, true);
}

static bool ref_count(const struct cut *c, double *out)
{
    *out = c->n;
    return c->n > 0;
}

static bool ref_first(const struct cut *c, double *out)
{
    *out = c->v[0];
    return c->n > 0;
}

static bool ref_last(const struct cut *c, double *out)
{
    *out = c->n > 0 ? c->v[c->n - 1] : 0;
    return c->n > 0;
}

static bool ref_variance(const struct cut *c, double *out)
{
    long double mean = 0, sum = 0;
    for (int i = 0; i < c->n; i++)
        mean += c->v[i];
    mean /= c->n;
    for (int i = 0; i < c->n; i++)
        sum += (c->v[i] - mean) * (c->v[i] - mean);
    *out = (double)(sum / c->n);
    return c->n > 0;
}

static bool ref_changes(const struct cut *c, double *out)
{
    *out = 0;
    for (int i = 1; i < c->n; i++)
        *out += c->v[i] != c->v[i - 1] && !(isnan(c->v[i]) && isnan(c->v[i - 1]));
    return c->n > 0;
}

static bool ref_resets(const struct cut *c, double *out)
{
    *out = 0;
    for (int i = 1; i < c->n; i++)
        *out += c->v[i] < c->v[i - 1];
    return c->n > 0;
}

static bool ref_irate(const struct cut *c, double *out)
{
    if (c->n < 2)
        return false;
    double last = c->v[c->n - 1], before = c->v[c->n - 2];
    *out = (last < before ? last : last - before) / (c->t[c->n - 1] - c->t[c->n - 2]);
    return true;
}

static bool ref_change(const struct cut *c, double *out, bool counter)
{
    if (c->n < 2)
        return false;
    int last = c->n - 1;
    double result = c->v[last] - c->v[0];
    for (int i = 1; counter && i < c->n; i++)
        result += c->v[i] < c->v[i - 1] ? c->v[i - 1] : 0;
    double sampled = c->t[last] - c->t[0], average = sampled / last;
    double before = c->t[0] - c->start, after = c->end - c->t[last];
    if (before >= average * 1.1)
        before = average / 2;
    if (counter && result > 0 && c->v[0] >= 0 && sampled * (c->v[0] / result) < before)
        before = sampled * (c->v[0] / result);
    if (after >= average * 1.1)
        after = average / 2;
    *out = result * ((sampled + before + after) / sampled);
    return true;
}

static bool ref_rate(const struct cut *c, double *out)
{
    bool ok = ref_change(c, out, true);
    *out /= c->range;
    return ok;
}

static bool ref_delta(const struct cut *c, double *out)
{
    return ref_change(c, out, false);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

static bool ref_quantile(const struct cut *c, double *out)
{
    double sorted[SAMPLES_MAX];
    if (c->n == 0)
        return false;
    for (int i = 0; i < c->n; i++)
        sorted[i] = c->v[i];
    qsort(sorted, (size_t)c->n, sizeof(double), by_value);
    double rank = c->parameter * (c->n - 1);
    int low = (int)floor(rank), high = low + 1 < c->n ? low + 1 : c->n - 1;
    double weight = rank - low;
    *out = sorted[low] * (1 - weight) + sorted[high] * weight;
    return true;
}

static bool ref_deriv(const struct cut *c, double *out)
{
    long double x = 0, y = 0, xy = 0, xx = 0;
    if (c->n < 2)
        return false;
    for (int i = 0; i < c->n; i++) {
        long double t = c->t[i] - c->t[0];
        x += t;
        y += c->v[i];
        xy += t * c->v[i];
        xx += t * t;
    }
    *out = (double)((xy - x * y / c->n) / (xx - x * x / c->n));
    return true;
}

struct subject {
    const char *name;
    reference *expected;
    bool numbers_only; /* compare on plain numbers: infinities make the reference itself vague */
    bool parameter;
};

static const struct subject subjects[] = {
    {"sum_over_time", ref_sum, true, false},
    {"avg_over_time", ref_avg, true, false},
    {"min_over_time", ref_min, false, false},
    {"max_over_time", ref_max, false, false},
    {"count_over_time", ref_count, false, false},
    {"first_over_time", ref_first, false, false},
    {"last_over_time", ref_last, false, false},
    {"stdvar_over_time", ref_variance, true, false},
    {"changes", ref_changes, false, false},
    {"resets", ref_resets, false, false},
    {"irate", ref_irate, true, false},
    {"rate", ref_rate, true, false},
    {"delta", ref_delta, true, false},
    {"deriv", ref_deriv, true, false},
    {"quantile_over_time", ref_quantile, true, true},
    {"ts_of_max_over_time", ref_time_of_max, false, false},
    {"ts_of_min_over_time", ref_time_of_min, false, false},
};

/* ---- running both ------------------------------------------------------------------------ */

static bool close_to(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-9 * (1 + fabs(a) + fabs(b));
}

struct round {
    int64_t times[SAMPLES_MAX];
    double values[SAMPLES_MAX];
    struct window_run run;
    struct grid grid;
    int64_t range_ns;
    double parameters[STEPS_MAX];
};

static void make_round(struct round *r, bool numbers_only)
{
    int64_t t = (int64_t)(random_next() % 60) * SECOND;
    size_t n = random_next() % SAMPLES_MAX;
    for (size_t i = 0; i < n; i++) {
        t += (int64_t)(1 + random_next() % 30) * SECOND / 2;
        r->times[i] = t;
        r->values[i] = random_value();
        while (numbers_only && !isfinite(r->values[i]))
            r->values[i] = random_value();
    }
    r->run = (struct window_run){.times_ns = r->times, .values = r->values, .count = n};
    r->grid.start_ns = (int64_t)(random_next() % 200) * SECOND;
    r->grid.step_ns = (int64_t)(random_next() % 120) * SECOND / 4;
    r->grid.steps = 1 + random_next() % STEPS_MAX;
    r->range_ns = (int64_t)(1 + random_next() % 300) * SECOND / 2;
    for (size_t i = 0; i < STEPS_MAX; i++)
        r->parameters[i] = (double)(random_next() % 101) / 100;
}

static struct cut cut_window(const struct round *r, size_t step)
{
    struct cut c = {.parameter = r->parameters[step], .range = (double)r->range_ns / 1e9};
    int64_t end = grid_time(&r->grid, step), start = end - r->range_ns;
    c.start = (double)start / 1e9;
    c.end = (double)end / 1e9;
    for (size_t i = 0; i < r->run.count; i++) {
        if (r->times[i] > start && r->times[i] <= end) {
            c.t[c.n] = (double)r->times[i] / 1e9;
            c.v[c.n++] = r->values[i];
        }
    }
    return c;
}

static void check_round(const struct subject *s, const struct function *function,
                        const struct round *r, struct evaluation *ev)
{
    struct error err = {0};
    struct arena *arena = arena_new(1 << 24);
    struct node scalar = {.kind = NODE_NUMBER, .type = TYPE_SCALAR};
    struct node selector = {.kind = NODE_SELECTOR, .type = TYPE_MATRIX};
    struct node *arguments[] = {s->parameter ? &scalar : &selector, &selector};
    struct node node = {.kind = NODE_CALL};
    node.call =
        (struct call){.function = function, .arguments = arguments, .count = s->parameter ? 2 : 1};
    const double *parameters[] = {s->parameter ? r->parameters : NULL, NULL};
    struct window_memo memo = {0};
    struct window_call call = {.ev = ev,
                               .memo = &memo,
                               .node = &node,
                               .argument = &selector,
                               .caller = &r->grid,
                               .grid = r->grid,
                               .range_ns = r->range_ns,
                               .parameters = parameters,
                               .arena = arena};
    struct column out;
    assert_true(column_init(&out, (struct labels){NULL, 0}, r->grid.steps, arena));
    assert_true(function->window(&call, &r->run, &out, &err));
    for (size_t i = 0; i < r->grid.steps; i++) {
        struct cut c = cut_window(r, i);
        double expected = 0;
        bool present = s->expected(&c, &expected);
        if (present != (out.cells[i] == CELL_FLOAT) ||
            (present && !close_to(expected, out.values[i])))
            fail_msg("%s over %d samples at step %zu: %.17g, expected %.17g", s->name, c.n, i,
                     out.values[i], expected);
    }
    window_memo_done(&memo);
    arena_free(arena);
}

static void range_functions_give_what_their_definition_says(void **state)
{
    (void)state;
    struct query_request request = {.limits = {.memory_max = 1 << 24, .samples_max = UINT64_MAX}};
    struct query_stats stats = {0};
    struct annotations *annotations = xcalloc(1, sizeof(*annotations));
    struct arena *arena = arena_new(1 << 20);
    annotations->arena = arena;
    struct evaluation ev = {
        .request = &request, .annotations = annotations, .stats = &stats, .deadline_ns = INT64_MAX};
    struct round *r = xcalloc(1, sizeof(*r));
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        const struct function *function = function_find(
            metric_range_functions, metric_range_function_count, slice_from_text(subjects[i].name));
        assert_non_null(function);
        for (int round = 0; round < ROUNDS; round++) {
            make_round(r, subjects[i].numbers_only);
            check_round(&subjects[i], function, r, &ev);
        }
    }
    free(r);
    free(annotations);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_functions_give_what_their_definition_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
