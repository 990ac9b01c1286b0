/*
 * regex_automaton.c - a deterministic automaton built as the text asks for it.
 *
 * A state is the set of program addresses that wait for a code point (or for
 * the end of the text).  Its successors are worked out once per kind of code
 * point and remembered, so a long text costs one table look-up per code point.
 * The cache has a fixed size: when it is full it is emptied, and a text that
 * fills it again and again is left to the matcher of regex_linear.c.
 */
#include "base/regex_program.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    CACHE_CELLS_MAX = 128 * 1024, /* successors remembered: 512 KiB */
    CACHE_ADDRESSES_MAX = 64 * 1024,
    RUNES_PER_FLUSH_MIN = 4096, /* fewer between two flushes: give up */
    UNKNOWN = UINT32_MAX,
};

struct state {
    uint32_t first; /* in addresses[] */
    uint32_t count;
    bool accepts;        /* a match ends here */
    bool accepts_at_end; /* ... if the text ends here */
};

struct automaton {
    const struct program *program;
    struct state *states;
    uint32_t state_count, state_max;
    uint32_t *successors; /* [state_max][kind_count] */
    uint32_t *addresses;
    uint32_t address_count;
    struct table by_set;
    /* Working memory for one closure. */
    uint32_t *sparse, *dense, *stack, *kept;
    uint32_t dense_count, kept_count;
    bool kept_accepts; /* a match was reached on the way to kept[] */
};

struct place {
    bool text_start, line_start, text_end;
};

struct automaton *automaton_new(const struct program *program)
{
    struct automaton *a = xcalloc(1, sizeof(*a));
    a->program = program;
    a->state_max = CACHE_CELLS_MAX / program->kind_count;
    a->states = xcalloc(a->state_max, sizeof(struct state));
    a->successors = xmalloc((size_t)a->state_max * program->kind_count * sizeof(uint32_t));
    size_t addresses = CACHE_ADDRESSES_MAX + (size_t)program->size;
    a->addresses = xmalloc(addresses * sizeof(uint32_t));
    a->sparse = xcalloc(program->size, sizeof(uint32_t));
    a->dense = xcalloc(program->size, sizeof(uint32_t));
    a->kept = xcalloc(program->size, sizeof(uint32_t));
    a->stack = xcalloc((size_t)program->size * 2 + 2, sizeof(uint32_t));
    table_init(&a->by_set);
    return a;
}

void automaton_free(struct automaton *a)
{
    if (a == NULL)
        return;
    free(a->states);
    free(a->successors);
    free(a->addresses);
    free(a->sparse);
    free(a->dense);
    free(a->kept);
    free(a->stack);
    table_done(&a->by_set);
    free(a);
}

/* Add what is reached from `address` without consuming; true when a match is. */
static bool closure(struct automaton *a, uint32_t address, struct place place)
{
    bool matched = false;
    uint32_t depth = 0;
    a->stack[depth++] = address;
    while (depth > 0) {
        uint32_t at = a->stack[--depth];
        uint32_t seen = a->sparse[at];
        if (seen < a->dense_count && a->dense[seen] == at)
            continue;
        a->sparse[at] = a->dense_count;
        a->dense[a->dense_count++] = at;
        const struct instruction *in = &a->program->code[at];
        bool go = in->op == OP_SPLIT || in->op == OP_SAVE;
        if (in->op == OP_SPLIT)
            a->stack[depth++] = in->arg;
        if (in->op == OP_MATCH)
            matched = true;
        if (in->op == OP_ASSERT)
            go = (in->arg == NODE_TEXT_START && place.text_start) ||
                 (in->arg == NODE_LINE_START && place.line_start) ||
                 (in->arg == NODE_TEXT_END && place.text_end);
        if (go)
            a->stack[depth++] = in->next;
        bool waits = in->op == OP_RUNE || in->op == OP_SET ||
                     (in->op == OP_ASSERT && in->arg == NODE_TEXT_END && !place.text_end);
        if (waits)
            a->kept[a->kept_count++] = at;
    }
    return matched;
}

static int address_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

struct state_key {
    const struct automaton *automaton;
    bool accepts;
};

static bool state_equal(const void *items, uint32_t index, const void *key)
{
    const struct state *state = (const struct state *)items + index;
    const struct state_key *k = key;
    const struct automaton *a = k->automaton;
    return state->count == a->kept_count && state->accepts == k->accepts &&
           memcmp(a->addresses + state->first, a->kept, state->count * sizeof(uint32_t)) == 0;
}

/* Would the state match if the text ended in it? */
static bool state_accepts_at_end(struct automaton *a, const struct state *state)
{
    bool matched = false;
    a->dense_count = a->kept_count = 0;
    for (uint32_t i = 0; i < state->count; i++) {
        uint32_t address = a->addresses[state->first + i];
        if (a->program->code[address].op == OP_ASSERT)
            matched |= closure(a, address, (struct place){.text_end = true});
    }
    return matched;
}

/* The state whose addresses are in kept[], or UNKNOWN when the cache is full. */
static uint32_t state_intern(struct automaton *a)
{
    bool accepts = a->kept_accepts;
    qsort(a->kept, a->kept_count, sizeof(uint32_t), address_compare);
    uint64_t hash = hash64(a->kept, a->kept_count * sizeof(uint32_t), accepts);
    struct state_key key = {a, accepts};
    uint32_t found = table_find(&a->by_set, hash, state_equal, a->states, &key);
    if (found != TABLE_NONE)
        return found;
    if (a->state_count == a->state_max || a->address_count >= CACHE_ADDRESSES_MAX)
        return UNKNOWN;
    uint32_t index = a->state_count++;
    struct state *state = &a->states[index];
    *state = (struct state){.first = a->address_count, .count = a->kept_count, .accepts = accepts};
    memcpy(a->addresses + a->address_count, a->kept, a->kept_count * sizeof(uint32_t));
    a->address_count += a->kept_count;
    size_t cells = a->program->kind_count;
    memset(a->successors + index * cells, 0xff, cells * sizeof(uint32_t));
    table_insert(&a->by_set, hash, index);
    state->accepts_at_end = accepts || state_accepts_at_end(a, state);
    return index;
}

static uint32_t state_initial(struct automaton *a)
{
    a->dense_count = a->kept_count = 0;
    a->kept_accepts = closure(a, a->program->start, (struct place){true, true, false});
    return state_intern(a);
}

static uint32_t state_step(struct automaton *a, uint32_t from, uint32_t kind)
{
    const struct program *p = a->program;
    uint32_t rune = p->bounds[kind];
    struct place place = {.line_start = rune == '\n'};
    bool accepts = false;
    a->dense_count = a->kept_count = 0;
    for (uint32_t i = 0; i < a->states[from].count; i++) {
        const struct instruction *in = &p->code[a->addresses[a->states[from].first + i]];
        bool go = (in->op == OP_RUNE && in->arg == rune) ||
                  (in->op == OP_SET && rune_set_has(p->sets[in->arg], rune));
        if (go)
            accepts |= closure(a, in->next, place);
    }
    if (!p->starts_anchored)
        accepts |= closure(a, p->start, place);
    a->kept_accepts = accepts;
    return state_intern(a);
}

static void cache_flush(struct automaton *a)
{
    a->state_count = 0;
    a->address_count = 0;
    table_done(&a->by_set);
    table_init(&a->by_set);
}

int automaton_match(struct automaton *a, struct slice text)
{
    const struct program *p = a->program;
    size_t cells = p->kind_count;
    uint32_t state = state_initial(a);
    if (state == UNKNOWN) {
        cache_flush(a);
        state = state_initial(a);
    }
    size_t at = 0, flushed_at = 0;
    bool flushed = false;
    while (at < text.size) {
        if (a->states[state].accepts)
            return 1;
        if (a->states[state].count == 0 && p->starts_anchored)
            return 0;
        unsigned char byte = (unsigned char)text.data[at];
        uint32_t kind = byte < 128 ? p->ascii_kinds[byte] : 0;
        if (byte < 128)
            at++;
        else
            kind = program_kind(p, utf8_next(text, &at, NULL));
        uint32_t next = a->successors[state * cells + kind];
        if (UNLIKELY(next == UNKNOWN)) {
            next = state_step(a, state, kind);
            if (next == UNKNOWN) {
                if (flushed && at - flushed_at < RUNES_PER_FLUSH_MIN)
                    return -1;
                flushed = true;
                flushed_at = at;
                cache_flush(a);
                /* kept[] still holds the successor's addresses. */
                next = state_intern(a);
                if (next == UNKNOWN)
                    return -1;
                state = next;
                continue;
            }
            a->successors[state * cells + kind] = next;
        }
        state = next;
    }
    return a->states[state].accepts_at_end;
}
