/*
 * catalog.h - the meta environment DATA/meta.mdb: what a data directory holds.
 *
 * It owns the format version, the tenants, the row per day that names the
 * generation (file) of each partition, metric metadata, producers' batch ids
 * and the last time of day seen.  The row of a day is the ONLY commit point of
 * its file: a partition file that no row names does not exist and is removed
 * at start.
 *
 * Every change is one durable transaction.  Tenants and days are mirrored in
 * memory, so looking them up touches no disk.  Any thread; changes exclude each
 * other.  Layout: docs/format-partition.md.
 */
#ifndef STORAGE_CATALOG_H
#define STORAGE_CATALOG_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct catalog; /* opaque: fields in catalog.c */
struct error;

enum { CATALOG_FORMAT_MAJOR = 2, CATALOG_FORMAT_MINOR = 0 };

/*
 * Open or create DATA/meta.mdb in `directory`, which exists.  ERR_UNSUPPORTED when a newer
 * version of Etinde wrote it.
 */
struct catalog *catalog_open(const char *directory, struct error *err) MUST_CHECK;
void catalog_close(struct catalog *catalog); /* NULL is fine */

/* A copy of the file, as of one commit, at `path`, which must not exist; durable. */
bool catalog_copy(struct catalog *catalog, const char *path, struct error *err) MUST_CHECK;

/* ---- tenants ----------------------------------------------------------- */

/* [A-Za-z0-9_-]{1,64} */
bool tenant_name_is_valid(struct slice tenant);

bool catalog_has_tenant(struct catalog *catalog, struct slice tenant);
/* Fine when it exists.  ERR_INVALID for a bad name, ERR_RATE over `tenants_max` (0: no limit). */
bool catalog_add_tenant(struct catalog *catalog, struct slice tenant, size_t tenants_max,
                        struct error *err) MUST_CHECK;
/* All names, sorted, in `arena`. */
bool catalog_tenants(struct catalog *catalog, struct arena *arena, struct slice **tenants,
                     size_t *count, struct error *err) MUST_CHECK;

/* ---- days -------------------------------------------------------------- */

struct catalog_day {
    struct slice tenant;
    enum store_kind kind;
    int32_t day; /* days since the epoch, UTC */
    uint32_t generation;
    bool closed;        /* rewritten after its end, and nothing came since */
    uint64_t clean_lsn; /* no tombstone up to it hides anything in its files */
    uint64_t retained;  /* retention_state() of which its files are free */
    uint64_t gone_lsn;  /* the day was deleted: replay stores nothing of it up to this LSN */
};

/*
 * Is what this catalog says also what the next start will find?  False after a change that
 * failed half-way and cannot be taken back now; then no file may be removed because of it.
 */
bool catalog_settle(struct catalog *catalog, struct error *err) MUST_CHECK;

/* The generation of a day, or 0 when there is none. */
uint32_t catalog_generation(struct catalog *catalog, struct slice tenant, enum store_kind kind,
                            int32_t day);

/* The days of a tenant and kind in [first, last], ascending, in `arena`. */
bool catalog_days(struct catalog *catalog, struct slice tenant, enum store_kind kind, int32_t first,
                  int32_t last, struct arena *arena, struct catalog_day **days, size_t *count,
                  struct error *err) MUST_CHECK;

/* All days of all tenants, sorted by tenant, kind, day. */
bool catalog_all_days(struct catalog *catalog, struct arena *arena, struct catalog_day **days,
                      size_t *count, struct error *err) MUST_CHECK;

/* What the catalog says of a day; false: nothing. */
bool catalog_find_day(struct catalog *catalog, struct slice tenant, enum store_kind kind,
                      int32_t day, struct catalog_day *found);

/*
 * Name (or rename) a day's generation; 0 removes it.  Durable on return.  A higher `gone_lsn`
 * that was stored before stays: such a row outlives its day, unlisted.
 */
bool catalog_set_day(struct catalog *catalog, const struct catalog_day *day, struct error *err)
    MUST_CHECK;

/* The `gone_lsn` of a day, 0 when it was never deleted. */
uint64_t catalog_gone_lsn(struct catalog *catalog, struct slice tenant, enum store_kind kind,
                          int32_t day);
/* The log has nothing up to `lsn` any more: rows that say only that such entries are gone go. */
bool catalog_forget_gone(struct catalog *catalog, uint64_t lsn, struct error *err) MUST_CHECK;

/* ---- tombstones -------------------------------------------------------- */

struct tombstone;
struct tombstones;

/* Store `count` of them in one transaction. */
bool catalog_put_tombstones(struct catalog *catalog, struct tombstone *const *items, size_t count,
                            struct error *err) MUST_CHECK;
bool catalog_remove_tombstones(struct catalog *catalog, const uint64_t *lsns, size_t count,
                               struct error *err) MUST_CHECK;
/* All of them into the registry, as persisted ones. */
bool catalog_load_tombstones(struct catalog *catalog, struct tombstones *tombstones,
                             struct error *err) MUST_CHECK;

/* ---- notes ------------------------------------------------------------- */

enum { CATALOG_NOTE_KEY_MAX = 256, CATALOG_NOTE_SIZE_MAX = 64 * 1024 };

/* Small durable facts of others, by key; an empty value removes one. */
bool catalog_put_note(struct catalog *catalog, struct slice key, struct slice value,
                      struct error *err) MUST_CHECK;
typedef bool catalog_note_visit(void *context, struct slice key, struct slice value,
                                struct error *err);
/* All whose key starts with `prefix`, in the order of their keys. */
bool catalog_notes(struct catalog *catalog, struct slice prefix, catalog_note_visit *visit,
                   void *context, struct error *err) MUST_CHECK;

/* ---- metric metadata --------------------------------------------------- */

enum { CATALOG_FAMILY_SIZE_MAX = 400, CATALOG_TEXT_SIZE_MAX = 4096 };

/*
 * Store or replace in one transaction.  Families longer than
 * CATALOG_FAMILY_SIZE_MAX are left out, texts are cut at CATALOG_TEXT_SIZE_MAX.
 */
bool catalog_put_metadata(struct catalog *catalog, struct slice tenant,
                          const struct metric_metadata *items, size_t count, struct error *err)
    MUST_CHECK;

/* All of a tenant, or one `family`, sorted by family, in `arena`. */
bool catalog_metadata(struct catalog *catalog, struct slice tenant, struct slice family,
                      struct arena *arena, struct metric_metadata **items, size_t *count,
                      struct error *err) MUST_CHECK;

/* ---- producers --------------------------------------------------------- */

enum { CATALOG_PRODUCER_SIZE_MAX = 128, CATALOG_SEQUENCES_MAX = 1024 };

/* What is remembered of a producer: its newest epoch and that epoch's last sequences. */
struct catalog_producer {
    struct slice tenant;
    enum store_kind kind;
    struct slice producer;
    uint64_t epoch;
    int64_t seen_ns;           /* for expiry */
    const uint64_t *sequences; /* in any order, at most CATALOG_SEQUENCES_MAX */
    size_t count;
};

/* Store or replace all `producers` in one transaction. */
bool catalog_put_producers(struct catalog *catalog, const struct catalog_producer *producers,
                           size_t count, struct error *err) MUST_CHECK;

/* All of them, in `arena`; those not seen since `expired_ns` are removed instead. */
bool catalog_producers(struct catalog *catalog, int64_t expired_ns, struct arena *arena,
                       struct catalog_producer **producers, size_t *count, struct error *err)
    MUST_CHECK;

/* ---- the clock --------------------------------------------------------- */

/* The time of day last stored (0: never): a jump of over a day stops retention. */
int64_t catalog_clock(struct catalog *catalog);
bool catalog_set_clock(struct catalog *catalog, int64_t now_ns, struct error *err) MUST_CHECK;

#endif
