// links: base
/*
 * Regular expressions: parsing never crashes, and PCRE2, the program, the
 * automaton and the literal shortcuts agree on where a pattern matches.
 *
 * Input: a line with the flags as a digit, a line with the pattern, the text.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/regex_program.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATTERN_MAX = 300, TEXT_MAX = 400, PROGRAM_MAX = 20000, SPANS_MAX = 12 };

static void agree(bool same)
{
    if (!same)
        abort();
}

static void check(const struct regex *regex, const struct program *program, struct slice text)
{
    struct error err = {0};
    struct regex_span found[SPANS_MAX], linear[SPANS_MAX];
    size_t spans = regex_group_count(regex) + 1;
    spans = spans > SPANS_MAX ? SPANS_MAX : spans;
    int hit = program_find(program, text, 0, linear, spans);
    agree(regex_find(regex, text, 0, found, spans, &err) == hit);
    for (size_t i = 0; hit == 1 && i < spans; i++)
        agree(found[i].start == linear[i].start && found[i].end == linear[i].end);
    agree(regex_match(regex, text, &err) == hit);
    if (text.size == 0)
        agree(regex_matches_empty(regex) == (hit == 1));
    if (hit == 1) {
        agree(slice_find(text, regex_required(regex), 0) != SLICE_NOT_FOUND);
        agree(slice_starts_with(text, regex_prefix(regex)));
        struct buffer out;
        buffer_init(&out, 1 << 16);
        regex_expand(regex, text, text, found, spans, &out);
        buffer_done(&out);
    }
    if (program->kind_count > 0 && text.size > 0) {
        struct automaton *automaton = automaton_new(program);
        int answer = automaton_match(automaton, text);
        agree(answer == hit || answer == -1);
        automaton_free(automaton);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size), flags_line, pattern;
    if (!slice_split(&rest, '\n', &flags_line) || flags_line.size == 0 ||
        !slice_split(&rest, '\n', &pattern) || pattern.size > PATTERN_MAX)
        return 0;
    if (rest.size > TEXT_MAX)
        rest.size = TEXT_MAX;
    unsigned flags = (unsigned)flags_line.data[0] & 7;
    struct error err = {0};
    struct regex *regex = regex_new(pattern, flags, &err);
    if (regex == NULL) {
        agree(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        return 0;
    }
    struct arena *arena = arena_new(1 << 26);
    struct tree tree;
    agree(regex_parse(arena, pattern, flags, &tree, &err));
    struct program *program = program_new(&tree, flags & REGEX_ANCHORED, &err);
    if (program && program->size <= PROGRAM_MAX)
        check(regex, program, rest.data ? rest : SLICE(""));
    program_free(program);
    arena_free(arena);
    regex_free(regex);
    return 0;
}
