/*
 * import.h - history from elsewhere, written as partitions: no log, no head.
 *
 * An import builds a small store of its own in DATA/import/<name>.part and, when
 * all of it is on the disk, names it DATA/import/<name>.  Whoever has the data
 * directory open then takes it in: a command, or the sealer of a running
 * server.  Each day becomes visible with one row of the catalog.
 *
 * Entries may come in any order.  They collect in memory (`memory_max`), go as
 * chunks to a spool file sorted by day, and each day is written and closed
 * once, so memory holds the series' labels and one day at a time.
 *
 * What is stored already stays: imported chunks bear LSN 0, which loses against
 * every sample of the same time, and equal log entries are one.  So importing
 * the same twice adds nothing.
 */
#ifndef STORAGE_IMPORT_H
#define STORAGE_IMPORT_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"
#include "storage/store_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct histogram;
struct import; /* opaque: fields in import.c */
struct store;

struct import_options {
    const char *directory; /* the data directory: made when missing */
    struct slice tenant;
    enum store_kind kind;
    int64_t oldest_ns, newest_ns; /* entries outside are left out and counted */
    size_t memory_max;            /* for entries on their way; 0: 64 MiB */
    bool dry_run;                 /* judge and count everything, write nothing */
};

struct import_report {
    uint64_t series, taken;    /* samples or entries */
    uint64_t too_old, too_new; /* left out: outside of the times allowed */
    uint64_t bad_series, bad;  /* left out: invalid labels; samples that cannot be stored */
    uint64_t days;             /* that the import has entries for */
    int64_t first_ns, last_ns; /* of what was taken */
    char first_problem[256];   /* of bad_series and bad */
};

struct import *import_begin(const struct import_options *options, struct error *err) MUST_CHECK;
void import_free(struct import *import); /* without import_finish() nothing of it stays */
const struct import_report *import_report(const struct import *import);

/*
 * The import's number of a series; -1 with ERR_INVALID when the labels are bad (counted; what
 * follows for it is the caller's to leave out), or with another error that ends the import.
 */
int64_t import_series(struct import *import, struct label *labels, size_t count, struct error *err)
    MUST_CHECK;

/* False ends the import; what cannot be stored is left out and counted.  `start_ns` as in store.h.
 */
bool import_sample(struct import *import, uint32_t series, int64_t time_ns, int64_t start_ns,
                   double value, struct error *err) MUST_CHECK;
bool import_histogram(struct import *import, uint32_t series, int64_t time_ns, int64_t start_ns,
                      const struct histogram *histogram, struct error *err) MUST_CHECK;
bool import_entry(struct import *import, uint32_t series, int64_t time_ns, struct slice line,
                  struct label *metadata, size_t metadata_count, struct error *err) MUST_CHECK;
bool import_metadata(struct import *import, struct slice family, struct slice type,
                     struct slice help, struct slice unit, struct error *err) MUST_CHECK;

/* Entries that cannot be stored, seen by the caller. */
void import_refuse(struct import *import, uint64_t count, const char *problem);

/* Write all days and name the import; `name` (room for IMPORT_NAME_SIZE) is its folder's. */
enum { IMPORT_NAME_SIZE = 64 };
bool import_finish(struct import *import, char *name, struct error *err) MUST_CHECK;

/* ---- taking it in (import_adopt.c) ----------------------------------------------- */

/*
 * Take in every finished import of an open store; the caller holds seal_lock.  One that fails
 * gets ".failed" behind its name, unless it may succeed later (ERR_UNAVAILABLE); each leaves a
 * text in <name>.result.  False, with the first failure, when one failed.
 */
bool import_adopt_all(struct store *store, struct error *err) MUST_CHECK;

/*
 * Have a finished import taken in, here when nobody else has the store open, else by waiting for
 * the server that has.  What became of it is `result`.
 */
bool import_deliver(const char *directory, const char *name, char *result, size_t size,
                    struct error *err) MUST_CHECK;

#endif
