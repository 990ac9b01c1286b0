/*
 * log_print.c - pipelines in Loki's canonical one-line form.
 */
#include "base/buffer.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/number.h"
#include "query/log_stage.h"
#include "query/logql_format.h"
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

static bool is_regex(enum matcher_type type)
{
    return type == MATCH_REGEX || type == MATCH_NOT_REGEX;
}

/* Size of the literal character at the start of a pattern, or 0. */
static size_t literal_size(struct slice s)
{
    if (s.data[0] != '\\')
        return strchr(".+*?()[]{}|^$", s.data[0]) ? 0 : 1;
    bool letter = s.size > 1 && ((s.data[1] | 0x20) >= 'a' && (s.data[1] | 0x20) <= 'z');
    bool digit = s.size > 1 && s.data[1] >= '0' && s.data[1] <= '9';
    return s.size > 1 && !letter && !digit ? 2 : 0;
}

/* ".*", ".+", or a literal with or without ".*" at its ends. */
static bool is_word(struct slice word)
{
    struct slice any = SLICE(".*");
    if (slice_equal(word, any) || slice_equal(word, SLICE(".+")) || word.size == 0)
        return true;
    if (slice_starts_with(word, any))
        word = slice_skip(word, any.size);
    if (slice_ends_with(word, any))
        word.size -= any.size;
    if (word.size == 0)
        return false;
    while (word.size > 0) {
        size_t size = literal_size(word);
        if (size == 0)
            return false;
        word = slice_skip(word, size);
    }
    return true;
}

/* A pattern that Loki takes for a list of words; it prints the others in back quotes. */
static bool is_words(struct slice pattern)
{
    if (slice_find_byte(pattern, '`', 0) != SLICE_NOT_FOUND)
        return true; /* cannot stand in back quotes */
    if (slice_starts_with(pattern, SLICE("(?i)")))
        pattern = slice_skip(pattern, 4);
    if (pattern.size > 2 && pattern.data[0] == '(' && pattern.data[pattern.size - 1] == ')')
        pattern = slice_sub(pattern, 1, pattern.size - 2);
    struct slice word;
    while (slice_split(&pattern, '|', &word)) {
        if (!is_word(word))
            return false;
    }
    return true;
}

static void print_condition(const struct label_condition *c, bool rounded, struct buffer *out)
{
    switch (c->kind) {
    case CONDITION_AND:
    case CONDITION_OR:
        buffer_append_text(out, "( ");
        print_condition(c->left, rounded, out);
        buffer_append_text(out, c->kind == CONDITION_AND ? " , " : " or ");
        print_condition(c->right, rounded, out);
        buffer_append_text(out, " )");
        return;
    case CONDITION_STRING:
        buffer_append_slice(out, c->name);
        buffer_append_text(out, matcher_operator(c->matcher));
        if (rounded && is_regex(c->matcher) && !is_words(c->text))
            buffer_printf(out, "`%.*s`", SLICE_ARG(c->text));
        else
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
        else if (rounded)
            buffer_append_byte_size(out, c->bytes);
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

void log_stage_print(const struct log_stage *stage, bool rounded, struct buffer *out)
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
        print_condition(stage->condition, rounded, out);
    if (stage->kind == LOG_REGEXP || stage->kind == LOG_PATTERN || stage->kind == LOG_LINE_FORMAT)
        buffer_append_quoted(out, stage->text);
}

void log_unwrap_print(const struct log_unwrap *unwrap, const char *separator, bool rounded,
                      struct buffer *out)
{
    static const char *const conversions[] = {"", "bytes(", "duration(", "duration_seconds("};
    buffer_append_text(out, separator);
    buffer_append_text(out, "| unwrap ");
    buffer_append_text(out, conversions[unwrap->conversion]);
    buffer_append_slice(out, unwrap->label);
    if (unwrap->conversion != UNWRAP_NUMBER)
        buffer_append_byte(out, ')');
    for (size_t i = 0; i < unwrap->filter_count; i++) {
        buffer_append_text(out, separator);
        log_stage_print(&unwrap->filters[i], rounded, out);
    }
}

void pipeline_print(const struct pipeline *pipeline, struct buffer *out)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        buffer_append_byte(out, ' ');
        log_stage_print(&pipeline->stages[i], false, out);
    }
    if (pipeline->unwrap)
        log_unwrap_print(pipeline->unwrap, " ", false, out);
}
