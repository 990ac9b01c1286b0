/*
 * sealer.h - the thread that moves chunks from the head into partitions.
 *
 * It is the only writer of LMDB partitions.  It freezes chunks that are due,
 * writes them with their marks, lets go of them, and then removes the log's
 * segments and idle series that nobody needs any more.
 */
#ifndef STORAGE_SEALER_H
#define STORAGE_SEALER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct sealer; /* opaque: fields in sealer.c */
struct store;

struct sealer *sealer_start(struct store *store, struct error *err) MUST_CHECK;
void sealer_stop(struct sealer *sealer);
void sealer_free(struct sealer *sealer); /* NULL is fine */

/* Look now and do not wait for the interval; NULL is fine.  Any thread. */
void sealer_wake(struct sealer *sealer);

/* Would a pass help now: is log text over its cap, or memory short while chunks hold some? */
bool sealer_is_wanted(const struct store *store);

/* Has the thread's last pass failed?  True fills `err`.  Any thread. */
bool sealer_problem(struct sealer *sealer, struct error *err);

/* Seal everything and wait for it.  Any thread; works before start and after stop, too. */
bool sealer_seal_all(struct store *store, struct error *err) MUST_CHECK;

/*
 * The same at the end: large heads first; small ones only until `budget_ns` is over, then
 * `*all` is false and the log keeps what was not sealed.
 */
bool sealer_seal_at_end(struct store *store, int64_t budget_ns, bool *all, struct error *err)
    MUST_CHECK;

/* Seal what is frozen: used by replay when memory runs short. */
bool sealer_retention(struct store *store, struct error *err) MUST_CHECK;

/* Seal everything, then close every day that is over at `now_ns`. */
bool sealer_close_days(struct store *store, int64_t now_ns, struct error *err) MUST_CHECK;

/* store_clean_tombstones(). */
bool sealer_clean_tombstones(struct store *store, struct error *err) MUST_CHECK;

#endif
