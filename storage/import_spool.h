/*
 * import_spool.h - chunks on their way into partitions, sorted by day.
 *
 * Records (series number, chunk) collect in a block per day; full blocks go one
 * behind the other into one file, which is unlinked at once.  One thread.
 */
#ifndef STORAGE_IMPORT_SPOOL_H
#define STORAGE_IMPORT_SPOOL_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct import_spool; /* opaque: fields in import_spool.c */

/* Its file is made in `directory`; NULL: only days are counted. */
struct import_spool *spool_open(const char *directory, struct error *err) MUST_CHECK;
void spool_close(struct import_spool *spool); /* NULL is fine */

bool spool_add(struct import_spool *spool, int32_t day, uint32_t series, struct slice chunk,
               struct error *err) MUST_CHECK;

/* Sort the days; then they can be read. */
size_t spool_days(struct import_spool *spool);
int32_t spool_day(const struct import_spool *spool, size_t index);

/* Call `take` with each record of day number `index`, in their order. */
typedef bool spool_take(void *context, uint32_t series, struct slice chunk, struct error *err);
bool spool_read(struct import_spool *spool, size_t index, spool_take *take, void *context,
                struct error *err) MUST_CHECK;

#endif
