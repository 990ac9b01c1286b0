/*
 * promqltest_parse.c - reading `.test` files (the shared FORMAT.md says what they hold).
 *
 * Lines are trimmed; an empty line or a comment ends a block.  Everything lies in
 * the file's arena.
 */
#include "promqltest.h"

#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "query/dialect.h"
#include "query/lexer.h"

#include <math.h>
#include <stdlib.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

enum { FILE_MAX = 16 << 20, ITEMS_MAX = 1 << 20, LABELS_MAX = 64, STARTS_MAX = 10000 };

struct source {
    struct test_file *file;
    struct slice rest;
    int line;
    struct slice text; /* of the current line, trimmed; empty: nothing in it */
    bool at_end;
};

static bool bad(const struct source *s, struct error *err, const char *what)
{
    return error_set(err, ERR_INVALID, "%s:%d: %s: %.*s", s->file->path, s->line, what,
                     SLICE_ARG(slice_sub(s->text, 0, 200)));
}

static void next_line(struct source *s)
{
    struct slice line;
    s->text = SLICE("");
    if (s->rest.data == NULL || !slice_split(&s->rest, '\n', &line)) {
        s->at_end = true;
        return;
    }
    s->line++;
    s->text = slice_trim(line);
    if (slice_starts_with(s->text, SLICE("#")))
        s->text = SLICE("");
}

/* The first word of `*text`, which is cut off together with the blanks behind it. */
static struct slice take_word(struct slice *text)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != ' ' && text->data[size] != '\t')
        size++;
    struct slice word = slice_sub(*text, 0, size);
    *text = slice_trim(slice_skip(*text, size));
    return word;
}

static bool parse_ms(struct slice text, int64_t *ms)
{
    int64_t ns;
    if (!duration_parse_prometheus(text, &ns))
        return false;
    *ms = ns / NS_PER_MS;
    return true;
}

/* ---- values -------------------------------------------------------------------------- */

static bool parse_number(struct slice text, double *value)
{
    bool minus = slice_starts_with(text, SLICE("-"));
    if (minus || slice_starts_with(text, SLICE("+")))
        text = slice_skip(text, 1);
    if (text.size == 0 || text.data[0] == '-' || text.data[0] == '+')
        return false;
    struct token token = {.kind = TOKEN_NUMBER, .text = text};
    double number;
    if (!token_number(&dialect_promql, token, &number) && !slice_parse_double(text, true, &number))
        return false;
    *value = minus ? -number : number;
    return true;
}

/* Where the first number of "1-2x3" ends: behind it comes 'x', '+' or '-'. */
static size_t number_end(struct slice item)
{
    size_t i = 0;
    if (i < item.size && (item.data[i] == '+' || item.data[i] == '-'))
        i++;
    for (; i < item.size; i++) {
        char c = item.data[i];
        if (c == 'x')
            return i;
        if ((c == '+' || c == '-') && (item.data[i - 1] | 0x20) != 'e')
            return i;
    }
    return item.size;
}

static bool push_item(struct source *s, struct series_line *line, size_t *capacity,
                      struct value_item item)
{
    struct value_item *items = arena_grow(s->file->arena, line->items, line->count, capacity,
                                          line->count + 1, sizeof(*items));
    if (items == NULL || line->count > ITEMS_MAX)
        return false;
    line->items = items;
    items[line->count++] = item;
    return true;
}

static bool push_times(struct source *s, struct series_line *line, size_t *capacity,
                       struct value_item item, double change, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        if (!push_item(s, line, capacity, item))
            return false;
        item.value += change;
    }
    return true;
}

/* "A", "AxN", "A+BxN", "A-BxN", "_", "_xN", "stale". */
static bool parse_item(struct source *s, struct slice item, struct series_line *line,
                       size_t *capacity)
{
    uint64_t times;
    struct value_item missing = {.missing = true};
    if (slice_equal(item, SLICE("_")))
        return push_item(s, line, capacity, missing);
    if (slice_starts_with(item, SLICE("_x")))
        return slice_parse_u64(slice_skip(item, 2), &times) &&
               push_times(s, line, capacity, missing, 0, times);
    if (slice_equal(item, SLICE("stale")))
        return push_item(s, line, capacity,
                         (struct value_item){.value = double_from_bits(STALE_MARKER)});
    size_t end = number_end(item);
    struct value_item first = {0};
    if (!parse_number(slice_sub(item, 0, end), &first.value))
        return false;
    if (end == item.size)
        return push_item(s, line, capacity, first);
    struct slice rest = slice_skip(item, end);
    size_t x = slice_find_byte(rest, 'x', 0);
    if (x == SLICE_NOT_FOUND || !slice_parse_u64(slice_skip(rest, x + 1), &times))
        return false;
    double change = 0;
    if (x > 0 && !parse_number(slice_sub(rest, 0, x), &change))
        return false;
    return push_times(s, line, capacity, first, change, times + 1);
}

/* "{{A}}", "{{A}}xN", "{{A}}+{{B}}xN", "{{A}}-{{B}}xN". */
static bool parse_histogram_item(struct source *s, struct slice *rest, struct series_line *line,
                                 size_t *capacity)
{
    uint64_t times = 0;
    struct value_item item = {0}, change = {0};
    struct arena *arena = s->file->arena;
    double sign = 1;
    if (!histogram_parse(rest, arena, &item))
        return false;
    if (slice_starts_with(*rest, SLICE("+{{")) || slice_starts_with(*rest, SLICE("-{{"))) {
        sign = rest->data[0] == '-' ? -1 : 1;
        *rest = slice_skip(*rest, 1);
        if (!histogram_parse(rest, arena, &change))
            return false;
    }
    struct slice tail = take_word(rest);
    if (tail.size > 0 && (tail.data[0] != 'x' || !slice_parse_u64(slice_skip(tail, 1), &times)))
        return false;
    for (uint64_t i = 0; i <= times; i++) {
        if (!push_item(s, line, capacity, item))
            return false;
        if (change.histogram == NULL)
            continue;
        item.histogram = histogram_plus(item.histogram, change.histogram, sign, arena);
        if (item.histogram == NULL)
            return false;
        if (change.has_hint) {
            struct histogram *hinted = histogram_copy(arena, item.histogram);
            hinted->hint = change.histogram->hint;
            item.histogram = hinted;
            item.has_hint = true;
        }
    }
    return true;
}

static bool parse_values(struct source *s, struct slice rest, struct series_line *line)
{
    size_t capacity = 0;
    rest = slice_trim(rest);
    while (rest.size > 0) {
        bool ok;
        if (slice_starts_with(rest, SLICE("{{")))
            ok = parse_histogram_item(s, &rest, line, &capacity);
        else
            ok = parse_item(s, take_word(&rest), line, &capacity);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- series ---------------------------------------------------------------------------- */

static bool parse_pair(struct lexer *lexer, struct token *token, struct arena *arena,
                       struct label *label, struct error *err)
{
    struct slice name = token->text;
    bool quoted = token->kind == TOKEN_STRING;
    if (quoted && !slice_unquote(arena, token->text, true, &name, err))
        return false;
    if (!quoted && token->kind != TOKEN_IDENTIFIER)
        return false;
    if (!lexer_next(lexer, token, err))
        return false;
    if (quoted && token->kind != TOKEN_EQUAL) {
        *label = (struct label){LABEL_NAME_METRIC, name};
        return true;
    }
    label->name = name;
    return token->kind == TOKEN_EQUAL && lexer_next(lexer, token, err) &&
           token->kind == TOKEN_STRING &&
           slice_unquote(arena, token->text, true, &label->value, err) &&
           lexer_next(lexer, token, err);
}

/* name{l="v"}, {...} or name; `*rest` is what follows. */
static bool parse_series(struct source *s, struct slice text, struct labels *out,
                         struct slice *rest)
{
    struct arena *arena = s->file->arena;
    struct label *labels = arena_calloc(arena, LABELS_MAX, sizeof(*labels));
    size_t count = 0;
    struct lexer lexer;
    struct token token;
    struct error err = {0};
    lexer_init(&lexer, &dialect_promql, text);
    if (!lexer_next(&lexer, &token, &err))
        return false;
    if (token.kind == TOKEN_IDENTIFIER) {
        labels[count++] = (struct label){LABEL_NAME_METRIC, token.text};
        *rest = slice_skip(text, token.end);
        if (!slice_starts_with(*rest, SLICE("{"))) {
            *out = (struct labels){labels, count};
            return true;
        }
        if (!lexer_next(&lexer, &token, &err))
            return false;
    }
    if (token.kind != TOKEN_LEFT_BRACE || !lexer_next(&lexer, &token, &err))
        return false;
    while (token.kind != TOKEN_RIGHT_BRACE) {
        if (count == LABELS_MAX || !parse_pair(&lexer, &token, arena, &labels[count++], &err))
            return false;
        if (token.kind == TOKEN_COMMA && !lexer_next(&lexer, &token, &err))
            return false;
    }
    struct label_limits none = {0};
    *rest = slice_skip(text, token.end);
    if (!labels_canonicalise(labels, &count, &none, &err))
        return false;
    *out = (struct labels){labels, count};
    return true;
}

/* A duration with an optional sign. */
static bool parse_offset(struct slice text, int64_t *ms)
{
    bool minus = slice_starts_with(text, SLICE("-"));
    if (minus || slice_starts_with(text, SLICE("+")))
        text = slice_skip(text, 1);
    if (!parse_ms(text, ms))
        return false;
    *ms = minus ? -*ms : *ms;
    return true;
}

static bool push_start(struct source *s, struct series_line *line, bool has, int64_t ms,
                       int64_t change, uint64_t times)
{
    if (line->starts_ms == NULL) {
        line->starts_ms = arena_calloc(s->file->arena, STARTS_MAX, sizeof(int64_t));
        line->has_start = arena_calloc(s->file->arena, STARTS_MAX, sizeof(bool));
    }
    for (uint64_t i = 0; i < times; i++, ms += change) {
        if (line->count == STARTS_MAX)
            return false;
        line->starts_ms[line->count] = ms;
        line->has_start[line->count++] = has;
    }
    return true;
}

/* "_", "_xN", "D", "DxN", "D+ExN", "D-ExN". */
static bool parse_start(struct source *s, struct slice item, struct series_line *line)
{
    uint64_t times = 0;
    int64_t ms, change = 0;
    size_t x = slice_find_byte(item, 'x', 0);
    if (x != SLICE_NOT_FOUND && !slice_parse_u64(slice_skip(item, x + 1), &times))
        return false;
    struct slice rest = x == SLICE_NOT_FOUND ? item : slice_sub(item, 0, x);
    if (slice_equal(rest, SLICE("_")))
        return push_start(s, line, false, 0, 0, x == SLICE_NOT_FOUND ? 1 : times);
    size_t sign = 1;
    while (sign < rest.size && rest.data[sign] != '+' && rest.data[sign] != '-')
        sign++;
    if (sign < rest.size && !parse_offset(slice_skip(rest, sign), &change))
        return false;
    return parse_offset(slice_sub(rest, 0, sign), &ms) &&
           push_start(s, line, true, ms, change, times + 1);
}

/* An @st line waits for the samples of its series, on the next line. */
static bool parse_starts(struct source *s, struct slice rest, struct series_line *line)
{
    rest = slice_trim(rest);
    while (rest.size > 0) {
        if (!parse_start(s, take_word(&rest), line))
            return false;
    }
    return true;
}

static bool push_line(struct source *s, struct series_line **lines, size_t *count, size_t *capacity,
                      struct error *err)
{
    struct series_line line = {0};
    struct slice rest;
    if (!parse_series(s, s->text, &line.labels, &rest))
        return bad(s, err, "bad series");
    if (slice_starts_with(rest, SLICE("@st"))) {
        if (!parse_starts(s, slice_skip(rest, 3), &line))
            return bad(s, err, "bad start times");
        struct series_line starts = line;
        line = (struct series_line){0};
        next_line(s);
        if (!parse_series(s, s->text, &line.labels, &rest) ||
            !labels_equal(line.labels, starts.labels) || !parse_values(s, rest, &line) ||
            line.count != starts.count)
            return bad(s, err, "bad values after start times");
        line.starts_ms = starts.starts_ms;
        line.has_start = starts.has_start;
    } else if (!parse_values(s, rest, &line)) {
        return bad(s, err, "bad values");
    }
    struct series_line *items =
        arena_grow(s->file->arena, *lines, *count, capacity, *count + 1, sizeof(*items));
    if (items == NULL)
        return bad(s, err, "too many lines");
    *lines = items;
    items[(*count)++] = line;
    return true;
}

/* ---- commands ----------------------------------------------------------------------------- */

static bool parse_load(struct source *s, struct command *command, struct error *err)
{
    struct slice rest = s->text;
    struct slice word = take_word(&rest);
    size_t capacity = 0;
    command->kind = COMMAND_LOAD;
    command->custom_buckets = slice_equal_ignore_case(word, SLICE("load_with_nhcb"));
    if (!parse_ms(rest, &command->load_step_ms))
        return bad(s, err, "bad load");
    for (next_line(s); s->text.size > 0; next_line(s)) {
        if (!push_line(s, &command->lines, &command->line_count, &capacity, err))
            return false;
    }
    return true;
}

struct expect_word {
    struct slice word;
    enum expect_kind kind;
};

static const struct expect_word expect_words[] = {
    {{"fail", 4}, EXPECT_FAIL},       {{"warn", 4}, EXPECT_WARN},
    {{"info", 4}, EXPECT_INFO},       {{"no_warn", 7}, EXPECT_NO_WARN},
    {{"no_info", 7}, EXPECT_NO_INFO}, {{"ordered", 7}, EXPECT_ORDERED},
    {{"string", 6}, EXPECT_STRING},   {{"range", 5}, EXPECT_RANGE_VECTOR},
};

static bool parse_expect_text(struct source *s, struct slice rest, struct expectation *e)
{
    if (e->kind == EXPECT_STRING) {
        struct error err = {0};
        return slice_unquote(s->file->arena, rest, false, &e->text, &err);
    }
    if (e->kind == EXPECT_RANGE_VECTOR) {
        /* vector from A to B step C */
        take_word(&rest);
        take_word(&rest);
        struct slice from = take_word(&rest);
        take_word(&rest);
        struct slice to = take_word(&rest);
        take_word(&rest);
        return parse_ms(from, &e->from_ms) && parse_ms(to, &e->to_ms) &&
               parse_ms(take_word(&rest), &e->step_ms);
    }
    e->exact = slice_starts_with(rest, SLICE("msg:"));
    e->is_regex = slice_starts_with(rest, SLICE("regex:"));
    if (e->exact || e->is_regex)
        e->text = slice_trim(slice_skip(rest, e->exact ? 4 : 6));
    return e->exact || e->is_regex || rest.size == 0;
}

static bool push_expect(struct source *s, struct eval_case *c, size_t *capacity,
                        struct expectation e)
{
    struct expectation *items = arena_grow(s->file->arena, c->expects, c->expect_count, capacity,
                                           c->expect_count + 1, sizeof(*items));
    if (items == NULL)
        return false;
    c->expects = items;
    items[c->expect_count++] = e;
    return true;
}

static bool parse_expect(struct source *s, struct eval_case *c, size_t *capacity, struct error *err)
{
    struct slice rest = s->text;
    struct slice first = take_word(&rest);
    struct expectation e = {0};
    if (slice_equal(first, SLICE("expected_fail_message")) ||
        slice_equal(first, SLICE("expected_fail_regexp"))) {
        e.exact = slice_equal(first, SLICE("expected_fail_message"));
        e.is_regex = !e.exact;
        e.text = rest;
        return push_expect(s, c, capacity, e);
    }
    struct slice word = take_word(&rest);
    for (size_t i = 0; i < COUNT_OF(expect_words); i++) {
        if (!slice_equal(word, expect_words[i].word))
            continue;
        e.kind = expect_words[i].kind;
        return (parse_expect_text(s, rest, &e) && push_expect(s, c, capacity, e)) ||
               bad(s, err, "bad expect");
    }
    return bad(s, err, "unknown expect");
}

static bool parse_times(struct slice *rest, struct eval_case *c)
{
    c->instant = slice_equal(take_word(rest), SLICE("instant"));
    if (c->instant) {
        take_word(rest); /* at */
        if (!parse_ms(take_word(rest), &c->start_ms))
            return false;
        c->end_ms = c->start_ms;
        return true;
    }
    take_word(rest); /* from */
    if (!parse_ms(take_word(rest), &c->start_ms))
        return false;
    take_word(rest); /* to */
    if (!parse_ms(take_word(rest), &c->end_ms))
        return false;
    take_word(rest); /* step */
    return parse_ms(take_word(rest), &c->step_ms);
}

/* eval_fail and its kin are older spellings of expect lines. */
static bool push_old_spelling(struct source *s, struct eval_case *c, size_t *capacity,
                              struct slice word)
{
    struct expectation e = {0};
    if (slice_equal_ignore_case(word, SLICE("eval")))
        return true;
    if (slice_equal_ignore_case(word, SLICE("eval_fail")))
        e.kind = EXPECT_FAIL;
    else if (slice_equal_ignore_case(word, SLICE("eval_warn")))
        e.kind = EXPECT_WARN;
    else if (slice_equal_ignore_case(word, SLICE("eval_info")))
        e.kind = EXPECT_INFO;
    else if (slice_equal_ignore_case(word, SLICE("eval_ordered")))
        e.kind = EXPECT_ORDERED;
    else
        return false;
    return push_expect(s, c, capacity, e);
}

static bool is_plain_number(struct slice text, double *value)
{
    if (slice_find_byte(text, ' ', 0) != SLICE_NOT_FOUND ||
        slice_find_byte(text, '\t', 0) != SLICE_NOT_FOUND)
        return false;
    return parse_number(text, value);
}

static bool parse_eval(struct source *s, struct command *command, struct error *err)
{
    struct eval_case *c = &command->eval;
    struct slice rest = s->text;
    struct slice word = take_word(&rest);
    size_t expects = 0, lines = 0;
    command->kind = COMMAND_EVAL;
    c->file = s->file->path;
    c->line = s->line;
    if (!push_old_spelling(s, c, &expects, word) || !parse_times(&rest, c))
        return bad(s, err, "bad eval");
    c->text = rest;
    for (next_line(s); s->text.size > 0; next_line(s)) {
        struct slice line = s->text;
        struct slice first = take_word(&line);
        if (slice_equal(first, SLICE("expect")) ||
            slice_starts_with(first, SLICE("expected_fail"))) {
            if (!parse_expect(s, c, &expects, err))
                return false;
        } else if (is_plain_number(s->text, &c->scalar_value)) {
            c->scalar = true;
            next_line(s);
            break;
        } else if (!push_line(s, &c->lines, &c->line_count, &lines, err)) {
            return false;
        }
    }
    return true;
}

static bool parse_command(struct source *s, struct command *command, struct error *err)
{
    struct slice rest = s->text;
    struct slice word = take_word(&rest);
    command->line = s->line;
    if (slice_equal_ignore_case(word, SLICE("clear"))) {
        command->kind = COMMAND_CLEAR;
        next_line(s);
        return true;
    }
    if (slice_equal_ignore_case(slice_sub(word, 0, 4), SLICE("load")))
        return parse_load(s, command, err);
    if (slice_equal_ignore_case(slice_sub(word, 0, 4), SLICE("eval")))
        return parse_eval(s, command, err);
    return bad(s, err, "unknown command");
}

static bool parse_commands(struct source *s, struct error *err)
{
    size_t capacity = 0;
    struct test_file *file = s->file;
    next_line(s);
    while (!s->at_end) {
        if (s->text.size == 0) {
            next_line(s);
            continue;
        }
        struct command *commands = arena_grow(file->arena, file->commands, file->count, &capacity,
                                              file->count + 1, sizeof(*commands));
        if (commands == NULL)
            return bad(s, err, "too large");
        file->commands = commands;
        commands[file->count] = (struct command){0};
        if (!parse_command(s, &commands[file->count], err))
            return false;
        file->count++;
    }
    return true;
}

bool test_file_parse(const char *path, struct test_file *out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, FILE_MAX);
    *out = (struct test_file){.path = path, .arena = arena_new((size_t)1 << 30)};
    bool ok = file_load(path, &text, err);
    struct source s = {.file = out};
    if (ok) {
        s.rest = arena_copy(out->arena, buffer_slice(&text));
        ok = parse_commands(&s, err);
    }
    buffer_done(&text);
    if (!ok)
        test_file_free(out);
    return ok;
}

void test_file_free(struct test_file *file)
{
    arena_free(file->arena);
    file->arena = NULL;
}

size_t case_expects(const struct eval_case *c, enum expect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < c->expect_count; i++)
        count += c->expects[i].kind == kind;
    return count;
}
