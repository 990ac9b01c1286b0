/*
 * regex_linear.c - running a program thread by thread.
 *
 * All threads stand at the same place of the text.  A thread is an address in
 * the program with the positions its groups have noted; of two threads that
 * reach the same address the one that was preferred first stays, which is the
 * leftmost-first rule of Perl and RE2.  Memory is program size times slots for
 * the two lists, allocated per call: this is the path for odd cases.
 */
#include "base/regex_program.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { NOT_A_SLOT = UINT32_MAX, NO_RUNE = UINT32_MAX };

struct thread_list {
    uint32_t *sparse; /* address -> place in dense */
    uint32_t *dense;  /* addresses in order of preference */
    uint32_t count;
    size_t *slots; /* [count][slot_count] */
};

/* Either an address to visit, or a slot to set back when its branch is done. */
struct visit {
    uint32_t address;
    uint32_t slot;
    size_t old;
};

struct machine {
    const struct program *program;
    struct thread_list now, then;
    struct visit *stack;
    size_t *slots; /* of the thread being followed */
    uint32_t slot_count;
    uint32_t before, after; /* code points around the position, or NO_RUNE */
    bool at_start, at_end;
};

static void list_init(struct thread_list *list, const struct program *program, uint32_t slots)
{
    list->sparse = xcalloc(program->size, sizeof(uint32_t));
    list->dense = xcalloc(program->size, sizeof(uint32_t));
    list->slots = xcalloc((size_t)program->size * slots, sizeof(size_t));
}

static void list_done(struct thread_list *list)
{
    free(list->sparse);
    free(list->dense);
    free(list->slots);
}

static bool list_has(const struct thread_list *list, uint32_t address)
{
    uint32_t place = list->sparse[address];
    return place < list->count && list->dense[place] == address;
}

static bool assertion_holds(const struct machine *m, uint32_t kind)
{
    bool word_before = m->before != NO_RUNE && rune_is_word(m->before);
    bool word_after = m->after != NO_RUNE && rune_is_word(m->after);
    switch (kind) {
    case NODE_TEXT_START:
        return m->at_start;
    case NODE_TEXT_END:
        return m->at_end;
    case NODE_LINE_START:
        return m->at_start || m->before == '\n';
    case NODE_LINE_END:
        return m->at_end || m->after == '\n';
    case NODE_WORD_BOUNDARY:
        return word_before != word_after;
    default:
        return word_before == word_after;
    }
}

/* Add every address that is reached from `address` without consuming. */
static void follow(struct machine *m, struct thread_list *list, uint32_t address, size_t position)
{
    size_t depth = 0;
    m->stack[depth++] = (struct visit){address, NOT_A_SLOT, 0};
    while (depth > 0) {
        struct visit v = m->stack[--depth];
        if (v.slot != NOT_A_SLOT) {
            m->slots[v.slot] = v.old;
            continue;
        }
        if (list_has(list, v.address))
            continue;
        uint32_t place = list->count++;
        list->sparse[v.address] = place;
        list->dense[place] = v.address;
        const struct instruction *in = &m->program->code[v.address];
        switch (in->op) {
        case OP_SPLIT:
            m->stack[depth++] = (struct visit){in->arg, NOT_A_SLOT, 0};
            m->stack[depth++] = (struct visit){in->next, NOT_A_SLOT, 0};
            break;
        case OP_SAVE:
            if (in->arg < m->slot_count) {
                m->stack[depth++] = (struct visit){0, in->arg, m->slots[in->arg]};
                m->slots[in->arg] = position;
            }
            m->stack[depth++] = (struct visit){in->next, NOT_A_SLOT, 0};
            break;
        case OP_ASSERT:
            if (assertion_holds(m, in->arg))
                m->stack[depth++] = (struct visit){in->next, NOT_A_SLOT, 0};
            break;
        default:
            if (m->slot_count > 0)
                memcpy(list->slots + (size_t)place * m->slot_count, m->slots,
                       m->slot_count * sizeof(size_t));
        }
    }
}

/*
 * Move every thread over the code point `rune` (NO_RUNE at the end).  A match
 * cuts off the threads behind it.  True when one was found; its slots are in
 * `found`.
 */
static bool advance(struct machine *m, uint32_t rune, size_t position_after, size_t *found)
{
    struct thread_list *now = &m->now;
    for (uint32_t i = 0; i < now->count; i++) {
        const struct instruction *in = &m->program->code[now->dense[i]];
        const size_t *slots = now->slots + (size_t)i * m->slot_count;
        bool go = false;
        if (in->op == OP_MATCH) {
            if (m->slot_count > 0)
                memcpy(found, slots, m->slot_count * sizeof(size_t));
            return true;
        }
        if (rune == NO_RUNE)
            continue;
        if (in->op == OP_RUNE)
            go = in->arg == rune;
        else if (in->op == OP_SET)
            go = rune_set_has(m->program->sets[in->arg], rune);
        if (!go)
            continue;
        if (m->slot_count > 0)
            memcpy(m->slots, slots, m->slot_count * sizeof(size_t));
        follow(m, &m->then, in->next, position_after);
    }
    return false;
}

/* The code point that ends right before `at`. */
static uint32_t rune_before(struct slice text, size_t at)
{
    if (at == 0)
        return NO_RUNE;
    for (size_t back = UTF8_SIZE_MAX; back > 1; back--) {
        if (back > at)
            continue;
        size_t i = at - back;
        bool valid;
        uint32_t rune = utf8_next(text, &i, &valid);
        if (valid && i == at)
            return rune;
    }
    size_t i = at - 1;
    return utf8_next(text, &i, NULL);
}

static bool run(struct machine *m, struct slice text, size_t from, size_t *found)
{
    bool matched = false;
    size_t at = from;
    m->before = rune_before(text, from);
    for (;;) {
        size_t next = at;
        m->at_start = at == 0;
        m->at_end = at >= text.size;
        m->after = m->at_end ? NO_RUNE : utf8_next(text, &next, NULL);
        if (!matched && (at == 0 || !m->program->starts_anchored)) {
            for (uint32_t i = 0; i < m->slot_count; i++)
                m->slots[i] = SIZE_MAX;
            follow(m, &m->now, m->program->start, at);
        }
        if (m->now.count == 0)
            return matched;
        /* The threads that move stand at `next`, whose surroundings `follow` looks at. */
        uint32_t rune = m->after;
        size_t behind = next;
        m->before = rune;
        m->at_start = false;
        m->at_end = next >= text.size;
        m->after = m->at_end ? NO_RUNE : utf8_next(text, &behind, NULL);
        if (advance(m, rune, next, found))
            matched = true;
        if (matched && m->slot_count == 0)
            return true;
        if (rune == NO_RUNE)
            return matched;
        struct thread_list spare = m->now;
        m->now = m->then;
        m->then = spare;
        m->then.count = 0;
        at = next;
    }
}

int program_find(const struct program *program, struct slice text, size_t from,
                 struct regex_span *spans, size_t span_max)
{
    uint32_t slots = program->slot_count;
    if (span_max < slots / 2)
        slots = 2 * (uint32_t)span_max;
    struct machine m = {.program = program, .slot_count = slots};
    list_init(&m.now, program, slots);
    list_init(&m.then, program, slots);
    m.stack = xcalloc((size_t)program->size * 2 + 2, sizeof(struct visit));
    m.slots = xcalloc(slots, sizeof(size_t));
    size_t *found = xcalloc(slots, sizeof(size_t));
    bool matched = run(&m, text, from, found);
    for (uint32_t i = 0; matched && i < slots / 2; i++) {
        bool set = found[2 * i] != SIZE_MAX && found[2 * i + 1] != SIZE_MAX;
        spans[i] = set ? (struct regex_span){found[2 * i], found[2 * i + 1]}
                       : (struct regex_span){SIZE_MAX, SIZE_MAX};
    }
    for (size_t i = slots / 2; matched && i < span_max; i++)
        spans[i] = (struct regex_span){SIZE_MAX, SIZE_MAX};
    list_done(&m.now);
    list_done(&m.then);
    free(m.stack);
    free(m.slots);
    free(found);
    return matched;
}
