/* quantile.c - the interpolated quantile of a set of numbers. */
#include "base/error.h"
#include "base/number.h"
#include "query/annotations.h"
#include "query/eval_internal.h"

#include <math.h>
#include <stdlib.h>

int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

double quantile_of(double q, double *values, size_t count)
{
    if (count > 0 && q >= 0 && q <= 1)
        qsort(values, count, sizeof(*values), compare_values);
    return quantile_of_sorted(q, values, count);
}

double quantile_of_sorted(double q, const double *values, size_t count)
{
    if (count == 0 || isnan(q))
        return (double)NAN;
    if (q < 0)
        return -(double)INFINITY;
    if (q > 1)
        return (double)INFINITY;
    double n = (double)count;
    double rank = q * (n - 1);
    double lower = fmax(0, floor(rank));
    double upper = fmin(n - 1, lower + 1);
    double weight = rank - floor(rank);
    return values[(size_t)lower] * (1 - weight) + values[(size_t)upper] * weight;
}

void annotate_quantile(struct evaluation *ev, double q, uint32_t at)
{
    char text[DOUBLE_TEXT_MAX];
    double_format(text, q, 'g');
    annotate(ev->annotations, ANNOTATION_WARNING, at,
             "quantile value should be between 0 and 1, got %s", text);
}
