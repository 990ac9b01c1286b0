/*
 * answer_histogram.c - native histograms in answers, as Prometheus writes them.
 *
 *     [seconds,{"count":"3","sum":"4.5","buckets":[[rule,"from","to","count"],...]}]
 *
 * Buckets come from the lowest to the highest, empty ones are left out.  The rule says
 * which ends belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both.
 */
#include "base/buffer.h"
#include "base/histogram.h"
#include "base/number.h"
#include "server/answer.h"

#include <math.h>

enum rule { RULE_OPEN_LEFT, RULE_OPEN_RIGHT, RULE_OPEN, RULE_CLOSED };

struct bucket_list {
    struct buffer *out;
    const struct histogram *histogram;
    char form;
    bool any;
};

static void append_number(struct buffer *out, double value, char form)
{
    char text[DOUBLE_TEXT_MAX];
    buffer_append_byte(out, '"');
    buffer_append(out, text, double_format(text, value, form));
    buffer_append_byte(out, '"');
}

static void append_bucket(struct bucket_list *list, enum rule rule, double from, double to,
                          double count)
{
    if (count == 0)
        return;
    buffer_append_text(list->out, list->any ? ",[" : ",\"buckets\":[[");
    list->any = true;
    buffer_append_byte(list->out, (char)('0' + rule));
    buffer_append_byte(list->out, ',');
    append_number(list->out, from, list->form);
    buffer_append_byte(list->out, ',');
    append_number(list->out, to, list->form);
    buffer_append_byte(list->out, ',');
    append_number(list->out, count, list->form);
    buffer_append_byte(list->out, ']');
}

static double custom_bound(const struct histogram *h, int64_t index)
{
    if (index < 0)
        return -INFINITY;
    return index < (int64_t)h->custom_count ? h->custom[index] : INFINITY;
}

static void append_positive(struct bucket_list *list, int64_t index, double count)
{
    const struct histogram *h = list->histogram;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        append_bucket(list, index == 0 ? RULE_CLOSED : RULE_OPEN_LEFT, custom_bound(h, index - 1),
                      custom_bound(h, index), count);
    else
        append_bucket(list, RULE_OPEN_LEFT, histogram_bound(index - 1, h->schema),
                      histogram_bound(index, h->schema), count);
}

static void append_positives(struct bucket_list *list)
{
    const struct histogram_side *side = &list->histogram->positive;
    int64_t index = 0;
    size_t at = 0;
    for (size_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length && at < side->bucket_count; k++)
            append_positive(list, index++, side->buckets[at++]);
    }
}

/* From the last bucket, the one farthest from zero, to the first. */
static void append_negatives(struct bucket_list *list)
{
    const struct histogram_side *side = &list->histogram->negative;
    int32_t schema = list->histogram->schema;
    int64_t index = 0;
    size_t at = side->bucket_count;
    for (size_t i = 0; i < side->span_count; i++)
        index += (int64_t)side->spans[i].offset + side->spans[i].length;
    for (size_t i = side->span_count; i-- > 0;) {
        for (uint32_t k = 0; k < side->spans[i].length && at > 0; k++) {
            index--;
            append_bucket(list, RULE_OPEN_RIGHT, -histogram_bound(index, schema),
                          -histogram_bound(index - 1, schema), side->buckets[--at]);
        }
        index -= side->spans[i].offset;
    }
}

void answer_histogram(struct buffer *out, int64_t ns, const struct histogram *h,
                      enum answer_style style)
{
    struct bucket_list list = {out, h, style == ANSWER_PROMETHEUS ? 'j' : 'f', false};
    buffer_append_byte(out, '[');
    answer_seconds(out, ns, style);
    buffer_append_text(out, ",{\"count\":");
    append_number(out, h->count, list.form);
    buffer_append_text(out, ",\"sum\":");
    append_number(out, h->sum, list.form);
    append_negatives(&list);
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
        append_bucket(&list, RULE_CLOSED, -h->zero_threshold, h->zero_threshold, h->zero_count);
    append_positives(&list);
    buffer_append_text(out, list.any ? "]}]" : "}]");
}
