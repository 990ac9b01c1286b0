/*
 * cardinality.c - see cardinality.h.
 *
 * One walk over all label pairs by number.  Numbers and texts stay valid from
 * postings_enter() on, so the lock is let go between steps.  What is ranked
 * stands in heaps with the smallest on top, so most pairs cost one comparison.
 */
#include "storage/cardinality.h"

#include "base/arena.h"
#include "base/error.h"
#include "storage/store_internal.h"

enum { PAIRS_AT_ONCE = 8192, NO_SLOT = 0 };

struct entry {
    uint64_t value;
    uint32_t key; /* number of a pair, or symbol of a name */
};

struct heap {
    struct entry *items;
    size_t count, limit;
};

struct name_sum {
    uint32_t symbol;
    uint64_t values, bytes;
};

struct walk {
    struct head *head;
    uint32_t *slots; /* by symbol: place in `names` and 1 */
    uint32_t symbols;
    uint32_t metric; /* symbol of __name__ */
    ARRAY(struct name_sum) names;
    struct heap metrics, pairs, label_values, label_bytes;
    uint64_t label_pairs;
};

/* ---- heaps ---------------------------------------------------------------------- */

static void sift_down(struct heap *h, size_t at)
{
    struct entry moving = h->items[at];
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && h->items[child + 1].value < h->items[child].value)
            child++;
        if (h->items[child].value >= moving.value)
            break;
        h->items[at] = h->items[child];
    }
    h->items[at] = moving;
}

static void heap_add(struct heap *h, uint32_t key, uint64_t value)
{
    struct entry entry = {value, key};
    if (h->count == h->limit) {
        if (h->limit == 0 || value <= h->items[0].value)
            return;
        h->items[0] = entry;
        sift_down(h, 0);
        return;
    }
    size_t at = h->count++;
    for (; at > 0 && h->items[(at - 1) / 2].value > value; at = (at - 1) / 2)
        h->items[at] = h->items[(at - 1) / 2];
    h->items[at] = entry;
}

/* ---- the walk --------------------------------------------------------------------- */

static struct name_sum *name_of(struct walk *w, uint32_t symbol)
{
    if (symbol >= w->symbols)
        return NULL; /* came after the walk began */
    if (w->slots[symbol] == NO_SLOT) {
        array_push(&w->names, ((struct name_sum){.symbol = symbol}));
        w->slots[symbol] = (uint32_t)w->names.count;
    }
    return &w->names.items[w->slots[symbol] - 1];
}

/* With its length in front, as Prometheus 3 counts it. */
static uint64_t text_size(const struct postings *postings, uint32_t symbol)
{
    size_t size = symbols_text(&postings->symbols, symbol).size;
    return size + (size < 255 ? 1 : 4);
}

static void count_pair(struct walk *w, uint32_t number)
{
    const struct postings *postings = &w->head->postings;
    const struct label_pair *pair = &postings->pairs.items[number];
    if (pair->count == 0 || pair->capacity == PAIR_REMOVED)
        return;
    struct name_sum *name = name_of(w, pair->name);
    if (name == NULL)
        return;
    name->values++;
    name->bytes +=
        pair->count * (text_size(postings, pair->name) + text_size(postings, pair->value));
    w->label_pairs++;
    heap_add(&w->pairs, number, pair->count);
    if (pair->name == w->metric)
        heap_add(&w->metrics, number, pair->count);
}

static void walk_all(struct walk *w)
{
    for (size_t at = 0, end = 1; at < end;) {
        pthread_mutex_lock(&w->head->lock);
        end = w->head->postings.pairs.count;
        size_t some = end - at < PAIRS_AT_ONCE ? end : at + PAIRS_AT_ONCE;
        for (; at < some; at++)
            count_pair(w, (uint32_t)at);
        pthread_mutex_unlock(&w->head->lock);
    }
    for (size_t i = 0; i < w->names.count; i++) {
        heap_add(&w->label_values, (uint32_t)i, w->names.items[i].values);
        heap_add(&w->label_bytes, (uint32_t)i, w->names.items[i].bytes);
    }
}

/* ---- texts --------------------------------------------------------------------------- */

enum text_form { TEXT_VALUE, TEXT_PAIR, TEXT_NAME };

static int by_rank(const void *a, const void *b)
{
    const struct ranked_name *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return slice_compare(x->name, y->name);
}

static struct slice text_of(const struct walk *w, uint32_t key, enum text_form form,
                            struct arena *arena)
{
    const struct postings *postings = &w->head->postings;
    if (form == TEXT_NAME)
        return arena_copy(arena, symbols_text(&postings->symbols, w->names.items[key].symbol));
    struct label label = postings_label(postings, key);
    return form == TEXT_VALUE
               ? arena_copy(arena, label.value)
               : arena_printf(arena, "%.*s=%.*s", SLICE_ARG(label.name), SLICE_ARG(label.value));
}

static void give(const struct walk *w, const struct heap *heap, enum text_form form,
                 struct arena *arena, struct ranking *out)
{
    struct ranked_name *items = arena_calloc(arena, heap->count + 1, sizeof(*items));
    *out = (struct ranking){items, items ? heap->count : 0};
    for (size_t i = 0; i < out->count; i++)
        items[i] =
            (struct ranked_name){text_of(w, heap->items[i].key, form, arena), heap->items[i].value};
    if (out->count > 1)
        qsort(items, out->count, sizeof(*items), by_rank);
}

static bool heap_init(struct heap *heap, size_t limit, struct arena *arena)
{
    heap->items = arena_calloc(arena, limit + 1, sizeof(*heap->items));
    heap->limit = heap->items ? limit : 0;
    return heap->items != NULL;
}

static bool heaps_init(struct walk *w, size_t limit, struct arena *arena)
{
    return heap_init(&w->metrics, limit, arena) && heap_init(&w->pairs, limit, arena) &&
           heap_init(&w->label_values, limit, arena) && heap_init(&w->label_bytes, limit, arena);
}

bool store_cardinality(struct store *store, struct slice tenant, enum store_kind kind, size_t limit,
                       struct arena *arena, struct cardinality *out, struct error *err)
{
    struct head *head = store_head(store, tenant, kind);
    struct walk w = {.head = head};
    *out = (struct cardinality){.oldest_ns = INT64_MAX, .newest_ns = INT64_MIN};
    if (head == NULL)
        return true;
    if (!heaps_init(&w, limit, arena))
        return arena_check(arena, "rankings", err);
    pthread_mutex_lock(&head->lock);
    uint32_t entered = postings_enter(&head->postings);
    w.symbols = (uint32_t)symbols_bound(&head->postings.symbols);
    w.metric = symbols_find(&head->postings.symbols, LABEL_NAME_METRIC);
    out->series = head->series_count;
    out->chunks = head->chunk_count;
    out->oldest_ns = head->oldest_ns;
    out->newest_ns = head->newest_ns;
    pthread_mutex_unlock(&head->lock);
    w.slots = xcalloc(w.symbols + 1, sizeof(*w.slots));
    walk_all(&w);
    pthread_mutex_lock(&head->lock); /* texts may not move while they are read */
    give(&w, &w.metrics, TEXT_VALUE, arena, &out->metrics);
    give(&w, &w.pairs, TEXT_PAIR, arena, &out->pairs);
    give(&w, &w.label_values, TEXT_NAME, arena, &out->label_values);
    give(&w, &w.label_bytes, TEXT_NAME, arena, &out->label_bytes);
    pthread_mutex_unlock(&head->lock);
    out->label_pairs = w.label_pairs;
    postings_leave(&head->postings, entered);
    free(w.slots);
    array_done(&w.names);
    return arena_check(arena, "rankings", err);
}
