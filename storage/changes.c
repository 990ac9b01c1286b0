/*
 * changes.c - see changes.h.
 */
#include "storage/changes.h"

#include "base/duration.h"
#include "storage/store_internal.h"

enum { NOTES_MAX = 1024, GRAIN_S = 5 };

void changes_note(struct changes *changes, int64_t from_ns)
{
    int64_t grain = GRAIN_S * NS_PER_SECOND, rest = from_ns % grain;
    from_ns = ns_sub(from_ns, rest < 0 ? rest + grain : rest);
    while (changes->notes.count > 0 &&
           changes->notes.items[changes->notes.count - 1].from_ns >= from_ns)
        changes->notes.count--;
    if (changes->notes.count == NOTES_MAX) {
        struct change *oldest = changes->notes.items;
        oldest[1].from_ns = oldest[0].from_ns;
        memmove(oldest, oldest + 1, (NOTES_MAX - 1) * sizeof(*oldest));
        changes->notes.count--;
    }
    struct change note = {++changes->moment, from_ns};
    array_push(&changes->notes, note);
}

int64_t changes_since(const struct changes *changes, uint64_t moment)
{
    size_t low = 0, high = changes->notes.count; /* the first later note has the lowest time */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (changes->notes.items[middle].moment <= moment)
            low = middle + 1;
        else
            high = middle;
    }
    return low < changes->notes.count ? changes->notes.items[low].from_ns : INT64_MAX;
}

/* ---- of a store -------------------------------------------------------------------- */

void store_moment_read(struct store *store, struct slice tenant, struct store_moment *moment)
{
    struct head *head = store_head(store, tenant, STORE_METRIC);
    *moment = (struct store_moment){
        .removals = __atomic_load_n(&store->counters.partitions_deleted, __ATOMIC_SEQ_CST)};
    if (head == NULL)
        return;
    pthread_mutex_lock(&head->lock);
    moment->changes = head->changes.moment;
    pthread_mutex_unlock(&head->lock);
}

int64_t store_changed_since(struct store *store, struct slice tenant,
                            const struct store_moment *moment)
{
    if (names_many_tenants(tenant) ||
        __atomic_load_n(&store->counters.partitions_deleted, __ATOMIC_SEQ_CST) != moment->removals)
        return INT64_MIN;
    struct head *head = store_head(store, tenant, STORE_METRIC);
    if (head == NULL)
        return INT64_MAX;
    pthread_mutex_lock(&head->lock);
    int64_t from_ns = changes_since(&head->changes, moment->changes);
    pthread_mutex_unlock(&head->lock);
    return from_ns;
}
