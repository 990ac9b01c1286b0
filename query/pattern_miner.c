/*
 * pattern_miner.c - see pattern_miner.h.
 *
 * Words lie between delimiters (blanks, quotes, brackets, '=', ',', ';', '|'):
 * a path, an address or a time is one word.  The shape of a line is the hash of
 * its level and its delimiters; only patterns of the same shape are compared,
 * word by word.  A line with too many words ends in one word that is always
 * variable.
 */
#include "query/pattern_miner.h"

#include "base/buffer.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

enum { ALIKE_NUMERATOR = 1, ALIKE_DENOMINATOR = 3 };

struct piece {
    struct slice text;
    bool word, variable;
};

struct pieces {
    struct piece items[PATTERN_WORDS_MAX * 2 + 2];
    size_t count, words;
    uint64_t shape;
};

struct pattern {
    uint64_t shape, count;
    char *text; /* owned: the line that made it, then its level */
    struct slice level;
    struct piece *pieces; /* owned: slices of `text` */
    size_t piece_count;
    uint32_t *samples; /* owned */
};

struct pattern_miner {
    int64_t start_ns, step_ns;
    size_t steps;
    struct pattern patterns[PATTERNS_MAX];
    size_t count;
    struct pieces line; /* of the line at hand */
};

struct pattern_miner *pattern_miner_new(int64_t start_ns, int64_t step_ns, size_t steps)
{
    struct pattern_miner *miner = xcalloc(1, sizeof(*miner));
    miner->start_ns = start_ns;
    miner->step_ns = step_ns;
    miner->steps = steps;
    return miner;
}

static void pattern_done(struct pattern *p)
{
    free(p->text);
    free(p->pieces);
    free(p->samples);
}

void pattern_miner_free(struct pattern_miner *miner)
{
    if (miner == NULL)
        return;
    for (size_t i = 0; i < miner->count; i++)
        pattern_done(&miner->patterns[i]);
    free(miner);
}

/* ---- cutting lines ----------------------------------------------------------------- */

static bool is_delimiter(char c)
{
    return c != '\0' && strchr(" \t\r\n=\"'`,;|()[]{}<>", c) != NULL;
}

static void add_piece(struct pieces *p, struct slice text, bool word, bool variable)
{
    p->items[p->count++] = (struct piece){text, word, variable};
    p->words += word;
}

/* Runs of delimiters and of other bytes, in turn. */
static void cut_line(struct pieces *p, struct slice line, struct slice level)
{
    uint64_t shape = hash64(level.data, level.size, hash_seed());
    p->count = p->words = 0;
    for (size_t at = 0, end; at < line.size; at = end) {
        bool delimiter = is_delimiter(line.data[at]);
        for (end = at + 1; end < line.size && is_delimiter(line.data[end]) == delimiter;)
            end++;
        if (p->words == PATTERN_WORDS_MAX && !delimiter) {
            add_piece(p, slice_skip(line, at), true, true);
            break;
        }
        add_piece(p, slice_sub(line, at, end - at), !delimiter, false);
        shape = delimiter ? hash64(line.data + at, end - at, shape) : shape + 1;
    }
    p->shape = shape;
}

/* ---- finding the pattern of a line --------------------------------------------------- */

/* How many words are the same; SIZE_MAX when the delimiters or the level are not. */
static size_t words_alike(const struct pattern *pattern, const struct pieces *line,
                          struct slice level)
{
    size_t same = 0;
    if (pattern->shape != line->shape || pattern->piece_count != line->count ||
        !slice_equal(pattern->level, level))
        return SIZE_MAX;
    for (size_t i = 0; i < line->count; i++) {
        const struct piece *a = &pattern->pieces[i], *b = &line->items[i];
        if (a->word != b->word)
            return SIZE_MAX;
        if (a->variable || b->variable)
            continue;
        bool equal = slice_equal(a->text, b->text);
        if (!a->word && !equal)
            return SIZE_MAX;
        same += a->word && equal;
    }
    return same;
}

static struct pattern *find_pattern(struct pattern_miner *miner, struct slice level)
{
    struct pattern *best = NULL;
    size_t best_same = 0;
    for (size_t i = 0; i < miner->count; i++) {
        size_t same = words_alike(&miner->patterns[i], &miner->line, level);
        bool enough =
            same != SIZE_MAX && same * ALIKE_DENOMINATOR >= miner->line.words * ALIKE_NUMERATOR;
        if (enough && (best == NULL || same > best_same)) {
            best = &miner->patterns[i];
            best_same = same;
        }
    }
    return best;
}

static struct pattern *free_place(struct pattern_miner *miner)
{
    if (miner->count < PATTERNS_MAX)
        return &miner->patterns[miner->count++];
    struct pattern *rarest = &miner->patterns[0];
    for (size_t i = 1; i < miner->count; i++)
        if (miner->patterns[i].count < rarest->count)
            rarest = &miner->patterns[i];
    pattern_done(rarest);
    return rarest;
}

static struct pattern *make_pattern(struct pattern_miner *miner, struct slice line,
                                    struct slice level)
{
    struct pattern *p = free_place(miner);
    const struct pieces *cut = &miner->line;
    *p = (struct pattern){.shape = cut->shape, .piece_count = cut->count};
    p->text = xmalloc(line.size + level.size + 1);
    memcpy(p->text, line.data, line.size);
    if (level.size > 0)
        memcpy(p->text + line.size, level.data, level.size);
    p->level = slice_of(p->text + line.size, level.size);
    p->pieces = xcalloc(cut->count, sizeof(*p->pieces));
    p->samples = xcalloc(miner->steps, sizeof(*p->samples));
    for (size_t i = 0; i < cut->count; i++) {
        p->pieces[i] = cut->items[i];
        p->pieces[i].text.data = p->text + (cut->items[i].text.data - line.data);
    }
    return p;
}

static void merge_line(struct pattern *pattern, const struct pieces *line)
{
    for (size_t i = 0; i < line->count; i++) {
        struct piece *piece = &pattern->pieces[i];
        if (!slice_equal(piece->text, line->items[i].text))
            piece->variable = piece->word;
    }
}

void pattern_miner_add(struct pattern_miner *miner, int64_t time_ns, struct slice level,
                       struct slice line)
{
    int64_t distance_ns;
    if (line.size == 0 || line.size > PATTERN_LINE_MAX || level.size > PATTERN_LINE_MAX ||
        __builtin_sub_overflow(time_ns, miner->start_ns, &distance_ns) || distance_ns < 0 ||
        (uint64_t)(distance_ns / miner->step_ns) >= miner->steps)
        return;
    cut_line(&miner->line, line, level);
    struct pattern *pattern = find_pattern(miner, level);
    if (pattern)
        merge_line(pattern, &miner->line);
    else
        pattern = make_pattern(miner, line, level);
    pattern->count++;
    pattern->samples[distance_ns / miner->step_ns]++;
}

/* ---- looking at them ------------------------------------------------------------------ */

static int compare_patterns(const void *a, const void *b)
{
    const struct pattern *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    int order = slice_compare(x->pieces[0].text, y->pieces[0].text);
    return order ? order : slice_compare(x->level, y->level);
}

size_t pattern_miner_finish(struct pattern_miner *miner)
{
    qsort(miner->patterns, miner->count, sizeof(miner->patterns[0]), compare_patterns);
    return miner->count;
}

void pattern_append_text(const struct pattern_miner *miner, size_t number, struct buffer *out)
{
    const struct pattern *p = &miner->patterns[number];
    for (size_t i = 0; i < p->piece_count; i++) {
        if (p->pieces[i].variable)
            buffer_append_text(out, "<_>");
        else
            buffer_append_slice(out, p->pieces[i].text);
    }
}

struct slice pattern_level(const struct pattern_miner *miner, size_t number)
{
    return miner->patterns[number].level;
}

uint64_t pattern_count(const struct pattern_miner *miner, size_t number)
{
    return miner->patterns[number].count;
}

const uint32_t *pattern_samples(const struct pattern_miner *miner, size_t number)
{
    return miner->patterns[number].samples;
}
