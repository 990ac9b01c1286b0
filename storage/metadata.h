/*
 * metadata.h - type, help and unit of metric families, per tenant.
 *
 * Kept in memory, changed by records of the log only, and carried into every
 * new segment, so the newest segment alone brings all of it back.  Any thread.
 */
#ifndef STORAGE_METADATA_H
#define STORAGE_METADATA_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>

struct arena;
struct buffer;
struct error;
struct metadata; /* opaque: fields in metadata.c */

enum { METADATA_FAMILIES_MAX = 20000, METADATA_TEXT_MAX = 4096, METADATA_NAME_MAX = 1024 };

struct metadata *metadata_new(void);
void metadata_free(struct metadata *metadata); /* NULL is fine */

/* Is exactly this known already? */
bool metadata_knows(struct metadata *metadata, struct slice tenant,
                    const struct metric_metadata *item);

/* The items of a metadata list: varint count, then family, type, help, unit each. */
void metadata_write_item(struct buffer *out, const struct metric_metadata *item);
bool metadata_apply(struct metadata *metadata, struct slice tenant, struct slice list) MUST_CHECK;

/* Append the payload of a metadata record for tenant number `index`; false when there is none. */
bool metadata_write(struct metadata *metadata, size_t index, struct buffer *out);

bool metadata_list(struct metadata *metadata, struct slice tenant, struct slice family,
                   struct arena *arena, struct metric_metadata **items, size_t *count,
                   struct error *err) MUST_CHECK;

size_t metadata_memory(struct metadata *metadata);

#endif
