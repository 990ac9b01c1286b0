/*
 * overrides.h - the settings `retention_stream` and `tenants`: lists of rules and what single
 * tenants have of their own, from JSON text to what the store wants.
 */
#ifndef SERVER_OVERRIDES_H
#define SERVER_OVERRIDES_H

#include "base/compiler.h"
#include "storage/store_options.h"

struct error;
struct overrides; /* opaque: overrides.c */

enum { OVERRIDE_RULES_MAX = 1000, OVERRIDE_TENANTS_MAX = 10000 };

/*
 * `rules` is a list of {"selector", "priority", "period", "kind"}; `tenants` an object of
 * {"retention", "metrics": {"out_of_order"}, "logs": {"out_of_order"}, "retention_stream"}
 * by name.  Empty texts: none.  ERR_INVALID names the place.
 */
struct overrides *overrides_read(const char *rules, const char *tenants, struct error *err)
    MUST_CHECK;
void overrides_free(struct overrides *overrides); /* NULL is fine */

/* Points the options at what `overrides` (NULL: nothing) owns. */
void overrides_for_store(const struct overrides *overrides, struct store_options *out);

#endif
