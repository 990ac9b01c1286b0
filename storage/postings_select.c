/*
 * postings_select.c - matchers to series ids.
 *
 * A matcher that the empty string does not satisfy gives a set: the union over
 * the values that match.  One that it does satisfy (a!="x", a=~"", a=~"x|")
 * also holds for series without the label, so it takes away: the union over the
 * values that do NOT match.  Sets are intersected smallest first, then the
 * others are subtracted.
 *
 * Series that appear after the plan was made are left out by the id bound: a
 * subtracting matcher would not know their values.
 */
#include "storage/postings.h"

#include "base/error.h"
#include "base/matcher.h"
#include "base/regex.h"

struct candidate {
    uint32_t pair;
    struct slice value;
};

struct term {
    const struct matcher *matcher;
    bool subtract;
    bool decided; /* the candidates are exactly the wanted pairs */
    ARRAY(struct candidate) candidates;
};

struct postings_plan {
    struct term *terms;
    size_t count;
    uint32_t id_bound;
};

static bool name_equal(const void *items, uint32_t index, const void *key)
{
    return ((const struct postings *)items)->names.items[index].symbol == *(const uint32_t *)key;
}

static const struct label_name *find_name(const struct postings *postings, struct slice name)
{
    uint32_t symbol = symbols_find(&postings->symbols, name);
    if (symbol == TABLE_NONE)
        return NULL;
    uint64_t hash = hash64(&symbol, sizeof(symbol), hash_seed());
    uint32_t at = table_find(&postings->name_table, hash, name_equal, postings, &symbol);
    return at == TABLE_NONE ? NULL : &postings->names.items[at];
}

static void add_exact(const struct postings *postings, struct term *term, struct slice value)
{
    uint32_t pair = postings_find(postings, term->matcher->name, value);
    if (pair != TABLE_NONE)
        array_push(&term->candidates, ((struct candidate){pair, value}));
}

static void add_all(const struct postings *postings, struct term *term)
{
    const struct label_name *name = find_name(postings, term->matcher->name);
    if (name == NULL)
        return;
    struct slice prefix = {NULL, 0};
    if (term->matcher->type == MATCH_REGEX && !term->subtract)
        prefix = regex_prefix(term->matcher->regex);
    array_reserve(&term->candidates, name->pairs.count);
    for (size_t i = 0; i < name->pairs.count; i++) {
        uint32_t pair = name->pairs.items[i];
        const struct label_pair *p = &postings->pairs.items[pair];
        struct slice value = symbols_text(&postings->symbols, p->value);
        if (p->count > 0 && slice_starts_with(value, prefix))
            array_push(&term->candidates, ((struct candidate){pair, value}));
    }
}

static void plan_term(const struct postings *postings, struct term *term, const struct matcher *m)
{
    const struct slice *values;
    size_t count;
    term->matcher = m;
    term->subtract = matcher_matches_empty(m);
    term->decided = true;
    if (m->type == (term->subtract ? MATCH_NOT_EQUAL : MATCH_EQUAL)) {
        add_exact(postings, term, m->value);
    } else if (m->type == (term->subtract ? MATCH_NOT_REGEX : MATCH_REGEX) &&
               regex_literals(m->regex, &values, &count)) {
        for (size_t i = 0; i < count; i++)
            add_exact(postings, term, values[i]);
    } else {
        add_all(postings, term);
        term->decided = false;
    }
}

struct postings_plan *postings_plan_new(const struct postings *postings,
                                        const struct matcher *matchers, size_t count,
                                        uint32_t id_bound)
{
    struct postings_plan *plan = xcalloc(1, sizeof(*plan));
    plan->terms = xcalloc(count, sizeof(*plan->terms));
    plan->count = count;
    plan->id_bound = id_bound;
    for (size_t i = 0; i < count; i++)
        plan_term(postings, &plan->terms[i], &matchers[i]);
    return plan;
}

void postings_plan_free(struct postings_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++)
        array_done(&plan->terms[i].candidates);
    free(plan->terms);
    free(plan);
}

bool postings_decide(struct postings_plan *plan, struct error *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct term *term = &plan->terms[i];
        if (term->decided)
            continue;
        size_t kept = 0;
        for (size_t k = 0; k < term->candidates.count; k++) {
            int hit = matcher_test(term->matcher, term->candidates.items[k].value, err);
            if (hit < 0)
                return false;
            if ((hit == 1) != term->subtract)
                term->candidates.items[kept++] = term->candidates.items[k];
        }
        term->candidates.count = kept;
        term->decided = true;
    }
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Sorting by marking each id in a bitmap: for many ids, in less time than comparing takes. */
static void sort_by_bits(struct id_list *ids, uint32_t id_bound)
{
    size_t words = (size_t)id_bound / 64 + 1;
    AUTO(memory_drop) uint64_t *bits = xcalloc(words, sizeof(*bits));
    for (size_t i = 0; i < ids->count; i++) {
        uint32_t id = ids->items[i];
        if (id < id_bound)
            bits[id / 64] |= UINT64_C(1) << id % 64;
    }
    ids->count = 0; /* marks are not more than there were ids */
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = bits[w]; left; left &= left - 1)
            ids->items[ids->count++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(left));
    }
}

/* The union of a term's lists.  A series has one value per name: no id comes twice, except
 * that alternations may name a value twice. */
static void term_ids(const struct postings *postings, const struct term *term, uint32_t id_bound,
                     struct id_list *out)
{
    out->count = 0;
    for (size_t i = 0; i < term->candidates.count; i++) {
        const struct label_pair *p = &postings->pairs.items[term->candidates.items[i].pair];
        const uint32_t *ids = p->capacity ? p->ids : &p->one;
        if (p->count == 0)
            continue;
        array_reserve(out, out->count + p->count);
        memcpy(out->items + out->count, ids, p->count * sizeof(*ids));
        out->count += p->count;
    }
    if (term->candidates.count < 2 || out->count < 2)
        return;
    if (out->count > id_bound / 256) {
        sort_by_bits(out, id_bound);
        return;
    }
    qsort(out->items, out->count, sizeof(*out->items), compare_ids);
    size_t kept = 1;
    for (size_t i = 1; i < out->count; i++) {
        if (out->items[i] != out->items[kept - 1])
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
}

static size_t term_size(const struct postings *postings, const struct term *term)
{
    size_t size = 0;
    for (size_t i = 0; i < term->candidates.count; i++)
        size += postings->pairs.items[term->candidates.items[i].pair].count;
    return size;
}

/* Keep of `ids` what is (`keep`) or is not in the ascending `other`; gallops over it. */
static void filter_ids(struct id_list *ids, const struct id_list *other, bool keep)
{
    size_t kept = 0;
    size_t at = 0;
    for (size_t i = 0; i < ids->count; i++) {
        uint32_t id = ids->items[i];
        size_t step = 1;
        while (at + step < other->count && other->items[at + step] < id)
            step *= 2;
        size_t low = at + step / 2;
        size_t high = at + step < other->count ? at + step + 1 : other->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (other->items[middle] < id)
                low = middle + 1;
            else
                high = middle;
        }
        at = low;
        bool found = at < other->count && other->items[at] == id;
        if (found == keep)
            ids->items[kept++] = id;
    }
    ids->count = kept;
}

/* The index of the smallest term not used yet, or SIZE_MAX. */
static size_t next_term(const struct postings *postings, const struct postings_plan *plan,
                        const bool *used)
{
    size_t best = SIZE_MAX;
    size_t best_size = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (used[i] || plan->terms[i].subtract)
            continue;
        size_t size = term_size(postings, &plan->terms[i]);
        if (best == SIZE_MAX || size < best_size) {
            best = i;
            best_size = size;
        }
    }
    return best;
}

void postings_select(const struct postings *postings, const struct postings_plan *plan,
                     struct id_list *out)
{
    AUTO(memory_drop) bool *used = xcalloc(plan->count, sizeof(*used));
    struct id_list other = {0};
    bool first = true;
    out->count = 0;
    for (size_t at; (at = next_term(postings, plan, used)) != SIZE_MAX;) {
        used[at] = true;
        term_ids(postings, &plan->terms[at], plan->id_bound, first ? out : &other);
        if (!first)
            filter_ids(out, &other, true);
        first = false;
        if (out->count == 0)
            break;
    }
    if (first) {
        const struct label_pair *all = &postings->all;
        array_reserve(out, all->count);
        if (all->count > 0)
            memcpy(out->items, all->capacity ? all->ids : &all->one,
                   all->count * sizeof(*all->ids));
        out->count = all->count;
    }
    for (size_t i = 0; i < plan->count && out->count > 0; i++) {
        if (!plan->terms[i].subtract)
            continue;
        term_ids(postings, &plan->terms[i], plan->id_bound, &other);
        filter_ids(out, &other, false);
    }
    while (out->count > 0 && out->items[out->count - 1] >= plan->id_bound)
        out->count--;
    array_done(&other);
}
