/*
 * stage_line.c - line filters: |= != |~ !~ |> !> with `or` chains and ip(), and
 * decolorize.
 *
 * A positive filter wants one of its texts, a negative one none of them.  A
 * filter of texts and regexes becomes part of the predicate for storage as well.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/regex.h"
#include "query/ip_match.h"
#include "query/line_pattern.h"
#include "query/pipeline_stage.h"

struct line_test {
    struct slice literal;
    const struct regex *regex;
    const struct line_pattern *pattern;
    const struct ip_matcher *ip;
};

struct line_filter {
    bool negative;
    const struct line_test *tests;
    size_t count;
};

static int test_line(const struct line_test *test, struct slice line, struct error *err)
{
    if (test->regex)
        return regex_match(test->regex, line, err);
    if (test->pattern)
        return line_pattern_test(test->pattern, line);
    if (test->ip)
        return ip_matcher_scan(test->ip, line);
    return slice_find(line, test->literal, 0) != SLICE_NOT_FOUND;
}

static int filter_line(const struct stage *stage, struct pipeline_run *run)
{
    const struct line_filter *filter = stage->state;
    for (size_t i = 0; i < filter->count; i++) {
        int hit = test_line(&filter->tests[i], run->line, run->err);
        if (hit < 0)
            return -1;
        if (hit)
            return !filter->negative;
    }
    return filter->negative;
}

static bool is_negative(enum line_filter_type type)
{
    return type == LINE_CONTAINS_NOT || type == LINE_MATCHES_NOT || type == LINE_PATTERN_NOT;
}

/*
 * Loki takes "foo|" as a list of words and forgets the empty one, so that it wants
 * "foo".  The pattern without empty alternatives; the pattern itself when it is more
 * than a list of plain words.
 */
static struct slice drop_empty_words(struct arena *arena, struct slice pattern)
{
    if (slice_find_byte(pattern, '|', 0) == SLICE_NOT_FOUND)
        return pattern;
    char *kept = arena_alloc(arena, pattern.size + 1);
    size_t size = 0;
    struct slice rest = pattern, word;
    while (kept && slice_split(&rest, '|', &word)) {
        for (size_t i = 0; i < word.size; i++) {
            if (word.data[i] == '\0' || strchr("\\.+*?()[]{}^$", word.data[i]))
                return pattern;
        }
        if (word.size == 0)
            continue;
        if (size > 0)
            kept[size++] = '|';
        memcpy(kept + size, word.data, word.size);
        size += word.size;
    }
    return size > 0 ? slice_of(kept, size) : pattern;
}

static bool compile_text(struct log_program *p, const struct log_stage *spec,
                         const struct line_filter_text *text, struct line_test *test,
                         struct error *err)
{
    bool contains = spec->filter == LINE_CONTAINS || spec->filter == LINE_CONTAINS_NOT;
    bool matches = spec->filter == LINE_MATCHES || spec->filter == LINE_MATCHES_NOT;
    if (text->ip) {
        if (!contains)
            return error_set(err, ERR_INVALID, "ip: invalid operation");
        test->ip = ip_matcher_new(p->arena, text->text, err);
        return test->ip != NULL;
    }
    if (contains) {
        test->literal = text->text;
        return true;
    }
    if (matches) {
        test->regex = log_program_regex(p, drop_empty_words(p->arena, text->text), 0, err);
        return test->regex != NULL || error_prefix(err, "error parsing regexp");
    }
    test->pattern = line_pattern_new(p->arena, text->text, false, err);
    return test->pattern != NULL;
}

/* The filter as one condition on the line, when all its tests are texts or regexes. */
static bool add_condition(struct log_program *p, const struct line_filter *filter,
                          struct error *err)
{
    struct line_text *texts = arena_calloc(p->arena, filter->count, sizeof(*texts));
    if (texts == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->tests[i].pattern || filter->tests[i].ip)
            return true;
        texts[i] = (struct line_text){filter->tests[i].literal, filter->tests[i].regex};
    }
    struct line_condition condition = {filter->negative, texts, filter->count};
    array_push(&p->conditions, condition);
    return true;
}

bool stage_line_filter(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    struct line_filter *filter = arena_calloc(p->arena, 1, sizeof(*filter));
    struct line_test *tests = arena_calloc(p->arena, spec->text_count, sizeof(*tests));
    if (filter == NULL || tests == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    for (size_t i = 0; i < spec->text_count; i++) {
        if (!compile_text(p, spec, &spec->texts[i], &tests[i], err))
            return false;
    }
    *filter = (struct line_filter){is_negative(spec->filter), tests, spec->text_count};
    log_program_add(p, filter_line, filter);
    return add_condition(p, filter, err);
}

/* ---- decolorize --------------------------------------------------------- */

/* The end of the escape sequence that starts at `at`, or `at` when there is none. */
static size_t escape_end(struct slice line, size_t at)
{
    size_t i = at + 1;
    if (i >= line.size)
        return at;
    if (line.data[i] == ']') { /* OSC: up to BEL */
        size_t bell = slice_find_byte(line, '\a', i);
        return bell == SLICE_NOT_FOUND ? at : bell + 1;
    }
    if (line.data[i] != '[')
        return at;
    i++;
    while (i < line.size && ((line.data[i] >= '0' && line.data[i] <= '?') ||
                             (line.data[i] >= ' ' && line.data[i] <= '/')))
        i++;
    if (i < line.size && line.data[i] >= '@' && line.data[i] <= '~')
        return i + 1;
    return at;
}

static int decolorize(const struct stage *stage, struct pipeline_run *run)
{
    (void)stage;
    struct slice line = run->line;
    if (slice_find_byte(line, '\x1b', 0) == SLICE_NOT_FOUND)
        return 1;
    char *plain = arena_alloc(run->scratch, line.size);
    if (plain == NULL)
        return 1; /* pipeline.c reports the exhausted arena */
    size_t size = 0;
    for (size_t at = 0; at < line.size;) {
        size_t end = line.data[at] == '\x1b' ? escape_end(line, at) : at;
        if (end > at)
            at = end;
        else
            plain[size++] = line.data[at++];
    }
    run->line = slice_of(plain, size);
    return 1;
}

bool stage_decolorize(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    (void)spec;
    (void)err;
    log_program_add(p, decolorize, NULL);
    return true;
}
