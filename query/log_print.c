/*
 * log_print.c - pipelines in Loki's canonical one-line form.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/number.h"
#include "query/log_stage.h"
#include "query/parse.h"

static const char *filter_text(enum line_filter_type type)
{
    static const char *const texts[] = {"|=", "!=", "|~", "!~", "|>", "!>"};
    return texts[type];
}

static void print_ip(struct slice text, struct buffer *out)
{
    buffer_append_text(out, "ip(");
    buffer_append_quoted(out, text);
    buffer_append_byte(out, ')');
}

/* A negative chain is printed as filters of its own, which mean the same. */
static void print_line_filter(const struct log_stage *stage, struct buffer *out)
{
    bool negative = stage->filter == LINE_CONTAINS_NOT || stage->filter == LINE_MATCHES_NOT ||
                    stage->filter == LINE_PATTERN_NOT;
    for (size_t i = 0; i < stage->text_count; i++) {
        if (i == 0 || negative)
            buffer_printf(out, "%s%s ", i > 0 ? " " : "", filter_text(stage->filter));
        else
            buffer_append_text(out, " or ");
        if (stage->texts[i].ip)
            print_ip(stage->texts[i].text, out);
        else
            buffer_append_quoted(out, stage->texts[i].text);
    }
}

static const char *compare_text(const struct label_condition *c)
{
    static const char *const texts[] = {"=", "!=", ">", ">=", "<", "<="};
    if (c->compare == COMPARE_EQUAL && c->kind == CONDITION_NUMBER)
        return "==";
    return texts[c->compare];
}

static void print_condition(const struct label_condition *c, struct buffer *out)
{
    switch (c->kind) {
    case CONDITION_AND:
    case CONDITION_OR:
        buffer_append_text(out, "( ");
        print_condition(c->left, out);
        buffer_append_text(out, c->kind == CONDITION_AND ? " , " : " or ");
        print_condition(c->right, out);
        buffer_append_text(out, " )");
        return;
    case CONDITION_STRING:
        buffer_append_slice(out, c->name);
        buffer_append_text(out, matcher_operator(c->matcher));
        buffer_append_quoted(out, c->text);
        return;
    case CONDITION_IP:
        buffer_append_slice(out, c->name);
        buffer_append_text(out, compare_text(c));
        print_ip(c->text, out);
        return;
    case CONDITION_NUMBER:
    case CONDITION_DURATION:
    case CONDITION_BYTES:
        buffer_append_slice(out, c->name);
        buffer_append_text(out, compare_text(c));
        if (c->kind == CONDITION_NUMBER)
            buffer_append_double(out, c->number, 'f');
        else if (c->kind == CONDITION_DURATION)
            buffer_append_duration_go(out, c->duration_ns);
        else
            buffer_printf(out, "%juB", (uintmax_t)c->bytes);
        return;
    }
}

static void print_assignments(const struct log_stage *stage, struct buffer *out)
{
    for (size_t i = 0; i < stage->assignment_count; i++) {
        const struct stage_assignment *item = &stage->assignments[i];
        buffer_append_byte(out, i > 0 ? ',' : ' ');
        buffer_append_slice(out, item->name);
        buffer_append_byte(out, '=');
        if (item->rename)
            buffer_append_slice(out, item->value);
        else
            buffer_append_quoted(out, item->value);
    }
}

static void print_labels(const struct log_stage *stage, struct buffer *out)
{
    for (size_t i = 0; i < stage->label_count; i++) {
        const struct stage_label *item = &stage->labels[i];
        buffer_append_byte(out, i > 0 ? ',' : ' ');
        buffer_append_slice(out, item->name);
        if (!item->has_matcher)
            continue;
        buffer_append_text(out, matcher_operator(item->matcher));
        buffer_append_quoted(out, item->value);
    }
}

static void print_stage(const struct log_stage *stage, struct buffer *out)
{
    static const char *const words[] = {
        [LOG_JSON] = "| json",
        [LOG_LOGFMT] = "| logfmt",
        [LOG_REGEXP] = "| regexp ",
        [LOG_PATTERN] = "| pattern ",
        [LOG_UNPACK] = "| unpack",
        [LOG_LABEL_FILTER] = "| ",
        [LOG_LINE_FORMAT] = "| line_format ",
        [LOG_LABEL_FORMAT] = "| label_format",
        [LOG_DECOLORIZE] = "| decolorize",
        [LOG_DROP] = "| drop",
        [LOG_KEEP] = "| keep",
    };
    if (stage->kind == LOG_LINE_FILTER) {
        print_line_filter(stage, out);
        return;
    }
    buffer_append_text(out, words[stage->kind]);
    if (stage->strict)
        buffer_append_text(out, " --strict");
    if (stage->keep_empty)
        buffer_append_text(out, " --keep-empty");
    print_assignments(stage, out);
    print_labels(stage, out);
    if (stage->condition)
        print_condition(stage->condition, out);
    if (stage->kind == LOG_REGEXP || stage->kind == LOG_PATTERN || stage->kind == LOG_LINE_FORMAT)
        buffer_append_quoted(out, stage->text);
}

static void print_unwrap(const struct log_unwrap *unwrap, struct buffer *out)
{
    static const char *const conversions[] = {"", "bytes(", "duration(", "duration_seconds("};
    buffer_append_text(out, " | unwrap ");
    buffer_append_text(out, conversions[unwrap->conversion]);
    buffer_append_slice(out, unwrap->label);
    if (unwrap->conversion != UNWRAP_NUMBER)
        buffer_append_byte(out, ')');
    for (size_t i = 0; i < unwrap->filter_count; i++) {
        buffer_append_byte(out, ' ');
        print_stage(&unwrap->filters[i], out);
    }
}

void pipeline_print(const struct pipeline *pipeline, struct buffer *out)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        buffer_append_byte(out, ' ');
        print_stage(&pipeline->stages[i], out);
    }
    if (pipeline->unwrap)
        print_unwrap(pipeline->unwrap, out);
}
