/* line_scan.c - predicates over whole blocks (see line_scan.h). */
#include "storage/line_scan.h"

#include "base/array.h"
#include "base/memory.h"
#include "base/predicate.h"
#include "base/regex.h"
#include "base/text_search.h"

enum {
    NEEDLES_MAX = 12, /* more of one condition: its lines are tested one by one */
    SPARSE = 16       /* so too when at most every 16th line is left */
};

/* One text of a condition. */
struct search {
    const struct line_text *text;
    size_t first, count; /* its needles; none: only the lines themselves tell */
    bool exact;          /* a line with a needle satisfies it */
    bool odd;            /* a needle has k or s in any case */
};

struct condition {
    bool negated;
    size_t first, count; /* searches */
};

struct line_scan {
    ARRAY(struct needle) needles;
    ARRAY(struct search) searches;
    ARRAY(struct condition) conditions;
};

/* ---- preparing ------------------------------------------------------------------- */

static bool has_odd_letter(struct slice text)
{
    return slice_find_byte(text, 'k', 0) != SLICE_NOT_FOUND ||
           slice_find_byte(text, 's', 0) != SLICE_NOT_FOUND;
}

static void add_search(struct line_scan *scan, const struct line_text *text)
{
    struct search search = {.text = text, .first = scan->needles.count};
    if (text->regex == NULL) {
        array_push(&scan->needles, needle_of(text->literal, false));
        search.exact = true;
    } else {
        const struct regex_literal *items;
        size_t count = regex_alternatives(text->regex, &items);
        for (size_t i = 0; i < count && count <= NEEDLES_MAX; i++) {
            array_push(&scan->needles, needle_of(items[i].text, items[i].fold));
            search.odd |= items[i].fold && has_odd_letter(items[i].text);
        }
        search.exact = count > 0 && regex_is_alternatives(text->regex);
    }
    search.count = scan->needles.count - search.first;
    array_push(&scan->searches, search);
}

struct line_scan *line_scan_new(const struct predicate *predicate)
{
    if (predicate == NULL || predicate->count == 0)
        return NULL;
    struct line_scan *scan = xcalloc(1, sizeof(*scan));
    /* Positive conditions first: what they leave is little. */
    for (int negated = 0; negated < 2; negated++) {
        for (size_t i = 0; i < predicate->count; i++) {
            const struct line_condition *from = &predicate->items[i];
            struct condition condition = {from->negated, scan->searches.count, from->count};
            if (from->negated != (negated == 1))
                continue;
            for (size_t k = 0; k < from->count; k++)
                add_search(scan, &from->texts[k]);
            array_push(&scan->conditions, condition);
        }
    }
    return scan;
}

void line_scan_free(struct line_scan *scan)
{
    if (scan == NULL)
        return;
    array_done(&scan->needles);
    array_done(&scan->searches);
    array_done(&scan->conditions);
    free(scan);
}

/* ---- one line ----------------------------------------------------------------------- */

static int text_holds(const struct line_text *text, struct slice line, struct error *err)
{
    if (text->regex)
        return regex_match(text->regex, line, err);
    return slice_find(line, text->literal, 0) != SLICE_NOT_FOUND;
}

static int condition_holds(const struct line_scan *scan, const struct condition *condition,
                           struct slice line, struct error *err)
{
    for (size_t i = 0; i < condition->count; i++) {
        int hit = text_holds(scan->searches.items[condition->first + i].text, line, err);
        if (hit != 0)
            return hit < 0 ? -1 : !condition->negated;
    }
    return condition->negated;
}

int line_scan_line(const struct line_scan *scan, struct slice line, struct error *err)
{
    for (size_t i = 0; i < scan->conditions.count; i++) {
        int holds = condition_holds(scan, &scan->conditions.items[i], line, err);
        if (holds <= 0)
            return holds;
    }
    return 1;
}

/* ---- a block -------------------------------------------------------------------------- */

struct block {
    const struct line_scan *scan;
    struct slice text;
    const uint32_t *offsets;
    size_t count;
    uint64_t *left; /* lines that satisfy the conditions so far */
    uint64_t *hits; /* those of them that the condition's texts are in */
};

static bool bit_get(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void bit_set(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

static struct slice line_at(const struct block *b, size_t i)
{
    return slice_of(b->text.data + b->offsets[i], b->offsets[i + 1] - b->offsets[i]);
}

/* The line that holds the byte at `place`, at or behind line `from`. */
static size_t line_of(const struct block *b, size_t place, size_t from)
{
    size_t step = 1, low = from;
    while (low + step < b->count && b->offsets[low + step] <= place) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < b->count ? low + step : b->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->offsets[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool find_needle(struct block *b, const struct search *search, const struct needle *needle,
                        struct error *err)
{
    size_t line = 0, at = 0;
    while ((at = needle_find(needle, b->text, at)) != SLICE_NOT_FOUND) {
        line = line_of(b, at, line);
        size_t end = b->offsets[line + 1];
        if (at + needle->text.size > end) {
            at++; /* it stands across two lines: in none of them */
            continue;
        }
        if (bit_get(b->left, line) && !bit_get(b->hits, line)) {
            int hit = search->exact ? 1 : regex_match(search->text->regex, line_at(b, line), err);
            if (hit < 0)
                return false;
            if (hit)
                bit_set(b->hits, line);
        }
        if (line + 1 == b->count)
            return true;
        at = end;
    }
    return true;
}

static bool find_by_line(struct block *b, const struct search *search, struct error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        if (!bit_get(b->left, i) || bit_get(b->hits, i))
            continue;
        int hit = text_holds(search->text, line_at(b, i), err);
        if (hit < 0)
            return false;
        if (hit)
            bit_set(b->hits, i);
    }
    return true;
}

static bool find_text(struct block *b, const struct search *search, struct error *err)
{
    const struct needle *needles = b->scan->needles.items + search->first;
    if (search->count == 0 || needles[0].text.size == 0 ||
        (search->odd && text_has_odd_folds(b->text)))
        return find_by_line(b, search, err);
    for (size_t i = 0; i < search->count; i++)
        if (!find_needle(b, search, &needles[i], err))
            return false;
    return true;
}

static size_t lines_left(const struct block *b)
{
    size_t left = 0;
    for (size_t w = 0; w < (b->count + 63) / 64; w++)
        left += (size_t)__builtin_popcountll(b->left[w]);
    return left;
}

static bool apply(struct block *b, const struct condition *condition, struct error *err)
{
    size_t words = (b->count + 63) / 64;
    bool sparse = lines_left(b) * SPARSE <= b->count;
    memset(b->hits, 0, words * sizeof(*b->hits));
    for (size_t i = 0; i < condition->count; i++) {
        const struct search *search = &b->scan->searches.items[condition->first + i];
        if (!(sparse ? find_by_line(b, search, err) : find_text(b, search, err)))
            return false;
    }
    for (size_t w = 0; w < words; w++)
        b->left[w] &= condition->negated ? ~b->hits[w] : b->hits[w];
    return true;
}

bool line_scan_block(const struct line_scan *scan, struct slice text, const uint32_t *offsets,
                     size_t count, uint64_t *kept, struct error *err)
{
    size_t words = (count + 63) / 64;
    AUTO(memory_drop) uint64_t *hits = xmalloc((words + 1) * sizeof(*hits));
    struct block b = {scan, text, offsets, count, kept, hits};
    memset(kept, 0xFF, words * sizeof(*kept));
    if (count % 64 != 0)
        kept[words - 1] = (UINT64_C(1) << count % 64) - 1;
    for (size_t i = 0; i < scan->conditions.count; i++) {
        if (!apply(&b, &scan->conditions.items[i], err))
            return false;
        if (lines_left(&b) == 0)
            return true;
    }
    return true;
}
