/*
 * stage_logfmt.c - | logfmt, with --strict, --keep-empty and expressions.
 *
 * A bad pair is skipped up to the next blank; with --strict it ends the line and
 * sets the error.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/text_search.h"
#include "base/utf8.h"
#include "query/json_scan.h"
#include "query/pipeline_stage.h"

struct logfmt_state {
    bool strict, keep_empty;
    const struct stage_assignment *wanted; /* name = key; none: all keys */
    size_t wanted_count;
    struct slice only;   /* the one label that anybody needs; empty: there are others */
    struct needle field; /* `only` and '=' */
};

struct pairs {
    struct slice line;
    size_t at;
    struct arena *scratch;
    struct slice key, value;
    const char *problem; /* of the last bad pair */
    size_t problem_at;
    char unexpected; /* the byte, when `problem` is NULL in a bad pair */
};

enum pair { PAIR_FOUND, PAIR_BAD, PAIR_END };

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

static enum pair bad_pair(struct pairs *p, const char *problem)
{
    p->problem = problem;
    p->problem_at = p->at;
    p->unexpected = p->at < p->line.size ? p->line.data[p->at] : '\0';
    while (p->at < p->line.size && !is_blank(p->line.data[p->at]))
        p->at++;
    return PAIR_BAD;
}

/* "..." with `at` on the opening quote. */
static enum pair quoted_value(struct pairs *p)
{
    size_t start = p->at + 1;
    bool escapes = false;
    for (size_t i = start; i < p->line.size; i++) {
        char c = p->line.data[i];
        if (c == '\\') {
            escapes = true;
            i++;
        } else if (c == '"') {
            struct slice raw = slice_sub(p->line, start, i - start);
            p->at = i + 1;
            p->value = escapes ? json_scan_unescape(raw, p->scratch) : raw;
            if (escapes && p->value.size == 0)
                return bad_pair(p, "invalid quoted value");
            return PAIR_FOUND;
        }
    }
    p->at = p->line.size;
    return bad_pair(p, "unterminated quoted value");
}

static enum pair plain_value(struct pairs *p)
{
    size_t start = p->at;
    while (p->at < p->line.size && !is_blank(p->line.data[p->at])) {
        char c = p->line.data[p->at];
        if (c == '=' || c == '"')
            return bad_pair(p, NULL);
        p->at++;
    }
    p->value = slice_sub(p->line, start, p->at - start);
    return PAIR_FOUND;
}

static enum pair next_pair(struct pairs *p)
{
    struct slice line = p->line;
    p->key = p->value = (struct slice){NULL, 0};
    while (p->at < line.size && is_blank(line.data[p->at]))
        p->at++;
    if (p->at >= line.size)
        return PAIR_END;
    size_t start = p->at;
    while (p->at < line.size && !is_blank(line.data[p->at]) && line.data[p->at] != '=') {
        if (line.data[p->at] == '"')
            return bad_pair(p, NULL);
        p->at++;
    }
    p->key = slice_sub(line, start, p->at - start);
    if (p->key.size == 0)
        return bad_pair(p, NULL);
    if (!utf8_is_valid(p->key))
        return bad_pair(p, "invalid key");
    if (p->at >= line.size || line.data[p->at] != '=')
        return PAIR_FOUND;
    p->at++;
    if (p->at >= line.size || is_blank(line.data[p->at]))
        return PAIR_FOUND;
    return line.data[p->at] == '"' ? quoted_value(p) : plain_value(p);
}

static void fail_line(struct pipeline_run *run, const struct pairs *p)
{
    struct slice details =
        p->problem ? arena_printf(run->scratch, "logfmt syntax error at pos %zu : %s",
                                  p->problem_at + 1, p->problem)
                   : arena_printf(run->scratch, "logfmt syntax error at pos %zu : unexpected '%c'",
                                  p->problem_at + 1, p->unexpected);
    log_labels_fail(&run->labels, ERROR_LOGFMT, details);
}

/* True when nothing more is needed. */
static bool store_pair(struct pipeline_run *run, const struct logfmt_state *state,
                       const struct pairs *p)
{
    struct slice value = value_sanitise(p->value, run->scratch);
    if (value.size == 0 && !state->keep_empty)
        return false;
    struct slice name = label_name_sanitise(p->key, true, run->scratch);
    if (name.size == 0)
        return false;
    name = log_labels_parsed_name(&run->labels, name, run->scratch);
    return run_wants(run, name) && run_extract(run, name, value);
}

/*
 * The one label that is needed, found by searching for it.  False: the line must be parsed from its
 * start, because quotes or a strange value leave open where fields begin and end.
 */
static bool find_only(const struct logfmt_state *state, struct pipeline_run *run)
{
    struct slice line = run->line;
    if (log_labels_has(&run->labels, state->only))
        return false;
    size_t at = 0;
    while ((at = needle_find(&state->field, line, at)) != SLICE_NOT_FOUND) {
        size_t from = at + state->field.text.size, end = from;
        bool starts = at == 0 || is_blank(line.data[at - 1]);
        if (!starts && line.data[at - 1] != '"') {
            at = from;
            continue;
        }
        if (slice_find_byte(slice_sub(line, 0, at), '"', 0) != SLICE_NOT_FOUND)
            return false;
        while (end < line.size && !is_blank(line.data[end])) {
            if (line.data[end] == '=' || line.data[end] == '"')
                return false;
            end++;
        }
        struct slice value = value_sanitise(slice_sub(line, from, end - from), run->scratch);
        if (value.size > 0) {
            run_extract(run, state->only, value);
            return true;
        }
        at = end;
    }
    return true;
}

static int parse_all(const struct stage *stage, struct pipeline_run *run)
{
    const struct logfmt_state *state = stage->state;
    struct pairs p = {.line = run->line, .scratch = run->scratch};
    if (run_wants_nothing(run) || (state->only.size > 0 && find_only(state, run)))
        return 1;
    for (;;) {
        enum pair pair = next_pair(&p);
        if (pair == PAIR_END)
            return 1;
        if (pair == PAIR_FOUND && store_pair(run, state, &p))
            return 1;
        if (pair == PAIR_BAD && state->strict) {
            fail_line(run, &p);
            return 1;
        }
    }
}

/* ---- | logfmt name="key" ---------------------------------------------------- */

static void store_wanted(struct pipeline_run *run, const struct logfmt_state *state,
                         const struct pairs *p)
{
    struct slice value = value_sanitise(p->value, run->scratch);
    struct slice key = label_name_sanitise(p->key, false, run->scratch);
    if (value.size == 0 && !state->keep_empty)
        return;
    for (size_t i = 0; i < state->wanted_count; i++) {
        const struct stage_assignment *wanted = &state->wanted[i];
        /* Loki also takes a key that is called like the label. */
        if (!slice_equal(key, wanted->value) && !slice_equal(key, wanted->name))
            continue;
        struct slice name = log_labels_parsed_name(&run->labels, wanted->name, run->scratch);
        log_labels_extract(&run->labels, name, value);
    }
}

static int parse_wanted(const struct stage *stage, struct pipeline_run *run)
{
    const struct logfmt_state *state = stage->state;
    struct pairs p = {.line = run->line, .scratch = run->scratch};
    for (size_t i = 0; i < state->wanted_count; i++) {
        struct slice name = state->wanted[i].name;
        if (slice_equal(log_labels_parsed_name(&run->labels, name, run->scratch), name))
            log_labels_extract(&run->labels, name, (struct slice){NULL, 0});
    }
    for (;;) {
        enum pair pair = next_pair(&p);
        if (pair == PAIR_END)
            return 1;
        if (pair == PAIR_FOUND)
            store_wanted(run, state, &p);
        if (pair == PAIR_BAD && state->strict) {
            fail_line(run, &p);
            return 1;
        }
    }
}

static bool check_key(struct slice key, struct error *err)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
        bool digit = c >= '0' && c <= '9' && i > 0;
        if (letter || digit)
            continue;
        struct slice shown = slice_sub(key, 0, 100);
        if (c == ' ')
            return error_set(err, ERR_INVALID,
                             "cannot parse expression [%.*s]: syntax error: unexpected KEY",
                             SLICE_ARG(shown));
        return error_set(err, ERR_INVALID, "cannot parse expression [%.*s]: unexpected char %c",
                         SLICE_ARG(shown), c);
    }
    if (key.size == 0)
        return error_set(err, ERR_INVALID,
                         "cannot parse expression []: syntax error: unexpected $end");
    return true;
}

/* Names with '_' may come from other keys, and others than letters and digits from none. */
static bool is_plain_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return name.size > 0;
}

static bool prepare_only(struct log_program *p, struct logfmt_state *state)
{
    if (!p->restricted || p->needed.count != 1 || !is_plain_name(p->needed.items[0]))
        return true;
    struct slice field = arena_printf(p->arena, "%.*s=", SLICE_ARG(p->needed.items[0]));
    state->only = p->needed.items[0];
    state->field = needle_of(field, false);
    return field.data != NULL;
}

bool stage_logfmt(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    struct logfmt_state *state = arena_calloc(p->arena, 1, sizeof(*state));
    if (state == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    for (size_t i = 0; i < spec->assignment_count; i++) {
        if (!check_key(spec->assignments[i].value, err))
            return false;
    }
    *state = (struct logfmt_state){.strict = spec->strict,
                                   .keep_empty = spec->keep_empty,
                                   .wanted = spec->assignments,
                                   .wanted_count = spec->assignment_count};
    if (!spec->strict && !spec->keep_empty && !prepare_only(p, state))
        return arena_check(p->arena, "a log pipeline", err);
    log_program_add(p, spec->assignment_count > 0 ? parse_wanted : parse_all, state);
    return true;
}
