/*
 * binary_histogram.c - operators where histograms take part.
 *
 * Histograms are added and subtracted, scaled by floats, compared for equality and
 * trimmed at a bound.  Anything else leaves no result and says so.
 */
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/histogram_work.h"
#include "query/parse_internal.h"

static bool trims(enum binary_operator op)
{
    return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}

/* Nothing comes of these two. */
static bool refuse(struct evaluation *ev, const struct node *node, const struct operand *left,
                   const struct operand *right)
{
    const char *op = operator_text(node->binary.op);
    annotate(ev->annotations, ANNOTATION_INFO, node->start,
             "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
             left->histogram ? "histogram" : "float", op, right->histogram ? "histogram" : "float");
    return false;
}

static bool add(struct evaluation *ev, const struct node *node, const struct operand *left,
                const struct operand *right, struct arena *arena, struct operand *out)
{
    struct histogram_work work;
    bool subtract = node->binary.op == OP_SUBTRACT;
    const char *name = subtract ? "subtraction" : "addition";
    work_init(&work, left->histogram, arena);
    unsigned said = work_add(&work, right->histogram, subtract ? -1 : 1, false);
    if (said & WORK_INCOMPATIBLE) {
        annotate(ev->annotations, ANNOTATION_WARNING, node->start,
                 "incompatible bucket layout encountered for binary operator %s",
                 operator_text(node->binary.op));
        return false;
    }
    if (said & WORK_COLLISION)
        annotate(ev->annotations, ANNOTATION_WARNING, node->start,
                 "conflicting counter resets during histogram %s", name);
    if (said & WORK_RECONCILED)
        annotate(ev->annotations, ANNOTATION_INFO, node->start,
                 "mismatched custom buckets were reconciled during %s", name);
    if (subtract)
        work.hint = HISTOGRAM_GAUGE;
    out->histogram = work_finish(&work, true, arena);
    return (said & WORK_COLLISION) == 0 && out->histogram != NULL;
}

static bool scale(const struct histogram *h, double factor, bool divide, struct arena *arena,
                  struct operand *out)
{
    out->histogram = histogram_scale(h, factor, divide, true, arena);
    return out->histogram != NULL;
}

bool histogram_operation(struct evaluation *ev, const struct node *node, struct operand left,
                         struct operand right, struct arena *arena, struct operand *out, bool *keep)
{
    enum binary_operator op = node->binary.op;
    const struct histogram *a = left.histogram, *b = right.histogram;
    *keep = true;
    *out = (struct operand){0, NULL};
    if (a && b) {
        if (op == OP_ADD || op == OP_SUBTRACT)
            return add(ev, node, &left, &right, arena, out);
        if (op != OP_EQUAL && op != OP_NOT_EQUAL)
            return refuse(ev, node, &left, &right);
        *keep = histogram_same(a, b) == (op == OP_EQUAL);
        out->histogram = a;
        return true;
    }
    if (op == OP_MULTIPLY && (a || b))
        return scale(a ? a : b, a ? right.value : left.value, false, arena, out);
    if (op == OP_DIVIDE && a)
        return scale(a, right.value, true, arena, out);
    if (trims(op) && a) {
        out->histogram = histogram_trim(a, right.value, op == OP_TRIM_UPPER, arena);
        return out->histogram != NULL;
    }
    if (a || b || trims(op))
        return refuse(ev, node, &left, &right);
    out->value = float_operation(op, left.value, right.value, keep);
    return true;
}
