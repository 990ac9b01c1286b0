/*
 * partition_select.c - matchers to series numbers, and names (see partition.h).
 *
 * A matcher that cannot match the empty text keeps the series that have one of
 * its values; one that can removes the series that have a value it refuses.  A
 * literal is one lookup, an alternation of literals a few; anything else is
 * tested once per distinct value of its label.  Sets are ascending arrays.
 */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/matcher.h"
#include "base/memory.h"
#include "base/regex.h"
#include "storage/partition_internal.h"

/* ---- lookups -------------------------------------------------------------------- */

uint32_t partition_symbol_hash(struct slice text)
{
    return checksum32(text.data, text.size);
}

/* The number of a symbol, or TABLE_NONE.  Moves no cursor but its own. */
static bool symbol_find(struct reading *r, struct slice text, uint32_t *number, struct error *err)
{
    MDB_cursor *cursor;
    char bytes[8], symbol_key[4];
    *number = TABLE_NONE;
    int rc = mdb_cursor_open(r->txn, r->p->env->databases[DB_HASHES], &cursor);
    if (rc != 0)
        return lmdb_failed(r->p->env, rc, "reading symbols", err);
    uint32_t hash = partition_symbol_hash(text);
    MDB_val key = lmdb_val(key_u64(bytes, hash, 0)), value;
    bool ok = true;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && key.mv_size == 8 && bytes_get32_big(key.mv_data) == hash) {
        uint32_t candidate = bytes_get32_big((char *)key.mv_data + 4);
        struct slice found;
        ok = reading_get(r, DB_SYMBOLS, key_u32(symbol_key, candidate), &found, err);
        if (ok && slice_equal(found, text))
            *number = candidate;
        if (!ok || *number != TABLE_NONE)
            break;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failed(r->p->env, rc, "reading symbols", err);
    return ok;
}

static bool cursor_seek(struct reading *r, uint32_t name, uint32_t value, uint32_t first,
                        MDB_val *key, MDB_val *data, bool *found, struct error *err)
{
    char bytes[12];
    *key = lmdb_val(key_postings(bytes, name, value, first));
    int rc = mdb_cursor_get(r->cursor, key, data, MDB_SET_RANGE);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failed(r->p->env, rc, "reading postings", err);
    *found = rc == 0;
    return true;
}

static inline uint32_t key_part(MDB_val key, unsigned part)
{
    return bytes_get32_big((char *)key.mv_data + 4 * (size_t)part);
}

/* Append the series that have the pair. */
static bool postings_read(struct reading *r, uint32_t name, uint32_t value,
                          struct series_numbers *numbers, struct error *err)
{
    MDB_val key, data;
    bool found;
    if (!cursor_seek(r, name, value, 0, &key, &data, &found, err))
        return false;
    while (found) {
        if (key.mv_size != 12)
            return reading_corrupt(r, "malformed postings", err);
        if (key_part(key, 0) != name || key_part(key, 1) != value)
            break;
        if (!postings_get(key_part(key, 2), lmdb_slice(data), numbers))
            return reading_corrupt(r, "malformed postings", err);
        int rc = mdb_cursor_get(r->cursor, &key, &data, MDB_NEXT);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return lmdb_failed(r->p->env, rc, "reading postings", err);
        found = rc == 0;
    }
    return true;
}

/*
 * Visit the distinct values of a name from value number `*next` on: gives one
 * value's number, or TABLE_NONE at the end.
 */
static bool value_next(struct reading *r, uint32_t name, uint32_t *next, uint32_t *value,
                       struct error *err)
{
    MDB_val key, data;
    bool found;
    *value = TABLE_NONE;
    if (!cursor_seek(r, name, *next, 0, &key, &data, &found, err))
        return false;
    if (!found || key.mv_size != 12 || key_part(key, 0) != name)
        return true;
    *value = key_part(key, 1);
    *next = *value + 1;
    return true;
}

static bool symbol_text(struct reading *r, uint32_t number, struct slice *text, struct error *err)
{
    char key[4];
    if (!reading_get(r, DB_SYMBOLS, key_u32(key, number), text, err))
        return false;
    return text->data != NULL || reading_corrupt(r, "a symbol is missing", err);
}

/* ---- sets ------------------------------------------------------------------------- */

static int number_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/*
 * Sort and drop repeats.  The pieces of different values do not overlap much,
 * but their union may hold every series: then counting beats sorting.
 */
static void set_tidy(struct series_numbers *set, uint32_t series_count)
{
    bool sorted = true;
    for (size_t i = 1; i < set->count && sorted; i++)
        sorted = set->items[i] > set->items[i - 1];
    if (sorted)
        return;
    if (set->count < series_count / 64) {
        qsort(set->items, set->count, sizeof(*set->items), number_order);
        size_t kept = 0;
        for (size_t i = 0; i < set->count; i++)
            if (kept == 0 || set->items[i] != set->items[kept - 1])
                set->items[kept++] = set->items[i];
        set->count = kept;
        return;
    }
    size_t words = (size_t)series_count / 64 + 1, kept = 0;
    AUTO(memory_drop) uint64_t *bits = xcalloc(words, sizeof(*bits));
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i] < series_count)
            bits[set->items[i] / 64] |= UINT64_C(1) << (set->items[i] % 64);
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = bits[w]; left != 0; left &= left - 1)
            set->items[kept++] = (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(left));
    set->count = kept;
}

/* Keep (or, with `keep` false, drop) the members of `set` that are in `other`. */
static void set_filter(struct series_numbers *set, const struct series_numbers *other, bool keep)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < set->count; i++) {
        uint32_t number = set->items[i];
        while (at < other->count && other->items[at] < number)
            at++;
        bool in = at < other->count && other->items[at] == number;
        if (in == keep)
            set->items[kept++] = number;
    }
    set->count = kept;
}

/* ---- matchers ----------------------------------------------------------------------- */

/* The series whose value of the matcher's name is one of the given literals. */
static bool literals_read(struct reading *r, uint32_t name, const struct slice *values,
                          size_t count, struct series_numbers *set, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        if (!symbol_find(r, values[i], &value, err) ||
            (value != TABLE_NONE && !postings_read(r, name, value, set, err)))
            return false;
    }
    return true;
}

/*
 * The series that have a value for which the matcher says `wanted`; each
 * distinct value is tested once.
 */
static bool values_test(struct reading *r, uint32_t name, const struct matcher *m, bool wanted,
                        struct series_numbers *set, struct error *err)
{
    uint32_t next = 0, value;
    struct slice prefix = {0};
    if (m->type == MATCH_REGEX && wanted)
        prefix = regex_prefix(m->regex);
    for (size_t i = 1;; i++) {
        struct slice text;
        bool renewed;
        if ((i % 64 == 0 && !reading_pause(r, &renewed, err)) ||
            !value_next(r, name, &next, &value, err))
            return false;
        if (value == TABLE_NONE)
            return true;
        if (!symbol_text(r, value, &text, err))
            return false;
        if (prefix.size > 0 && !slice_starts_with(text, prefix))
            continue;
        int hit = matcher_test(m, text, err);
        if (hit < 0 || ((hit == 1) == wanted && !postings_read(r, name, value, set, err)))
            return false;
        if (next == 0)
            return true; /* the last possible number */
    }
}

/*
 * The set to keep, or (`*remove`) the set to take away.  `*all`: the matcher
 * changes nothing.
 */
static bool matcher_read(struct reading *r, const struct matcher *m, struct series_numbers *set,
                         bool *remove, struct error *err)
{
    uint32_t name;
    *remove = matcher_matches_empty(m);
    if (!symbol_find(r, m->name, &name, err))
        return false;
    if (name == TABLE_NONE)
        return true; /* nobody has the label: keep none, or remove none */
    if ((m->type == MATCH_EQUAL || m->type == MATCH_NOT_EQUAL) && m->value.size > 0)
        return literals_read(r, name, &m->value, 1, set, err);
    const struct slice *literals;
    size_t count;
    if (m->regex != NULL && regex_literals(m->regex, &literals, &count)) {
        bool keep_them = m->type == MATCH_REGEX;
        if (keep_them != *remove) /* exactly these are kept, or exactly these go */
            return literals_read(r, name, literals, count, set, err);
    }
    return values_test(r, name, m, !*remove, set, err);
}

/* Literals first: they are cheap and leave little. */
static int matcher_rank(const struct matcher *m)
{
    if (m->type == MATCH_EQUAL && m->value.size > 0)
        return 0;
    if (matcher_matches_empty(m))
        return 3;
    return m->type == MATCH_REGEX ? 1 : 2;
}

static bool matchers_apply(struct reading *r, const struct matcher *matchers, size_t count,
                           uint32_t series_count, struct series_numbers *result, struct error *err)
{
    bool any = false;
    for (int rank = 0; rank <= 3; rank++)
        for (size_t i = 0; i < count; i++) {
            struct series_numbers set = {0};
            bool remove, renewed;
            if (matcher_rank(&matchers[i]) != rank)
                continue;
            if (any && result->count == 0)
                return true;
            if (!reading_pause(r, &renewed, err) ||
                !matcher_read(r, &matchers[i], &set, &remove, err)) {
                array_done(&set);
                return false;
            }
            set_tidy(&set, series_count);
            if (!any && remove) /* start from all series */
                for (uint32_t s = 0; s < series_count; s++)
                    array_push(result, s);
            if (any || remove) {
                set_filter(result, &set, !remove);
                array_done(&set);
            } else {
                array_done(result);
                *result = set;
            }
            any = true;
        }
    for (uint32_t s = 0; !any && s < series_count; s++)
        array_push(result, s);
    return true;
}

bool partition_select(struct partition *p, const struct matcher *matchers, size_t count,
                      const bool *cancel, struct series_numbers *numbers, struct error *err)
{
    struct series_numbers result = {0};
    struct reading r;
    uint32_t series_count = partition_series_count(p);
    bool ok = reading_begin(&r, p, DB_POSTINGS, cancel, err);
    if (ok) {
        ok = matchers_apply(&r, matchers, count, series_count, &result, err);
        reading_end(&r);
    }
    for (size_t i = 0; ok && i < result.count; i++)
        if (result.items[i] < series_count) /* not one that was sealed meanwhile */
            array_push(numbers, result.items[i]);
    array_done(&result);
    return ok;
}

/* ---- names ----------------------------------------------------------------------------- */

struct name_list {
    struct arena *arena;
    ARRAY(struct slice) items;
};

static bool name_add(struct reading *r, uint32_t symbol, struct name_list *list, struct error *err)
{
    struct slice text;
    if (!symbol_text(r, symbol, &text, err))
        return false;
    text = arena_copy(list->arena, text);
    array_push(&list->items, text);
    return arena_check(list->arena, "names", err);
}

/* All label names: the distinct first parts of the postings' keys. */
static bool all_names(struct reading *r, struct name_list *list, struct error *err)
{
    uint32_t next = 0;
    for (size_t i = 1;; i++) {
        MDB_val key, data;
        bool found, renewed;
        if ((i % 64 == 0 && !reading_pause(r, &renewed, err)) ||
            !cursor_seek(r, next, 0, 0, &key, &data, &found, err))
            return false;
        if (!found || key.mv_size != 12)
            return true;
        next = key_part(key, 0) + 1;
        if (!name_add(r, next - 1, list, err))
            return false;
    }
}

static bool all_values(struct reading *r, uint32_t name, struct name_list *list, struct error *err)
{
    uint32_t next = 0, value;
    for (size_t i = 1;; i++) {
        bool renewed;
        if ((i % 64 == 0 && !reading_pause(r, &renewed, err)) ||
            !value_next(r, name, &next, &value, err))
            return false;
        if (value == TABLE_NONE)
            return true;
        if (!name_add(r, value, list, err))
            return false;
    }
}

/* The names, or values of `name`, that occur in the given series. */
static bool names_of_series(struct reading *r, const struct series_numbers *series, uint32_t name,
                            uint32_t symbol_count, struct name_list *list, struct error *err)
{
    AUTO(memory_drop) struct label_pair *pairs = xcalloc(SERIES_LABELS_MAX, sizeof(*pairs));
    AUTO(memory_drop) uint8_t *seen = xcalloc(symbol_count + 1, 1);
    for (size_t i = 0; i < series->count; i++) {
        char key[4];
        struct slice record;
        struct hash128 fingerprint;
        size_t count;
        bool renewed;
        if ((i % 256 == 255 && !reading_pause(r, &renewed, err)) ||
            !reading_get(r, DB_SERIES, key_u32(key, series->items[i]), &record, err))
            return false;
        if (record.data == NULL || !series_get(record, &fingerprint, pairs, &count))
            return reading_corrupt(r, "malformed series record", err);
        for (size_t k = 0; k < count; k++) {
            uint32_t symbol = name == TABLE_NONE ? pairs[k].name : pairs[k].value;
            if ((name != TABLE_NONE && pairs[k].name != name) || symbol >= symbol_count ||
                seen[symbol])
                continue;
            seen[symbol] = 1;
            if (!name_add(r, symbol, list, err))
                return false;
        }
    }
    return true;
}

static int name_order(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static bool names_collect(struct reading *r, struct slice label, const struct series_numbers *among,
                          uint32_t symbol_count, struct name_list *list, struct error *err)
{
    uint32_t name = TABLE_NONE;
    if (label.size > 0) {
        if (!symbol_find(r, label, &name, err))
            return false;
        if (name == TABLE_NONE)
            return true;
    }
    if (among != NULL)
        return names_of_series(r, among, name, symbol_count, list, err);
    return label.size > 0 ? all_values(r, name, list, err) : all_names(r, list, err);
}

bool partition_names(struct partition *p, const struct matcher *matchers, size_t count,
                     struct slice label, const bool *cancel, struct arena *arena,
                     struct slice **names, size_t *name_count, struct error *err)
{
    struct series_numbers among = {0};
    struct name_list list = {.arena = arena};
    struct reading r;
    bool ok = count == 0 || partition_select(p, matchers, count, cancel, &among, err);
    pthread_rwlock_rdlock(&p->state_lock);
    uint32_t symbol_count = p->state.symbols;
    pthread_rwlock_unlock(&p->state_lock);
    if (ok && (ok = reading_begin(&r, p, DB_POSTINGS, cancel, err))) {
        ok = names_collect(&r, label, count > 0 ? &among : NULL, symbol_count, &list, err);
        reading_end(&r);
    }
    if (ok && list.items.count > 1)
        qsort(list.items.items, list.items.count, sizeof(struct slice), name_order);
    struct slice *copy = ok ? arena_calloc(arena, list.items.count + 1, sizeof(*copy)) : NULL;
    if (copy != NULL) {
        if (list.items.count > 0)
            memcpy(copy, list.items.items, list.items.count * sizeof(*copy));
        *names = copy;
        *name_count = list.items.count;
    }
    array_done(&list.items);
    array_done(&among);
    return ok && arena_check(arena, "names", err);
}
