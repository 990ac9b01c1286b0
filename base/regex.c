/*
 * regex.c - choosing how a pattern is run (see regex.h).
 *
 * A pattern is parsed into a tree once.  If it is a list of literals, or
 * literals with anything around them, comparing bytes answers it.  Else PCRE2
 * runs it, unless PCRE2 would be slow or wrong: a subject with invalid UTF-8,
 * loops over what can be empty (PCRE2 notes other groups for them), a long
 * subject under a pattern with loops, or a match that PCRE2 gave up.  Those go to the linear
 * matchers: the automaton answers yes or no, the program finds where.
 *
 * What is needed only at times (PCRE2 code with captures, the program) is made
 * at first use under `lock` and published by an atomic pointer.
 */
#include "base/regex.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/regex_analyse.h"
#include "base/regex_pcre.h"
#include "base/regex_program.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    ARENA_LIMIT = 16 * 1024 * 1024,
    EMITTED_MAX = 4 * 1024 * 1024,
    LOOP_TEXT_MAX = 1024, /* longer subjects of patterns with loops take the linear way */
    SPARE_COUNT = 4,
};

struct regex {
    struct arena *arena;
    struct slice pattern;
    struct tree tree;
    struct facts facts;
    bool anchored;
    struct regex_pcre *yes_no; /* without captures; NULL when PCRE2 is not used */
    pthread_mutex_t lock;      /* guards the making of the next two */
    _Atomic(struct regex_pcre *) finder;
    _Atomic(struct program *) program;
    atomic_bool finder_failed;
    atomic_bool gave_up; /* PCRE2 hit its limit once: do not try it again */
    _Atomic(struct automaton *) spare[SPARE_COUNT];
};

static struct regex_pcre *pcre_make(const struct regex *regex, bool captures)
{
    struct buffer text;
    buffer_init(&text, EMITTED_MAX);
    regex_emit(&regex->tree, regex->anchored, captures, &text);
    struct regex_pcre *pcre = text.failed ? NULL : regex_pcre_new(buffer_slice(&text));
    buffer_done(&text);
    return pcre;
}

struct regex *regex_new(struct slice pattern, unsigned flags, struct error *err)
{
    if (pattern.size > REGEX_PATTERN_SIZE_MAX)
        return error_null(err, ERR_LIMIT, "regular expression has %zu bytes, the limit is %d",
                          pattern.size, REGEX_PATTERN_SIZE_MAX);
    struct regex *regex = xcalloc(1, sizeof(*regex));
    regex->arena = arena_new(ARENA_LIMIT);
    pthread_mutex_init(&regex->lock, NULL);
    regex->anchored = flags & REGEX_ANCHORED;
    regex->pattern = arena_copy(regex->arena, pattern);
    if (!regex_parse(regex->arena, regex->pattern, flags, &regex->tree, err) ||
        !regex_analyse(&regex->tree, regex->anchored, &regex->facts, err)) {
        regex_free(regex);
        return NULL;
    }
    if (regex->facts.pieces == NULL && regex->facts.literals == NULL && !regex->facts.empty_loops)
        regex->yes_no = pcre_make(regex, false);
    if (regex->tree.group_count == 0)
        atomic_store(&regex->finder, regex->yes_no);
    return regex;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    for (size_t i = 0; i < SPARE_COUNT; i++)
        automaton_free(atomic_load(&regex->spare[i]));
    struct regex_pcre *finder = atomic_load(&regex->finder);
    if (finder != regex->yes_no)
        regex_pcre_free(finder);
    regex_pcre_free(regex->yes_no);
    program_free(atomic_load(&regex->program));
    pthread_mutex_destroy(&regex->lock);
    arena_free(regex->arena);
    free(regex);
}

/* The program, made at its first use; NULL when it would be too large. */
static struct program *regex_program(struct regex *regex, struct error *err)
{
    struct program *program = atomic_load_explicit(&regex->program, memory_order_acquire);
    if (program)
        return program;
    pthread_mutex_lock(&regex->lock);
    program = atomic_load(&regex->program);
    if (program == NULL) {
        program = program_new(&regex->tree, regex->anchored, err);
        atomic_store_explicit(&regex->program, program, memory_order_release);
    }
    pthread_mutex_unlock(&regex->lock);
    return program;
}

/* PCRE2 code with captures, made at its first use; NULL when PCRE2 is not to be used. */
static struct regex_pcre *regex_finder(struct regex *regex)
{
    if (regex->facts.empty_loops || atomic_load(&regex->finder_failed))
        return NULL;
    struct regex_pcre *finder = atomic_load_explicit(&regex->finder, memory_order_acquire);
    if (finder)
        return finder;
    pthread_mutex_lock(&regex->lock);
    finder = atomic_load(&regex->finder);
    if (finder == NULL) {
        finder = pcre_make(regex, true);
        atomic_store_explicit(&regex->finder, finder, memory_order_release);
        atomic_store(&regex->finder_failed, finder == NULL);
    }
    pthread_mutex_unlock(&regex->lock);
    return finder;
}

static struct automaton *automaton_take(struct regex *regex, const struct program *program)
{
    for (size_t i = 0; i < SPARE_COUNT; i++) {
        struct automaton *a =
            atomic_exchange_explicit(&regex->spare[i], NULL, memory_order_acquire);
        if (a)
            return a;
    }
    return automaton_new(program);
}

static void automaton_give(struct regex *regex, struct automaton *automaton)
{
    for (size_t i = 0; i < SPARE_COUNT; i++) {
        struct automaton *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&regex->spare[i], &empty, automaton,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    automaton_free(automaton);
}

/* Without a literal that every match has there is none; a search for bytes is the fastest look. */
static bool lacks_required(const struct regex *regex, struct slice text)
{
    struct slice required = regex->facts.required;
    return required.size > 0 && slice_find(text, required, 0) == SLICE_NOT_FOUND;
}

static int match_linear(struct regex *regex, struct slice text, struct error *err)
{
    if (lacks_required(regex, text))
        return 0;
    const struct program *program = regex_program(regex, err);
    if (program == NULL)
        return -1;
    if (program->kind_count > 0 && text.size > 0) {
        struct automaton *automaton = automaton_take(regex, program);
        int hit = automaton_match(automaton, text);
        automaton_give(regex, automaton);
        if (hit >= 0)
            return hit;
    }
    return program_find(program, text, 0, NULL, 0);
}

static bool pcre_suits(const struct regex *regex, struct slice text)
{
    if (regex->facts.empty_loops || atomic_load_explicit(&regex->gave_up, memory_order_relaxed))
        return false;
    if (regex->facts.loops && text.size > LOOP_TEXT_MAX)
        return false;
    return utf8_is_valid(text);
}

static int literal_compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static bool literals_match(const struct facts *facts, struct slice text)
{
    if (facts->literal_count == 1)
        return slice_equal(facts->literals[0], text);
    return bsearch(&text, facts->literals, facts->literal_count, sizeof(struct slice),
                   literal_compare) != NULL;
}

int regex_match(const struct regex *regex, struct slice text, struct error *err)
{
    const struct facts *facts = &regex->facts;
    if (text.size == 0)
        return facts->matches_empty;
    if (facts->literals)
        return literals_match(facts, text);
    if (facts->pieces)
        return pieces_match(facts->pieces, facts->piece_count, text);
    /* What is made at first use is guarded inside. */
    struct regex *own = (struct regex *)(uintptr_t)regex;
    if (regex->yes_no && pcre_suits(regex, text)) {
        struct regex_span span;
        int hit = regex_pcre_find(regex->yes_no, text, 0, &span, 1);
        if (hit >= 0)
            return hit;
        atomic_store(&own->gave_up, true);
    }
    return match_linear(own, text, err);
}

int regex_find(const struct regex *regex, struct slice text, size_t from, struct regex_span *spans,
               size_t span_max, struct error *err)
{
    struct regex *own = (struct regex *)(uintptr_t)regex;
    if (from > text.size)
        return 0;
    struct regex_pcre *finder = pcre_suits(regex, text) ? regex_finder(own) : NULL;
    if (finder) {
        int hit = regex_pcre_find(finder, text, from, spans, span_max);
        if (hit >= 0)
            return hit;
        atomic_store(&own->gave_up, true);
    }
    if (lacks_required(regex, text))
        return 0;
    const struct program *program = regex_program(own, err);
    if (program == NULL)
        return -1;
    return program_find(program, text, from, spans, span_max);
}

size_t regex_alternatives(const struct regex *regex, const struct regex_literal **items)
{
    *items = regex->facts.alternatives;
    return regex->facts.alternative_count;
}

bool regex_is_alternatives(const struct regex *regex)
{
    const struct facts *facts = &regex->facts;
    if (facts->pieces == NULL || facts->piece_count != facts->alternative_count)
        return false;
    for (size_t i = 0; i < facts->piece_count; i++) {
        const struct piece *piece = &facts->pieces[i];
        if (piece->before != GAP_ANY || piece->after != GAP_ANY ||
            piece->literal.size != facts->alternatives[i].text.size)
            return false;
    }
    return true;
}

size_t regex_group_count(const struct regex *regex)
{
    return regex->tree.group_count;
}

struct slice regex_group_name(const struct regex *regex, size_t group)
{
    if (group == 0 || group > regex->tree.group_count)
        return SLICE("");
    return regex->tree.group_names[group];
}

/* The group that `name` means in a template: a number, or a name (the first that has a match). */
static size_t template_group(const struct regex *regex, struct slice name,
                             const struct regex_span *spans, size_t span_count)
{
    size_t number = 0;
    bool digits = true;
    for (size_t i = 0; i < name.size && digits; i++) {
        digits = name.data[i] >= '0' && name.data[i] <= '9' && number < REGEX_PATTERN_SIZE_MAX;
        number = number * 10 + (size_t)(name.data[i] - '0');
    }
    if (digits && (name.size == 1 || name.data[0] != '0'))
        return number;
    for (size_t i = 1; i <= regex->tree.group_count && i < span_count; i++)
        if (slice_equal(regex->tree.group_names[i], name) && spans[i].start != SIZE_MAX)
            return i;
    return SIZE_MAX;
}

struct rune_query {
    uint32_t rune;
    bool found;
};

static void visit_query(void *context, uint32_t lo, uint32_t hi)
{
    struct rune_query *query = context;
    query->found |= query->rune >= lo && query->rune <= hi;
}

/* A letter, a decimal digit or an underscore of any script. */
static bool rune_is_name(uint32_t rune)
{
    if (rune < 128)
        return rune_is_word(rune);
    struct rune_query query = {rune, false};
    unicode_property(SLICE("L"), visit_query, &query);
    unicode_property(SLICE("Nd"), visit_query, &query);
    return query.found;
}

/* The name after a `$` at `*at`: {name} or the longest run of letters; empty when malformed. */
static struct slice template_name(struct slice template, size_t *at)
{
    size_t i = *at;
    bool brace = i < template.size && template.data[i] == '{';
    i += brace;
    size_t start = i;
    while (i < template.size) {
        size_t next = i;
        uint32_t rune = utf8_next(template, &next, NULL);
        if (!rune_is_name(rune))
            break;
        i = next;
    }
    struct slice name = slice_sub(template, start, i - start);
    if (brace && (i >= template.size || template.data[i] != '}'))
        return SLICE("");
    if (name.size > 0)
        *at = i + brace;
    return name;
}

void regex_expand(const struct regex *regex, struct slice template, struct slice text,
                  const struct regex_span *spans, size_t span_count, struct buffer *out)
{
    size_t at = 0;
    while (at < template.size) {
        size_t dollar = slice_find_byte(template, '$', at);
        if (dollar == SLICE_NOT_FOUND)
            dollar = template.size;
        buffer_append_slice(out, slice_sub(template, at, dollar - at));
        at = dollar + 1;
        if (dollar >= template.size)
            break;
        if (at < template.size && template.data[at] == '$') {
            buffer_append_byte(out, '$');
            at++;
            continue;
        }
        struct slice name = template_name(template, &at);
        if (name.size == 0) {
            buffer_append_byte(out, '$'); /* malformed: the dollar stands for itself */
            continue;
        }
        size_t group = template_group(regex, name, spans, span_count);
        if (group < span_count && spans[group].start != SIZE_MAX)
            buffer_append_slice(
                out, slice_sub(text, spans[group].start, spans[group].end - spans[group].start));
    }
}

bool regex_literals(const struct regex *regex, const struct slice **values, size_t *count)
{
    if (regex->facts.literals == NULL)
        return false;
    *values = regex->facts.literals;
    *count = regex->facts.literal_count;
    return true;
}

struct slice regex_prefix(const struct regex *regex)
{
    return regex->facts.prefix;
}

struct slice regex_required(const struct regex *regex)
{
    return regex->facts.required;
}

bool regex_matches_empty(const struct regex *regex)
{
    return regex->facts.matches_empty;
}
