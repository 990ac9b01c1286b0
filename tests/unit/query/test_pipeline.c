/* test_pipeline.c - entries through compiled pipelines. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/predicate.h"
#include "query/dialect.h"
#include "query/parse.h"
#include "query/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct label app[] = {{{"app", 3}, {"t", 1}}};
static const struct labels stream = {app, 1};

struct fixture {
    struct ast *ast;
    struct log_program *program;
    struct pipeline_run *run;
};

static void start(struct fixture *f, const char *query, const struct pipeline_hints *hints)
{
    struct error err = {0};
    f->ast = parse_query(&dialect_logql, slice_from_text(query), 0, 0, &err);
    assert_non_null(f->ast);
    const struct node *root = node_unwrap(ast_root(f->ast));
    if (root->kind == NODE_CALL)
        root = node_unwrap(root->call.arguments[0]);
    f->program = log_program_new(root->selector.pipeline, hints, &err);
    assert_non_null(f->program);
    f->run = pipeline_run_new(f->program, 1 << 20);
    pipeline_run_stream(f->run, stream);
}

static void stop(struct fixture *f)
{
    pipeline_run_free(f->run);
    log_program_free(f->program);
    ast_free(f->ast);
}

static int run(struct fixture *f, const char *line)
{
    struct error err = {0};
    return pipeline_run_entry(f->run, 0, slice_from_text(line), (struct labels){NULL, 0}, &err);
}

/* The labels after `line` went through `query`, as text. */
static void assert_labels(const char *query, const char *line, const char *expected)
{
    struct fixture f;
    start(&f, query, NULL);
    assert_int_equal(run(&f, line), 1);
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 1 << 16);
    labels_append_text(&text, log_labels_all(&f.run->labels, f.run->scratch));
    buffer_append_byte(&text, '\0');
    assert_string_equal(text.data, expected);
    stop(&f);
}

static void parsers_make_labels(void **state)
{
    (void)state;
    assert_labels("{app=\"t\"} | json", "{\"a\":{\"b\":1},\"app\":\"x\",\"a.b\":2}",
                  "{a_b=\"1\", app=\"t\", app_extracted=\"x\"}");
    assert_labels("{app=\"t\"} | logfmt", "a=1 b=\"x y\" bad\"x c= a=2",
                  "{a=\"1\", app=\"t\", b=\"x y\"}");
    assert_labels("{app=\"t\"} | logfmt --keep-empty", "a c=", "{a=\"\", app=\"t\", c=\"\"}");
    assert_labels("{app=\"t\"} | regexp \"(?P<x>\\\\d+)\"", "n 42", "{app=\"t\", x=\"42\"}");
    assert_labels("{app=\"t\"} | pattern \"<m> <_> <s>\"", "GET /x 200",
                  "{app=\"t\", m=\"GET\", s=\"200\"}");
    assert_labels("{app=\"t\"} | label_format app=b, c=\"<{{.app}}>\"", "x",
                  "{app=\"t\", c=\"<t>\"}");
}

static void filters_keep_and_drop(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, "{app=\"t\"} |= \"a\" or \"b\" != \"z\" | logfmt | n > 5 and d < 1s or s=~\"x.*\"",
          NULL);
    assert_int_equal(run(&f, "a n=6 d=5ms"), 1);
    assert_int_equal(run(&f, "a n=5 d=5ms"), 0);
    assert_int_equal(run(&f, "c n=6 d=5ms"), 0);
    assert_int_equal(run(&f, "b z n=6 d=5ms"), 0);
    assert_int_equal(run(&f, "b s=xy"), 1);
    assert_int_equal(run(&f, "a n=six d=1ms"), 1); /* kept, with an error */
    assert_true(slice_equal(f.run->labels.error, SLICE("LabelFilterErr")));
    stop(&f);
}

static void leading_line_filters_are_the_predicate(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, "{app=\"t\"} |= \"a\" != \"b\" or \"c\" |~ \"d+\" | logfmt |= \"e\"", NULL);
    const struct predicate *predicate = log_program_predicate(f.program);
    assert_int_equal(predicate->count, 3);
    assert_false(predicate->items[0].negated);
    assert_true(predicate->items[1].negated);
    assert_int_equal(predicate->items[1].count, 2);
    assert_non_null(predicate->items[2].texts[0].regex);
    assert_false(log_program_is_predicate(f.program));
    assert_true(log_program_needs_line(f.program));
    stop(&f);

    start(&f, "{app=\"t\"} |= \"a\" or \"b\" | line_format \"x\" |= \"c\"", NULL);
    assert_int_equal(log_program_predicate(f.program)->count, 1);
    assert_int_equal(log_program_predicate(f.program)->items[0].count, 2);
    stop(&f);

    start(&f, "{app=\"t\"} | x=\"y\" | drop app", NULL);
    assert_false(log_program_needs_line(f.program));
    stop(&f);
}

static void hints_stop_a_parser_early(void **state)
{
    (void)state;
    struct slice level = SLICE("level");
    struct pipeline_hints hints = {true, &level, 1};
    struct fixture f;
    start(&f, "count_over_time({app=\"t\"} | json [1m])", &hints);
    assert_int_equal(run(&f, "{\"level\":\"info\",\"x\":1, broken"), 1);
    assert_int_equal(f.run->labels.error.size, 0);
    assert_non_null(log_labels_find(&f.run->labels, level));
    assert_null(log_labels_find(&f.run->labels, SLICE("x")));
    stop(&f);

    hints.needed_count = 0; /* nothing is needed: the line is not even parsed */
    start(&f, "count_over_time({app=\"t\"} | json [1m])", &hints);
    assert_int_equal(run(&f, "not json"), 1);
    assert_int_equal(f.run->labels.error.size, 0);
    stop(&f);
}

static void unwrap_gives_a_number_or_an_error(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, "sum_over_time({app=\"t\"} | logfmt | unwrap duration(d) [1m])", NULL);
    assert_int_equal(run(&f, "d=1m30.5s"), 1);
    assert_true(f.run->value == 90.5);
    assert_int_equal(run(&f, "x=1"), 0);
    assert_int_equal(run(&f, "d=xyz"), 1);
    assert_true(slice_equal(f.run->labels.error, SLICE("SampleExtractionErr")));
    stop(&f);
}

static void a_line_beyond_the_scratch_memory_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    start(&f, "{app=\"t\"} | line_format \"{{.a}}{{.a}}{{.a}}{{.a}}{{.a}}{{.a}}\"", NULL);
    enum { SIZE = 400000 };
    char *text = malloc(SIZE);
    memset(text, 'x', SIZE);
    const struct label big[] = {{SLICE("a"), slice_of(text, SIZE)}};
    assert_int_equal(pipeline_run_entry(f.run, 0, SLICE("x"), (struct labels){big, 1}, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(run(&f, "x"), 1); /* the next line is fine again */
    free(text);
    stop(&f);
}

static void nasty_lines_do_no_harm(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "{app=\"t\"} | json | logfmt | unpack | decolorize",
        "{app=\"t\"} | logfmt --strict --keep-empty",
        "{app=\"t\"} | json a=\"x[0]\", b=\"[\\\"y\\\"].z\" | pattern \"<x> <y>\"",
    };
    static const struct slice lines[] = {
        {"\0\0=\0", 4},     {"{\"\\ud800\":1}", 12},       {"\x1b[", 2},
        {"\x1b]no end", 8}, {"{\"a\":\"\xff\xfe\"}", 10},  {"a=\"\\", 4},
        {"=\"", 2},         {"{\"a\":{\"a\":{\"a\":", 15},
    };
    for (size_t q = 0; q < COUNT_OF(queries); q++) {
        struct fixture f;
        start(&f, queries[q], NULL);
        for (size_t i = 0; i < COUNT_OF(lines); i++) {
            struct error err = {0};
            assert_int_equal(pipeline_run_entry(f.run, 0, lines[i], (struct labels){NULL, 0}, &err),
                             1);
        }
        stop(&f);
    }
}

static void a_thousand_deep_json_is_read_without_recursing_that_deep(void **state)
{
    (void)state;
    enum { DEPTH = 1000 };
    char text[DEPTH * 6 + 1];
    size_t at = 0;
    for (int i = 0; i < DEPTH; i++, at += 5)
        memcpy(text + at, "{\"a\":", 5);
    memset(text + at, '}', DEPTH);
    text[at + DEPTH] = '\0';
    struct fixture f;
    start(&f, "{app=\"t\"} | json", NULL);
    assert_int_equal(run(&f, text), 1);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsers_make_labels),
        cmocka_unit_test(filters_keep_and_drop),
        cmocka_unit_test(leading_line_filters_are_the_predicate),
        cmocka_unit_test(hints_stop_a_parser_early),
        cmocka_unit_test(unwrap_gives_a_number_or_an_error),
        cmocka_unit_test(a_line_beyond_the_scratch_memory_is_an_error),
        cmocka_unit_test(nasty_lines_do_no_harm),
        cmocka_unit_test(a_thousand_deep_json_is_read_without_recursing_that_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
