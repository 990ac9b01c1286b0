/*
 * rate_limit.h - how many bytes a second each tenant may bring: a bucket of tokens per tenant.
 *
 * A bucket holds `burst` bytes when it is full and gets `rate` bytes a second.  A request takes
 * all that it brings or nothing; one that is larger than the burst can never be taken.
 * Any thread may call.  Tenants are limited in number by the store, and so are buckets.
 */
#ifndef SERVER_RATE_LIMIT_H
#define SERVER_RATE_LIMIT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct rate_limit;

struct rate_limit *rate_limit_new(uint64_t rate, uint64_t burst);
void rate_limit_free(struct rate_limit *limit); /* NULL is fine */

/* Take `bytes` at the monotonic time `now_ns`; false: the tenant has not so many left. */
bool rate_limit_take(struct rate_limit *limit, struct slice tenant, uint64_t bytes, int64_t now_ns);

#endif
