/* match_keys.c - which columns of two vectors belong together. */
#include "base/error.h"
#include "query/eval_internal.h"

static struct labels key_labels(const struct matching *matching, struct labels labels,
                                struct arena *arena)
{
    struct labels kept =
        labels_select(arena, labels, matching->labels, matching->label_count, matching->on);
    return matching->on ? kept : labels_with(arena, kept, LABEL_NAME_METRIC, SLICE(""));
}

static uint32_t *number_side(const struct matching *matching, const struct columns *side,
                             struct label_index *index, struct arena *arena, struct arena *scratch)
{
    uint32_t *numbers = arena_calloc(arena, side->count, sizeof(*numbers));
    for (size_t i = 0; numbers && i < side->count; i++) {
        bool added;
        numbers[i] =
            label_index_put(index, key_labels(matching, side->items[i].labels, scratch), &added);
        arena_reset(scratch);
        if (numbers[i] == UINT32_MAX)
            return NULL;
    }
    return numbers;
}

bool match_keys_make(const struct matching *matching, const struct columns *left,
                     const struct columns *right, struct arena *arena, struct match_keys *out,
                     struct error *err)
{
    struct arena *scratch = arena_new_in_budget(1 << 26);
    struct label_index *index = label_index_new(arena);
    out->left = number_side(matching, left, index, arena, scratch);
    out->right = out->left ? number_side(matching, right, index, arena, scratch) : NULL;
    out->groups = label_index_count(index);
    label_index_free(index);
    arena_free(scratch);
    return out->right != NULL ||
           (arena_check(arena, "the query", err) &&
            error_set(err, ERR_LIMIT, "a series has too many labels to be matched"));
}
