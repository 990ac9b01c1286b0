/*
 * rate_limit.c - see rate_limit.h.
 *
 * What a tenant has left is kept as the time at which its bucket would be full again: taking
 * bytes moves that time on, and nothing needs to be done while nobody asks.
 */
#include "server/rate_limit.h"

#include "base/array.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "storage/store_options.h"

#include <pthread.h>
#include <string.h>

struct tenant_bucket {
    char tenant[TENANT_NAME_MAX + 1];
    int64_t full_ns; /* when it is full again; in the past: it is full */
};

struct rate_limit {
    double rate, burst; /* bytes a second, bytes */
    pthread_mutex_t lock;
    struct table table; /* tenants to indexes */
    ARRAY(struct tenant_bucket) buckets;
};

struct rate_limit *rate_limit_new(uint64_t rate, uint64_t burst)
{
    struct rate_limit *limit = xcalloc(1, sizeof(*limit));
    limit->rate = (double)rate;
    limit->burst = (double)burst;
    pthread_mutex_init(&limit->lock, NULL);
    return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
    if (limit == NULL)
        return;
    table_done(&limit->table);
    array_done(&limit->buckets);
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

static bool is_tenant(const void *items, uint32_t index, const void *key)
{
    const struct tenant_bucket *buckets = items;
    return slice_equal(slice_from_text(buckets[index].tenant), *(const struct slice *)key);
}

static struct tenant_bucket *bucket_of(struct rate_limit *limit, struct slice tenant)
{
    uint64_t hash = hash64(tenant.data, tenant.size, hash_seed());
    uint32_t at = table_find(&limit->table, hash, is_tenant, limit->buckets.items, &tenant);
    if (at == TABLE_NONE) {
        struct tenant_bucket fresh = {.full_ns = INT64_MIN};
        memcpy(fresh.tenant, tenant.data, tenant.size);
        at = (uint32_t)limit->buckets.count;
        array_push(&limit->buckets, fresh);
        table_insert(&limit->table, hash, at);
    }
    return &limit->buckets.items[at];
}

/* How long the bucket needs to get so many bytes; bounded, so that sums fit. */
static int64_t time_for(const struct rate_limit *limit, double bytes)
{
    double ns = bytes / limit->rate * 1e9;
    return ns < 1e18 ? (int64_t)ns : (int64_t)1e18;
}

bool rate_limit_take(struct rate_limit *limit, struct slice tenant, uint64_t bytes, int64_t now_ns)
{
    int64_t whole_ns = time_for(limit, limit->burst);
    int64_t cost_ns = time_for(limit, (double)bytes);
    pthread_mutex_lock(&limit->lock);
    struct tenant_bucket *bucket = bucket_of(limit, tenant);
    int64_t full_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    bool ok = cost_ns <= whole_ns && full_ns - now_ns <= whole_ns - cost_ns;
    if (ok)
        bucket->full_ns = full_ns + cost_ns;
    pthread_mutex_unlock(&limit->lock);
    return ok;
}
